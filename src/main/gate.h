/* gate.h - who may connect at all: not who is banned. Asked before anything is made for a
 * connection, TLS handshakes included. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>

struct worker;

/* A connection was accepted as `fd`. False: it is to be closed. Worker threads. */
bool gate_lets_in(struct worker *w, int fd);
