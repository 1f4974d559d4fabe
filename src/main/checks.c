/* checks.c - active checks of the configuration in force, and the comparison of its servers, run on
 * the main thread's loop.
 *
 * The checker is made when the first configuration wants one; TLS, which the main thread otherwise
 * has no use for, when a check needs it. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1.h"
#include "h2/h2_origin.h"
#include "main/process_priv.h"
#include "upstream/checker.h"
#include "upstream/outliers.h"

static bool wants_checks(const struct conf *c)
{
    const struct upstreams_conf *u = c->upstreams;
    for (uint32_t i = 0; i < u->count; i++)
        if (u->list[i]->check)
            return true;
    return false;
}

static bool wants_tls(const struct conf *c)
{
    const struct upstreams_conf *u = c->upstreams;
    for (uint32_t i = 0; i < u->count; i++)
        if (u->list[i]->check && (u->list[i]->tls || u->list[i]->check->tls))
            return true;
    return false;
}

static void checker_begin(struct process *p)
{
    struct fetch_client client = {.loop = process_loop(p),
                                  .h1 = &h1_origin_engine,
                                  .h2 = &h2_origin_engine,
                                  .mux = &h2_mux_engine};
    probes_init(&p->probes, &client);
    p->checker = upstream_checker_new(process_loop(p), &p->probes.prober);
}

/* Without memory for it checks by TLS fail, and say so. It goes with the worker. */
static void tls_ensure(struct process *p)
{
    struct worker *w = &workers_main(&p->workers)->worker;
    if (!w->tls)
        w->tls = tls_worker_new(&w->loop, p->tickets);
    p->probes.client.tls = w->tls;
}

void process_checks_sync(struct process *p, struct conf *c)
{
    if (!p->checker && wants_checks(c))
        checker_begin(p);
    if (wants_tls(c))
        tls_ensure(p);
    if (p->checker)
        upstream_checker_sync(p->checker, c);
    if (!p->outliers)
        p->outliers = upstream_outliers_new(process_loop(p));
    upstream_outliers_sync(p->outliers, c);
}

void process_checks_free(struct process *p)
{
    if (p->checker)
        upstream_checker_free(p->checker);
    p->checker = NULL;
    if (p->outliers)
        upstream_outliers_free(p->outliers);
    p->outliers = NULL;
}
