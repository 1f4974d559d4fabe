/* io.c - what all backends share: ops are armed here, their results queue up in the loop, and
 * io_tick() and io_settle() alone run done().
 *
 * Results that come up while done() runs (a recv that continues at once, for example) are run in
 * the same tick for IO_ROUNDS rounds, so that a large body is gathered into one send; after that
 * they wait for the next tick, and the others get their turn. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "io/backend.h"
#include "io/file.h"
#include <errno.h>

enum { IO_ROUNDS = 4 };

bool io_sock_open(struct loop *l, struct io_sock *s, int fd)
{
    *s = (struct io_sock){.fd = fd, .writable = true};
    if (l->backend->sock_open(l, s, fd))
        return true;
    s->fd = -1;
    return false;
}

void io_sock_close(struct loop *l, struct io_sock *s)
{
    ASSERT(!s->rd && !s->wr);
    if (s->fd < 0)
        return;
    l->backend->sock_close(l, s);
    s->fd = -1;
}

void io_sock_detach(struct loop *l, struct io_sock *s)
{
    ASSERT(!s->rd && !s->wr);
    if (s->fd < 0)
        return;
    l->backend->sock_detach(l, s);
    s->fd = -1;
}

void io_discard(struct loop *l, int fd)
{
    l->backend->discard(l, fd);
}

bool io_sock_name(struct loop *l, const struct io_sock *s, enum io_end end, struct io_name *out)
{
    return l->backend->sock_name(l, s, end, out);
}

static void arm(struct io_sock *s, struct io_op *op, enum io_kind kind)
{
    ASSERT(!op->armed);
    op->sock = s;
    op->kind = (uint8_t)kind;
    op->armed = true;
    op->canceled = op->queued = op->starved = false;
}

static void start_reading(struct loop *l, struct io_sock *s, struct io_op *op, enum io_kind kind)
{
    ASSERT(!s->rd);
    arm(s, op, kind);
    s->rd = op;
    l->backend->start(l, op);
}

static void start_writing(struct loop *l, struct io_sock *s, struct io_op *op, enum io_kind kind)
{
    ASSERT(!s->wr);
    arm(s, op, kind);
    s->wr = op;
    l->backend->start(l, op);
}

void io_recv(struct loop *l, struct io_sock *s, struct io_op *op)
{
    op->buf = NULL;
    start_reading(l, s, op, IO_RECV);
}

void io_send(struct loop *l, struct io_sock *s, struct io_op *op, const struct iovec *iov,
             int iov_count)
{
    op->iov = iov;
    op->iov_count = (uint16_t)iov_count;
    start_writing(l, s, op, IO_SEND);
}

void io_recv_pipe(struct loop *l, struct io_sock *s, struct io_op *op, struct buf *pipe, size_t max)
{
    op->buf = pipe;
    io_pipe_of(pipe)->recv_max = max;
    start_reading(l, s, op, IO_RECV_PIPE);
}

void io_send_pipe(struct loop *l, struct io_sock *s, struct io_op *op, struct buf *pipe, size_t len)
{
    op->buf = pipe;
    io_pipe_of(pipe)->send_max = len;
    start_writing(l, s, op, IO_SEND_PIPE);
}

void io_send_file(struct loop *l, struct io_sock *s, struct io_op *op, struct buf *file,
                  uint64_t at, size_t len)
{
    op->buf = file;
    io_file_of(file)->send_at = at;
    io_file_of(file)->send_len = len;
    start_writing(l, s, op, IO_SEND_FILE);
}

void io_accept(struct loop *l, struct io_sock *s, struct io_op *op)
{
    s->shared = true;
    start_reading(l, s, op, IO_ACCEPT);
}

int io_accept_next(struct loop *l, struct io_sock *s)
{
    return l->backend->accept_next(l, s);
}

void io_connect(struct loop *l, struct io_sock *s, struct io_op *op, const struct sockaddr *addr,
                socklen_t addr_len)
{
    *s = (struct io_sock){.fd = -1};
    arm(s, op, IO_CONNECT);
    s->wr = op;
    l->backend->connect(l, op, addr, addr_len);
}

void io_poll_in(struct loop *l, struct io_sock *s, struct io_op *op)
{
    s->shared = true;
    start_reading(l, s, op, IO_POLL_IN);
}

void io_poll_out(struct loop *l, struct io_sock *s, struct io_op *op)
{
    s->shared = true;
    start_writing(l, s, op, IO_POLL_OUT);
}

void io_cancel(struct loop *l, struct io_op *op)
{
    if (!op->armed || op->canceled || op->queued)
        return;
    op->canceled = true;
    l->backend->cancel(l, op);
}

void io_shutdown(struct loop *l, struct io_sock *s)
{
    if (s->fd >= 0)
        l->backend->shutdown(l, s);
}

void io_set_reset(struct loop *l, struct io_sock *s)
{
    if (s->fd >= 0)
        l->backend->set_reset(l, s);
}

static void queue_result(struct loop *l, struct io_op *op)
{
    op->next = NULL;
    *l->done_tail = op;
    l->done_tail = &op->next;
}

void io_finish(struct loop *l, struct io_op *op, int res)
{
    ASSERT(op->armed && !op->queued);
    if (op->starved) {
        list_remove(&op->starved_link);
        op->starved = false;
    }
    if (op->kind == IO_RECV_PIPE)
        io_pipe_of(op->buf)->waits = NULL;
    if (op->kind == IO_SEND_FILE)
        io_file_settle(io_file_of(op->buf));
    if (op->sock->rd == op)
        op->sock->rd = NULL;
    else if (op->sock->wr == op)
        op->sock->wr = NULL;
    op->res = res;
    op->queued = true;
    l->found++;
    queue_result(l, op);
}

void io_starve(struct loop *l, struct io_op *op)
{
    if (op->starved)
        return;
    op->starved = true;
    list_push(&l->starved, &op->starved_link);
}

struct buf *io_recv_buf(struct loop *l, struct io_op *op)
{
    enum buf_size size = buf_pool_is_tight(&l->bufs) ? BUF_SMALL : (enum buf_size)op->buf_size;
    struct buf *b = buf_take(&l->bufs, size);
    if (!b && size != BUF_SMALL)
        b = buf_take(&l->bufs, BUF_SMALL); /* better a small piece than none */
    if (!b)
        io_starve(l, op);
    return b;
}

