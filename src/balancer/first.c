/* first.c - the first server of the list that has room.
 *
 * Fills the servers in the order of the file, each up to its max_conns, so that the last ones stay
 * idle and may be switched off. In a tier of thousands most may be full, and looking through them
 * costs microseconds; so a worker remembers where it found one and begins there, and begins at the
 * top again when that is AGAIN_MS old. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"

enum { AGAIN_MS = 10, ALWAYS_COUNT = 16 };

struct first_state {
    struct first_tier {
        int64_t at_ms; /* when the search began at the top */
        uint32_t from;
    } tiers[TIER_COUNT];
};

static size_t first_state_bytes(const struct upstream *up)
{
    (void)up;
    return sizeof(struct first_state);
}

static int first_in(const struct pick *p, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (pick_allows(p, i))
            return (int)i;
    return -1;
}

/* What was tried or may only try itself says nothing about the next request. */
static bool is_general(const struct pick *p)
{
    static const uint64_t none[4];
    bool untried = !p->tried || memcmp(p->tried, none, sizeof none) == 0;
    return untried && !p->ignore_ejected && p->up->slow_start_ms <= 0;
}

static int first_pick(void *state, const struct pick *p)
{
    struct first_tier *t = &((struct first_state *)state)->tiers[p->tier];
    uint32_t count = p->up->server_count, from = t->from;
    if (count <= ALWAYS_COUNT || !is_general(p))
        return first_in(p, 0, count);
    if (from == 0 || p->now_ms - t->at_ms >= AGAIN_MS) {
        t->at_ms = p->now_ms;
        from = 0;
    }
    int found = first_in(p, from, count);
    if (found < 0 && from > 0)
        found = first_in(p, 0, from);
    t->from = found > 0 ? (uint32_t)found : 0;
    return found;
}

const struct balancer_type balancer_first = {
    .name = "first",
    .text = "The first server in the order of the file that is below its `max_conns`: as few "
            "servers as possible are in use, and the last can be switched off. Weights do not "
            "count. Without `max_conns` the first one gets everything while it lives.",
    .state_bytes = first_state_bytes,
    .pick = first_pick,
};
