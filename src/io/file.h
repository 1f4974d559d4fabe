/* file.h - bytes that go from a file to a socket without a copy: a file as a counted buffer.
 *
 * A span of it (io_file_span()) says which bytes are meant; it travels like any other, through
 * bodies and output rings, but there is nothing to look at behind `at`. Only who was told that
 * nobody looks may make one (body.unseen).
 *
 * io_send_file() sends what is in memory. The disk is asked for the rest, and the operation waits
 * without holding up the loop; where a file system can not tell, or nothing has come for two
 * seconds, it blocks. Right before each send the file is compared with what it was when it was
 * opened: a client never gets a mixture as a whole. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "io/io.h"
#include "io/timer.h"
#include <sys/stat.h>

enum {
    /* Below, copying is cheaper. */
    FILE_SPAN_MIN_BYTES = 32 * 1024,
    FILE_SPAN_MAX_BYTES = 512 * 1024, /* of one span: what is sent in one go */
};

struct io_file {
    struct loop *loop;
    int fd;
    off_t bytes; /* when it was opened, as the time */
    struct timespec modified;
    void (*release)(void *owner); /* lets go of the descriptor */
    void *owner;
    struct io_op *waits; /* a send that goes on when the disk has answered */
    struct timer again;
    unsigned wait_count; /* for the same bytes */
    bool knows_memory;   /* the file system can tell what is in memory */
    uint64_t send_at;    /* of the op that is armed */
    size_t send_len;
    struct buf buf; /* last: ends with an array */
};

/* Whose descriptor it is calls `release` with the last count. NULL: not on this backend, or no
 * memory; then nothing was taken over. */
struct buf *io_file_new(struct loop *l, int fd, const struct stat *st, void (*release)(void *owner),
                        void *owner) __attribute__((warn_unused_result));

static inline struct io_file *io_file_of(struct buf *b)
{
    return CONTAINER_OF(b, struct io_file, buf);
}

/* A span of `len` bytes from `at` on; holds a count of its own. */
static inline struct span io_file_span(struct buf *b, uint64_t at, size_t len)
{
    return (struct span){buf_ref(b), b->bytes + at, len};
}

static inline uint64_t io_file_at(const struct span *s)
{
    return (uint64_t)(s->at - s->buf->bytes);
}

/* --- for backends ----------------------------------------------------------------------------- */

/* Some of the bytes are in memory, send_len of them; false: `op` is started again later. */
bool io_file_ready(struct io_file *f, struct io_op *op);
/* Bytes sent, or a negative errno; -EAGAIN: the socket is full. */
ssize_t io_file_send(struct io_file *f, int sock);
void io_file_settle(struct io_file *f); /* no op waits any more */
