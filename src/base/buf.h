/* buf.h - counted byte buffers from a per-worker pool, in two sizes, and spans into them; or into
 * memory that somebody lends.
 *
 * A buffer belongs to whoever holds a count on it; the last buf_drop() gives it back to its pool.
 * Counts are plain integers: buffers never cross threads. The pool has a cap in bytes; when it is
 * spent buf_take() returns NULL and the caller stops reading (back-pressure), it never fails a
 * request in flight. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum { BUF_SMALL_BYTES = 8192 - 64, BUF_LARGE_BYTES = 65536 + 8192 - 64 };
enum buf_size {
    BUF_SMALL,
    BUF_LARGE,
    BUF_PIPE, /* io/pipe.h: no bytes to look at */
    BUF_LENT, /* buf_lend(): the bytes are elsewhere */
    BUF_FILE, /* io/file.h: no bytes to look at */
};

struct buf_pool;

struct buf {
    struct buf *next; /* in the pool's free list */
    struct buf_pool *pool;
    uint32_t refs;
    uint32_t cap; /* bytes */
    uint32_t len; /* bytes filled so far, by whoever fills it */
    uint8_t size; /* enum buf_size */
    char bytes[];
};

struct buf_pool {
    struct buf *free[2];
    struct buf_lent *lent_free;
    uint32_t lent_count, lent_spare;  /* in use; in the free list */
    size_t held_bytes;                /* handed out */
    size_t cached_bytes;              /* in the free lists */
    size_t cap_bytes;                 /* limit of held_bytes */
    size_t peak_bytes;                /* most that was held since the last buf_pool_trim() */
    size_t usual_bytes;               /* decaying peak of the trims before: what is worth keeping */
    uint64_t refused;                 /* times buf_take() said no */
    void (*free_pipe)(struct buf *b); /* for a BUF_PIPE: its last count is gone */
    void (*free_file)(struct buf *b); /* the same for a BUF_FILE */
    bool starved;                     /* refused since the flag was last cleared */
};

void buf_pool_init(struct buf_pool *p, size_t cap_bytes);
void buf_pool_release(struct buf_pool *p); /* every buffer must be back: asserts */
void buf_pool_trim(struct buf_pool *p);    /* frees cached buffers beyond what is usually in use */

struct buf *buf_take(struct buf_pool *p, enum buf_size size) __attribute__((warn_unused_result));
/* For what must be written so that requests in flight can end (heads, chunk lines, local answers):
 * may go into a reserve as large as the cap. Reading never does, so the reserve drains. */
struct buf *buf_take_reserve(struct buf_pool *p, enum buf_size size)
    __attribute__((warn_unused_result));
/* Three quarters are handed out: what is left is for those who hold nothing yet, in small pieces.
 */
static inline bool buf_pool_is_tight(const struct buf_pool *p)
{
    return p->held_bytes > p->cap_bytes / 4 * 3;
}

/* A count on bytes of somebody else, who is told when nobody needs them any more. They are not the
 * pool's and count against nothing of it; nobody writes to them. NULL: no memory. */
struct buf *buf_lend(struct buf_pool *p, void (*give_back)(void *owner), void *owner)
    __attribute__((warn_unused_result));

void buf_free_last(struct buf *b); /* for buf_drop() only */

static inline struct buf *buf_ref(struct buf *b)
{
    b->refs++;
    return b;
}

static inline void buf_drop(struct buf *b)
{
    if (--b->refs == 0)
        buf_free_last(b);
}

/* Bytes inside a buffer. Holds one count on `buf`; buf NULL means bytes that outlive everything
 * (literals) or that another owner keeps (an arena). Moved by value, dropped once. */
struct span {
    struct buf *buf;
    const char *at;
    size_t len;
};

static inline struct span span_ref(struct span s)
{
    if (s.buf)
        buf_ref(s.buf);
    return s;
}

static inline void span_drop(struct span s)
{
    if (s.buf)
        buf_drop(s.buf);
}

static inline struct slice span_slice(struct span s)
{
    return (struct slice){s.at, s.len};
}
