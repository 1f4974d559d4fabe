/* draw.h - servers of a tier drawn at random by weight, in constant time (alias method, Walker
 * 1977), and the least of several draws; for balancers. Tables are read-only once built. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/balancer.h"

/* Draws `index` with the chance threshold / 2^32, else `alias`. */
struct draw_slot {
    uint32_t threshold;
    uint16_t index, alias;
};

struct draw_tier {
    struct draw_slot *slots; /* of the servers that are not off */
    uint32_t count;
    double mean_weight;
};

struct draw_tiers {
    struct draw_tier of[TIER_COUNT];
};

void draw_build(struct draw_tiers *d, const struct upstream *up, struct arena *a);

/* One that may be picked: drawn by weight, and when most servers are out, so that no draw hits one,
 * the first from a random start. -1: there is none. */
int draw_any(const struct draw_tier *t, const struct pick *p);
/* The same, but not `other`; of a large tier most of which is out it may miss the last ones. */
int draw_second(const struct draw_tier *t, const struct pick *p, int other);

/* Requests in flight for the weight that the server has now; a mean server with one has 1. */
double draw_load(const struct draw_tier *t, const struct pick *p, uint32_t i);

typedef double draw_cost_fn(const struct draw_tier *t, const struct pick *p, uint32_t i);

/* What is remembered from pick to pick of a tier: a server that was nearly chosen. Zeroed. */
struct draw_memory {
    uint32_t runner_up; /* index + 1; 0: none */
};

enum {
    DRAW_ALL_MAX = 32, /* tiers of so many servers are looked at whole */
    DRAW_SAMPLE = 4
};

/* A server of low cost that may be picked: the least of all in a tier of at most DRAW_ALL_MAX
 * servers, else the least of DRAW_SAMPLE drawn by weight and the runner-up of the last pick. Of
 * equal ones the first drawn. -1: none may be picked. */
int draw_least(const struct draw_tier *t, const struct pick *p, draw_cost_fn *cost,
               struct draw_memory *memory);
