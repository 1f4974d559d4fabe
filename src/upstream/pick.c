/* pick.c - what stands above the balancers: which servers may be picked, and in which tiers.
 *
 * A pinned server (a sticky session) comes first; while it is only full it is waited for. Else the
 * balancer is asked tier by tier: servers in weir's zone, those in others, backup servers. Then, so
 * that a mass failure does not turn into refusing everything, ejected ones. Servers at their
 * connection limit are waited for instead of asking ejected ones. Within a tier servers in their
 * ramp (ramp.c) are taken for granted only when there are no others.
 *
 * When too few of the near servers are left for what all of them did, a part of the requests goes
 * to the far ones first, drawn by chance (the idea of Envoy's overprovisioning factor): the few
 * would be overloaded otherwise. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "upstream/balancer.h"
#include "upstream/health_priv.h"
#include "upstream/shared_priv.h"

/* With this share of the near servers or more none of their requests goes elsewhere. */
static const double ENOUGH_NEAR = 0.7;
enum { SPILL_MS = 20 /* how old the shares may be: computing them looks at every server */ };

const struct balancer_type *balancer_find(struct slice name)
{
    for (const struct balancer_type *const *t = balancers_all; *t; t++)
        if (slice_eq(slice_of((*t)->name), name) ||
            ((*t)->alias && slice_eq(slice_of((*t)->alias), name)))
            return *t;
    return NULL;
}

uint64_t balancer_key(const struct upstream *up, struct slice text)
{
    if (text.len == 0)
        return 0;
    uint64_t key =
        up->balancer->key ? up->balancer->key(up->balancer_conf, text) : hash_fast(text, 0);
    return key ? key : 1;
}

bool server_serves(const struct server *srv, int64_t now_ms)
{
    return !srv->disabled && !srv->draining && server_addr_count(srv->shared) > 0 &&
           !health_out(srv->shared, now_ms);
}

void upstream_tiers_set(struct upstream *up)
{
    for (uint32_t i = 0; i < up->server_count; i++) {
        struct server *srv = &up->servers[i];
        bool near = up->zone.len == 0 || slice_eq(srv->zone, up->zone);
        srv->tier = srv->backup ? TIER_BACKUP : near ? TIER_NEAR : TIER_FAR;
    }
}

static bool was_tried(const struct pick *p, uint32_t i)
{
    return p->tried && (p->tried[i / 64 % 4] >> (i % 64) & 1);
}

static bool is_full(const struct server *srv)
{
    return srv->max_conns > 0 && shared_get(&srv->shared->conns) >= srv->max_conns;
}

/* Could it serve, if it were of the right tier and had room. */
static bool is_usable(const struct pick *p, uint32_t i)
{
    const struct server *srv = &p->up->servers[i];
    if (srv->disabled || was_tried(p, i) || server_addr_count(srv->shared) == 0)
        return false;
    return p->ignore_ejected || !health_out(srv->shared, p->now_ms);
}

static bool ramp_allows(const struct pick *p, uint32_t i)
{
    if (p->ignore_ramp || p->up->slow_start_ms <= 0)
        return true;
    double ramp = pick_ramp(p, i);
    return ramp >= 1 || rand_below(p->rand, 1000) < ramp * 1000;
}

bool pick_allows(const struct pick *p, uint32_t i)
{
    const struct server *srv = &p->up->servers[i];
    if (srv->tier != p->tier || srv->draining || !is_usable(p, i))
        return false;
    return !is_full(srv) && ramp_allows(p, i);
}

static bool pin_usable(const struct pick *p)
{
    return p->pin >= 0 && (uint32_t)p->pin < p->up->server_count && is_usable(p, (uint32_t)p->pin);
}

bool pick_may_wait_for(const struct pick *p, uint32_t i)
{
    if (pin_usable(p))
        return (uint32_t)p->pin == i && !is_full(&p->up->servers[i]);
    struct pick any = *p;
    any.tier = p->up->servers[i].tier;
    return pick_allows(&any, i);
}

