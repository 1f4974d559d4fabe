/* h2_origin_send.c - requests: heads, bodies as the windows and the connection allow, trailers, and
 * the goodbye: what is not whole by then is reset, so that no server takes it for whole. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_block.h"
#include "h2/h2_origin_fields.h"
#include "h2/h2_origin_priv.h"

enum {
    QUOTA_BYTES = 65536, /* then it is another stream's turn */
};

static bool is_cut_off(const struct h2_origin *o)
{
    return !o->flow.listed || o->session->lost || o->session->failed || o->session->out.lost;
}

/* ---- heads ---- */

static void block_send(struct h2_origin *o, char *at, size_t len, bool end)
{
    size_t n = h2_block_frame(at, len, o->flow.id, end ? H2_FLAG_END_STREAM : 0);
    h2_gather_commit(&o->session->out, n);
    o->stream.sent_bytes += n;
    if (!end)
        return;
    o->stream.sent_all = true;
    h2_core_ended(&o->session->core, &o->flow);
}

static bool has_body(const struct message *m)
{
    return m->length == LENGTH_UNKNOWN || (m->length == LENGTH_KNOWN && m->content_length > 0);
}

/* May the session begin another stream? Whoever was let on before it could not any more is told
 * that nothing was sent. */
static bool takes_streams(const struct h2_session_origin *s)
{
    return !s->lost && !s->failed && !s->out.lost && !s->mux.shut &&
           s->core.open_count < s->core.peer_streams_max;
}

static void flow_open(struct h2_origin *o)
{
    struct h2_core *c = &o->session->core;
    c->last_id = c->last_id ? c->last_id + 2 : 1;
    struct h2_event ev = {.id = c->last_id, .urgency = H2_URGENCY_DEFAULT};
    h2_core_open(c, &o->flow, &ev);
    o->read_count = o->session->read_count;
    o->stream.conn->use_count++;
}

/* RFC 8441. Another protocol, or a server that knows nothing of it: only the user can help, on a
 * connection of another kind, or without the upgrade. */
static bool carries(const struct h2_origin *o, const struct message *m)
{
    return !m->upgrade || (o->session->core.peer_connects && h2_request_switches(m));
}

static enum err head_send(struct h2_origin *o, const struct message *m)
{
    struct stream *st = &o->stream;
    struct h2_session_origin *s = o->session;
    if (!takes_streams(s)) {
        h2_origin_unprocessed(o);
        return st->err;
    }
    if (!carries(o, m)) {
        h2_origin_break(o, ERR_ORIGIN_NO_UPGRADE);
        return st->err;
    }
    s->core.now_ms = h2_loop_of(s)->now_ms;
    h2_gather_streams(&s->out, s->stream_count);
    size_t room = h2_block_room(h2_request_room(m));
    char *at = h2_gather_reserve(&s->out, room);
    if (!at)
        return room > BUF_LARGE_BYTES ? ERR_OVER_BUDGET : ERR_NO_BUFFERS;
    flow_open(o);
    o->method = m->method;
    o->counted = m->length == LENGTH_KNOWN;
    o->left = m->content_length;
    struct slice scheme = st->conn->layer ? SLICE("https") : SLICE("http");
    struct slice protocol = m->upgrade ? SLICE("websocket") : SLICE_NONE;
    o->connect = m->upgrade;
    size_t len = h2_request_write(&s->core.encoder, at + H2_FRAME_HEAD_BYTES, m, scheme, protocol);
    block_send(o, at, len, !o->connect && !has_body(m));
    st->sent_all |= o->connect;
    return ERR_OK;
}

void h2_origin_settled(struct h2_session_origin *s)
{
    LIST_EACH (l, &s->streams) {
        struct h2_origin *o = LIST_ENTRY(l, struct h2_origin, link);
        if (!o->deferred || o->stream.err)
            continue;
        o->deferred = false;
        enum err e = head_send(o, o->asked);
        if (e)
            h2_origin_break(o, e);
        h2_wake_user(o);
    }
}

static enum err origin_send_head(struct stream *st, const struct message *m)
{
    struct h2_origin *o = h2_of_stream(st);
    if (st->err)
        return st->err;
    o->asked = m->upgrade ? m : NULL;
    o->deferred = m->upgrade && !o->session->mux.settled;
    return o->deferred ? ERR_OK : head_send(o, m);
}

static void origin_next_head(struct stream *st)
{
    struct h2_origin *o = h2_of_stream(st);
    struct h2_origin_head *h = o->heads;
    if (st->head_state != STREAM_HEAD_INTERIM)
        return;
    st->head_state = STREAM_HEAD_NONE;
    if (!h)
        return;
    o->heads = h->next;
    if (!o->heads)
        o->heads_tail = &o->heads;
    *st->head = h->message;
    st->head_state = h->message.status < 200 ? STREAM_HEAD_INTERIM : STREAM_HEAD_FINAL;
    h2_wake_user(o);
}

/* ---- bodies ---- */

