/* h1.h - HTTP/1.x sessions: the client side's (one per connection) and the origin side's (one per
 * exchange, on a connection borrowed from a pool). Knows neither exchange nor configuration. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/stream.h"
#include "net/conn.h"

/* Starts serving an accepted connection. The session owns the conn from here on and frees itself
 * with it. False: no memory (the conn was closed). `first` holds bytes that were read already (len
 * 0: none). */
bool h1_client_start(struct loop *l, int fd, struct stream_acceptor *a, void *listener);
/* The same on a connection that is open already, whose handshake is done. */
bool h1_client_adopt(struct conn *c, struct stream_acceptor *a, void *listener);

/* Origin side (RFC 9112): at most one stream at a time on a connection. */
extern const struct origin_engine h1_origin_engine;
