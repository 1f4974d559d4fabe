/* h2_client.c - the client side of HTTP/2: one session per connection, its beginning and its end.
 *
 * It ends in one of three ways. Drained (stopping, too many requests, idle for too long): GOAWAY
 * without a number and a PING, so that what the client sent before it knew is served; with the
 * PING's answer GOAWAY with the last number; with the last stream the connection closes. Failed,
 * for an error or a flood of the client's: GOAWAY with the reason, every stream is told. Lost: the
 * connection broke. An end that no request can report is reported by a stream made for it, so that
 * it is logged and counted like any other.
 *
 * The session is freed by the reaper once no stream has a user. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_client_priv.h"
#include <stdlib.h>

_Static_assert(sizeof(struct h2_session) <= 1536, "an idle connection is to be small");

enum { DRAIN_MS = 1000 }; /* for the answer to our PING */

/* ---- the end ---- */

static void session_free(struct dead *d)
{
    struct h2_session *s = CONTAINER_OF(d, struct h2_session, dead);
    h2_core_release(&s->core);
    free(s);
}

/* The connection was told to close by the caller: no callback comes any more. */
static void session_end(struct h2_session *s)
{
    struct loop *l = loop_of(s);
    s->over = true;
    count(s, METRIC_CONNECTIONS_IDLE, -1);
    count(s, METRIC_CONNECTIONS_OPEN, -1);
    timer_stop(&l->timers, &s->timer);
    task_cancel(&l->tasks, &s->pump);
    h2_gather_release(&s->out);
    span_drop(s->rest);
    s->rest = (struct span){0};
    list_remove(&s->link.link);
    conn_clear_session(s->link.conn, &s->link);
    s->dead = (struct dead){.free = session_free};
    dead_add(l, &s->dead);
}

/* No stream has a user: closes by what has happened. */
static void session_close(struct h2_session *s)
{
    struct conn *c = s->link.conn;
    int64_t by_ms = loop_of(s)->now_ms + limits_of(s)->linger_ms;
    if (s->over)
        return;
    h2_session_rests_drop(s);
    h2_gather_flush(&s->out); /* the last words */
    if (s->out.lost)
        conn_abort(c);
    else
        conn_linger(c, by_ms);
    session_end(s);
}

static void begin_idle(struct h2_session *s)
{
    struct loop *l = loop_of(s);
    timer_set(&l->timers, &s->timer, l->now_ms + limits_of(s)->keepalive_ms);
}

/* Not at once: whoever calls is in the middle of something. */
static void close_soon(struct h2_session *s)
{
    task_wake(&loop_of(s)->tasks, &s->pump);
}

static bool is_through(const struct h2_session *s)
{
    return s->stream_count == 0 && (s->out.lost || s->failed || s->eof || s->end == END_LAST);
}

void h2_session_stream_gone(struct h2_session *s)
{
    if (s->stream_count > 0)
        return;
    count(s, METRIC_CONNECTIONS_IDLE, 1);
    if (is_through(s))
        close_soon(s);
    else if (s->acceptor->draining && s->end == END_NOT)
        h2_session_drain(s);
    else if (s->end == END_NOT)
        begin_idle(s);
}

static void break_all(struct h2_session *s, enum err e)
{
    LIST_EACH (l, &s->streams)
        h2_client_break(LIST_ENTRY(l, struct h2_client, link), e);
}

/* ---- failing ---- */

static enum metric metric_of(enum err e)
{
    for (int k = 0; k < H2_LIMIT_COUNT; k++)
        if (h2_limit_row((enum h2_limit)k)->err == e)
            return h2_limit_row((enum h2_limit)k)->metric;
    return e == ERR_H2_CONTINUATIONS ? METRIC_H2_CONTINUATIONS : METRIC_H2_PROTOCOL_ERRORS;
}

/* Is there a request that will report it? One that has failed already reports that. */
static bool has_reporter(const struct h2_session *s)
{
    LIST_EACH (l, (struct list *)&s->streams)
        if (!LIST_ENTRY(l, struct h2_client, link)->stream.err)
            return true;
    return false;
}

static void report(struct h2_session *s, enum err e)
{
    struct h2_client *h = h2_client_open(s);
    if (!h)
        return;
    h2_client_break(h, e);
}

void h2_session_fail(struct h2_session *s, enum err e, enum h2_code code)
{
    if (s->failed || s->out.lost)
        return;
    s->failed = true;
    h2_core_fail(&s->core, code);
    count(s, metric_of(e), 1);
    count(s, METRIC_CONNECTIONS_DROPPED, 1);
    if (!has_reporter(s))
        report(s, e);
    break_all(s, e);
    if (is_through(s))
        close_soon(s);
}

void h2_session_fail_block(struct h2_session *s, enum err e)
{
    h2_session_fail(s, e, e == ERR_H2_HEADS ? H2_ENHANCE_YOUR_CALM : H2_COMPRESSION_ERROR);
}

/* ---- draining ---- */

void h2_session_drain(struct h2_session *s)
{
    struct loop *l = loop_of(s);
    if (s->end != END_NOT || s->failed || s->out.lost)
        return;
    s->end = END_TOLD;
    h2_core_goaway(&s->core, H2_STREAM_MAX, H2_NO_ERROR);
    h2_core_ping(&s->core);
    timer_set(&l->timers, &s->timer, l->now_ms + DRAIN_MS);
}

