/* exchange.c - the life of a request, top to bottom.
 *
 * Read STEPS: that table is the path of every request. A step goes on (NEXT), stops until something
 * happens (HOLD), has a response already (SKIP), wants another server (RETRY) or fails (FAIL).
 * Only exchange_run() moves an exchange; streams, timers and filters record and wake. Steps that
 * need more room have files of their own: admit.c, spool.c, origin.c, relay.c. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/num.h"
#include "base/prefetch.h"
#include "base/rand.h"
#include "proxy/access_log.h"
#include "proxy/deadline.h"
#include "proxy/exchange_priv.h"
#include "proxy/headless.h"
#include "proxy/mirror.h"
#include "proxy/outbound.h"
#include <stdlib.h>

enum {
    EXCHANGE_ARENA_BYTES = 512 * 1024,
    EXCHANGES_CACHED = 1024,
    BODY_QUEUE_BYTES = 256 * 1024,
    SESSION_BYTES = 384 /* of a stream */
};

static step_fn step_request_filters, step_response_filters, step_finish;

static const struct {
    const char *name;
    step_fn *run;
} STEPS[] = {
    [STEP_START] = {"start", step_start},
    [STEP_ROUTE] = {"route", step_route},
    [STEP_REQUEST_FILTERS] = {"request_filters", step_request_filters},
    [STEP_BUFFER] = {"buffer", step_buffer},
    [STEP_PICK] = {"pick", step_pick},
    [STEP_FORWARD] = {"forward", step_forward},
    [STEP_AWAIT] = {"await", step_await},
    [STEP_RESPONSE_FILTERS] = {"response_filters", step_response_filters},
    [STEP_RELAY] = {"relay", step_relay},
    [STEP_FINISH] = {"finish", step_finish},
    [STEP_DONE] = {"done", NULL},
};

const char *step_name(enum exchange_step s)
{
    return STEPS[s].name;
}

const char *exchange_step_name(const struct exchange *x)
{
    return STEPS[x->step].name;
}

void step_goto(struct exchange *x, enum exchange_step s)
{
    x->step = (uint8_t)s;
    x->at = 0;
    deadline_stop(x);
}

enum outcome exchange_fail(struct exchange *x, enum err e)
{
    x->err = e;
    x->err_step = x->step;
    return FAIL;
}

enum outcome exchange_fail_origin(struct exchange *x, enum err e)
{
    x->origin_failed = true;
    return exchange_fail(x, e);
}

static bool client_is_gone(enum err e)
{
    return e == ERR_CLIENT_RESET || e == ERR_CLIENT_CLOSED;
}

/* The request itself was wrong: its client is told so, and nothing more is read from it. */
static bool blames_request(enum err e)
{
    switch (err_row(e)->status) {
    case 400:
    case 413:
    case 414:
    case 417:
    case 431:
    case 501:
    case 505: return true;
    default: return false;
    }
}

/* A failure becomes the error's page while the client has seen nothing of a response; after that
 * the connection is broken off, so that the client can tell. The server's stream is kept for the
 * access log then: the response's fields lie in its buffers. */
static void fail(struct exchange *x)
{
    bool can_answer =
        !x->replied && !x->failing && err_row(x->err)->status != 0 && !client_is_gone(x->err);
    if (!can_answer) {
        step_goto(x, STEP_FINISH);
        return;
    }
    origin_release(x, x->origin_failed ? LEASE_FAILED : LEASE_UNUSED);
    x->origin_failed = false;
    x->failing = true;
    if (!x->dry && blames_request(x->err))
        x->client->closing = true;
    exchange_respond_error(x, x->err);
    step_goto(x, STEP_RESPONSE_FILTERS);
}

static void advance(struct exchange *x, enum outcome o)
{
    switch (o) {
    case NEXT: step_goto(x, x->step + 1); break;
    case SKIP: step_goto(x, STEP_RESPONSE_FILTERS); break;
    case RETRY: step_goto(x, STEP_PICK); break;
    case FAIL: fail(x); break;
    case HOLD: break;
    }
}

/* Steps that wait in several directions at once judge their deadlines themselves. */
static bool judges_deadlines(const struct exchange *x)
{
    return x->step == STEP_BUFFER || x->step == STEP_AWAIT || x->step == STEP_RELAY;
}

static bool is_queued(const struct exchange *x)
{
    return x->step == STEP_PICK && x->lease.view && x->lease.state == LEASE_QUEUED;
}

/* The client ended its side. Most likely it is gone (a close and a half-close look the same), so
 * nobody stands in a queue for it, and it has only so long until its response must begin. */
