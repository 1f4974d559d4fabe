/* h1_client_reply.c - the client side's responses: what the stream's user sends, and its goodbye.
 *
 * The framing of a response follows from the request's version and method and from the message; how
 * the connection goes on is decided with its final head, because that says it. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1_client_priv.h"

/* Whatever cuts an answer short is not hidden: the stream is dead then. */
static enum err send_failed(struct h1_client *h, enum err e)
{
    if (!h->stream.err)
        h->stream.err = e;
    return e;
}

static enum err send_interim(struct h1_client *h, const struct message *m)
{
    struct h1_reply reply = {H1_CONNECTION_NONE, 0};
    if (h->stream.head->version_minor == 0)
        return ERR_OK; /* RFC 9110 15.2 */
    h->out.framing = H1_EMPTY;
    return h1_write_response(&h->out, m, &reply);
}

static bool is_head_request(const struct h1_client *h)
{
    return h->stream.head->method == METHOD_HEAD;
}

/* Chunked is for HTTP/1.1; an older client reads until the end of the connection. */
static void choose_framing(struct h1_client *h, const struct message *m)
{
    h->out.framing = H1_EMPTY;
    h->out.left = m->content_length;
    if (!status_has_body(m->status))
        return;
    if (m->length == LENGTH_KNOWN) {
        h->out.framing = H1_LENGTH;
    } else if (m->length == LENGTH_UNKNOWN && !is_head_request(h)) {
        bool chunked = h->stream.head->version_minor > 0;
        h->out.framing = chunked ? H1_CHUNKED : H1_RAW;
        h->last |= !chunked;
    } else if (m->length == LENGTH_NONE && !is_head_request(h)) {
        h->out.framing = H1_LENGTH;
        h->out.left = 0;
    }
}

/* An answer before the end of the request: may what still comes be read and dropped? Not when the
 * client holds it back until a 100 that it will not see. */
static bool rest_is_small(const struct h1_client *h)
{
    if (h->reading != READ_BODY || h->stream.head->expect_continue)
        return false;
    return h->in.framing == H1_CHUNKED || h->in.left <= DRAIN_MAX_BYTES;
}

static enum h1_connection choose_connection(struct h1_client *h, const struct message *m)
{
    struct h1_session *s = h->session;
    h->last |= h->stream.closing || stream_acceptor_leaves(s->acceptor, s->link.listener);
    h->last |= h->reading != READ_DONE && !rest_is_small(h);
    h->stream.closing = h->last;
    if (m->status == 101)
        return H1_CONNECTION_UPGRADE;
    if (h->last)
        return H1_CONNECTION_CLOSE;
    return h->stream.head->version_minor == 0 ? H1_CONNECTION_KEEP_ALIVE : H1_CONNECTION_NONE;
}

static enum err send_final(struct h1_client *h, const struct message *m)
{
    struct h1_reply reply;
    choose_framing(h, m);
    reply.connection = choose_connection(h, m);
    reply.pass_length = is_head_request(h) || m->status == 304;
    TRY(h1_write_response(&h->out, m, &reply));
    h->head_sent = true;
    if (is_head_request(h) || (h->out.framing == H1_LENGTH && h->out.left == 0))
        h->out.framing = H1_EMPTY;
    h->stream.sent_all = h->out.framing == H1_EMPTY;
    return ERR_OK;
}

static enum err client_send_head(struct stream *s, const struct message *m)
{
    struct h1_client *h = of_stream(s);
    if (h->lost)
        return s->err;
    bool interim = m->status < 200 && m->status != 101;
    enum err e = interim ? send_interim(h, m) : send_final(h, m);
    s->sent_bytes = h->out.sent_bytes;
    return e ? send_failed(h, e) : ERR_OK;
}

static void drop_rest(struct body *b)
{
    for (struct span s; (s = body_take(b, SIZE_MAX)).len > 0;)
        span_drop(s);
}

static enum err client_send_body(struct stream *s, struct body *b)
{
    struct h1_client *h = of_stream(s);
    bool done;
    if (s->sent_all) {
        drop_rest(b);
        return ERR_OK;
    }
    if (h->lost)
        return s->err;
    enum err e = h1_out_body(&h->out, b, &done, &s->blocked);
    s->sent_bytes = h->out.sent_bytes;
    if (e)
        return send_failed(h, e);
    if (s->blocked)
        conn_want_room(h->conn);
    if (done) {
        s->sent_all = true;
        if (h->tunnel)
            conn_shutdown(h->conn);
    }
    return h1_body_broken(b);
}

static void client_tunnel(struct stream *s)
{
    struct h1_client *h = of_stream(s);
    h->tunnel = h->last = true;
    h->stream.sent_all = false;
    h->out.framing = H1_RAW;
    h->reading = READ_BODY;
    body_reopen(s->body);
    h1_client_bind_body(h);
    h1_in_begin(&h->in, H1_RAW, 0);
    if (h->in.bytes.len)
        task_wake(&loop_of(h)->tasks, &h->pump);
    else if (h->conn->eof_seen)
        body_end(s->body);
    else
        conn_recv(h->conn);
}

/* An answer that broke off must not look whole. Its framing shows it when bytes are missing; where
 * the end of the connection is the end of the answer, only a reset does. */
static void break_off(struct h1_client *h)
{
    bool shows = h->out.framing == H1_CHUNKED || (h->out.framing == H1_LENGTH && h->out.left > 0);
    count(h, METRIC_CONNECTIONS_DROPPED, 1);
    if (h->head_sent && shows && !h->tunnel) {
        h1_client_linger(h); /* a reset for unread requests would destroy the answers before it */
        return;
    }
    conn_reset(h->conn);
    h1_client_end(h);
}

/* Lingering is for clients that may still be sending, whose answer a reset would destroy. One that
 * said "close" with a request that is whole sends nothing more (RFC 9112 9.6). */
static void end_after_last(struct h1_client *h)
{
    if (h->last_said && h->reading == READ_DONE && h->in.bytes.len == 0)
        h1_client_close(h);
    else
        h1_client_linger(h);
}

static void client_detach(struct stream *s)
{
    struct h1_client *h = of_stream(s);
    h->open = false;
    s->task = NULL;
    s->body->want = NULL;
    h1_out_release(&h->out);
    if (h->head_buf)
        buf_drop(h->head_buf);
    h->head_buf = NULL;
    if (h->lost) {
        h1_client_abort(h);
    } else if (!s->sent_all) {
        break_off(h);
    } else if (h->last || h->reading == READ_FAILED) {
        end_after_last(h);
    } else if (h->reading == READ_BODY) {
        h1_client_begin_drain(h);
    } else {
        h1_client_await(h);
    }
}

const struct stream_ops h1_client_ops = {
    .send_head = client_send_head,
    .send_body = client_send_body,
    .tunnel = client_tunnel,
    .detach = client_detach,
};
