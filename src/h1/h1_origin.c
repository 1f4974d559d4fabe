/* h1_origin.c - the origin side of HTTP/1: one stream for one exchange on a borrowed connection.
 *
 * Lives in the exchange's arena. Reading starts at once, so that an early answer, the end or a
 * reset is noticed while the request is still being sent. After the response nothing more is read:
 * what the server sends then belongs to nobody and makes the connection unfit for another request.
 * Nothing is guessed: a response with broken framing is an error, never a shorter body. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/prefetch.h"
#include "h1/h1.h"
#include "h1/h1_io_priv.h"

enum reading {
    READ_HEAD,
    READ_PAUSED, /* an interim head, or a 101, waits for its reader */
    READ_BODY,
    READ_DONE, /* whole, or broken off */
};

struct h1_origin {
    struct stream stream;
    struct conn *conn;
    struct h1_in in;
    struct h1_out out;
    struct buf *head_buf;       /* the slices of the head point into it */
    struct slice asked_upgrade; /* what the request wants to switch to; empty: nothing */
    uint8_t method;             /* enum method, of the request */
    uint8_t reading;            /* enum reading */
    bool keep_alive;            /* as the response says */
    bool complete;              /* the response is whole */
    bool tunnel;
    bool refused;                /* the server takes no more of the request */
    struct task pump;            /* goes on with bytes in hand */
    struct stream_limits limits; /* a copy: snapshots come and go */
};

static inline struct h1_origin *of_stream(struct stream *s)
{
    return CONTAINER_OF(s, struct h1_origin, stream);
}

static void wake_user(struct h1_origin *o)
{
    task_wake(&o->conn->loop->tasks, o->stream.task);
}

static void stream_fail(struct h1_origin *o, enum err e)
{
    o->reading = READ_DONE;
    o->complete = false;
    o->stream.err = e;
    body_fail(o->stream.body, e);
    wake_user(o);
}

static void judge_reusable(struct h1_origin *o)
{
    o->stream.reusable = o->complete && o->keep_alive && o->stream.sent_all && !o->tunnel &&
                         o->in.bytes.len == 0 && !o->refused && !o->conn->eof_seen && !o->conn->err;
}

/* ---- the response ---- */

static void read_body(struct h1_origin *o)
{
    enum err e = h1_in_body(&o->in, o->stream.body);
    o->stream.received_bytes = o->in.consumed_bytes;
    if (e == ERR_OK) {
        o->reading = READ_DONE;
        o->complete = true;
        judge_reusable(o);
    } else if (e == ERR_HOLD) {
        h1_in_recv(&o->in, o->conn, o->stream.body);
    } else if (e != ERR_OVER_LIMIT) {
        stream_fail(o, h1_origin_err(e));
    }
}

static enum h1_framing framing_of(const struct message *m)
{
    if (m->length == LENGTH_NONE)
        return H1_EMPTY;
    if (m->length == LENGTH_KNOWN)
        return H1_LENGTH;
    return headers_find(&m->headers, FIELD_TRANSFER_ENCODING) ? H1_CHUNKED : H1_RAW;
}

/* RFC 9110 15.2.2: a server may switch only to what it was asked for. */
static bool upgrade_was_asked(const struct h1_origin *o, const struct message *m)
{
    struct slice rest = m->upgrade_to, protocol;
    unsigned named = 0;
    if (!m->upgrade)
        return false;
    for (; field_list_next(&rest, &protocol); named++)
        if (!field_list_has(o->asked_upgrade, protocol))
            return false;
    return named > 0;
}

static void final_head(struct h1_origin *o)
{
    struct message *m = o->stream.head;
    o->stream.head_state = STREAM_HEAD_FINAL;
    o->keep_alive = m->keep_alive;
    h1_in_begin(&o->in, framing_of(m), m->content_length);
    if (o->in.left >= PIPE_MIN_BYTES && o->stream.body->unseen)
        conn_expect_small(o->conn); /* the next answer may be as large: not into one buffer */
    o->reading = m->status == 101 ? READ_PAUSED : READ_BODY; /* a tunnel begins when told */
    if (o->reading == READ_BODY)
        read_body(o);
}

static void head_received(struct h1_origin *o, size_t len)
{
    struct slice head = {o->in.bytes.at, len};
    struct message *m = o->stream.head;
    o->head_buf = buf_ref(o->in.bytes.buf);
    h1_in_skip(&o->in, len);
    o->stream.received_bytes = o->in.consumed_bytes;
    enum err e = h1_parse_response(head, (enum method)o->method, o->stream.arena, &o->limits, m);
    if (!e && m->status == 101 && !upgrade_was_asked(o, m))
        e = ERR_ORIGIN_BAD_UPGRADE;
    if (e) {
        stream_fail(o, e);
        return;
    }
    if (m->status < 200 && m->status != 101) {
        o->stream.head_state = STREAM_HEAD_INTERIM;
        o->reading = READ_PAUSED;
    } else {
        final_head(o);
    }
    wake_user(o);
}

