/* h1_client_read.c - the client side's requests: heads, bodies, and rests of bodies that nobody
 * wants.
 *
 * A head opens a stream when it is whole, or when it is clear that it never will be. Body bytes go
 * to the stream's body until that is full; its want() goes on. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1_client_priv.h"

enum { PIPELINE_SPANS_MIN = 16, DRAIN_ARENA_BYTES = 65536 };

/* ---- the request's body ---- */

/* The request will not become whole. Its body says so; what was sent so far may still be answered.
 */
void h1_client_fail_reading(struct h1_client *h, enum err e)
{
    h->reading = READ_FAILED;
    h->last = true;
    body_fail(h->stream.body, e);
}

void h1_client_read_body(struct h1_client *h)
{
    enum err e = h1_in_body(&h->in, h->stream.body);
    h->stream.received_bytes = h->in.consumed_bytes;
    if (e == ERR_OK)
        h->reading = READ_DONE;
    else if (e != ERR_HOLD && e != ERR_OVER_LIMIT)
        h1_client_fail_reading(h, e);
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

void h1_client_bind_body(struct h1_client *h)
{
    h->stream.body->producer = h;
    h->stream.body->want = on_want;
}

static void body_begin(struct h1_client *h)
{
    const struct message *m = h->stream.head;
    static const uint8_t framings[] = {
        [LENGTH_NONE] = H1_EMPTY, [LENGTH_KNOWN] = H1_LENGTH, [LENGTH_UNKNOWN] = H1_CHUNKED};
    h1_client_bind_body(h);
    h->in.arena = h->stream.arena;
    h1_in_begin(&h->in, (enum h1_framing)framings[m->length], m->content_length);
    h->reading = READ_BODY;
    h1_client_read_body(h);
}

/* ---- the request's head ---- */

static void stream_reset(struct h1_client *h)
{
    int64_t began_ms = h->stream.began_ms;
    h->stream = (struct stream){.ops = &h1_client_ops,
                                .loop = loop_of(h),
                                .conn = h->conn,
                                .takes_pipes = conn_takes_pipes(h->conn),
                                .peer_ended = h->conn->eof_seen};
    h->stream.began_ms = began_ms;
    h->out.sent_bytes = h->in.consumed_bytes = 0;
    h->last = h->last_said = h->head_sent = h->tunnel = false;
}

/* No exchange could be made for it: the one answer that a session gives by itself. */
static void refuse(struct h1_client *h)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    count(h, METRIC_CONNECTIONS_DROPPED, 1);
    if (conn_write(h->conn, (struct span){NULL, text, sizeof text - 1}))
        h1_client_abort(h);
    else
        h1_client_linger(h);
}

static enum err stream_open(struct h1_client *h)
{
    struct stream_acceptor *a = h->session->acceptor;
    stream_reset(h);
    h->open = true;
    enum err e = a->open(a, &h->stream, h->session->link.listener);
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
    h1_client_fail_reading(h, e);
    wake_user(h);
}

/* The connection has served its time, or its listener has. */
static bool has_to_go(const struct h1_client *h)
{
    const struct stream_limits *l = h->in.limits;
    struct session_link *link = &h->session->link;
    return (l->requests_max && h->conn->use_count >= l->requests_max) ||
           (l->age_ms && conn_age_ms(h->conn) >= l->age_ms) ||
           stream_acceptor_leaves(h->session->acceptor, link->listener);
}

static bool is_last(const struct h1_client *h)
{
    return !h->stream.head->keep_alive || h->conn->eof_seen || has_to_go(h);
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
    h->last_said = !h->stream.head->keep_alive;
    h->stream.closing = h->last = is_last(h);
    h->stream.head_state = STREAM_HEAD_FINAL;
    body_begin(h);
    wake_user(h);
}

void h1_client_refuse_head(struct h1_client *h, enum err e)
{
    if (!stream_open(h))
        request_failed(h, e);
}

static void head_incomplete(struct h1_client *h)
{
    set_timer(h, h->stream.began_ms + h->in.limits->header_ms);
    conn_recv(h->conn);
}

/* The first bytes of a connection may be those of another protocol; "PRI" is no method of ours. */
static bool is_preface(const struct h1_client *h)
{
    return h->conn->use_count == 0 && h->session->acceptor->take_preface &&
           slice_starts(span_slice(h->in.bytes), SLICE("PRI "));
}

static bool hand_over(struct h1_client *h)
{
    struct stream_acceptor *a = h->session->acceptor;
    struct span first = span_ref(h->in.bytes);
    if (!a->take_preface(a, h->conn, h->session->link.listener, first)) {
        span_drop(first);
        return false;
    }
    h1_client_end(h);
    return true;
}

/* Looks at the bytes in hand, of which there are some. */
void h1_client_read_head(struct h1_client *h)
{
    size_t len;
    if (is_preface(h) && hand_over(h))
        return;
    if (h->in.scan.at == 0)
        h->stream.began_ms = loop_of(h)->now_ms;
    h->in.limits = limits_of(h);
    enum err e = h1_in_head(&h->in, &len);
    if (e == ERR_OK)
        request_begin(h, len);
    else if (e == ERR_HOLD)
        head_incomplete(h);
    else
        h1_client_refuse_head(h, e);
}

/* A client that pipelines but does not read gets its next request served when it has taken answers.
 */
static bool output_is_crowded(const struct h1_client *h)
{
    return conn_out_room(h->conn) < PIPELINE_SPANS_MIN ||
           conn_out_bytes(h->conn) >= CONN_OUT_HIGH_BYTES;
}

void h1_client_next(struct h1_client *h)
{
    h->waiting = output_is_crowded(h);
    if (h->waiting) {
        set_timer(h, loop_of(h)->now_ms + h->in.limits->keepalive_ms);
        conn_want_room(h->conn);
    } else {
        h1_client_read_head(h);
    }
}

/* ---- what nobody wants ---- */

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

void h1_client_drain(struct h1_client *h)
{
    enum err e;
    do
        e = drain_some(h);
    while (e == ERR_OVER_LIMIT && h->drained_bytes <= DRAIN_MAX_BYTES);
    if (e == ERR_OK)
        h1_client_await(h);
    else if (e == ERR_HOLD && h->drained_bytes <= DRAIN_MAX_BYTES)
        conn_recv(h->conn);
    else
        h1_client_linger(h);
}

/* The answer is out, a little of the request is still to come. */
void h1_client_begin_drain(struct h1_client *h)
{
    h->reading = READ_DRAIN;
    h->drained_bytes = 0;
    set_timer(h, loop_of(h)->now_ms + limits_of(h)->linger_ms);
    h1_client_drain(h);
}
