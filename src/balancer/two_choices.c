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

enum { IDLE_NOISE_US = 5000 };

struct chance {
    double load;
    int64_t us;
};

static struct chance chance_of(const struct draw_tier *t, const struct pick *p, int i)
{
    const struct server *srv = &p->up->servers[i];
    return (struct chance){draw_load(t, p, (uint32_t)i), latency_now(srv->shared, p->now_ms)};
}

/* Within half of each other, or not known yet: the difference is noise. Among idle servers so is
 * what nobody feels: with little traffic one answer that was late by chance would keep a server
 * out until it is forgotten. */
static bool latencies_alike(const struct chance *a, const struct chance *b)
{
    int64_t low = a->us < b->us ? a->us : b->us, apart = a->us + b->us - 2 * low;
    bool idle = a->load == 0 && b->load == 0;
    return low == 0 || apart <= low / 2 || (idle && apart <= IDLE_NOISE_US);
}

static bool is_better(const struct draw_tier *t, const struct pick *p, int a, int b)
{
    struct chance x = chance_of(t, p, a), y = chance_of(t, p, b);
    if (latencies_alike(&x, &y))
        return x.load < y.load;
    return (1 + x.load) * (double)x.us < (1 + y.load) * (double)y.us;
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