void h2_session_drain_end(struct h2_session *s)
{
    if (s->end == END_LAST || s->failed || s->out.lost)
        return;
    s->end = END_LAST;
    h2_core_goaway(&s->core, s->core.last_id, H2_NO_ERROR);
    if (is_through(s))
        close_soon(s);
}

static void on_timer(struct timer *t)
{
    struct h2_session *s = CONTAINER_OF(t, struct h2_session, timer);
    s->core.now_ms = loop_of(s)->now_ms;
    if (s->end == END_TOLD)
        h2_session_drain_end(s);
    else if (s->stream_count == 0)
        h2_session_drain(s);
}

static void on_pump(struct task *t)
{
    struct h2_session *s = CONTAINER_OF(t, struct h2_session, pump);
    if (is_through(s))
        session_close(s);
    else if (s->rest.len || s->paused)
        h2_session_read(s);
}

/* ---- what the connection tells ---- */

static void on_data(struct conn *c, struct span bytes)
{
    struct h2_session *s = c->user;
    ASSERT(s->rest.len == 0);
    s->rest = bytes;
    h2_session_read(s);
}

/* A client that only ended its side may still take its answers. */
static void on_eof(struct conn *c)
{
    struct h2_session *s = c->user;
    s->eof = true;
    LIST_EACH (l, &s->streams) {
        struct h2_client *h = LIST_ENTRY(l, struct h2_client, link);
        if (!h->in.ended)
            body_fail(h->stream.body, ERR_CLIENT_CLOSED);
        h->stream.peer_ended = true;
        wake_user(h);
    }
    if (is_through(s))
        close_soon(s);
}

static void on_error(struct conn *c, enum err e)
{
    struct h2_session *s = c->user;
    s->out.lost = true;
    break_all(s, e);
    if (is_through(s))
        close_soon(s);
}

static void on_room(struct conn *c)
{
    struct h2_session *s = c->user;
    h2_session_wake_next(s);
    if (h2_gather_pending(&s->out))
        flush_later(loop_of(s), &s->out.flush);
    if (s->paused)
        task_wake(&loop_of(s)->tasks, &s->pump);
}

static const struct conn_user_ops conn_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_room = on_room, .on_error = on_error};

/* ---- the session from outside ---- */

static void on_drain(struct session_link *l)
{
    h2_session_drain(CONTAINER_OF(l, struct h2_session, link));
}

static void on_abort(struct session_link *l)
{
    on_error(l->conn, ERR_SHUTTING_DOWN);
}

static bool is_idle(const struct session_link *l)
{
    const struct h2_session *s = CONTAINER_OF(l, const struct h2_session, link);
    return list_empty(&s->streams) && !s->over;
}

/* Whoever idles hears of it, but is not waited for. */
static void on_evict(struct session_link *l)
{
    struct h2_session *s = CONTAINER_OF(l, struct h2_session, link);
    if (is_idle(l) && s->end != END_LAST && !s->failed && !s->out.lost)
        h2_session_drain_end(s);
    else
        on_error(l->conn, ERR_EVICTED);
}

/* GOAWAY costs nobody a request. */
static const struct session_ops session_ops = {
    .drain = on_drain, .leave = on_drain, .abort = on_abort, .evict = on_evict, .idle = is_idle};

static char *core_room(struct h2_core *c, size_t len)
{
    return h2_gather_put(&CONTAINER_OF(c, struct h2_session, core)->out, len);
}

static void session_begin(struct h2_session *s, struct conn *c, struct stream_acceptor *a,
                          void *listener)
{
    s->link = (struct session_link){.ops = &session_ops, .conn = c, .listener = listener};
    s->acceptor = a;
    list_init(&s->streams);
    list_init(&s->rests);
    list_init(&s->waiting);
    timer_init(&s->timer, on_timer);
    task_init(&s->pump, on_pump);
    h2_gather_init(&s->out, c);
    list_push(&a->sessions, &s->link.link);
    conn_set_session(c, &s->link);
    count(s, METRIC_CONNECTIONS_OPEN, 1);
    count(s, METRIC_CONNECTIONS_IDLE, 1);
    count(s, METRIC_H2_CONNECTIONS, 1);
    h2_core_init(&s->core, H2_SERVER, limits_of(s)->head_bytes, core_room);
    s->core.now_ms = loop_of(s)->now_ms;
    h2_core_start(&s->core);
    begin_idle(s);
    if (stream_acceptor_leaves(a, listener)) /* since it was accepted */
        h2_session_drain(s);
}

bool h2_client_adopt(struct conn *c, struct stream_acceptor *a, void *listener, struct span first)
{
    struct h2_session *s = calloc(1, sizeof *s);
    if (!s) {
        span_drop(first);
        conn_abort(c);
        return false;
    }
    conn_set_user(c, &conn_ops, s);
    session_begin(s, c, a, listener);
    s->rest = first;
    if (first.len)
        task_wake(&loop_of(s)->tasks, &s->pump);
    else
        conn_recv(c);
    return true;
}

bool h2_client_start(struct loop *l, int fd, struct stream_acceptor *a, void *listener)
{
    struct conn *c = conn_accept(l, fd, &conn_ops, NULL);
    return c && h2_client_adopt(c, a, listener, (struct span){0});
}
