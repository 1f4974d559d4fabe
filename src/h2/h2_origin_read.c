/* h2_origin_read.c - what the server sends: events of the core become heads and bodies.
 *
 * Heads may come faster than they are taken (a 103 and the final one in one piece): they wait in
 * order. Nothing is guessed: a response that breaks a rule is reset and ends as an error, never as
 * a shorter body. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_origin_fields.h"
#include "h2/h2_origin_priv.h"

enum { HEADS_WAITING_MAX = 32 };

/* ---- bodies ---- */

void h2_origin_pump(struct task *t)
{
    struct h2_origin *o = CONTAINER_OF(t, struct h2_origin, pump);
    o->session->core.now_ms = h2_loop_of(o->session)->now_ms;
    h2_intake_move(&o->in);
}

static void on_want(struct body *b)
{
    struct h2_origin *o = b->producer;
    task_wake(&h2_loop_of(o->session)->tasks, &o->pump);
}

void h2_origin_bind_body(struct h2_origin *o)
{
    o->stream.body->producer = o;
    o->stream.body->want = on_want;
}

/* The server's fault on this stream. */
static void blame(struct h2_origin *o, enum err e)
{
    struct h2_session_origin *s = o->session;
    h2_origin_break(o, e);
    if (!h2_core_blame(&s->core, &o->flow, H2_PROTOCOL_ERROR))
        h2_origin_fail(s, ERR_ORIGIN_H2, H2_ENHANCE_YOUR_CALM);
}

static void response_whole(struct h2_origin *o)
{
    o->complete = o->stream.reusable = true;
    h2_intake_end(&o->in);
}

static void on_data(struct h2_session_origin *s, const struct h2_event *ev)
{
    struct h2_origin *o = h2_of_flow(ev->stream);
    o->stream.received_bytes += ev->bytes.len + H2_FRAME_HEAD_BYTES;
    if (o->stream.err || !o->final) {
        h2_core_consumed(&s->core, &o->flow, (uint32_t)ev->bytes.len);
        if (!o->stream.err)
            blame(o, ERR_ORIGIN_BAD_FRAMING); /* DATA before the head */
        return;
    }
    enum err e = ev->bytes.len ? h2_intake_push(&o->in, s->rest.buf, ev->bytes) : ERR_OK;
    if (e) {
        h2_core_consumed(&s->core, &o->flow, (uint32_t)ev->bytes.len);
        h2_core_reset(&s->core, &o->flow, H2_CANCEL);
        h2_origin_break(o, e);
    } else if (ev->end) {
        response_whole(o);
    }
}

/* ---- heads ---- */

/* Decodes, to keep the table in step. */
static void decode_nowhere(struct h2_session_origin *s, struct slice block)
{
    enum err e = hpack_skip(&s->core.decoder, block, s->core.list_bytes);
    if (hpack_is_fatal(e))
        h2_origin_fail(s, ERR_ORIGIN_H2, H2_COMPRESSION_ERROR);
}

/* Where the next head goes: to the user when he has taken the one before. */
static struct message *head_place(struct h2_origin *o)
{
    if (o->stream.head_state == STREAM_HEAD_NONE && !o->heads)
        return o->stream.head;
    if (o->head_count == HEADS_WAITING_MAX)
        return NULL;
    struct h2_origin_head *h = ARENA_NEW(o->stream.arena, struct h2_origin_head);
    if (!h)
        return NULL;
    o->head_count++;
    *o->heads_tail = h;
    o->heads_tail = &h->next;
    return &h->message;
}

static enum err read_head(struct h2_origin *o, const struct h2_event *ev, struct message *m)
{
    struct h2_core *c = &o->session->core;
    struct h2_response r = {
        .fields = {.headers = &m->headers, .arena = o->stream.arena, .limits = &o->limits}};
    uint32_t list_bytes =
        o->limits.head_bytes < c->list_bytes ? o->limits.head_bytes : c->list_bytes;
    message_init(m);
    TRY(hpack_decode(&c->decoder, ev->bytes, list_bytes, o->stream.arena, h2_response_take, &r));
    TRY(h2_response_finish(&r, (enum method)o->method, ev->end, m));
    if (m->status < 200)
        return ERR_OK;
    if (o->connect && m->status < 300) {
        o->in.held = true; /* until told that the tunnel begins */
        return h2_response_switch(o->asked, o->stream.arena, m);
    }
    bool bare = m->length == LENGTH_NONE;
    if (!bare && m->length != LENGTH_KNOWN)
        return ERR_OK;
    if (!h2_core_expect(&o->flow, bare ? 0 : m->content_length))
        return ERR_BAD_CONTENT_LENGTH;
    /* Trailers may follow nothing: on the client's side nothing must not be the end yet. */
    if (!bare && m->content_length == 0 && !ev->end)
        m->length = LENGTH_UNKNOWN;
    return ERR_OK;
}

static void head_came(struct h2_origin *o, const struct message *m, const struct h2_event *ev)
{
    bool final = m->status >= 200 || m->status == 101;
    if (m == o->stream.head)
        o->stream.head_state = final ? STREAM_HEAD_FINAL : STREAM_HEAD_INTERIM;
    o->final = final;
    h2_wake_user(o);
    if (ev->end)
        response_whole(o);
}

