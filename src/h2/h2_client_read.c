/* h2_client_read.c - what the client sends: events of the core become streams, heads and bodies. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_client_priv.h"

_Static_assert(sizeof(struct h2_client) <= LOOP_BLOCK_SMALL_BYTES, "a stream is one loop block");

/* ---- bodies ---- */

void h2_client_body_pump(struct task *t)
{
    struct h2_client *h = CONTAINER_OF(t, struct h2_client, pump);
    h2_intake_move(&h->in);
}

static void on_want(struct body *b)
{
    struct h2_client *h = b->producer;
    task_wake(&loop_of(h->session)->tasks, &h->pump);
}

void h2_client_bind_body(struct h2_client *h)
{
    h->stream.body->producer = h;
    h->stream.body->want = on_want;
}

static void on_data(struct h2_session *s, const struct h2_event *ev)
{
    struct h2_client *h = of_flow(ev->stream);
    uint32_t len = (uint32_t)ev->bytes.len;
    h->stream.received_bytes += len + H2_FRAME_HEAD_BYTES;
    if (len && h2_intake_push(&h->in, s->rest.buf, ev->bytes)) {
        h2_core_consumed(&s->core, &h->flow, len);
        h2_client_break(h, ERR_NO_BUFFERS);
    }
    if (ev->end)
        h2_intake_end(&h->in);
}

/* ---- streams ---- */

void h2_client_break(struct h2_client *h, enum err e)
{
    if (!h->stream.err)
        h->stream.err = e;
    body_fail(h->stream.body, e);
    wake_user(h);
}

static struct h2_client *client_new(struct h2_session *s)
{
    struct h2_client *h = loop_block_take(loop_of(s), LOOP_BLOCK_SMALL);
    if (!h)
        return NULL;
    *h = (struct h2_client){.session = s};
    h->stream = (struct stream){.ops = &h2_client_ops,
                                .loop = loop_of(s),
                                .conn = s->link.conn,
                                .began_ms = loop_of(s)->now_ms,
                                .peer_ended = s->eof};
    list_init(&h->turn);
    timer_init(&h->rest_timer, NULL);
    task_init(&h->pump, h2_client_body_pump);
    return h;
}

struct h2_client *h2_client_open(struct h2_session *s)
{
    struct h2_client *h = client_new(s);
    if (!h)
        return NULL;
    if (s->acceptor->open(s->acceptor, &h->stream, s->link.listener) != ERR_OK) {
        loop_block_give(loop_of(s), LOOP_BLOCK_SMALL, h);
        return NULL;
    }
    h2_intake_init(&h->in, &s->core, &h->flow, h->stream.body, &loop_of(s)->bufs);
    h2_client_bind_body(h);
    list_push(&s->streams, &h->link);
    if (s->stream_count++ == 0)
        count(s, METRIC_CONNECTIONS_IDLE, -1);
    h2_gather_streams(&s->out, s->stream_count);
    return h;
}

/* ---- heads ---- */

/* Decodes, to keep the table in step. */
static void decode_nowhere(struct h2_session *s, struct slice block)
{
    enum err e = hpack_skip(&s->core.decoder, block, s->core.list_bytes);
    if (hpack_is_fatal(e))
        h2_session_fail_block(s, e);
}

/* A request that is refused for its head: the user answers `e`. */
static void refuse_head(struct h2_client *h, enum err e)
{
    struct h2_session *s = h->session;
    enum err over;
    h->malformed = err_row(e)->status == 400;
    h2_client_break(h, e);
    if (e == ERR_HEAD_TOO_LARGE && h2_core_take(&s->core, H2_LIMIT_HEADS, 1, &over))
        h2_session_fail(s, over, H2_ENHANCE_YOUR_CALM);
}

static enum err read_head(struct h2_client *h, const struct h2_event *ev)
{
    struct h2_session *s = h->session;
    struct message *m = h->stream.head;
    struct h2_fields f = {.headers = &m->headers, .arena = h->stream.arena, .limits = limits_of(s)};
    message_init(m);
    TRY(hpack_decode(&s->core.decoder, ev->bytes, s->core.list_bytes, f.arena, h2_fields_take, &f));
    h->connect = h->in.held = f.protocol.at != NULL;
    TRY(h2_request_finish(&f, m, ev->end, rand_next(&loop_of(s)->rand)));
    m->scheme = SLICE("http");
    h->waits_for_nothing = !m->expect_continue;
    h->flow.incremental = !f.priority.at; /* who says nothing shares */
    h2_priority_read(f.priority, &h->flow.urgency, &h->flow.incremental);
    h2_priority_begin(&s->core, &h->flow);
    if (m->length == LENGTH_KNOWN && !h2_core_expect(&h->flow, m->content_length))
        return ERR_BAD_CONTENT_LENGTH;
    return ERR_OK;
}

/* An extended CONNECT has no body to the user, but bytes that follow its answer. */
static void request_begin(struct h2_client *h, const struct h2_event *ev)
{
    h->in.ended = ev->end;
    h->stream.received_bytes = ev->bytes.len + H2_FRAME_HEAD_BYTES;
    enum err e = read_head(h, ev);
    if (hpack_is_fatal(e)) {
        h2_session_fail_block(h->session, e);
        return;
    }
    if (e) {
        refuse_head(h, e);
        return;
    }
    h->stream.head_state = STREAM_HEAD_FINAL;
    if (ev->end || h->connect)
        body_end(h->stream.body);
    wake_user(h);
}

