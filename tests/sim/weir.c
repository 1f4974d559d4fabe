/* weir.c - the worker under test: its listeners, configurations on their way in and out, drain, and
 * the limits that must hold at every moment.
 *
 * What main's threads do with listeners and snapshots is done here in the same order; see
 * main/workers.c. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/text.h"
#include "cache/store.h"
#include "h1/h1.h"
#include "h2/h2.h"
#include "h2/h2_origin.h"
#include "main/handshakes.h"
#include "main/load.h"
#include "proxy/exchange.h"
#include "proxy/route.h"
#include "proxy/worker.h"
#include "tests/sim/sim.h"
#include "tls/tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_MS = 1000 };

static const struct slice keys[SIM_ENTRANCES] = {SLICE_INIT("10.0.0.1:80"),
                                                 SLICE_INIT("10.0.0.1:81")};

struct entrance {
    struct list link;
    struct listener listener;
    struct listen_point point;
    struct sim_weir *weir;
    uint32_t index;
    bool closing, closed;
};

struct change {
    struct mail mail;
    struct timer timer;
    struct sim_weir *weir;
};

struct sim_weir {
    struct cache_shared *cache;
    struct sim_world *world;
    struct worker worker;
    struct tls_tickets *tickets;
    struct counters_shared counters;
    struct list entrances;
    struct timer sweep;
    uint32_t generation;
    uint32_t gens[SIM_ENTRANCES]; /* the newest that has the listener */
    const struct conf *conf;      /* the newest */
    struct change changes[SIM_CONFS_MAX + 1];
    uint32_t change_count;
};

static uint32_t confs_freed; /* `unused` has no context */

static void conf_unused(struct conf *c)
{
    confs_freed++;
    conf_free(c);
}

static struct conf *conf_make(struct sim_world *w, uint32_t generation)
{
    struct text t;
    struct load l;
    text_init(&t);
    config_text(w, generation, &t);
    struct load_request r = {.path = "(sim)",
                             .text = text_slice(&t),
                             .generation = generation,
                             .source = sim_tls_source()};
    if (!load_run(&l, &r)) {
        struct text errors;
        text_init(&errors);
        diag_print(&l.diag, &errors, false);
        sim_broken(w, "the test's configuration does not load: %s", errors.at);
    }
    struct conf *c = load_take(&l);
    c->unused = conf_unused;
    load_release(&l);
    text_release(&t);
    return c;
}

/* Prior knowledge, as main/workers.c has it. */
static bool take_preface(struct stream_acceptor *a, struct conn *c, void *listener,
                         struct span first)
{
    const struct listen_point *p = listener;
    if (!p->conf->h2 || p->conf->tls)
        return false;
    (void)h2_client_adopt(c, a, listener, first);
    return true;
}

/* --- listeners -------------------------------------------------------------------------------- */

static void entrance_accept(struct listener *ln, int fd)
{
    struct entrance *e = ln->user;
    struct worker *wk = &e->weir->worker;
    counter_add(wk->counters, METRIC_CONNECTIONS_ACCEPTED, 1);
    struct conn *c = conn_accept(&wk->loop, fd, NULL, NULL);
    if (c && e->point.conf->tls)
        handshake_begin(wk, &e->point, c);
    else if (c)
        (void)!h1_client_adopt(c, &wk->acceptor, &e->point);
}

static void entrance_closed(struct listener *ln)
{
    struct entrance *e = ln->user;
    e->closed = true;
}

static void entrance_open(struct sim_weir *v, uint32_t index)
{
    struct entrance *e = MEM_NEW(struct entrance);
    sim_addr_weir(index, &e->listener.addr);
    e->weir = v;
    e->index = index;
    e->listener.user = e;
    e->listener.on_accept = entrance_accept;
    e->listener.on_closed = entrance_closed;
    int fd = sim_listen(v->world->net, &e->listener.addr.sa, e->listener.addr.len);
    if (!listener_start(&e->listener, &v->worker.loop, fd))
        sim_broken(v->world, "cannot listen");
    list_push(&v->entrances, &e->link);
    worker_point_add(&v->worker, &e->point, keys[index]);
}

static void entrance_close(struct entrance *e)
{
    if (e->closing)
        return;
    e->closing = true;
    listener_close(&e->listener);
}

static struct entrance *entrance_find(struct sim_weir *v, uint32_t index)
{
    LIST_EACH (l, &v->entrances) {
        struct entrance *e = LIST_ENTRY(l, struct entrance, link);
        if (e->index == index && !e->closing)
            return e;
    }
    return NULL;
}

static bool in_use(const struct entrance *e)
{
    LIST_EACH (l, &e->weir->worker.acceptor.sessions)
        if (LIST_ENTRY(l, struct session_link, link)->listener == &e->point)
            return true;
    return false;
}

