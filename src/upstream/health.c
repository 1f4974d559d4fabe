/* health.c - passive failure marking with back-off.
 *
 * `fail_count` failures in a row eject a server for `fail_ms`; when that time is over it gets
 * one request again (half-open). When that fails the server is ejected again, for twice as long, up
 * to `fail_max_ms`; when its answer begins all others may follow. One success wipes the slate. All
 * state is relaxed atomics in server_shared: a race between workers can at worst count one failure
 * more or less. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/health_priv.h"
#include "upstream/shared_priv.h"

static server_observer *observer; /* set before there are threads */

void servers_observe(server_observer *o)
{
    observer = o;
}

void health_tell(const struct server_shared *s, enum server_event e, int64_t ms)
{
    if (observer)
        observer(s, e, ms);
}

bool health_ejected(const struct server_shared *s, int64_t now_ms)
{
    int64_t until = shared_get(&s->ejected_until_ms);
    if (until == 0)
        return false;
    return until > now_ms || (shared_get(&s->trial) != 0 && health_on_trial(s, now_ms));
}

/* Many requests, not one, tell of a server that stood out among the others. */
bool health_on_trial(const struct server_shared *s, int64_t now_ms)
{
    int64_t until = shared_get(&s->ejected_until_ms);
    return until != 0 && until <= now_ms && shared_get(&s->eject_why) == SERVER_EJECT_FAILURES;
}

bool health_trial_take(struct server_shared *s, int64_t now_ms, bool *mine)
{
    *mine = false;
    if (!health_on_trial(s, now_ms))
        return true;
    *mine = __atomic_exchange_n(&s->trial, 1, __ATOMIC_RELAXED) == 0;
    return *mine;
}

void health_trial_end(struct server_shared *s)
{
    shared_set(&s->trial, 0);
}

bool health_out(const struct server_shared *s, int64_t now_ms)
{
    return __atomic_load_n(&s->check_down, __ATOMIC_RELAXED) || health_ejected(s, now_ms);
}

void health_ok(struct server_shared *s, int64_t now_ms)
{
    /* Read first: in the usual case nothing is written and the cache line stays shared. */
    if (shared_get(&s->fails_in_a_row) != 0)
        shared_set(&s->fails_in_a_row, 0);
    /* One good answer says nothing against a comparison of many. */
    if (shared_get(&s->ejected_until_ms) != 0 && shared_get(&s->eject_why) == SERVER_EJECT_FAILURES)
        shared_set(&s->ejected_until_ms, 0);
    /* Of several workers that see it serve again one tells. */
    if (shared_get(&s->eject_count) != 0 &&
        __atomic_exchange_n(&s->eject_count, 0, __ATOMIC_RELAXED) != 0) {
        if (shared_get(&s->back_at_ms) > now_ms)
            server_came_back(s, now_ms); /* earlier than thought */
        health_tell(s, SERVER_BACK, 0);
    }
}

int64_t health_ejection_ms(const struct upstream *up, int64_t earlier)
{
    int64_t ms = up->fail_ms;
    while (earlier-- > 0 && ms < up->fail_max_ms)
        ms *= 2;
    return ms < up->fail_max_ms ? ms : up->fail_max_ms;
}

static void server_eject(struct server_shared *s, const struct upstream *up, int64_t now_ms)
{
    int64_t until = shared_get(&s->ejected_until_ms);
    if (until > now_ms)
        return; /* out already: failures of requests that were under way do not prolong it */
    int64_t ms = health_ejection_ms(up, shared_get(&s->eject_count));
    if (!__atomic_compare_exchange_n(&s->ejected_until_ms, &until, now_ms + ms, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return; /* another worker did it */
    shared_set(&s->eject_why, SERVER_EJECT_FAILURES);
    shared_add(&s->ejections_total, 1);
    shared_add(&s->eject_count, 1);
    server_came_back(s, now_ms + ms);
    health_tell(s, SERVER_OUT, ms);
}

void health_failed(struct server_shared *s, const struct upstream *up, enum err why,
                   const struct loop *l)
{
    shared_add(&s->failures_total, 1);
    shared_set(&s->last_error, why);
    shared_set(&s->last_error_unix_ms, l->unix_ms);
    int64_t fails = shared_add(&s->fails_in_a_row, 1);
    if (up->fail_count > 0 && (fails >= up->fail_count || health_on_trial(s, l->now_ms)))
        server_eject(s, up, l->now_ms);
}
