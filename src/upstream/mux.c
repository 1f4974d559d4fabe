/* mux.c - leases on connections that many use at once.
 *
 * A lease takes the first connection with room, so that load packs on few of them. When there is
 * none, one lease opens a connection (lease.c) and others wait for it: they are let on once the
 * server has said how many it takes. Those who find no room then are the next to open one. So a
 * burst makes as few connections as it needs, one after the other.
 *
 * Connections that do not move, or take nothing new, are passed over. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "tls/tls.h"
#include "upstream/mux_priv.h"

static struct mux *mux_of(struct list *link)
{
    return LIST_ENTRY(link, struct mux, link);
}

static void gauge(const struct origin_pool *p, enum metric m, int64_t n)
{
    counter_add(p->all->loop->counters, m, n);
}

static bool has_room(const struct mux *m, const struct origin_pool *p)
{
    uint32_t limit = m->limit < p->uses_max ? m->limit : p->uses_max;
    return !m->shut && m->used < (m->settled ? limit : 1);
}

bool mux_wanted(const struct lease *l)
{
    enum upstream_proto proto = l->view->up->proto;
    if (l->alone)
        return false;
    return proto == UPSTREAM_SHARES || (proto == UPSTREAM_ASKS && !l->pool->shares_none);
}

/* ---- a use begins ---- */

static void grant(struct lease *l, struct mux *m)
{
    struct origin_pool *p = l->pool;
    if (m->used++ == 0) {
        timer_stop(&p->all->loop->timers, &m->idle);
        gauge(p, METRIC_ORIGIN_IDLE, -1);
    }
    gauge(p, METRIC_ORIGIN_REUSES, 1);
    l->mux = m;
    l->conn = m->conn;
    l->reused = true;
    l->state = LEASE_READY;
}

/* After a connection that was no good, one that has served already is the last resort. */
static bool is_good_for(const struct lease *l, const struct mux *m)
{
    return !m->stalled && !(l->fresh_only && m->settled);
}

static struct mux *find_room(const struct lease *l)
{
    const struct origin_pool *p = l->pool;
    LIST_EACH (i, &p->muxes)
        if (has_room(mux_of(i), p) && is_good_for(l, mux_of(i)))
            return mux_of(i);
    if (p->mux_count < MUX_CONNS_MAX)
        return NULL;
    LIST_EACH (i, &p->muxes)
        if (has_room(mux_of(i), p))
            return mux_of(i);
    return NULL;
}

/* One is on its way, or there may be no more of them. */
static bool worth_waiting(const struct origin_pool *p)
{
    if (p->opener || p->mux_count >= MUX_CONNS_MAX)
        return true;
    LIST_EACH (i, &p->muxes)
        if (!mux_of(i)->settled && !mux_of(i)->shut)
            return true;
    return false;
}

bool mux_take(struct lease *l)
{
    struct origin_pool *p = l->pool;
    struct mux *m = find_room(l);
    if (m) {
        grant(l, m);
        return true;
    }
    if (!worth_waiting(p)) {
        p->opener = l;
        return false;
    }
    l->state = LEASE_CONNECTING;
    l->err = ERR_HOLD;
    l->joined = true;
    list_push(&p->joiners, &l->link);
    return true;
}

static void tell(struct lease *l, enum err e)
{
    list_remove(&l->link);
    l->err = e;
    task_wake(&l->pools->loop->tasks, l->waiter);
}

static struct lease *first_joiner(struct origin_pool *p)
{
    struct list *i = p->joiners.next;
    return i == &p->joiners ? NULL : LIST_ENTRY(i, struct lease, link);
}

static void tell_all(struct origin_pool *p, enum err e)
{
    for (struct lease *l; (l = first_joiner(p));)
        tell(l, e);
}

static void let_on(struct origin_pool *p, struct mux *m)
{
    struct lease *l;
    while (has_room(m, p) && !m->stalled && (l = first_joiner(p))) {
        tell(l, ERR_OK);
        l->joined = false;
        grant(l, m);
    }
}

/* Those who wait find room, or one of them opens the next connection. */
static void serve_joiners(struct origin_pool *p)
{
    LIST_EACH (i, &p->muxes)
        let_on(p, mux_of(i));
    struct lease *l = first_joiner(p);
    if (l && !worth_waiting(p))
        tell(l, ERR_OK);
}

enum err mux_poll(struct lease *l)
{
    if (l->err != ERR_HOLD)
        l->joined = false;
    return l->err;
}

