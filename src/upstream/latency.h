/* latency.h - how quickly a server answers: one estimate for all workers and balancers.
 *
 * Peak EWMA (as in Finagle, but see latency.c): rises with one slow answer, falls with time. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

enum { LATENCY_TAU_MS = 1000, LATENCY_FALL_MS = 64, LATENCY_FADE_MS = 5000 };

/* An answer whose first byte came after `us` (> 0). Any thread. */
void latency_add(struct server_shared *s, int64_t us, int64_t now_ms);
/* The estimate in microseconds; 0: not known, or so long ago that it says nothing any more. */
int64_t latency_now(const struct server_shared *s, int64_t now_ms);
