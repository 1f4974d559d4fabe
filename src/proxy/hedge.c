/* hedge.c - hedged requests (Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013).
 *
 * A second lease and a second stream stand beside those of the exchange, with a head and a body of
 * their own. Both wake the exchange's task, and only the step "await" moves them. When the second
 * answers first, or the first breaks, the second moves into the exchange's fields and the first is
 * cancelled: its connection is closed, or its stream reset. So no other step knows of it.
 *
 * Only for idempotent requests without a body; a budget bounds how many there are. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/hedge.h"
#include "proxy/exchange_priv.h"
#include "upstream/retry.h"

enum hedge_state { HEDGE_ARMED, HEDGE_DUE, HEDGE_LEASING, HEDGE_SENT, HEDGE_OVER };

struct hedge {
    struct exchange *exchange;
    uint8_t state; /* enum hedge_state */
    struct timer timer;
    struct lease lease;
    struct stream *stream; /* HEDGE_SENT */
    struct message res;
    struct body body;
    int64_t connected_us;
};

static void hedge_fire(struct timer *t)
{
    struct hedge *h = CONTAINER_OF(t, struct hedge, timer);
    h->state = HEDGE_DUE;
    exchange_wake(h->exchange);
}

static const struct upstream *upstream_of(const struct exchange *x)
{
    return x->lease.view->up;
}

static bool may_be_hedged(const struct exchange *x)
{
    return upstream_of(x)->hedge.after_ms != HEDGE_NEVER && !x->hedge && !x->req.upgrade &&
           method_idempotent(x->req.method) && x->req.length == LENGTH_NONE &&
           x->lease.pin == PIN_NONE && lease_has_more(&x->lease);
}

void hedge_arm(struct exchange *x)
{
    int64_t ms = may_be_hedged(x) ? hedge_after_ms(upstream_of(x)) : HEDGE_NEVER;
    if (ms < 0)
        return;
    struct hedge *h = arena_zalloc(&x->arena, sizeof *h);
    if (!h)
        return;
    h->exchange = x;
    h->state = HEDGE_ARMED;
    timer_init(&h->timer, hedge_fire);
    timer_set(&x->worker->loop.timers, &h->timer, x->worker->loop.now_ms + ms);
    x->hedge = h;
}

/* The same request for another server. */
static void lease_prepare(const struct exchange *x, struct hedge *h)
{
    lease_init(&h->lease, x->lease.view, x->lease.pools, x->lease.key, x->lease.waiter);
    memcpy(h->lease.tried, x->lease.tried, sizeof h->lease.tried);
    h->lease.priority = x->lease.priority;
    h->lease.deadline_ms = x->lease.deadline_ms;
}

static void hedge_begin(struct exchange *x, struct hedge *h)
{
    const struct upstream *up = upstream_of(x);
    bool granted = hedge_budget_take(up->shared, up->hedge.budget, x->worker->loop.now_ms);
    counter_add(x->worker->counters, granted ? METRIC_HEDGES : METRIC_HEDGES_REFUSED, 1);
    h->state = HEDGE_OVER;
    if (!granted)
        return;
    lease_prepare(x, h);
    h->state = HEDGE_LEASING;
    body_init(&h->body, &x->worker->loop.tasks, &x->task, (size_t)x->settings->body_queue_bytes);
    x->hedged = true;
}

static enum err request_open(struct exchange *x, struct hedge *h)
{
    const struct worker *w = x->worker;
    const struct origin_engine *engine = origin_engine_of(w, &h->lease);
    message_init(&h->res);
    h->stream = engine->open(h->lease.conn, &x->task, &x->arena, &h->res, &h->body,
                             w->acceptor.limits(&x->worker->acceptor, NULL));
    if (!h->stream)
        return ERR_OVER_BUDGET;
    h->state = HEDGE_SENT;
    h->connected_us = exchange_now_us(x) - x->times.began_us;
    TRY(h->stream->ops->send_head(h->stream, &x->req));
    return h->stream->ops->send_body(h->stream, &x->req_body);
}

