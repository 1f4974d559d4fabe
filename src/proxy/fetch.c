/* fetch.c - see fetch.h. One task moves it on: connect, ask, wait for the head, take the body.
 *
 * Callbacks and timers only record and wake that task. Whatever was lent to the engines goes at the
 * end of the tick, by the reaper. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/fetch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/text.h"
#include <stdlib.h>

enum {
    ARENA_BYTES = 128 * 1024,
    QUEUE_BYTES = 64 * 1024,
    INTERIMS_MAX = 32,
    GOODBYE_MS = 1000, /* for the last bytes of a connection that did well */
};

static const struct stream_limits limits = {.head_bytes = 32 * 1024,
                                            .line_bytes = 16 * 1024,
                                            .header_count = 100,
                                            .trailer_bytes = 8192,
                                            .chunk_ext_bytes = 1024};

struct fetch {
    struct fetch_client *client;
    struct fetch_ask ask;
    struct addr addrs[FETCH_ADDRS_MAX];
    struct task task;
    struct timer deadline;
    bool timed_out, mux_gone;
    uint8_t interims;
    struct dial dial;
    struct conn *conn; /* open; NULL: not yet */
    struct mux *mux;   /* of h2 */
    struct stream *stream;
    struct arena arena;
    struct message req, res;
    struct body req_body, res_body;
    struct text content;
    struct dead dead;
};

/* ---- the end ---- */

static void fetch_free(struct dead *d)
{
    struct fetch *f = CONTAINER_OF(d, struct fetch, dead);
    arena_release(&f->arena);
    text_release(&f->content);
    free(f);
}

static void mux_end(struct fetch *f)
{
    f->mux->used = 0;
    if (f->mux_gone)
        f->mux->ops->unused(f->mux);
    else
        f->mux->ops->close(f->mux);
}

static void conn_end(struct fetch *f, enum err e)
{
    if (f->mux)
        mux_end(f);
    else if (f->conn && e == ERR_OK)
        conn_close_by(f->conn, f->client->loop->now_ms + GOODBYE_MS);
    else if (f->conn)
        conn_abort(f->conn);
    else
        dial_cancel(&f->dial);
}

static void release(struct fetch *f, enum err e)
{
    struct loop *l = f->client->loop;
    timer_stop(&l->timers, &f->deadline);
    if (f->stream)
        stream_detach(f->stream);
    body_release(&f->req_body);
    body_release(&f->res_body);
    conn_end(f, e);
    task_cancel(&l->tasks, &f->task);
    f->dead = (struct dead){.free = fetch_free};
    dead_add(l, &f->dead);
}

static const char *words_of(const struct fetch *f, enum err e)
{
    if (e == ERR_OK)
        return "";
    return err_is_tls(e) && f->dial.why[0] ? f->dial.why : err_row(e)->text;
}

static void finish(struct fetch *f, enum err e)
{
    struct fetch_answer a = {.err = e, .why = words_of(f, e)};
    if (e == ERR_OK) {
        a.status = f->res.status;
        a.headers = &f->res.headers;
        a.trailers = f->res_body.trailers;
        a.body = text_slice(&f->content);
        a.cut = !body_done(&f->res_body);
    }
    f->ask.done(f->ask.ctx, &a);
    release(f, e);
}

static enum err late(const struct fetch *f)
{
    if (!f->conn)
        return dial_late(&f->dial);
    bool begun = f->res.status > 0 && f->stream && f->stream->head_state == STREAM_HEAD_FINAL;
    return begun ? ERR_ORIGIN_READ_TIMEOUT : ERR_ORIGIN_FIRST_BYTE_TIMEOUT;
}

/* ---- the request ---- */

static void on_changed(struct mux *m)
{
    (void)m;
}

static void on_gone(struct mux *m, enum err why)
{
    struct fetch *f = m->pool;
    (void)why;
    f->mux_gone = true;
    m->owner = NULL;
}

static const struct mux_owner owner_ops = {.changed = on_changed, .gone = on_gone};

static void idle_never(struct timer *t)
{
    (void)t;
}

static enum err mux_begin(struct fetch *f)
{
    f->mux = f->client->mux->start(f->conn);
    if (!f->mux)
        return ERR_NO_MEMORY;
    timer_init(&f->mux->idle, idle_never);
    f->mux->owner = &owner_ops;
    f->mux->pool = f;
    f->mux->used = 1;
    return ERR_OK;
}

static enum err speaks_h2(const struct fetch *f, bool *yes)
{
    bool agreed = slice_eq(tls_alpn(f->conn), SLICE("h2"));
    *yes = f->ask.proto == FETCH_H2 || (f->ask.proto == FETCH_ALPN && agreed);
    return *yes && f->ask.tls && !agreed ? ERR_TLS_NO_ALPN : ERR_OK;
}

static enum err stream_begin(struct fetch *f)
{
    const struct origin_engine *engine = f->client->h1;
    bool h2;
    TRY(speaks_h2(f, &h2));
    if (h2) {
        TRY(mux_begin(f));
        engine = f->client->h2;
    }
    f->stream = engine->open(f->conn, &f->task, &f->arena, &f->res, &f->res_body, &limits);
    return f->stream ? ERR_OK : ERR_OVER_BUDGET;
}

