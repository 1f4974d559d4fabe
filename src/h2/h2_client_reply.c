/* h2_client_reply.c - responses: heads, bodies by windows and by turn, trailers, and the end.
 *
 * A stream writes as long as its window, the connection's window and its output have room. When it
 * is the connection that has none, streams wait in a list by urgency (RFC 9218), and go on in that
 * order. A stream that does not say otherwise shares: it gives way to others after a quota. */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "h2/h2_block.h"
#include "h2/h2_client_priv.h"

enum {
    QUOTA_BYTES = 65536,
};

static struct slice date_now(const struct h2_session *s)
{
    static _Thread_local struct {
        int64_t unix_s;
        char text[DATE_HTTP_BYTES];
    } cache = {.unix_s = -1};
    int64_t now_s = loop_of(s)->unix_ms / 1000;
    if (cache.unix_s != now_s) {
        date_write_http(cache.text, now_s);
        cache.unix_s = now_s;
    }
    return (struct slice){cache.text, DATE_HTTP_BYTES};
}

/* Whatever cuts an answer short is not hidden: the stream is dead then. */
static enum err send_failed(struct h2_client *h, enum err e)
{
    if (!h->stream.err)
        h->stream.err = e;
    return h->stream.err;
}

static bool is_cut_off(const struct h2_client *h)
{
    return !h->flow.listed || h->session->out.lost || h->session->failed;
}

/* ---- header blocks ---- */

static void block_send(struct h2_client *h, char *at, size_t len, bool end)
{
    size_t n = h2_block_frame(at, len, h->flow.id, end ? H2_FLAG_END_STREAM : 0);
    h2_gather_commit(&h->session->out, n);
    h->stream.sent_bytes += n;
    if (end)
        h2_core_ended(&h->session->core, &h->flow);
}

static enum err response_send(struct h2_client *h, const struct message *m,
                              const struct h2_reply *r, bool end)
{
    struct h2_session *s = h->session;
    size_t room = h2_block_room(h2_response_room(m, r));
    if (room > BUF_LARGE_BYTES)
        return ERR_OVER_BUDGET;
    char *at = h2_gather_reserve(&s->out, room);
    if (!at)
        return s->out.lost ? ERR_CLIENT_RESET : ERR_NO_BUFFERS;
    block_send(h, at, h2_response_write(&s->core.encoder, at + H2_FRAME_HEAD_BYTES, m, r), end);
    return ERR_OK;
}

/* ---- heads ---- */

/* The answer is whole. One to a malformed request still shows that it was (8.1.1). */
static void sent_whole(struct h2_client *h)
{
    h->stream.sent_all = true;
    h->stream.blocked = false;
    if (h->malformed && !h2_core_blame(&h->session->core, &h->flow, H2_PROTOCOL_ERROR))
        h2_session_fail(h->session, ERR_H2_MADE_RESETS, H2_ENHANCE_YOUR_CALM);
}

static bool is_head_request(const struct h2_client *h)
{
    return h->stream.head->method == METHOD_HEAD;
}

static bool has_body(const struct h2_client *h, const struct message *m)
{
    if (m->status == 101)
        return true;
    return status_has_body(m->status) && !is_head_request(h) && m->length != LENGTH_NONE &&
           !(m->length == LENGTH_KNOWN && m->content_length == 0);
}

static enum err send_final(struct h2_client *h, const struct message *m)
{
    bool body = has_body(h, m), tunnel = m->status == 101;
    struct h2_reply r = {.status = tunnel ? 200 : m->status,
                         .tunnel = tunnel,
                         .pass_length = is_head_request(h) || m->status == 304,
                         .length = m->length == LENGTH_KNOWN && status_has_body(m->status),
                         .date = date_now(h->session)};
    /* RFC 8441 5: any 2xx would say that the tunnel stands. */
    if (h->connect && !tunnel && m->status / 100 == 2)
        return ERR_ORIGIN_BAD_UPGRADE;
    TRY(response_send(h, m, &r, !body && !h->malformed));
    h->head_sent = true;
    h->counted = m->length == LENGTH_KNOWN && !tunnel;
    h->left = m->content_length;
    if (!body)
        sent_whole(h);
    return ERR_OK;
}

