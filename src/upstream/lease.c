/* lease.c - an exchange's use of one origin connection, from the choice of a server to the verdict.
 *
 *     IDLE --take--> QUEUED (no room) --> CONNECTING --> READY --give--> IDLE
 *
 * A lease counts at its server (in_flight, and a place against max_conns) from the moment the
 * server is chosen until it is given back. Callbacks of the connection and timers only record what
 * happened and wake the waiter; lease_poll() goes on from there. A failed connect goes to the
 * server's next address; when all failed, that is one failure of the server. A connect that its
 * lease gives up is closed. Where connections are shared (mux.c) CONNECTING may also be to wait for
 * one that another lease opens. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/lease.h"
#include "tls/tls.h"
#include "upstream/health_priv.h"
#include "upstream/latency.h"
#include "upstream/mux_priv.h"
#include "upstream/outlier.h"
#include "upstream/pool_priv.h"
#include "upstream/queue_priv.h"
#include "upstream/shared_priv.h"

void lease_init(struct lease *l, struct upstream_view *v, struct origin_pools *p, uint64_t key,
                struct task *waiter)
{
    *l = (struct lease){.view = v,
                        .pools = p,
                        .key = key,
                        .pin = PIN_NONE,
                        .priority = PRIORITY_DEFAULT,
                        .waiter = waiter};
    list_init(&l->link);
}

/* The connection stands: the handshake is next, whose end is told in the same way. */
static enum err handshake_begin(struct lease *l, struct conn *c)
{
    if (!l->pools->tls)
        return ERR_NO_MEMORY;
    const struct upstream *up = l->view->up;
    const struct tls_origin *how = l->alone && up->tls_alone ? up->tls_alone : up->tls;
    enum err e = tls_connect(l->pools->tls, c, how, l->server->spec.host);
    return e == ERR_OK ? ERR_HOLD : e;
}

static void lease_on_open(struct conn *c, enum err e)
{
    struct lease *l = c->user;
    bool secure = l->view->up->tls != NULL, begun = secure && conn_is_tls(c);
    if (secure && !begun && e == ERR_OK)
        e = handshake_begin(l, c);
    if (e == ERR_HOLD)
        return;
    if (begun && e != ERR_OK)
        server_tls_error_set(l->server->shared, tls_why(c));
    if (e == ERR_OK)
        e = mux_opened(l, c);
    l->err = e;
    if (e == ERR_OK) {
        l->state = LEASE_READY;
        pool_conn_opened(l->pool);
    }
    task_wake(&l->pools->loop->tasks, l->waiter);
}

/* Nothing is received or sent before a session takes the connection over, so nothing else comes: a
 * handshake's bytes are its own. */
static const struct conn_user_ops connecting_ops = {.on_open = lease_on_open};

static void tried_set(struct lease *l, uint32_t i)
{
    l->tried[i / 64 % 4] |= 1ull << (i % 64);
}

static void tried_clear(struct lease *l, uint32_t i)
{
    l->tried[i / 64 % 4] &= ~(1ull << (i % 64));
}

/* Ends the use of the server; it stays named for the log. */
static void lease_leave(struct lease *l)
{
    struct origin_pool *pool = l->pool;
    l->state = LEASE_IDLE;
    l->conn = NULL;
    l->mux = NULL;
    l->pool = NULL;
    shared_add(&l->server->shared->in_flight, -1);
    place_give(l);
    pool_use_end(pool);
}

/* Is it the server's fault, and not for want of something on our side. It need not speak HTTP/1.1,
 * which is all that was offered to it for a use alone. */
static bool is_servers_fault(const struct lease *l, enum err e)
{
    if (l->alone && err_is_tls(e))
        return false;
    switch (e) {
    case ERR_NO_DESCRIPTORS:
    case ERR_NO_MEMORY:
    case ERR_NO_BUFFERS:
    case ERR_OVER_BUDGET:
    case ERR_ORIGIN_STALE:
    case ERR_ORIGIN_UNPROCESSED: return false;
    default: return true;
    }
}

static enum err lease_fail(struct lease *l, enum err e)
{
    if (is_servers_fault(l, e))
        health_failed(l->server->shared, l->view->up, e, l->pools->loop);
    mux_open_ended(l, e);
    lease_leave(l);
    return e;
}

/* Connects to the next address that was not tried; `last` is the error when there is none. */
static enum err lease_connect(struct lease *l, enum err last)
{
    struct loop *loop = l->pools->loop;
    struct addr to;
    if (!pool_addr_pick(l->pool, l->addrs_tried, &l->addr) ||
        !server_addr_get(l->server->shared, l->addr, &to))
        return lease_fail(l, last);
    l->addrs_tried |= (uint16_t)(1u << l->addr);
    l->state = LEASE_CONNECTING;
    l->err = ERR_HOLD;
    l->conn = conn_connect(loop, &to, &connecting_ops, l);
    if (!l->conn)
        return lease_fail(l, ERR_NO_MEMORY);
    counter_add(loop->counters, METRIC_ORIGIN_CONNECTS, 1);
    shared_add(&l->server->shared->connects_total, 1);
    return ERR_HOLD;
}

