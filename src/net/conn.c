/* conn.c - a stream connection: one recv and one send armed at most, output gathered in a ring.
 *
 * Everything the user hears comes from done() functions, never from inside a call; calls from the
 * user only record and arm. Output waits in a ring that is taken from the loop for as long as there
 * is any, so an idle connection is nothing but its struct. The receive size adapts: small buffers
 * for requests and short answers, large ones while reads fill their buffer, which turns a bulk
 * transfer into few system calls.
 *
 * Ends: die() is the only way to CONN_CLOSED; the reaper frees once no op is armed. Closing that
 * has to wait (output, or a peer that is still sending) carries its deadline in a conn_closing. */
// SPDX-License-Identifier: Apache-2.0
#include "net/conn.h"
#include "base/assert.h"
#include "io/file.h"
#include "net/conn_layer.h"
#include <errno.h>
#include <stdlib.h>

struct conn_out {
    size_t bytes;
    uint16_t first, count; /* ring of spans */
    struct span spans[CONN_OUT_SPANS];
    struct iovec iov[CONN_OUT_SPANS]; /* of the send in flight */
};

_Static_assert(sizeof(struct conn_out) <= LOOP_BLOCK_LARGE_BYTES,
               "an output ring is one loop block");
_Static_assert(sizeof(struct conn) <= 264, "an idle connection is to be small");

enum { BYTE_MS = 10 }; /* of time for a byte: 100 a second are fast enough */

struct conn_closing {
    struct timer timer;
    struct conn *conn;
    int64_t by_ms, limit_ms; /* when it is over; without progress */
    bool lingers;            /* after the output, until the peer ends, too */
};

static void on_received(struct io_op *op, int res);
static void on_sent(struct io_op *op, int res);
static void on_connected(struct io_op *op, int res);
static void on_flush(struct flush *f);
static void consume(struct conn *c, size_t n);
static bool dead_ready(struct dead *d);
static void dead_free(struct dead *d);

/* ---- plain: bytes go as they are ---- */

static void plain_recv(struct conn *c)
{
    c->recv_op.buf_size = c->big_reads ? BUF_LARGE : BUF_SMALL;
    io_recv(c->loop, &c->sock, &c->recv_op);
}

static bool is_kept_by_kernel(const struct span *s)
{
    return s->buf && (s->buf->size == BUF_PIPE || s->buf->size == BUF_FILE);
}

static void send_kept(struct conn *c, const struct span *s)
{
    if (s->buf->size == BUF_PIPE)
        io_send_pipe(c->loop, &c->sock, &c->send_op, s->buf, s->len);
    else
        io_send_file(c->loop, &c->sock, &c->send_op, s->buf, io_file_at(s), s->len);
}

/* One system call for what is in memory, one for each span of a pipe or a file. */
static void plain_send(struct conn *c)
{
    struct conn_out *o = c->out;
    const struct span *first = &o->spans[o->first];
    if (is_kept_by_kernel(first)) {
        send_kept(c, first);
        return;
    }
    int n = 0;
    for (; n < o->count; n++) {
        const struct span *s = &o->spans[(o->first + n) % CONN_OUT_SPANS];
        if (is_kept_by_kernel(s))
            break;
        o->iov[n] = (struct iovec){(void *)s->at, s->len};
    }
    c->send_op.more = n < o->count;
    io_send(c->loop, &c->sock, &c->send_op, o->iov, n);
}

static const struct conn_ops conn_plain = {"plain", plain_recv, plain_send, .takes_pipes = true};

/* ---- making one ---- */

static struct conn *conn_new(struct loop *l, const struct conn_user_ops *ops, void *user)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->loop = l;
    c->born_s = (uint32_t)(l->now_ms / 1000);
    c->ops = &conn_plain;
    c->user_ops = ops;
    c->user = user;
    c->sock.fd = -1;
    c->recv_op.done = on_received;
    c->send_op.done = on_sent;
    flush_init(&c->flush, on_flush);
    return c;
}

struct conn *conn_accept(struct loop *l, int fd, const struct conn_user_ops *ops, void *user)
{
    struct conn *c = conn_new(l, ops, user);
    if (c && io_sock_open(l, &c->sock, fd)) {
        c->state = CONN_OPEN;
        return c;
    }
    free(c);
    io_discard(l, fd);
    return NULL;
}

