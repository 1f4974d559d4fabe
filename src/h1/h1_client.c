/* h1_client.c - the client side of HTTP/1: one session per connection, one stream in it.
 *
 * A session waits for a head, opens a stream for it (acceptor->open), feeds the stream's body,
 * sends what it is given, and begins anew at detach. Requests that came pipelined wait in `in` and
 * are answered in order, because the next one is not looked at before. An idle session holds no
 * buffer. Whatever ends a request early, a malformed head, a timeout or a reset, is recorded in the
 * stream, so that the exchange answers and logs it; only a connection that never said anything is
 * closed without a word.
 *
 * Callbacks of the connection may end the session; it is freed by the reaper, never under them. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1.h"
#include "h1/h1_io_priv.h"
#include <stdlib.h>

enum {
    PIPELINE_SPANS_MIN = 16, /* room in the connection before the next request begins */
    DRAIN_MAX_BYTES = 65536, /* of a request body that nobody wants, to keep the connection */
    DRAIN_ARENA_BYTES = 65536,
};

enum reading {
    READ_HEAD, /* no stream is open */
    READ_BODY,
    READ_DONE,   /* the request is whole; bytes that come belong to the next one */
    READ_DRAIN,  /* no stream is open; the rest of the last one's body is dropped */
    READ_FAILED, /* nothing that comes can be understood any more */
};

struct h1_client {
    struct stream stream;
    struct conn *conn;
    struct stream_acceptor *acceptor;
    struct h1_in in;
    struct h1_out out;
    struct buf *head_buf; /* the slices of the stream's head point into it */
    uint8_t reading;      /* enum reading */
    bool open;            /* the stream has a user */
    bool lost;            /* the connection broke: nothing can be sent */
    bool last;            /* no request after this one */
    bool head_sent;       /* the final one */
    bool tunnel;
    bool waiting; /* for room in the connection before the next request */
    uint64_t drained_bytes;
    struct task pump;   /* goes on with bytes in hand, outside of anybody's call */
    struct timer timer; /* keepalive or header; while a stream is open it means nothing */
    struct session_link link;
    struct dead dead;
};

static void drain(struct h1_client *h);

static inline struct h1_client *of_stream(struct stream *s)
{
    return CONTAINER_OF(s, struct h1_client, stream);
}

static inline struct loop *loop_of(const struct h1_client *h)
{
    return h->conn->loop;
}

static const struct stream_limits *limits_of(const struct h1_client *h)
{
    return h->acceptor->limits(h->acceptor, h->link.listener);
}

static void wake_user(struct h1_client *h)
{
    task_wake(&loop_of(h)->tasks, h->stream.task);
}

static void count(const struct h1_client *h, enum metric m, int64_t n)
{
    counter_add(loop_of(h)->counters, m, n);
}

/* ---- the end of a session ---- */

static void set_idle(struct h1_client *h, bool idle)
{
    if (h->link.idle != idle)
        count(h, METRIC_CONNECTIONS_IDLE, idle ? 1 : -1);
    h->link.idle = idle;
}

static void client_free(struct dead *d)
{
    free(CONTAINER_OF(d, struct h1_client, dead));
}

/* The connection was told to close by the caller: no callback comes any more. */
static void session_end(struct h1_client *h)
{
    struct loop *l = loop_of(h);
    set_idle(h, false);
    count(h, METRIC_CONNECTIONS_OPEN, -1);
    h1_in_drop(&h->in);
    h1_out_release(&h->out);
    timer_stop(&l->timers, &h->timer);
    task_cancel(&l->tasks, &h->pump);
    list_remove(&h->link.link);
    dead_add(l, &h->dead);
}

static void session_close(struct h1_client *h)
{
    conn_close_by(h->conn, loop_of(h)->now_ms + limits_of(h)->linger_ms);
    session_end(h);
}

static void session_linger(struct h1_client *h)
{
    conn_linger(h->conn, loop_of(h)->now_ms + limits_of(h)->linger_ms);
    session_end(h);
}

static void session_abort(struct h1_client *h)
{
    conn_abort(h->conn);
    session_end(h);
}

/* ---- the request's body ---- */

/* The request will not become whole. Its body says so; what was sent so far may still be answered.
 */
static void reading_failed(struct h1_client *h, enum err e)
{
    h->reading = READ_FAILED;
    h->last = true;
    body_fail(h->stream.body, e);
}

