/* draw.c - weighted draws in constant time, and the least of several.
 *
 * The alias tables are Vose's construction (1991). To look at every server costs some microseconds
 * with a thousand of them, so beyond DRAW_ALL_MAX draw_least() samples: the least of d draws is
 * nearly the least of all (Mitzenmacher 2001), and remembering one that was nearly chosen is worth
 * as much as doubling the draws (Mitzenmacher, Prabhakar, Shah, "Load Balancing with Memory", FOCS
 * 2002). It also keeps workers with the same numbers from rushing to the same server. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/draw.h"
#include "upstream/shared_priv.h"

enum { TRIES = 4, NEIGHBOURS = 16 };

_Static_assert(SERVERS_MAX <= UINT16_MAX, "a slot's index has 16 bits");

static int64_t tier_collect(const struct upstream *up, uint8_t tier, struct draw_tier *t)
{
    int64_t weights = 0;
    for (uint32_t i = 0; i < up->server_count; i++) {
        const struct server *srv = &up->servers[i];
        if (srv->tier != tier || srv->disabled || srv->draining)
            continue;
        t->slots[t->count++] = (struct draw_slot){UINT32_MAX, (uint16_t)i, (uint16_t)i};
        weights += srv->weight;
    }
    return weights;
}

/* Slots that have less than their share are filled up by one that has more. */
static void tier_alias(const struct upstream *up, struct draw_tier *t, double *share,
                       uint16_t *small, uint16_t *large)
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

void draw_build(struct draw_tiers *d, const struct upstream *up, struct arena *a)
{
    uint32_t n = up->server_count;
    double *share = ARENA_ARRAY(a, double, n + 1);
    uint16_t *work = ARENA_ARRAY(a, uint16_t, 2 * n + 1);
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        struct draw_tier *t = &d->of[tier];
        t->slots = ARENA_ARRAY(a, struct draw_slot, n + 1);
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

static uint32_t draw(const struct draw_tier *t, struct rand *r)
{
    uint64_t x = rand_next(r);
    const struct draw_slot *s = &t->slots[(x >> 32) * t->count >> 32];
    return (uint32_t)x <= s->threshold ? s->index : s->alias;
}

static bool is_hit(const struct pick *p, uint32_t i, int other)
{
    return (int)i != other && pick_allows(p, i);
}

/* Some draws by weight, then so many neighbours of a random slot. */
static int draw_hit(const struct draw_tier *t, const struct pick *p, int other, uint32_t neighbours)
{
    for (int k = 0; k < TRIES; k++) {
        uint32_t i = draw(t, p->rand);
        if (is_hit(p, i, other))
            return (int)i;
    }
    uint32_t from = rand_below(p->rand, t->count);
    for (uint32_t k = 0; k < neighbours; k++) {
        uint32_t i = t->slots[(from + k) % t->count].index;
        if (is_hit(p, i, other))
            return (int)i;
    }
    return -1;
}

int draw_any(const struct draw_tier *t, const struct pick *p)
{
    return t->count > 0 ? draw_hit(t, p, -1, t->count) : -1;
}

int draw_second(const struct draw_tier *t, const struct pick *p, int other)
{
    if (t->count < 2)
        return -1;
    return draw_hit(t, p, other, t->count < NEIGHBOURS ? t->count : NEIGHBOURS);
}

double draw_load(const struct draw_tier *t, const struct pick *p, uint32_t i)
{
    const struct server *srv = &p->up->servers[i];
    double in_flight = (double)shared_get(&srv->shared->in_flight);
    if (in_flight == 0)
        return 0;
    /* The quotient first: those of equal ratios are equal, and then so is the product. */
    return in_flight / ((double)srv->weight * pick_ramp(p, i)) * t->mean_weight;
}

/* The least so far and the one after it. */
struct contest {
    const struct draw_tier *tier;
    const struct pick *pick;
    draw_cost_fn *cost;
    int best, second;
    double best_cost, second_cost;
};

static void contest_enter(struct contest *c, uint32_t i)
{
    if ((int)i == c->best || (int)i == c->second)
        return;
    double cost = c->cost(c->tier, c->pick, i);
    if (c->best < 0 || cost < c->best_cost) {
        c->second = c->best;
        c->second_cost = c->best_cost;
        c->best = (int)i;
        c->best_cost = cost;
    } else if (c->second < 0 || cost < c->second_cost) {
        c->second = (int)i;
        c->second_cost = cost;
    }
}

static void contest_all(struct contest *c)
{
    for (uint32_t k = 0; k < c->tier->count; k++) {
        uint32_t i = c->tier->slots[k].index;
        if (pick_allows(c->pick, i))
            contest_enter(c, i);
    }
}

static void contest_sample(struct contest *c, struct draw_memory *memory)
{
    for (int k = 1; k < DRAW_SAMPLE; k++) {
        uint32_t i = draw(c->tier, c->pick->rand);
        if (pick_allows(c->pick, i))
            contest_enter(c, i);
    }
    if (memory->runner_up > 0 && pick_allows(c->pick, memory->runner_up - 1))
        contest_enter(c, memory->runner_up - 1);
    memory->runner_up = (uint32_t)(c->second + 1);
}

int draw_least(const struct draw_tier *t, const struct pick *p, draw_cost_fn *cost,
               struct draw_memory *memory)
{
    struct contest c = {.tier = t, .pick = p, .cost = cost, .best = -1, .second = -1};
    int first = draw_any(t, p);
    if (first < 0)
        return -1;
    contest_enter(&c, (uint32_t)first);
    if (t->count <= DRAW_ALL_MAX)
        contest_all(&c);
    else
        contest_sample(&c, memory);
    return c.best;
}