struct conn *conn_connect(struct loop *l, const struct addr *to, const struct conn_user_ops *ops,
                          void *user)
{
    struct conn *c = conn_new(l, ops, user);
    if (!c)
        return NULL;
    c->state = CONN_CONNECTING;
    c->send_op.done = on_connected;
    io_connect(l, &c->sock, &c->send_op, &to->sa, to->len);
    return c;
}

void conn_set_user(struct conn *c, const struct conn_user_ops *ops, void *user)
{
    c->user_ops = ops;
    c->user = user;
}

/* ---- the end ---- */

static void give_out_back(struct conn *c)
{
    struct conn_out *o = c->out;
    if (!o)
        return;
    for (; o->count; o->count--) {
        span_drop(o->spans[o->first]);
        o->first = (o->first + 1) % CONN_OUT_SPANS;
    }
    loop_block_give(c->loop, LOOP_BLOCK_LARGE, o);
    c->out = NULL;
}

static void end_closing(struct conn *c)
{
    if (!c->closing)
        return;
    timer_stop(&c->loop->timers, &c->closing->timer);
    free(c->closing);
    c->closing = NULL;
}

static void die(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    c->state = CONN_CLOSED;
    flush_cancel(&c->flush);
    end_closing(c);
    io_cancel(c->loop, &c->recv_op);
    io_cancel(c->loop, &c->send_op);
    c->dead = (struct dead){.ready = dead_ready, .free = dead_free};
    dead_add(c->loop, &c->dead);
}

static bool dead_ready(struct dead *d)
{
    struct conn *c = CONTAINER_OF(d, struct conn, dead);
    return !c->recv_op.armed && !c->send_op.armed;
}

static void dead_free(struct dead *d)
{
    struct conn *c = CONTAINER_OF(d, struct conn, dead);
    io_sock_close(c->loop, &c->sock);
    give_out_back(c);
    if (c->layer)
        c->ops->release(c);
    if (c->guest)
        c->guest->freed(c->guest);
    free(c);
}

/* Tells the user once; with nobody to tell it just ends. */
static void fail(struct conn *c, enum err e)
{
    if (c->err)
        return;
    c->err = (uint8_t)e;
    c->recv_wanted = false;
    if (c->state == CONN_CLOSING) {
        die(c);
        return;
    }
    io_cancel(c->loop, &c->recv_op);
    flush_cancel(&c->flush);
    if (!c->send_op.armed)
        give_out_back(c);
    c->user_ops->on_error(c, e);
}

/* A file that changed or can not be read is not the peer's fault. */
static enum err send_err(int res)
{
    return res == -ESTALE ? ERR_FILE_CHANGED : res == -EIO ? ERR_IO : ERR_CLIENT_RESET;
}

/* What the peer sent before it refused more, an early answer, is still to be had. */
static void send_fail(struct conn *c, int res)
{
    c->send_failed = true;
    if (c->state == CONN_CONNECTING)
        return; /* a layer's handshake: what is received tells why */
    bool peer_refused = res == -EPIPE || res == -ECONNRESET; /* else it may say nothing at all */
    if (c->state == CONN_CLOSING || c->eof_seen || !c->user_ops->on_send_error || !peer_refused) {
        fail(c, send_err(res));
        return;
    }
    c->fin_first = res == -EPIPE; /* tcp(7): else the kernel says ECONNRESET */
    flush_cancel(&c->flush);
    give_out_back(c);
    c->user_ops->on_send_error(c);
}

static enum err connect_err(int res)
{
    switch (-res) {
    case 0: return ERR_OK;
    case ECONNREFUSED:
    case ENOENT: return ERR_CONNECT_REFUSED; /* ENOENT: no unix socket there */
    case ETIMEDOUT: return ERR_CONNECT_TIMEOUT;
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTORS;
    case ENOMEM: return ERR_NO_MEMORY;
    default: return ERR_CONNECT_FAILED;
    }
}

static void open_now(struct conn *c, enum err e)
{
    c->state = CONN_OPEN;
    if (e) {
        c->err = (uint8_t)e;
        give_out_back(c);
    } else {
        flush_later(c->loop, &c->flush);
        if (c->recv_wanted)
            c->ops->start_recv(c);
    }
    c->user_ops->on_open(c, e);
}

static void on_connected(struct io_op *op, int res)
{
    struct conn *c = CONTAINER_OF(op, struct conn, send_op);
    if (c->state == CONN_CLOSED)
        return;
    c->send_op.done = on_sent;
    open_now(c, connect_err(res < 0 ? res : 0));
}

/* ---- receiving ---- */