static void head_failed(struct h2_origin *o, enum err e)
{
    struct h2_session_origin *s = o->session;
    enum err ours = h2_origin_err(e);
    if (hpack_is_fatal(e)) {
        h2_origin_fail(s, ERR_ORIGIN_H2, H2_COMPRESSION_ERROR);
    } else if (ours == ERR_ORIGIN_BAD_HEAD || ours == ERR_ORIGIN_BAD_FRAMING) {
        blame(o, ours);
    } else {
        h2_core_reset(&s->core, &o->flow, H2_CANCEL);
        h2_origin_break(o, ours);
    }
}

static void on_head(struct h2_origin *o, const struct h2_event *ev)
{
    struct message *m = head_place(o);
    if (!m) {
        decode_nowhere(o->session, ev->bytes);
        h2_core_reset(&o->session->core, &o->flow, H2_CANCEL);
        h2_origin_break(o, o->head_count == HEADS_WAITING_MAX ? ERR_ORIGIN_TOO_MANY_INTERIMS
                                                              : ERR_OVER_BUDGET);
        return;
    }
    enum err e = read_head(o, ev, m);
    if (e)
        head_failed(o, e);
    else
        head_came(o, m, ev);
}

static enum err read_trailers(struct h2_origin *o, const struct h2_event *ev)
{
    struct headers *t = ARENA_NEW(o->stream.arena, struct headers);
    struct h2_fields f = {
        .headers = t, .arena = o->stream.arena, .limits = &o->limits, .trailers = true};
    if (!t) {
        decode_nowhere(o->session, ev->bytes);
        return ERR_OVER_BUDGET;
    }
    TRY(hpack_decode(&o->session->core.decoder, ev->bytes, o->limits.trailer_bytes, f.arena,
                     h2_fields_take, &f));
    if (!ev->end)
        return ERR_BAD_HEADER; /* RFC 9113 8.1: a second final head */
    if (t->count)
        o->stream.body->trailers = t;
    return ERR_OK;
}

static void on_trailers(struct h2_origin *o, const struct h2_event *ev)
{
    enum err e = read_trailers(o, ev);
    if (e)
        head_failed(o, e);
    else
        response_whole(o);
}

static void on_headers(struct h2_session_origin *s, const struct h2_event *ev)
{
    struct h2_origin *o = ev->stream ? h2_of_flow(ev->stream) : NULL;
    if (o) {
        o->stream.first_byte = true;
        o->stream.received_bytes += ev->bytes.len + H2_FRAME_HEAD_BYTES;
    }
    if (!o || ev->nowhere || o->stream.err) {
        decode_nowhere(s, ev->bytes);
        if (o && ev->nowhere)
            h2_origin_break(o, ERR_ORIGIN_BAD_FRAMING);
    } else if (o->final) {
        on_trailers(o, ev);
    } else {
        on_head(o, ev);
    }
}

/* ---- the loop ---- */

/* After a whole response it only says that no more of the request is wanted (RFC 9113 8.1). */
static void on_reset(const struct h2_event *ev)
{
    struct h2_origin *o = h2_of_flow(ev->stream);
    if (ev->err != ERR_CLIENT_RESET)
        h2_origin_break(o, ERR_ORIGIN_BAD_FRAMING);
    else if (ev->code == H2_REFUSED_STREAM)
        h2_origin_unprocessed(o);
    else
        h2_origin_break(o, ERR_ORIGIN_RESET);
}

static void on_window(struct h2_session_origin *s, const struct h2_event *ev)
{
    if (ev->stream) {
        h2_of_flow(ev->stream)->stream.blocked = false;
        h2_wake_user(h2_of_flow(ev->stream));
        return;
    }
    h2_origin_wake_waiting(s);
    LIST_EACH (l, &s->streams) { /* SETTINGS may have opened theirs */
        struct h2_origin *o = LIST_ENTRY(l, struct h2_origin, link);
        if (o->stream.blocked)
            h2_wake_user(o);
    }
}

static void handle(struct h2_session_origin *s, const struct h2_event *ev)
{
    switch (ev->kind) {
    case H2_EV_HEADERS: on_headers(s, ev); break;
    case H2_EV_DATA: on_data(s, ev); break;
    case H2_EV_RESET: on_reset(ev); break;
    case H2_EV_WINDOW: on_window(s, ev); break;
    case H2_EV_PONG: h2_origin_answered(s); break;
    case H2_EV_GOAWAY: h2_origin_going(s, ev->id); break;
    case H2_EV_FAILED: h2_origin_fail(s, ERR_ORIGIN_H2, H2_INTERNAL_ERROR); break;
    case H2_EV_MORE: break;
    }
}

static bool is_reading(const struct h2_session_origin *s)
{
    return !s->failed && !s->over && !s->lost;
}

/* A server that takes nothing is not read from either, for what is read may have to be answered. */
static void read_on(struct h2_session_origin *s)
{
    struct slice in = span_slice(s->rest);
    struct h2_event ev = {.kind = H2_EV_HEADERS};
    while (ev.kind != H2_EV_MORE && is_reading(s)) {
        s->paused = !s->out.lost && h2_gather_stuffed(&s->out);
        if (s->paused)
            break;
        h2_core_next(&s->core, &in, &ev);
        handle(s, &ev);
    }
    s->rest.at = in.at;
    s->rest.len = in.len;
}

void h2_origin_read(struct h2_session_origin *s)
{
    s->core.now_ms = h2_loop_of(s)->now_ms;
    read_on(s);
    h2_origin_tell(s);
    if (s->paused && is_reading(s)) {
        conn_want_room(s->mux.conn);
        return;
    }
    span_drop(s->rest);
    s->rest = (struct span){0};
    if (is_reading(s))
        conn_recv(s->mux.conn);
}
