/* ring.c - the same key to the same server: a consistent hash ring with bounded loads.
 *
 * Each server has points on a circle of 2^32 (Karger et al., 1997), `replicas` for each unit of
 * weight; a key belongs to the first point after it. When a server comes or goes exactly its keys
 * move and no other, which a Maglev table only nearly achieves; in return shares are less even and
 * the table is larger. The points depend on nothing but the server's name, so another proxy with
 * the same servers agrees. Beyond POINTS_MAX the number of points is halved until they fit.
 *
 * To find the point the circle is cut into about half as many arcs as there are points, so that the
 * search begins beside it; a point takes four bytes, since most of the price is the memory. A
 * server that may not be picked, or is at its bound (bound.h), leaves its keys to the points that
 * follow. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "upstream/bound.h"
#include <stdlib.h>

enum { POINTS_MAX = 1 << 17, STEPS = 64, INDEX_BITS = 12, ARC_BITS_LEAST = 4 };
#define INDEX_MASK ((1u << INDEX_BITS) - 1)

_Static_assert(SERVERS_MAX <= 1 << INDEX_BITS, "a point holds an index and 20 bits of its place");

struct ring_tier {
    uint32_t *points; /* in order: place within the arc, left-aligned, with the index below it */
    uint32_t *arcs;   /* the first point in or after each arc; one more at the end */
    uint32_t count, arc_bits;
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
    uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;
    return (p > q) - (p < q);
}

/* The points of a tier as place and index, unordered; their number. */
static uint32_t points_collect(uint64_t *to, uint8_t tier, const struct ring_conf *c,
                               const struct upstream *up, uint32_t by)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < up->server_count; i++) {
        const struct server *srv = &up->servers[i];
        uint32_t n = srv->tier == tier ? points_of(srv, c, by) : 0;
        uint64_t name = hash_fast(srv->name, 3);
        for (uint32_t k = 0; k < n; k++, count++)
            if (to)
                to[count] = (uint64_t)mix(name + k * 0x9e3779b97f4a7c15ull) << INDEX_BITS | i;
    }
    return count;
}

static uint32_t within_arc(const struct ring_tier *t, uint32_t place)
{
    return place << t->arc_bits & ~INDEX_MASK;
}

static void tier_fill(struct ring_tier *t, const uint64_t *sorted)
{
    uint32_t arc = 0;
    for (uint32_t k = 0; k < t->count; k++) {
        uint32_t place = (uint32_t)(sorted[k] >> INDEX_BITS);
        t->points[k] = within_arc(t, place) | ((uint32_t)sorted[k] & INDEX_MASK);
        while (arc <= place >> (32 - t->arc_bits))
            t->arcs[arc++] = k;
    }
    while (arc <= 1u << t->arc_bits)
        t->arcs[arc++] = t->count;
}

static void tier_build(struct ring_tier *t, uint8_t tier, const struct ring_conf *c,
                       const struct upstream *up, struct arena *a)
{
    uint32_t by = halvings(up, c), count = points_collect(NULL, tier, c, up, by);
    if (count == 0)
        return;
    t->arc_bits = ARC_BITS_LEAST;
    while (2u << t->arc_bits < count)
        t->arc_bits++;
    uint64_t *sorted = mem_new(count * sizeof *sorted);
    t->points = ARENA_ARRAY(a, uint32_t, count);
    t->arcs = ARENA_ARRAY(a, uint32_t, (1u << t->arc_bits) + 1);
    if (t->points && t->arcs) {
        t->count = points_collect(sorted, tier, c, up, by);
        qsort(sorted, count, sizeof *sorted, point_compare);
        tier_fill(t, sorted);
    }
    free(sorted);
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
static uint32_t point_find(const struct ring_tier *t, uint32_t place)
{
    const uint32_t *arc = &t->arcs[place >> (32 - t->arc_bits)];
    uint32_t k = arc[0], within = within_arc(t, place);
    while (k < arc[1] && (t->points[k] & ~INDEX_MASK) < within)
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
        uint32_t i = t->points[k] & INDEX_MASK;
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
