/* two_choices.c - the better of two servers drawn at random: the default.
 *
 * "The power of two choices" (Mitzenmacher 2001): nearly as even as looking at every server, at a
 * constant price, and workers with slightly old numbers do not all rush to the same server. The
 * draw is by weight (alias method, Walker 1977; tables are built once per snapshot). Better means:
 * fewer requests in flight for its weight, times the average time to the first byte; so a slow
 * server gets less. Between equals the first draw counts, which keeps the weights exact when there
 * is little traffic. A latency that was not renewed fades, or a server that was slow once would
 * never get another chance. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"

enum { DRAWS = 4, FADE_MS = 5000 };

/* Draws `index` with the chance threshold / 2^32, else `alias`. */
struct tc_slot {
    uint32_t threshold;
    uint16_t index, alias;
};

struct tc_tier {
    struct tc_slot *slots;
    uint32_t count;
    double mean_weight;
};

struct tc_conf {
    struct tc_tier tiers[TIER_COUNT];
};

_Static_assert(SERVERS_MAX <= UINT16_MAX, "a slot's index has 16 bits");

static int64_t tier_collect(const struct upstream *up, uint8_t tier, struct tc_tier *t)
{
    int64_t weights = 0;
    for (uint32_t i = 0; i < up->server_count; i++) {
        if (up->servers[i].tier != tier || up->servers[i].disabled)
            continue;
        t->slots[t->count++] = (struct tc_slot){UINT32_MAX, (uint16_t)i, (uint16_t)i};
        weights += up->servers[i].weight;
    }
    return weights;
}

/* Vose's construction: slots that have less than their share are filled up by one that has more. */
static void tier_alias(const struct upstream *up, struct tc_tier *t, double *share, uint16_t *small,
                       uint16_t *large)
{
    uint32_t small_count = 0, large_count = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        share[i] = (double)up->servers[t->slots[i].index].weight / t->mean_weight;
        if (share[i] < 1.0)
            small[small_count++] = (uint16_t)i;
        else
            large[large_count++] = (uint16_t)i;
    }
    while (small_count > 0 && large_count > 0) {
        uint16_t less = small[--small_count], more = large[large_count - 1];
        t->slots[less].threshold = (uint32_t)(share[less] * (double)UINT32_MAX);
        t->slots[less].alias = t->slots[more].index;
        share[more] -= 1.0 - share[less];
        if (share[more] < 1.0) {
            large_count--;
            small[small_count++] = more;
        }
    }
}

static void tc_build(void *conf, const struct upstream *up, struct arena *a)
{
    struct tc_conf *c = conf;
    uint32_t n = up->server_count;
    double *share = ARENA_ARRAY(a, double, n + 1);
    uint16_t *work = ARENA_ARRAY(a, uint16_t, 2 * n + 1);
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        struct tc_tier *t = &c->tiers[tier];
        t->slots = ARENA_ARRAY(a, struct tc_slot, n + 1);
        t->count = 0;
        if (!share || !work || !t->slots)
            return; /* an empty tier picks nothing */
        int64_t weights = tier_collect(up, (uint8_t)tier, t);
        if (t->count == 0)
            continue;
        t->mean_weight = (double)weights / t->count;
        tier_alias(up, t, share, work, work + n);
    }
}

static uint32_t draw(const struct tc_tier *t, struct rand *r)
{
    uint64_t x = rand_next(r);
    const struct tc_slot *s = &t->slots[(x >> 32) * t->count >> 32];
    return (uint32_t)x <= s->threshold ? s->index : s->alias;
}

/* A server that may be picked and is not `other`, or -1 when the draws found none. */
static int draw_allowed(const struct tc_tier *t, const struct pick *p, int other)
{
    for (int k = 0; k < DRAWS; k++) {
        uint32_t i = draw(t, p->rand);
        if ((int)i != other && pick_allows(p, i))
            return (int)i;
    }
    return -1;
}

/* Most servers are out: any that is allowed, from a random start. */
static int first_allowed(const struct tc_tier *t, const struct pick *p)
{
    uint32_t from = rand_below(p->rand, t->count);
    for (uint32_t k = 0; k < t->count; k++) {
        uint32_t i = t->slots[(from + k) % t->count].index;
        if (pick_allows(p, i))
            return (int)i;
    }
    return -1;
}

static int64_t faded_latency(const struct server_shared *s, int64_t now_ms)
{
    int64_t us = __atomic_load_n(&s->latency_ewma_us, __ATOMIC_RELAXED);
    int64_t halves = (now_ms - __atomic_load_n(&s->latency_at_ms, __ATOMIC_RELAXED)) / FADE_MS;
    if (halves <= 0)
        return us;
    return halves < 32 ? us >> halves : 0;
}

/* Within a quarter of each other, or not known yet: the difference is noise. */
static bool latencies_alike(int64_t a, int64_t b)
{
    int64_t low = a < b ? a : b, high = a < b ? b : a;
    return low == 0 || high - low <= low / 4;
}

static double load_of(const struct tc_tier *t, const struct server *srv)
{
    int64_t in_flight = __atomic_load_n(&srv->shared->in_flight, __ATOMIC_RELAXED);
    return 1.0 + (double)in_flight * t->mean_weight / (double)srv->weight;
}

static bool is_better(const struct tc_tier *t, const struct pick *p, int a, int b)
{
    const struct server *sa = &p->up->servers[a], *sb = &p->up->servers[b];
    double cost_a = load_of(t, sa), cost_b = load_of(t, sb);
    int64_t us_a = faded_latency(sa->shared, p->now_ms);
    int64_t us_b = faded_latency(sb->shared, p->now_ms);
    if (latencies_alike(us_a, us_b))
        return cost_a < cost_b;
    return cost_a * (double)us_a < cost_b * (double)us_b;
}

static int tc_pick(void *state, const struct pick *p)
{
    (void)state;
    const struct tc_tier *t = &((const struct tc_conf *)p->up->balancer_conf)->tiers[p->tier];
    if (t->count == 0)
        return -1;
    int first = draw_allowed(t, p, -1);
    if (first < 0)
        return first_allowed(t, p);
    int second = t->count > 1 ? draw_allowed(t, p, first) : -1;
    return second >= 0 && is_better(t, p, second, first) ? second : first;
}

const struct balancer_type balancer_two_choices = {
    .name = "two_choices",
    .text =
        "Draws two servers at random by weight and takes the one with fewer requests in "
        "flight and the shorter time to the first byte. The default: even under load, quick with "
        "any number of servers, and it spares slow servers.",
    .conf_bytes = sizeof(struct tc_conf),
    .build = tc_build,
    .pick = tc_pick,
};
