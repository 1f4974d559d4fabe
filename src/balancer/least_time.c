/* least_time.c - the server that is likely to answer first.
 *
 * The least of: estimated time to the first byte (a peak EWMA, latency.h) times one more than its
 * requests in flight for its weight. Looks at every server in small tiers, at some draws in large
 * ones (draw.h). A server whose time is not known yet gets one request to find it out, and more
 * only once the others are worse than hopeless: else the first to be unknown would get everything
 * until its first answer. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/draw.h"
#include "upstream/latency.h"

static const double UNKNOWN_US = 60e6;

struct lt_state {
    struct draw_memory memory[TIER_COUNT];
};

static void lt_build(void *conf, const struct upstream *up, struct arena *a)
{
    draw_build(conf, up, a);
}

static size_t lt_state_bytes(const struct upstream *up)
{
    (void)up;
    return sizeof(struct lt_state);
}

static double lt_cost(const struct draw_tier *t, const struct pick *p, uint32_t i)
{
    double load = draw_load(t, p, i);
    int64_t us = latency_now(p->up->servers[i].shared, p->now_ms);
    if (us > 0)
        return (double)us * (1 + load);
    return load > 0 ? UNKNOWN_US * (1 + load) : 0;
}

static int lt_pick(void *state, const struct pick *p)
{
    struct lt_state *s = state;
    const struct draw_tiers *c = p->up->balancer_conf;
    return draw_least(&c->of[p->tier], p, lt_cost, &s->memory[p->tier]);
}

const struct balancer_type balancer_least_time = {
    .name = "least_time",
    .text = "The server with the least product of time to the first byte (a moving average that "
            "rises at once and falls slowly) and requests in flight for its weight. For servers "
            "that differ in speed, or in distance. With more than 32 servers of a tier it looks at "
            "four drawn at random and one that was nearly taken before.",
    .conf_bytes = sizeof(struct draw_tiers),
    .build = lt_build,
    .state_bytes = lt_state_bytes,
    .pick = lt_pick,
};