static bool lease_reuse(struct lease *l)
{
    l->conn = l->fresh_only ? NULL : pool_conn_take(l->pool, l->idle_max_ms);
    if (!l->conn)
        return false;
    conn_set_user(l->conn, &connecting_ops, l);
    l->state = LEASE_READY;
    l->reused = true;
    return true;
}

static struct origin_pool *lease_pool(struct lease *l)
{
    struct origin_pool **slot = &l->view->pools[l->server->index];
    if (!*slot)
        *slot = pool_get(l->pools, l->view->up, l->server);
    return *slot;
}

static enum err lease_seek(struct lease *l)
{
    bool found = mux_wanted(l) ? mux_take(l) : lease_reuse(l);
    if (!found)
        return lease_connect(l, ERR_CONNECT_FAILED);
    return l->state == LEASE_READY ? ERR_OK : ERR_HOLD;
}

/* The server is chosen and has a place for the lease. */
static enum err lease_start(struct lease *l)
{
    l->state = LEASE_IDLE;
    l->pool = lease_pool(l);
    if (!l->pool) {
        place_give(l);
        return ERR_NO_MEMORY;
    }
    tried_set(l, l->server->index);
    shared_add(&l->server->shared->in_flight, 1);
    shared_add(&l->server->shared->requests_total, 1);
    pool_use_begin(l->pool);
    l->reused = false;
    l->addrs_tried = 0;
    l->connect_began_ms = l->pools->loop->now_ms;
    return lease_seek(l);
}

enum err lease_take(struct lease *l)
{
    ASSERT(l->state == LEASE_IDLE);
    l->began_ms = l->pools->loop->now_ms;
    l->server = NULL;
    /* Another worker may take the last place between the pick and the claim: ask again. */
    for (int attempt = 0; attempt < 4; attempt++) {
        struct pick p = lease_pick(l);
        uint32_t i;
        enum err e = pick_server(l->view->balancer_state, &p, &i);
        if (e == ERR_OVER_LIMIT)
            break;
        if (e != ERR_OK)
            return e;
        if (place_claim(l, &l->view->up->servers[i], p.ignore_ejected))
            return lease_start(l);
        if (limit_full(&l->view->up->shared->limit, &l->view->up->limit))
            break;
    }
    return queue_add(l);
}

static enum err poll_queued(struct lease *l)
{
    if (l->granted) {
        l->granted = false;
        return lease_start(l);
    }
    if (l->err == ERR_OK)
        return ERR_HOLD;
    l->state = LEASE_IDLE;
    return l->err;
}

static enum err poll_joined(struct lease *l)
{
    enum err e = mux_poll(l);
    if (e == ERR_HOLD)
        return ERR_HOLD;
    return e == ERR_OK ? lease_seek(l) : lease_fail(l, e);
}

static enum err poll_connecting(struct lease *l)
{
    if (l->joined)
        return poll_joined(l);
    enum err e = l->err;
    if (e == ERR_HOLD)
        return ERR_HOLD;
    conn_abort(l->conn);
    l->conn = NULL;
    counter_add(l->pools->loop->counters, METRIC_ORIGIN_CONNECT_ERRORS, 1);
    if (!is_servers_fault(l, e))
        return lease_fail(l, e);
    pool_addr_failed(l->pool, l->addr);
    return lease_connect(l, e);
}

enum err lease_poll(struct lease *l)
{
    switch ((enum lease_state)l->state) {
    case LEASE_QUEUED: return poll_queued(l);
    case LEASE_CONNECTING: return poll_connecting(l);
    case LEASE_READY: return ERR_OK;
    case LEASE_IDLE: break;
    }
    return l->err;
}

static void give_queued(struct lease *l)
{
    l->state = LEASE_IDLE;
    if (!l->granted) {
        queue_remove(l);
        return;
    }
    l->granted = false;
    place_give(l);
}

static void give_connecting(struct lease *l, enum lease_verdict v, enum err why)
{
    if (l->joined)
        mux_leave(l);
    else
        conn_abort(l->conn);
    if (v == LEASE_FAILED && l->conn) {
        counter_add(l->pools->loop->counters, METRIC_ORIGIN_CONNECT_ERRORS, 1);
        pool_addr_failed(l->pool, l->addr);
    }
    if (v == LEASE_FAILED) {
        if (is_servers_fault(l, why))
            health_failed(l->server->shared, l->view->up, why, l->pools->loop);
    } else {
        tried_clear(l, l->server->index);
    }
    mux_open_ended(l, ERR_OK);
    lease_leave(l);
}