/* ERR_HOLD: until something happens. */
static enum err lease_step(struct exchange *x, struct hedge *h)
{
    TRY(h->lease.state == LEASE_IDLE ? lease_take(&h->lease) : lease_poll(&h->lease));
    return request_open(x, h);
}

static enum err answer_step(struct hedge *h)
{
    struct stream *s = h->stream;
    if (s->sent_all)
        lease_asked(&h->lease);
    while (s->head_state == STREAM_HEAD_INTERIM) {
        message_init(&h->res);
        s->ops->next_head(s);
    }
    if (s->head_state == STREAM_HEAD_FINAL)
        return ERR_OK;
    return s->err != ERR_OK ? s->err : ERR_HOLD;
}

static void server_release(struct hedge *h, enum lease_verdict v, enum err why)
{
    if (h->stream)
        stream_detach(h->stream);
    h->stream = NULL;
    lease_give(&h->lease, v, why);
    body_release(&h->body);
    h->state = HEDGE_OVER;
}

/* One that fails leaves the first alone; it counts against its server as any other, which is not
 * asked again. */
static void hedge_failed(struct exchange *x, struct hedge *h, enum err e)
{
    server_release(h, h->stream && e == h->stream->err ? LEASE_FAILED : LEASE_UNUSED, e);
    for (size_t i = 0; i < COUNT_OF(h->lease.tried); i++)
        x->lease.tried[i] |= h->lease.tried[i];
}

bool hedge_step(struct exchange *x)
{
    struct hedge *h = x->hedge;
    enum err e = ERR_HOLD;
    if (!h)
        return false;
    if (h->state == HEDGE_DUE)
        hedge_begin(x, h);
    if (h->state == HEDGE_LEASING)
        e = lease_step(x, h);
    if (h->state == HEDGE_SENT && (e == ERR_OK || e == ERR_HOLD))
        e = answer_step(h);
    if (e != ERR_OK && e != ERR_HOLD)
        hedge_failed(x, h, e);
    return e == ERR_OK && h->state == HEDGE_SENT;
}

bool hedge_under_way(const struct exchange *x)
{
    return x->hedge && x->hedge->state == HEDGE_SENT && x->hedge->stream->err == ERR_OK;
}

/* What the engine fills in is the exchange's from now on. */
static void stream_move(struct exchange *x, struct hedge *h)
{
    x->origin = h->stream;
    x->res = h->res;
    body_release(&x->res_body);
    x->res_body = h->body;
    x->origin->ops->moved(x->origin, &x->res, &x->res_body);
}

/* A lease that is ready is in no list, and no timer of it runs. */
static void lease_move(struct exchange *x, struct hedge *h)
{
    ASSERT(h->lease.state == LEASE_READY && !list_linked(&h->lease.link));
    x->lease = h->lease;
    list_init(&x->lease.link);
}

void hedge_promote(struct exchange *x, enum lease_verdict v, enum err why)
{
    struct hedge *h = x->hedge;
    x->hedge = NULL;
    if (why != ERR_OK)
        x->err = why; /* of the first */
    origin_release(x, v);
    stream_move(x, h);
    lease_move(x, h);
    x->server_name = lease_server_name(&x->lease);
    x->times.connected_us = h->connected_us;
    x->tries++;
    x->hedge = h;
    h->stream = NULL;
    h->state = HEDGE_OVER;
    counter_add(x->worker->counters, METRIC_HEDGES_WON, 1);
}

void hedge_drop(struct exchange *x)
{
    struct hedge *h = x->hedge;
    if (!h)
        return;
    timer_stop(&x->worker->loop.timers, &h->timer);
    if (h->state == HEDGE_LEASING || h->state == HEDGE_SENT)
        server_release(h, LEASE_UNUSED, ERR_OK);
    h->state = HEDGE_OVER;
}
