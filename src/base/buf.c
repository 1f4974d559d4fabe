/* buf.c - the pool behind counted buffers.
 *
 * Two free lists, LIFO so that the warmest buffer goes out next. Buffers that come back are kept;
 * buf_pool_trim(), which the owner calls every second or so, gives back to the system what the
 * last periods did not need at once. Under ASan nothing is kept, so that it sees late uses. */
// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"
#include "base/asan.h"
#include "base/assert.h"
#include "base/prefetch.h"
#include <stdlib.h>

static const uint32_t caps[] = {[BUF_SMALL] = BUF_SMALL_BYTES, [BUF_LARGE] = BUF_LARGE_BYTES};

enum { LENT_KEPT = 256 };

struct buf_lent {
    struct buf_lent *next; /* in the pool's free list */
    void (*give_back)(void *owner);
    void *owner;
    struct buf buf; /* last: ends with an array */
};

void buf_pool_init(struct buf_pool *p, size_t cap_bytes)
{
    *p = (struct buf_pool){.cap_bytes = cap_bytes};
}

static void free_list_shrink(struct buf_pool *p, enum buf_size size, size_t keep_bytes)
{
    while (p->free[size] && p->cached_bytes > keep_bytes) {
        struct buf *b = p->free[size];
        p->free[size] = b->next;
        p->cached_bytes -= b->cap;
        free(b);
    }
}

void buf_pool_release(struct buf_pool *p)
{
    ASSERT(p->held_bytes == 0);
    free_list_shrink(p, BUF_LARGE, 0);
    free_list_shrink(p, BUF_SMALL, 0);
    ASSERT(p->cached_bytes == 0 && p->lent_count == 0);
    while (p->lent_free) {
        struct buf_lent *l = p->lent_free;
        p->lent_free = l->next;
        free(l);
    }
}

void buf_pool_trim(struct buf_pool *p)
{
    bool unused = p->peak_bytes == 0; /* by nobody, since the last time: nothing is worth keeping */
    size_t decayed = unused ? 0 : p->usual_bytes / 4 * 3;
    p->usual_bytes = p->peak_bytes > decayed ? p->peak_bytes : decayed;
    p->peak_bytes = p->held_bytes;
    size_t keep = p->usual_bytes > p->held_bytes ? p->usual_bytes - p->held_bytes : 0;
    free_list_shrink(p, BUF_LARGE, keep);
    free_list_shrink(p, BUF_SMALL, keep);
}

static struct buf *refuse(struct buf_pool *p)
{
    p->refused++;
    p->starved = true;
    return NULL;
}

static struct buf *pop_free(struct buf_pool *p, enum buf_size size)
{
    struct buf *b = p->free[size];
    p->free[size] = b->next;
    if (b->next)
        prefetch_for_write(b->next, sizeof(*b));
    p->cached_bytes -= b->cap;
    return b;
}

static struct buf *new_buf(struct buf_pool *p, enum buf_size size)
{
    struct buf *b = malloc(sizeof(*b) + caps[size]);
    if (!b)
        return NULL;
    b->pool = p;
    b->cap = caps[size];
    b->size = (uint8_t)size;
    return b;
}

static struct buf *take(struct buf_pool *p, enum buf_size size, size_t cap_bytes)
{
    if (p->held_bytes + caps[size] > cap_bytes)
        return refuse(p);
    struct buf *b = p->free[size] ? pop_free(p, size) : new_buf(p, size);
    if (!b)
        return refuse(p);
    p->held_bytes += b->cap;
    if (p->held_bytes > p->peak_bytes)
        p->peak_bytes = p->held_bytes;
    b->next = NULL;
    b->refs = 1;
    b->len = 0;
    return b;
}

/* Large ones are for bodies: the last part of the pool is kept for heads, so that requests can
 * still be read, and be refused, when bodies have taken all they can get. */
static size_t heads_bytes(const struct buf_pool *p)
{
    size_t part = p->cap_bytes / 16;
    return part < BUF_SMALL_BYTES ? 0 : part;
}

struct buf *buf_take(struct buf_pool *p, enum buf_size size)
{
    return take(p, size, size == BUF_LARGE ? p->cap_bytes - heads_bytes(p) : p->cap_bytes);
}

struct buf *buf_take_reserve(struct buf_pool *p, enum buf_size size)
{
    return take(p, size, 2 * p->cap_bytes);
}

/* --- bytes of others -------------------------------------------------------------------------- */

static struct buf_lent *lent_new(struct buf_pool *p)
{
    struct buf_lent *l = p->lent_free;
    if (!l)
        return malloc(sizeof *l);
    p->lent_free = l->next;
    p->lent_spare--;
    return l;
}

struct buf *buf_lend(struct buf_pool *p, void (*give_back)(void *owner), void *owner)
{
    struct buf_lent *l = lent_new(p);
    if (!l)
        return NULL;
    *l = (struct buf_lent){.give_back = give_back, .owner = owner};
    l->buf.pool = p;
    l->buf.refs = 1;
    l->buf.size = BUF_LENT;
    p->lent_count++;
    return &l->buf;
}

static void lent_free(struct buf_pool *p, struct buf *b)
{
    struct buf_lent *l = (struct buf_lent *)((char *)b - offsetof(struct buf_lent, buf));
    l->give_back(l->owner);
    p->lent_count--;
    if (ASAN_ON || p->lent_spare >= LENT_KEPT) {
        free(l);
        return;
    }
    l->next = p->lent_free;
    p->lent_free = l;
    p->lent_spare++;
}

/* ---------------------------------------------------------------------------------------------- */

void buf_free_last(struct buf *b)
{
    struct buf_pool *p = b->pool;
    if (b->size == BUF_PIPE) {
        p->free_pipe(b);
        return;
    }
    if (b->size == BUF_LENT) {
        lent_free(p, b);
        return;
    }
    if (b->size == BUF_FILE) {
        p->free_file(b);
        return;
    }
    ASSERT(p->held_bytes >= b->cap);
    p->held_bytes -= b->cap;
    if (ASAN_ON) {
        free(b);
        return;
    }
    b->next = p->free[b->size];
    p->free[b->size] = b;
    p->cached_bytes += b->cap;
}
