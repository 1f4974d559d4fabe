/* cache_store.c - what the store of the cache costs and keeps.
 *
 * `make bench-cache-store` builds and runs it; T=memory, lookup, hits, purge or threads for a part.
 * Memory: a million objects of 100 to 1000 bytes with a usual head; overhead is all that is neither
 * key, field nor body. Lookups: hits in random order, with the hash of the key and both counts
 * dropped. Hits: ratio on traces at fixed bytes, beside a plain LRU of the same bytes. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cache/purge.h"
#include "cache/store.h"
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MILLION = 1000000, KEY_BYTES = 64, BODY_LEAST = 100, BODY_MOST = 1000 };

static char filler[BODY_MOST + 1];

static int64_t clock_ns(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct cache_shared *store_new(uint64_t bytes)
{
    return cache_new(&(struct cache_limits){.memory_bytes = bytes, .object_bytes = bytes});
}

static struct slice key_text(char at[KEY_BYTES], unsigned n)
{
    int len = snprintf(at, KEY_BYTES, "https://www.example.com/articles/%u.html", n);
    return (struct slice){at, (size_t)len};
}

static size_t body_bytes(unsigned n)
{
    return BODY_LEAST + n * 2654435761u % (BODY_MOST - BODY_LEAST + 1);
}

/* ---- objects ---- */

static struct header fields[] = {
    {.name = SLICE_INIT("Date"), .value = SLICE_INIT("Sun, 06 Nov 1994 08:49:37 GMT")},
    {.name = SLICE_INIT("Content-Type"), .value = SLICE_INIT("text/html; charset=utf-8")},
    {.name = SLICE_INIT("Cache-Control"), .value = SLICE_INIT("public, max-age=3600")},
    {.name = SLICE_INIT("ETag"), .value = SLICE_INIT("\"5f3a-61b2c\"")},
    {.name = SLICE_INIT("Last-Modified"), .value = SLICE_INIT("Sat, 05 Nov 1994 08:49:37 GMT")},
};

/* What cannot be saved: text and body. */
static size_t useful_bytes(unsigned n)
{
    char text[KEY_BYTES];
    size_t bytes = key_text(text, n).len + body_bytes(n) + 2;
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        bytes += fields[i].name.len + fields[i].value.len;
    return bytes;
}

static void store_key(struct cache_shared *c, struct cache_key key, size_t bytes, struct slice tags)
{
    struct headers h = {.at = fields, .count = COUNT_OF(fields)};
    struct content_shared *k = content_new(c, 0, bytes);
    ASSERT(k && content_append(k, (struct slice){filler, bytes}) == ERR_OK);
    content_end(k);
    struct object_draft d = {.key = key,
                             .status = 200,
                             .headers = &h,
                             .reason = SLICE("OK"),
                             .tags = tags,
                             .content = k};
    struct object_shared *o = object_new(c, &d);
    ASSERT(o);
    content_drop(k);
    cache_insert(c, o, UINT64_MAX);
    object_drop(o);
}

static void store(struct cache_shared *c, unsigned n, struct slice tags)
{
    char text[KEY_BYTES];
    struct cache_key key;
    cache_key_init(&key, key_text(text, n));
    store_key(c, key, body_bytes(n), tags);
}

static enum cache_match match(struct cache_query *q, const struct object_shared *o)
{
    return o->variant == q->variant ? MATCH_FRESH : MATCH_NO;
}

static bool lookup(struct cache_shared *c, struct slice text)
{
    struct cache_query q = {.match = match, .alone = true};
    struct cache_result r;
    cache_key_init(&q.key, text);
    cache_lookup(c, &q, &r);
    if (r.content)
        content_drop(r.content);
    if (r.object)
        object_drop(r.object);
    return r.match == MATCH_FRESH;
}

/* ---- memory ---- */

static void bench_memory(void)
{
    size_t before = mallinfo2().uordblks, useful = 0;
    struct cache_shared *c = store_new(UINT64_MAX / 4);
    size_t fixed = mallinfo2().uordblks - before + mallinfo2().hblkhd;
    for (unsigned i = 0; i < MILLION; i++) {
        store(c, i, SLICE(""));
        useful += useful_bytes(i);
    }
    struct mallinfo2 m = mallinfo2();
    struct cache_stats st;
    cache_stats_get(c, &st);
    printf("memory: 1,000,000 objects, %.0f bytes of text and body each\n", useful / 1e6);
    printf("  overhead each: %.0f bytes charged, %.0f bytes of malloc (fixed: %zu KB)\n",
           ((double)st.memory_bytes - (double)useful) / 1e6,
           ((double)m.uordblks + (double)m.hblkhd - (double)before - (double)useful) / 1e6,
           fixed >> 10);
    cache_free(c);
}

/* ---- lookups ---- */

