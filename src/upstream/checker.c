/* checker.c - see checker.h: when each server is asked, and what becomes of the answer.
 *
 * An entry per server, found again by the id of its shared state. Its turn is a timer; a probe that
 * is under way holds the configuration that it was asked with, whatever is installed meanwhile. The
 * machine that judges results is check.c. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/checker.h"
#include "base/mem.h"
#include "conf/snapshot.h"
#include "upstream/health_priv.h"
#include "upstream/server_table_priv.h"
#include "upstream/shared_priv.h"
#include <stdlib.h>

struct check_entry {
    struct list link;
    struct upstream_checker *checker;
    struct server_shared *shared; /* counted */
    const struct upstream *up;    /* of checker->conf */
    const struct server *server;
    struct check_state state;
    bool wanted;           /* by the newest snapshot */
    struct probe *probe;   /* under way; NULL: the timer runs */
    struct conf *asked_by; /* of the probe; counted */
    struct timer turn;
    int64_t began_ms;
};

struct upstream_checker {
    struct loop *loop;
    struct prober *prober;
    struct conf *conf; /* counted */
    struct list entries;
    struct server_table table; /* of struct check_entry */
};

/* ---- results ---- */

static void state_store(struct check_entry *e, enum server_check to)
{
    struct server_shared *s = e->shared;
    if (shared_get(&s->check_state) == to)
        return;
    shared_set(&s->check_state, to);
    shared_set(&s->check_since_unix_ms, e->checker->loop->unix_ms);
    __atomic_store_n(&s->check_down, to == SERVER_CHECK_DOWN, __ATOMIC_RELAXED);
}

static void went_down(struct check_entry *e)
{
    state_store(e, SERVER_CHECK_DOWN);
    health_tell(e->shared, SERVER_CHECKED_OUT, e->state.fails);
}

static void came_up(struct check_entry *e)
{
    int64_t ms = e->checker->loop->unix_ms - shared_get(&e->shared->check_since_unix_ms);
    server_came_back(e->shared, e->checker->loop->now_ms);
    state_store(e, SERVER_CHECK_UP);
    health_tell(e->shared, SERVER_CHECKED_IN, ms);
}

static void count(struct check_entry *e, const char *why)
{
    struct server_shared *s = e->shared;
    shared_add(&s->checks_total, 1);
    if (!why)
        return;
    shared_add(&s->checks_failed_total, 1);
    shared_set(&s->check_failed_unix_ms, e->checker->loop->unix_ms);
    server_check_error_set(s, why);
}

static void turn_set(struct check_entry *e)
{
    struct loop *l = e->checker->loop;
    int64_t at_ms = e->began_ms + check_wait_ms(&e->state, e->up->check, &l->rand);
    timer_set(&l->timers, &e->turn, at_ms > l->now_ms ? at_ms : l->now_ms + 1);
}

static void probe_over(struct check_entry *e)
{
    e->probe = NULL;
    conf_drop(e->asked_by);
    e->asked_by = NULL;
}

static void on_done(void *ctx, const char *why)
{
    struct check_entry *e = ctx;
    count(e, why);
    switch (check_state_add(&e->state, e->up->check, why ? CHECK_FAILED : CHECK_OK)) {
    case CHECK_WENT_DOWN: went_down(e); break;
    case CHECK_CAME_UP: came_up(e); break;
    case CHECK_SAME:
        if (!e->state.down)
            state_store(e, SERVER_CHECK_UP);
        break;
    }
    probe_over(e);
    turn_set(e);
}

/* ---- turns ---- */

static void addrs_take(const struct check_entry *e, struct probe_ask *ask)
{
    int64_t port = e->up->check->port;
    struct addr *a = ask->addrs;
    while (ask->addr_count < SERVER_ADDRS_MAX && server_addr_get(e->shared, ask->addr_count, a)) {
        if (port && !e->server->spec.is_unix)
            addr_set_port(a, (uint16_t)port);
        ask->addr_count++;
        a++;
    }
}

