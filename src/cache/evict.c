/* evict.c - who leaves when memory is short: S3-FIFO (Yang et al. 2023) over all shards.
 *
 * New objects pass through a small queue of a tenth of the budget. Who was not asked for again
 * there leaves and is remembered by a fingerprint; who was goes on to the main queue, and so does
 * who comes back while it is remembered. In the main queue the oldest leaves, unless it was asked
 * for since it was last looked at. So a scan goes through the small queue alone.
 *
 * Which queue is due follows from the sizes of all shards together; shards take turns. An object
 * that is on disk loses its content only, and waits in a queue of its own: its head goes when heads
 * take half of the budget. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "cache/store_priv.h"

enum { SMALL_SHARE = 10, PARKED_SHARE = 2, STEPS_PER_LOCK = 16, SMALL_USES = 1 };

/* ---- queues ---- */

static uint64_t object_weight(const struct object_shared *o)
{
    uint64_t bytes = object_head_bytes(o) + coded_bytes(o->coded);
    if (o->content)
        bytes += content_bytes(o->content) + CACHE_MALLOC_BYTES;
    uint64_t units = bytes / CACHE_WEIGHT_BYTES;
    return units < UINT32_MAX ? units : UINT32_MAX;
}

/* Sums are written under the lock of a shard, and read without: relaxed. */
static void sums_add(struct shard_shared *s, unsigned queue, uint64_t bytes)
{
    atomic_fetch_add_explicit(&s->queued_bytes[queue], bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->cache->queued_bytes[queue], bytes, memory_order_relaxed);
}

static void queue_push(struct shard_shared *s, struct object_shared *o, enum store_queue queue)
{
    o->queue = (uint8_t)queue;
    o->weight = (uint32_t)object_weight(o);
    list_push(&s->queues[queue], &o->link);
    sums_add(s, queue, (uint64_t)o->weight * CACHE_WEIGHT_BYTES);
}

void queue_leave(struct shard_shared *s, struct object_shared *o)
{
    if (o->queue == QUEUE_NONE)
        return;
    sums_add(s, o->queue, 0 - (uint64_t)o->weight * CACHE_WEIGHT_BYTES);
    list_remove(&o->link);
    o->queue = QUEUE_NONE;
}

void queue_enter(struct shard_shared *s, struct object_shared *o)
{
    queue_push(s, o, ghost_take(&s->ghost, o->hash ^ o->variant) ? QUEUE_MAIN : QUEUE_SMALL);
}

void queue_prefer(struct shard_shared *s, const struct object_shared *o)
{
    ghost_add(&s->ghost, o->hash ^ o->variant);
}

void queue_park(struct shard_shared *s, struct object_shared *o)
{
    queue_push(s, o, QUEUE_PARKED);
}

void queue_weigh(struct shard_shared *s, struct object_shared *o)
{
    if (o->queue == QUEUE_NONE)
        return;
    sums_add(s, o->queue, 0 - (uint64_t)o->weight * CACHE_WEIGHT_BYTES);
    o->weight = (uint32_t)object_weight(o);
    sums_add(s, o->queue, (uint64_t)o->weight * CACHE_WEIGHT_BYTES);
}

/* ---- one shard's turn ---- */

/* What is let go of after the unlock. */
struct evicted {
    struct gone gone;
    struct content_shared *content;
    struct object_coded *coded;
};

static void remember(struct shard_shared *s, const struct object_shared *o)
{
    size_t grown;
    ghost_resize(&s->ghost, s->index.cap / 2, &grown);
    cache_charge_now(s->cache, grown);
    ghost_add(&s->ghost, o->hash ^ o->variant);
}

static void let_go(struct shard_shared *s, struct object_shared *o, struct evicted *out)
{
    bool on_disk = o->content && object_file(o) != 0;
    atomic_fetch_add_explicit(&s->evictions, 1, memory_order_relaxed);
    if (!on_disk) {
        shard_unlink(s, o, &out->gone);
        return;
    }
    queue_leave(s, o);
    out->content = o->content;
    out->coded = o->coded;
    o->content = NULL;
    o->coded = NULL;
    queue_park(s, o);
}