/* Why no server may be picked, by the server that is nearest to being allowed. */
static enum err why_none(const struct pick *p)
{
    enum err why = ERR_NO_SERVERS;
    for (uint32_t i = 0; i < p->up->server_count; i++) {
        const struct server *srv = &p->up->servers[i];
        if (srv->disabled || srv->draining || was_tried(p, i))
            continue;
        if (server_addr_count(srv->shared) == 0)
            why = ERR_UNRESOLVED;
        else if (is_full(srv) && is_usable(p, i))
            return ERR_OVER_LIMIT;
    }
    return why;
}

/* How much of a tier's weight can serve, 0..1. */
static double tier_left(const struct pick *p, uint8_t tier)
{
    double all = 0, left = 0;
    for (uint32_t i = 0; i < p->up->server_count; i++) {
        const struct server *srv = &p->up->servers[i];
        if (srv->tier != tier || srv->disabled)
            continue;
        all += (double)srv->weight;
        if (server_serves(srv, p->now_ms))
            left += (double)srv->weight * pick_ramp(p, i);
    }
    return all > 0 ? left / all : 0;
}

/* The chance that a request goes to the far tier first. */
static double spill_chance(const struct pick *p)
{
    double near = tier_left(p, TIER_NEAR) / ENOUGH_NEAR, far = tier_left(p, TIER_FAR) / ENOUGH_NEAR;
    if (near >= 1 || far == 0)
        return 0;
    if (far > 1 - near)
        far = 1 - near;
    return far / (near + far);
}

static bool spills(const struct pick *p)
{
    struct pick_spill *s = p->spill;
    if (!s || p->up->zone.len == 0)
        return false;
    if (s->at_ms == 0 || p->now_ms - s->at_ms >= SPILL_MS)
        *s = (struct pick_spill){p->now_ms, spill_chance(p)};
    return s->chance > 0 && rand_below(p->rand, 10000) < s->chance * 10000;
}

/* Without a ramp the second round would only find the same again. */
static bool pick_tier(void *state, struct pick *p, uint8_t tier, uint32_t *index)
{
    p->tier = tier;
    p->ignore_ramp = false;
    int i = p->up->balancer->pick(state, p);
    if (i < 0 && p->up->slow_start_ms > 0) {
        p->ignore_ramp = true;
        i = p->up->balancer->pick(state, p);
    }
    if (i < 0)
        return false;
    *index = (uint32_t)i;
    return true;
}

static bool pick_tiers(void *state, struct pick *p, uint32_t *index)
{
    static const uint8_t usual[TIER_COUNT] = {TIER_NEAR, TIER_FAR, TIER_BACKUP};
    static const uint8_t spilled[TIER_COUNT] = {TIER_FAR, TIER_NEAR, TIER_BACKUP};
    const uint8_t *order = spills(p) ? spilled : usual;
    for (int k = 0; k < TIER_COUNT; k++)
        if (pick_tier(state, p, order[k], index))
            return true;
    return false;
}

static bool in_panic(const struct upstream *up)
{
    return up->eject.panic > 0 && up->shared && shared_get(&up->shared->panic);
}

enum err pick_server(void *state, struct pick *p, uint32_t *index)
{
    p->ignore_ejected = in_panic(p->up);
    if (pin_usable(p)) {
        *index = (uint32_t)p->pin;
        return is_full(&p->up->servers[p->pin]) ? ERR_OVER_LIMIT : ERR_OK;
    }
    if (pick_tiers(state, p, index))
        return ERR_OK;
    if (why_none(p) == ERR_OVER_LIMIT)
        return ERR_OVER_LIMIT;
    p->ignore_ejected = true;
    if (pick_tiers(state, p, index))
        return ERR_OK;
    return why_none(p);
}
