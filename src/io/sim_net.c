/* sim_net.c - the simulated network: ends, what travels between them, and when it arrives.
 *
 * Everything that takes time is a segment in the queue of the end it goes to, plus an event that
 * pokes that end when the segment is due. A poke looks at the whole end again: what arrived, which
 * armed op can finish. So an event carries no more than a number, and one that comes too late (the
 * end was closed) does no harm. All chance comes from the net's generator: the same seed, the same
 * run. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/mem.h"
#include "io/backend.h"
#include "io/sim_priv.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_DEFAULT_BYTES = 65536, PARTS_MAX = 4, OP_DELAY_MAX_NS = 30000 };

static void poke(struct sim_end *e);

bool sim_chance(struct sim_net *n, unsigned per_thousand)
{
    return per_thousand && rand_below(&n->rand, 1000) < per_thousand;
}

static int64_t some_ns(struct sim_net *n, int64_t max_ns)
{
    return 1 + rand_below(&n->rand, (uint32_t)max_ns);
}

void sim_note(struct sim_net *n, int fd, const char *what, int64_t value)
{
    uint64_t parts[] = {(uint64_t)n->now_ns, (uint64_t)fd,
                        (uint64_t)what[0] << 8 | (uint8_t)what[1], (uint64_t)value};
    for (size_t i = 0; i < COUNT_OF(parts); i++) /* FNV-1a, by words */
        n->hash = (n->hash ^ parts[i]) * 0x100000001b3u;
    if (n->tracing)
        fprintf(stderr, "sim %lld.%06lld ms  %d %s %lld\n", (long long)(n->now_ns / 1000000),
                (long long)(n->now_ns % 1000000), fd - SIM_FD_BASE, what, (long long)value);
}

/* ---- events: a binary heap by time, then by age ---- */

static bool sooner(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static void swap_events(struct sim_event *a, struct sim_event *b)
{
    struct sim_event t = *a;
    *a = *b;
    *b = t;
}

void sim_event_add(struct sim_net *n, int fd, int64_t at_ns)
{
    if (n->event_count == n->event_cap) {
        n->event_cap = n->event_cap ? n->event_cap * 2 : 64;
        n->events = mem_grow(n->events, n->event_cap * sizeof(*n->events));
    }
    size_t i = n->event_count++;
    n->events[i] = (struct sim_event){at_ns, n->event_seq++, fd};
    for (; i && sooner(&n->events[i], &n->events[(i - 1) / 2]); i = (i - 1) / 2)
        swap_events(&n->events[i], &n->events[(i - 1) / 2]);
}

static struct sim_event event_pop(struct sim_net *n)
{
    struct sim_event first = n->events[0];
    n->events[0] = n->events[--n->event_count];
    for (size_t i = 0, child; (child = 2 * i + 1) < n->event_count; i = child) {
        if (child + 1 < n->event_count && sooner(&n->events[child + 1], &n->events[child]))
            child++;
        if (!sooner(&n->events[child], &n->events[i]))
            break;
        swap_events(&n->events[i], &n->events[child]);
    }
    return first;
}

uint64_t sim_events_run(struct sim_net *n)
{
    uint64_t count = 0;
    for (; n->event_count && n->events[0].at_ns <= n->now_ns; count++) {
        struct sim_end *e = sim_end_find(n, event_pop(n).fd);
        if (e)
            poke(e);
    }
    return count;
}

/* ---- ends ---- */

struct sim_end *sim_end_new(struct sim_net *n)
{
    struct sim_end *e = MEM_NEW(struct sim_end);
    e->net = n;
    e->in_tail = &e->in;
    e->fd = SIM_FD_BASE + n->end_count;
    e->peer_fd = -1;
    n->ends = mem_grow(n->ends, sizeof(*n->ends) * (size_t)(n->end_count + 1));
    n->ends[n->end_count++] = e;
    n->open_count++;
    return e;
}

struct sim_end *sim_end_find(const struct sim_net *n, int fd)
{
    int i = fd - SIM_FD_BASE;
    return i >= 0 && i < n->end_count ? n->ends[i] : NULL;
}

/* Queues a segment behind what is on its way already and sets its event. */
static void post(struct sim_end *to, struct sim_seg *seg)
{
    struct sim_net *n = to->net;
    int64_t at_ns = n->now_ns + some_ns(n, SIM_LATENCY_MAX_NS);
    if (seg->kind == SIM_DATA && sim_chance(n, n->faults.delay))
        at_ns += some_ns(n, n->faults.delay_max_ms) * 1000000;
    seg->at_ns = at_ns > to->in_last_ns ? at_ns : to->in_last_ns + 1;
    to->in_last_ns = seg->at_ns;
    *to->in_tail = seg;
    to->in_tail = &seg->next;
    sim_event_add(n, to->fd, seg->at_ns);
}

static void post_mark(struct sim_end *to, enum sim_seg_kind kind, int fd)
{
    struct sim_seg *seg = mem_new(sizeof(*seg));
    seg->kind = kind;
    seg->fd = fd;
    post(to, seg);
}

/* A listener of this address; of several (one per worker) any. */
static struct sim_end *listener_find(struct sim_net *n, const struct sockaddr *addr, socklen_t len)
{
    struct sim_end *found = NULL;
    unsigned count = 0;
    for (int i = 0; i < n->end_count; i++) {
        struct sim_end *e = n->ends[i];
        if (!e || !e->listening || e->addr_len != len || memcmp(&e->local, addr, len))
            continue;
        if (rand_below(&n->rand, ++count) == 0)
            found = e;
    }
    return found;
}

static void set_client_addr(struct sim_end *e, struct sockaddr_storage *to)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in.sin_port = htons((uint16_t)(20000 + (e->fd - SIM_FD_BASE) % 40000));
    memcpy(to, &in, sizeof(in));
}