static void read_head(struct h1_origin *o)
{
    size_t len;
    enum err e = h1_in_head(&o->in, &len);
    if (e == ERR_OK)
        head_received(o, len);
    else if (e == ERR_HOLD)
        conn_recv(o->conn);
    else
        stream_fail(o, h1_origin_err(e));
}

static void read_on(struct h1_origin *o)
{
    if (o->reading == READ_HEAD)
        read_head(o);
    else if (o->reading == READ_BODY)
        read_body(o);
}

static void on_pump(struct task *t)
{
    read_on(CONTAINER_OF(t, struct h1_origin, pump));
}

static void on_want(struct body *b)
{
    struct h1_origin *o = b->producer;
    if (o->in.bytes.len)
        task_wake(&o->conn->loop->tasks, &o->pump);
    else
        h1_in_recv(&o->in, o->conn, b);
}

static void body_bind(struct h1_origin *o)
{
    o->stream.body->producer = o;
    o->stream.body->want = on_want;
}

/* ---- what the connection tells ---- */

static void on_data(struct conn *c, struct span s)
{
    struct h1_origin *o = c->user;
    /* The exchange's, which waited for this: needed once the head is found. */
    prefetch_for_write(o->stream.head, sizeof(*o->stream.head));
    prefetch_for_write(o->stream.body, CACHE_LINE_BYTES);
    prefetch_for_write(o->stream.arena, sizeof(*o->stream.arena));
    o->stream.first_byte = true;
    enum err e = h1_in_add(&o->in, &c->loop->bufs, s);
    if (e)
        stream_fail(o, h1_origin_err(e));
    else if (o->reading == READ_DONE)
        judge_reusable(o);
    else
        read_on(o);
}

/* Why the connection ended before the response was whole. A connection that had served before and
 * ends without a byte was closed by the server while the request was on its way. */
static enum err ending(const struct h1_origin *o, enum err e)
{
    bool silent = !o->stream.first_byte && o->conn->use_count > 1;
    return silent ? ERR_ORIGIN_STALE : e;
}

static void on_eof(struct conn *c)
{
    struct h1_origin *o = c->user;
    if (o->reading == READ_DONE) {
        judge_reusable(o);
    } else if (o->reading == READ_BODY && o->in.framing == H1_RAW) {
        o->reading = READ_DONE;
        o->complete = true;
        body_end(o->stream.body);
    } else {
        stream_fail(o, ending(o, ERR_ORIGIN_CLOSED));
    }
}

static void on_error(struct conn *c, enum err e)
{
    struct h1_origin *o = c->user;
    o->stream.reusable = false;
    if (o->complete) {
        o->stream.err = ERR_ORIGIN_RESET; /* the response stays whole */
        wake_user(o);
        return;
    }
    stream_fail(o, ending(o, e == ERR_CLIENT_RESET ? ERR_ORIGIN_RESET : e));
}

/* A server may answer before it has read the request, and close (RFC 9112 9.5): what it said is
 * worth more than the news that it takes no more. The rest of the request goes nowhere. */
static void on_send_error(struct conn *c)
{
    struct h1_origin *o = c->user;
    o->refused = true;
    o->stream.blocked = o->stream.reusable = false;
    if (o->complete)
        on_error(c, ERR_CLIENT_RESET);
}

static void on_room(struct conn *c)
{
    struct h1_origin *o = c->user;
    o->stream.blocked = false;
    wake_user(o);
}

static const struct conn_user_ops conn_ops = {.on_data = on_data,
                                              .on_eof = on_eof,
                                              .on_room = on_room,
                                              .on_error = on_error,
                                              .on_send_error = on_send_error};

/* Between a stream and the connection's next user: nobody is there to be told. */
static void nobody_data(struct conn *c, struct span s)
{
    (void)c;
    span_drop(s);
}

static void nobody_eof(struct conn *c)
{
    (void)c;
}

static void nobody_error(struct conn *c, enum err e)
{
    (void)c;
    (void)e;
}

static const struct conn_user_ops nobody_ops = {
    .on_data = nobody_data, .on_eof = nobody_eof, .on_room = nobody_eof, .on_error = nobody_error};

/* ---- the request ---- */

static bool usually_has_body(enum method m)
{
    return m == METHOD_POST || m == METHOD_PUT || m == METHOD_PATCH;
}

