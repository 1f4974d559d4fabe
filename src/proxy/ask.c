/* ask.c - see ask.h. An ask runs by its own task:
 *
 *     lease -> send -> take the answer in -> done
 *
 * A server that could not be reached, or says that it did nothing, gives way to another one unless
 * it is to be sent once. Only the server's own failures count against its health. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/ask.h"
#include "base/text.h"
#include "proxy/exchange_priv.h"
#include <stdlib.h>

enum {
    ARENA_BYTES = 256 * 1024,
    QUEUE_BYTES = 64 * 1024,
    YOUNG_IDLE_MS = 1000, /* what may not be sent twice takes no connection that may be closing */
    TRIES_MAX = 3,
};

struct ask {
    struct task task;
    struct worker *worker;
    struct ask_terms terms;
    struct conf_view *view; /* held, until it ends */
    struct list link;       /* worker's list */
    struct dead dead;
    struct arena arena;
    struct lease lease;
    struct stream *origin;
    struct message req, res;
    struct body req_body, res_body;
    struct timer timer;
    bool timed_out;
    uint8_t tries;
    size_t sent; /* bytes of the body */
    struct text answer;
    bool cut;
};

/* --- the end ----------------------------------------------------------------------------------*/

static void ask_free(struct dead *d)
{
    struct ask *a = CONTAINER_OF(d, struct ask, dead);
    arena_release(&a->arena);
    text_release(&a->answer);
    free(a);
}

/* Is it the server's fault, and not for want of something on our side. */
static bool is_servers_fault(const struct ask *a, enum err e)
{
    return a->timed_out || (a->origin && e == a->origin->err && e != ERR_ORIGIN_STALE &&
                            e != ERR_ORIGIN_UNPROCESSED);
}

static void server_release(struct ask *a, enum err e)
{
    enum lease_verdict v = LEASE_UNUSED;
    if (!a->lease.view)
        return;
    if (e == ERR_OK)
        v = a->origin->reusable ? LEASE_KEEP : LEASE_CLOSE;
    else if (is_servers_fault(a, e))
        v = LEASE_FAILED;
    if (a->origin)
        stream_detach(a->origin);
    a->origin = NULL;
    lease_give(&a->lease, v, e);
}

/* The view goes at once, as its upstreams have to be there when the worker is released. */
static void ask_end(struct ask *a, enum err e)
{
    struct worker *w = a->worker;
    server_release(a, e);
    body_release(&a->req_body);
    body_release(&a->res_body);
    timer_stop(&w->loop.timers, &a->timer);
    task_cancel(&w->loop.tasks, &a->task);
    list_remove(&a->link);
    view_drop(a->view);
    dead_add(&w->loop, &a->dead);
}

static void tell(struct ask *a, enum err e)
{
    struct ask_answer answer = {.err = e};
    if (!a->terms.done)
        return;
    if (e == ERR_OK) {
        answer.status = a->res.status;
        answer.headers = &a->res.headers;
        answer.body = text_slice(&a->answer);
        answer.cut = a->cut;
    }
    a->terms.done(a->terms.ctx, &answer);
}

void ask_cancel(struct ask *a)
{
    ask_end(a, ERR_CLIENT_CLOSED);
}

void asks_abort(struct worker *w)
{
    LIST_EACH_SAFE (it, &w->asks) {
        struct ask *a = LIST_ENTRY(it, struct ask, link);
        tell(a, ERR_CLIENT_CLOSED);
        ask_end(a, ERR_CLIENT_CLOSED);
    }
}

/* --- sending ----------------------------------------------------------------------------------*/

static enum err fill_one(struct ask *a)
{
    struct buf *b = buf_take(&a->worker->loop.bufs, BUF_LARGE);
    if (!b)
        return ERR_NO_BUFFERS;
    struct slice rest = slice_from(a->terms.body, a->sent);
    b->len = (uint32_t)(rest.len < b->cap ? rest.len : b->cap);
    memcpy(b->bytes, rest.at, b->len);
    a->sent += b->len;
    return body_push(&a->req_body, (struct span){b, b->bytes, b->len});
}

static void fill(struct body *body)
{
    struct ask *a = body->producer;
    enum err e = ERR_OK;
    while (e == ERR_OK && a->sent < a->terms.body.len && body_room(body) > 0)
        e = fill_one(a);
    body->starved = a->sent < a->terms.body.len;
    if (e != ERR_OK)
        body_fail(body, e);
    else if (a->sent == a->terms.body.len)
        body_end(body);
}

static void bodies_begin(struct ask *a)
{
    body_init(&a->req_body, &a->worker->loop.tasks, &a->task, QUEUE_BYTES);
    body_init(&a->res_body, &a->worker->loop.tasks, &a->task, QUEUE_BYTES);
    a->req_body.producer = a;
    a->req_body.want = fill;
    a->sent = 0;
    text_clear(&a->answer);
}

static enum err host_ensure(struct ask *a)
{
    if (headers_find(&a->req.headers, FIELD_HOST))
        return ERR_OK;
    if (a->req.authority.len == 0)
        a->req.authority = lease_server_name(&a->lease);
    return headers_add_id(&a->req.headers, &a->arena, FIELD_HOST, a->req.authority);
}

static enum err request_open(struct ask *a)
{
    struct worker *w = a->worker;
    bodies_begin(a);
    message_init(&a->res);
    a->origin = origin_engine_of(w, &a->lease)
                    ->open(a->lease.conn, &a->task, &a->arena, &a->res, &a->res_body,
                           w->acceptor.limits(&w->acceptor, NULL));
    if (!a->origin)
        return ERR_OVER_BUDGET;
    TRY(host_ensure(a));
    fill(&a->req_body);
    return a->origin->ops->send_head(a->origin, &a->req);
}