struct sim_end *sim_end_call(struct sim_end *from, const struct sockaddr *to, socklen_t len)
{
    struct sim_net *n = from->net;
    struct sim_end *listener = listener_find(n, to, len);
    set_client_addr(from, &from->local);
    memcpy(&from->remote, to, len);
    from->addr_len = sizeof(struct sockaddr_in);
    if (!listener || sim_chance(n, n->faults.refuse))
        return NULL;
    struct sim_end *e = sim_end_new(n);
    e->local = listener->local;
    e->remote = from->local;
    e->addr_len = listener->addr_len;
    e->peer_fd = from->fd;
    from->peer_fd = e->fd;
    post_mark(listener, SIM_CALL, e->fd);
    return e;
}

/* What is on its way and was not yet received is lost when the sender resets. */
static void drop_in(struct sim_end *e)
{
    while (e->in) {
        struct sim_seg *seg = e->in;
        e->in = seg->next;
        e->in_bytes -= seg->len;
        if (seg->kind == SIM_CALL && sim_end_find(e->net, seg->fd))
            sim_end_close(sim_end_find(e->net, seg->fd));
        free(seg);
    }
    e->in_tail = &e->in;
}

static void tell_peer_of_close(struct sim_end *e)
{
    struct sim_end *peer = sim_end_find(e->net, e->peer_fd);
    bool never_adopted = !e->loop;
    if (!peer || e->reset)
        return;
    if (e->reset_on_close || e->in_bytes || never_adopted) {
        if (sim_chance(e->net, 500))
            drop_in(peer);
        post_mark(peer, SIM_RST, -1);
    } else if (!e->shut) {
        post_mark(peer, SIM_FIN, -1);
    }
}

void sim_end_close(struct sim_end *e)
{
    struct sim_net *n = e->net;
    sim_note(n, e->fd, "close", (int64_t)e->in_bytes);
    tell_peer_of_close(e);
    for (size_t i = 0; i < e->call_count; i++) {
        struct sim_end *waiting = sim_end_find(n, e->calls[i]);
        if (waiting)
            sim_end_close(waiting);
    }
    n->ends[e->fd - SIM_FD_BASE] = NULL;
    n->open_count--;
    drop_in(e);
    free(e->calls);
    free(e->data);
    free(e);
}

void sim_end_shutdown(struct sim_end *e)
{
    struct sim_end *peer = sim_end_find(e->net, e->peer_fd);
    if (e->shut)
        return;
    e->shut = true;
    sim_note(e->net, e->fd, "shutdown", 0);
    if (peer)
        post_mark(peer, SIM_FIN, -1);
}

/* ---- sending ---- */

void sim_end_hold(struct sim_end *e, int res, int64_t max_ns)
{
    e->wr_held = true;
    e->wr_res = res;
    e->wr_due_ns = e->net->now_ns + some_ns(e->net, max_ns);
    sim_event_add(e->net, e->fd, e->wr_due_ns);
}

static void finish_write(struct sim_end *e)
{
    e->wr_held = false;
    sim_note(e->net, e->fd, e->sock->wr->kind == IO_CONNECT ? "connected" : "sent", e->wr_res);
    io_finish(e->loop, e->sock->wr, e->wr_res);
}

/* Copies `len` bytes of the op's vector, from byte `from` on. */
static void gather(char *to, const struct io_op *op, size_t from, size_t len)
{
    for (int i = 0; i < op->iov_count && len; i++) {
        size_t have = op->iov[i].iov_len;
        if (from >= have) {
            from -= have;
            continue;
        }
        size_t n = have - from < len ? have - from : len;
        memcpy(to, (const char *)op->iov[i].iov_base + from, n);
        to += n;
        len -= n;
        from = 0;
    }
}

