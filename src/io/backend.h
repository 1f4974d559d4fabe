/* backend.h - what an I/O backend provides. Private to src/io and its tests. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/io.h"
#include "io/loop.h"

struct io_backend {
    const char *name;
    bool has_pipes; /* IO_RECV_PIPE and IO_SEND_PIPE */
    bool has_files; /* IO_SEND_FILE */
    bool (*open)(struct loop *l, void *arg);
    void (*close)(struct loop *l);
    void (*clock)(struct loop *l); /* refreshes now_ns, now_ms, unix_ms */
    bool (*sock_open)(struct loop *l, struct io_sock *s, int fd);
    void (*sock_close)(struct loop *l, struct io_sock *s);
    void (*sock_detach)(struct loop *l, struct io_sock *s);
    bool (*sock_name)(struct loop *l, const struct io_sock *s, enum io_end end,
                      struct io_name *out);
    void (*discard)(struct loop *l, int fd);
    void (*start)(struct loop *l, struct io_op *op); /* op is filled in; result by io_finish() */
    int (*accept_next)(struct loop *l, struct io_sock *s);
    void (*connect)(struct loop *l, struct io_op *op, const struct sockaddr *to, socklen_t len);
    void (*cancel)(struct loop *l, struct io_op *op);
    void (*shutdown)(struct loop *l, struct io_sock *s);
    void (*set_reset)(struct loop *l, struct io_sock *s);
    void (*wait)(struct loop *l, int timeout_ms); /* collects; finished ops go to io_finish() */
};

/* Queues the result; done() runs in the next round of io_tick(). */
void io_finish(struct loop *l, struct io_op *op, int res);
/* Collects what has finished (waits at most `timeout_ms`; below 0: looks at nothing new) and runs
 * every done(), a few rounds of them. */
void io_tick(struct loop *l, int timeout_ms);
/* Runs the done() of every send whose result is known by now. */
void io_settle(struct loop *l);

/* For backends: a buffer for an armed recv. NULL: the pool is spent; the op waits in loop->starved
 * and start() is called again when buffers are back. */
struct buf *io_recv_buf(struct loop *l, struct io_op *op);
/* As if the pool were spent. */
void io_starve(struct loop *l, struct io_op *op);
/* A recv waits for a buffer and there is one. */
bool io_can_feed_starved(const struct loop *l);
