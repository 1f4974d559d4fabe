/* least_conn.c - the server with the fewest requests in flight for its weight.
 *
 * Counts are those of all workers. In a tier of at most DRAW_ALL_MAX servers every one is looked
 * at, and equal ones (all are, when there is little traffic) take turns by weight: each has a
 * virtual time at which it is due, as in weighted round robin. In larger ones it is the least of
 * some draws by weight (draw.h): as even but for one or two requests, at a constant price. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/draw.h"

enum { TURN = 1 << 24 };

struct lc_state {
    struct draw_memory memory[TIER_COUNT];
    uint64_t now; /* virtual: when the server picked last was due */
    uint64_t due[];
};

static void lc_build(void *conf, const struct upstream *up, struct arena *a)
{
    draw_build(conf, up, a);
}

static size_t lc_state_bytes(const struct upstream *up)
{
    return sizeof(struct lc_state) + up->server_count * sizeof(uint64_t);
}

static void lc_init(void *state, const struct upstream *up)
{
    struct lc_state *s = state;
    for (uint32_t i = 0; i < up->server_count; i++)
        s->due[i] = TURN / (uint64_t)up->servers[i].weight;
}

static bool due_before(const struct lc_state *s, uint32_t a, uint32_t b)
{
    return (int64_t)(s->due[a] - s->due[b]) < 0;
}

/* From now on, not from when it was due: no credit for the time that it was busier or away. */
static void turn_taken(struct lc_state *s, const struct pick *p, int i)
{
    if ((int64_t)(s->due[i] - s->now) > 0)
        s->now = s->due[i];
    s->due[i] = s->now + TURN / (uint64_t)p->up->servers[i].weight;
}

static int least_of_all(struct lc_state *s, const struct draw_tier *t, const struct pick *p)
{
    int best = -1;
    double best_load = 0;
    for (uint32_t k = 0; k < t->count; k++) {
        uint32_t i = t->slots[k].index;
        if (!pick_allows(p, i))
            continue;
        double load = draw_load(t, p, i);
        if (best >= 0 && load > best_load)
            continue;
        if (best >= 0 && load == best_load && !due_before(s, i, (uint32_t)best))
            continue;
        best = (int)i;
        best_load = load;
    }
    if (best >= 0)
        turn_taken(s, p, best);
    return best;
}

static int lc_pick(void *state, const struct pick *p)
{
    struct lc_state *s = state;
    const struct draw_tiers *c = p->up->balancer_conf;
    const struct draw_tier *t = &c->of[p->tier];
    if (t->count <= DRAW_ALL_MAX)
        return least_of_all(s, t, p);
    return draw_least(t, p, draw_load, &s->memory[p->tier]);
}

const struct balancer_type balancer_least_conn = {
    .name = "least_conn",
    .text = "The server with the fewest requests in flight for its weight; equal ones take turns. "
            "For requests that differ much in how long they take. With more than 32 servers of a "
            "tier it looks at four drawn at random and one that was nearly taken before.",
    .conf_bytes = sizeof(struct draw_tiers),
    .build = lc_build,
    .state_bytes = lc_state_bytes,
    .init = lc_init,
    .pick = lc_pick,
};
