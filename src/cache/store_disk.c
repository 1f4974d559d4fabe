/* store_disk.c - what the disk tier asks of the store: to take in what was found, to let go of what
 * is lost.
 *
 * An object's `file` belongs to the tier, its content to the shard; each is changed first and the
 * other side asked afterwards, so whoever comes second sees that nothing is left and takes the
 * object out. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/store_priv.h"

/* With the lock held. */
static bool restore(struct shard_shared *s, struct object_shared *o, struct gone *gone)
{
    struct cache_key key = {object_key(o), o->hash};
    struct object_shared *old = shard_place(shard_first(s, &key), o);
    if ((old && old->born >= o->born) || recall_invalidated(s, o->hash) > o->born ||
        purge_refuses_noted(s->cache, o) || !shard_reserve(s))
        return false;
    if (old)
        shard_unlink(s, old, gone);
    shard_link(s, o);
    queue_park(s, o);
    shard_drop_oldest(s, shard_first(s, &key), gone);
    return true;
}

bool cache_restore(struct cache_shared *c, struct object_shared *o)
{
    struct shard_shared *s = shard_of(c, o->hash);
    struct gone gone = {0};
    pthread_mutex_lock(&s->lock);
    bool done = restore(s, o, &gone);
    pthread_mutex_unlock(&s->lock);
    gone_release(c, &gone);
    cache_make_room(c);
    return done;
}

void cache_file_gone(struct cache_shared *c, struct object_shared *o)
{
    struct shard_shared *s = shard_of(c, o->hash);
    struct gone gone = {0};
    pthread_mutex_lock(&s->lock);
    /* relaxed: whoever changed it has asked, or will. */
    if (o->linked && !o->content && object_file(o) == 0)
        shard_unlink(s, o, &gone);
    pthread_mutex_unlock(&s->lock);
    gone_release(c, &gone);
}

bool cache_is_linked(struct cache_shared *c, struct object_shared *o)
{
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    bool linked = o->linked;
    pthread_mutex_unlock(&s->lock);
    return linked;
}

struct content_shared *cache_content_get(struct cache_shared *c, struct object_shared *o)
{
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    struct content_shared *k = o->content ? content_take(o->content) : NULL;
    pthread_mutex_unlock(&s->lock);
    return k;
}

void cache_now_raise(struct cache_shared *c, uint64_t least)
{
    uint64_t now = atomic_load_explicit(&c->now, memory_order_relaxed);
    /* release: as cache_now_next(). */
    while (now < least && !atomic_compare_exchange_weak_explicit(
                              &c->now, &now, least, memory_order_release, memory_order_relaxed)) {
    }
}