static void read_body(struct h1_client *h)
{
    enum err e = h1_in_body(&h->in, h->stream.body);
    h->stream.received_bytes = h->in.consumed_bytes;
    if (e == ERR_OK)
        h->reading = READ_DONE;
    else if (e != ERR_HOLD && e != ERR_OVER_LIMIT)
        reading_failed(h, e);
    /* Armed while the request runs, too: a reset or the end has to be noticed. */
    if (e == ERR_HOLD || (e == ERR_OK && h->in.bytes.len == 0))
        conn_recv(h->conn);
}

static void on_want(struct body *b)
{
    struct h1_client *h = b->producer;
    if (h->in.bytes.len)
        task_wake(&loop_of(h)->tasks, &h->pump);
    else
        conn_recv(h->conn);
}

static void body_bind(struct h1_client *h)
{
    h->stream.body->producer = h;
    h->stream.body->want = on_want;
}

static void body_begin(struct h1_client *h)
{
    const struct message *m = h->stream.head;
    static const uint8_t framings[] = {
        [LENGTH_NONE] = H1_EMPTY, [LENGTH_KNOWN] = H1_LENGTH, [LENGTH_UNKNOWN] = H1_CHUNKED};
    body_bind(h);
    h->in.arena = h->stream.arena;
    h1_in_begin(&h->in, (enum h1_framing)framings[m->length], m->content_length);
    h->reading = READ_BODY;
    read_body(h);
}

/* ---- the request's head ---- */

static const struct stream_ops client_ops;

static void stream_reset(struct h1_client *h)
{
    int64_t began_ms = h->stream.began_ms;
    h->stream = (struct stream){.ops = &client_ops,
                                .loop = loop_of(h),
                                .conn = h->conn,
                                .peer_ended = h->conn->eof_seen};
    h->stream.began_ms = began_ms;
    h->out.sent_bytes = h->in.consumed_bytes = 0;
    h->last = h->head_sent = h->tunnel = false;
}

/* No exchange could be made for it: the one answer that a session gives by itself. */
static void refuse(struct h1_client *h)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    count(h, METRIC_CONNECTIONS_DROPPED, 1);
    if (conn_write(h->conn, (struct span){NULL, text, sizeof text - 1}))
        session_abort(h);
    else
        session_linger(h);
}

static enum err stream_open(struct h1_client *h)
{
    stream_reset(h);
    h->open = true;
    enum err e = h->acceptor->open(h->acceptor, &h->stream, h->link.listener);
    if (e) {
        h->open = false;
        refuse(h);
        return e;
    }
    h->conn->use_count++;
    return ERR_OK;
}

/* A request that is refused for its head: the user answers `e`, then the connection ends. */
static void request_failed(struct h1_client *h, enum err e)
{
    h->stream.err = e;
    h->stream.closing = true;
    count(h, METRIC_CONNECTIONS_DROPPED, 1);
    reading_failed(h, e);
    wake_user(h);
}

static bool is_last(const struct h1_client *h)
{
    uint32_t max = h->in.limits->requests_max;
    return !h->stream.head->keep_alive || h->acceptor->draining || h->conn->eof_seen ||
           (max && h->conn->use_count >= max);
}

static void request_begin(struct h1_client *h, size_t head_len)
{
    struct slice head = {h->in.bytes.at, head_len};
    if (stream_open(h))
        return;
    h->head_buf = buf_ref(h->in.bytes.buf);
    h1_in_skip(&h->in, head_len);
    h->stream.received_bytes = head_len;
    enum err e = h1_parse_request(head, h->stream.arena, h->in.limits, h->stream.head);
    if (e) {
        request_failed(h, e);
        return;
    }
    h->stream.head->scheme = SLICE("http");
    h->stream.closing = h->last = is_last(h);
    h->stream.head_state = STREAM_HEAD_FINAL;
    body_begin(h);
    wake_user(h);
}

static void head_refused(struct h1_client *h, enum err e)
{
    if (!stream_open(h))
        request_failed(h, e);
}

static void head_incomplete(struct h1_client *h)
{
    timer_set(&loop_of(h)->timers, &h->timer, h->stream.began_ms + h->in.limits->header_ms);
    conn_recv(h->conn);
}

