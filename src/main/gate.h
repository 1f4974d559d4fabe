/* gate.h - who may connect: not who is banned, nor who has as many connections as may be. Asked
 * before anything is made for a connection, TLS handshakes included. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

struct conn;
struct worker;

/* The connection that was accepted as `fd`, counted, without a user. NULL: `fd` is closed. Worker
 * threads. */
struct conn *gate_let_in(struct worker *w, int fd);