static enum err request_send(struct ask *a)
{
    struct stream *s = a->origin;
    if (s->sent_all)
        return ERR_OK;
    if (a->req_body.count > 0 || a->req_body.err == ERR_OK)
        TRY(s->ops->send_body(s, &a->req_body));
    return a->req_body.count == 0 && !s->sent_all ? a->req_body.err : ERR_OK;
}

/* --- the answer -------------------------------------------------------------------------------*/

static void answer_take(struct ask *a)
{
    struct span s;
    while ((s = body_take(&a->res_body, SIZE_MAX)).len > 0) {
        size_t room = a->terms.body_max_bytes - a->answer.len;
        a->cut |= s.len > room;
        text_add(&a->answer, slice_head(span_slice(s), s.len < room ? s.len : room));
        span_drop(s);
    }
}

/* ERR_HOLD: until something happens. ERR_OK: the whole answer has come. */
static enum err ask_step(struct ask *a)
{
    if (a->timed_out)
        return ERR_ORIGIN_FIRST_BYTE_TIMEOUT;
    if (!a->origin) {
        TRY(a->lease.state == LEASE_IDLE ? lease_take(&a->lease) : lease_poll(&a->lease));
        TRY(request_open(a));
    }
    if (a->origin->err == ERR_OK)
        TRY(request_send(a));
    while (a->origin->head_state == STREAM_HEAD_INTERIM) {
        message_init(&a->res);
        a->origin->ops->next_head(a->origin);
    }
    answer_take(a);
    if (a->origin->head_state == STREAM_HEAD_FINAL && body_done(&a->res_body))
        return ERR_OK;
    return a->origin->err != ERR_OK ? a->origin->err : ERR_HOLD;
}

/* Nothing was done yet by anybody: the server was not reached, or says so. */
static bool may_try_again(const struct ask *a, enum err e)
{
    bool untouched = !a->origin || e == ERR_ORIGIN_STALE || e == ERR_ORIGIN_UNPROCESSED;
    return untouched && !a->terms.once && !a->timed_out && a->tries < TRIES_MAX && a->lease.view &&
           lease_has_more(&a->lease);
}

static void try_again(struct ask *a, enum err e)
{
    a->tries++;
    if (a->origin) {
        stream_detach(a->origin);
        a->origin = NULL;
        body_release(&a->req_body);
        body_release(&a->res_body);
        lease_give(&a->lease, LEASE_UNUSED, e);
    }
    task_wake(&a->worker->loop.tasks, &a->task);
}

static void ask_run(struct task *t)
{
    struct ask *a = CONTAINER_OF(t, struct ask, task);
    enum err e = ask_step(a);
    if (e == ERR_HOLD)
        return;
    if (e != ERR_OK && may_try_again(a, e)) {
        try_again(a, e);
        return;
    }
    tell(a, e);
    ask_end(a, e);
}

static void on_timeout(struct timer *t)
{
    struct ask *a = CONTAINER_OF(t, struct ask, timer);
    a->timed_out = true;
    task_wake(&a->worker->loop.tasks, &a->task);
}

/* --- the beginning ----------------------------------------------------------------------------*/

static enum err head_make(struct ask *a, const struct ask_terms *t)
{
    struct message *m = &a->req;
    message_init(m);
    m->method_text = arena_dup(&a->arena, t->method);
    m->target = arena_dup(&a->arena, t->path);
    m->authority = arena_dup(&a->arena, t->host);
    m->method = (uint8_t)method_find(t->method);
    m->version_major = m->version_minor = 1;
    m->keep_alive = true;
    m->length = t->has_body ? LENGTH_KNOWN : LENGTH_NONE;
    m->content_length = t->body.len;
    if (!m->method_text.at || !m->target.at || !m->authority.at)
        return ERR_OVER_BUDGET;
    return t->headers ? headers_copy(&m->headers, &a->arena, t->headers) : ERR_OK;
}

static enum err lease_ready(struct ask *a)
{
    struct worker *w = a->worker;
    struct upstream_view *v = upstream_view_get(a->view, &w->pools, a->terms.upstream->index);
    if (!v)
        return ERR_NO_MEMORY;
    lease_init(&a->lease, v, &w->pools, a->terms.key, &a->task);
    a->lease.idle_max_ms = method_idempotent(a->req.method) && !a->terms.once ? 0 : YOUNG_IDLE_MS;
    return ERR_OK;
}

static struct ask *ask_new(struct worker *w, struct conf_view *view, const struct ask_terms *t)
{
    struct ask *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->worker = w;
    a->terms = *t;
    a->view = view_take(view);
    a->dead.free = ask_free;
    task_init(&a->task, ask_run);
    timer_init(&a->timer, on_timeout);
    arena_init(&a->arena, ARENA_BYTES);
    text_init(&a->answer);
    bodies_begin(a);
    list_push(&w->asks, &a->link);
    return a;
}

struct ask *ask_begin(struct worker *w, struct conf_view *view, const struct ask_terms *t)
{
    struct ask *a = ask_new(w, view, t);
    if (!a)
        return NULL;
    if (head_make(a, t) != ERR_OK || lease_ready(a) != ERR_OK) {
        ask_end(a, ERR_NO_MEMORY);
        return NULL;
    }
    timer_set(&w->loop.timers, &a->timer, w->loop.now_ms + t->timeout_ms);
    task_wake(&w->loop.tasks, &a->task);
    return a;
}
