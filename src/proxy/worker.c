/* worker.c - see worker.h: birth, installing a configuration, draining, death of a worker. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/worker.h"
#include "conf/directive.h"
#include "net/names.h"
#include "proxy/ask.h"
#include "proxy/exchange_priv.h"
#include "proxy/headless.h"
#include "proxy/route.h"
#include <stdlib.h>

enum { SCRATCH_BYTES = 4096 };

static const struct stream_limits *acceptor_limits(struct stream_acceptor *a, void *listener)
{
    struct worker *w = CONTAINER_OF(a, struct worker, acceptor);
    struct listen_point *p = listener;
    return p ? &p->conf->limits : &w->view->conf->proxy->limits;
}

static bool acceptor_leaving(struct stream_acceptor *a, void *listener)
{
    const struct listen_point *p = listener;
    (void)a;
    return p && p->left;
}

struct names *worker_names(struct worker *w)
{
    struct slice servers = w->view->conf->proxy->resolvers;
    const char *csv = servers.len > 0 ? servers.at : NULL;
    if (!w->names)
        w->names = names_new(&w->loop, csv);
    else
        (void)names_use(w->names, csv); /* else with those that it had */
    return w->names;
}

static void names_release(struct worker *w)
{
    if (w->names)
        names_free(w->names);
    w->names = NULL;
}

static void free_exchanges(struct loop *l)
{
    struct worker *w = CONTAINER_OF(l, struct worker, loop);
    for (struct exchange *x = w->free_exchanges, *next; x; x = next) {
        next = x->next_free;
        free(x);
    }
    w->free_exchanges = NULL;
    w->free_count = 0;
}

bool worker_init(struct worker *w, uint32_t index, const struct io_backend *backend,
                 void *backend_arg, const struct origin_engine *engine,
                 struct counters_shared *counters, size_t buffer_cap_bytes)
{
    *w = (struct worker){.index = index, .engine = engine, .counters = counters};
    if (!loop_init(&w->loop, backend, backend_arg, counters, buffer_cap_bytes))
        return false;
    text_reserve(&w->scratch, SCRATCH_BYTES); /* need not grow while it serves */
    shed_init(w);
    guests_init(w);
    w->loop.on_unused = free_exchanges;
    w->acceptor.open = exchange_open;
    w->acceptor.limits = acceptor_limits;
    w->acceptor.leaving = acceptor_leaving;
    list_init(&w->acceptor.sessions);
    list_init(&w->points);
    list_init(&w->exchanges);
    list_init(&w->asks);
    list_init(&w->documents);
    origin_pools_init(&w->pools, &w->loop);
    return true;
}

/* A listener that is still configured serves by the new view; one that was removed keeps the last
 * that had it, until its connections are done. */
static void point_rebind(struct worker *w, struct listen_point *p)
{
    const struct listen_conf *conf = listen_find(w->view->conf->proxy, p->key);
    if (!conf)
        return;
    if (p->view)
        view_drop(p->view);
    p->view = view_take(w->view);
    p->conf = conf;
}

void worker_install(struct worker *w, struct conf *c)
{
    struct conf_view *old = w->view;
    w->view = view_new(c);
    w->view->release = upstream_views_release;
    LIST_EACH (l, &w->points)
        point_rebind(w, LIST_ENTRY(l, struct listen_point, link));
    if (old)
        view_replace(old);
    if (w->names) /* whoever waits for a resolver that is named no more is asked for anew */
        (void)worker_names(w);
}

void worker_point_add(struct worker *w, struct listen_point *p, struct slice key)
{
    *p = (struct listen_point){.key = key};
    list_push(&w->points, &p->link);
    point_rebind(w, p);
    ASSERT(p->conf);
}

void worker_point_remove(struct worker *w, struct listen_point *p)
{
    (void)w;
    list_remove(&p->link);
    view_drop(p->view);
    p->view = NULL;
}

/* Of one point, or of all (NULL). */
static void sessions_leave(struct worker *w, const struct listen_point *p)
{
    LIST_EACH_SAFE (l, &w->acceptor.sessions) {
        struct session_link *s = LIST_ENTRY(l, struct session_link, link);
        if (s->ops->leave && (!p || s->listener == p))
            s->ops->leave(s);
    }
}

void worker_point_leave(struct worker *w, struct listen_point *p)
{
    p->left = true;
    sessions_leave(w, p);
}

void worker_leave(struct worker *w)
{
    w->acceptor.draining = true;
    sessions_leave(w, NULL);
}

void worker_drain(struct worker *w)
{
    w->acceptor.draining = true;
    LIST_EACH_SAFE (l, &w->acceptor.sessions) {
        struct session_link *s = LIST_ENTRY(l, struct session_link, link);
        s->ops->drain(s);
    }
    headless_end(w, HEADLESS_UNWANTED);
}

void worker_abort(struct worker *w)
{
    LIST_EACH_SAFE (l, &w->acceptor.sessions) {
        struct session_link *s = LIST_ENTRY(l, struct session_link, link);
        s->ops->abort(s);
    }
    headless_end(w, HEADLESS_ALL);
}

bool worker_idle(const struct worker *w)
{
    return list_empty(&w->acceptor.sessions) && list_empty(&w->exchanges);
}

void worker_settle(struct worker *w)
{
    asks_abort(w);
    origin_pools_close(&w->pools);
    names_release(w);
    file_cache_release(w);
}

void worker_release(struct worker *w)
{
    asks_abort(w);
    if (w->view)
        view_replace(w->view); /* before the pools, which its upstreams use */
    w->view = NULL;
    origin_pools_release(&w->pools);
    shed_release(w);
    names_release(w);
    file_cache_release(w);
    loop_release(&w->loop);
    guests_release(w);
    free_exchanges(&w->loop);
    text_release(&w->scratch);
}