static enum err client_leaves(struct exchange *x)
{
    int64_t ms = x->settings->half_close_ms;
    if (x->replied || x->tunnel || ms < 0)
        return ERR_OK;
    if (is_queued(x))
        return ERR_CLIENT_CLOSED;
    if (!x->client_left)
        timer_set(&x->worker->loop.timers, &x->total_timer, x->worker->loop.now_ms + ms);
    x->client_left = true;
    return ERR_OK;
}

static int64_t head_came_ms(const struct exchange *x)
{
    return (x->times.began_us + x->times.head_us) / 1000;
}

int64_t total_ends_ms(const struct exchange *x)
{
    int64_t ends = x->answer_by_ms ? x->answer_by_ms : INT64_MAX;
    bool sooner = x->grpc_deadline_ms > 0 && x->grpc_deadline_ms < ends;
    return sooner ? x->grpc_deadline_ms : ends;
}

void total_begin(struct exchange *x)
{
    if (x->dry)
        return;
    deadline_read(x, head_came_ms(x));
    if (x->grpc_deadline_ms == 0)
        grpc_call_begin(x, head_came_ms(x));
    int64_t ends = total_ends_ms(x);
    if (ends != INT64_MAX)
        timer_set(&x->worker->loop.timers, &x->total_timer, ends);
}

static enum err total_err(const struct exchange *x)
{
    if (total_ends_ms(x) == x->grpc_deadline_ms)
        return ERR_GRPC_DEADLINE;
    return x->deadline_asked ? ERR_DEADLINE : ERR_REQUEST_TIMEOUT;
}

/* The timer of the whole ran out: of the request, or of a client's that has left. One that has its
 * response by now only half-closed: from here on the request's own time counts again. */
static enum err over_time(struct exchange *x)
{
    if (!x->client_left)
        return total_err(x);
    if (!x->replied)
        return ERR_CLIENT_CLOSED;
    x->client_left = false;
    total_begin(x);
    return ERR_OK;
}

/* What ends an exchange in any step: the client's connection is gone, or a time is over. A client
 * that sent nonsense can still be told so: its error does not interrupt the page about it. */
static enum err interrupted(struct exchange *x)
{
    if (x->dry || x->step == STEP_START || x->step >= STEP_FINISH)
        return ERR_OK;
    if (x->client->err != ERR_OK && !(x->failing && !client_is_gone(x->client->err)))
        return x->client->err;
    enum err e = x->client->peer_ended ? client_leaves(x) : ERR_OK;
    if (e == ERR_OK && x->over_time)
        e = over_time(x);
    if (e == ERR_OK && x->timed_out && !judges_deadlines(x))
        e = x->deadline_err;
    return e;
}

void exchange_steps_run(struct exchange *x, enum exchange_step until)
{
    enum outcome o = NEXT;
    while (o != HOLD && x->step < until) {
        enum err e = interrupted(x);
        x->over_time = false;
        if (client_is_gone(e) && headless_go_on(x))
            e = ERR_OK;
        if (e == ERR_OK)
            o = STEPS[x->step].run(x);
        else if (e == ERR_CONNECT_TIMEOUT)
            o = connect_timed_out(x);
        else
            o = exchange_fail(x, e);
        advance(x, o);
    }
}

static void exchange_run(struct task *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, task);
    if (x->client)
        prefetch_for_write(x->client, SESSION_BYTES);
    exchange_steps_run(x, STEP_DONE);
}