static void sweep(struct timer *t)
{
    struct sim_weir *v = CONTAINER_OF(t, struct sim_weir, sweep);
    bool again = false;
    LIST_EACH_SAFE (l, &v->entrances) {
        struct entrance *e = LIST_ENTRY(l, struct entrance, link);
        if (!e->closing)
            continue;
        if (!e->closed || in_use(e)) {
            again = true;
            continue;
        }
        worker_point_remove(&v->worker, &e->point);
        list_remove(&e->link);
        free(e);
    }
    if (again)
        timer_set(&v->worker.loop.timers, &v->sweep, v->worker.loop.now_ms + SWEEP_MS);
}

/* --- reload and drain ------------------------------------------------------------------------- */

static bool has_entrance(const struct sim_weir *v, uint32_t generation, uint32_t index)
{
    return index == 0 || v->world->confs[generation - 1].second_entrance;
}

static void install(struct sim_weir *v)
{
    uint32_t gen = ++v->generation;
    struct conf *c = conf_make(v->world, gen);
    for (uint32_t i = 0; i < SIM_ENTRANCES; i++)
        if (!has_entrance(v, gen, i) && entrance_find(v, i))
            entrance_close(entrance_find(v, i));
    worker_install(&v->worker, c);
    v->conf = c;
    conf_drop(c);
    for (uint32_t i = 0; i < SIM_ENTRANCES; i++) {
        if (!has_entrance(v, gen, i))
            continue;
        v->gens[i] = gen;
        if (!entrance_find(v, i))
            entrance_open(v, i);
    }
    timer_set(&v->worker.loop.timers, &v->sweep, v->worker.loop.now_ms);
    sim_say(v->world, "weir: configuration %u", gen);
}

static void install_run(struct mail *m, struct loop *l)
{
    struct sim_weir *v = CONTAINER_OF(m, struct change, mail)->weir;
    (void)l;
    if (!v->world->draining)
        install(v);
}

static void drain_run(struct mail *m, struct loop *l)
{
    struct sim_weir *v = CONTAINER_OF(m, struct change, mail)->weir;
    (void)l;
    sim_say(v->world, "weir: drain");
    v->world->draining = true;
    LIST_EACH (it, &v->entrances)
        entrance_close(LIST_ENTRY(it, struct entrance, link));
    tls_worker_drain(v->worker.tls);
    worker_drain(&v->worker);
    timer_set(&v->worker.loop.timers, &v->sweep, v->worker.loop.now_ms);
}

static void change_post(struct timer *t)
{
    struct change *c = CONTAINER_OF(t, struct change, timer);
    mailbox_post(c->weir->worker.loop.mailbox, &c->mail);
}

static void change_later(struct sim_weir *v, int64_t at_ms,
                         void (*run)(struct mail *m, struct loop *l))
{
    struct change *c = &v->changes[v->change_count++];
    c->weir = v;
    c->mail.run = run;
    timer_init(&c->timer, change_post);
    timer_set(&v->world->peers.timers, &c->timer, at_ms);
}

void weir_install_later(struct sim_world *w, int64_t at_ms)
{
    change_later(w->weir, at_ms, install_run);
}

void weir_drain_later(struct sim_world *w, int64_t at_ms)
{
    change_later(w->weir, at_ms, drain_run);
}

uint32_t weir_gen(const struct sim_world *w, uint32_t entrance)
{
    return w->weir->gens[entrance];
}

/* --- limits ----------------------------------------------------------------------------------- */

/* One received piece may go past the limit of a queue. */
static void watch_body(struct sim_world *w, const struct body *b, size_t limit_bytes)
{
    if (b->bytes > limit_bytes + BUF_LARGE_BYTES)
        sim_broken(w, "%zu bytes in a queue of %zu", b->bytes, limit_bytes);
}

/* What came with the head was received under the limit of the top level: no route was known. */
static void watch_bodies(struct sim_world *w, const struct exchange *x)
{
    size_t top = (size_t)x->view->conf->proxy->defaults.body_queue_bytes;
    size_t own = x->req_body.limit_bytes;
    watch_body(w, &x->req_body, own > top ? own : top);
    watch_body(w, &x->res_body, x->res_body.limit_bytes);
}

static void watch_upstream(struct sim_world *w, const struct upstream *up)
{
    if (up->queue_count >= 0 && up->shared->waiting > up->queue_count)
        sim_broken(w, "%lld wait in a queue of %lld", (long long)up->shared->waiting,
                   (long long)up->queue_count);
    for (uint32_t i = 0; i < up->server_count; i++) {
        const struct server *s = &up->servers[i];
        if (s->max_conns > 0 && s->shared->conns > s->max_conns)
            sim_broken(w, "%lld connections to a server with max_conns=%lld",
                       (long long)s->shared->conns, (long long)s->max_conns);
        if (s->shared->conns < 0 || s->shared->in_flight < 0)
            sim_broken(w, "a server has less than no connections");
    }
}

