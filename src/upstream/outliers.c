/* outliers.c - see outliers.h. A timer takes the totals of every server and judges the upstreams.
 *
 * An entry per server, found again by the id of its shared state. How long a server is left out
 * doubles with each time in a row; what lies back for longer than the last time lasted is
 * forgotten. When it comes back it is judged by what it does from then on. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/outliers.h"
#include "base/mem.h"
#include "conf/snapshot.h"
#include "upstream/balancer.h"
#include "upstream/health_priv.h"
#include "upstream/outlier.h"
#include "upstream/server_table_priv.h"
#include "upstream/shared_priv.h"
#include <stdlib.h>

enum { WHOLE = 10000 };

struct outlier_entry {
    struct list link;
    struct server_shared *shared; /* counted */
    struct outlier_series series;
    bool wanted, out;           /* out: by comparison */
    int64_t count;              /* ejections in a row */
    int64_t until_ms, lasts_ms; /* of the last one */
};

struct upstream_outliers {
    struct loop *loop;
    struct conf *conf; /* counted */
    struct timer timer;
    struct list entries;
    struct server_table table; /* of struct outlier_entry */
    int64_t *means;            /* room for those of the largest upstream */
    uint32_t mean_cap;
};

/* What the servers of an upstream did in all. */
struct pool {
    struct upstream_outliers *all;
    const struct upstream *up;
    struct outlier_totals recent, last; /* sums */
    int64_t median_us;
    uint32_t count, out; /* servers, and how many of them get nothing now */
};

static bool takes_part(const struct server *s)
{
    return !s->disabled && !s->draining && !s->backup;
}

static bool is_watched(const struct upstream *up)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < up->server_count; i++)
        count += takes_part(&up->servers[i]);
    return up->fail_count > 0 && count > 1;
}

static struct outlier_entry *entry_of(const struct upstream_outliers *o, const struct server *s)
{
    return server_table_get(&o->table, s->shared);
}

/* ---- the pool ---- */

static void sum(struct outlier_totals *to, const struct outlier_totals *t, int sign)
{
    to->requests += sign * t->requests;
    to->failures += sign * t->failures;
    to->answers += sign * t->answers;
    to->errors += sign * t->errors;
    to->log_sum += sign * t->log_sum;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The lower one of two in the middle: of two servers the quicker one. */
static int64_t median(int64_t *values, uint32_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, by_value);
    return values[(count - 1) / 2];
}

static struct outlier_totals recent_of(const struct pool *p, const struct outlier_entry *e)
{
    return outlier_recent(&e->series, p->up->eject.requests);
}

static void pool_look(struct pool *p)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->up->server_count; i++) {
        const struct server *s = &p->up->servers[i];
        if (!takes_part(s))
            continue;
        p->count++;
        p->out += health_out(s->shared, p->all->loop->now_ms);
        const struct outlier_entry *e = entry_of(p->all, s);
        struct outlier_totals recent = recent_of(p, e);
        struct outlier_totals last = outlier_last(&e->series, OUTLIER_STALL_STEPS);
        sum(&p->recent, &recent, 1);
        sum(&p->last, &last, 1);
        if (outlier_good(&recent) >= p->up->eject.requests)
            p->all->means[n++] = outlier_mean_us(&recent);
    }
    p->median_us = median(p->all->means, n);
}

/* One may always go. */
static bool may_eject(const struct pool *p)
{
    int64_t most = (int64_t)p->count * p->up->eject.max_share / WHOLE;
    return p->up->eject.max_share > 0 && p->out + 1 <= (most > 1 ? most : 1);
}

static void panic_set(const struct pool *p)
{
    int64_t left = (int64_t)(p->count - p->out) * WHOLE;
    bool panic = p->up->eject.panic > 0 && left < p->up->eject.panic * (int64_t)p->count;
    if (shared_get(&p->up->shared->panic) != panic)
        shared_set(&p->up->shared->panic, panic);
}

/* ---- one server ---- */

static void eject(struct pool *p, struct outlier_entry *e, enum outlier_kind k,
                  const struct outlier_case *c)
{
    struct server_shared *s = e->shared;
    char why[SERVER_OUTLIER_BYTES];
    int64_t now_ms = p->all->loop->now_ms;
    if (e->count > 0 && now_ms - e->until_ms > e->lasts_ms)
        e->count = 0;
    e->lasts_ms = health_ejection_ms(p->up, e->count++);
    e->until_ms = now_ms + e->lasts_ms;
    e->out = true;
    outlier_write(why, k, c);
    server_outlier_set(s, why);
    shared_set(&s->eject_why, SERVER_EJECT_OUTLIER);
    shared_set(&s->ejected_until_ms, e->until_ms);
    shared_add(&s->ejections_total, 1);
    server_came_back(s, e->until_ms);
    p->out++;
    health_tell(s, SERVER_OUTLIER, e->lasts_ms);
}

static void judge(struct pool *p, const struct server *srv)
{
    struct outlier_entry *e = entry_of(p->all, srv);
    bool free_keys = !p->up->balancer->needs_key && !p->up->sticky;
    struct outlier_case c = {.own = recent_of(p, e),
                             .own_last = outlier_last(&e->series, OUTLIER_STALL_STEPS),
                             .others = p->recent,
                             .others_last = p->last,
                             .median_us = p->median_us,
                             .in_flight = shared_get(&srv->shared->in_flight) > 0};
    sum(&c.others, &c.own, -1);
    sum(&c.others_last, &c.own_last, -1);
    enum outlier_kind k =
        outlier_judge(&p->up->eject, &c, free_keys ? OUTLIER_COMPARABLE : OUTLIER_SPECIAL);
    if (k != OUTLIER_NONE && may_eject(p))
        eject(p, e, k, &c);
}