static enum err request_fill(struct fetch *f)
{
    struct message *m = &f->req;
    m->method_text = f->ask.method;
    m->method = (uint8_t)method_find(f->ask.method);
    m->target = f->ask.target;
    m->authority = f->ask.host;
    m->version_major = m->version_minor = 1;
    m->keep_alive = true;
    m->length = f->ask.body.len ? LENGTH_KNOWN : LENGTH_NONE;
    m->content_length = f->ask.body.len;
    TRY(headers_add_id(&m->headers, &f->arena, FIELD_HOST, f->ask.host));
    for (uint32_t i = 0; i < f->ask.header_count; i++)
        TRY(headers_set(&m->headers, &f->arena, f->ask.headers[i].name, f->ask.headers[i].value));
    return ERR_OK;
}

/* A copy: the engine may send it after the fetch is gone. */
static enum err body_fill(struct fetch *f)
{
    for (struct slice rest = f->ask.body; rest.len > 0;) {
        struct buf *b = buf_take(&f->client->loop->bufs, BUF_LARGE);
        size_t part = rest.len < BUF_LARGE_BYTES ? rest.len : BUF_LARGE_BYTES;
        if (!b)
            return ERR_NO_BUFFERS;
        memcpy(b->bytes, rest.at, part);
        b->len = (uint32_t)part;
        TRY(body_push(&f->req_body, (struct span){b, b->bytes, part}));
        rest = slice_from(rest, part);
    }
    body_end(&f->req_body);
    return ERR_OK;
}

static enum err request_send(struct fetch *f)
{
    f->conn = f->dial.conn;
    TRY(stream_begin(f));
    TRY(request_fill(f));
    TRY(body_fill(f));
    return f->stream->ops->send_head(f->stream, &f->req);
}

/* ---- the answer ---- */

/* What was asked for may be the whole of it, or enough. */
static bool content_take(struct fetch *f)
{
    while (f->content.len < f->ask.body_max_bytes) {
        struct span s = body_take(&f->res_body, f->ask.body_max_bytes - f->content.len);
        if (s.len == 0)
            break;
        text_add(&f->content, span_slice(s));
        span_drop(s);
    }
    return body_done(&f->res_body) || f->res_body.bytes > 0;
}

static enum err heads_take(struct fetch *f)
{
    while (f->stream->head_state == STREAM_HEAD_INTERIM) {
        if (++f->interims > INTERIMS_MAX)
            return ERR_ORIGIN_TOO_MANY_INTERIMS;
        message_init(&f->res);
        f->stream->ops->next_head(f->stream);
    }
    return f->stream->head_state == STREAM_HEAD_FINAL ? ERR_OK : ERR_HOLD;
}

static enum err answer_take(struct fetch *f)
{
    enum err e = heads_take(f);
    if (e == ERR_HOLD)
        return f->stream->err ? f->stream->err : ERR_HOLD;
    TRY(e);
    if (content_take(f))
        return ERR_OK;
    return f->res_body.err ? f->res_body.err : ERR_HOLD;
}

/* A server that answers before it has the whole request is heard all the same. */
static enum err request_go_on(struct fetch *f)
{
    if (f->stream->sent_all || f->stream->err)
        return ERR_OK;
    return f->stream->ops->send_body(f->stream, &f->req_body);
}

static enum err move(struct fetch *f)
{
    if (!f->conn) {
        TRY(dial_poll(&f->dial));
        TRY(request_send(f));
    }
    TRY(request_go_on(f));
    return answer_take(f);
}

static void step(struct task *t)
{
    struct fetch *f = CONTAINER_OF(t, struct fetch, task);
    enum err e = move(f);
    if (e == ERR_HOLD && f->timed_out)
        e = late(f);
    if (e != ERR_HOLD)
        finish(f, e);
}

static void on_deadline(struct timer *t)
{
    struct fetch *f = CONTAINER_OF(t, struct fetch, deadline);
    f->timed_out = true;
    task_wake(&f->client->loop->tasks, &f->task);
}

struct fetch *fetch_start(struct fetch_client *c, const struct fetch_ask *ask)
{
    struct loop *l = c->loop;
    struct fetch *f = MEM_NEW(struct fetch);
    ASSERT(ask->addr_count <= FETCH_ADDRS_MAX && ask->body_max_bytes <= FETCH_BODY_MAX_BYTES);
    f->client = c;
    f->ask = *ask;
    memcpy(f->addrs, ask->addrs, ask->addr_count * sizeof *f->addrs);
    task_init(&f->task, step);
    timer_init(&f->deadline, on_deadline);
    timer_set(&l->timers, &f->deadline, l->now_ms + ask->timeout_ms);
    arena_init(&f->arena, ARENA_BYTES);
    message_init(&f->req);
    message_init(&f->res);
    body_init(&f->req_body, &l->tasks, &f->task, FETCH_BODY_MAX_BYTES);
    body_init(&f->res_body, &l->tasks, &f->task, QUEUE_BYTES);
    text_init(&f->content);
    f->dial = (struct dial){.loop = l,
                            .waiter = &f->task,
                            .worker = c->tls,
                            .origin = ask->tls,
                            .host = ask->tls_host,
                            .addrs = f->addrs,
                            .count = ask->addr_count,
                            .ends_ms = l->now_ms + ask->timeout_ms};
    dial_begin(&f->dial);
    return f;
}

void fetch_cancel(struct fetch *f)
{
    release(f, ERR_SHUTTING_DOWN);
}