static char (*keys_make(unsigned count, struct rand *r))[KEY_BYTES]
{
    char(*keys)[KEY_BYTES] = mem_new((size_t)count * KEY_BYTES);
    for (unsigned i = 0; i < count; i++)
        key_text(keys[i], (unsigned)rand_below(r, count));
    return keys;
}

static void bench_lookup(void)
{
    struct rand r;
    rand_init(&r, 1);
    printf("lookups: one thread, random order, hits\n");
    for (unsigned count = 1000; count <= MILLION; count = count == 1000 ? 100000 : count * 10) {
        struct cache_shared *c = store_new(UINT64_MAX / 4);
        for (unsigned i = 0; i < count; i++)
            store(c, i, SLICE(""));
        char(*keys)[KEY_BYTES] = keys_make(count, &r);
        int64_t best = INT64_MAX;
        for (int round = 0; round < 3; round++) {
            int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
            for (unsigned i = 0; i < MILLION; i++)
                ASSERT(lookup(c, slice_of(keys[i % count])));
            int64_t took = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
            best = took < best ? took : best;
        }
        printf("  %8u objects: %.0f ns\n", count, (double)best / MILLION);
        free(keys);
        cache_free(c);
    }
}

/* ---- threads ---- */

struct puller {
    pthread_t thread;
    struct cache_shared *cache;
    unsigned seed;
};

static void *pull(void *arg)
{
    struct puller *p = arg;
    struct rand r;
    char text[KEY_BYTES];
    rand_init(&r, p->seed);
    for (unsigned i = 0; i < MILLION; i++)
        lookup(p->cache, key_text(text, (unsigned)rand_below(&r, 1000)));
    return NULL;
}

static void bench_threads(void)
{
    struct cache_shared *c = store_new(1 << 30);
    for (unsigned i = 0; i < 1000; i++)
        store(c, i, SLICE(""));
    printf("threads: lookups over 1,000 objects, key printed each time\n");
    for (unsigned count = 1; count <= 2; count++) {
        struct puller p[2];
        int64_t start = clock_ns(CLOCK_MONOTONIC);
        for (unsigned i = 0; i < count; i++) {
            p[i] = (struct puller){.cache = c, .seed = i};
            pthread_create(&p[i].thread, NULL, pull, &p[i]);
        }
        for (unsigned i = 0; i < count; i++)
            pthread_join(p[i].thread, NULL);
        printf("  %u: %.0f ns of wall clock each\n", count,
               (double)(clock_ns(CLOCK_MONOTONIC) - start) / MILLION);
    }
    cache_free(c);
}

/* ---- purges ---- */

/* Until it is swept. The longest lookup meanwhile, or nothing but waiting. */
static int64_t purge_wait(struct cache_shared *c, uint64_t id, bool look, uint64_t *count)
{
    char text[KEY_BYTES];
    int64_t worst = 0;
    for (unsigned n = 0; !purge_result(c, id, count); n++) {
        int64_t from = clock_ns(CLOCK_MONOTONIC);
        if (look)
            lookup(c, key_text(text, n * 7919 % MILLION));
        else
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        int64_t took = clock_ns(CLOCK_MONOTONIC) - from;
        worst = took > worst ? took : worst;
    }
    return look ? worst : 0;
}