/* Looks at the bytes in hand, of which there are some. */
static void read_head(struct h1_client *h)
{
    size_t len;
    if (h->in.scan.at == 0)
        h->stream.began_ms = loop_of(h)->now_ms;
    set_idle(h, false);
    h->in.limits = limits_of(h);
    enum err e = h1_head_find(&h->in.scan, span_slice(h->in.bytes), h->in.limits, &len);
    if (e == ERR_OK)
        request_begin(h, len);
    else if (e == ERR_HOLD)
        head_incomplete(h);
    else
        head_refused(h, e);
}

static void idle_begin(struct h1_client *h)
{
    set_idle(h, true);
    timer_set(&loop_of(h)->timers, &h->timer, loop_of(h)->now_ms + limits_of(h)->keepalive_ms);
    conn_recv(h->conn);
}

/* A client that pipelines but does not read gets its next request served when it has taken answers.
 */
static bool output_is_crowded(const struct h1_client *h)
{
    return conn_out_room(h->conn) < PIPELINE_SPANS_MIN ||
           conn_out_bytes(h->conn) >= CONN_OUT_HIGH_BYTES;
}

static void next_request(struct h1_client *h)
{
    h->waiting = output_is_crowded(h);
    if (h->waiting) {
        timer_set(&loop_of(h)->timers, &h->timer, loop_of(h)->now_ms + h->in.limits->keepalive_ms);
        conn_want_room(h->conn);
    } else {
        read_head(h);
    }
}

static void on_pump(struct task *t)
{
    struct h1_client *h = CONTAINER_OF(t, struct h1_client, pump);
    if (h->reading == READ_HEAD && h->in.bytes.len)
        next_request(h);
    else if (h->reading == READ_BODY)
        read_body(h);
}

static void on_timer(struct timer *t)
{
    struct h1_client *h = CONTAINER_OF(t, struct h1_client, timer);
    if (h->open)
        return;
    if (h->link.idle)
        session_close(h);
    else if (h->waiting || h->reading == READ_DRAIN)
        session_abort(h);
    else
        head_refused(h, ERR_CLIENT_HEADER_TIMEOUT);
}

/* ---- what the connection tells ---- */

static void on_data(struct conn *c, struct span s)
{
    struct h1_client *h = c->user;
    enum err e = h1_in_add(&h->in, &c->loop->bufs, s);
    if (h->reading == READ_DRAIN)
        e ? session_abort(h) : drain(h);
    else if (e && !h->open)
        head_refused(h, e);
    else if (e)
        reading_failed(h, e);
    else if (h->reading == READ_HEAD)
        read_head(h);
    else if (h->reading == READ_BODY)
        read_body(h);
}

/* Half-closing is legal once the request is whole (RFC 9112 9.6): it may be served, as the last one.
 * How long is the user's to decide, since a client that is gone looks the same. */
static void on_eof(struct conn *c)
{
    struct h1_client *h = c->user;
    if (!h->open) {
        session_close(h);
        return;
    }
    h->last = true;
    if (h->tunnel)
        body_end(h->stream.body);
    else if (h->reading == READ_BODY)
        reading_failed(h, ERR_CLIENT_CLOSED);
    h->stream.peer_ended = true;
    wake_user(h);
}

static void on_error(struct conn *c, enum err e)
{
    struct h1_client *h = c->user;
    if (!h->open) {
        session_abort(h);
        return;
    }
    h->lost = true;
    h->stream.err = e;
    reading_failed(h, e);
    wake_user(h);
}

static void on_room(struct conn *c)
{
    struct h1_client *h = c->user;
    if (h->open) {
        h->stream.blocked = false;
        wake_user(h);
    } else if (h->waiting) {
        next_request(h);
    }
}

static const struct conn_user_ops conn_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_room = on_room, .on_error = on_error};

/* ---- the response ---- */

/* Whatever cuts an answer short is not hidden: the stream is dead then. */
static enum err send_failed(struct h1_client *h, enum err e)
{
    if (!h->stream.err)
        h->stream.err = e;
    return e;
}

static enum err send_interim(struct h1_client *h, const struct message *m)
{
    struct h1_reply reply = {H1_CONNECTION_NONE, 0};
    if (h->stream.head->version_minor == 0)
        return ERR_OK; /* RFC 9110 15.2 */
    h->out.framing = H1_EMPTY;
    return h1_write_response(&h->out, m, &reply);
}

static bool is_head_request(const struct h1_client *h)
{
    return h->stream.head->method == METHOD_HEAD;
}