static size_t op_bytes(const struct io_op *op)
{
    size_t sum = 0;
    if (op->kind == IO_SEND_PIPE)
        return sim_pipe_bytes(op);
    for (int i = 0; i < op->iov_count; i++)
        sum += op->iov[i].iov_len;
    return sum;
}

/* Sends `len` bytes as one segment, or split in up to PARTS_MAX. */
static void post_data(struct sim_end *to, const struct io_op *op, size_t len)
{
    struct sim_net *n = to->net;
    size_t from = 0;
    for (int part = 1; from < len; part++) {
        size_t cut = len - from;
        if (cut > 1 && part < PARTS_MAX && sim_chance(n, n->faults.split))
            cut = 1 + rand_below(&n->rand, (uint32_t)cut);
        struct sim_seg *seg = mem_new(sizeof(*seg) + cut);
        seg->kind = SIM_DATA;
        seg->len = cut;
        if (op->kind == IO_SEND_PIPE)
            sim_pipe_take(op, seg->bytes, cut);
        else
            gather(seg->bytes, op, from, cut);
        to->in_bytes += cut;
        post(to, seg);
        from += cut;
    }
}

static size_t window_room(const struct sim_end *peer)
{
    size_t window = peer->net->faults.window_bytes;
    if (!window)
        window = WINDOW_DEFAULT_BYTES;
    return peer->in_bytes < window ? window - peer->in_bytes : 0;
}

/* How much of `len` bytes the network takes now. */
static size_t take_some(struct sim_end *e, struct sim_end *peer, size_t len)
{
    struct sim_net *n = e->net;
    size_t room = window_room(peer);
    if (len > room)
        len = room;
    if (len > 1 && sim_chance(n, n->faults.short_write))
        len = 1 + rand_below(&n->rand, (uint32_t)len);
    return len;
}

static void write_done(struct sim_end *e, int res)
{
    if (sim_chance(e->net, 500)) {
        sim_end_hold(e, res, OP_DELAY_MAX_NS);
        return;
    }
    e->wr_res = res;
    finish_write(e);
}

static void reset_both(struct sim_end *e, struct sim_end *peer)
{
    sim_note(e->net, e->fd, "fault reset", 0);
    post_mark(peer, SIM_RST, -1);
    post_mark(e, SIM_RST, -1);
}

/* The own kernel takes it all; the other side, which is gone, will answer with a reset. */
static void send_to_nobody(struct sim_end *e, size_t len)
{
    char lost[4096];
    struct io_op *op = e->sock->wr;
    for (size_t at = 0, n; op->kind == IO_SEND_PIPE && at < len; at += n) {
        n = len - at < sizeof(lost) ? len - at : sizeof(lost);
        sim_pipe_take(op, lost, n);
    }
    post_mark(e, SIM_RST, -1);
    write_done(e, (int)len);
}

static void try_send_some(struct sim_end *e)
{
    struct sim_net *n = e->net;
    struct sim_end *peer = sim_end_find(n, e->peer_fd);
    size_t len = op_bytes(e->sock->wr);
    if (e->reset || e->shut) {
        write_done(e, e->reset ? -ECONNRESET : -EPIPE);
        return;
    }
    if (!peer) {
        send_to_nobody(e, len);
        return;
    }
    size_t taken = take_some(e, peer, len);
    if (len && !taken)
        return; /* poked when the peer has received something */
    post_data(peer, e->sock->wr, taken);
    if (sim_chance(n, n->faults.reset))
        reset_both(e, peer);
    write_done(e, (int)taken);
}

static void try_send(struct sim_end *e)
{
    struct io_op *op = e->sock->wr;
    struct io_pipe *pipe = op->kind == IO_SEND_PIPE ? io_pipe_of(op->buf) : NULL;
    try_send_some(e);
    if (pipe)
        sim_pipe_took(e->loop, pipe);
}

/* ---- receiving ---- */

static void append_data(struct sim_end *e, const struct sim_seg *seg)
{
    if (e->data_at == e->data_len)
        e->data_at = e->data_len = 0;
    if (e->data_len + seg->len > e->data_cap) {
        e->data_cap = (e->data_len + seg->len) * 2;
        e->data = mem_grow(e->data, e->data_cap);
    }
    memcpy(e->data + e->data_len, seg->bytes, seg->len);
    e->data_len += seg->len;
}

static void arrive(struct sim_end *e, struct sim_seg *seg)
{
    static const char *const what[] = {"data", "fin", "rst", "call"};
    sim_note(e->net, e->fd, what[seg->kind], (int64_t)seg->len);
    switch (seg->kind) {
    case SIM_DATA: append_data(e, seg); break;
    case SIM_FIN: e->eof = true; break;
    case SIM_RST: e->reset = true; break;
    case SIM_CALL:
        e->calls = mem_grow(e->calls, sizeof(*e->calls) * (e->call_count + 1));
        e->calls[e->call_count++] = seg->fd;
        break;
    }
    free(seg);
}

