/* retry.c - the retry budget: a sliding window in two halves.
 *
 * The window is the running half and the one before it; when a half is over the counts move on.
 * Counting is by relaxed atomics on a line that all workers share; the worker that wins the
 * compare-and-swap moves the halves, and a count that falls into that moment may land in either. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/retry.h"
#include "upstream/shared_priv.h"

enum { HALF_MS = RETRY_WINDOW_MS / 2, WHOLE = 10000 /* 100 % */ };

static void window_move(struct upstream_shared *s, int64_t now_ms)
{
    int64_t began = shared_get(&s->budget_window_ms);
    if (now_ms - began < HALF_MS && began != 0)
        return;
    int64_t next = now_ms > 0 ? now_ms : 1; /* 0 means that no window began yet */
    if (!__atomic_compare_exchange_n(&s->budget_window_ms, &began, next, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return;
    int64_t requests = __atomic_exchange_n(&s->budget_requests, 0, __ATOMIC_RELAXED);
    int64_t retries = __atomic_exchange_n(&s->budget_retries, 0, __ATOMIC_RELAXED);
    int64_t hedges = __atomic_exchange_n(&s->budget_hedges, 0, __ATOMIC_RELAXED);
    bool stale = began == 0 || now_ms - began >= RETRY_WINDOW_MS; /* both halves are too old */
    shared_set(&s->budget_requests_before, stale ? 0 : requests);
    shared_set(&s->budget_retries_before, stale ? 0 : retries);
    shared_set(&s->budget_hedges_before, stale ? 0 : hedges);
}

void retry_budget_request(struct upstream_shared *s, int64_t now_ms)
{
    window_move(s, now_ms);
    shared_add(&s->budget_requests, 1);
    shared_add(&s->requests_total, 1);
}

static int64_t allowed(const struct upstream_shared *s, int64_t budget, int64_t floor)
{
    int64_t requests = shared_get(&s->budget_requests) + shared_get(&s->budget_requests_before);
    int64_t share = requests * budget / WHOLE;
    return share > floor ? share : floor;
}

bool retry_budget_take(struct upstream_shared *s, int64_t budget, int64_t now_ms)
{
    window_move(s, now_ms);
    int64_t retries = shared_add(&s->budget_retries, 1) + shared_get(&s->budget_retries_before);
    if (budget >= 0 && retries > allowed(s, budget, RETRY_FLOOR)) {
        shared_add(&s->budget_retries, -1);
        return false;
    }
    shared_add(&s->retries_total, 1);
    return true;
}

bool hedge_budget_take(struct upstream_shared *s, int64_t budget, int64_t now_ms)
{
    window_move(s, now_ms);
    int64_t hedges = shared_add(&s->budget_hedges, 1) + shared_get(&s->budget_hedges_before);
    if (hedges > allowed(s, budget, HEDGE_FLOOR)) {
        shared_add(&s->budget_hedges, -1);
        return false;
    }
    shared_add(&s->hedges_total, 1);
    return true;
}

int64_t hedge_after_ms(const struct upstream *up)
{
    if (up->hedge.after_ms != HEDGE_P95)
        return up->hedge.after_ms;
    int64_t us = shared_get(&up->shared->limit.p95_us);
    return us > 0 ? us / 1000 + 1 : HEDGE_NEVER;
}