/* Chunked is for HTTP/1.1; an older client reads until the end of the connection. */
static void choose_framing(struct h1_client *h, const struct message *m)
{
    h->out.framing = H1_EMPTY;
    h->out.left = m->content_length;
    if (!status_has_body(m->status))
        return;
    if (m->length == LENGTH_KNOWN) {
        h->out.framing = H1_LENGTH;
    } else if (m->length == LENGTH_UNKNOWN && !is_head_request(h)) {
        bool chunked = h->stream.head->version_minor > 0;
        h->out.framing = chunked ? H1_CHUNKED : H1_RAW;
        h->last |= !chunked;
    } else if (m->length == LENGTH_NONE && !is_head_request(h)) {
        h->out.framing = H1_LENGTH;
        h->out.left = 0;
    }
}

/* An answer before the end of the request: may what still comes be read and dropped? Not when the
 * client holds it back until a 100 that it will not see. */
static bool rest_is_small(const struct h1_client *h)
{
    if (h->reading != READ_BODY || h->stream.head->expect_continue)
        return false;
    return h->in.framing == H1_CHUNKED || h->in.left <= DRAIN_MAX_BYTES;
}

static enum h1_connection choose_connection(struct h1_client *h, const struct message *m)
{
    h->last |= h->stream.closing || h->acceptor->draining;
    h->last |= h->reading != READ_DONE && !rest_is_small(h);
    h->stream.closing = h->last;
    if (m->status == 101)
        return H1_CONNECTION_UPGRADE;
    if (h->last)
        return H1_CONNECTION_CLOSE;
    return h->stream.head->version_minor == 0 ? H1_CONNECTION_KEEP_ALIVE : H1_CONNECTION_NONE;
}

static enum err send_final(struct h1_client *h, const struct message *m)
{
    struct h1_reply reply;
    choose_framing(h, m);
    reply.connection = choose_connection(h, m);
    reply.pass_length = is_head_request(h) || m->status == 304;
    TRY(h1_write_response(&h->out, m, &reply));
    h->head_sent = true;
    if (is_head_request(h) || (h->out.framing == H1_LENGTH && h->out.left == 0))
        h->out.framing = H1_EMPTY;
    h->stream.sent_all = h->out.framing == H1_EMPTY;
    return ERR_OK;
}

static enum err client_send_head(struct stream *s, const struct message *m)
{
    struct h1_client *h = of_stream(s);
    if (h->lost)
        return s->err;
    bool interim = m->status < 200 && m->status != 101;
    enum err e = interim ? send_interim(h, m) : send_final(h, m);
    s->sent_bytes = h->out.sent_bytes;
    return e ? send_failed(h, e) : ERR_OK;
}

static void drop_rest(struct body *b)
{
    for (struct span s; (s = body_take(b, SIZE_MAX)).len > 0;)
        span_drop(s);
}

static enum err client_send_body(struct stream *s, struct body *b)
{
    struct h1_client *h = of_stream(s);
    bool done;
    if (s->sent_all) {
        drop_rest(b);
        return ERR_OK;
    }
    if (h->lost)
        return s->err;
    enum err e = h1_out_body(&h->out, b, &done, &s->blocked);
    s->sent_bytes = h->out.sent_bytes;
    if (e)
        return send_failed(h, e);
    if (s->blocked)
        conn_want_room(h->conn);
    if (done) {
        s->sent_all = true;
        if (h->tunnel)
            conn_shutdown(h->conn);
    }
    return h1_body_broken(b);
}

static void client_tunnel(struct stream *s)
{
    struct h1_client *h = of_stream(s);
    h->tunnel = h->last = true;
    h->stream.sent_all = false;
    h->out.framing = H1_RAW;
    h->reading = READ_BODY;
    body_reopen(s->body);
    body_bind(h);
    h1_in_begin(&h->in, H1_RAW, 0);
    if (h->in.bytes.len)
        task_wake(&loop_of(h)->tasks, &h->pump);
    else if (h->conn->eof_seen)
        body_end(s->body);
    else
        conn_recv(h->conn);
}

/* An answer that broke off must not look whole. Its framing shows it when bytes are missing; where
 * the end of the connection is the end of the answer, only a reset does. */