void mux_leave(struct lease *l)
{
    list_remove(&l->link);
    l->joined = false;
    if (l->err == ERR_OK) /* it was told to look, and will not */
        serve_joiners(l->pool);
}

/* ---- what the engine says ---- */

static void on_changed(struct mux *m)
{
    serve_joiners(m->pool);
}

static void on_gone(struct mux *m, enum err why)
{
    struct origin_pool *p = m->pool;
    m->shut = true;
    m->owner = NULL;
    m->pool = NULL;
    list_remove(&m->link);
    p->mux_count--;
    gauge(p, METRIC_ORIGIN_OPEN, -1);
    if (m->used == 0) {
        timer_stop(&p->all->loop->timers, &m->idle);
        gauge(p, METRIC_ORIGIN_IDLE, -1);
    }
    if (!m->settled && !p->opener && why != ERR_OK)
        tell_all(p, why); /* they waited for this one */
    serve_joiners(p);
    pool_free_unused(p);
}

static const struct mux_owner owner_ops = {.changed = on_changed, .gone = on_gone};

/* ---- a connection is opened ---- */

void mux_open_ended(struct lease *l, enum err e)
{
    struct origin_pool *p = l->pool;
    if (p->opener != l)
        return;
    p->opener = NULL;
    if (e != ERR_OK)
        tell_all(p, e);
    else
        serve_joiners(p);
}

static bool agreed(const struct conn *c, const char *protocol)
{
    struct text name;
    text_init(&name);
    tls_fact_write(c, TLS_FACT_ALPN, &name);
    bool same = slice_eq(text_slice(&name), slice_of(protocol));
    text_release(&name);
    return same;
}

static void idle_fire(struct timer *t)
{
    struct mux *m = CONTAINER_OF(t, struct mux, idle);
    m->ops->close(m);
}

/* The server shares no connection; it is asked again whenever one is opened. */
static void goes_without(struct lease *l)
{
    l->pool->shares_none = true;
    l->pool->opener = l->pool->opener == l ? NULL : l->pool->opener;
    tell_all(l->pool, ERR_OK);
}

enum err mux_opened(struct lease *l, struct conn *c)
{
    struct origin_pool *p = l->pool;
    const struct upstream *up = l->view->up;
    const struct mux_engine *engine = l->pools->engine;
    if (l->alone && up->tls_alone) /* it knows ALPN, so its silence would be a no */
        return agreed(c, "http/1.1") ? ERR_OK : ERR_TLS_NO_ALPN;
    if (up->proto == UPSTREAM_ALONE || l->alone)
        return ERR_OK;
    if (up->tls && !(engine && agreed(c, engine->alpn))) {
        if (up->proto == UPSTREAM_SHARES)
            return ERR_TLS_NO_ALPN;
        goes_without(l);
        return ERR_OK;
    }
    struct mux *m = engine ? engine->start(c) : NULL;
    if (!m)
        return ERR_NO_MEMORY;
    timer_init(&m->idle, idle_fire);
    m->owner = &owner_ops;
    m->pool = p;
    m->used = 1;
    l->mux = m;
    p->mux_count++;
    p->shares_none = false;
    p->opener = p->opener == l ? NULL : p->opener;
    list_push(&p->muxes, &m->link);
    let_on(p, m);
    return ERR_OK;
}

/* ---- a use ends ---- */

void mux_use_end(struct mux *m, bool doubtful)
{
    struct origin_pool *p = m->pool;
    ASSERT(m->used > 0);
    m->used--;
    if (p && m->used == 0)
        gauge(p, METRIC_ORIGIN_IDLE, 1); /* whoever is let on now takes it off again */
    if (!p) {
        if (m->used == 0)
            m->ops->unused(m);
        return;
    }
    if (doubtful)
        m->ops->doubt(m);
    serve_joiners(p);
    if (m->used > 0 || !m->pool)
        return;
    if (m->shut || p->keepalive_count < 0)
        m->ops->close(m);
    else
        timer_set(&p->all->loop->timers, &m->idle, p->all->loop->now_ms + p->keepalive_ms);
}

/* ---- the pool ---- */

void mux_pool_init(struct origin_pool *p)
{
    list_init(&p->muxes);
    list_init(&p->joiners);
}

void mux_pool_close(struct origin_pool *p)
{
    for (struct list *i = p->muxes.next, *next; i != &p->muxes; i = next) {
        next = i->next;
        if (mux_of(i)->used == 0)
            mux_of(i)->ops->close(mux_of(i));
    }
}
