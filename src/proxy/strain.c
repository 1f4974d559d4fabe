/* strain.c - see strain.h. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/strain.h"
#include "base/log.h"
#include "proxy/exchange.h"
#include "proxy/split.h"
#include "upstream/pressure.h"

static void say(const struct exchange *x, const struct upstream *up, enum pressure p)
{
    if (p == PRESSURE_BEGINS) {
        counter_add(x->worker->counters, METRIC_CHALLENGE_PRESSURE, 1);
        log_write(LOG_WARN_, "upstream %.*s is under pressure: challenges begin",
                  SLICE_ARG(up->name));
    } else if (p == PRESSURE_ENDS) {
        log_write(LOG_NOTICE_, "upstream %.*s is under pressure no more: challenges end",
                  SLICE_ARG(up->name));
    }
}

static bool is_on(const struct exchange *x, const struct upstream *up, int64_t calm_ms)
{
    int64_t now_ms = x->worker->loop.now_ms;
    bool busy = upstream_is_busy(up, now_ms) || x->worker->shed.buffers;
    enum pressure p = pressure_look(&up->shared->pressure, busy, calm_ms, now_ms);
    say(x, up, p);
    return pressure_is_on(p);
}

bool strain_is_on(const struct exchange *x, int64_t calm_ms)
{
    const struct target *t = x->settings->target;
    bool on = false;
    if (t && t->kind == TARGET_UPSTREAM)
        return is_on(x, t->upstream, calm_ms);
    if (!t || t->kind != TARGET_SPLIT)
        return false;
    for (uint32_t i = 0; i < t->split->count; i++)
        on |= is_on(x, t->split->parts[i].target.upstream, calm_ms);
    return on;
}
