/* places.h - a Maglev table per tier: keys to servers in one look, for balancers that hash. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/bound.h"

struct places {
    uint16_t *tables[TIER_COUNT]; /* place -> server; NULL: no server in this tier */
};

void places_build(struct places *t, const struct upstream *up, struct arena *a);
/* The server of p->key (0: of any place), or where its keys go on to while it may not be picked or
 * is at its bound. -1: none. */
int places_pick(const struct places *t, struct bound *b, const struct pick *p, int64_t limit);
