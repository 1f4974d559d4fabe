/* mirror.c - see mirror.h. First a mirror belongs to its exchange and gathers the request; then it
 * belongs to the worker and runs by its own task:
 *
 *     gather (head, then the body as it passes) -> lease -> send -> drop the answer -> end
 *
 * Bodies are copied into memory of the mirror's own, bounded by `body` and `max`, rather than held
 * by reference: buffers that a slow shadow held would be missing to clients. Nothing is tried
 * twice, and only the server's own failures count against its health. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/mirror.h"
#include "proxy/exchange_priv.h"
#include <stdlib.h>

enum {
    ARENA_BYTES = 256 * 1024,
    QUEUE_BYTES = 64 * 1024,
    MEMORY_BYTES_MIN = 4096,
    YOUNG_IDLE_MS = 1000, /* nothing is sent again: take no connection that may be closing */
};

struct mirror {
    struct task task;
    struct worker *worker;
    const struct mirror_conf *conf;
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
    uint64_t seen;       /* bytes of the exchange's body that were copied */
    char *memory;        /* the body */
    size_t len, cap, at; /* at: sent so far */
};

/* --- the end ----------------------------------------------------------------------------------*/

static void mirror_free(struct dead *d)
{
    struct mirror *m = CONTAINER_OF(d, struct mirror, dead);
    arena_release(&m->arena);
    free(m->memory);
    free(m);
}

/* Is it the server's fault, and not for want of something on our side. */
static bool is_servers_fault(const struct mirror *m, enum err e)
{
    return m->timed_out || (m->origin && e == m->origin->err && e != ERR_ORIGIN_STALE &&
                            e != ERR_ORIGIN_UNPROCESSED);
}

static void server_release(struct mirror *m, enum err e)
{
    enum lease_verdict v = LEASE_UNUSED;
    if (!m->lease.view)
        return;
    if (e == ERR_OK)
        v = m->origin->reusable ? LEASE_KEEP : LEASE_CLOSE;
    else if (is_servers_fault(m, e))
        v = LEASE_FAILED;
    if (m->origin)
        stream_detach(m->origin);
    m->origin = NULL;
    lease_give(&m->lease, v, e);
}

/* The view goes at once, as its upstreams have to be there when the worker is released. */
static void mirror_end(struct mirror *m, enum err e)
{
    struct worker *w = m->worker;
    server_release(m, e);
    body_release(&m->req_body);
    body_release(&m->res_body);
    timer_stop(&w->loop.timers, &m->timer);
    task_cancel(&w->loop.tasks, &m->task);
    list_remove(&m->link);
    w->mirror_count--;
    counter_add(w->counters, METRIC_MIRRORS_ACTIVE, -1);
    view_drop(m->view);
    dead_add(&w->loop, &m->dead);
}

void mirrors_abort(struct worker *w)
{
    LIST_EACH_SAFE (it, &w->mirrors)
        mirror_end(LIST_ENTRY(it, struct mirror, link), ERR_CLIENT_CLOSED);
}

/* --- running ----------------------------------------------------------------------------------*/

static enum err fill_one(struct mirror *m)
{
    struct buf *b = buf_take(&m->worker->loop.bufs, BUF_LARGE);
    if (!b)
        return ERR_NO_BUFFERS;
    size_t left = m->len - m->at;
    b->len = (uint32_t)(left < b->cap ? left : b->cap);
    memcpy(b->bytes, m->memory + m->at, b->len);
    m->at += b->len;
    return body_push(&m->req_body, (struct span){b, b->bytes, b->len});
}

static void fill(struct body *body)
{
    struct mirror *m = body->producer;
    enum err e = ERR_OK;
    while (e == ERR_OK && m->at < m->len && body_room(body) > 0)
        e = fill_one(m);
    body->starved = m->at < m->len;
    if (e != ERR_OK)
        body_fail(body, e);
    else if (m->at == m->len)
        body_end(body);
}