/* True: it stays, in the main queue. Relaxed: see count_use(). */
static bool is_spared(struct shard_shared *s, struct object_shared *o)
{
    uint8_t uses = atomic_load_explicit(&o->uses, memory_order_relaxed);
    bool spared = o->queue == QUEUE_SMALL ? uses >= SMALL_USES : o->queue == QUEUE_MAIN && uses > 0;
    if (!spared)
        return false;
    atomic_store_explicit(&o->uses, o->queue == QUEUE_SMALL ? 0 : uses - 1, memory_order_relaxed);
    queue_leave(s, o);
    queue_push(s, o, QUEUE_MAIN);
    return true;
}

static void evict_one(struct shard_shared *s, enum store_queue queue, struct evicted *out)
{
    for (int i = 0; i < STEPS_PER_LOCK && !list_empty(&s->queues[queue]); i++) {
        struct object_shared *o = LIST_ENTRY(s->queues[queue].next, struct object_shared, link);
        if (is_spared(s, o))
            continue;
        if (queue == QUEUE_SMALL)
            remember(s, o);
        let_go(s, o, out);
        return;
    }
}

/* ---- whose turn ---- */

static uint64_t sum(struct cache_shared *c, enum store_queue queue)
{
    return atomic_load_explicit(&c->queued_bytes[queue], memory_order_relaxed);
}

static enum store_queue queue_due(struct cache_shared *c)
{
    uint64_t limit = atomic_load_explicit(&c->memory_bytes, memory_order_relaxed);
    if (sum(c, QUEUE_PARKED) > limit / PARKED_SHARE)
        return QUEUE_PARKED;
    if (sum(c, QUEUE_SMALL) > limit / SMALL_SHARE)
        return QUEUE_SMALL;
    if (sum(c, QUEUE_MAIN) > 0)
        return QUEUE_MAIN;
    if (sum(c, QUEUE_SMALL) > 0)
        return QUEUE_SMALL;
    return sum(c, QUEUE_PARKED) > 0 ? QUEUE_PARKED : QUEUE_NONE;
}

static uint64_t shard_sum(struct shard_shared *s, enum store_queue queue)
{
    return atomic_load_explicit(&s->queued_bytes[queue], memory_order_relaxed);
}

/* The fuller one of two neighbours; where both are empty the next that is not. NULL: none. */
static struct shard_shared *shard_due(struct cache_shared *c, enum store_queue queue)
{
    uint32_t at = atomic_fetch_add_explicit(&c->cursor, 1, memory_order_relaxed);
    struct shard_shared *a = &c->shards[at % CACHE_SHARDS];
    struct shard_shared *b = &c->shards[(at + 1) % CACHE_SHARDS];
    if (shard_sum(b, queue) > shard_sum(a, queue))
        return b;
    for (uint32_t i = 0; i < CACHE_SHARDS; i++) {
        a = &c->shards[(at + i) % CACHE_SHARDS];
        if (shard_sum(a, queue) > 0)
            return a;
    }
    return NULL;
}

static void evicted_release(struct cache_shared *c, struct evicted *e)
{
    gone_release(c, &e->gone);
    if (e->content)
        content_drop(e->content);
    if (e->coded)
        coded_free(c, e->coded);
}

void cache_make_room(struct cache_shared *c)
{
    while (atomic_load_explicit(&c->used_bytes, memory_order_relaxed) >
           atomic_load_explicit(&c->memory_bytes, memory_order_relaxed)) {
        enum store_queue queue = queue_due(c);
        struct shard_shared *s = queue == QUEUE_NONE ? NULL : shard_due(c, queue);
        if (!s)
            return;
        struct evicted e = {0};
        pthread_mutex_lock(&s->lock);
        evict_one(s, queue, &e);
        pthread_mutex_unlock(&s->lock);
        evicted_release(c, &e);
    }
}
