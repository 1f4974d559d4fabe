/* epoll.c - completions on top of edge-triggered readiness.
 *
 * A descriptor is registered once for both directions and never modified. What the kernel said
 * last is kept in io_sock: `readable` until a read comes back short (epoll(7): a short read or
 * write on a stream means that the next one would block), `writable` until a send was cut short.
 * After the peer's FIN or an error no further edge comes, so `hangup` keeps the socket readable
 * until its end was read. Sends are tried at once; a recv takes its buffer only when something is
 * there, so a waiting recv holds none. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/prefetch.h"
#include "io/backend.h"
#include "io/file.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
    /* What a tick works on should stay in the caches: 16 cost 7 % less than 64, at 64 connections.
     */
    EVENTS_PER_WAIT = 16,
    OWNER_BYTES = 256, /* of a socket: a connection */
    EDGES = (int)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
};

struct epoll_priv {
    int fd;
};

static int epoll_fd(const struct loop *l)
{
    return ((struct epoll_priv *)l->backend_priv)->fd;
}

static bool would_block(int error)
{
    return error == EAGAIN || error == EINTR;
}

static bool backend_open(struct loop *l, void *arg)
{
    (void)arg;
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    struct epoll_priv *p = malloc(sizeof(*p));
    if (!p)
        return false;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->fd >= 0 && epoll_ctl(p->fd, EPOLL_CTL_ADD, mailbox_fd(l->mailbox), &e) == 0) {
        l->backend_priv = p;
        return true;
    }
    if (p->fd >= 0)
        close(p->fd);
    free(p);
    return false;
}

static void backend_close(struct loop *l)
{
    close(epoll_fd(l));
    free(l->backend_priv);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The wall clock is good to a few milliseconds, which is what dates and logs need, and costs a
 * fifth of the exact one. */
static void read_clock(struct loop *l)
{
    l->now_ns = clock_ns(CLOCK_MONOTONIC);
    l->now_ms = l->now_ns / 1000000;
    l->unix_ms = clock_ns(CLOCK_REALTIME_COARSE) / 1000000;
}

static bool sock_open(struct loop *l, struct io_sock *s, int fd)
{
    struct epoll_event e = {.events = (uint32_t)EDGES, .data.ptr = s};
    return epoll_ctl(epoll_fd(l), EPOLL_CTL_ADD, fd, &e) == 0;
}

static void sock_detach(struct loop *l, struct io_sock *s)
{
    epoll_ctl(epoll_fd(l), EPOLL_CTL_DEL, s->fd, NULL);
}

static void sock_close(struct loop *l, struct io_sock *s)
{
    /* close() alone ends the registration only when nobody else holds the descriptor. */
    if (s->shared)
        sock_detach(l, s);
    close(s->fd);
}

static bool sock_name(struct loop *l, const struct io_sock *s, enum io_end end, struct io_name *out)
{
    struct sockaddr *at = (struct sockaddr *)&out->at;
    (void)l;
    out->len = sizeof(out->at);
    return (end == IO_REMOTE ? getpeername(s->fd, at, &out->len)
                             : getsockname(s->fd, at, &out->len)) == 0;
}

static void discard(struct loop *l, int fd)
{
    (void)l;
    close(fd);
}

static void try_recv(struct loop *l, struct io_sock *s)
{
    struct io_op *op = s->rd;
    struct buf *b = io_recv_buf(l, op);
    if (!b)
        return;
    ssize_t n = recv(s->fd, b->bytes, b->cap, 0);
    if (n > 0) {
        s->readable = (size_t)n == b->cap || s->hangup;
        b->len = (uint32_t)n;
        op->buf = b;
        io_finish(l, op, (int)n);
        return;
    }
    buf_drop(b);
    if (n < 0 && would_block(errno))
        s->readable = false;
    else
        io_finish(l, op, n < 0 ? -errno : 0);
}

static size_t iov_bytes(const struct io_op *op)
{
    size_t n = 0;
    for (int i = 0; i < op->iov_count; i++)
        n += op->iov[i].iov_len;
    return n;
}

/* One piece by send(): the kernel has no message header and no vector to copy. */
static ssize_t send_iov(int fd, const struct iovec *iov, int count, int flags)
{
    if (count == 1)
        return send(fd, iov->iov_base, iov->iov_len, flags);
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &m, flags);
}