void conn_recv(struct conn *c)
{
    if (c->recv_wanted || c->eof_seen || c->err || c->state >= CONN_CLOSING)
        return;
    c->recv_wanted = true;
    if (c->state == CONN_OPEN)
        c->ops->start_recv(c);
}

void conn_expect_small(struct conn *c)
{
    c->big_reads = false;
}

bool conn_takes_pipes(const struct conn *c)
{
    return c->ops->takes_pipes;
}

bool conn_recv_pipe(struct conn *c, struct buf **pipe, uint64_t max)
{
    if (c->recv_op.armed || c->eof_seen || c->err || c->state != CONN_OPEN || !c->ops->takes_pipes)
        return false;
    if (!*pipe)
        *pipe = io_pipe_take(c->loop);
    if (!*pipe)
        return false;
    c->recv_wanted = true;
    conn_expect_small(c); /* what comes after a body is a head */
    io_recv_pipe(c->loop, &c->sock, &c->recv_op, buf_ref(*pipe),
                 max < PIPE_RECV_BYTES ? (size_t)max : PIPE_RECV_BYTES);
    return true;
}

bool conn_recv_armed(const struct conn *c)
{
    return c->recv_wanted;
}

int64_t conn_age_ms(const struct conn *c)
{
    return (int64_t)((uint32_t)(c->loop->now_ms / 1000) - c->born_s) * 1000;
}

static bool nothing_to_send(const struct conn *c)
{
    return !c->out && !c->layer_unsent && !c->send_op.armed;
}

/* Lingering: what still comes is dropped, its end is what we wait for. */
static void drop_received(struct conn *c, int res)
{
    if (!c->closing || !c->closing->lingers)
        return;
    if (res > 0) {
        plain_recv(c); /* nobody looks at what it says */
        return;
    }
    c->eof_seen = true;
    if (res < 0 || nothing_to_send(c))
        die(c);
}

static void on_received(struct io_op *op, int res)
{
    struct conn *c = CONTAINER_OF(op, struct conn, recv_op);
    struct buf *b = res > 0 ? op->buf : NULL;
    if (op->kind == IO_RECV_PIPE && !b)
        buf_drop(op->buf);
    if (c->state >= CONN_CLOSING || c->err) {
        if (b)
            buf_drop(b);
        if (c->state == CONN_CLOSING)
            drop_received(c, res);
        return;
    }
    /* The next read is as large as this one would have liked to be. */
    if (b)
        c->big_reads = op->kind == IO_RECV && res >= BUF_SMALL_BYTES;
    if (b && c->guest)
        c->guest->bytes_in += (size_t)res;
    if (c->layer) {
        c->ops->received(c, b, res);
        return;
    }
    c->recv_wanted = false;
    if (b) {
        if (op->kind == IO_RECV_PIPE)
            counter_add(c->loop->counters, METRIC_BYTES_SPLICED, res);
        c->user_ops->on_data(c, (struct span){b, b->bytes, (size_t)res});
    } else if (res == 0 && (!c->send_failed || c->fin_first)) {
        c->eof_seen = true;
        c->user_ops->on_eof(c);
    } else { /* with 0 the failed write has told of the reset before */
        fail(c, res == -ENOMEM ? ERR_NO_MEMORY : ERR_CLIENT_RESET);
    }
}

/* ---- sending ---- */

static struct conn_out *take_out(struct conn *c)
{
    c->out = loop_block_take(c->loop, LOOP_BLOCK_LARGE);
    if (c->out)
        c->out->bytes = c->out->first = c->out->count = 0;
    return c->out;
}

/* Lengthens the last span when `s` goes on where it ends: a head and a small body are one piece. */
static bool join_last(struct conn_out *o, struct span s)
{
    if (o->count == 0 || !s.buf || s.buf->size > BUF_LARGE)
        return false;
    struct span *last = &o->spans[(o->first + o->count - 1) % CONN_OUT_SPANS];
    if (last->buf != s.buf || last->at + last->len != s.at)
        return false;
    last->len += s.len;
    span_drop(s);
    return true;
}

enum err conn_write(struct conn *c, struct span s)
{
    ASSERT(c->state <= CONN_OPEN);
    if (c->err || c->send_failed)
        return ERR_CLIENT_RESET;
    struct conn_out *o = c->out ? c->out : take_out(c);
    if (!o)
        return ERR_NO_MEMORY;
    size_t len = s.len;
    if (!join_last(o, s)) {
        if (o->count == CONN_OUT_SPANS)
            return ERR_OVER_LIMIT;
        o->spans[(o->first + o->count++) % CONN_OUT_SPANS] = s;
    }
    o->bytes += len;
    flush_later(c->loop, &c->flush);
    return ERR_OK;
}

