/* pipe.h - bytes that stay in the kernel: a pipe as a counted buffer, between two sockets.
 *
 * io_recv_pipe() moves what a socket has received into a pipe, io_send_pipe() moves it on into
 * another socket, and nothing is copied. A span of a pipe travels like any other, through bodies
 * and output rings, but there is nothing to look at behind `at`: only its length counts, and only
 * who was told that nobody looks may receive into a pipe.
 *
 * A pipe is filled only when it is empty, so what one carries is bounded by one receive. Its
 * `buf.len` is what it holds now. Dropped with bytes in it, it is closed. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "io/io.h"

enum {
    /* Below, copying is cheaper (docs/decisions/002-large-bodies.md). */
    PIPE_MIN_BYTES = 32 * 1024,
    /* Most in one receive: what a client that does not read holds up in the kernel. */
    PIPE_RECV_BYTES = 512 * 1024,
    PIPES_PER_LOOP = 256, /* in use: two descriptors each */
    PIPES_KEPT = 64,      /* ready for use */
};

struct io_pipe {
    struct loop *loop;
    struct io_pipe *next;      /* among the spare ones */
    struct io_op *waits;       /* a receive that goes on when the pipe is empty */
    size_t recv_max, send_max; /* of the ops that are armed */
    int64_t emptied_ms;        /* loop time; or when it was taken */
    int rd, wr;
    struct buf buf; /* last: ends with an array */
};

/* Spare pipes of one loop. */
struct io_pipes {
    struct io_pipe *spare;
    int spare_count, used_count;
    bool probed, refused; /* the kernel, or a filter of system calls, does not do it */
};

/* NULL: not here, or too many in use: then bytes are copied. */
struct buf *io_pipe_take(struct loop *l) __attribute__((warn_unused_result));

void io_pipes_trim(struct loop *l); /* closes half of what is spare */
void io_pipes_release(struct loop *l);

static inline struct io_pipe *io_pipe_of(struct buf *b)
{
    return CONTAINER_OF(b, struct io_pipe, buf);
}