static enum err client_send_head(struct stream *st, const struct message *m)
{
    struct h2_client *h = of_stream(st);
    if (is_cut_off(h))
        return send_failed(h, ERR_CLIENT_RESET);
    if (m->status >= 200 || m->status == 101) {
        enum err e = send_final(h, m);
        return e && e != ERR_ORIGIN_BAD_UPGRADE ? send_failed(h, e) : e;
    }
    struct h2_reply r = {.status = m->status};
    return response_send(h, m, &r, false);
}

/* ---- bodies ---- */

/* Behind all that are as urgent. */
static void wait_for_turn(struct h2_client *h)
{
    struct list *at = &h->session->waiting;
    while (at->prev != &h->session->waiting &&
           LIST_ENTRY(at->prev, struct h2_client, turn)->flow.urgency > h->flow.urgency)
        at = at->prev;
    list_add_before(at, &h->turn);
}

/* A PRIORITY_UPDATE may have come since they took their places. */
static struct h2_client *most_urgent(struct h2_session *s)
{
    struct h2_client *best = LIST_ENTRY(s->waiting.next, struct h2_client, turn);
    LIST_EACH (l, &s->waiting) {
        struct h2_client *h = LIST_ENTRY(l, struct h2_client, turn);
        if (h->flow.urgency < best->flow.urgency)
            best = h;
    }
    list_remove(&best->turn);
    list_add_before(s->waiting.next, &best->turn);
    return best;
}

/* The first alone: it stays the first until it goes, and when it has left room it wakes the next.
 * A hundred that wait for the room of one would be in the way of other connections. */
void h2_session_wake_next(struct h2_session *s)
{
    if (list_empty(&s->waiting) || s->core.send_window <= 0)
        return;
    if (h2_gather_crowded(&s->out)) {
        conn_want_room(s->link.conn);
        return;
    }
    wake_user(most_urgent(s));
}

static bool others_come_first(const struct h2_client *h)
{
    const struct list *first = h->session->waiting.next;
    return first != &h->session->waiting && first != &h->turn &&
           LIST_ENTRY(first, struct h2_client, turn)->flow.urgency <= h->flow.urgency;
}

static bool shares(const struct h2_client *h)
{
    return h->flow.incremental && h->session->stream_count > 1;
}

/* Why nothing more goes now; the user is woken when it does. `windowed` when it is up to the client
 * to open a window. */
static bool must_wait(struct h2_client *h)
{
    struct h2_session *s = h->session;
    bool crowded = h2_gather_crowded(&s->out), own = h->flow.send_window <= 0;
    bool shut = own || s->core.send_window <= 0;
    if (!crowded && !shut && !others_come_first(h))
        return false;
    h->stream.blocked = true;
    h->stream.windowed = shut;
    h->stream.shared_bytes = own ? NULL : &s->data_bytes;
    if (own)
        list_remove(&h->turn);
    else if (!list_linked(&h->turn)) /* else it keeps its place */
        wait_for_turn(h);
    if (crowded)
        conn_want_room(s->link.conn);
    return true;
}

static enum err send_run(struct h2_client *h, struct span run, bool end)
{
    struct h2_session *s = h->session;
    size_t len = run.len; /* it is gone then */
    if (!h2_outlet_send(&s->out, &s->core, &h->flow, run, end))
        return s->out.lost ? ERR_CLIENT_RESET : ERR_NO_BUFFERS;
    h->left -= h->counted ? len : 0;
    s->data_bytes += len;
    h->stream.sent_bytes += H2_FRAME_HEAD_BYTES + len;
    return ERR_OK;
}

static enum err send_trailers(struct h2_client *h, const struct headers *t)
{
    struct h2_session *s = h->session;
    char *at = h2_gather_reserve(&s->out, h2_block_room(h2_trailers_room(t)));
    if (!at)
        return ERR_NO_BUFFERS;
    block_send(h, at, h2_trailers_write(&s->core.encoder, at + H2_FRAME_HEAD_BYTES, t), true);
    return ERR_OK;
}