static void entry_turn(struct timer *t)
{
    struct check_entry *e = CONTAINER_OF(t, struct check_entry, turn);
    struct upstream_checker *k = e->checker;
    struct probe_ask ask = {.up = e->up, .server = e->server, .done = on_done, .ctx = e};
    e->began_ms = k->loop->now_ms;
    addrs_take(e, &ask);
    if (ask.addr_count == 0) { /* nothing is known of it, and picks leave it out anyway */
        timer_set(&k->loop->timers, &e->turn, k->loop->now_ms + e->up->check->fast_ms);
        return;
    }
    e->asked_by = conf_take(k->conf);
    e->probe = k->prober->start(k->prober, &ask);
}

/* ---- entries ---- */

static void entry_add(struct upstream_checker *k, const struct upstream *up,
                      const struct server *srv)
{
    struct check_entry *e = MEM_NEW(struct check_entry);
    e->checker = k;
    e->shared = server_shared_ref(srv->shared);
    e->up = up;
    e->server = srv;
    e->wanted = true;
    timer_init(&e->turn, entry_turn);
    server_table_set(&k->table, e->shared, e);
    list_push(&k->entries, &e->link);
    state_store(e, SERVER_CHECK_UNKNOWN);
    timer_set(&k->loop->timers, &e->turn,
              k->loop->now_ms + check_first_wait_ms(up->check, srv->index, up->server_count));
}

static void entry_free(struct check_entry *e)
{
    struct upstream_checker *k = e->checker;
    if (e->probe) {
        k->prober->cancel(e->probe);
        probe_over(e);
    }
    timer_stop(&k->loop->timers, &e->turn);
    list_remove(&e->link);
    server_table_set(&k->table, e->shared, NULL);
    state_store(e, SERVER_UNCHECKED);
    server_shared_drop(e->shared);
    free(e);
}

/* A shorter interval holds from now on, and not only after the end of a long one. */
static void turn_no_later(struct check_entry *e)
{
    struct loop *l = e->checker->loop;
    int64_t at_ms = l->now_ms + check_wait_ms(&e->state, e->up->check, &l->rand);
    if (!e->probe && e->turn.at_ms > at_ms)
        timer_set(&l->timers, &e->turn, at_ms);
}

/* Upstreams without names that have equal servers share their state: the first one's check counts
 * for all. */
static void want(struct upstream_checker *k, const struct upstream *up, const struct server *srv)
{
    struct check_entry *e = server_table_get(&k->table, srv->shared);
    if (srv->disabled)
        return;
    if (!e) {
        entry_add(k, up, srv);
    } else if (!e->wanted) {
        e->wanted = true;
        e->up = up;
        e->server = srv;
        turn_no_later(e);
    }
}

void upstream_checker_sync(struct upstream_checker *k, struct conf *c)
{
    struct conf *old = k->conf;
    const struct upstreams_conf *u = c->upstreams;
    k->conf = conf_take(c);
    LIST_EACH (it, &k->entries)
        LIST_ENTRY(it, struct check_entry, link)->wanted = false;
    for (uint32_t i = 0; i < u->count; i++)
        for (uint32_t n = 0; u->list[i]->check && n < u->list[i]->server_count; n++)
            want(k, u->list[i], &u->list[i]->servers[n]);
    LIST_EACH_SAFE (it, &k->entries)
        if (!LIST_ENTRY(it, struct check_entry, link)->wanted)
            entry_free(LIST_ENTRY(it, struct check_entry, link));
    if (old)
        conf_drop(old);
}

struct upstream_checker *upstream_checker_new(struct loop *l, struct prober *p)
{
    struct upstream_checker *k = MEM_NEW(struct upstream_checker);
    k->loop = l;
    k->prober = p;
    list_init(&k->entries);
    return k;
}

void upstream_checker_free(struct upstream_checker *k)
{
    LIST_EACH_SAFE (it, &k->entries)
        entry_free(LIST_ENTRY(it, struct check_entry, link));
    if (k->conf)
        conf_drop(k->conf);
    server_table_release(&k->table);
    free(k);
}
