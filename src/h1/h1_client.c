/* h1_client.c - the client side of HTTP/1: one session per connection, one stream in it.
 *
 * A session waits for a head, opens a stream for it (acceptor->open), feeds the stream's body,
 * sends what it is given, and begins anew at detach. Requests that came pipelined wait in `in` and
 * are answered in order, because the next one is not looked at before. An idle session is nothing
 * but its connection, a timer and a few pointers: buffers, stream and parser come with the first
 * byte of a request. Whatever ends a request early, a malformed head, a timeout or a reset, is
 * recorded in the stream, so that the exchange answers and logs it; only a connection that never
 * said anything is closed without a word.
 *
 * Callbacks of the connection may end the session; it is freed by the reaper, never under them. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1.h"
#include "h1/h1_client_priv.h"
#include <stdlib.h>

_Static_assert(sizeof(struct h1_client) <= LOOP_BLOCK_SMALL_BYTES, "a client is one loop block");
_Static_assert(sizeof(struct h1_session) <= 104, "an idle connection is to be small");

static void on_pump(struct task *t);

/* ---- idle and busy ---- */

static struct loop *session_loop(const struct h1_session *s)
{
    return s->link.conn->loop;
}

static const struct stream_limits *session_limits(const struct h1_session *s)
{
    return s->acceptor->limits(s->acceptor, s->link.listener);
}

static int64_t keepalive_end_ms(const struct h1_session *s)
{
    return session_loop(s)->now_ms + session_limits(s)->keepalive_ms;
}

static void session_count(const struct h1_session *s, enum metric m, int64_t n)
{
    counter_add(session_loop(s)->counters, m, n);
}

/* The first byte of a request is here. NULL: no memory. */
static struct h1_client *client_take(struct h1_session *s)
{
    struct conn *c = s->link.conn;
    struct h1_client *h = loop_block_take(c->loop, LOOP_BLOCK_SMALL);
    if (!h)
        return NULL;
    *h = (struct h1_client){.session = s, .conn = c, .out.conn = c};
    task_init(&h->pump, on_pump);
    s->client = h;
    session_count(s, METRIC_CONNECTIONS_IDLE, -1);
    return h;
}

static void client_give(struct h1_client *h)
{
    struct h1_session *s = h->session;
    struct loop *l = session_loop(s);
    h1_in_drop(&h->in);
    h1_out_release(&h->out);
    task_cancel(&l->tasks, &h->pump);
    loop_block_give(l, LOOP_BLOCK_SMALL, h);
    s->client = NULL;
    session_count(s, METRIC_CONNECTIONS_IDLE, 1);
}

static void begin_idle(struct h1_session *s)
{
    timer_set(&session_loop(s)->timers, &s->timer, keepalive_end_ms(s));
    conn_recv(s->link.conn);
}

/* The next request may be in hand already. The timer's deadline is that of a state long gone. */
void h1_client_await(struct h1_client *h)
{
    struct h1_session *s = h->session;
    h->reading = READ_HEAD;
    h->in.scan = (struct h1_scan){0};
    if (s->acceptor->draining) {
        h1_client_linger(h);
    } else if (h->in.bytes.len) {
        timer_stop(&loop_of(h)->timers, &s->timer);
        task_wake(&loop_of(h)->tasks, &h->pump);
    } else {
        client_give(h);
        begin_idle(s);
    }
}

static void on_pump(struct task *t)
{
    struct h1_client *h = CONTAINER_OF(t, struct h1_client, pump);
    if (h->reading == READ_HEAD && h->in.bytes.len)
        h1_client_next(h);
    else if (h->reading == READ_BODY)
        h1_client_read_body(h);
}

/* ---- the end of a session ---- */

static void session_free(struct dead *d)
{
    free(CONTAINER_OF(d, struct h1_session, dead));
}

/* The connection was told to close by the caller: no callback comes any more. */
static void session_end(struct h1_session *s)
{
    struct loop *l = session_loop(s);
    if (s->client)
        client_give(s->client);
    session_count(s, METRIC_CONNECTIONS_IDLE, -1);
    session_count(s, METRIC_CONNECTIONS_OPEN, -1);
    timer_stop(&l->timers, &s->timer);
    list_remove(&s->link.link);
    conn_clear_session(s->link.conn, &s->link);
    s->dead = (struct dead){.free = session_free};
    dead_add(l, &s->dead);
}

static int64_t linger_end_ms(const struct h1_session *s)
{
    return session_loop(s)->now_ms + session_limits(s)->linger_ms;
}

static void session_close(struct h1_session *s)
{
    conn_close_by(s->link.conn, linger_end_ms(s));
    session_end(s);
}

static void session_abort(struct h1_session *s)
{
    conn_abort(s->link.conn);
    session_end(s);
}

void h1_client_end(struct h1_client *h)
{
    session_end(h->session);
}

void h1_client_close(struct h1_client *h)
{
    session_close(h->session);
}

void h1_client_linger(struct h1_client *h)
{
    conn_linger(h->conn, linger_end_ms(h->session));
    session_end(h->session);
}