bool io_can_feed_starved(const struct loop *l)
{
    return !list_empty(&l->starved) && l->bufs.held_bytes + BUF_SMALL_BYTES <= l->bufs.cap_bytes;
}

/* In the order in which they began to wait, each once, as long as there is room. */
static void feed_starved(struct loop *l)
{
    struct list *last = l->starved.prev, *it;
    do {
        it = l->starved.next;
        struct io_op *op = LIST_ENTRY(it, struct io_op, starved_link);
        list_remove(it);
        op->starved = false;
        l->backend->start(l, op);
    } while (it != last && io_can_feed_starved(l));
}

static struct io_op *take_results(struct loop *l)
{
    struct io_op *first = l->done_head;
    l->done_head = NULL;
    l->done_tail = &l->done_head;
    return first;
}

static void run_done(struct io_op *op)
{
    op->armed = op->queued = false;
    op->done(op, op->res);
}

static void run_results(struct loop *l)
{
    struct io_op *next;
    for (struct io_op *op = take_results(l); op; op = next) {
        next = op->next; /* done() may arm the op again */
        run_done(op);
    }
}

/* Receives and accepts have had their turns in this tick: the others' come first. */
void io_settle(struct loop *l)
{
    struct io_op *next;
    for (struct io_op *op = take_results(l); op; op = next) {
        next = op->next;
        if (op->kind == IO_SEND || op->kind == IO_SEND_PIPE || op->kind == IO_SEND_FILE)
            run_done(op);
        else
            queue_result(l, op);
    }
}

/* The clock is read only after a look at the kernel: no news are newer than that. */
void io_tick(struct loop *l, int timeout_ms)
{
    if (io_can_feed_starved(l))
        feed_starved(l);
    if (timeout_ms >= 0) {
        l->found = 0;
        l->backend->wait(l, timeout_ms);
        l->backend->clock(l);
        l->crowded_looks = l->found >= LOOP_CROWD ? l->crowded_looks + 1 : 0;
    }
    for (int round = 0; l->done_head && round < IO_ROUNDS; round++)
        run_results(l);
}
