/* cache_metrics.c - what /metrics tells about the cache: the store as a whole, and each site. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "base/assert.h"
#include "cache/store.h"

static const struct {
    const char *name, *kind, *text;
    size_t offset;
} STORE_ROWS[] = {
#define AT(f) offsetof(struct cache_stats, f)
    {"cache_objects", "gauge", "Stored responses", AT(objects)},
    {"cache_memory_bytes", "gauge", "Memory that the store takes", AT(memory_bytes)},
    {"cache_disk_objects", "gauge", "Stored responses that are on disk", AT(disk_objects)},
    {"cache_disk_bytes", "gauge", "Disk space that they take", AT(disk_bytes)},
    {"cache_evictions_total", "counter", "Responses that had to make room in memory",
     AT(evictions)},
    {"cache_disk_evictions_total", "counter", "Responses that had to make room on disk",
     AT(disk_evictions)},
    {"cache_disk_errors_total", "counter", "Responses that could not be written or read",
     AT(disk_errors)},
    {"cache_purged_total", "counter", "Responses that were purged", AT(purged)},
#undef AT
};

static void add_store(const struct admin_page *p)
{
    struct cache_stats s;
    cache_stats_get(p->source->cache, &s);
    for (size_t i = 0; i < COUNT_OF(STORE_ROWS); i++) {
        admin_help(p->out, STORE_ROWS[i].name, STORE_ROWS[i].kind, STORE_ROWS[i].text);
        uint64_t value = *(const uint64_t *)((const char *)&s + STORE_ROWS[i].offset);
        text_addf(p->out, "weir_%s %llu\n", STORE_ROWS[i].name, (unsigned long long)value);
    }
}

static void add_site(struct text *out, struct slice name, const uint64_t *events)
{
    for (unsigned e = 0; e < CACHE_EVENT_COUNT; e++) {
        text_add(out, SLICE("weir_cache_events_total{site=\""));
        admin_label(out, name);
        text_addf(out, "\",event=\"%s\"} %llu\n", cache_event_name((enum cache_event)e),
                  (unsigned long long)events[e]);
    }
}

void admin_cache_metrics(const struct admin_page *p)
{
    struct cache_site_shared *at = NULL;
    struct slice name;
    uint64_t events[CACHE_EVENT_COUNT];
    if (!p->source->cache)
        return;
    add_store(p);
    admin_help(p->out, "cache_events_total", "counter",
               "What the cache did for requests of a site; hit_bytes and miss_bytes: of bodies");
    while (cache_site_next(p->source->cache, &at, &name, events))
        add_site(p->out, name, events);
}
