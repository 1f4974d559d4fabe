/* least_conn.c - the server with the fewest requests in flight for its weight.
 *
 * Counts are those of all workers. Servers that are equal (all are, when there is little traffic)
 * take turns by weight: each has a virtual time at which it is due, as in weighted round robin.
 * Looks at every server, so a pick costs some microseconds with a thousand of them. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"

enum { TURN = 1 << 24 };

struct lc_state {
    uint64_t now; /* virtual: when the server picked last was due */
    uint64_t due[];
};

static size_t lc_state_bytes(const struct upstream *up)
{
    return sizeof(struct lc_state) + up->server_count * sizeof(uint64_t);
}

static void lc_init(void *state, const struct upstream *up)
{
    struct lc_state *s = state;
    s->now = 0;
    for (uint32_t i = 0; i < up->server_count; i++)
        s->due[i] = TURN / (uint64_t)up->servers[i].weight;
}

/* Compares load per weight, then who is due first; without a division. */
static bool is_better(const struct lc_state *s, const struct pick *p, uint32_t a, uint32_t b,
                      const int64_t load[2])
{
    int64_t left = load[0] * p->up->servers[b].weight;
    int64_t right = load[1] * p->up->servers[a].weight;
    return left != right ? left < right : (int64_t)(s->due[a] - s->due[b]) < 0;
}

static int lc_pick(void *state, const struct pick *p)
{
    struct lc_state *s = state;
    uint32_t count = p->up->server_count, best = count;
    int64_t best_load = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!pick_allows(p, i))
            continue;
        int64_t load = __atomic_load_n(&p->up->servers[i].shared->in_flight, __ATOMIC_RELAXED);
        if (best != count && !is_better(s, p, i, best, (int64_t[2]){load, best_load}))
            continue;
        best = i;
        best_load = load;
    }
    if (best == count)
        return -1;
    if ((int64_t)(s->due[best] - s->now) > 0)
        s->now = s->due[best];
    /* From now on, not from when it was due: no credit for the time that it was busier or away. */
    s->due[best] = s->now + TURN / (uint64_t)p->up->servers[best].weight;
    return (int)best;
}

const struct balancer_type balancer_least_conn = {
    .name = "least_conn",
    .text = "The server with the fewest requests in flight for its weight; equal ones take turns. "
            "For requests that differ much in how long they take. With hundreds of servers "
            "`two_choices` is cheaper and nearly as even.",
    .state_bytes = lc_state_bytes,
    .init = lc_init,
    .pick = lc_pick,
};