static bool has_to_go(const struct h2_session *s)
{
    const struct stream_limits *l = limits_of(s);
    const struct conn *c = s->link.conn;
    return (l->requests_max && c->use_count >= l->requests_max) ||
           (l->age_ms && conn_age_ms(c) >= l->age_ms) || s->acceptor->draining;
}

/* No further request on this connection, but those on their way. */
static void check_end(struct h2_session *s)
{
    s->link.conn->use_count++;
    if (has_to_go(s))
        h2_session_drain(s);
}

static void on_opening(struct h2_session *s, const struct h2_event *ev)
{
    /* Streams that were reset count until their users are gone. */
    struct h2_client *h = s->stream_count < H2_STREAMS_MAX ? h2_client_open(s) : NULL;
    if (!h) {
        count(s, METRIC_H2_STREAMS_REFUSED, 1);
        h2_core_refuse(&s->core, ev->id, H2_REFUSED_STREAM);
        decode_nowhere(s, ev->bytes);
        return;
    }
    h2_core_open(&s->core, &h->flow, ev);
    request_begin(h, ev);
    check_end(s);
}

static enum err read_trailers(struct h2_client *h, struct slice block)
{
    struct h2_session *s = h->session;
    struct headers *t = ARENA_NEW(h->stream.arena, struct headers);
    struct h2_fields f = {
        .headers = t, .arena = h->stream.arena, .limits = limits_of(s), .trailers = true};
    if (!t) {
        decode_nowhere(s, block);
        return ERR_OVER_BUDGET;
    }
    TRY(hpack_decode(&s->core.decoder, block, f.limits->trailer_bytes, f.arena, h2_fields_take,
                     &f));
    if (t->count)
        h->stream.body->trailers = t;
    return ERR_OK;
}

static void on_trailers(struct h2_session *s, const struct h2_event *ev)
{
    struct h2_client *h = of_flow(ev->stream);
    h->stream.received_bytes += ev->bytes.len + H2_FRAME_HEAD_BYTES;
    enum err e = read_trailers(h, ev->bytes);
    if (hpack_is_fatal(e)) {
        h2_session_fail_block(s, e);
    } else if (e) {
        h2_client_break(h, e);
        if (err_row(e)->status == 400 && !h2_core_blame(&s->core, &h->flow, H2_PROTOCOL_ERROR))
            h2_session_fail(s, ERR_H2_MADE_RESETS, H2_ENHANCE_YOUR_CALM);
    } else {
        h2_intake_end(&h->in);
    }
}

static void on_headers(struct h2_session *s, const struct h2_event *ev)
{
    if (ev->opens) {
        on_opening(s, ev);
        return;
    }
    if (ev->nowhere)
        decode_nowhere(s, ev->bytes);
    else
        on_trailers(s, ev);
    if (ev->nowhere && ev->stream)
        h2_client_break(of_flow(ev->stream), ev->err);
}

/* ---- the loop ---- */

static void on_window(struct h2_session *s, const struct h2_event *ev)
{
    if (!ev->stream) {
        h2_session_wake_next(s);
        LIST_EACH (l, &s->streams) { /* SETTINGS may have opened theirs */
            struct h2_client *h = LIST_ENTRY(l, struct h2_client, link);
            if (h->stream.blocked && !list_linked(&h->turn) && h->flow.send_window > 0)
                wake_user(h);
        }
        return;
    }
    struct h2_client *h = of_flow(ev->stream);
    h->stream.blocked = false;
    wake_user(h);
}

static void handle(struct h2_session *s, const struct h2_event *ev)
{
    if (ev->stream && of_flow(ev->stream)->rest) {
        h2_client_rest_event(of_flow(ev->stream), ev);
        return;
    }
    switch (ev->kind) {
    case H2_EV_HEADERS: on_headers(s, ev); break;
    case H2_EV_DATA: on_data(s, ev); break;
    case H2_EV_RESET: h2_client_break(of_flow(ev->stream), ev->err); break;
    case H2_EV_WINDOW: on_window(s, ev); break;
    case H2_EV_PONG:
        if (s->end == END_TOLD)
            h2_session_drain_end(s);
        break;
    case H2_EV_GOAWAY: h2_session_drain_end(s); break;
    case H2_EV_FAILED: h2_session_fail(s, ev->err, H2_INTERNAL_ERROR); break;
    case H2_EV_MORE: break;
    }
}

static bool is_reading(const struct h2_session *s)
{
    return !s->failed && !s->over && !s->out.lost;
}

static void read_on(struct h2_session *s)
{
    struct slice in = span_slice(s->rest);
    struct h2_event ev = {.kind = H2_EV_HEADERS};
    while (ev.kind != H2_EV_MORE && is_reading(s)) {
        s->paused = h2_gather_stuffed(&s->out);
        if (s->paused)
            break;
        h2_core_next(&s->core, &in, &ev);
        handle(s, &ev);
    }
    s->rest.at = in.at;
    s->rest.len = in.len;
}

/* Reads what is in hand, then asks for more, unless the client does not take what it has. */
void h2_session_read(struct h2_session *s)
{
    s->core.now_ms = loop_of(s)->now_ms;
    read_on(s);
    if (s->paused && is_reading(s)) {
        conn_want_room(s->link.conn);
        return;
    }
    span_drop(s->rest);
    s->rest = (struct span){0};
    if (is_reading(s))
        conn_recv(s->link.conn);
}
