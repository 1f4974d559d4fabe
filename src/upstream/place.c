/* place.c - what a lease holds of a server from the choice to the end: a place against max_conns,
 * one against the upstream's limit until the answer begins, and, when the server was ejected, the
 * right to be the one request that tries it. Telling those who wait is the queue's part. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/health_priv.h"
#include "upstream/queue_priv.h"
#include "upstream/shared_priv.h"

bool place_take(const struct server *srv)
{
    int64_t conns = shared_add(&srv->shared->conns, 1);
    if (srv->max_conns <= 0 || conns <= srv->max_conns)
        return true;
    shared_add(&srv->shared->conns, -1);
    return false;
}

static bool limit_claim(struct lease *l)
{
    const struct upstream *up = l->view->up;
    l->limited = up->limit.kind != LIMIT_OFF;
    if (!l->limited || limit_take(&up->shared->limit, &up->limit))
        return true;
    l->limited = false;
    return false;
}

static void limit_release(struct lease *l)
{
    if (l->limited)
        limit_give(&l->view->up->shared->limit);
    l->limited = false;
}

static void trial_release(struct lease *l)
{
    if (l->trial)
        health_trial_end(l->server->shared);
    l->trial = false;
}

bool place_claim(struct lease *l, const struct server *srv, bool ejected_too)
{
    if (!limit_claim(l))
        return false;
    if (!place_take(srv)) {
        limit_release(l);
        return false;
    }
    l->server = srv;
    if (health_trial_take(srv->shared, l->pools->loop->now_ms, &l->trial) || ejected_too)
        return true;
    l->server = NULL;
    shared_add(&srv->shared->conns, -1);
    limit_release(l);
    return false;
}

void place_release(struct lease *l)
{
    shared_add(&l->server->shared->conns, -1);
    limit_release(l);
    trial_release(l);
}

bool place_answered(struct lease *l, bool well)
{
    bool limited = l->limited;
    limit_release(l);
    if (!well || !l->trial)
        return limited;
    health_ok(l->server->shared, l->pools->loop->now_ms);
    trial_release(l);
    return limited;
}
