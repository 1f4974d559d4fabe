/* listener.h - a bound socket that accepts. Opened by the main thread, one per worker
 * (SO_REUSEPORT), run by its worker. When descriptors run out it pauses and tries again. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "io/loop.h"
#include "net/addr.h"

struct listener {
    struct io_sock sock;
    struct io_op accept_op;
    struct timer resume;
    struct dead dead;
    struct loop *loop;
    struct addr addr;
    void *user;
    void (*on_accept)(struct listener *ln, int fd); /* owns fd */
    void (*on_closed)(struct listener *ln);         /* from the reaper: free it */
    void (*on_paused)(struct listener *ln); /* there are no descriptors; NULL: nobody minds */
    int waiting_fd;                         /* the kernel could not watch it yet; else -1 */
    bool paused, closing;
};

struct listen_options {
    bool reuseport;
    bool bind_only;     /* does not listen: to see whether the address is free, then close it */
    int backlog;        /* 0: 4096, cut by the kernel to somaxconn */
    unsigned unix_mode; /* permission bits of a unix socket; 0: 0660 */
};

/* Opens, binds and listens. *fd is the caller's. ERR_ADDRESS_IN_USE, ERR_NO_PERMISSION,
 * ERR_NO_DESCRIPTORS, ERR_IO (errno says more in every case). A stale unix socket file that nobody
 * listens on is replaced. */
enum err listener_bind(const struct addr *a, const struct listen_options *o, int *fd) MUST_CHECK;

/* Adopts fd. `addr`, `user` and the callbacks are the caller's to set before. When the kernel has
 * no memory to watch it, it is paused and tried again. False: fd is no descriptor. */
bool listener_start(struct listener *ln, struct loop *l, int fd) MUST_CHECK;
void listener_close(struct listener *ln); /* stops accepting; on_closed() follows */
/* From now on nobody begins to connect to this socket, while whoever has begun still gets through:
 * whoever accepts on it may close it a while later without a loss. Some kernels want a privilege
 * for it; then nothing is changed. */
void listener_stop_new(int fd);
/* Before a close: takes those that wait in the queue, whom it would reset. */
void listener_accept_waiting(struct listener *ln);
