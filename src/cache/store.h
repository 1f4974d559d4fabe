/* store.h - the store: index, budget, eviction; shared by all workers, kept over reloads.
 *
 * Shards by key hash, each with a lock, an open-addressing table of keys, the eviction queues and
 * the fetches under way. Eviction is S3-FIFO (Yang et al. 2023): what is used once passes through a
 * small queue and leaves; what is asked for again while it is there, or soon after, goes to the
 * main one. The budget counts every byte that the store allocates. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/fill.h"
#include "cache/object.h"

struct cache_shared;
struct disk_shared;

struct cache_limits {
    uint64_t memory_bytes;
    uint64_t object_bytes;   /* larger ones are not kept in memory */
    uint32_t variants_count; /* of one key; the oldest leaves: 256 */
};

struct cache_shared *cache_new(const struct cache_limits *l);
void cache_free(struct cache_shared *c); /* nobody uses it any more */
void cache_limits_set(struct cache_shared *c, const struct cache_limits *l); /* main; evicts */
void cache_limits_get(struct cache_shared *c, struct cache_limits *out);

/* --- the disk tier ---------------------------------------------------------------------------- */

struct purge_order;
struct cache_stats;

/* How the store reaches its disk (disk.h), which registers itself. Never called under a lock of
 * the store. */
struct cache_disk_ops {
    void (*save)(struct disk_shared *d, struct object_shared *o);
    struct content_shared *(*load)(struct disk_shared *d, struct object_shared *o, uint64_t first,
                                   uint64_t length);
    /* An object with a file has left the index for good. */
    void (*forget)(struct disk_shared *d, struct object_shared *o);
    /* From cache_insert(): `o` took the place of `old`, whose content it has. */
    void (*rehead)(struct disk_shared *d, struct object_shared *old, struct object_shared *o);
    void (*purge_note)(struct disk_shared *d, const struct purge_order *p, uint64_t born_before);
    void (*stats)(struct disk_shared *d, struct cache_stats *out); /* the fields disk_* */
};

/* Both NULL: no disk any more. Main. */
void cache_disk_set(struct cache_shared *c, const struct cache_disk_ops *ops,
                    struct disk_shared *d);
struct disk_shared *cache_disk_get(struct cache_shared *c); /* NULL: none */
/* What only the disk asks for (store_disk.c).
 *
 * Puts what was found on disk into the index, by its age, without content. False: something newer
 * is in its place, or it was purged or invalidated. */
bool cache_restore(struct cache_shared *c, struct object_shared *o);
/* Its file is gone, and `file` is 0 again: without content it leaves the index. */
void cache_file_gone(struct cache_shared *c, struct object_shared *o);
bool cache_is_linked(struct cache_shared *c, struct object_shared *o);
struct content_shared *cache_content_get(struct cache_shared *c,
                                         struct object_shared *o); /* counted; NULL: none */
void cache_now_raise(struct cache_shared *c,
                     uint64_t least); /* at start: what is on disk is older */

/* disk_save() and disk_load(), for who knows no disk; nothing and NULL without one. */
void cache_save(struct cache_shared *c, struct object_shared *o);
struct content_shared *cache_load(struct cache_shared *c, struct object_shared *o, uint64_t first,
                                  uint64_t length);

/* --- looking up ------------------------------------------------------------------------------- */

enum cache_match {
    MATCH_NO,
    MATCH_FRESH,
    MATCH_STALE /* it is the one, but the server is asked */
};

struct cache_query {
    struct cache_key key;
    /* Asked for each response of the key, newest first, until it is not MATCH_NO. Under the shard's
     * lock: it may neither block nor come back here. May set `variant`. */
    enum cache_match (*match)(struct cache_query *q, const struct object_shared *o);
    uint64_t variant; /* fetches that can not answer each other have different ones */
    bool alone;       /* neither leads nor follows */
};

struct cache_result {
    struct object_shared *object;   /* counted; NULL: none matched */
    struct content_shared *content; /* of it, counted; NULL: only on disk (disk_load()) */
    enum cache_match match;
    struct fill_shared *fill; /* counted; NULL: fresh, alone, or `pass` */
    bool leads;               /* the fill is new: who asked has to fetch, and fill_answer() */
    bool pass;                /* known not to be storable (or no memory): nobody queues */
};