size_t conn_out_bytes(const struct conn *c)
{
    return c->out ? c->out->bytes : 0;
}

int conn_out_room(const struct conn *c)
{
    return c->out ? CONN_OUT_SPANS - c->out->count : CONN_OUT_SPANS;
}

static bool has_room(const struct conn *c)
{
    return conn_out_bytes(c) <= CONN_OUT_LOW_BYTES && conn_out_room(c) >= CONN_OUT_SPANS / 2;
}

static void tell_room(struct conn *c)
{
    if (!c->room_wanted || c->err || c->send_failed || c->state != CONN_OPEN || !has_room(c))
        return;
    c->room_wanted = false;
    c->user_ops->on_room(c);
}

void conn_want_room(struct conn *c)
{
    c->room_wanted = true;
    if (c->state == CONN_OPEN && has_room(c))
        flush_later(c->loop, &c->flush);
}

/* The output is out: what waited for that? */
static void settle(struct conn *c)
{
    if (c->state == CONN_CONNECTING)
        return;
    if (c->layer && (c->shutdown_wanted || c->closing) && !c->ops->end_output(c)) {
        flush_later(c->loop, &c->flush);
        return;
    }
    if (c->shutdown_wanted) {
        c->shutdown_wanted = false;
        io_shutdown(c->loop, &c->sock);
    }
    if (c->closing && (!c->closing->lingers || c->eof_seen))
        die(c);
}

static void on_flush(struct flush *f)
{
    struct conn *c = CONTAINER_OF(f, struct conn, flush);
    if (c->state == CONN_CONNECTING || c->send_op.armed)
        return; /* its done() goes on */
    if (c->out || c->layer_unsent)
        c->ops->start_send(c);
    else
        settle(c);
    tell_room(c);
}

static void consume(struct conn *c, size_t n)
{
    struct conn_out *o = c->out;
    o->bytes -= n;
    while (o->count && n >= o->spans[o->first].len) {
        n -= o->spans[o->first].len;
        span_drop(o->spans[o->first]);
        o->first = (o->first + 1) % CONN_OUT_SPANS;
        o->count--;
    }
    if (n) {
        o->spans[o->first].at += n;
        o->spans[o->first].len -= n;
    }
    if (!o->count)
        give_out_back(c);
}

/* A slow peer that still takes bytes gets all of them, but each buys only so much time: one at a
 * time does not hold a connection for ever. */
static void closing_goes_on(struct conn *c, size_t sent)
{
    struct conn_closing *k = c->closing;
    if (!k)
        return;
    int64_t most_ms = c->loop->now_ms + k->limit_ms, by_ms = k->by_ms + (int64_t)sent * BYTE_MS;
    k->by_ms = by_ms < most_ms ? by_ms : most_ms;
    timer_set(&c->loop->timers, &k->timer, k->by_ms);
}

static void on_sent(struct io_op *op, int res)
{
    struct conn *c = CONTAINER_OF(op, struct conn, send_op);
    if (c->state == CONN_CLOSED || c->err) {
        give_out_back(c);
        return;
    }
    if (res < 0) {
        send_fail(c, res);
        return;
    }
    c->bytes_out += (size_t)res;
    if (op->kind == IO_SEND_FILE)
        counter_add(c->loop->counters, METRIC_FILE_BYTES, res);
    if (c->layer)
        c->ops->sent(c, (size_t)res);
    else
        consume(c, (size_t)res);
    if (c->state == CONN_CLOSED || c->err)
        return; /* the layer was through with it */
    closing_goes_on(c, (size_t)res);
    if (c->out || c->layer_unsent)
        flush_later(c->loop, &c->flush);
    else
        settle(c);
    tell_room(c);
}

/* ---- closing ---- */

void conn_shutdown(struct conn *c)
{
    if (c->err || c->send_failed || c->state >= CONN_CLOSING)
        return;
    c->shutdown_wanted = true;
    if (c->state == CONN_OPEN && nothing_to_send(c))
        settle(c);
}

static void on_deadline(struct timer *t)
{
    conn_abort(CONTAINER_OF(t, struct conn_closing, timer)->conn);
}

