/* ramp.c - a server that comes back gets its share in a ramp (slow_start).
 *
 * It comes back after an ejection or a failing check, when it is enabled again, or when it is added
 * to an upstream that was there before. Its caches are cold then, and its number of requests is the
 * lowest of all, so that every balancer by load would bury it. In the ramp it is allowed by chance,
 * from RAMP_LEAST up to 1 in a straight line. All servers of a new upstream begin at once: there is
 * nobody to spare them, and no ramp. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"
#include "upstream/shared_priv.h"

static const double RAMP_LEAST = 0.1;

/* The main thread, which reads configurations, has no worker's clock: the first pick sets it. */
enum { BACK_AT_NEXT_PICK = -1 };

void server_came_back(struct server_shared *s, int64_t now_ms)
{
    shared_set(&s->back_at_ms, now_ms);
}

void ramp_on_bind(const struct server *srv, bool upstream_is_new)
{
    struct server_shared *s = srv->shared;
    bool was_off = s->conf_state == SERVER_CONF_OFF;
    bool added = s->conf_state == SERVER_CONF_NONE && !upstream_is_new;
    bool on = !srv->disabled && !srv->draining;
    if (on && (was_off || added))
        shared_set(&s->back_at_ms, BACK_AT_NEXT_PICK);
    s->conf_state = on ? SERVER_CONF_ON : SERVER_CONF_OFF;
}

static int64_t back_at(struct server_shared *s, int64_t now_ms)
{
    int64_t at = shared_get(&s->back_at_ms);
    if (at != BACK_AT_NEXT_PICK)
        return at;
    if (__atomic_compare_exchange_n(&s->back_at_ms, &at, now_ms, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        return now_ms;
    return at; /* as another worker set it */
}

double pick_ramp(const struct pick *p, uint32_t i)
{
    int64_t lasts_ms = p->up->slow_start_ms;
    if (lasts_ms <= 0)
        return 1;
    int64_t at = back_at(p->up->servers[i].shared, p->now_ms);
    if (at == 0 || p->now_ms - at >= lasts_ms)
        return 1;
    int64_t age_ms = p->now_ms > at ? p->now_ms - at : 0; /* `at` may be the end of an ejection */
    return RAMP_LEAST + (1 - RAMP_LEAST) * (double)age_ms / (double)lasts_ms;
}
