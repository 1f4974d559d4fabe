/* pressure.c - see pressure.h. Nothing watches upstreams by a timer: each request that wants to
 * know looks, and under pressure there are many. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/pressure.h"
#include "upstream/shared_priv.h"

static bool swap(int64_t *v, int64_t from, int64_t to)
{
    return __atomic_compare_exchange_n(v, &from, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Busy without a pause for long enough? A time without any look is a pause. */
static bool stands(struct pressure_shared *p, bool busy, int64_t now_ms)
{
    int64_t since = shared_get(&p->since_ms);
    bool goes_on = since > 0 && now_ms - shared_get(&p->seen_ms) < PRESSURE_AFTER_MS;
    if (!busy || !goes_on)
        shared_set(&p->since_ms, busy ? now_ms : 0);
    if (busy)
        shared_set(&p->seen_ms, now_ms);
    return busy && goes_on && now_ms - since >= PRESSURE_AFTER_MS;
}

enum pressure pressure_look(struct pressure_shared *p, bool busy, int64_t calm_ms, int64_t now_ms)
{
    if (stands(p, busy, now_ms))
        shared_set(&p->stood_ms, now_ms);
    int64_t stood = shared_get(&p->stood_ms);
    if (stood > 0 && now_ms - stood < calm_ms)
        return swap(&p->told, 0, 1) ? PRESSURE_BEGINS : PRESSURE_ON;
    return swap(&p->told, 1, 0) ? PRESSURE_ENDS : PRESSURE_OFF;
}

static bool refused_lately(struct upstream_shared *s, int64_t now_ms)
{
    struct pressure_shared *p = &s->pressure;
    int64_t refused = shared_get(&s->shed_total), before = shared_get(&p->refused);
    if (refused != before && swap(&p->refused, before, refused))
        shared_set(&p->refused_ms, now_ms);
    int64_t at = shared_get(&p->refused_ms);
    return at > 0 && now_ms - at < PRESSURE_AFTER_MS;
}

bool upstream_is_busy(const struct upstream *up, int64_t now_ms)
{
    struct upstream_shared *s = up->shared;
    return refused_lately(s, now_ms) || shared_get(&s->waiting) > 0 ||
           limit_full(&s->limit, &up->limit);
}
