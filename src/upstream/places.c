/* places.c - Maglev hashing (Eisenbud et al., "Maglev", NSDI 2016) with bounded loads.
 *
 * A table of 65,521 places is filled by permutations of the servers' names, in shares by weight; a
 * pick is one look into it. When the list of servers changes, about the share of the server that
 * came or went moves. The size is the same for any number of servers: otherwise everything would
 * move when it changed. A server that may not be picked now (ejected, tried, full, off) leaves the
 * table as it is: its keys go on to other places of the table, the rest stays; so do those of a
 * server at its bound (bound.h), always to the same next servers. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/places.h"
#include "base/hash.h"

enum { PLACES = 65521 /* prime */, PROBES = 64 };

/* One server's way through the table. */
struct walk {
    uint32_t at, step;
    int64_t credit; /* a turn costs the largest weight */
    uint16_t index;
};

static uint32_t walks_collect(const struct upstream *up, uint8_t tier, struct walk *walks)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < up->server_count; i++) {
        if (up->servers[i].tier != tier)
            continue;
        uint64_t h = hash_fast(up->servers[i].name, 1);
        walks[count++] = (struct walk){
            .at = (uint32_t)(h >> 32) % PLACES,
            .step = (uint32_t)h % (PLACES - 1) + 1,
            .index = (uint16_t)i,
        };
    }
    return count;
}

static void place_claim(struct walk *w, uint16_t *table)
{
    while (table[w->at] != UINT16_MAX)
        w->at = (w->at + w->step) % PLACES;
    table[w->at] = w->index;
}

static void table_fill(const struct upstream *up, struct walk *walks, uint32_t count,
                       uint16_t *table)
{
    int64_t turn = 1;
    for (uint32_t i = 0; i < count; i++)
        if (up->servers[walks[i].index].weight > turn)
            turn = up->servers[walks[i].index].weight;
    memset(table, 0xff, PLACES * sizeof *table);
    for (uint32_t filled = 0;;) {
        for (uint32_t i = 0; i < count; i++) {
            walks[i].credit += up->servers[walks[i].index].weight;
            if (walks[i].credit < turn)
                continue;
            walks[i].credit -= turn;
            place_claim(&walks[i], table);
            if (++filled == PLACES)
                return;
        }
    }
}

void places_build(struct places *t, const struct upstream *up, struct arena *a)
{
    struct walk *walks = ARENA_ARRAY(a, struct walk, up->server_count + 1);
    for (int tier = 0; walks && tier < TIER_COUNT; tier++) {
        uint32_t count = walks_collect(up, (uint8_t)tier, walks);
        if (count > 0)
            t->tables[tier] = ARENA_ARRAY(a, uint16_t, PLACES);
        if (t->tables[tier])
            table_fill(up, walks, count, t->tables[tier]);
    }
}

/* Finalizer of MurmurHash3 over the key and the number of the probe. */
static uint32_t place_of(uint64_t key, uint32_t probe)
{
    uint64_t h = key + probe * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
    h ^= h >> 33;
    return (uint32_t)((h >> 32) * PLACES >> 32);
}

int places_pick(const struct places *t, struct bound *b, const struct pick *p, int64_t limit)
{
    const uint16_t *table = t->tables[p->tier];
    if (!table)
        return -1;
    if (limit >= 0)
        bound_renew(b, p);
    uint64_t key = p->key ? p->key : rand_next(p->rand);
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint32_t i = table[place_of(key, probe)];
        if (!pick_allows(p, i) || !bound_allows(b, p, i, limit))
            continue;
        bound_taken(b, p, i);
        return (int)i;
    }
    return bound_least_loaded(p);
}
