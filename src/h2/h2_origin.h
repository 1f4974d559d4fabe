/* h2_origin.h - HTTP/2 towards servers: a session for each connection, which the streams of many
 * exchanges share. Knows neither exchange nor configuration. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/stream.h"
#include "net/mux.h"

/* Begins sessions on connections that were just opened. */
extern const struct mux_engine h2_mux_engine;
/* Opens streams on connections that have such a session. */
extern const struct origin_engine h2_origin_engine;
