/* h2_origin.c - the origin side of HTTP/2: a session's beginning and end, and its word to the pool.
 *
 * The session owns the connection. It ends in one of four ways. Closed: idle for long enough.
 * Going: the server's GOAWAY; streams that it will not process are told so and can be sent again,
 * the others end in peace. Failed: the server broke the rules, or did not answer a PING. Lost: the
 * connection broke. After the last three it is gone for the pool, and closes when nobody uses it.
 *
 * A server that answers nothing for too long is asked by a PING whether it is there. Until it is,
 * and while what clients do not take fills half of the window, new streams go elsewhere. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_core_priv.h"
#include "h2/h2_origin_priv.h"
#include <stdlib.h>

enum {
    LIST_BYTES = 65536,      /* of a header list, as our SETTINGS say */
    SETTINGS_MS = 10 * 1000, /* until the server's have come */
    PING_MS = 5000,          /* until it answers */
    STALL_MS = 200,          /* streams have waited so long for the connection to move */
    FINISH_MS = 2000,        /* for our last words */
    STREAM_ID_LAST = H2_STREAM_MAX - 1000,
};

/* ---- streams ---- */

void h2_origin_break(struct h2_origin *o, enum err e)
{
    if (!o->complete && !o->stream.err) {
        o->stream.err = e;
        body_fail(o->stream.body, e);
    }
    o->stream.blocked = false;
    h2_wake_user(o);
}

void h2_origin_unprocessed(struct h2_origin *o)
{
    o->stream.unprocessed = !o->final;
    h2_origin_break(o, o->final ? ERR_ORIGIN_RESET : ERR_ORIGIN_UNPROCESSED);
}

/* A connection that served before and ends without another byte was closed by the server while the
 * request was on its way. */
static enum err ending(const struct h2_origin *o, enum err e)
{
    const struct h2_session_origin *s = o->session;
    bool silent = o->read_count == s->read_count && s->mux.conn->use_count > 1;
    return silent ? ERR_ORIGIN_STALE : e;
}

static void break_all(struct h2_session_origin *s, enum err e)
{
    LIST_EACH (l, &s->streams) {
        struct h2_origin *o = LIST_ENTRY(l, struct h2_origin, link);
        if (o->flow.id == 0)
            h2_origin_unprocessed(o);
        else
            h2_origin_break(o, s->lost ? ending(o, e) : e);
    }
}

/* ---- the end ---- */

static void session_free(struct dead *d)
{
    struct h2_session_origin *s = CONTAINER_OF(d, struct h2_session_origin, dead);
    h2_core_release(&s->core);
    free(s);
}

static void session_end(struct h2_session_origin *s)
{
    struct loop *l = h2_loop_of(s);
    ASSERT(s->stream_count == 0);
    if (s->over)
        return;
    s->over = true;
    h2_gather_flush(&s->out);
    h2_gather_release(&s->out);
    if (s->lost)
        conn_abort(s->mux.conn);
    else /* its WINDOW_UPDATEs may be on their way: they must not destroy what we sent last */
        conn_linger(s->mux.conn, l->now_ms + FINISH_MS);
    timer_stop(&l->timers, &s->timer);
    task_cancel(&l->tasks, &s->pump);
    span_drop(s->rest);
    s->dead = (struct dead){.free = session_free};
    dead_add(l, &s->dead);
}

static void on_close(struct mux *m)
{
    struct h2_session_origin *s = h2_of_mux(m);
    if (!s->lost && !s->failed)
        h2_core_goaway(&s->core, 0, H2_NO_ERROR);
    mux_gone(m, ERR_OK);
    session_end(s);
}

static void on_unused(struct mux *m)
{
    session_end(h2_of_mux(m));
}

/* Not at once: whoever calls is in the middle of something. */
static void gone(struct h2_session_origin *s, enum err e)
{
    mux_gone(&s->mux, e);
    if (s->mux.used == 0)
        task_wake(&h2_loop_of(s)->tasks, &s->pump);
}

void h2_origin_fail(struct h2_session_origin *s, enum err e, enum h2_code code)
{
    if (s->failed || s->lost)
        return;
    s->failed = true;
    h2_core_fail(&s->core, code);
    break_all(s, e);
    gone(s, e);
}

static void session_lost(struct h2_session_origin *s, enum err e)
{
    if (s->lost)
        return;
    s->lost = s->out.lost = true;
    break_all(s, e);
    gone(s, e);
}

void h2_origin_going(struct h2_session_origin *s, uint32_t last_id)
{
    LIST_EACH (l, &s->streams) {
        struct h2_origin *o = LIST_ENTRY(l, struct h2_origin, link);
        if (o->flow.listed && o->flow.id > last_id) {
            h2_core_reset(&s->core, &o->flow, H2_CANCEL);
            h2_origin_unprocessed(o);
        } else if (o->flow.id == 0) {
            h2_origin_unprocessed(o);
        }
    }
    s->mux.shut = true;
    if (s->mux.used == 0)
        gone(s, ERR_ORIGIN_CLOSED);
    else
        mux_changed(&s->mux);
}

/* ---- the word to the pool ---- */

void h2_origin_tell(struct h2_session_origin *s)
{
    int64_t now_ms = h2_loop_of(s)->now_ms;
    bool settled = s->core.phase == H2_PHASE_OPEN;
    bool waits = !list_empty(&s->waiting);
    bool filled = s->core.held_bytes > s->core.window_bytes / 2;
    bool stalled = filled || s->probing || (waits && now_ms - s->waiting_since_ms >= STALL_MS);
    bool shut = s->mux.shut || s->core.last_id >= STREAM_ID_LAST;
    struct mux *m = &s->mux;
    if (settled && !m->settled && !s->probing)
        timer_stop(&h2_loop_of(s)->timers, &s->timer);
    if (settled == m->settled && stalled == m->stalled && shut == m->shut &&
        m->limit == s->core.peer_streams_max)
        return;
    bool first = settled && !m->settled;
    m->settled |= settled;
    m->stalled = stalled;
    m->shut = shut;
    m->limit = s->core.peer_streams_max;
    if (first)
        h2_origin_settled(s);
    mux_changed(m);
}

