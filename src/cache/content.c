/* content.c - the writer's side of a stored body: making it, filling it, ending it.
 *
 * The writer alone touches the tail; it copies without a lock, then publishes the new length and
 * wakes under the content's lock, so that a reader that found nothing more under that lock is
 * never forgotten. At the end what was left over of the last chunk is given back. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "cache/content_priv.h"
#include "cache/store.h"
#include <stdlib.h>

enum { LOCKS = 64, CHUNK_LEAST_BYTES = 512 };

static struct content_locks_shared {
    _Alignas(64) pthread_mutex_t lock;
} locks[LOCKS] = {[0 ... LOCKS - 1] = {PTHREAD_MUTEX_INITIALIZER}};

pthread_mutex_t *content_lock(const struct content_shared *k)
{
    return &locks[((uintptr_t)k >> 6) * 0x9e3779b97f4a7c15u >> 58].lock;
}

/* ---- chunks ---- */

static struct content_shared *chunk_content(struct chunk_shared *c)
{
    return &CONTAINER_OF(c, struct content_small, chunk)->base;
}

void chunk_take(struct chunk_shared *c)
{
    if (c->cap & CHUNK_INLINE)
        content_take(chunk_content(c));
    else /* relaxed: who takes has one already */
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

static void chunk_free(struct chunk_shared *c)
{
    cache_uncharge(c->cache, sizeof *c + c->cap);
    free(c);
}

void chunk_drop(struct chunk_shared *c)
{
    if (c->cap & CHUNK_INLINE)
        content_drop(chunk_content(c));
    /* acq_rel: all that others did with it comes before the free. */
    else if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        chunk_free(c);
}

static void *charged_new(struct cache_shared *c, size_t bytes)
{
    if (!cache_charge(c, bytes))
        return NULL;
    void *at = malloc(bytes);
    if (!at)
        cache_uncharge(c, bytes);
    return at;
}

static struct chunk_shared *chunk_new(struct cache_shared *c, uint32_t cap)
{
    struct chunk_shared *k = charged_new(c, sizeof *k + cap);
    if (!k)
        return NULL;
    atomic_init(&k->refs, 1);
    k->cap = cap;
    atomic_init(&k->next, NULL);
    k->cache = c;
    return k;
}

/* ---- making and freeing ---- */

static struct content_live *live_new(struct cache_shared *c, uint64_t first)
{
    struct content_live *live = charged_new(c, sizeof *live);
    if (!live)
        return NULL;
    *live = (struct content_live){.base = first};
    list_init(&live->readers);
    return live;
}

static void live_free(struct cache_shared *c, struct content_live *live)
{
    if (!live)
        return;
    cache_uncharge(c, sizeof *live);
    free(live);
}

static void content_init(struct content_shared *k, struct content_live *live, bool small)
{
    atomic_init(&k->refs, 1);
    atomic_init(&k->state, CONTENT_FILLING);
    atomic_init(&k->filled, 0);
    k->small = small;
    atomic_init(&k->passing, false);
    k->live = live;
}

static struct content_shared *small_new(struct cache_shared *c, struct content_live *live,
                                        uint32_t length)
{
    struct content_small *k = charged_new(c, sizeof *k + length);
    if (!k)
        return NULL;
    content_init(&k->base, live, true);
    atomic_init(&k->chunk.refs, 0);
    k->chunk.cap = length | CHUNK_INLINE;
    atomic_init(&k->chunk.next, NULL);
    k->chunk.cache = c;
    live->tail = &k->chunk;
    return &k->base;
}

static struct content_shared *long_new(struct cache_shared *c, struct content_live *live,
                                       uint64_t length)
{
    struct content_long *k = charged_new(c, sizeof *k);
    if (!k)
        return NULL;
    content_init(&k->base, live, false);
    k->first = live->base;
    k->length = length;
    k->cache = c;
    atomic_init(&k->head, NULL);
    return &k->base;
}

struct content_shared *content_new(struct cache_shared *c, uint64_t first, uint64_t length)
{
    struct content_live *live = live_new(c, first);
    if (!live)
        return NULL;
    struct content_shared *k = first == 0 && length <= CONTENT_CHUNK_BYTES
                                   ? small_new(c, live, (uint32_t)length)
                                   : long_new(c, live, length);
    if (!k)
        live_free(c, live);
    return k;
}

static struct cache_shared *content_cache(const struct content_shared *k)
{
    return k->small ? content_as_small(k)->chunk.cache : content_as_long(k)->cache;
}

static void content_free(struct content_shared *k)
{
    struct cache_shared *c = content_cache(k);
    live_free(c, k->live);
    if (k->small) {
        cache_uncharge(c, sizeof(struct content_small) + chunk_cap(&content_as_small(k)->chunk));
        free(content_as_small(k));
        return;
    }
    /* relaxed: this is the only thread that knows it now. */
    struct chunk_shared *at = atomic_load_explicit(&content_as_long(k)->head, memory_order_relaxed);
    while (at) {
        struct chunk_shared *next = atomic_load_explicit(&at->next, memory_order_relaxed);
        chunk_drop(at);
        at = next;
    }
    cache_uncharge(c, sizeof(struct content_long));
    free(content_as_long(k));
}

static void writer_post(struct content_live *live)
{
    if (live->writer)
        waiter_post(live->writer);
    live->writer = NULL;
}

static void writer_unlist(struct content_live *live)
{
    if (live->writer)
        live->writer->listed = false;
    live->writer = NULL;
}

struct content_shared *content_take(struct content_shared *k)
{
    /* relaxed: who takes has one already, or the lock of who has. */
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

/* A count less, under the lock while it fills up: who leaves its writer alone with it tells it, and
 * the writer, which needs the lock to end it, can not free it meanwhile. True: done. */
static bool drop_filling(struct content_shared *k, bool *last)
{
    if (content_state(k) != CONTENT_FILLING)
        return false;
    pthread_mutex_lock(content_lock(k));
    bool filling = content_state(k) == CONTENT_FILLING;
    if (filling) {
        /* acq_rel: as in content_drop(). */
        uint32_t was = atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel);
        *last = was == 1;
        if (was == 2)
            writer_post(k->live);
    }
    pthread_mutex_unlock(content_lock(k));
    return filling;
}

void content_drop(struct content_shared *k)
{
    bool last;
    if (!drop_filling(k, &last)) /* acq_rel: all that others did with it comes before the free. */
        last = atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1;
    if (last)
        content_free(k);
}

/* ---- what is known of it ---- */

enum content_state content_state(const struct content_shared *k)
{
    /* acquire: `filled` is at its end once it is whole. */
    return (enum content_state)atomic_load_explicit(&k->state, memory_order_acquire);
}

uint64_t content_bytes(const struct content_shared *k)
{
    /* acquire: the bytes up to here are there. */
    return atomic_load_explicit(&k->filled, memory_order_acquire);
}

static uint64_t stated_length(const struct content_shared *k)
{
    return k->small ? chunk_cap(&content_as_small(k)->chunk) : content_as_long(k)->length;
}

uint64_t content_length(const struct content_shared *k)
{
    return content_state(k) == CONTENT_WHOLE ? content_bytes(k) : stated_length(k);
}

uint64_t content_first(const struct content_shared *k)
{
    return k->small ? 0 : content_as_long(k)->first;
}

bool content_is_wanted(const struct content_shared *k)
{
    /* acquire: as for a free, what others did with it is done. */
    return atomic_load_explicit(&k->refs, memory_order_acquire) > 1;
}

/* ---- filling ---- */

static void readers_wake(struct content_live *live)
{
    LIST_EACH (l, &live->readers) {
        struct content_reader *r = LIST_ENTRY(l, struct content_reader, link);
        if (r->waiter && r->waiter->listed)
            waiter_post(r->waiter);
    }
}

/* Of unknown length: as large as what came, or a quarter of what is there, so that little is left
 * over when readers keep the last chunk from being cut. */
static uint32_t next_cap(const struct content_long *k, uint64_t filled, uint64_t wanted)
{
    uint64_t cap = filled / 4 > CHUNK_LEAST_BYTES ? filled / 4 : CHUNK_LEAST_BYTES;
    if (k->length != CONTENT_LENGTH_UNKNOWN)
        cap = k->length - filled;
    else if (cap < wanted || filled == 0)
        cap = wanted;
    return cap < CONTENT_CHUNK_BYTES ? (uint32_t)cap : CONTENT_CHUNK_BYTES;
}

static bool tail_add(struct content_long *k, uint64_t filled, uint64_t wanted)
{
    struct content_live *live = k->base.live;
    struct chunk_shared *c = chunk_new(k->cache, next_cap(k, filled, wanted));
    if (!c)
        return false;
    /* release: the chunk's own fields, for readers that come over the link. */
    if (live->tail)
        atomic_store_explicit(&live->tail->next, c, memory_order_release);
    else
        atomic_store_explicit(&k->head, c, memory_order_release);
    pthread_mutex_lock(content_lock(&k->base)); /* content_passed() looks at the tail */
    live->tail = c;
    live->tail_len = 0;
    pthread_mutex_unlock(content_lock(&k->base));
    return true;
}

static void publish(struct content_shared *k, uint64_t filled)
{
    pthread_mutex_lock(content_lock(k));
    /* release: after the bytes. */
    atomic_store_explicit(&k->filled, filled, memory_order_release);
    readers_wake(k->live);
    pthread_mutex_unlock(content_lock(k));
}

static size_t tail_fill(struct content_live *live, struct slice bytes)
{
    size_t room = chunk_cap(live->tail) - live->tail_len;
    size_t n = bytes.len < room ? bytes.len : room;
    memcpy(live->tail->bytes + live->tail_len, bytes.at, n);
    live->tail_len += (uint32_t)n;
    return n;
}

enum err content_append(struct content_shared *k, struct slice bytes)
{
    ASSERT(content_state(k) == CONTENT_FILLING);
    struct content_live *live = k->live;
    uint64_t filled = atomic_load_explicit(&k->filled, memory_order_relaxed); /* our own */
    uint64_t length = stated_length(k);
    if (length != CONTENT_LENGTH_UNKNOWN && bytes.len > length - filled)
        return ERR_BODY_TOO_LARGE;
    enum err e = ERR_OK;
    uint64_t before = filled;
    while (bytes.len > 0) {
        bool full = !live->tail || live->tail_len == chunk_cap(live->tail);
        if (full && !tail_add(content_as_long(k), filled, bytes.len)) {
            e = ERR_NO_MEMORY;
            break;
        }
        size_t n = tail_fill(live, bytes);
        filled += n;
        bytes = slice_from(bytes, n);
    }
    if (filled != before)
        publish(k, filled);
    return e;
}

/* ---- the end ---- */

static struct chunk_shared *before_tail(const struct content_long *k)
{
    struct chunk_shared *at = atomic_load_explicit(&k->head, memory_order_relaxed);
    while (at && at != k->base.live->tail) {
        struct chunk_shared *next = atomic_load_explicit(&at->next, memory_order_relaxed);
        if (next == k->base.live->tail)
            return at;
        at = next;
    }
    return NULL;
}

/* With the lock held, and nobody reading: the last chunk becomes as large as what is in it. Relaxed
 * stores: whoever opens a reader does so under the lock, or after the state is released. */
static void tail_shrink(struct content_long *k)
{
    struct content_live *live = k->base.live;
    struct chunk_shared *tail = live->tail;
    if (!tail || live->tail_len == tail->cap || !list_empty(&live->readers) ||
        atomic_load_explicit(&tail->refs, memory_order_acquire) != 1)
        return;
    struct chunk_shared *before = before_tail(k);
    struct chunk_shared *moved = realloc(tail, sizeof *tail + live->tail_len);
    if (!moved)
        return;
    cache_uncharge_part(k->cache, moved->cap - live->tail_len);
    moved->cap = live->tail_len;
    live->tail = moved;
    if (before)
        atomic_store_explicit(&before->next, moved, memory_order_relaxed);
    else
        atomic_store_explicit(&k->head, moved, memory_order_relaxed);
}

static void readers_leave(struct content_live *live)
{
    readers_wake(live);
    while (!list_empty(&live->readers))
        list_pop(&live->readers);
}

static void finish(struct content_shared *k, enum content_state state)
{
    pthread_mutex_lock(content_lock(k));
    struct content_live *live = k->live;
    bool passing = content_is_passing(k);
    if (!k->small && !passing && state == CONTENT_WHOLE)
        tail_shrink(content_as_long(k));
    writer_unlist(live);
    if (!passing)
        k->live = NULL;
    /* release: after all of it but the readers' list: see content_is_settled(). */
    atomic_store_explicit(&k->state, state, memory_order_release);
    if (passing)
        readers_wake(live);
    else
        readers_leave(live);
    pthread_mutex_unlock(content_lock(k));
    live_free(content_cache(k), passing ? NULL : live);
}

void content_end(struct content_shared *k)
{
    if (content_state(k) != CONTENT_FILLING)
        return;
    uint64_t length = stated_length(k);
    bool short_of = length != CONTENT_LENGTH_UNKNOWN && content_bytes(k) < length;
    finish(k, short_of ? CONTENT_BROKEN : CONTENT_WHOLE);
}

void content_break(struct content_shared *k)
{
    if (content_state(k) == CONTENT_FILLING)
        finish(k, CONTENT_BROKEN);
}

/* ---- passing ---- */

uint32_t content_reader_count(const struct content_shared *k)
{
    uint32_t count = 0;
    pthread_mutex_lock(content_lock(k));
    if (k->live)
        LIST_EACH (l, &k->live->readers)
            count++;
    pthread_mutex_unlock(content_lock(k));
    return count;
}

void content_make_passing(struct content_shared *k)
{
    if (content_state(k) == CONTENT_FILLING && !k->small)
        atomic_store_explicit(&k->passing, true, memory_order_relaxed);
}

bool content_is_passing(const struct content_shared *k)
{
    return atomic_load_explicit(&k->passing, memory_order_relaxed);
}

/* Where its slowest reader stands; UINT64_MAX: nobody reads. */
static uint64_t slowest(struct content_live *live)
{
    uint64_t at = UINT64_MAX;
    LIST_EACH (l, &live->readers) {
        struct content_reader *r = LIST_ENTRY(l, struct content_reader, link);
        /* relaxed: what was handed out keeps its chunk by a count of its own. */
        uint64_t passed = atomic_load_explicit(&r->passed, memory_order_relaxed);
        if (passed < at)
            at = passed;
    }
    return at;
}

/* All but the tail, which is being written to and leads readers on. */
static void trim(struct content_long *k, uint64_t up_to)
{
    struct content_live *live = k->base.live;
    struct chunk_shared *head = atomic_load_explicit(&k->head, memory_order_relaxed);
    while (head && head != live->tail && live->base + head->cap <= up_to) {
        struct chunk_shared *next = atomic_load_explicit(&head->next, memory_order_acquire);
        live->base += head->cap;
        /* relaxed: of a passing content it is read under the lock. */
        atomic_store_explicit(&k->head, next, memory_order_relaxed);
        chunk_drop(head);
        head = next;
    }
}

static size_t room_left(struct content_shared *k, uint64_t at)
{
    uint64_t from = at == UINT64_MAX ? k->live->base : at;
    uint64_t held = content_first(k) + content_bytes(k) - from;
    return held < CONTENT_PASSING_BYTES ? CONTENT_PASSING_BYTES - (size_t)held : 0;
}

void content_passed(struct content_shared *k)
{
    uint64_t at = slowest(k->live);
    if (at != UINT64_MAX)
        trim(content_as_long(k), at);
    if (room_left(k, at) > 0)
        writer_post(k->live);
}

size_t content_room(struct content_shared *k, struct waiter *writer)
{
    if (!content_is_passing(k))
        return SIZE_MAX;
    pthread_mutex_lock(content_lock(k));
    writer_unlist(k->live);
    uint64_t at = slowest(k->live);
    if (at != UINT64_MAX)
        trim(content_as_long(k), at);
    size_t room = room_left(k, at);
    if (room == 0 && writer && content_state(k) == CONTENT_FILLING) {
        writer->listed = true;
        k->live->writer = writer;
    }
    pthread_mutex_unlock(content_lock(k));
    return room;
}
