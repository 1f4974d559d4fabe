/* signals.h - signals as completions on the main thread's loop (signalfd, blocked everywhere). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/loop.h"

struct signals;

void signals_block(void); /* before any thread starts: HUP INT TERM QUIT USR1 USR2; PIPE ignored */
struct signals *signals_new(struct loop *l, void (*on_signal)(void *ctx, int signo), void *ctx);
void signals_free(struct signals *s);
