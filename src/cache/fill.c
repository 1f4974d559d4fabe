/* fill.c - a fetch under way: found in its shard by key and variant while it is pending.
 *
 * The shard's list holds no count: its leader does, until it answers. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/fill.h"
#include "base/assert.h"
#include "cache/store_priv.h"
#include <stdlib.h>

struct fill_shared {
    _Atomic(uint32_t) refs;
    _Atomic(uint8_t) outcome; /* enum fill_outcome; release under the shard's lock */
    uint32_t waiting;         /* guarded by the shard */
    struct shard_shared *shard;
    struct list link;    /* shard's bucket; guarded by the shard */
    struct list waiters; /* waiter.link; guarded by the shard */
    uint64_t hash, variant;
    size_t key_len;
    char key[];
};

static struct list *bucket(struct shard_shared *s, uint64_t hash)
{
    return &s->fills[hash % FILL_BUCKETS];
}

static struct fill_shared *fill_new(struct shard_shared *s, const struct cache_query *q)
{
    struct slice text = q->key.text;
    struct fill_shared *f = calloc(1, sizeof *f + text.len);
    if (!f)
        return NULL;
    cache_charge_now(s->cache, sizeof *f + text.len + CACHE_MALLOC_BYTES);
    atomic_init(&f->refs, 1);
    f->shard = s;
    list_init(&f->waiters);
    f->hash = q->key.hash;
    f->variant = q->variant;
    f->key_len = text.len;
    memcpy(f->key, text.at, text.len);
    list_push(bucket(s, f->hash), &f->link);
    return f;
}

static bool is_for(const struct fill_shared *f, const struct cache_key *k)
{
    return f->hash == k->hash && slice_eq((struct slice){f->key, f->key_len}, k->text);
}

struct fill_shared *fill_join(struct shard_shared *s, const struct cache_query *q, bool *leads)
{
    LIST_EACH (l, bucket(s, q->key.hash)) {
        struct fill_shared *f = LIST_ENTRY(l, struct fill_shared, link);
        if (f->variant == q->variant && is_for(f, &q->key)) {
            *leads = false;
            return fill_take(f);
        }
    }
    struct fill_shared *f = fill_new(s, q);
    *leads = f != NULL;
    return f;
}

void fill_detach(struct shard_shared *s, const struct cache_key *k)
{
    LIST_EACH_SAFE (l, bucket(s, k->hash)) {
        struct fill_shared *f = LIST_ENTRY(l, struct fill_shared, link);
        if (is_for(f, k))
            list_remove(l);
    }
}

struct fill_shared *fill_take(struct fill_shared *f)
{
    /* relaxed: who takes has one already, or found it under the lock. */
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void fill_drop(struct fill_shared *f)
{
    /* acq_rel: all that others did with it comes before the free. */
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    ASSERT(list_empty(&f->waiters) && !list_linked(&f->link));
    cache_uncharge(f->shard->cache, sizeof *f + f->key_len);
    free(f);
}

void fill_answer(struct fill_shared *f, enum fill_outcome o)
{
    ASSERT(o != FILL_PENDING);
    pthread_mutex_lock(&f->shard->lock);
    ASSERT(fill_outcome(f) == FILL_PENDING);
    /* release: what led to it, for who reads it without the lock. */
    atomic_store_explicit(&f->outcome, o, memory_order_release);
    list_remove(&f->link);
    for (struct list *l; (l = list_pop(&f->waiters)) != NULL;)
        waiter_post(LIST_ENTRY(l, struct waiter, link));
    f->waiting = 0;
    pthread_mutex_unlock(&f->shard->lock);
}

void fill_leave(struct fill_shared *f)
{
    if (fill_outcome(f) == FILL_PENDING)
        fill_answer(f, FILL_FAILED);
    fill_drop(f);
}

enum fill_outcome fill_outcome(const struct fill_shared *f)
{
    return (enum fill_outcome)atomic_load_explicit(&f->outcome, memory_order_acquire);
}

bool fill_wait(struct fill_shared *f, struct waiter *w)
{
    pthread_mutex_lock(&f->shard->lock);
    bool pending = fill_outcome(f) == FILL_PENDING;
    if (pending && !w->listed) {
        w->listed = true;
        list_push(&f->waiters, &w->link);
        f->waiting++;
    }
    pthread_mutex_unlock(&f->shard->lock);
    return pending;
}

void fill_unwait(struct fill_shared *f, struct waiter *w)
{
    pthread_mutex_lock(&f->shard->lock);
    if (w->listed) {
        w->listed = false;
        list_remove(&w->link);
        f->waiting--;
    }
    pthread_mutex_unlock(&f->shard->lock);
}

uint32_t fill_waiting(struct fill_shared *f)
{
    pthread_mutex_lock(&f->shard->lock);
    uint32_t waiting = f->waiting;
    pthread_mutex_unlock(&f->shard->lock);
    return waiting;
}
