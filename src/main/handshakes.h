/* handshakes.h - TLS on accepted connections: from the connection to the session.
 *
 * A handshake counts as a session of its listener, so that a stop waits for it and the listener and
 * its configuration outlive it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/worker.h"

struct conn;

/* Takes over the connection, which came in on `p` and has no user yet. */
void handshake_begin(struct worker *w, struct listen_point *p, struct conn *c);
