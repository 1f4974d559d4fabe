/* ring.c - the same key to the same server: a consistent hash ring with bounded loads.
 *
 * Each server has points on a circle of 2^32 (Karger et al., 1997), `replicas` for each unit of
 * weight; a key belongs to the first point after it. When a server comes or goes exactly its keys
 * move and no other, which a Maglev table only nearly achieves; in return shares are less even and
 * the table is larger. The points depend on nothing but the server's name, so another proxy with
 * the same servers agrees. Beyond POINTS_MAX the number of points is halved until they fit.
 *
 * To find the point the circle is cut into as many arcs as there are points, so that the search
 * begins beside it. A server that may not be picked, or is at its bound (bound.h), leaves its keys
 * to the points that follow. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "upstream/bound.h"
#include <stdlib.h>

enum { POINTS_MAX = 1 << 19, STEPS = 64 };

struct ring_point {
    uint32_t at;
    uint16_t index;
};

struct ring_tier {
    struct ring_point *points; /* in order */
    uint32_t *arcs;            /* the first point in or after each arc */
    uint32_t count, shift;     /* at >> shift: the arc */
};

struct ring_conf {
    int64_t bound, replicas;
    struct ring_tier tiers[TIER_COUNT];
};

static const struct directive ring_options[] = {
    BOUND_OPTION(struct ring_conf, bound),
    {.name = "replicas",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct ring_conf, replicas),
     .min = 1,
     .max = 10000,
     .def = "160",
     .usage = "N",
     .text = "Points of a server on the ring for each unit of its weight. More make the shares "
             "more even: with 160 they differ by about 8 %, with 1,000 by 3 %."},
    {0}};

/* Finalizer of MurmurHash3. */
static uint32_t mix(uint64_t h)
{
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
    return (uint32_t)((h ^ h >> 33) >> 32);
}

/* How often the points must be halved to fit. */
static uint32_t halvings(const struct upstream *up, const struct ring_conf *c)
{
    uint32_t by = 0;
    int64_t points = 0;
    for (uint32_t i = 0; i < up->server_count; i++)
        points += up->servers[i].weight * c->replicas;
    while (points >> by > POINTS_MAX)
        by++;
    return by;
}

static uint32_t points_of(const struct server *srv, const struct ring_conf *c, uint32_t by)
{
    int64_t n = srv->weight * c->replicas >> by;
    return n > 0 ? (uint32_t)n : 1;
}

/* Of points at the same place the server that stands first in the file counts. */
static int point_compare(const void *a, const void *b)
{
    const struct ring_point *p = a, *q = b;
    if (p->at != q->at)
        return p->at < q->at ? -1 : 1;
    return (p->index > q->index) - (p->index < q->index);
}

static void arcs_fill(struct ring_tier *t, uint32_t arc_count)
{
    uint32_t arc = 0;
    for (uint32_t k = 0; k < t->count; k++)
        while (arc <= t->points[k].at >> t->shift)
            t->arcs[arc++] = k;
    while (arc < arc_count)
        t->arcs[arc++] = t->count;
}

static void tier_points(struct ring_tier *t, const struct server *srv, uint32_t n)
{
    uint64_t name = hash_fast(srv->name, 3);
    for (uint32_t k = 0; k < n; k++)
        t->points[t->count++] =
            (struct ring_point){mix(name + k * 0x9e3779b97f4a7c15ull), (uint16_t)srv->index};
}

static void tier_build(struct ring_tier *t, uint8_t tier, const struct ring_conf *c,
                       const struct upstream *up, struct arena *a)
{
    uint32_t total = 0, bits = 4, by = halvings(up, c);
    for (uint32_t i = 0; i < up->server_count; i++)
        if (up->servers[i].tier == tier)
            total += points_of(&up->servers[i], c, by);
    if (total == 0)
        return;
    while (1u << bits < total)
        bits++;
    t->points = ARENA_ARRAY(a, struct ring_point, total);
    t->arcs = ARENA_ARRAY(a, uint32_t, 1u << bits);
    if (!t->points || !t->arcs)
        return;
    t->shift = 32 - bits;
    for (uint32_t i = 0; i < up->server_count; i++)
        if (up->servers[i].tier == tier)
            tier_points(t, &up->servers[i], points_of(&up->servers[i], c, by));
    qsort(t->points, t->count, sizeof *t->points, point_compare);
    arcs_fill(t, 1u << bits);
}

static void ring_build(void *conf, const struct upstream *up, struct arena *a)
{
    struct ring_conf *c = conf;
    for (int tier = 0; tier < TIER_COUNT; tier++)
        tier_build(&c->tiers[tier], (uint8_t)tier, c, up, a);
}

static void ring_init(void *state, const struct upstream *up)
{
    bound_init(state, up);
}

/* The first point at or after the place. */
static uint32_t point_find(const struct ring_tier *t, uint32_t at)
{
    uint32_t k = t->arcs[at >> t->shift];
    while (k < t->count && t->points[k].at < at)
        k++;
    return k < t->count ? k : 0;
}

static int ring_pick(void *state, const struct pick *p)
{
    const struct ring_conf *c = p->up->balancer_conf;
    const struct ring_tier *t = &c->tiers[p->tier];
    struct bound *b = state;
    if (t->count == 0)
        return -1;
    if (c->bound >= 0)
        bound_renew(b, p);
    uint32_t k = point_find(t, mix(p->key ? p->key : rand_next(p->rand)));
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t i = t->points[k].index;
        k = k + 1 < t->count ? k + 1 : 0;
        if (!pick_allows(p, i) || !bound_allows(b, p, i, c->bound))
            continue;
        bound_taken(b, p, i);
        return (int)i;
    }
    return bound_least_loaded(p);
}

const struct balancer_type balancer_ring = {
    .name = "ring",
    .text = "Requests with the same key go to the same server, by a consistent hash ring: when a "
            "server comes or goes exactly its keys move. Shares are less even than with `hash`, "
            "the more so the fewer `replicas` there are. An overloaded server hands some of its "
            "keys on (`bound=125%`). Requests without the key go anywhere.",
    .options = ring_options,
    .conf_bytes = sizeof(struct ring_conf),
    .needs_key = true,
    .build = ring_build,
    .state_bytes = bound_bytes,
    .init = ring_init,
    .pick = ring_pick,
};