void h1_client_abort(struct h1_client *h)
{
    session_abort(h->session);
}

static void on_timer(struct timer *t)
{
    struct h1_session *s = CONTAINER_OF(t, struct h1_session, timer);
    struct h1_client *h = s->client;
    if (!h)
        session_close(s);
    else if (h->open)
        return;
    else if (h->waiting || h->reading == READ_DRAIN)
        session_abort(s);
    else
        h1_client_refuse_head(h, ERR_CLIENT_HEADER_TIMEOUT);
}

/* ---- what the connection tells ---- */

static void received(struct h1_client *h, struct span s)
{
    enum err e = h1_in_add(&h->in, &loop_of(h)->bufs, s);
    if (h->reading == READ_DRAIN)
        e ? h1_client_abort(h) : h1_client_drain(h);
    else if (e && !h->open)
        h1_client_refuse_head(h, e);
    else if (e)
        h1_client_fail_reading(h, e);
    else if (h->reading == READ_HEAD)
        h1_client_read_head(h);
    else if (h->reading == READ_BODY)
        h1_client_read_body(h);
}

static void on_data(struct conn *c, struct span bytes)
{
    struct h1_session *s = c->user;
    struct h1_client *h = s->client ? s->client : client_take(s);
    if (h) {
        received(h, bytes);
    } else {
        span_drop(bytes);
        session_abort(s);
    }
}

/* The client whose stream has a user. */
static struct h1_client *open_client(struct conn *c)
{
    struct h1_session *s = c->user;
    return s->client && s->client->open ? s->client : NULL;
}

/* Half-closing is legal once the request is whole (RFC 9112 9.6): it may be served, as the last
 * one. How long is the user's to decide, since a client that is gone looks the same. */
static void on_eof(struct conn *c)
{
    struct h1_client *h = open_client(c);
    if (!h) {
        session_close(c->user);
        return;
    }
    h->last = true;
    if (h->tunnel)
        body_end(h->stream.body);
    else if (h->reading == READ_BODY)
        h1_client_fail_reading(h, ERR_CLIENT_CLOSED);
    h->stream.peer_ended = true;
    wake_user(h);
}

static void on_error(struct conn *c, enum err e)
{
    struct h1_client *h = open_client(c);
    if (!h) {
        session_abort(c->user);
        return;
    }
    h->lost = true;
    h->stream.err = e;
    h1_client_fail_reading(h, e);
    wake_user(h);
}

static void on_room(struct conn *c)
{
    struct h1_session *s = c->user;
    struct h1_client *h = s->client;
    if (!h)
        return;
    if (h->open) {
        h->stream.blocked = false;
        wake_user(h);
    } else if (h->waiting) {
        h1_client_next(h);
    }
}

static const struct conn_user_ops conn_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_room = on_room, .on_error = on_error};

/* ---- the session from outside ---- */

static void on_drain(struct session_link *l)
{
    struct h1_session *s = CONTAINER_OF(l, struct h1_session, link);
    if (!s->client)
        session_close(s);
    else
        s->client->last = s->client->open;
}

/* With a stream open its user ends it: the connection is read by it until then. */
static void on_abort(struct session_link *l)
{
    on_error(l->conn, ERR_SHUTTING_DOWN);
}

static bool is_idle(const struct session_link *l)
{
    return CONTAINER_OF(l, const struct h1_session, link)->client == NULL;
}

static void on_evict(struct session_link *l)
{
    if (is_idle(l))
        session_close(CONTAINER_OF(l, struct h1_session, link));
    else
        on_error(l->conn, ERR_EVICTED);
}

static const struct session_ops session_ops = {
    .drain = on_drain, .abort = on_abort, .evict = on_evict, .idle = is_idle};

static void session_begin(struct h1_session *s, struct conn *c, struct stream_acceptor *a,
                          void *listener)
{
    s->link = (struct session_link){.ops = &session_ops, .conn = c, .listener = listener};
    s->acceptor = a;
    timer_init(&s->timer, on_timer);
    list_push(&a->sessions, &s->link.link);
    conn_set_session(c, &s->link);
    session_count(s, METRIC_CONNECTIONS_OPEN, 1);
    session_count(s, METRIC_CONNECTIONS_IDLE, 1);
    begin_idle(s);
}

bool h1_client_start(struct loop *l, int fd, struct stream_acceptor *a, void *listener)
{
    struct h1_session *s = calloc(1, sizeof *s);
    struct conn *c = conn_accept(l, fd, &conn_ops, s);
    if (!c || !s) {
        if (c)
            conn_abort(c);
        free(s);
        return false;
    }
    session_begin(s, c, a, listener);
    return true;
}

bool h1_client_adopt(struct conn *c, struct stream_acceptor *a, void *listener)
{
    struct h1_session *s = calloc(1, sizeof *s);
    if (!s) {
        conn_abort(c);
        return false;
    }
    conn_set_user(c, &conn_ops, s);
    session_begin(s, c, a, listener);
    return true;
}