void exchange_wake(struct exchange *x)
{
    task_wake(&x->worker->loop.tasks, &x->task);
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool filter_applies(const struct exchange *x, const struct filter_use *f)
{
    return f->when == 0 || (x->whens & f->when) != 0;
}

static enum outcome step_request_filters(struct exchange *x)
{
    const struct filter_chain *chain = &x->route->chains[HOOK_REQUEST];
    for (; x->at < chain->count; x->at++) {
        const struct filter_use *f = &chain->uses[x->at];
        if (!filter_applies(x, f))
            continue;
        switch (f->run(x, f->conf, x->filter_states + f->state_offset)) {
        case PASS: break;
        case ANSWERED: return SKIP;
        case WAIT: return HOLD;
        case FAILED: return exchange_fail(x, x->err);
        }
    }
    return NEXT;
}

/* A request may be refused before its filters got their memory. */
static bool filters_ready(const struct exchange *x)
{
    return x->route && (x->filter_states || x->route->state_bytes == 0);
}

static enum outcome run_response_filters(struct exchange *x)
{
    const struct filter_chain *chain = &x->route->chains[HOOK_RESPONSE];
    for (; x->at < chain->count; x->at++) {
        const struct filter_use *f = &chain->uses[x->at];
        if (!filter_applies(x, f) || (f->type->stage < STAGE_CACHE && headless_is(x)))
            continue;
        switch (f->type->on_response(x, f->conf, x->filter_states + f->state_offset)) {
        case PASS:
        case ANSWERED: break;
        case WAIT: return HOLD;
        case FAILED: return exchange_fail(x, x->err);
        }
    }
    return NEXT;
}

static void count_response(struct exchange *x)
{
    unsigned class = x->res.status / 100;
    if (class >= 1 && class <= 5)
        counter_add(x->worker->counters, METRIC_RESPONSES_1XX + class - 1, 1);
}

/* Both sides become pipes; the bodies start anew (a 101 has none, nor had its request). */
static void tunnel_begin(struct exchange *x)
{
    x->tunnel = true;
    body_reopen(&x->req_body);
    body_reopen(&x->res_body);
    x->client->ops->tunnel(x->client);
    x->origin->ops->tunnel(x->origin);
    counter_add(x->worker->counters, METRIC_TUNNELS, 1);
    counter_add(x->worker->counters, METRIC_TUNNELS_OPEN, 1);
}

/* A filter failed over an error's page: its status goes out alone, which needs no memory. That of a
 * call stood in fields, so it is the filter's own. */
static void respond_alone(struct exchange *x)
{
    respond_bare(x, x->res.status >= 300 ? x->res.status : err_row(x->err)->status);
}

static enum outcome step_response_filters(struct exchange *x)
{
    if (x->at == 0)
        outbound_share(x);
    if (filters_ready(x)) {
        enum outcome o = run_response_filters(x);
        if (o == FAIL && x->failing)
            respond_alone(x);
        else if (o != NEXT)
            return o;
    }
    if (x->dry)
        return NEXT;
    x->times.response_us = exchange_now_us(x) - x->times.began_us;
    enum err e = x->client->ops->send_head(x->client, &x->res);
    if (e != ERR_OK)
        return exchange_fail(x, e);
    x->replied = true;
    if (!x->background)
        count_response(x);
    if (x->res.status == 101)
        tunnel_begin(x);
    return NEXT;
}

static void run_finish_filters(struct exchange *x)
{
    if (!filters_ready(x))
        return;
    const struct filter_chain *chain = &x->route->chains[HOOK_FINISH];
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct filter_use *f = &chain->uses[i];
        if (filter_applies(x, f))
            f->type->on_finish(x, f->conf, x->filter_states + f->state_offset);
    }
}

static void count_finish(struct exchange *x)
{
    struct counters_shared *c = x->worker->counters;
    counter_add(c, METRIC_REQUESTS_ACTIVE, -1);
    counter_add(c, METRIC_CLIENT_BYTES_IN, (int64_t)x->client->received_bytes);
    counter_add(c, METRIC_CLIENT_BYTES_OUT, (int64_t)x->client->sent_bytes);
    if (x->tunnel)
        counter_add(c, METRIC_TUNNELS_OPEN, -1);
    if (x->err != ERR_OK)
        counter_bump(&c->errors[x->err], 1);
}

static void log_finish(struct exchange *x)
{
    const struct settings *s = x->settings;
    if (s->log != &access_log_off)
        access_log_write(s->log, x);
    const struct err_row *row = err_row(x->err);
    if (row->level < log_error_level())
        return;
    char peer[ADDR_TEXT_BYTES] = "";
    size_t len = addr_write(peer, &x->client_addr);
    log_write(row->level, "%s: %s%s%.*s (%s) client=%.*s host=%.*s upstream=%.*s server=%.*s id=%s",
              step_name(x->err_step), row->text, x->why.len ? ": " : "", SLICE_ARG(x->why),
              row->name, (int)len, peer, SLICE_ARG(x->host), SLICE_ARG(x->upstream_name),
              SLICE_ARG(x->server_name), x->id);
}

/* What the exchange says about the server that it still has. */
static enum lease_verdict finish_verdict(const struct exchange *x)
{
    if (x->origin_failed || (x->err == ERR_OK && origin_status_failed(x)))
        return LEASE_FAILED;
    if (x->origin && x->origin->reusable)
        return LEASE_KEEP;
    return x->err == ERR_OK ? LEASE_CLOSE : LEASE_UNUSED;
}

static void exchange_free(struct dead *d);

static enum outcome step_finish(struct exchange *x)
{
    x->times.done_us = exchange_now_us(x) - x->times.began_us;
    run_finish_filters(x);
    if (x->mirror)
        mirror_leave(x);
    if (headless_is(x))
        headless_finish(x);
    if (!x->background) {
        log_finish(x);
        count_finish(x);
    }
    origin_release(x, finish_verdict(x));
    stream_detach(x->client);
    x->client = NULL;
    task_cancel(&x->worker->loop.tasks, &x->task);
    dead_add(&x->worker->loop, &x->dead);
    return NEXT;
}

