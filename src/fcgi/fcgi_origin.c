/* fcgi_origin.c - one request to a FastCGI server on a borrowed connection.
 *
 * Lives in the exchange's arena. The head of the answer is gathered there, as records may cut it
 * anywhere; the body goes on by reference. Bytes are read from the connection only when all in hand
 * are used, and those in hand only while the body has room: that is the back-pressure. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "fcgi/cgi_head.h"
#include "fcgi/fcgi.h"
#include "fcgi/fcgi_out_priv.h"

enum { SAID_MAX_BYTES = 2048, HEAD_FIRST_BYTES = 1024 };

enum reading { READ_HEAD, READ_BODY, READ_DONE /* whole, or broken off */ };

struct fcgi_origin {
    struct stream stream;
    struct conn *conn;
    struct span in; /* received, not used yet */
    struct fcgi_reader reader;
    struct fcgi_out out;
    char *head; /* gathered so far */
    size_t head_len, head_cap;
    struct cgi_scan scan;
    uint64_t left;   /* of the body, when its length is known */
    uint8_t method;  /* enum method, of the request */
    uint8_t reading; /* enum reading */
    bool keep_conn;  /* the server was told to leave the connection open */
    bool complete;   /* the answer is whole */
    bool refused;    /* the server takes no more of the request */
    bool excess;     /* it sent more than the answer */
    struct stream_said said;
    char *said_text;
    struct task pump;            /* goes on with bytes in hand */
    struct stream_limits limits; /* a copy: snapshots come and go */
};

static inline struct fcgi_origin *of_stream(struct stream *s)
{
    return CONTAINER_OF(s, struct fcgi_origin, stream);
}

static void wake_user(struct fcgi_origin *o)
{
    task_wake(&o->conn->loop->tasks, o->stream.task);
}

static void in_drop(struct fcgi_origin *o)
{
    span_drop(o->in);
    o->in = (struct span){0};
}

static void stream_fail(struct fcgi_origin *o, enum err e)
{
    o->reading = READ_DONE;
    o->complete = false;
    o->stream.err = e;
    body_fail(o->stream.body, e);
    wake_user(o);
}

static void judge_reusable(struct fcgi_origin *o)
{
    o->stream.reusable = o->complete && o->keep_conn && o->reader.over && o->stream.sent_all &&
                         !o->excess && !o->refused && !o->conn->eof_seen && !o->conn->err;
}

/* ---- what the application says for the log ---- */

/* Without memory for it nothing of it is kept: the answer matters more. */
static void said_add(struct fcgi_origin *o, struct slice s)
{
    struct stream_said *said = &o->said;
    if (!o->said_text)
        o->said_text = arena_alloc(o->stream.arena, SAID_MAX_BYTES);
    size_t room = o->said_text ? SAID_MAX_BYTES - said->text.len : 0;
    size_t len = s.len < room ? s.len : room;
    if (len > 0)
        memcpy(o->said_text + said->text.len, s.at, len);
    said->text = (struct slice){o->said_text, said->text.len + len};
    said->bytes += s.len;
    o->stream.said = said;
}

/* ---- the answer ---- */

static enum err head_room(struct fcgi_origin *o, size_t more)
{
    size_t need = o->head_len + more, cap = o->head_cap ? o->head_cap : HEAD_FIRST_BYTES;
    if (need <= o->head_cap)
        return ERR_OK;
    while (cap < need)
        cap *= 2;
    char *grown = arena_grow(o->stream.arena, o->head, o->head_cap, cap);
    if (!grown)
        return ERR_OVER_BUDGET;
    o->head = grown;
    o->head_cap = cap;
    return ERR_OK;
}

static enum err head_add(struct fcgi_origin *o, struct slice bytes)
{
    size_t room = o->limits.head_bytes + 1 - o->head_len; /* one more shows that it is too large */
    bytes = slice_head(bytes, room);
    TRY(head_room(o, bytes.len));
    memcpy(o->head + o->head_len, bytes.at, bytes.len);
    o->head_len += bytes.len;
    return ERR_OK;
}

static enum err head_read(struct fcgi_origin *o, size_t len)
{
    struct message *m = o->stream.head;
    TRY(cgi_head_parse((struct slice){o->head, len}, (enum method)o->method, o->stream.arena,
                       &o->limits, m));
    o->stream.head_state = STREAM_HEAD_FINAL;
    o->reading = READ_BODY;
    o->left = m->length == LENGTH_KNOWN ? m->content_length : 0;
    wake_user(o);
    return ERR_OK;
}

