/* pool.c - a worker's idle connections to each server.
 *
 * Idle connections form a stack: the newest serves next, so that those beyond the need grow old
 * and end at the idle timeout. How many may be idle follows the use: as many as were in use at once
 * lately (so that a steady load never connects anew), at most the configured number. An idle
 * connection has a receive armed and the pool as its user: whatever arrives on it - the end of the
 * stream, a reset, or bytes that nobody asked for - takes it out at once.
 *
 * A pool outlives the view that made it while it has idle connections; so they survive a reload. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "upstream/mux_priv.h"
#include "upstream/queue_priv.h"
#include "upstream/shared_priv.h"
#include <stdlib.h>

enum { POOL_SPARES_MAX = 1024 }; /* unused entries kept, of 40 bytes */

struct idle_conn {
    struct list link;
    struct origin_pool *pool;
    struct conn *conn;
    int64_t since_ms;
};

static void pool_gauge(struct origin_pool *p, enum metric m, int64_t n)
{
    counter_add(p->all->loop->counters, m, n);
}

/* Entries come and go with every request: they are used again instead of allocated. */
static struct idle_conn *idle_new(struct origin_pools *all)
{
    struct list *link = list_pop(&all->idle_spares);
    if (!link)
        return malloc(sizeof(struct idle_conn));
    all->idle_spare_count--;
    return LIST_ENTRY(link, struct idle_conn, link);
}

static void idle_spare(struct origin_pools *all, struct idle_conn *i)
{
    if (ASAN_ON || all->idle_spare_count == POOL_SPARES_MAX) {
        free(i);
        return;
    }
    all->idle_spare_count++;
    list_push_front(&all->idle_spares, &i->link);
}

static void idle_spares_free(struct origin_pools *all)
{
    struct list *link;
    while ((link = list_pop(&all->idle_spares)))
        free(LIST_ENTRY(link, struct idle_conn, link));
    all->idle_spare_count = 0;
}

/* Its connection is the caller's. */
static struct conn *idle_remove(struct idle_conn *i)
{
    struct conn *c = i->conn;
    list_remove(&i->link);
    i->pool->idle_count--;
    pool_gauge(i->pool, METRIC_ORIGIN_IDLE, -1);
    idle_spare(i->pool->all, i);
    return c;
}

static void pool_free(struct origin_pool *p)
{
    timer_stop(&p->all->loop->timers, &p->idle_timer);
    p->all->by_id[p->shared->id] = NULL;
    server_shared_drop(p->shared);
    free(p);
}

void pool_free_unused(struct origin_pool *p)
{
    if (p->views == 0 && p->in_use == 0 && p->idle_count == 0 && p->mux_count == 0)
        pool_free(p);
}

static void idle_close(struct idle_conn *i)
{
    struct origin_pool *p = i->pool;
    pool_conn_close(p, idle_remove(i));
}

static void idle_ended(struct conn *c)
{
    struct idle_conn *i = c->user;
    struct origin_pool *p = i->pool;
    idle_close(i);
    pool_free_unused(p);
}

static void idle_on_data(struct conn *c, struct span s)
{
    span_drop(s);
    idle_ended(c); /* an answer to nothing: whatever comes next cannot be trusted */
}

static void idle_on_error(struct conn *c, enum err e)
{
    (void)e;
    idle_ended(c);
}

static const struct conn_user_ops idle_ops = {
    .on_data = idle_on_data,
    .on_eof = idle_ended,
    .on_error = idle_on_error,
};

static struct idle_conn *idle_oldest(struct origin_pool *p)
{
    return LIST_ENTRY(p->idle.prev, struct idle_conn, link);
}

static void idle_timer_set(struct origin_pool *p)
{
    if (p->idle_count > 0)
        timer_set(&p->all->loop->timers, &p->idle_timer,
                  idle_oldest(p)->since_ms + p->keepalive_ms);
}

static void idle_timer_fire(struct timer *t)
{
    struct origin_pool *p = CONTAINER_OF(t, struct origin_pool, idle_timer);
    int64_t born_before_ms = p->all->loop->now_ms - p->keepalive_ms;
    while (p->idle_count > 0 && idle_oldest(p)->since_ms <= born_before_ms)
        idle_close(idle_oldest(p));
    idle_timer_set(p);
    pool_free_unused(p);
}

static bool by_id_reserve(struct origin_pools *all, uint32_t id)
{
    if (id < all->count)
        return true;
    uint32_t count = all->count ? all->count : 16;
    while (count <= id)
        count *= 2;
    struct origin_pool **table = realloc(all->by_id, count * sizeof *table);
    if (!table)
        return false;
    memset(table + all->count, 0, (count - all->count) * sizeof *table);
    all->by_id = table;
    all->count = count;
    return true;
}

static struct origin_pool *pool_new(struct origin_pools *all, struct server_shared *shared)
{
    struct origin_pool *p = by_id_reserve(all, shared->id) ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->all = all;
    p->shared = server_shared_ref(shared);
    list_init(&p->idle);
    mux_pool_init(p);
    timer_init(&p->idle_timer, idle_timer_fire);
    p->addr_next = rand_below(&all->loop->rand, SERVER_ADDRS_MAX);
    all->by_id[shared->id] = p;
    return p;
}

struct origin_pool *pool_get(struct origin_pools *all, const struct upstream *up,
                             const struct server *srv)
{
    uint32_t id = srv->shared->id;
    struct origin_pool *p = id < all->count ? all->by_id[id] : NULL;
    if (!p)
        p = pool_new(all, srv->shared);
    if (!p)
        return NULL;
    p->keepalive_count = up->keepalive_count;
    p->keepalive_ms = up->keepalive_ms;
    p->uses_max = (uint32_t)up->streams_max;
    p->views++;
    return p;
}