static void try_send(struct loop *l, struct io_sock *s)
{
    struct io_op *op = s->wr;
    ssize_t n =
        send_iov(s->fd, op->iov, op->iov_count, op->more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL);
    if (n < 0 && would_block(errno)) {
        s->writable = false;
        return;
    }
    if (n >= 0)
        s->writable = (size_t)n == iov_bytes(op);
    io_finish(l, op, n < 0 ? -errno : (int)n);
}

static void start(struct loop *l, struct io_op *op);

/* EAGAIN would not tell a full pipe from a socket without bytes: so the pipe is empty, always. */
static void try_recv_pipe(struct loop *l, struct io_sock *s)
{
    struct io_op *op = s->rd;
    struct io_pipe *p = io_pipe_of(op->buf);
    if (p->buf.len > 0) {
        p->waits = op;
        return;
    }
    ssize_t n = splice(s->fd, NULL, p->wr, NULL, p->recv_max, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n < 0 && would_block(errno)) {
        s->readable = false;
        return;
    }
    p->buf.len = n > 0 ? (uint32_t)n : 0;
    io_finish(l, op, n < 0 ? -errno : (int)n);
}

static void pipe_emptied(struct loop *l, struct io_pipe *p)
{
    struct io_op *op = p->waits;
    p->waits = NULL;
    p->emptied_ms = l->now_ms;
    if (op)
        start(l, op);
}

static void try_send_pipe(struct loop *l, struct io_sock *s)
{
    struct io_op *op = s->wr;
    struct io_pipe *p = io_pipe_of(op->buf);
    ssize_t n = splice(p->rd, NULL, s->fd, NULL, p->send_max, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n < 0 && would_block(errno)) {
        s->writable = false;
        return;
    }
    if (n > 0)
        p->buf.len -= (uint32_t)n;
    io_finish(l, op, n < 0 ? -errno : (int)n);
    if (p->buf.len == 0)
        pipe_emptied(l, p);
}

static void try_send_file(struct loop *l, struct io_sock *s)
{
    struct io_op *op = s->wr;
    struct io_file *f = io_file_of(op->buf);
    if (!io_file_ready(f, op))
        return; /* the disk: its timer tries again */
    ssize_t n = io_file_send(f, s->fd);
    if (n == -EAGAIN)
        s->writable = false; /* fewer bytes than asked for do not tell: it may be the file */
    else
        io_finish(l, op, (int)n);
}

/* -EAGAIN: nobody waits. A connection that its client gave up meanwhile is passed over
 * (accept(2): its error is reported by accept). Other errors are ours, such as -EMFILE. */
static int accept_next(struct loop *l, struct io_sock *s)
{
    (void)l;
    for (int tries = 0; tries < 16; tries++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ||
            errno == EINVAL)
            return -errno;
        if (errno == EAGAIN)
            break;
    }
    s->readable = false;
    return -EAGAIN;
}

static void try_accept(struct loop *l, struct io_sock *s)
{
    int fd = accept_next(l, s);
    if (fd != -EAGAIN)
        io_finish(l, s->rd, fd);
}

static void try_poll(struct loop *l, struct io_op *op)
{
    struct pollfd p = {.fd = op->sock->fd, .events = op->kind == IO_POLL_IN ? POLLIN : POLLOUT};
    if (poll(&p, 1, 0) > 0)
        io_finish(l, op, 0);
}

