/* two_choices.c - the better of two servers drawn at random: the default.
 *
 * "The power of two choices" (Mitzenmacher 2001): nearly as even as looking at every server, at a
 * constant price, and workers with slightly old numbers do not all rush to the same server. The
 * draw is by weight. Better means: fewer requests in flight for its weight, times the estimate of
 * its time to the first byte (latency.h); so a slow server gets less. Between equals the first draw
 * counts, which keeps the weights exact when there is little traffic. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/draw.h"
#include "upstream/latency.h"

/* Within half of each other, or not known yet: the difference is noise. */
static bool latencies_alike(int64_t a, int64_t b)
{
    int64_t low = a < b ? a : b, high = a < b ? b : a;
    return low == 0 || high - low <= low / 2;
}

static bool is_better(const struct draw_tier *t, const struct pick *p, int a, int b)
{
    const struct server *sa = &p->up->servers[a], *sb = &p->up->servers[b];
    double cost_a = 1 + draw_load(t, p, (uint32_t)a), cost_b = 1 + draw_load(t, p, (uint32_t)b);
    int64_t us_a = latency_now(sa->shared, p->now_ms), us_b = latency_now(sb->shared, p->now_ms);
    if (latencies_alike(us_a, us_b))
        return cost_a < cost_b;
    return cost_a * (double)us_a < cost_b * (double)us_b;
}

static void tc_build(void *conf, const struct upstream *up, struct arena *a)
{
    draw_build(conf, up, a);
}

static int tc_pick(void *state, const struct pick *p)
{
    (void)state;
    const struct draw_tiers *c = p->up->balancer_conf;
    const struct draw_tier *t = &c->of[p->tier];
    int first = draw_any(t, p);
    int second = first >= 0 ? draw_second(t, p, first) : -1;
    return second >= 0 && is_better(t, p, second, first) ? second : first;
}

const struct balancer_type balancer_two_choices = {
    .name = "two_choices",
    .text =
        "Draws two servers at random by weight and takes the one with fewer requests in "
        "flight and the shorter time to the first byte. The default: even under load, quick with "
        "any number of servers, and it spares slow servers.",
    .conf_bytes = sizeof(struct draw_tiers),
    .build = tc_build,
    .pick = tc_pick,
};