static enum err request_open(struct mirror *m)
{
    struct worker *w = m->worker;
    const struct origin_engine *engine = m->lease.mux ? w->shared_engine : w->engine;
    message_init(&m->res);
    m->origin = engine->open(m->lease.conn, &m->task, &m->arena, &m->res, &m->res_body,
                             w->acceptor.limits(&w->acceptor, NULL));
    if (!m->origin)
        return ERR_OVER_BUDGET;
    m->req_body.producer = m;
    m->req_body.want = fill;
    fill(&m->req_body);
    return m->origin->ops->send_head(m->origin, &m->req);
}

static enum err request_send(struct mirror *m)
{
    struct stream *s = m->origin;
    if (s->sent_all)
        return ERR_OK;
    if (m->req_body.count > 0 || m->req_body.err == ERR_OK)
        TRY(s->ops->send_body(s, &m->req_body));
    return m->req_body.count == 0 && !s->sent_all ? m->req_body.err : ERR_OK;
}

static void answer_drop(struct mirror *m)
{
    struct span s;
    while ((s = body_take(&m->res_body, SIZE_MAX)).len > 0)
        span_drop(s);
}

/* ERR_HOLD: until something happens. ERR_OK: the whole answer has come. */
static enum err mirror_step(struct mirror *m)
{
    if (m->timed_out)
        return ERR_ORIGIN_FIRST_BYTE_TIMEOUT;
    if (!m->origin) {
        TRY(m->lease.state == LEASE_IDLE ? lease_take(&m->lease) : lease_poll(&m->lease));
        TRY(request_open(m));
    }
    if (m->origin->err == ERR_OK)
        TRY(request_send(m));
    while (m->origin->head_state == STREAM_HEAD_INTERIM) {
        message_init(&m->res);
        m->origin->ops->next_head(m->origin);
    }
    answer_drop(m);
    if (m->origin->head_state == STREAM_HEAD_FINAL && body_done(&m->res_body))
        return ERR_OK;
    return m->origin->err != ERR_OK ? m->origin->err : ERR_HOLD;
}

static void mirror_run(struct task *t)
{
    struct mirror *m = CONTAINER_OF(t, struct mirror, task);
    enum err e = mirror_step(m);
    if (e == ERR_HOLD)
        return;
    counter_add(m->worker->counters, e == ERR_OK ? METRIC_MIRRORED : METRIC_MIRROR_FAILED, 1);
    mirror_end(m, e);
}

static void on_timeout(struct timer *t)
{
    struct mirror *m = CONTAINER_OF(t, struct mirror, timer);
    m->timed_out = true;
    task_wake(&m->worker->loop.tasks, &m->task);
}

/* --- gathering --------------------------------------------------------------------------------*/

static void not_mirrored(struct exchange *x)
{
    counter_add(x->worker->counters, METRIC_MIRROR_DROPPED, 1);
    if (x->mirror)
        mirror_end(x->mirror, ERR_CLIENT_CLOSED);
    x->mirror = NULL;
}

static enum err head_copy(struct mirror *m, struct exchange *x)
{
    struct arena *a = &m->arena;
    m->req = x->req;
    m->req.headers = (struct headers){0};
    m->req.method_text = arena_dup(a, x->req.method_text);
    m->req.target = arena_dup(a, x->req.target);
    m->req.scheme = arena_dup(a, x->req.scheme);
    m->req.authority = arena_dup(a, x->req.authority);
    m->req.expect_continue = false;
    if (!m->req.method_text.at || !m->req.target.at)
        return ERR_OVER_BUDGET;
    TRY(headers_copy(&m->req.headers, a, &x->req.headers));
    headers_del_id(&m->req.headers, FIELD_EXPECT);
    struct slice id = arena_dup(a, slice_of(x->id));
    return id.at ? headers_set(&m->req.headers, a, SLICE("X-Mirror"), id) : ERR_OVER_BUDGET;
}

static enum err lease_ready(struct mirror *m, struct exchange *x)
{
    const struct target *t = &m->conf->target;
    uint64_t key;
    TRY(target_key(x, t, &key));
    struct upstream_view *v = upstream_view_get(x->view, &x->worker->pools, t->upstream->index);
    if (!v)
        return ERR_NO_MEMORY;
    lease_init(&m->lease, v, &x->worker->pools, key, &m->task);
    m->lease.idle_max_ms = YOUNG_IDLE_MS;
    return ERR_OK;
}

