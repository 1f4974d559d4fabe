/* guests_said.c - what the log says of connections that were refused or sent away: under an attack
 * that is very many, and a line a second tells as much. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "proxy/guests_priv.h"
#include "proxy/worker.h"

enum said { SAID_OVERRUN, SAID_FULL, SAID_EVICTED, SAID_COUNT };
enum { SAID_EVERY_MS = 1000 };

/* Of all workers together. */
static struct guests_said_shared {
    struct {
        int64_t next_ms;   /* atomic */
        uint32_t left_out; /* atomic: since the last line */
    } kinds[SAID_COUNT];
} guests_said_shared;

/* Is a line due? Then *others is how many there were that got none. */
static bool may_say(const struct worker *w, enum said kind, uint32_t *others)
{
    int64_t now = w->loop.now_ms;
    int64_t *next = &guests_said_shared.kinds[kind].next_ms, due;
    uint32_t *left_out = &guests_said_shared.kinds[kind].left_out;
    due = __atomic_load_n(next, __ATOMIC_RELAXED);
    if (now < due || !__atomic_compare_exchange_n(next, &due, now + SAID_EVERY_MS, false,
                                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(left_out, 1, __ATOMIC_RELAXED);
        return false;
    }
    *others = __atomic_exchange_n(left_out, 0, __ATOMIC_RELAXED);
    return true;
}

void guests_say_overrun(struct worker *w, const struct guest_host *h, int64_t most)
{
    char who[ADDR_TEXT_BYTES];
    uint32_t others;
    counter_add(w->counters, METRIC_CONNECTIONS_OVERRUN, 1);
    if (!may_say(w, SAID_OVERRUN, &others))
        return;
    int len = (int)conns_write(who, h->shared);
    log_write(LOG_WARN_,
              "%.*s has %lld connections, as many as one address may have: newcomers are closed "
              "(`connections per_ip=`; a proxy belongs into `trust`); %u lines like this left out",
              len, who, (long long)most, others);
}

void guests_say_full(struct worker *w, const struct guest_host *h, int64_t most)
{
    char who[ADDR_TEXT_BYTES];
    uint32_t others;
    counter_add(w->counters, METRIC_CONNECTIONS_FULL, 1);
    if (!may_say(w, SAID_FULL, &others))
        return;
    int len = (int)conns_write(who, h->shared);
    log_write(LOG_WARN_,
              "%lld connections are open, as many as there may be (`connections max=`), and none "
              "has to give way to one of %.*s, which is closed; %u lines like this left out",
              (long long)most, len, who, others);
}

void guests_say_evicted(struct worker *w, const struct guest_host *h, enum guests_short why)
{
    static const char *const words[] = {[SHORT_OF_PLACES] = "connections",
                                        [SHORT_OF_FDS] = "descriptors",
                                        [SHORT_OF_BUFFERS] = "buffers"};
    static const enum metric metrics[] = {[SHORT_OF_PLACES] = METRIC_EVICTED_SUM,
                                          [SHORT_OF_FDS] = METRIC_EVICTED_FDS,
                                          [SHORT_OF_BUFFERS] = METRIC_EVICTED_BUFFERS};
    char who[ADDR_TEXT_BYTES];
    uint32_t others;
    counter_add(w->counters, metrics[why], 1);
    if (!may_say(w, SAID_EVICTED, &others))
        return;
    int len = (int)conns_write(who, h->shared);
    log_write(LOG_WARN_,
              "%s run short: a connection of %.*s, which has %u, was closed; %u lines like this "
              "left out",
              words[why], len, who, conns_of(h->shared), others);
}
