/* pick.c - what stands above the balancers: which servers may be picked, and in which tiers.
 *
 * Order: servers, then backup servers, then (so that a mass failure does not turn into refusing
 * everything) ejected ones. Servers at their connection limit are waited for instead of asking
 * ejected ones. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"
#include "upstream/health_priv.h"
#include "upstream/shared_priv.h"

const struct balancer_type *balancer_find(struct slice name)
{
    for (const struct balancer_type *const *t = balancers_all; *t; t++)
        if (slice_eq(slice_of((*t)->name), name))
            return *t;
    return NULL;
}

static bool was_tried(const struct pick *p, uint32_t i)
{
    return p->tried && (p->tried[i / 64 % 4] >> (i % 64) & 1);
}

static bool is_full(const struct server *srv)
{
    return srv->max_conns > 0 && shared_get(&srv->shared->conns) >= srv->max_conns;
}

bool pick_allows(const struct pick *p, uint32_t i)
{
    const struct server *srv = &p->up->servers[i];
    if (srv->disabled || srv->backup != p->backup || was_tried(p, i))
        return false;
    if (server_addr_count(srv->shared) == 0)
        return false;
    if (!p->ignore_ejected && health_ejected(srv->shared, p->now_ms))
        return false;
    return !is_full(srv);
}

/* Why no server may be picked, by the server that is nearest to being allowed. */
static enum err why_none(const struct pick *p)
{
    enum err why = ERR_NO_SERVERS;
    for (uint32_t i = 0; i < p->up->server_count; i++) {
        const struct server *srv = &p->up->servers[i];
        if (srv->disabled || was_tried(p, i))
            continue;
        if (server_addr_count(srv->shared) == 0)
            why = ERR_UNRESOLVED;
        else if (is_full(srv) && (p->ignore_ejected || !health_ejected(srv->shared, p->now_ms)))
            return ERR_OVER_LIMIT;
    }
    return why;
}

static bool pick_tiers(void *state, struct pick *p, uint32_t *index)
{
    for (int tier = 0; tier < 2; tier++) {
        p->backup = tier == 1;
        int i = p->up->balancer->pick(state, p);
        if (i >= 0) {
            *index = (uint32_t)i;
            return true;
        }
    }
    return false;
}

enum err pick_server(void *state, struct pick *p, uint32_t *index)
{
    p->ignore_ejected = false;
    if (pick_tiers(state, p, index))
        return ERR_OK;
    if (why_none(p) == ERR_OVER_LIMIT)
        return ERR_OVER_LIMIT;
    p->ignore_ejected = true;
    if (pick_tiers(state, p, index))
        return ERR_OK;
    return why_none(p);
}