void h2_origin_wake_waiting(struct h2_session_origin *s)
{
    struct list *l;
    while ((l = list_pop(&s->waiting))) {
        struct h2_origin *o = LIST_ENTRY(l, struct h2_origin, turn);
        o->stream.blocked = false;
        h2_wake_user(o);
    }
}

/* Why nothing more goes now; the user is woken when it does. */
static bool must_wait(struct h2_origin *o)
{
    struct h2_session_origin *s = o->session;
    bool crowded = h2_gather_crowded(&s->out), own = o->flow.send_window <= 0;
    if (!crowded && !own && s->core.send_window > 0)
        return false;
    o->stream.blocked = true;
    if (!own && list_empty(&s->waiting))
        s->waiting_since_ms = h2_loop_of(s)->now_ms;
    if (!own)
        list_push(&s->waiting, &o->turn);
    if (crowded)
        conn_want_room(s->mux.conn);
    h2_origin_tell(s);
    return true;
}

static enum err send_run(struct h2_origin *o, struct span run, bool end)
{
    struct h2_session_origin *s = o->session;
    size_t len = run.len; /* it is gone then */
    if (!h2_outlet_send(&s->out, &s->core, &o->flow, run, end))
        return s->out.lost ? ERR_ORIGIN_RESET : ERR_NO_BUFFERS;
    o->left -= o->counted ? len : 0;
    o->stream.sent_bytes += H2_FRAME_HEAD_BYTES + len;
    o->stream.sent_all = end;
    return ERR_OK;
}

static enum err send_trailers(struct h2_origin *o, const struct headers *t)
{
    struct h2_session_origin *s = o->session;
    char *at = h2_gather_reserve(&s->out, h2_block_room(h2_trailers_room(t)));
    if (!at)
        return ERR_NO_BUFFERS;
    block_send(o, at, h2_trailers_write(&s->core.encoder, at + H2_FRAME_HEAD_BYTES, t), true);
    return ERR_OK;
}

static enum err send_end(struct h2_origin *o, const struct body *b)
{
    if (o->stream.sent_all)
        return ERR_OK;
    return h2_outlet_trailers(b) ? send_trailers(o, b->trailers)
                                 : send_run(o, (struct span){0}, true);
}

/* Is the body as long as its head said? */
static bool fits(const struct h2_origin *o, const struct body *b)
{
    return !o->counted || (b->bytes <= o->left && !(b->ended && b->bytes < o->left));
}

static enum err send_some(struct h2_origin *o, struct body *b)
{
    size_t sent = 0;
    while (b->count) {
        if (must_wait(o))
            return ERR_OK;
        if (sent >= QUOTA_BYTES && o->session->stream_count > 1) {
            h2_wake_user(o);
            return ERR_OK;
        }
        struct span run = h2_outlet_next(&o->session->core, &o->flow, b);
        sent += run.len;
        TRY(send_run(o, run, body_done(b) && !h2_outlet_trailers(b)));
    }
    return body_done(b) ? send_end(o, b) : ERR_OK;
}

static enum err origin_send_body(struct stream *st, struct body *b)
{
    struct h2_origin *o = h2_of_stream(st);
    if (st->sent_all)
        return ERR_OK;
    if (st->err)
        return st->err;
    if (is_cut_off(o)) {
        /* The server wants no more of it; what it answered counts. A tunnel is over by that. */
        st->sent_all = o->connect;
        return ERR_OK;
    }
    if (!fits(o, b))
        return ERR_INTERNAL;
    st->blocked = false;
    list_remove(&o->turn);
    o->session->core.now_ms = h2_loop_of(o->session)->now_ms;
    TRY(send_some(o, b));
    return b->count == 0 ? b->err : ERR_OK;
}

/* ---- goodbye ---- */

static void origin_tunnel(struct stream *st)
{
    struct h2_origin *o = h2_of_stream(st);
    st->sent_all = st->reusable = false;
    body_reopen(st->body);
    h2_origin_bind_body(o);
    o->in.held = false;
    task_wake(&h2_loop_of(o->session)->tasks, &o->pump);
}

static void origin_detach(struct stream *st)
{
    struct h2_origin *o = h2_of_stream(st);
    struct h2_session_origin *s = o->session;
    st->body->want = NULL;
    h2_intake_drop(&o->in);
    task_cancel(&h2_loop_of(s)->tasks, &o->pump);
    list_remove(&o->turn);
    list_remove(&o->link);
    s->stream_count--;
    if (o->flow.id == 0)
        return;
    s->core.now_ms = h2_loop_of(s)->now_ms;
    h2_core_reset(&s->core, &o->flow, H2_CANCEL);
    h2_core_close(&s->core, &o->flow);
    h2_origin_tell(s);
}

static void origin_moved(struct stream *s, struct message *head, struct body *body)
{
    s->head = head;
    s->body = body;
    CONTAINER_OF(s, struct h2_origin, stream)->in.body = body;
}

const struct stream_ops h2_origin_ops = {
    .send_head = origin_send_head,
    .send_body = origin_send_body,
    .next_head = origin_next_head,
    .tunnel = origin_tunnel,
    .moved = origin_moved,
    .detach = origin_detach,
};
