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
 * in LATENCY_FADE_MS. But a server that owes answers and gives none is slow, whatever it was
 * before: as long as it has been silent, at least. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/latency.h"
#include "upstream/shared_priv.h"

enum { RISE_MAX = 2, HALVES_MAX = 32 };

static void latency_set(struct server_shared *s, int64_t us, int64_t now_ms)
{
    shared_set(&s->latency_ewma_us, us);
    shared_set(&s->latency_at_ms, now_ms);
}

static int64_t faded(const struct server_shared *s, int64_t now_ms)
{
    int64_t halves = (now_ms - shared_get(&s->latency_at_ms)) / LATENCY_FADE_MS;
    if (halves <= 0)
        return shared_get(&s->latency_ewma_us);
    return halves < HALVES_MAX ? shared_get(&s->latency_ewma_us) >> halves : 0;
}

void latency_add(struct server_shared *s, int64_t us, int64_t now_ms)
{
    int64_t stored = shared_get(&s->latency_ewma_us), old = faded(s, now_ms);
    int64_t most = old * RISE_MAX > stored ? old * RISE_MAX : stored; /* that it was is believed */
    int64_t age_ms = now_ms - shared_get(&s->latency_at_ms);
    if (old == 0)
        latency_set(s, us, now_ms);
    else if (us > old)
        latency_set(s, us < most ? us : most, now_ms);
    else if (age_ms >= LATENCY_FALL_MS)
        latency_set(s, old - (old - us) * age_ms / (age_ms + LATENCY_TAU_MS), now_ms);
}

void latency_asked(struct server_shared *s, int64_t now_ms)
{
    if (shared_add(&s->unanswered, 1) == 1)
        shared_set(&s->silent_since_ms, now_ms);
}

/* Written at most once in a millisecond, so that workers share the cache line in peace. */
void latency_answered(struct server_shared *s, int64_t now_ms)
{
    shared_add(&s->unanswered, -1);
    if (shared_get(&s->silent_since_ms) != now_ms)
        shared_set(&s->silent_since_ms, now_ms);
}

static int64_t silence_us(const struct server_shared *s, int64_t now_ms)
{
    int64_t ms = now_ms - shared_get(&s->silent_since_ms);
    return (ms < LATENCY_SILENCE_MAX_MS ? ms : LATENCY_SILENCE_MAX_MS) * 1000;
}

/* Only what it said to nobody in that time is its own slowness and not that of one request. */
void latency_given_up(struct server_shared *s, int64_t us, int64_t now_ms)
{
    int64_t silent = silence_us(s, now_ms), least = us < silent ? us : silent;
    shared_add(&s->unanswered, -1);
    if (least > faded(s, now_ms))
        latency_set(s, least, now_ms);
}

int64_t latency_now(const struct server_shared *s, int64_t now_ms)
{
    int64_t us = faded(s, now_ms);
    int64_t silent = shared_get(&s->unanswered) > 0 ? silence_us(s, now_ms) : 0;
    return us > silent ? us : silent;
}