static void arrive_due(struct sim_end *e)
{
    while (e->in && e->in->at_ns <= e->net->now_ns) {
        struct sim_seg *seg = e->in;
        e->in = seg->next;
        if (!e->in)
            e->in_tail = &e->in;
        arrive(e, seg);
    }
}

static void finish_read(struct sim_end *e, int res)
{
    sim_note(e->net, e->fd, e->sock->rd->kind == IO_ACCEPT ? "accepted" : "received", res);
    io_finish(e->loop, e->sock->rd, res);
}

static void received(struct sim_end *e, size_t len)
{
    struct sim_net *n = e->net;
    e->data_at += len;
    e->in_bytes -= len;
    sim_event_add(n, e->peer_fd, n->now_ns + some_ns(n, SIM_LATENCY_MAX_NS)); /* window */
    finish_read(e, (int)len);
}

static void receive_into_pipe(struct sim_end *e)
{
    size_t have = e->data_len - e->data_at;
    received(e, sim_pipe_fill(e->sock->rd, e->data + e->data_at, have));
}

static void receive_data(struct sim_end *e)
{
    struct io_op *op = e->sock->rd;
    struct sim_net *n = e->net;
    if (sim_chance(n, n->faults.no_buffer)) {
        sim_note(n, e->fd, "fault no buffer", 0);
        io_starve(e->loop, op);
        return;
    }
    struct buf *b = io_recv_buf(e->loop, op);
    if (!b)
        return;
    size_t have = e->data_len - e->data_at;
    b->len = have < b->cap ? (uint32_t)have : b->cap;
    memcpy(b->bytes, e->data + e->data_at, b->len);
    op->buf = b;
    received(e, b->len);
}

static void try_recv(struct sim_end *e)
{
    bool piped = e->sock->rd->kind == IO_RECV_PIPE;
    if (piped && !sim_pipe_ready(e->sock->rd))
        return;
    if (e->data_at < e->data_len)
        piped ? receive_into_pipe(e) : receive_data(e);
    else if (e->reset)
        finish_read(e, -ECONNRESET);
    else if (e->eof)
        finish_read(e, 0);
}

int sim_end_accept(struct sim_end *e)
{
    while (e->call_count) {
        int fd = e->calls[0];
        memmove(e->calls, e->calls + 1, sizeof(*e->calls) * --e->call_count);
        if (sim_end_find(e->net, fd))
            return fd;
    }
    return -EAGAIN;
}

static void try_accept(struct sim_end *e)
{
    int fd = sim_end_accept(e);
    if (fd != -EAGAIN)
        finish_read(e, fd);
}

/* ---- ops ---- */

static void try_read(struct sim_end *e)
{
    struct io_op *op = e->sock->rd;
    if (op->starved || e->rd_due_ns > e->net->now_ns)
        return;
    if (op->kind == IO_RECV || op->kind == IO_RECV_PIPE)
        try_recv(e);
    else
        try_accept(e);
}

static void try_write(struct sim_end *e)
{
    if (e->wr_due_ns > e->net->now_ns)
        return;
    if (e->wr_held)
        finish_write(e);
    else if (e->sock->wr->kind != IO_CONNECT)
        try_send(e);
}

static void poke(struct sim_end *e)
{
    arrive_due(e);
    if (e->sock && e->sock->rd)
        try_read(e);
    if (e->sock && e->sock->wr)
        try_write(e);
}

/* A receive is now and then told a little later than it could be, so that the order of results
 * differs from the order of arrivals. */
void sim_end_start(struct sim_end *e, struct io_op *op)
{
    struct sim_net *n = e->net;
    if (op == e->sock->wr) {
        try_write(e);
        return;
    }
    e->rd_due_ns = n->now_ns;
    if (sim_chance(n, 500)) {
        e->rd_due_ns += some_ns(n, OP_DELAY_MAX_NS);
        sim_event_add(n, e->fd, e->rd_due_ns);
    }
    try_read(e);
}

/* A send whose bytes have left keeps its true result. */
void sim_end_cancel(struct sim_end *e, struct io_op *op)
{
    if (op == e->sock->wr && e->wr_held && (op->kind != IO_CONNECT || sim_chance(e->net, 500))) {
        finish_write(e);
        return;
    }
    if (op == e->sock->wr)
        e->wr_held = false;
    sim_note(e->net, e->fd, "canceled", op->kind);
    io_finish(e->loop, op, -ECANCELED);
}