/* False: no memory to wait with, so it was aborted. */
static bool begin_closing(struct conn *c, int64_t deadline_ms, bool lingers)
{
    c->closing = malloc(sizeof(*c->closing));
    if (!c->closing) {
        conn_abort(c);
        return false;
    }
    c->state = CONN_CLOSING;
    c->closing->conn = c;
    c->closing->by_ms = deadline_ms;
    c->closing->limit_ms = deadline_ms - c->loop->now_ms;
    c->closing->lingers = lingers;
    timer_init(&c->closing->timer, on_deadline);
    timer_set(&c->loop->timers, &c->closing->timer, deadline_ms);
    return true;
}

/* No layer has a last word to say. */
static bool has_ended(struct conn *c)
{
    if (!c->layer || c->ops->end_output(c))
        return true;
    flush_later(c->loop, &c->flush);
    return false;
}

void conn_close_by(struct conn *c, int64_t deadline_ms)
{
    if (c->state >= CONN_CLOSING)
        return;
    if (c->state == CONN_CONNECTING || c->err || c->send_failed ||
        (nothing_to_send(c) && has_ended(c)))
        die(c);
    else if (begin_closing(c, deadline_ms, false))
        io_cancel(c->loop, &c->recv_op);
}

void conn_linger(struct conn *c, int64_t deadline_ms)
{
    if (c->state != CONN_OPEN || c->err || c->send_failed || c->eof_seen) {
        conn_close_by(c, deadline_ms);
        return;
    }
    if (!begin_closing(c, deadline_ms, true))
        return;
    c->shutdown_wanted = true;
    if (!c->recv_op.armed)
        plain_recv(c);
    if (nothing_to_send(c))
        settle(c);
}

void conn_abort(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    if (c->out || c->layer_unsent)
        io_set_reset(c->loop, &c->sock);
    die(c);
}

void conn_set_reset(struct conn *c)
{
    if (c->state != CONN_CLOSED)
        io_set_reset(c->loop, &c->sock);
}

void conn_reset(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    conn_set_reset(c);
    die(c);
}

/* ---- for layers ---- */

void conn_layer_set(struct conn *c, const struct conn_ops *ops, void *layer)
{
    ASSERT(c->state == CONN_OPEN && !c->layer && !c->send_op.armed);
    c->ops = ops;
    c->layer = layer;
    c->state = CONN_CONNECTING;
}

void conn_layer_open(struct conn *c, enum err e)
{
    ASSERT(c->state == CONN_CONNECTING);
    open_now(c, e);
}

void conn_layer_recv(struct conn *c)
{
    plain_recv(c);
}

void conn_layer_send(struct conn *c, const struct iovec *iov, int iov_count)
{
    c->send_op.more = false;
    io_send(c->loop, &c->sock, &c->send_op, iov, iov_count);
}

void conn_layer_flush(struct conn *c)
{
    c->layer_unsent = true;
    if (c->state != CONN_CLOSED && !c->err && !c->send_failed)
        flush_later(c->loop, &c->flush);
}

void conn_layer_data(struct conn *c, struct span s)
{
    c->recv_wanted = false;
    c->user_ops->on_data(c, s);
}

void conn_layer_eof(struct conn *c)
{
    c->recv_wanted = false;
    c->eof_seen = true;
    c->user_ops->on_eof(c);
}

void conn_layer_fail(struct conn *c, enum err e)
{
    fail(c, e);
}

bool conn_layer_peek(const struct conn *c, int i, struct slice *out)
{
    const struct conn_out *o = c->out;
    if (!o || i >= o->count)
        return false;
    *out = span_slice(o->spans[(o->first + i) % CONN_OUT_SPANS]);
    return true;
}

void conn_layer_consume(struct conn *c, size_t n)
{
    consume(c, n);
}

/* ---- addresses ---- */

static void ask(struct conn *c, enum io_end end, struct addr *to)
{
    struct io_name name;
    to->len = 0;
    if (c->sock.fd < 0 || !io_sock_name(c->loop, &c->sock, end, &name))
        return;
    to->len = name.len < sizeof(to->un) ? name.len : sizeof(to->un);
    memcpy(&to->sa, &name.at, to->len);
    addr_unmap(to);
}

void conn_remote(struct conn *c, struct addr *to)
{
    if (c->remote.family == AF_UNSPEC) {
        ask(c, IO_REMOTE, to);
        addr_pack(&c->remote, to);
    }
    addr_unpack(to, &c->remote);
}

void conn_local(struct conn *c, struct addr *to)
{
    ask(c, IO_LOCAL, to);
}