/* RFC 9110 8.6: a method that usually has content says so when it has none. */
static void choose_framing(struct h1_origin *o, const struct message *m)
{
    static const uint8_t framings[] = {
        [LENGTH_NONE] = H1_EMPTY, [LENGTH_KNOWN] = H1_LENGTH, [LENGTH_UNKNOWN] = H1_CHUNKED};
    o->out.framing = framings[m->length];
    o->out.left = m->length == LENGTH_KNOWN ? m->content_length : 0;
    if (m->length == LENGTH_NONE && usually_has_body((enum method)m->method))
        o->out.framing = H1_LENGTH;
}

static void request_out(struct h1_origin *o)
{
    o->stream.sent_all = true;
    judge_reusable(o);
}

static enum err origin_send_head(struct stream *s, const struct message *m)
{
    struct h1_origin *o = of_stream(s);
    if (s->err)
        return s->err;
    o->method = m->method;
    o->asked_upgrade = m->upgrade ? m->upgrade_to : SLICE_NONE;
    choose_framing(o, m);
    TRY(h1_write_request(&o->out, m));
    s->sent_bytes = o->out.sent_bytes;
    if (o->out.framing == H1_EMPTY || (o->out.framing == H1_LENGTH && o->out.left == 0))
        request_out(o);
    return ERR_OK;
}

static enum err origin_send_body(struct stream *s, struct body *b)
{
    struct h1_origin *o = of_stream(s);
    bool done;
    if (s->sent_all)
        return ERR_OK;
    if (s->err)
        return s->err;
    if (o->refused)
        return ERR_OK;
    TRY(h1_out_body(&o->out, b, &done, &s->blocked));
    s->sent_bytes = o->out.sent_bytes;
    if (s->blocked)
        conn_want_room(o->conn);
    if (done)
        request_out(o);
    if (done && o->tunnel)
        conn_shutdown(o->conn);
    return h1_body_broken(b);
}

static void origin_next_head(struct stream *s)
{
    struct h1_origin *o = of_stream(s);
    if (o->reading != READ_PAUSED)
        return;
    buf_drop(o->head_buf);
    o->head_buf = NULL;
    o->in.scan = (struct h1_scan){0};
    s->head_state = STREAM_HEAD_NONE;
    o->reading = READ_HEAD;
    read_head(o);
}

static void origin_tunnel(struct stream *s)
{
    struct h1_origin *o = of_stream(s);
    o->tunnel = true;
    s->sent_all = s->reusable = false;
    o->out.framing = H1_RAW;
    body_reopen(s->body);
    body_bind(o);
    h1_in_begin(&o->in, H1_RAW, 0);
    o->reading = READ_BODY;
    if (o->in.bytes.len)
        task_wake(&o->conn->loop->tasks, &o->pump);
    else
        conn_recv(o->conn);
}

static void origin_detach(struct stream *s)
{
    struct h1_origin *o = of_stream(s);
    judge_reusable(o);
    if (o->tunnel && !s->sent_all) /* RFC 9113 8.5: the client's part did not end, it broke */
        conn_set_reset(o->conn);
    s->body->want = NULL;
    task_cancel(&o->conn->loop->tasks, &o->pump);
    h1_in_drop(&o->in);
    h1_out_release(&o->out);
    if (o->head_buf)
        buf_drop(o->head_buf);
    conn_set_user(o->conn, &nobody_ops, NULL);
}

static void origin_moved(struct stream *s, struct message *head, struct body *body)
{
    s->head = head;
    s->body = body;
}

static const struct stream_ops origin_ops = {
    .send_head = origin_send_head,
    .send_body = origin_send_body,
    .next_head = origin_next_head,
    .tunnel = origin_tunnel,
    .moved = origin_moved,
    .detach = origin_detach,
};

static struct stream *origin_open(struct conn *c, struct task *t, struct arena *a,
                                  struct message *head, struct body *body,
                                  const struct stream_limits *limits)
{
    struct h1_origin *o = ARENA_NEW(a, struct h1_origin);
    if (!o)
        return NULL;
    o->stream = (struct stream){.ops = &origin_ops,
                                .loop = c->loop,
                                .conn = c,
                                .task = t,
                                .arena = a,
                                .head = head,
                                .body = body};
    o->conn = o->out.conn = c;
    o->limits = *limits;
    o->in.limits = &o->limits;
    o->in.arena = a;
    task_init(&o->pump, on_pump);
    body_bind(o);
    c->use_count++;
    conn_set_user(c, &conn_ops, o);
    conn_recv(c);
    return &o->stream;
}

const struct origin_engine h1_origin_engine = {.name = "h1", .open = origin_open};