static enum err send_end(struct h2_client *h, const struct body *b)
{
    if (h2_outlet_trailers(b) && !h->malformed && !h->tunnel)
        TRY(send_trailers(h, b->trailers));
    else if (!h->flow.we_ended && !h->malformed)
        TRY(send_run(h, (struct span){0}, true));
    sent_whole(h);
    return ERR_OK;
}

/* Is the body as long as its head said? */
static bool fits(const struct h2_client *h, const struct body *b)
{
    return !h->counted || (b->bytes <= h->left && !(b->ended && b->bytes < h->left));
}

static enum err send_some(struct h2_client *h, struct body *b)
{
    size_t sent = 0;
    while (b->count) {
        if (must_wait(h)) /* nobody opens a window any more who has ended his side */
            return h->stream.windowed && h->session->eof ? ERR_CLIENT_CLOSED : ERR_OK;
        if (sent >= QUOTA_BYTES && shares(h)) {
            wake_user(h);
            return ERR_OK;
        }
        struct span run = h2_outlet_next(&h->session->core, &h->flow, b);
        bool end = body_done(b) && !h2_outlet_trailers(b) && !h->malformed;
        sent += run.len;
        TRY(send_run(h, run, end));
    }
    return body_done(b) ? send_end(h, b) : ERR_OK;
}

static void drop_rest(struct body *b)
{
    for (struct span s; (s = body_take(b, SIZE_MAX)).len > 0;)
        span_drop(s);
}

static enum err client_send_body(struct stream *st, struct body *b)
{
    struct h2_client *h = of_stream(st);
    if (st->sent_all) {
        drop_rest(b);
        return ERR_OK;
    }
    if (is_cut_off(h))
        return send_failed(h, ERR_CLIENT_RESET);
    if (!fits(h, b))
        return send_failed(h, ERR_INTERNAL);
    st->blocked = false;
    enum err e = send_some(h, b);
    if (e)
        return send_failed(h, e);
    if (!st->blocked) /* it has had its turn */
        list_remove(&h->turn);
    h2_session_wake_next(h->session);
    return b->count == 0 ? b->err : ERR_OK;
}

static void client_tunnel(struct stream *st)
{
    struct h2_client *h = of_stream(st);
    h->tunnel = true;
    h->in.held = false;
    st->sent_all = false;
    h2_client_bind_body(h);
    task_wake(&loop_of(h->session)->tasks, &h->pump);
}

/* ---- goodbye ---- */

/* An answer that is whole needs no more of its request (8.1); one that is not must not look so. */
static enum h2_code goodbye(const struct h2_client *h)
{
    if (h->stream.sent_all)
        return H2_NO_ERROR;
    return h->tunnel || h->stream.stalled ? H2_CANCEL : H2_INTERNAL_ERROR;
}

/* A page that is looked at later leaves a window shut, too, but not many of them. A connection that
 * took nothing at all has nobody at its other end. */
static void judge_stall(struct h2_session *s, enum h2_limit kind)
{
    enum err e;
    s->core.now_ms = loop_of(s)->now_ms;
    if (!s->failed && !s->out.lost && h2_core_take(&s->core, kind, 1, &e))
        h2_session_fail(s, e, H2_ENHANCE_YOUR_CALM);
}

static void client_detach(struct stream *st)
{
    struct h2_client *h = of_stream(st);
    struct h2_session *s = h->session;
    bool stalled = st->stalled, windowed = st->windowed;
    st->task = NULL;
    st->body->want = NULL;
    h2_intake_drop(&h->in);
    task_cancel(&loop_of(s)->tasks, &h->pump);
    list_remove(&h->turn);
    list_remove(&h->link);
    if (!h2_client_rest_begin(h)) {
        h2_core_reset(&s->core, &h->flow, goodbye(h));
        h2_client_free(h);
    }
    h2_gather_streams(&s->out, --s->stream_count);
    h2_session_wake_next(s);
    h2_session_stream_gone(s);
    if (stalled)
        judge_stall(s, windowed ? H2_LIMIT_STALLS : H2_LIMIT_UNREAD);
}

const struct stream_ops h2_client_ops = {
    .send_head = client_send_head,
    .send_body = client_send_body,
    .tunnel = client_tunnel,
    .detach = client_detach,
};
