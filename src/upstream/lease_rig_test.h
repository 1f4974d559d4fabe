/* lease_rig_test.h - what the tests of leases share: two workers and three origins on a simulated
 * network, and users of leases. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/sim.h"
#include "net/listener.h"
#include "upstream/lease.h"
#include "upstream/pool_priv.h"
#include "upstream/queue_priv.h"
#include "upstream/shared_priv.h"
#include "upstream/testing.h"

enum { ORIGINS = 3, WORKERS = 2, CONNS_MAX = 256 };

/* Listens on 10.0.0.(i+1):80 and keeps what it accepts open. */
struct origin {
    struct listener listener;
    struct conn *conns[CONNS_MAX];
    int count;   /* accepted in all */
    bool closed; /* the listener */
    size_t bytes;
};

struct side {
    struct loop loop;
    struct counters_shared counters;
    struct origin_pools pools;
    struct conf_view *view;
};

/* An exchange as far as a lease can tell. */
struct user {
    struct lease lease;
    struct task task;
    enum err result; /* of the last take or poll */
    int wakes;
};

static struct world {
    struct sim_net *net;
    struct loop origin_loop;
    struct counters_shared origin_counters;
    struct origin origins[ORIGINS];
    struct side workers[WORKERS];
    struct test_conf conf;
} w;

/* ---- origins ---- */

static inline int origin_index(struct conn *c)
{
    return (int)((struct origin *)c->user - w.origins);
}

static inline void origin_forget(struct conn *c)
{
    struct origin *o = &w.origins[origin_index(c)];
    for (int i = 0; i < o->count; i++)
        if (o->conns[i] == c)
            o->conns[i] = NULL;
    conn_abort(c);
}

static inline void origin_on_data(struct conn *c, struct span s)
{
    w.origins[origin_index(c)].bytes += s.len;
    span_drop(s);
    conn_recv(c);
}

static inline void origin_on_error(struct conn *c, enum err e)
{
    (void)e;
    origin_forget(c);
}

static const struct conn_user_ops origin_ops = {
    .on_data = origin_on_data, .on_eof = origin_forget, .on_error = origin_on_error};

static inline void origin_on_accept(struct listener *ln, int fd)
{
    struct origin *o = ln->user;
    struct conn *c = conn_accept(ln->loop, fd, &origin_ops, o);
    assert_non_null(c);
    assert_true(o->count < CONNS_MAX);
    o->conns[o->count++] = c;
    conn_recv(c);
}

static inline void origin_on_closed(struct listener *ln)
{
    ((struct origin *)ln->user)->closed = true;
}

static inline void origin_open(int i)
{
    struct origin *o = &w.origins[i];
    static const char *const ips[ORIGINS] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(ips[i]), &a), ERR_OK);
    addr_set_port(&a, 80);
    *o = (struct origin){
        .listener = {.user = o, .on_accept = origin_on_accept, .on_closed = origin_on_closed}};
    int fd = sim_listen(w.net, &a.sa, a.len);
    assert_true(listener_start(&o->listener, &w.origin_loop, fd));
}

/* Ends every connection; new ones are accepted as before. */
static inline void origin_drop_conns(int i)
{
    for (int k = 0; k < w.origins[i].count; k++)
        if (w.origins[i].conns[k])
            origin_forget(w.origins[i].conns[k]);
}

static inline void origin_close(int i)
{
    if (!w.origins[i].closed)
        listener_close(&w.origins[i].listener);
    origin_drop_conns(i);
}

/* ---- the world ---- */

static inline void nothing(struct timer *t)
{
    (void)t;
}

/* The simulation stops when nothing can happen any more: the timer makes the time pass. */
static inline void run_ms(int64_t ms)
{
    struct timer end;
    int64_t until_ms = sim_now_ms(w.net) + ms;
    timer_init(&end, nothing);
    timer_set(&w.origin_loop.timers, &end, until_ms);
    sim_run(w.net, until_ms);
    timer_stop(&w.origin_loop.timers, &end);
}

static inline void world_open(const char *upstream_text)
{
    static const struct sim_faults none = {0};
    memset(&w, 0, sizeof w);
    w.net = sim_net_new(11, &none);
    assert_true(loop_init(&w.origin_loop, &io_backend_sim, w.net, &w.origin_counters, 1 << 20));
    for (int i = 0; i < ORIGINS; i++)
        origin_open(i);
    test_conf_init(&w.conf, upstream_text);
    for (int i = 0; i < WORKERS; i++) {
        struct side *s = &w.workers[i];
        assert_true(loop_init(&s->loop, &io_backend_sim, w.net, &s->counters, 1 << 20));
        origin_pools_init(&s->pools, &s->loop);
        s->view = view_new(w.conf.conf);
        s->view->release = upstream_views_release;
    }
    run_ms(10);
}

static inline void world_close(void)
{
    for (int i = 0; i < WORKERS; i++) {
        view_replace(w.workers[i].view);
        origin_pools_release(&w.workers[i].pools);
    }
    for (int i = 0; i < ORIGINS; i++)
        origin_close(i);
    run_ms(1000);
    assert_int_equal(sim_open_count(w.net), 0);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(counter_get(&w.workers[i].counters, METRIC_ORIGIN_OPEN), 0);
        assert_int_equal(counter_get(&w.workers[i].counters, METRIC_ORIGIN_IDLE), 0);
        loop_release(&w.workers[i].loop);
    }
    loop_release(&w.origin_loop);
    sim_net_free(w.net);
    struct upstream *up = w.conf.conf->upstreams->list[0];
    for (uint32_t i = 0; i < up->server_count; i++) {
        assert_int_equal(up->servers[i].shared->in_flight, 0);
        assert_int_equal(up->servers[i].shared->conns, 0);
    }
    assert_int_equal(up->shared->waiting, 0);
    test_conf_release(&w.conf);
}

static inline int64_t metric(int worker, enum metric m)
{
    return counter_get(&w.workers[worker].counters, m);
}

static inline struct server_shared *shared(int i)
{
    return w.conf.conf->upstreams->list[0]->servers[i].shared;
}

static inline struct upstream_shared *up_shared(void)
{
    return w.conf.conf->upstreams->list[0]->shared;
}

/* ---- users ---- */

static inline void user_run(struct task *t)
{
    struct user *u = CONTAINER_OF(t, struct user, task);
    u->wakes++;
    u->result = lease_poll(&u->lease);
}

static inline void user_init(struct user *u, int worker)
{
    struct side *s = &w.workers[worker];
    *u = (struct user){0};
    task_init(&u->task, user_run);
    struct upstream_view *v = upstream_view_get(s->view, &s->pools, 0);
    assert_non_null(v);
    lease_init(&u->lease, v, &s->pools, 0, &u->task);
}

static inline enum err user_take(struct user *u)
{
    u->result = lease_take(&u->lease);
    if (u->result == ERR_HOLD)
        run_ms(5);
    return u->result;
}

static inline void user_ready(struct user *u, int worker)
{
    user_init(u, worker);
    assert_int_equal(user_take(u), ERR_OK);
    assert_non_null(u->lease.conn);
}

static inline void user_keep(struct user *u)
{
    lease_give(&u->lease, LEASE_KEEP, ERR_OK);
}

static inline void user_close(struct user *u)
{
    lease_give(&u->lease, LEASE_CLOSE, ERR_OK);
}
