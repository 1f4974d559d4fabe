/* store_priv.h - what the store is made of: shards, and what all of them share.
 *
 * Locks are taken in this order: a shard's, then the purges', then a mailbox's. Nobody holds two
 * shards'. What leaves the index is collected in a `gone` and let go after the unlock. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/index_priv.h"
#include "cache/purge.h"
#include "cache/store.h"
#include "http/coding.h"
#include <pthread.h>

enum {
    CACHE_SHARDS = 128, /* a power of two */
    CACHE_MALLOC_BYTES = 16,
    CACHE_WEIGHT_BYTES = 16,
    FILL_BUCKETS = 32,
    PASS_MARKS = 32,
    INVALIDATED_SLOTS = 128,
    USES_CELLS = 1024,
    SITE_WORKERS_MAX = 257,
};

enum store_queue {
    QUEUE_NONE,   /* its content still fills up */
    QUEUE_SMALL,  /* new */
    QUEUE_MAIN,   /* asked for again */
    QUEUE_PARKED, /* its content is only on disk */
    QUEUE_COUNT
};

struct pass_mark {
    uint64_t hash;
    int64_t until_ms;
};

/* How often keys were asked for lately: a count-min sketch of two rows. */
struct uses {
    uint8_t cells[2][USES_CELLS];
    uint32_t counted; /* since all were halved */
};

struct shard_shared {
    _Alignas(64) pthread_mutex_t lock;
    struct cache_shared *cache;
    struct key_index index;
    struct ghost ghost;
    struct list queues[QUEUE_COUNT]; /* the oldest first */
    /* Written under the lock, read by whoever looks for a place to evict from: relaxed. */
    _Atomic(uint64_t) queued_bytes[QUEUE_COUNT];
    _Atomic(uint64_t) objects, evictions;
    struct list fills[FILL_BUCKETS];
    struct pass_mark passes[PASS_MARKS];
    struct uses *uses;                       /* NULL: nobody asked yet */
    uint64_t invalidated[INVALIDATED_SLOTS]; /* when a key of the slot was last: cache_now() */
};

struct purge_entry {
    uint64_t seq, number;
    uint8_t kind, how;
    char *text; /* NULL: none */
    size_t len;
    _Atomic(uint64_t) count;
};

struct purges_shared {
    pthread_rwlock_t lock; /* guards `entries` */
    struct purge_entry entries[PURGES_PENDING_MAX];
    uint64_t left_number;       /* of the newest that was overwritten */
    _Atomic(uint64_t) seq;      /* of the newest; release after its entry */
    _Atomic(uint64_t) swept;    /* all up to here are done with; release after the last object */
    _Atomic(uint64_t) number;   /* cache_now() of the newest */
    pthread_mutex_t sweep_lock; /* guards what follows */
    pthread_cond_t sweep_wanted;
    pthread_t sweeper;
    bool running, stopping;
};

struct cache_shared {
    _Alignas(64) _Atomic(uint64_t) used_bytes;
    _Alignas(64) _Atomic(uint64_t) queued_bytes[QUEUE_COUNT]; /* of all shards */
    _Alignas(64) _Atomic(uint64_t) now;                       /* order of events */
    _Alignas(64) _Atomic(int64_t) clock_ms;
    _Atomic(uint64_t) memory_bytes, object_bytes; /* limits */
    _Atomic(uint32_t) variants_count;
    _Atomic(uint32_t) cursor; /* the shard to evict from */
    _Atomic(uint64_t) purged;
    _Atomic(uint64_t) suffixed;                    /* objects with EXTRA_SUFFIX */
    const struct cache_disk_ops *_Atomic disk_ops; /* release after `disk` */
    struct disk_shared *_Atomic disk;
    struct purges_shared purges;
    pthread_mutex_t sites_lock;
    struct cache_site_shared *sites; /* guarded by it; the rest of a site is not */
    struct shard_shared shards[CACHE_SHARDS];
};

struct shard_shared *shard_of(struct cache_shared *c, uint64_t hash);
uint64_t cache_now_next(struct cache_shared *c);
/* *d belongs to the operations. NULL: no disk. */
const struct cache_disk_ops *cache_disk_ops(struct cache_shared *c, struct disk_shared **d);
/* Tells the disk, if there is one; without locks. */
void cache_note_purge(struct cache_shared *c, const struct purge_order *p, uint64_t number);
/* Without evicting: under locks. */
void cache_charge_now(struct cache_shared *c, size_t bytes);

/* ---- objects in the index; with the shard's lock held ---- */

struct object_shared *shard_first(const struct shard_shared *s, const struct cache_key *k);
/* The one among its siblings whose place `o` is to take. */
struct object_shared *shard_place(struct object_shared *first, const struct object_shared *o);
bool shard_reserve(struct shard_shared *s); /* room for shard_link() */
void shard_link(struct shard_shared *s, struct object_shared *o);

/* ---- objects that left the index ---- */

struct gone {
    struct object_shared *first; /* by sibling */
};

/* With the shard's lock held, of a linked one: out of index and queue. */
void shard_unlink(struct shard_shared *s, struct object_shared *o, struct gone *gone);
void gone_release(struct cache_shared *c, struct gone *gone); /* without locks */
/* The oldest of its siblings leaves, if they are too many. */
void shard_drop_oldest(struct shard_shared *s, struct object_shared *first, struct gone *gone);

/* ---- queues (evict.c) ---- */

/* With the shard's lock held. */
void queue_enter(struct shard_shared *s, struct object_shared *o); /* to the one that is due */
void queue_prefer(struct shard_shared *s, const struct object_shared *o); /* the main one is due */
void queue_park(struct shard_shared *s, struct object_shared *o);
void queue_leave(struct shard_shared *s, struct object_shared *o);
void queue_weigh(struct shard_shared *s, struct object_shared *o); /* it has another size now */
void cache_make_room(struct cache_shared *c); /* without locks: evicts until within the limit */

/* ---- what is remembered of keys (recall.c); with the shard's lock held ---- */

bool recall_pass(const struct shard_shared *s, uint64_t hash, int64_t now_ms);
uint64_t recall_invalidated(const struct shard_shared *s, uint64_t hash);
void recall_invalidate(struct shard_shared *s, uint64_t hash, uint64_t now);

/* ---- fetches under way (fill.c); with the shard's lock held ---- */

/* The pending one, or a new one; counted. NULL: no memory. */
struct fill_shared *fill_join(struct shard_shared *s, const struct cache_query *q, bool *leads);
void fill_detach(struct shard_shared *s, const struct cache_key *k); /* nobody joins it any more */

/* ---- purges ---- */

void purges_init(struct purges_shared *p);
void purges_release(struct cache_shared *c); /* ends the sweeper */
/* With the shard's lock held, before it is linked: has a purge that is younger than `born_after`
 * forgotten it already? Marks what soft ones concern, and what it has seen. */
bool purge_refuses(struct cache_shared *c, struct object_shared *o, uint64_t born_after);

/* The same for one that was asked about all purges that were noted on disk: only those that are
 * remembered count, not what others there may have been. */
bool purge_refuses_noted(struct cache_shared *c, struct object_shared *o);

/* ---- forms by coding ---- */

struct object_coded {
    struct content_shared *forms[CODING_COUNT]; /* counted */
    uint8_t claimed;                            /* a bit for each that is being made */
};
void coded_free(struct cache_shared *c, struct object_coded *f);
uint64_t coded_bytes(const struct object_coded *f); /* NULL: 0 */

void sites_release(struct cache_shared *c);