static void break_off(struct h1_client *h)
{
    bool shows = h->out.framing == H1_CHUNKED || (h->out.framing == H1_LENGTH && h->out.left > 0);
    count(h, METRIC_CONNECTIONS_DROPPED, 1);
    if (h->head_sent && shows && !h->tunnel) {
        session_close(h);
        return;
    }
    conn_reset(h->conn);
    session_end(h);
}

/* The next request may be in hand already. The timer's deadline is that of a state long gone. */
static void await_next(struct h1_client *h)
{
    h->reading = READ_HEAD;
    h->in.scan = (struct h1_scan){0};
    if (h->acceptor->draining) {
        session_linger(h);
        return;
    }
    if (h->in.bytes.len == 0) {
        idle_begin(h);
        return;
    }
    timer_stop(&loop_of(h)->timers, &h->timer);
    task_wake(&loop_of(h)->tasks, &h->pump);
}

/* Reads what is in hand of the rest of the body into nothing. */
static enum err drain_some(struct h1_client *h)
{
    struct body sink;
    struct arena trailers;
    uint64_t before = h->in.consumed_bytes;
    arena_init(&trailers, DRAIN_ARENA_BYTES);
    h->in.arena = &trailers;
    h->in.limits = limits_of(h);
    body_init(&sink, &loop_of(h)->tasks, NULL, SIZE_MAX);
    enum err e = h1_in_body(&h->in, &sink);
    body_release(&sink);
    arena_release(&trailers);
    h->drained_bytes += h->in.consumed_bytes - before;
    return e;
}

static void drain(struct h1_client *h)
{
    enum err e;
    do
        e = drain_some(h);
    while (e == ERR_OVER_LIMIT && h->drained_bytes <= DRAIN_MAX_BYTES);
    if (e == ERR_OK)
        await_next(h);
    else if (e == ERR_HOLD && h->drained_bytes <= DRAIN_MAX_BYTES)
        conn_recv(h->conn);
    else
        session_linger(h);
}

/* The answer is out, a little of the request is still to come. */
static void drain_begin(struct h1_client *h)
{
    h->reading = READ_DRAIN;
    h->drained_bytes = 0;
    timer_set(&loop_of(h)->timers, &h->timer, loop_of(h)->now_ms + limits_of(h)->linger_ms);
    drain(h);
}

static void client_detach(struct stream *s)
{
    struct h1_client *h = of_stream(s);
    h->open = false;
    s->task = NULL;
    s->body->want = NULL;
    h1_out_release(&h->out);
    if (h->head_buf)
        buf_drop(h->head_buf);
    h->head_buf = NULL;
    if (h->lost) {
        session_abort(h);
    } else if (!s->sent_all) {
        break_off(h);
    } else if (h->last || h->reading == READ_FAILED) {
        session_linger(h);
    } else if (h->reading == READ_BODY) {
        drain_begin(h);
    } else {
        await_next(h);
    }
}

static const struct stream_ops client_ops = {
    .send_head = client_send_head,
    .send_body = client_send_body,
    .tunnel = client_tunnel,
    .detach = client_detach,
};

/* ---- the session from outside ---- */

static void on_drain(struct session_link *l)
{
    struct h1_client *h = CONTAINER_OF(l, struct h1_client, link);
    if (l->idle)
        session_close(h);
    else
        h->last = h->open;
}

/* With a stream open its user ends it: the connection is read by it until then. */
static void on_abort(struct session_link *l)
{
    struct h1_client *h = CONTAINER_OF(l, struct h1_client, link);
    if (h->open)
        on_error(h->conn, ERR_SHUTTING_DOWN);
    else
        session_abort(h);
}

bool h1_client_start(struct loop *l, int fd, struct stream_acceptor *a, void *listener)
{
    struct h1_client *h = calloc(1, sizeof *h);
    struct conn *c = conn_accept(l, fd, &conn_ops, h);
    if (!c || !h) {
        if (c)
            conn_abort(c);
        free(h);
        return false;
    }
    h->conn = h->out.conn = c;
    h->acceptor = a;
    h->link = (struct session_link){
        .drain = on_drain, .abort = on_abort, .conn = c, .listener = listener};
    h->dead.free = client_free;
    task_init(&h->pump, on_pump);
    timer_init(&h->timer, on_timer);
    list_push(&a->sessions, &h->link.link);
    count(h, METRIC_CONNECTIONS_OPEN, 1);
    idle_begin(h);
    return true;
}
