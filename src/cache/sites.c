/* sites.c - what happens on each site: counters per worker, found by name, kept as long as the
 * store.
 *
 * A page belongs to one worker's thread, which makes it at its first event and is the only one to
 * write to it; readers sum all pages. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/counters.h"
#include "base/mem.h"
#include "cache/store_priv.h"
#include <stdlib.h>

struct site_page {
    int64_t events[CACHE_EVENT_COUNT];
};

struct cache_site_shared {
    struct cache_site_shared *next;                    /* constant once it is in the list */
    struct site_page *_Atomic pages[SITE_WORKERS_MAX]; /* release after it is zeroed */
    size_t name_len;
    char name[];
};

const char *cache_event_name(enum cache_event e)
{
    static const char *const names[] = {
        [CACHE_HIT] = "hit",
        [CACHE_MISS] = "miss",
        [CACHE_STALE] = "stale",
        [CACHE_REVALIDATED] = "revalidated",
        [CACHE_COALESCED] = "coalesced",
        [CACHE_BYPASS] = "bypass",
        [CACHE_PASS] = "pass",
        [CACHE_STORED] = "stored",
        [CACHE_HIT_BYTES] = "hit_bytes",
        [CACHE_MISS_BYTES] = "miss_bytes",
    };
    _Static_assert(COUNT_OF(names) == CACHE_EVENT_COUNT, "one name per event");
    return names[e];
}

static struct cache_site_shared *site_find(struct cache_site_shared *at, struct slice name)
{
    while (at && !slice_eq((struct slice){at->name, at->name_len}, name))
        at = at->next;
    return at;
}

struct cache_site_shared *cache_site_get(struct cache_shared *c, struct slice name)
{
    pthread_mutex_lock(&c->sites_lock);
    struct cache_site_shared *s = site_find(c->sites, name);
    if (!s) {
        s = mem_new(sizeof *s + name.len);
        s->name_len = name.len;
        if (name.len > 0)
            memcpy(s->name, name.at, name.len);
        s->next = c->sites;
        c->sites = s;
    }
    pthread_mutex_unlock(&c->sites_lock);
    return s;
}

/* NULL: no memory; then the event is not counted. */
static struct site_page *page_of(struct cache_site_shared *s, uint32_t worker)
{
    ASSERT(worker < SITE_WORKERS_MAX);
    /* relaxed: its own. */
    struct site_page *p = atomic_load_explicit(&s->pages[worker], memory_order_relaxed);
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    atomic_store_explicit(&s->pages[worker], p, memory_order_release);
    return p;
}

void cache_site_count(struct cache_site_shared *s, uint32_t worker, enum cache_event e, uint64_t n)
{
    struct site_page *p = page_of(s, worker);
    if (p)
        counter_bump(&p->events[e], (int64_t)n);
}

static void site_sum(struct cache_site_shared *s, uint64_t events[CACHE_EVENT_COUNT])
{
    memset(events, 0, CACHE_EVENT_COUNT * sizeof *events);
    for (int w = 0; w < SITE_WORKERS_MAX; w++) {
        struct site_page *p = atomic_load_explicit(&s->pages[w], memory_order_acquire);
        for (int e = 0; p && e < CACHE_EVENT_COUNT; e++)
            events[e] += (uint64_t)__atomic_load_n(&p->events[e], __ATOMIC_RELAXED);
    }
}

bool cache_site_next(struct cache_shared *c, struct cache_site_shared **at, struct slice *name,
                     uint64_t events[CACHE_EVENT_COUNT])
{
    pthread_mutex_lock(&c->sites_lock);
    struct cache_site_shared *s = *at ? (*at)->next : c->sites;
    pthread_mutex_unlock(&c->sites_lock);
    if (!s)
        return false;
    *at = s;
    *name = (struct slice){s->name, s->name_len};
    site_sum(s, events);
    return true;
}

void sites_release(struct cache_shared *c)
{
    for (struct cache_site_shared *s = c->sites, *next; s; s = next) {
        next = s->next;
        for (int w = 0; w < SITE_WORKERS_MAX; w++)
            free(atomic_load_explicit(&s->pages[w], memory_order_relaxed));
        free(s);
    }
}