/* Of the bytes of the body what belongs to the answer; the rest is dropped. */
static enum err body_add(struct fcgi_origin *o, struct slice bytes)
{
    const struct message *m = o->stream.head;
    if (m->length == LENGTH_NONE)
        return ERR_OK;
    if (m->length == LENGTH_KNOWN) {
        bytes.len = bytes.len < o->left ? bytes.len : (size_t)o->left;
        o->left -= bytes.len;
    }
    if (bytes.len == 0)
        return ERR_OK;
    return body_push(o->stream.body, (struct span){buf_ref(o->in.buf), bytes.at, bytes.len});
}

/* The head may end anywhere in the bytes; what follows it is body. */
static enum err out_add(struct fcgi_origin *o, struct slice bytes)
{
    size_t len, had = o->head_len;
    if (o->reading == READ_BODY)
        return body_add(o, bytes);
    TRY(head_add(o, bytes));
    enum err e = cgi_head_find(&o->scan, (struct slice){o->head, o->head_len}, &o->limits, &len);
    if (e == ERR_HOLD)
        return ERR_OK;
    TRY(e);
    TRY(head_read(o, len));
    return body_add(o, slice_from(bytes, len - had));
}

static enum err answer_whole(struct fcgi_origin *o)
{
    if (o->reading == READ_HEAD)
        return ERR_ORIGIN_BAD_HEAD; /* it ended without an answer */
    if (o->left > 0)
        return ERR_ORIGIN_BAD_FRAMING;
    o->reading = READ_DONE;
    o->complete = true;
    o->excess = o->in.len > 0;
    in_drop(o);
    body_end(o->stream.body);
    judge_reusable(o);
    return ERR_OK;
}

static enum err request_over(struct fcgi_origin *o)
{
    o->said.status = o->reader.app_status;
    if (o->said.status != 0)
        o->stream.said = &o->said;
    switch (o->reader.protocol_status) {
    case FCGI_REQUEST_COMPLETE: return answer_whole(o);
    case FCGI_CANT_MPX_CONN:
    case FCGI_OVERLOADED:
        o->stream.unprocessed = o->reading == READ_HEAD;
        return o->stream.unprocessed ? ERR_ORIGIN_OVERLOADED : ERR_ORIGIN_FASTCGI;
    default: return ERR_ORIGIN_FASTCGI;
    }
}

static enum err piece_use(struct fcgi_origin *o, const struct fcgi_piece *p)
{
    switch (p->kind) {
    case FCGI_PIECE_OUT: return out_add(o, p->bytes);
    case FCGI_PIECE_ERR: said_add(o, p->bytes); return ERR_OK;
    case FCGI_PIECE_OUT_END: return ERR_OK;
    case FCGI_PIECE_END: break;
    }
    return request_over(o);
}

static bool body_is_full(struct fcgi_origin *o)
{
    struct body *b = o->stream.body;
    if (o->reading != READ_BODY || body_room(b) > 0)
        return false;
    b->starved = true;
    return true;
}

static enum err piece_next(struct fcgi_origin *o)
{
    struct slice in = span_slice(o->in);
    struct fcgi_piece piece;
    enum err e = fcgi_next(&o->reader, &in, &piece);
    o->stream.received_bytes += o->in.len - in.len;
    o->in.at = in.at;
    o->in.len = in.len;
    return e == ERR_OK ? piece_use(o, &piece) : e;
}

/* Goes on until all in hand is used, or the body is full. */
static void read_on(struct fcgi_origin *o)
{
    while (o->reading != READ_DONE && o->in.len > 0 && !body_is_full(o)) {
        enum err e = piece_next(o);
        if (e != ERR_OK && e != ERR_HOLD) {
            in_drop(o);
            stream_fail(o, e);
            return;
        }
    }
    if (o->in.len == 0)
        in_drop(o);
    if (o->reading != READ_DONE && o->in.len == 0 && !body_is_full(o))
        conn_recv(o->conn);
}

static void on_pump(struct task *t)
{
    read_on(CONTAINER_OF(t, struct fcgi_origin, pump));
}

static void on_want(struct body *b)
{
    struct fcgi_origin *o = b->producer;
    if (o->in.len > 0)
        task_wake(&o->conn->loop->tasks, &o->pump);
    else
        conn_recv(o->conn);
}

static void body_bind(struct fcgi_origin *o)
{
    o->stream.body->producer = o;
    o->stream.body->want = on_want;
}

/* ---- what the connection tells ---- */