void weir_watch(struct sim_world *w)
{
    struct sim_weir *v = w->weir;
    LIST_EACH (l, &v->worker.exchanges) {
        watch_bodies(w, LIST_ENTRY(l, struct exchange, link));
    }
    for (uint32_t i = 0; i < v->conf->upstreams->count; i++)
        watch_upstream(w, v->conf->upstreams->list[i]);
    if (v->worker.loop.bufs.held_bytes > 2 * v->worker.loop.bufs.cap_bytes)
        sim_broken(w, "more buffers are in use than there may be");
}

/* --- what must be left: nothing --------------------------------------------------------------- */

static void check_gauges(const struct sim_weir *v)
{
    for (int m = 0; m < METRIC_COUNT; m++)
        if (metric_row((enum metric)m)->kind == METRIC_KIND_GAUGE && v->counters.metrics[m] != 0)
            sim_broken(v->world, "%s is %lld with nothing going on",
                       metric_row((enum metric)m)->name, (long long)v->counters.metrics[m]);
}

static void check_upstreams(const struct sim_weir *v)
{
    for (uint32_t i = 0; i < v->conf->upstreams->count; i++) {
        const struct upstream *up = v->conf->upstreams->list[i];
        if (up->shared->waiting != 0)
            sim_broken(v->world, "somebody waits for a server with nothing going on");
        for (uint32_t k = 0; k < up->server_count; k++)
            if (up->servers[k].shared->conns != 0 || up->servers[k].shared->in_flight != 0)
                sim_broken(v->world, "a server is in use with nothing going on");
    }
}

void weir_check_rest(struct sim_world *w)
{
    struct sim_weir *v = w->weir;
    if (!worker_idle(&v->worker))
        sim_broken(w, "the worker still has sessions or exchanges");
    if (v->worker.loop.bufs.held_bytes != 0)
        sim_broken(w, "%zu bytes of buffers are held with nothing going on",
                   v->worker.loop.bufs.held_bytes);
    check_gauges(v);
    check_upstreams(v);
    if (confs_freed + 1 != v->generation)
        sim_broken(w, "%u of %u old configurations are freed", confs_freed, v->generation - 1);
}

static void count_shared(const struct server_shared *s, void *ctx)
{
    (void)s;
    ++*(uint32_t *)ctx;
}

/* --- life ------------------------------------------------------------------------------------- */

struct sim_weir *weir_new(struct sim_world *w, size_t buffer_cap_bytes)
{
    struct sim_weir *v = MEM_NEW(struct sim_weir);
    v->world = w;
    w->weir = v;
    confs_freed = 0;
    list_init(&v->entrances);
    timer_init(&v->sweep, sweep);
    if (!worker_init(&v->worker, 0, &io_backend_sim, w->net, &h1_origin_engine, &v->counters,
                     buffer_cap_bytes))
        sim_broken(w, "cannot start");
    v->cache =
        cache_new(&(struct cache_limits){.memory_bytes = 8 << 20, .object_bytes = 256 << 10});
    v->worker.cache = v->cache;
    v->worker.acceptor.take_preface = take_preface;
    v->worker.shared_engine = &h2_origin_engine;
    v->worker.pools.engine = &h2_mux_engine;
    v->tickets = tls_tickets_new();
    v->worker.tls = v->worker.pools.tls = tls_worker_new(&v->worker.loop, v->tickets);
    if (!v->worker.tls)
        sim_broken(w, "cannot start");
    v->worker.loop.pipes.refused = v->worker.loop.pipes.probed = world_chance(w, 300);
    install(v);
    return v;
}

void weir_close(struct sim_world *w)
{
    struct sim_weir *v = w->weir;
    if (!w->draining)
        weir_drain_later(w, w->peers.now_ms);
    origin_pools_close(&v->worker.pools);
}

void weir_free(struct sim_world *w)
{
    struct sim_weir *v = w->weir;
    uint32_t servers = 0;
    coverage_add(w, &v->counters);
    if (!list_empty(&v->entrances))
        sim_broken(w, "a listener is not closed");
    struct tls_worker *tls = v->worker.tls;
    tls_worker_stop(tls);
    worker_release(&v->worker);
    cache_free(v->cache);
    tls_worker_free(tls);
    tls_tickets_free(v->tickets);
    if (confs_freed != v->generation)
        sim_broken(w, "%u of %u configurations are freed", confs_freed, v->generation);
    servers_shared_each(count_shared, &servers);
    if (servers != 0)
        sim_broken(w, "the state of %u servers is left", servers);
    free(v);
    w->weir = NULL;
}