static struct mirror *mirror_new(struct exchange *x)
{
    struct worker *w = x->worker;
    struct mirror *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->worker = w;
    m->conf = x->settings->mirror;
    m->view = view_take(x->view);
    m->dead.free = mirror_free;
    task_init(&m->task, mirror_run);
    timer_init(&m->timer, on_timeout);
    arena_init(&m->arena, ARENA_BYTES);
    body_init(&m->req_body, &w->loop.tasks, &m->task, QUEUE_BYTES);
    body_init(&m->res_body, &w->loop.tasks, &m->task, QUEUE_BYTES);
    list_push(&w->mirrors, &m->link);
    w->mirror_count++;
    counter_add(w->counters, METRIC_MIRRORS_ACTIVE, 1);
    return m;
}

/* Tunnels are conversations: half of one means nothing to a shadow. */
static bool is_chosen(struct exchange *x)
{
    const struct mirror_conf *c = x->settings->mirror;
    if (x->req.upgrade || x->req.method == METHOD_CONNECT)
        return false;
    return rand_below(&x->worker->loop.rand, 10000) < c->share;
}

static bool has_room(const struct exchange *x)
{
    const struct mirror_conf *c = x->settings->mirror;
    bool too_large =
        x->req.length == LENGTH_KNOWN && x->req.content_length > (uint64_t)c->body_bytes;
    return !too_large && x->worker->mirror_count < c->max_count;
}

void mirror_begin(struct exchange *x)
{
    if (x->mirror_decided)
        return;
    x->mirror_decided = true;
    if (!is_chosen(x))
        return;
    x->mirror = has_room(x) ? mirror_new(x) : NULL;
    if (!x->mirror || head_copy(x->mirror, x) != ERR_OK || lease_ready(x->mirror, x) != ERR_OK)
        not_mirrored(x);
}

static bool memory_reserve(struct mirror *m, size_t need)
{
    size_t cap = m->cap ? m->cap : MEMORY_BYTES_MIN;
    if (need > (size_t)m->conf->body_bytes)
        return false;
    while (cap < need)
        cap *= 2;
    char *grown = cap > m->cap ? realloc(m->memory, cap) : m->memory;
    if (!grown)
        return false;
    m->memory = grown;
    m->cap = cap;
    return true;
}

/* `from`: of its first byte in the whole body. A retry may bring what was seen before. */
static bool piece_copy(struct mirror *m, struct span s, uint64_t from)
{
    if (from + s.len <= m->seen)
        return true;
    struct slice fresh = slice_from(span_slice(s), m->seen > from ? (size_t)(m->seen - from) : 0);
    if ((s.buf && s.buf->size == BUF_PIPE) || !memory_reserve(m, m->len + fresh.len))
        return false;
    memcpy(m->memory + m->len, fresh.at, fresh.len);
    m->len += fresh.len;
    m->seen += fresh.len;
    return true;
}

static bool body_copy(struct mirror *m, const struct body *b)
{
    struct span s;
    uint64_t from = b->taken_bytes;
    for (unsigned i = 0; body_look(b, i, &s); i++) {
        if (!piece_copy(m, s, from))
            return false;
        from += s.len;
    }
    return b->err == ERR_OK;
}

static void launch(struct exchange *x)
{
    struct mirror *m = x->mirror;
    struct loop *l = &x->worker->loop;
    x->mirror = NULL;
    if (m->req.length != LENGTH_NONE) {
        m->req.length = LENGTH_KNOWN;
        m->req.content_length = m->len;
    }
    timer_set(&l->timers, &m->timer, l->now_ms + m->conf->timeout_ms);
    task_wake(&l->tasks, &m->task);
}

void mirror_feed(struct exchange *x)
{
    const struct body *b = request_body(x);
    if (!body_copy(x->mirror, b))
        not_mirrored(x);
    else if (b->ended || x->req.length == LENGTH_NONE)
        launch(x);
}

void mirror_leave(struct exchange *x)
{
    not_mirrored(x);
}
