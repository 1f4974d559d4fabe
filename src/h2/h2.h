/* h2.h - HTTP/2 towards clients: a session for each connection, a stream for each request. Knows
 * neither exchange nor configuration. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/stream.h"
#include "net/conn.h"

/* Serves an open connection, whose first bytes may be here already (len 0: none). The session owns
 * both from here on and frees itself with them. False: no memory; the connection was closed. */
bool h2_client_adopt(struct conn *c, struct stream_acceptor *a, void *listener, struct span first);
bool h2_client_start(struct loop *l, int fd, struct stream_acceptor *a, void *listener);