static void finish_connect(struct loop *l, struct io_sock *s)
{
    int error = 0;
    socklen_t len = sizeof(error);
    s->connecting = false;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len))
        error = errno;
    io_finish(l, s->wr, -error);
}

static void try_reading(struct loop *l, struct io_sock *s)
{
    switch (s->rd->kind) {
    case IO_RECV: try_recv(l, s); break;
    case IO_RECV_PIPE: try_recv_pipe(l, s); break;
    case IO_ACCEPT: try_accept(l, s); break;
    default: try_poll(l, s->rd); break;
    }
}

static void try_writing(struct loop *l, struct io_sock *s)
{
    switch (s->wr->kind) {
    case IO_SEND: try_send(l, s); break;
    case IO_SEND_PIPE: try_send_pipe(l, s); break;
    case IO_SEND_FILE: try_send_file(l, s); break;
    case IO_CONNECT: finish_connect(l, s); break;
    default: try_poll(l, s->wr); break;
    }
}

static void start(struct loop *l, struct io_op *op)
{
    struct io_sock *s = op->sock;
    if (op->kind == IO_POLL_IN || op->kind == IO_POLL_OUT)
        try_poll(l, op);
    else if (op == s->rd && s->readable)
        try_reading(l, s);
    else if (op == s->wr && s->writable)
        try_writing(l, s);
}

static int open_socket(struct io_sock *s, const struct sockaddr *addr)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (addr->sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    s->fd = fd;
    return 0;
}

/* Connects first and registers then, so that no edge of the unconnected socket is seen. */
static int begin_connect(struct loop *l, struct io_sock *s, const struct sockaddr *addr,
                         socklen_t addr_len)
{
    int error = open_socket(s, addr);
    if (error)
        return error;
    int res = connect(s->fd, addr, addr_len) ? -errno : 0;
    s->connecting = res == -EINPROGRESS;
    s->writable = res == 0;
    if (res && !s->connecting)
        return res;
    return sock_open(l, s, s->fd) ? res : -errno;
}

static void start_connect(struct loop *l, struct io_op *op, const struct sockaddr *addr,
                          socklen_t addr_len)
{
    struct io_sock *s = op->sock;
    int res = begin_connect(l, s, addr, addr_len);
    if (s->connecting && res == -EINPROGRESS)
        return;
    if (res && s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
    io_finish(l, op, res);
}

static void cancel(struct loop *l, struct io_op *op)
{
    io_finish(l, op, -ECANCELED);
}

static void shut(struct loop *l, struct io_sock *s)
{
    (void)l;
    shutdown(s->fd, SHUT_WR);
}

static void set_reset(struct loop *l, struct io_sock *s)
{
    (void)l;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void on_edge(struct loop *l, struct io_sock *s, uint32_t events)
{
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->hangup = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        s->writable = true;
    if (s->rd && s->readable && !s->rd->starved)
        try_reading(l, s);
    if (s->wr && s->writable)
        try_writing(l, s);
}

static void wait_events(struct loop *l, int timeout_ms)
{
    struct epoll_event e[EVENTS_PER_WAIT];
    int n = epoll_wait(epoll_fd(l), e, EVENTS_PER_WAIT, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (i + 1 < n)
            prefetch_for_write(e[i + 1].data.ptr, OWNER_BYTES);
        if (e[i].data.ptr) /* NULL: the mailbox, which is looked at every tick */
            on_edge(l, e[i].data.ptr, e[i].events);
    }
}

const struct io_backend io_backend_epoll = {
    .name = "epoll",
    .has_pipes = true,
    .has_files = true,
    .open = backend_open,
    .close = backend_close,
    .clock = read_clock,
    .sock_open = sock_open,
    .sock_close = sock_close,
    .sock_detach = sock_detach,
    .sock_name = sock_name,
    .discard = discard,
    .start = start,
    .accept_next = accept_next,
    .connect = start_connect,
    .cancel = cancel,
    .shutdown = shut,
    .set_reset = set_reset,
    .wait = wait_events,
};