static void on_data(struct conn *c, struct span s)
{
    struct fcgi_origin *o = c->user;
    o->stream.first_byte = true;
    if (o->reading == READ_DONE) {
        o->excess = true;
        span_drop(s);
        judge_reusable(o);
        return;
    }
    ASSERT(o->in.len == 0); /* more was asked for only when all was used */
    o->in = s;
    read_on(o);
}

/* Why the connection ended before the answer was whole. A connection that had served before and
 * ends without a byte was closed by the server while the request was on its way. */
static enum err ending(const struct fcgi_origin *o, enum err e)
{
    bool silent = !o->stream.first_byte && o->conn->use_count > 1;
    return silent ? ERR_ORIGIN_STALE : e;
}

/* Without END_REQUEST the answer is whole only if the application has ended its output. */
static void on_eof(struct conn *c)
{
    struct fcgi_origin *o = c->user;
    if (o->reading == READ_DONE) {
        judge_reusable(o);
        return;
    }
    bool ended = o->reading == READ_BODY && o->reader.out_ended;
    enum err e = ended ? answer_whole(o) : ending(o, ERR_ORIGIN_CLOSED);
    if (e != ERR_OK)
        stream_fail(o, e);
}

static void on_error(struct conn *c, enum err e)
{
    struct fcgi_origin *o = c->user;
    o->stream.reusable = false;
    if (o->complete) {
        o->stream.err = ERR_ORIGIN_RESET; /* the answer stays whole */
        wake_user(o);
        return;
    }
    stream_fail(o, ending(o, e == ERR_CLIENT_RESET ? ERR_ORIGIN_RESET : e));
}

/* A server may answer before it has read the request, and close: what it said is worth more than
 * the news that it takes no more. */
static void on_send_error(struct conn *c)
{
    struct fcgi_origin *o = c->user;
    o->refused = true;
    o->stream.blocked = o->stream.reusable = false;
    if (o->complete)
        on_error(c, ERR_CLIENT_RESET);
}

static void on_room(struct conn *c)
{
    struct fcgi_origin *o = c->user;
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

static void request_out(struct fcgi_origin *o)
{
    o->stream.sent_all = true;
    judge_reusable(o);
}

static enum err origin_send_head(struct stream *s, const struct message *m)
{
    struct fcgi_origin *o = of_stream(s);
    if (s->err)
        return s->err;
    if (m->length == LENGTH_UNKNOWN)
        return ERR_INTERNAL; /* whoever sends it gathers such a body first */
    o->method = m->method;
    o->keep_conn = m->cgi && m->cgi->keep_conn;
    TRY(fcgi_out_head(&o->out, m));
    s->sent_bytes = o->out.sent_bytes;
    if (o->out.left == 0)
        request_out(o);
    return ERR_OK;
}

static enum err origin_send_body(struct stream *s, struct body *b)
{
    struct fcgi_origin *o = of_stream(s);
    bool done;
    if (s->sent_all)
        return ERR_OK;
    if (s->err)
        return s->err;
    if (o->refused)
        return ERR_OK;
    TRY(fcgi_out_body(&o->out, b, &done, &s->blocked));
    s->sent_bytes = o->out.sent_bytes;
    if (s->blocked)
        conn_want_room(o->conn);
    if (done)
        request_out(o);
    return b->count == 0 && !done ? b->err : ERR_OK;
}

static void origin_detach(struct stream *s)
{
    struct fcgi_origin *o = of_stream(s);
    judge_reusable(o);
    s->body->want = NULL;
    task_cancel(&o->conn->loop->tasks, &o->pump);
    in_drop(o);
    fcgi_out_release(&o->out);
    conn_set_user(o->conn, &nobody_ops, NULL);
}

static void origin_moved(struct stream *s, struct message *head, struct body *body)
{
    s->head = head;
    s->body = body;
}

/* Neither next_head nor tunnel: there are no interim answers and no upgrades. */
static const struct stream_ops origin_ops = {
    .send_head = origin_send_head,
    .send_body = origin_send_body,
    .moved = origin_moved,
    .detach = origin_detach,
};

static struct stream *origin_open(struct conn *c, struct task *t, struct arena *a,
                                  struct message *head, struct body *body,
                                  const struct stream_limits *limits)
{
    struct fcgi_origin *o = ARENA_NEW(a, struct fcgi_origin);
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
    task_init(&o->pump, on_pump);
    body_bind(o);
    c->use_count++;
    conn_set_user(c, &conn_ops, o);
    conn_recv(c);
    return &o->stream;
}

const struct origin_engine fcgi_origin_engine = {.name = "fcgi", .open = origin_open};
