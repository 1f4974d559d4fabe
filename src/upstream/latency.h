/* latency.h - how quickly a server answers: one estimate for all workers and balancers.
 *
 * Peak EWMA (as in Finagle, but see latency.c): rises with one slow answer, falls with time. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

enum {
    LATENCY_TAU_MS = 1000,
    LATENCY_FALL_MS = 64,
    LATENCY_FADE_MS = 2000,
    LATENCY_SILENCE_MAX_MS = 10000
};

/* A request is with the server, whole: it owes an answer. Then that has begun, or was waited for in
 * vain for `us`. Any thread. */
void latency_asked(struct server_shared *s, int64_t now_ms);
void latency_answered(struct server_shared *s, int64_t now_ms);
void latency_given_up(struct server_shared *s, int64_t us, int64_t now_ms);
/* An answer whose first byte came after `us` (> 0). Any thread. */
void latency_add(struct server_shared *s, int64_t us, int64_t now_ms);
/* The estimate in microseconds; 0: not known, or so long ago that it says nothing any more. */
int64_t latency_now(const struct server_shared *s, int64_t now_ms);
