/* fcgi.h - FastCGI, origin side: one request at a time on a connection borrowed from a pool. Knows
 * neither exchange nor configuration.
 *
 * The request's message carries `cgi` (http/cgi.h), and its body has a known length or none: an
 * application reads CONTENT_LENGTH bytes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/stream.h"
#include "net/conn.h"

extern const struct origin_engine fcgi_origin_engine;