static void upstream_judge(struct upstream_outliers *o, const struct upstream *up)
{
    struct pool p = {.all = o, .up = up};
    pool_look(&p);
    for (uint32_t i = 0; i < up->server_count; i++)
        if (takes_part(&up->servers[i]) && !health_out(up->servers[i].shared, o->loop->now_ms))
            judge(&p, &up->servers[i]);
    panic_set(&p);
}

/* ---- time ---- */

static void sample(struct outlier_entry *e)
{
    const struct server_shared *s = e->shared;
    struct outlier_totals t = {shared_get(&s->requests_total), shared_get(&s->failures_total),
                               shared_get(&s->answers_total), shared_get(&s->errors_total),
                               shared_get(&s->latency_log_sum)};
    outlier_series_add(&e->series, &t);
}

static void come_back(struct outlier_entry *e)
{
    e->out = false;
    shared_set(&e->shared->eject_why, SERVER_EJECT_FAILURES);
    health_tell(e->shared, SERVER_RETURNED, 0);
}

static void entry_step(struct upstream_outliers *o, struct outlier_entry *e)
{
    if (e->out && o->loop->now_ms >= e->until_ms)
        come_back(e);
    if (health_out(e->shared, o->loop->now_ms)) /* what it did before is forgotten */
        e->series = (struct outlier_series){0};
    sample(e);
}

static void on_timer(struct timer *t)
{
    struct upstream_outliers *o = CONTAINER_OF(t, struct upstream_outliers, timer);
    const struct upstreams_conf *u = o->conf->upstreams;
    LIST_EACH (it, &o->entries)
        entry_step(o, LIST_ENTRY(it, struct outlier_entry, link));
    for (uint32_t i = 0; i < u->count; i++)
        if (is_watched(u->list[i]))
            upstream_judge(o, u->list[i]);
    timer_set(&o->loop->timers, t, o->loop->now_ms + OUTLIER_STEP_MS);
}

/* ---- entries ---- */

static void entry_want(struct upstream_outliers *o, const struct server *srv)
{
    struct outlier_entry *e = entry_of(o, srv);
    if (!e) {
        e = MEM_NEW(struct outlier_entry);
        e->shared = server_shared_ref(srv->shared);
        server_table_set(&o->table, e->shared, e);
        list_push(&o->entries, &e->link);
    }
    e->wanted = true;
}

static void entry_free(struct upstream_outliers *o, struct outlier_entry *e)
{
    list_remove(&e->link);
    server_table_set(&o->table, e->shared, NULL);
    if (e->out) { /* nobody is left who would end it in time */
        shared_set(&e->shared->ejected_until_ms, 0);
        shared_set(&e->shared->eject_why, SERVER_EJECT_FAILURES);
    }
    server_shared_drop(e->shared);
    free(e);
}

static void upstream_want(struct upstream_outliers *o, const struct upstream *up)
{
    if (!is_watched(up)) {
        shared_set(&up->shared->panic, 0);
        return;
    }
    for (uint32_t i = 0; i < up->server_count; i++)
        if (takes_part(&up->servers[i]))
            entry_want(o, &up->servers[i]);
    if (up->server_count > o->mean_cap) {
        o->mean_cap = up->server_count;
        o->means = mem_grow(o->means, o->mean_cap * sizeof *o->means);
    }
}

/* Nothing to compare: nothing to wake up for. */
static void timer_sync(struct upstream_outliers *o)
{
    struct timer_wheel *w = &o->loop->timers;
    if (list_empty(&o->entries))
        timer_stop(w, &o->timer);
    else if (!timer_armed(&o->timer))
        timer_set(w, &o->timer, o->loop->now_ms + OUTLIER_STEP_MS);
}

void upstream_outliers_sync(struct upstream_outliers *o, struct conf *c)
{
    struct conf *old = o->conf;
    o->conf = conf_take(c);
    LIST_EACH (it, &o->entries)
        LIST_ENTRY(it, struct outlier_entry, link)->wanted = false;
    for (uint32_t i = 0; i < c->upstreams->count; i++)
        upstream_want(o, c->upstreams->list[i]);
    LIST_EACH_SAFE (it, &o->entries)
        if (!LIST_ENTRY(it, struct outlier_entry, link)->wanted)
            entry_free(o, LIST_ENTRY(it, struct outlier_entry, link));
    timer_sync(o);
    if (old)
        conf_drop(old);
}

struct upstream_outliers *upstream_outliers_new(struct loop *l)
{
    struct upstream_outliers *o = MEM_NEW(struct upstream_outliers);
    o->loop = l;
    timer_init(&o->timer, on_timer);
    list_init(&o->entries);
    return o;
}

void upstream_outliers_free(struct upstream_outliers *o)
{
    LIST_EACH_SAFE (it, &o->entries)
        entry_free(o, LIST_ENTRY(it, struct outlier_entry, link));
    timer_stop(&o->loop->timers, &o->timer);
    if (o->conf)
        conf_drop(o->conf);
    server_table_release(&o->table);
    free(o->means);
    free(o);
}