/* Any worker. Everything under one lock, so that of many who miss one leads. */
void cache_lookup(struct cache_shared *c, struct cache_query *q, struct cache_result *out);

/* --- storing ---------------------------------------------------------------------------------- */

/* Puts it in front of its siblings, in the place of the one with the same variant and kind; counted
 * by the index from now on. Its content may still be filling: content_break() makes it invisible,
 * cache_remove() takes it out. False: an invalidation or purge came after `born_after`
 * (cache_now() when its request was sent), or it is too large: it is not linked. Without content it
 * is one that is on disk, and needs no cache_settle(). `born` stays when it is set (from a file).
 * An object with the content of the one whose place it takes gets its file, too. */
bool cache_insert(struct cache_shared *c, struct object_shared *o, uint64_t born_after);
/* To be called when its content is whole: counts it against the queues, evicts. */
void cache_settle(struct cache_shared *c, struct object_shared *o);
void cache_remove(struct cache_shared *c, struct object_shared *o); /* if it is still there */
/* All of a key, and what is being fetched for it will not be stored (RFC 9111 4.4). */
uint32_t cache_invalidate(struct cache_shared *c, const struct cache_key *k);
/* Nobody queues for the key until then, Unix ms, as cache_clock_set() tells the time. */
void cache_mark_pass(struct cache_shared *c, const struct cache_key *k, int64_t until_ms);
void cache_clock_set(struct cache_shared *c, int64_t unix_ms); /* before looking up */
uint64_t cache_now(struct cache_shared *c);                    /* order of events, see `born` */
/* How often was the key asked for lately, up to 255? Counts this time, too; for `min_uses`. */
unsigned cache_uses(struct cache_shared *c, const struct cache_key *k);

/* Another form of its content by a content coding (CODING_GZIP...): kept with it. *out is counted;
 * false: none. */
bool cache_coded_get(struct cache_shared *c, struct object_shared *o, unsigned coding,
                     struct content_shared **out);
/* Takes a count on `k`, which is whole. It is kept with the one that has the content of `o` now: a
 * 304 may have put another in its place. */
void cache_coded_put(struct cache_shared *c, struct object_shared *o, unsigned coding,
                     struct content_shared *k);
/* Who is the first to ask makes the form, so that it is made once: cache_coded_put(), or
 * cache_coded_leave() when it came to nothing. False: it is there, or being made, or would not be
 * kept. */
bool cache_coded_claim(struct cache_shared *c, struct object_shared *o, unsigned coding);
void cache_coded_leave(struct cache_shared *c, struct object_shared *o, unsigned coding);

/* The content of an object came from disk whole: it is in memory, too, from now on. */
void cache_content_loaded(struct cache_shared *c, struct object_shared *o,
                          struct content_shared *k);

/* --- numbers ---------------------------------------------------------------------------------- */

struct cache_stats {
    uint64_t objects, memory_bytes, disk_objects, disk_bytes;
    uint64_t evictions, disk_evictions, disk_errors, purged;
};
void cache_stats_get(struct cache_shared *c, struct cache_stats *out); /* any thread */

/* What happens on a site; one writer a thread, found by name, kept as long as the store. */
enum cache_event {
    CACHE_HIT,
    CACHE_MISS,
    CACHE_STALE,
    CACHE_REVALIDATED,
    CACHE_COALESCED,
    CACHE_BYPASS,
    CACHE_PASS,
    CACHE_STORED,
    CACHE_HIT_BYTES,
    CACHE_MISS_BYTES,
    CACHE_EVENT_COUNT
};
const char *cache_event_name(enum cache_event e);
struct cache_site_shared;
struct cache_site_shared *cache_site_get(struct cache_shared *c, struct slice name); /* main */
void cache_site_count(struct cache_site_shared *s, uint32_t worker, enum cache_event e, uint64_t n);
/* Sums; start with *at NULL. False at the end. */
bool cache_site_next(struct cache_shared *c, struct cache_site_shared **at, struct slice *name,
                     uint64_t events[CACHE_EVENT_COUNT]);

/* Used by content.c, object.c and disk.c. */
/* An allocation of so many bytes: what malloc() needs for itself is added. May evict: never called
 * under a lock. False: over twice the budget. */
bool cache_charge(struct cache_shared *c, size_t bytes);
void cache_uncharge(struct cache_shared *c, size_t bytes);
void cache_uncharge_part(struct cache_shared *c, size_t bytes); /* it became smaller */