static void purge_once(struct cache_shared *c, enum purge_kind kind, struct slice text, bool look)
{
    uint64_t id, count;
    struct purge_order p = {kind, PURGE_HARD, text};
    int64_t start = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    ASSERT(purge_add(c, &p, &id) == ERR_OK);
    int64_t effective = clock_ns(CLOCK_MONOTONIC) - start;
    int64_t worst = purge_wait(c, id, look, &count);
    printf("  %llu objects: effective after %.0f us, swept after %.0f ms (%.0f ms of CPU)",
           (unsigned long long)count, (double)effective / 1e3,
           (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e6,
           (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e6);
    printf(look ? "; longest lookup meanwhile %.0f us\n" : "\n", (double)worst / 1e3);
}

static void bench_purge(void)
{
    struct cache_shared *c = store_new(UINT64_MAX / 4);
    for (unsigned i = 0; i < MILLION; i++)
        store(c, i, i % 2 ? SLICE("news sport") : SLICE("news"));
    printf("purges of a million objects: by URL, by tags of none, half and all\n");
    char text[KEY_BYTES];
    purge_once(c, PURGE_URL, key_text(text, 77), false);
    purge_once(c, PURGE_TAG, SLICE("nothing"), false);
    purge_once(c, PURGE_TAG, SLICE("sport"), true);
    for (unsigned i = 1; i < MILLION; i += 2)
        store(c, i, SLICE("news"));
    purge_once(c, PURGE_TAG, SLICE("news"), false);
    cache_free(c);
}

/* ---- hit ratios ---- */

/* A plain LRU of so many bytes, which costs nothing itself. */
struct lru {
    struct lru_entry {
        struct list link;
        uint32_t bytes;
    } * entries;       /* by object's number; bytes 0: not there */
    struct list order; /* the oldest first */
    uint64_t used, limit;
};

static void lru_init(struct lru *l, unsigned count, uint64_t limit)
{
    *l = (struct lru){.entries = mem_new(count * sizeof *l->entries), .limit = limit};
    list_init(&l->order);
}

static bool lru_get(struct lru *l, unsigned n, uint32_t bytes)
{
    struct lru_entry *e = &l->entries[n];
    bool hit = e->bytes > 0;
    if (hit) {
        list_remove(&e->link);
    } else {
        e->bytes = bytes;
        l->used += bytes;
    }
    list_push(&l->order, &e->link);
    while (l->used > l->limit) {
        struct lru_entry *old = LIST_ENTRY(list_pop(&l->order), struct lru_entry, link);
        l->used -= old->bytes;
        old->bytes = 0;
    }
    return hit;
}

/* Numbers 0 to count - 1 by Zipf's law, by binary search in the sums. */
struct zipf {
    double *sums;
    unsigned count;
};

static void zipf_init(struct zipf *z, unsigned count, double skew)
{
    *z = (struct zipf){.sums = mem_new(count * sizeof(double)), .count = count};
    double sum = 0;
    for (unsigned i = 0; i < count; i++)
        z->sums[i] = sum += 1 / pow(i + 1, skew);
}

static unsigned zipf_draw(const struct zipf *z, struct rand *r)
{
    double at = (double)(rand_next(r) >> 11) * 0x1p-53 * z->sums[z->count - 1];
    unsigned low = 0, high = z->count - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (z->sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct trace {
    const char *name;
    unsigned objects, requests, warm_up;
    double share;              /* of all bytes: the budget */
    unsigned scan_share, loop; /* percent of requests that scan; objects of the loop */
};

static unsigned scan_at;

static unsigned trace_next(const struct trace *t, const struct zipf *z, struct rand *r)
{
    if (rand_below(r, 100) < t->scan_share)
        return t->objects - t->loop + scan_at++ % t->loop;
    return zipf_draw(z, r);
}

static size_t stored_bytes(unsigned n)
{
    return useful_bytes(n) + 250;
}

static void trace_run(const struct trace *t)
{
    struct zipf z;
    struct lru l;
    struct rand r;
    uint64_t all = 0, hits = 0, lru_hits = 0, counted = 0;
    for (unsigned i = 0; i < t->objects; i++)
        all += stored_bytes(i);
    uint64_t budget = (uint64_t)((double)all * t->share);
    struct cache_shared *c = store_new(budget);
    zipf_init(&z, t->loop < t->objects ? t->objects - t->loop : t->objects, 0.9);
    lru_init(&l, t->objects, budget);
    rand_init(&r, 5);
    scan_at = 0;
    for (unsigned i = 0; i < t->requests; i++) {
        char text[KEY_BYTES];
        unsigned n = trace_next(t, &z, &r);
        bool hit = lookup(c, key_text(text, n)),
             lru_hit = lru_get(&l, n, (uint32_t)stored_bytes(n));
        if (!hit)
            store(c, n, SLICE(""));
        if (i < t->warm_up)
            continue;
        counted++;
        hits += hit;
        lru_hits += lru_hit;
    }
    printf("  %-42s %5.1f %%  LRU %5.1f %%\n", t->name, 100.0 * (double)hits / (double)counted,
           100.0 * (double)lru_hits / (double)counted);
    cache_free(c);
    free(z.sums);
    free(l.entries);
}

static void bench_hits(void)
{
    static const struct trace traces[] = {
        {"Zipf 0.9, 1 % of all bytes", 200000, 2000000, 500000, 0.01, 0, 0},
        {"Zipf 0.9, 10 % of all bytes", 200000, 2000000, 500000, 0.1, 0, 0},
        {"Zipf 0.9, 30 % of all bytes", 200000, 2000000, 500000, 0.3, 0, 0},
        {"looping scan, 90 % of all bytes", 50000, 1000000, 200000, 0.9, 100, 50000},
        {"looping scan, 50 % of all bytes", 50000, 1000000, 200000, 0.5, 100, 50000},
        {"looping scan, 10 % of all bytes", 50000, 1000000, 200000, 0.1, 100, 50000},
        {"Zipf with one scan in three, 10 %", 200000, 2000000, 500000, 0.1, 33, 100000},
    };
    printf("hit ratio at equal bytes\n");
    for (size_t i = 0; i < COUNT_OF(traces); i++)
        trace_run(&traces[i]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"memory", bench_memory},
                 {"lookup", bench_lookup},
                 {"threads", bench_threads},
                 {"purge", bench_purge},
                 {"hits", bench_hits}};
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        fields[i].id = (uint16_t)field_find(fields[i].name);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (argc < 2 || strcmp(argv[1], parts[i].name) == 0)
            parts[i].run();
    return 0;
}
