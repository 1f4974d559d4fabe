/* content_read.c - the reader's side of a stored body.
 *
 * What is published is read without a lock. A reader of one that still fills up (or passes) is in
 * its list: the writer wakes it from there, and frees nothing that it has not passed. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "cache/content_priv.h"

bool content_view(const struct content_shared *k, struct slice *out)
{
    if (content_state(k) != CONTENT_WHOLE || content_is_passing(k) || content_first(k) != 0)
        return false;
    /* relaxed: it is whole, and nothing of it changes. */
    struct chunk_shared *c =
        k->small ? &content_as_small(k)->chunk
                 : atomic_load_explicit(&content_as_long(k)->head, memory_order_relaxed);
    if (!c || content_bytes(k) > chunk_cap(c))
        return false;
    *out = (struct slice){c->bytes, content_bytes(k)};
    return true;
}

/* Puts it into the list, if it still needs to be there. False: its first byte has passed. */
static bool enlist(struct content_reader *r)
{
    struct content_shared *k = r->content;
    pthread_mutex_lock(content_lock(k));
    bool there = k->live ? r->at >= k->live->base : true;
    if (there && k->live) {
        list_push(&k->live->readers, &r->link);
        r->listed = true;
    }
    pthread_mutex_unlock(content_lock(k));
    return there;
}

bool content_reader_open(struct content_reader *r, struct content_shared *k, struct loop *l,
                         uint64_t first, uint64_t end, void (*wake)(void *ctx), void *ctx)
{
    *r = (struct content_reader){.at = first, .end = end};
    atomic_init(&r->passed, first);
    list_init(&r->link);
    if (first < content_first(k))
        return false;
    bool settled = content_is_settled(k);
    struct waiter *w = settled || !wake ? NULL : waiter_new(l, wake, ctx);
    if (!settled && wake && !w)
        return false;
    r->waiter = w;
    r->content = k;
    if (!settled && !enlist(r)) {
        if (w)
            waiter_close(w);
        r->waiter = NULL;
        r->content = NULL;
        return false;
    }
    content_take(k);
    return true;
}

/* The chunk with the position, from the first that is there. */
static struct chunk_shared *chunk_find(struct content_shared *k, uint64_t at, size_t *offset)
{
    struct content_long *n = content_as_long(k);
    uint64_t from = k->live ? k->live->base : n->first;
    /* acquire: pairs with the writer's link. */
    struct chunk_shared *c = atomic_load_explicit(&n->head, memory_order_acquire);
    while (at - from >= c->cap) {
        from += c->cap;
        c = atomic_load_explicit(&c->next, memory_order_acquire);
    }
    *offset = (size_t)(at - from);
    return c;
}

static void chunk_seek(struct content_reader *r)
{
    struct content_shared *k = r->content;
    if (k->small) {
        r->chunk = &content_as_small(k)->chunk;
        r->chunk_at = (size_t)r->at;
    } else if (content_is_settled(k)) {
        r->chunk = chunk_find(k, r->at, &r->chunk_at);
    } else { /* it may pass, and be trimmed */
        pthread_mutex_lock(content_lock(k));
        r->chunk = chunk_find(k, r->at, &r->chunk_at);
        pthread_mutex_unlock(content_lock(k));
    }
    chunk_take(r->chunk);
}

/* The next one is there: it is linked before a byte in it is published, and nobody drops it before
 * this reader has passed it. */
static void chunk_step(struct content_reader *r)
{
    struct chunk_shared *next = atomic_load_explicit(&r->chunk->next, memory_order_acquire);
    ASSERT(next);
    chunk_take(next);
    chunk_drop(r->chunk);
    r->chunk = next;
    r->chunk_at = 0;
}

static void passed_on(struct content_reader *r)
{
    struct content_shared *k = r->content;
    atomic_store_explicit(&r->passed, r->at, memory_order_relaxed); /* read under the lock */
    if (!content_is_passing(k))
        return;
    pthread_mutex_lock(content_lock(k));
    content_passed(k);
    pthread_mutex_unlock(content_lock(k));
}

static void hand_out(struct content_reader *r, uint64_t len, struct slice *out,
                     struct chunk_shared **chunk)
{
    if (!r->chunk)
        chunk_seek(r);
    if (r->chunk_at == chunk_cap(r->chunk))
        chunk_step(r);
    size_t left = chunk_cap(r->chunk) - r->chunk_at;
    size_t n = len < left ? (size_t)len : left;
    *out = (struct slice){r->chunk->bytes + r->chunk_at, n};
    *chunk = r->chunk;
    chunk_take(r->chunk);
    r->chunk_at += n;
    r->at += n;
    if (r->listed)
        passed_on(r);
}

/* False: something came, or it has ended. */
static bool wait_for_more(struct content_reader *r)
{
    struct content_shared *k = r->content;
    pthread_mutex_lock(content_lock(k));
    bool wait = content_state(k) == CONTENT_FILLING && r->at >= content_first(k) + content_bytes(k);
    if (wait && r->waiter)
        r->waiter->listed = true;
    pthread_mutex_unlock(content_lock(k));
    return wait;
}

/* With CONTENT_BYTES *len of them are there. */
static enum content_read look(struct content_reader *r, uint64_t *len)
{
    struct content_shared *k = r->content;
    for (;;) {
        enum content_state state = content_state(k); /* first: then its end is the end */
        uint64_t end = content_first(k) + content_bytes(k);
        if (r->at >= r->end || (r->at >= end && state == CONTENT_WHOLE))
            return CONTENT_END;
        if (r->at < end) {
            *len = (end < r->end ? end : r->end) - r->at;
            return CONTENT_BYTES;
        }
        if (state == CONTENT_BROKEN)
            return CONTENT_LOST;
        if (wait_for_more(r))
            return CONTENT_WAIT;
    }
}

enum content_read content_read_ready(struct content_reader *r)
{
    uint64_t len;
    return look(r, &len);
}

enum content_read content_read_next(struct content_reader *r, size_t max, struct slice *out,
                                    struct chunk_shared **chunk)
{
    uint64_t len;
    enum content_read found = look(r, &len);
    if (found == CONTENT_BYTES)
        hand_out(r, len < max ? len : max, out, chunk);
    return found;
}

static void delist(struct content_reader *r)
{
    struct content_shared *k = r->content;
    pthread_mutex_lock(content_lock(k));
    bool linked = list_linked(&r->link);
    list_remove(&r->link);
    if (r->waiter)
        r->waiter->listed = false;
    if (linked && content_is_passing(k))
        content_passed(k);
    pthread_mutex_unlock(content_lock(k));
}

void content_reader_close(struct content_reader *r)
{
    if (!r->content)
        return;
    if (r->listed)
        delist(r);
    if (r->waiter)
        waiter_close(r->waiter);
    if (r->chunk)
        chunk_drop(r->chunk);
    content_drop(r->content);
    *r = (struct content_reader){0};
}
