/* content_priv.h - how the bytes of a content lie in memory.
 *
 * Small: the length was known and is at most one chunk; the chunk lies within the content, and a
 * count on it is one on the content. Long: a list of chunks that grow up to CONTENT_CHUNK_BYTES.
 * All chunks but the last are full. What is needed only while it fills up (or passes) is in
 * `live`. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/content.h"
#include <pthread.h>

struct content_live {
    struct list readers;       /* content_reader.link */
    struct waiter *writer;     /* for room; NULL: it does not wait */
    struct chunk_shared *tail; /* the writer's */
    uint32_t tail_len;         /* the writer's */
    uint64_t base;             /* position of the first byte that is still there */
};

struct content_shared {
    _Atomic(uint32_t) refs;
    _Atomic(uint8_t) state; /* enum content_state; release after the last byte */
    bool small;
    _Atomic(bool) passing;     /* relaxed: whoever acts on it does so under the lock */
    _Atomic(uint64_t) filled;  /* bytes; release after they are there */
    struct content_live *live; /* guarded by the lock; only the writer sets it */
};

struct content_small {
    struct content_shared base;
    struct chunk_shared chunk;
};

struct content_long {
    struct content_shared base;
    uint64_t first, length;
    struct cache_shared *cache;
    struct chunk_shared *_Atomic head; /* guarded by the lock while it is passing */
};

/* Once it neither fills up nor passes, nothing of it changes: no lock is needed to read it. */
static inline bool content_is_settled(const struct content_shared *k)
{
    return content_state(k) != CONTENT_FILLING && k->live == NULL;
}

/* Guards `live`, the readers' links and `listed` of waiters. One of a few: contents are many, and
 * only those that fill up are locked. */
pthread_mutex_t *content_lock(const struct content_shared *k);
uint64_t content_first(const struct content_shared *k);
/* With the lock held: drops the chunks that all readers of a passing content have left, and posts
 * its writer when that made room. */
void content_passed(struct content_shared *k);

static inline struct content_small *content_as_small(const struct content_shared *k)
{
    return CONTAINER_OF(k, struct content_small, base);
}

static inline struct content_long *content_as_long(const struct content_shared *k)
{
    return CONTAINER_OF(k, struct content_long, base);
}

static inline uint32_t chunk_cap(const struct chunk_shared *c)
{
    return c->cap & ~CHUNK_INLINE;
}
