/* latency.c - the estimate of a server's time to the first byte.
 *
 * What a balancer has to know early is that a server became slow, so the estimate rises at once to
 * a slower answer - but by one answer not to more than its double: one report among many small
 * requests says little, a server that is slow says it again with the next answer, and the third
 * makes it eight times. It falls with time, whatever the number of requests, as a moving average
 * with a time constant of LATENCY_TAU_MS. At most one answer in LATENCY_FALL_MS lets it fall: whole
 * microseconds would be lost in smaller steps.
 *
 * Without answers it fades, or a server that was slow once would never get another chance: by half
 * in LATENCY_FADE_MS when nothing is in flight. While something is in flight and no answer comes
 * that is no good sign, and it fades much more slowly. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/latency.h"
#include "upstream/shared_priv.h"

enum { RISE_MAX = 2, FADE_BUSY = 6, HALVES_MAX = 32 };

static void latency_set(struct server_shared *s, int64_t us, int64_t now_ms)
{
    shared_set(&s->latency_ewma_us, us);
    shared_set(&s->latency_at_ms, now_ms);
}

void latency_add(struct server_shared *s, int64_t us, int64_t now_ms)
{
    int64_t stored = shared_get(&s->latency_ewma_us), old = latency_now(s, now_ms);
    int64_t most = old * RISE_MAX > stored ? old * RISE_MAX : stored; /* that it was is believed */
    int64_t age_ms = now_ms - shared_get(&s->latency_at_ms);
    if (old == 0)
        latency_set(s, us, now_ms);
    else if (us > old)
        latency_set(s, us < most ? us : most, now_ms);
    else if (age_ms >= LATENCY_FALL_MS)
        latency_set(s, old - (old - us) * age_ms / (age_ms + LATENCY_TAU_MS), now_ms);
}

int64_t latency_now(const struct server_shared *s, int64_t now_ms)
{
    int64_t us = shared_get(&s->latency_ewma_us);
    int64_t age_ms = now_ms - shared_get(&s->latency_at_ms);
    if (age_ms < LATENCY_FADE_MS)
        return us;
    int64_t half_ms = shared_get(&s->in_flight) > 0 ? LATENCY_FADE_MS * FADE_BUSY : LATENCY_FADE_MS;
    int64_t halves = age_ms / half_ms;
    return halves < HALVES_MAX ? us >> halves : 0;
}
