/* store.c - the store: looking up, linking, taking out; what it has and may have.
 *
 * Every operation takes one shard's lock, for a few pointers. What leaves the index under it is let
 * go afterwards: files are forgotten and memory is freed without a lock. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/store.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/prefetch.h"
#include "cache/store_priv.h"
#include <stdlib.h>
#include <time.h>

enum { VARIANTS_DEFAULT = 256, SHARD_SHIFT = 40, CLOCK_STEP_MS = 10 };

/* ---- making and freeing ---- */

static void shard_init(struct shard_shared *s, struct cache_shared *c)
{
    pthread_mutex_init(&s->lock, NULL);
    s->cache = c;
    for (int i = 0; i < QUEUE_COUNT; i++)
        list_init(&s->queues[i]);
    for (int i = 0; i < FILL_BUCKETS; i++)
        list_init(&s->fills[i]);
}

/* Events of this process come after those of the one before, which the disk may know. */
static uint64_t first_event(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct cache_shared *cache_new(const struct cache_limits *l)
{
    struct cache_shared *c = mem_must(aligned_alloc(64, sizeof *c), sizeof *c);
    memset(c, 0, sizeof *c);
    atomic_init(&c->now, first_event());
    pthread_mutex_init(&c->sites_lock, NULL);
    purges_init(&c->purges);
    for (int i = 0; i < CACHE_SHARDS; i++)
        shard_init(&c->shards[i], c);
    cache_limits_set(c, l);
    return c;
}

static void shard_release(struct cache_shared *c, struct shard_shared *s)
{
    struct gone gone = {0};
    for (uint32_t i = 0; i < s->index.cap; i++)
        while (index_at(&s->index, i))
            shard_unlink(s, index_at(&s->index, i), &gone);
    while (gone.first) { /* files stay */
        struct object_shared *o = gone.first;
        gone.first = o->sibling;
        object_drop(o);
    }
    cache_uncharge_part(c, (size_t)s->index.cap * sizeof(uint64_t));
    index_release(&s->index);
    ghost_release(&s->ghost);
    free(s->uses);
    pthread_mutex_destroy(&s->lock);
}

void cache_free(struct cache_shared *c)
{
    purges_release(c);
    for (int i = 0; i < CACHE_SHARDS; i++)
        shard_release(c, &c->shards[i]);
    sites_release(c);
    pthread_mutex_destroy(&c->sites_lock);
    free(c);
}

/* ---- limits; all relaxed: a limit is no fence ---- */

void cache_limits_set(struct cache_shared *c, const struct cache_limits *l)
{
    atomic_store_explicit(&c->memory_bytes, l->memory_bytes, memory_order_relaxed);
    atomic_store_explicit(&c->object_bytes, l->object_bytes, memory_order_relaxed);
    uint32_t variants = l->variants_count ? l->variants_count : VARIANTS_DEFAULT;
    atomic_store_explicit(&c->variants_count, variants, memory_order_relaxed);
    cache_make_room(c);
}

void cache_limits_get(struct cache_shared *c, struct cache_limits *out)
{
    out->memory_bytes = atomic_load_explicit(&c->memory_bytes, memory_order_relaxed);
    out->object_bytes = atomic_load_explicit(&c->object_bytes, memory_order_relaxed);
    out->variants_count = atomic_load_explicit(&c->variants_count, memory_order_relaxed);
}

void cache_charge_now(struct cache_shared *c, size_t bytes)
{
    atomic_fetch_add_explicit(&c->used_bytes, bytes, memory_order_relaxed);
}

bool cache_charge(struct cache_shared *c, size_t bytes)
{
    size_t all = bytes + CACHE_MALLOC_BYTES;
    uint64_t limit = atomic_load_explicit(&c->memory_bytes, memory_order_relaxed);
    uint64_t used = atomic_fetch_add_explicit(&c->used_bytes, all, memory_order_relaxed) + all;
    if (used > limit)
        cache_make_room(c);
    if (used <= 2 * limit ||
        atomic_load_explicit(&c->used_bytes, memory_order_relaxed) <= 2 * limit)
        return true;
    cache_uncharge(c, bytes);
    return false;
}

void cache_uncharge(struct cache_shared *c, size_t bytes)
{
    cache_uncharge_part(c, bytes + CACHE_MALLOC_BYTES);
}

void cache_uncharge_part(struct cache_shared *c, size_t bytes)
{
    uint64_t was = atomic_fetch_sub_explicit(&c->used_bytes, bytes, memory_order_relaxed);
    ASSERT(was >= bytes);
}

/* ---- clocks ---- */

uint64_t cache_now(struct cache_shared *c)
{
    /* acquire: what happened before that event. */
    return atomic_load_explicit(&c->now, memory_order_acquire);
}

uint64_t cache_now_next(struct cache_shared *c)
{
    return atomic_fetch_add_explicit(&c->now, 1, memory_order_acq_rel) + 1;
}

/* Written rarely: all workers read its line. Relaxed: a time is no fence. */
void cache_clock_set(struct cache_shared *c, int64_t unix_ms)
{
    if (unix_ms - atomic_load_explicit(&c->clock_ms, memory_order_relaxed) >= CLOCK_STEP_MS)
        atomic_store_explicit(&c->clock_ms, unix_ms, memory_order_relaxed);
}

/* ---- the disk ---- */

void cache_disk_set(struct cache_shared *c, const struct cache_disk_ops *ops, struct disk_shared *d)
{
    if (d)
        atomic_store_explicit(&c->disk, d, memory_order_relaxed);
    atomic_store_explicit(&c->disk_ops, ops, memory_order_release); /* after `disk` */
    if (!d)
        atomic_store_explicit(&c->disk, NULL, memory_order_relaxed);
}

const struct cache_disk_ops *cache_disk_ops(struct cache_shared *c, struct disk_shared **d)
{
    const struct cache_disk_ops *ops = atomic_load_explicit(&c->disk_ops, memory_order_acquire);
    *d = atomic_load_explicit(&c->disk, memory_order_relaxed);
    return *d ? ops : NULL;
}

struct disk_shared *cache_disk_get(struct cache_shared *c)
{
    struct disk_shared *d;
    return cache_disk_ops(c, &d) ? d : NULL;
}

void cache_save(struct cache_shared *c, struct object_shared *o)
{
    struct disk_shared *d;
    const struct cache_disk_ops *ops = cache_disk_ops(c, &d);
    if (ops)
        ops->save(d, o);
}

struct content_shared *cache_load(struct cache_shared *c, struct object_shared *o, uint64_t first,
                                  uint64_t length)
{
    struct disk_shared *d;
    const struct cache_disk_ops *ops = cache_disk_ops(c, &d);
    return ops ? ops->load(d, o, first, length) : NULL;
}

void cache_note_purge(struct cache_shared *c, const struct purge_order *p, uint64_t number)
{
    struct disk_shared *d;
    const struct cache_disk_ops *ops = cache_disk_ops(c, &d);
    if (ops)
        ops->purge_note(d, p, number);
}

/* ---- what leaves the index ---- */

struct shard_shared *shard_of(struct cache_shared *c, uint64_t hash)
{
    return &c->shards[hash >> SHARD_SHIFT & (CACHE_SHARDS - 1)];
}

void shard_unlink(struct shard_shared *s, struct object_shared *o, struct gone *gone)
{
    uint32_t slot = index_find(&s->index, o->hash, object_key(o));
    ASSERT(o->linked && slot != INDEX_NONE);
    struct object_shared *first = index_at(&s->index, slot);
    if (first == o && o->sibling) {
        index_set(&s->index, slot, o->sibling);
    } else if (first == o) {
        index_remove(&s->index, slot);
    } else {
        while (first->sibling != o)
            first = first->sibling;
        first->sibling = o->sibling;
    }
    queue_leave(s, o);
    o->linked = false;
    atomic_fetch_sub_explicit(&s->objects, 1, memory_order_relaxed);
    o->sibling = gone->first;
    gone->first = o;
}

void gone_release(struct cache_shared *c, struct gone *gone)
{
    struct disk_shared *d;
    const struct cache_disk_ops *ops = gone->first ? cache_disk_ops(c, &d) : NULL;
    while (gone->first) {
        struct object_shared *o = gone->first;
        gone->first = o->sibling;
        if (ops && object_file(o) != 0)
            ops->forget(d, o);
        object_drop(o);
    }
}

/* ---- looking up ---- */

static bool is_visible(struct object_shared *o)
{
    return o->content ? content_state(o->content) != CONTENT_BROKEN : object_file(o) != 0;
}

struct object_shared *shard_first(const struct shard_shared *s, const struct cache_key *k)
{
    uint32_t slot = index_find(&s->index, k->hash, k->text);
    return slot == INDEX_NONE ? NULL : index_at(&s->index, slot);
}

static struct object_shared *find_match(struct shard_shared *s, struct cache_query *q,
                                        enum cache_match *match, struct gone *gone)
{
    for (struct object_shared *next, *o = shard_first(s, &q->key); o; o = next) {
        next = o->sibling;
        prefetch_for_write(o->content, CACHE_LINE_BYTES); /* NULL does no harm */
        if (purge_hits(s->cache, o)) {
            shard_unlink(s, o, gone);
            continue;
        }
        *match = is_visible(o) ? q->match(q, o) : MATCH_NO;
        if (*match != MATCH_NO)
            return o;
    }
    return NULL;
}

/* Relaxed throughout: a lost count does no harm. */
static void count_use(struct object_shared *o)
{
    uint8_t uses = atomic_load_explicit(&o->uses, memory_order_relaxed);
    if (uses < 3)
        atomic_store_explicit(&o->uses, uses + 1, memory_order_relaxed);
}

static void result_take(struct object_shared *o, struct cache_result *out)
{
    if (out->match == MATCH_FRESH && atomic_load_explicit(&o->expired, memory_order_relaxed))
        out->match = MATCH_STALE;
    count_use(o);
    out->object = object_take(o);
    out->content = o->content ? content_take(o->content) : NULL;
}

static void result_join(struct shard_shared *s, const struct cache_query *q,
                        struct cache_result *out)
{
    int64_t now_ms = atomic_load_explicit(&s->cache->clock_ms, memory_order_relaxed);
    if (!recall_pass(s, q->key.hash, now_ms))
        out->fill = fill_join(s, q, &out->leads);
    out->pass = out->fill == NULL;
}

void cache_lookup(struct cache_shared *c, struct cache_query *q, struct cache_result *out)
{
    struct shard_shared *s = shard_of(c, q->key.hash);
    struct gone gone = {0};
    *out = (struct cache_result){.match = MATCH_NO};
    pthread_mutex_lock(&s->lock);
    struct object_shared *o = find_match(s, q, &out->match, &gone);
    if (o)
        result_take(o, out);
    if (out->match != MATCH_FRESH && !q->alone)
        result_join(s, q, out);
    pthread_mutex_unlock(&s->lock);
    gone_release(c, &gone);
}

/* ---- storing ---- */

struct object_shared *shard_place(struct object_shared *first, const struct object_shared *o)
{
    while (first && (first->variant != o->variant || first->kind != o->kind))
        first = first->sibling;
    return first;
}

/* What the new one takes over from the one in its place: the queue, and if it has the same content
 * what belongs to that. True: its file, too. */
static bool inherit(struct shard_shared *s, struct object_shared *o, struct object_shared *old)
{
    if (old && old->queue == QUEUE_MAIN)
        queue_prefer(s, o);
    if (!old || old->content != o->content)
        return false;
    atomic_store_explicit(&o->uses, atomic_load_explicit(&old->uses, memory_order_relaxed),
                          memory_order_relaxed);
    o->coded = old->coded;
    old->coded = NULL;
    if (o->coded)
        o->coded->claimed = 0; /* who makes one leaves its claim where it made it */
    return object_file(old) != 0;
}

void shard_drop_oldest(struct shard_shared *s, struct object_shared *first, struct gone *gone)
{
    uint32_t max = atomic_load_explicit(&s->cache->variants_count, memory_order_relaxed);
    struct object_shared *o = first;
    for (uint32_t count = 1; o->sibling; o = o->sibling)
        if (++count > max) {
            shard_unlink(s, o->sibling, gone);
            return;
        }
}

bool shard_reserve(struct shard_shared *s)
{
    size_t grown;
    if (!index_reserve(&s->index, &grown))
        return false;
    cache_charge_now(s->cache, grown);
    return true;
}

/* In front of its siblings, or behind those that are younger. */
static void link_key(struct shard_shared *s, struct object_shared *o)
{
    uint32_t slot = index_find(&s->index, o->hash, object_key(o));
    struct object_shared *first = slot == INDEX_NONE ? NULL : index_at(&s->index, slot);
    struct object_shared *before = NULL;
    for (struct object_shared *at = first; at && at->born > o->born; at = at->sibling)
        before = at;
    o->sibling = before ? before->sibling : first;
    if (before)
        before->sibling = o;
    else if (first)
        index_set(&s->index, slot, o);
    else
        index_add(&s->index, o);
}

void shard_link(struct shard_shared *s, struct object_shared *o)
{
    if (o->born == 0)
        o->born = cache_now_next(s->cache);
    link_key(s, o);
    o->linked = true;
    object_take(o);
    atomic_fetch_add_explicit(&s->objects, 1, memory_order_relaxed);
}

static bool is_too_large(struct cache_shared *c, const struct object_shared *o)
{
    return o->content &&
           content_bytes(o->content) > atomic_load_explicit(&c->object_bytes, memory_order_relaxed);
}

static bool is_refused(struct shard_shared *s, struct object_shared *o, uint64_t born_after)
{
    return recall_invalidated(s, o->hash) > born_after || is_too_large(s->cache, o) ||
           purge_refuses(s->cache, o, born_after) || !shard_reserve(s);
}

static void settle(struct shard_shared *s, struct object_shared *o)
{
    atomic_store_explicit(&o->length, content_bytes(o->content), memory_order_relaxed);
    queue_enter(s, o);
}

/* With the lock held. *heir: what `o` takes the file of. */
static bool insert(struct shard_shared *s, struct object_shared *o, uint64_t born_after,
                   struct object_shared **heir, struct gone *gone)
{
    if (is_refused(s, o, born_after))
        return false;
    struct cache_key key = {object_key(o), o->hash};
    struct object_shared *old = shard_place(shard_first(s, &key), o);
    struct gone replaced = {0};
    bool takes_file = inherit(s, o, old);
    if (old)
        shard_unlink(s, old, takes_file ? &replaced : gone);
    *heir = replaced.first;
    shard_link(s, o);
    shard_drop_oldest(s, o, gone);
    if (!o->content)
        queue_park(s, o);
    else if (content_state(o->content) == CONTENT_WHOLE)
        settle(s, o);
    return true;
}

bool cache_insert(struct cache_shared *c, struct object_shared *o, uint64_t born_after)
{
    struct shard_shared *s = shard_of(c, o->hash);
    struct gone gone = {0};
    struct object_shared *heir = NULL;
    pthread_mutex_lock(&s->lock);
    bool linked = insert(s, o, born_after, &heir, &gone);
    pthread_mutex_unlock(&s->lock);
    struct disk_shared *d;
    const struct cache_disk_ops *ops = cache_disk_ops(c, &d);
    if (heir && ops)
        ops->rehead(d, heir, o);
    if (heir)
        object_drop(heir);
    gone_release(c, &gone);
    cache_make_room(c);
    return linked;
}

void cache_settle(struct cache_shared *c, struct object_shared *o)
{
    struct shard_shared *s = shard_of(c, o->hash);
    struct gone gone = {0};
    pthread_mutex_lock(&s->lock);
    bool new = o->linked && o->queue == QUEUE_NONE && o->content;
    if (new && (content_state(o->content) != CONTENT_WHOLE || is_too_large(c, o)))
        shard_unlink(s, o, &gone);
    else if (new)
        settle(s, o);
    pthread_mutex_unlock(&s->lock);
    gone_release(c, &gone);
    cache_make_room(c);
}

void cache_remove(struct cache_shared *c, struct object_shared *o)
{
    struct shard_shared *s = shard_of(c, o->hash);
    struct gone gone = {0};
    pthread_mutex_lock(&s->lock);
    if (o->linked)
        shard_unlink(s, o, &gone);
    pthread_mutex_unlock(&s->lock);
    gone_release(c, &gone);
}

uint32_t cache_invalidate(struct cache_shared *c, const struct cache_key *k)
{
    struct shard_shared *s = shard_of(c, k->hash);
    struct gone gone = {0};
    uint32_t count = 0;
    pthread_mutex_lock(&s->lock);
    recall_invalidate(s, k->hash, cache_now_next(c));
    fill_detach(s, k);
    for (struct object_shared *o; (o = shard_first(s, k)) != NULL; count++)
        shard_unlink(s, o, &gone);
    pthread_mutex_unlock(&s->lock);
    gone_release(c, &gone);
    return count;
}

void cache_content_loaded(struct cache_shared *c, struct object_shared *o, struct content_shared *k)
{
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    uint64_t max = atomic_load_explicit(&c->object_bytes, memory_order_relaxed);
    if (o->linked && !o->content && content_bytes(k) <= max) {
        o->content = content_take(k);
        queue_leave(s, o);
        queue_enter(s, o);
    }
    pthread_mutex_unlock(&s->lock);
    cache_make_room(c);
}

/* ---- numbers ---- */

void cache_stats_get(struct cache_shared *c, struct cache_stats *out)
{
    *out = (struct cache_stats){
        .memory_bytes = atomic_load_explicit(&c->used_bytes, memory_order_relaxed),
        .purged = atomic_load_explicit(&c->purged, memory_order_relaxed),
    };
    for (int i = 0; i < CACHE_SHARDS; i++) {
        out->objects += atomic_load_explicit(&c->shards[i].objects, memory_order_relaxed);
        out->evictions += atomic_load_explicit(&c->shards[i].evictions, memory_order_relaxed);
    }
    struct disk_shared *d;
    const struct cache_disk_ops *ops = cache_disk_ops(c, &d);
    if (ops && ops->stats)
        ops->stats(d, out);
}