void pool_view_drop(struct origin_pool *p)
{
    ASSERT(p->views > 0);
    p->views--;
    pool_free_unused(p);
}

void pool_use_begin(struct origin_pool *p)
{
    int64_t now_ms = p->all->loop->now_ms;
    if (now_ms - p->peak_began_ms >= POOL_PEAK_MS) {
        p->peak_before = now_ms - p->peak_began_ms < 2 * POOL_PEAK_MS ? p->peak : 0;
        p->peak = p->in_use;
        p->peak_began_ms = now_ms;
    }
    if (++p->in_use > p->peak)
        p->peak = p->in_use;
}

void pool_use_end(struct origin_pool *p)
{
    ASSERT(p->in_use > 0);
    p->in_use--;
    pool_free_unused(p);
}

static uint32_t idle_limit(const struct origin_pool *p)
{
    int64_t limit = p->peak > p->peak_before ? p->peak : p->peak_before;
    if (limit < POOL_IDLE_FLOOR)
        limit = POOL_IDLE_FLOOR;
    if (limit > p->keepalive_count)
        limit = p->keepalive_count;
    if (limit < 0)
        limit = 0; /* keepalive off */
    return limit < POOL_IDLE_MAX ? (uint32_t)limit : POOL_IDLE_MAX;
}

struct conn *pool_conn_take(struct origin_pool *p, int64_t idle_max_ms)
{
    if (p->idle_count == 0)
        return NULL;
    struct idle_conn *newest = LIST_ENTRY(p->idle.next, struct idle_conn, link);
    if (idle_max_ms && p->all->loop->now_ms - newest->since_ms > idle_max_ms)
        return NULL;
    pool_gauge(p, METRIC_ORIGIN_REUSES, 1);
    return idle_remove(newest);
}

static bool conn_reusable(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->err && !c->eof_seen && conn_out_bytes(c) == 0;
}

void pool_conn_put(struct origin_pool *p, struct conn *c)
{
    uint32_t limit = idle_limit(p);
    struct idle_conn *i = limit > 0 && conn_reusable(c) ? idle_new(p->all) : NULL;
    if (!i) {
        pool_conn_close(p, c);
        return;
    }
    while (p->idle_count >= limit)
        idle_close(idle_oldest(p));
    *i = (struct idle_conn){.pool = p, .conn = c, .since_ms = p->all->loop->now_ms};
    list_push_front(&p->idle, &i->link);
    p->idle_count++;
    pool_gauge(p, METRIC_ORIGIN_IDLE, 1);
    conn_set_user(c, &idle_ops, i);
    conn_recv(c);
    if (!timer_armed(&p->idle_timer))
        idle_timer_set(p);
}

void pool_conn_opened(struct origin_pool *p)
{
    pool_gauge(p, METRIC_ORIGIN_OPEN, 1);
}

void pool_conn_close(struct origin_pool *p, struct conn *c)
{
    pool_gauge(p, METRIC_ORIGIN_OPEN, -1);
    conn_abort(c);
}

void pool_conn_finish(struct origin_pool *p, struct conn *c)
{
    pool_gauge(p, METRIC_ORIGIN_OPEN, -1);
    conn_close_by(c, p->all->loop->now_ms + POOL_FINISH_MS);
}

bool pool_addr_pick(struct origin_pool *p, uint16_t tried, uint8_t *index)
{
    uint32_t count = server_addr_count(p->shared);
    if (count == 0)
        return false;
    if (p->all->loop->now_ms >= p->bad_until_ms)
        p->bad_addrs = 0;
    uint32_t first = p->addr_next++;
    for (int with_bad = 0; with_bad < 2; with_bad++) {
        uint16_t skip = with_bad ? tried : (uint16_t)(tried | p->bad_addrs);
        for (uint32_t k = 0; k < count; k++) {
            uint32_t i = (first + k) % count;
            if (skip >> i & 1)
                continue;
            *index = (uint8_t)i;
            return true;
        }
    }
    return false;
}

void pool_addr_failed(struct origin_pool *p, uint8_t index)
{
    p->bad_addrs |= (uint16_t)(1u << index);
    p->bad_until_ms = p->all->loop->now_ms + POOL_BAD_ADDR_MS;
}

void origin_pools_init(struct origin_pools *p, struct loop *l)
{
    *p = (struct origin_pools){.loop = l};
    list_init(&p->idle_spares);
    peers_add(p);
}

static void pool_idle_close(struct origin_pool *p)
{
    while (p->idle_count > 0)
        idle_close(idle_oldest(p));
    timer_stop(&p->all->loop->timers, &p->idle_timer);
    p->views++; /* it may go with its last connection, but not meanwhile */
    mux_pool_close(p);
    pool_view_drop(p);
}

void origin_pools_close(struct origin_pools *p)
{
    peers_remove(p); /* no more mail from others; what came already is run by the loop */
    for (uint32_t i = 0; i < p->count; i++)
        if (p->by_id[i])
            pool_idle_close(p->by_id[i]);
}

void origin_pools_release(struct origin_pools *p)
{
    origin_pools_close(p);
    for (uint32_t i = 0; i < p->count; i++)
        ASSERT(p->by_id[i] == NULL); /* a view or a lease is still there */
    queues_release(p);
    idle_spares_free(p);
    free(p->by_id);
    *p = (struct origin_pools){0};
}