void lease_asked(struct lease *l)
{
    if (l->asked_ms)
        return;
    l->asked_ms = l->pools->loop->now_ms;
    latency_asked(l->server->shared, l->asked_ms);
}

/* Without the time in which a client sent its body: that is no slowness of the server's. */
static int64_t without_upload(const struct lease *l, int64_t us)
{
    int64_t owed_us = (l->pools->loop->now_ms - l->asked_ms + 1) * 1000;
    return l->asked_ms && owed_us < us ? owed_us : us;
}

/* An answer that came before the request was whole says nothing about the upstream's limit. */
static void limit_tell(const struct lease *l, int64_t us)
{
    const struct upstream *up = l->view->up;
    if (l->asked_ms && us > 0)
        limit_answered(&up->shared->limit, &up->limit, us, l->pools->loop->now_ns / 1000);
}

static void answer_count(struct server_shared *s, enum lease_answer a, int64_t us)
{
    shared_add(&s->answers_total, 1);
    if (a == LEASE_ANSWER_ERROR)
        shared_add(&s->errors_total, 1);
    else
        shared_add(&s->latency_log_sum, outlier_log(us));
}

void lease_answered(struct lease *l, enum lease_answer a, int64_t us)
{
    int64_t now_ms = l->pools->loop->now_ms;
    us = without_upload(l, us);
    answer_count(l->server->shared, a, us);
    if (a == LEASE_ANSWER_ERROR)
        us = 0; /* one that fails quickly is no quick server */
    limit_tell(l, us);
    if (l->asked_ms)
        latency_answered(l->server->shared, now_ms);
    l->asked_ms = 0;
    if (us > 0)
        latency_add(l->server->shared, us, now_ms);
    if (place_answered(l, us > 0) && shared_get(&l->view->up->shared->waiting) > 0)
        queue_room(l);
}

static void answer_given_up(struct lease *l)
{
    int64_t now_ms = l->pools->loop->now_ms;
    if (l->asked_ms)
        latency_given_up(l->server->shared, (now_ms - l->asked_ms) * 1000, now_ms);
    l->asked_ms = 0;
}

static void verdict_count(struct lease *l, enum lease_verdict v, enum err why)
{
    struct loop *loop = l->pools->loop;
    bool untouched = why == ERR_ORIGIN_STALE || why == ERR_ORIGIN_UNPROCESSED;
    answer_given_up(l);
    if (untouched)
        l->fresh_only = true;
    if (untouched || v == LEASE_UNUSED)
        tried_clear(l, l->server->index);
    else if (v != LEASE_FAILED)
        health_ok(l->server->shared, loop->now_ms);
    else if (is_servers_fault(l, why))
        health_failed(l->server->shared, l->view->up, why, loop);
}

/* The server said nothing for too long: is it this request, or the connection? */
static bool is_silence(enum err why)
{
    return why == ERR_ORIGIN_FIRST_BYTE_TIMEOUT || why == ERR_ORIGIN_READ_TIMEOUT ||
           why == ERR_ORIGIN_SEND_TIMEOUT;
}

static void give_ready(struct lease *l, enum lease_verdict v, enum err why)
{
    verdict_count(l, v, why);
    /* Before the place is given on, so that who waits for it finds the connection. */
    if (l->mux)
        mux_use_end(l->mux, is_silence(why));
    else if (v == LEASE_KEEP)
        pool_conn_put(l->pool, l->conn);
    else if (v == LEASE_CLOSE)
        pool_conn_finish(l->pool, l->conn);
    else
        pool_conn_close(l->pool, l->conn);
    lease_leave(l);
}

void lease_give(struct lease *l, enum lease_verdict v, enum err why)
{
    switch ((enum lease_state)l->state) {
    case LEASE_QUEUED: give_queued(l); break;
    case LEASE_CONNECTING: give_connecting(l, v, why); break;
    case LEASE_READY: give_ready(l, v, why); break;
    case LEASE_IDLE: break;
    }
}

bool lease_has_more(const struct lease *l)
{
    const struct upstream *up = l->view->up;
    for (uint32_t i = 0; i < up->server_count; i++) {
        bool tried = l->tried[i / 64 % 4] >> (i % 64) & 1;
        bool off = up->servers[i].disabled || up->servers[i].draining;
        if (!tried && !off && server_addr_count(up->servers[i].shared) > 0)
            return true;
    }
    return false;
}

struct slice lease_server_name(const struct lease *l)
{
    return l->server ? l->server->name : SLICE_NONE;
}
