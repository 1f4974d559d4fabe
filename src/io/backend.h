/* backend.h - what an I/O backend provides. Private to src/io and its tests. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/io.h"
#include "io/loop.h"

struct io_backend {
    const char *name;
    bool (*open)(struct loop *l, void *arg);
    void (*close)(struct loop *l);
    void (*clock)(struct loop *l); /* refreshes now_ns, now_ms, unix_ms */
    bool (*sock_open)(struct loop *l, struct io_sock *s, int fd);
    void (*sock_close)(struct loop *l, struct io_sock *s);
    void (*start)(struct loop *l, struct io_op *op);   /* op is filled in; result by io_finish() */
    void (*connect)(struct loop *l, struct io_op *op, const struct sockaddr *to, socklen_t len);
    void (*cancel)(struct loop *l, struct io_op *op);
    void (*shutdown)(struct loop *l, struct io_sock *s);
    void (*set_reset)(struct loop *l, struct io_sock *s);
    void (*wait)(struct loop *l, int timeout_ms); /* collects; finished ops go to io_finish() */
};

/* Queues the result; done() runs in the next io_tick(). */
void io_finish(struct loop *l, struct io_op *op, int res);
void io_tick(struct loop *l);
