/* handshakes.h - TLS on accepted connections: from the descriptor to the session.
 *
 * A handshake counts as a session of its listener, so that a stop waits for it and the listener and
 * its configuration outlive it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/worker.h"

/* Takes over the descriptor, which came in on `p`. */
void handshake_begin(struct worker *w, struct listen_point *p, int fd);