/* --- birth and death -------------------------------------------------------------------------- */

static void deadline_fired(struct timer *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, step_timer);
    x->timed_out = true;
    exchange_wake(x);
}

static void total_fired(struct timer *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, total_timer);
    x->over_time = !x->tunnel;
    exchange_wake(x);
}

void deadline_at(struct exchange *x, int64_t at_ms, enum err e)
{
    x->timed_out = false;
    x->deadline_err = e;
    timer_set(&x->worker->loop.timers, &x->step_timer, at_ms);
}

void deadline_set(struct exchange *x, int64_t ms, enum err e)
{
    if (ms >= 0)
        deadline_at(x, x->worker->loop.now_ms + ms, e);
    else
        deadline_stop(x);
}

void deadline_stop(struct exchange *x)
{
    x->timed_out = false;
    timer_stop(&x->worker->loop.timers, &x->step_timer);
}

int64_t exchange_now_us(const struct exchange *x)
{
    return x->worker->loop.now_ns / 1000;
}

void body_reset(struct exchange *x, struct body *b)
{
    size_t limit = x->settings ? (size_t)x->settings->body_queue_bytes : BODY_QUEUE_BYTES;
    body_release(b);
    body_init(b, &x->worker->loop.tasks, &x->task, limit);
}

static void id_make(struct exchange *x)
{
    num_write_hex16(x->id, rand_next(&x->worker->loop.rand));
    x->id[16] = '\0';
}

void exchange_init(struct exchange *x, struct worker *w, const struct listen_conf *l,
                   struct conf_view *v)
{
    memset(x, 0, offsetof(struct exchange, client_addr));
    x->client_addr.len = 0; /* not known yet */
    x->worker = w;
    x->listen = l;
    x->view = view_take(v);
    x->settings = &v->conf->proxy->defaults;
    task_init(&x->task, exchange_run);
    timer_init(&x->step_timer, deadline_fired);
    timer_init(&x->total_timer, total_fired);
    arena_init(&x->arena, EXCHANGE_ARENA_BYTES);
    message_init(&x->req);
    message_init(&x->res);
    body_init(&x->req_body, &w->loop.tasks, &x->task, (size_t)x->settings->body_queue_bytes);
    body_init(&x->res_body, &w->loop.tasks, &x->task, (size_t)x->settings->body_queue_bytes);
    x->times.began_us = exchange_now_us(x);
    x->dead.free = exchange_free;
    id_make(x);
    list_push(&w->exchanges, &x->link);
}

void exchange_release(struct exchange *x)
{
    struct worker *w = x->worker;
    timer_stop(&w->loop.timers, &x->step_timer);
    timer_stop(&w->loop.timers, &x->total_timer);
    task_cancel(&w->loop.tasks, &x->task);
    body_release(&x->req_body);
    body_release(&x->res_body);
    transforms_release(&x->req_transform);
    transforms_release(&x->res_transform);
    spool_release(x);
    file_body_release(x);
    arena_release(&x->arena);
    list_remove(&x->link);
    view_drop(x->view);
}

static void exchange_free(struct dead *d)
{
    struct exchange *x = CONTAINER_OF(d, struct exchange, dead);
    struct worker *w = x->worker;
    exchange_release(x);
    if (w->free_count >= EXCHANGES_CACHED) {
        free(x);
        return;
    }
    x->next_free = w->free_exchanges;
    w->free_exchanges = x;
    w->free_count++;
}

struct exchange *exchange_alloc(struct worker *w)
{
    struct exchange *x = w->free_exchanges;
    if (!x)
        return malloc(sizeof *x);
    w->free_exchanges = x->next_free;
    if (x->next_free) /* the next request's, which is likely to be in this batch, too */
        prefetch_for_write(x->next_free, sizeof(*x));
    w->free_count--;
    return x;
}

enum err exchange_open(struct stream_acceptor *a, struct stream *s, void *listener)
{
    struct worker *w = CONTAINER_OF(a, struct worker, acceptor);
    struct exchange *x = exchange_alloc(w);
    if (!x)
        return ERR_NO_MEMORY;
    const struct listen_point *p = listener;
    exchange_init(x, w, p->conf, p->view);
    x->client = s;
    s->task = &x->task;
    s->arena = &x->arena;
    s->head = &x->req;
    s->body = &x->req_body;
    conn_remote(s->conn, &x->client_addr);
    if (s->began_ms)
        x->times.began_us = s->began_ms * 1000;
    counter_add(w->counters, METRIC_REQUESTS, 1);
    counter_add(w->counters, METRIC_REQUESTS_ACTIVE, 1);
    return ERR_OK;
}