static void on_doubt(struct mux *m)
{
    struct h2_session_origin *s = h2_of_mux(m);
    struct loop *l = h2_loop_of(s);
    if (s->probing || s->failed || s->lost || !m->settled)
        return;
    s->probing = true;
    h2_core_ping(&s->core);
    timer_set(&l->timers, &s->timer, l->now_ms + PING_MS);
    m->stalled = true;
}

void h2_origin_answered(struct h2_session_origin *s)
{
    s->probing = false;
    timer_stop(&h2_loop_of(s)->timers, &s->timer);
}

/* Neither SETTINGS nor the answer to a PING. */
static void on_timer(struct timer *t)
{
    struct h2_session_origin *s = CONTAINER_OF(t, struct h2_session_origin, timer);
    bool settled = s->mux.settled;
    h2_origin_fail(s, settled ? ERR_ORIGIN_READ_TIMEOUT : ERR_ORIGIN_FIRST_BYTE_TIMEOUT,
                   settled ? H2_NO_ERROR : H2_SETTINGS_TIMEOUT);
}

static const struct mux_ops mux_ops = {.close = on_close, .unused = on_unused, .doubt = on_doubt};

/* ---- what the connection tells ---- */

static void on_pump(struct task *t)
{
    struct h2_session_origin *s = CONTAINER_OF(t, struct h2_session_origin, pump);
    if (!s->mux.owner && s->mux.used == 0)
        session_end(s);
    else if (s->rest.len)
        h2_origin_read(s);
}

static void on_data(struct conn *c, struct span bytes)
{
    struct h2_session_origin *s = c->user;
    ASSERT(s->rest.len == 0);
    s->rest = bytes;
    s->read_count++;
    h2_origin_read(s);
}

static void on_eof(struct conn *c)
{
    session_lost(c->user, ERR_ORIGIN_CLOSED);
}

static void on_error(struct conn *c, enum err e)
{
    session_lost(c->user, e == ERR_CLIENT_RESET ? ERR_ORIGIN_RESET : e);
}

static void on_room(struct conn *c)
{
    struct h2_session_origin *s = c->user;
    h2_origin_wake_waiting(s);
    if (h2_gather_pending(&s->out))
        flush_later(c->loop, &s->out.flush);
    if (s->paused)
        task_wake(&c->loop->tasks, &s->pump);
    h2_origin_tell(s);
}

/* What the server still said before it went away is worth more than the news that it takes nothing:
 * a GOAWAY, or whole answers. */
static void on_send_error(struct conn *c)
{
    struct h2_session_origin *s = c->user;
    s->out.lost = true;
    s->mux.shut = true;
    h2_origin_wake_waiting(s); /* they send no more, but may still be answered */
    mux_changed(&s->mux);
    if (s->rest.len)
        task_wake(&c->loop->tasks, &s->pump);
    else
        conn_recv(c);
}

static const struct conn_user_ops conn_ops = {.on_data = on_data,
                                              .on_eof = on_eof,
                                              .on_room = on_room,
                                              .on_error = on_error,
                                              .on_send_error = on_send_error};

/* ---- the beginning ---- */

static char *core_room(struct h2_core *c, size_t len)
{
    return h2_gather_put(&CONTAINER_OF(c, struct h2_session_origin, core)->out, len);
}

static struct mux *session_start(struct conn *c)
{
    struct h2_session_origin *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->mux = (struct mux){.ops = &mux_ops, .conn = c, .limit = 1};
    list_init(&s->streams);
    list_init(&s->waiting);
    task_init(&s->pump, on_pump);
    timer_init(&s->timer, on_timer);
    h2_gather_init(&s->out, c);
    conn_set_user(c, &conn_ops, s);
    h2_core_init(&s->core, H2_CLIENT, LIST_BYTES, core_room);
    s->core.now_ms = c->loop->now_ms;
    /* Many clients that take nothing of their answers must not shut it for the others: theirs is
     * held back by the windows of their streams. */
    s->core.window_bytes = H2_CONN_WINDOW_MAX_BYTES;
    h2_core_start(&s->core);
    timer_set(&c->loop->timers, &s->timer, c->loop->now_ms + SETTINGS_MS);
    conn_recv(c);
    return &s->mux;
}

const struct mux_engine h2_mux_engine = {.alpn = "h2", .start = session_start};

static struct stream *origin_open(struct conn *c, struct task *t, struct arena *a,
                                  struct message *head, struct body *body,
                                  const struct stream_limits *limits)
{
    struct h2_session_origin *s = c->user;
    struct h2_origin *o = ARENA_NEW(a, struct h2_origin);
    if (!o)
        return NULL;
    o->stream = (struct stream){.ops = &h2_origin_ops,
                                .loop = c->loop,
                                .conn = c,
                                .task = t,
                                .arena = a,
                                .head = head,
                                .body = body,
                                .windowed = true};
    o->session = s;
    o->limits = *limits;
    o->heads_tail = &o->heads;
    list_init(&o->turn);
    task_init(&o->pump, h2_origin_pump);
    h2_intake_init(&o->in, &s->core, &o->flow, body, &c->loop->bufs);
    h2_origin_bind_body(o);
    list_push(&s->streams, &o->link);
    s->stream_count++;
    return &o->stream;
}

const struct origin_engine h2_origin_engine = {.name = "h2", .open = origin_open};
