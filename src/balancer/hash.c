/* hash.c - the same key to the same server: Maglev hashing with bounded loads.
 *
 * A table of 65,521 places is filled by permutations of the servers' names (Eisenbud et al.,
 * "Maglev", NSDI 2016), in shares by weight; a pick is one look into it. When the list of servers
 * changes, about the share of the server that came or went moves. The size is the same for any
 * number of servers: otherwise everything would move when it changed. A server that may not be
 * picked now (ejected, tried, full) leaves the table as it is: its keys go on to other places of
 * the table, the rest stays. No server takes more than `bound` of the average load for its weight
 * (Mirrokni et al., "Consistent Hashing with Bounded Loads", 2017): the keys of a hot one spill
 * over, always to the same next servers. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "upstream/balancer.h"

enum { PLACES = 65521 /* prime */, PROBES = 16, SUM_ALWAYS_COUNT = 8, WHOLE = 10000 /* 100 % */ };

struct hash_conf {
    int64_t bound;                /* hundredths of a percent of the average load; CONF_OFF: none */
    uint16_t *tables[TIER_COUNT]; /* place -> server; NULL: no server in this tier */
};

/* What the tier carries in all; kept for a millisecond, because adding it up looks at every server.
 */
struct hash_sum {
    int64_t at_ms, in_flight, weight;
};

struct hash_state {
    struct hash_sum sums[TIER_COUNT];
};

/* One server's way through the table. */
struct hash_walk {
    uint32_t at, step;
    int64_t credit; /* a turn costs the largest weight */
    uint16_t index;
};

static const struct directive hash_options[] = {
    {.name = "bound",
     .where = IN_OPTIONS,
     .type = CONF_PERCENT,
     .off_ok = true,
     .offset = offsetof(struct hash_conf, bound),
     .min = 101 * WHOLE / 100,
     .max = 100 * WHOLE,
     .def = "125%",
     .usage = "PERCENT|off",
     .text =
         "No server takes more than this share of the average load (by weight); keys beyond it go "
         "to other servers until the load is lower. `off`: keys never move because of load."},
    {0}};

static uint32_t walks_collect(const struct upstream *up, uint8_t tier, struct hash_walk *walks)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < up->server_count; i++) {
        if (up->servers[i].tier != tier)
            continue;
        uint64_t h = hash_fast(up->servers[i].name, 1);
        walks[count++] = (struct hash_walk){
            .at = (uint32_t)(h >> 32) % PLACES,
            .step = (uint32_t)h % (PLACES - 1) + 1,
            .index = (uint16_t)i,
        };
    }
    return count;
}

static void place_claim(struct hash_walk *w, uint16_t *table)
{
    while (table[w->at] != UINT16_MAX)
        w->at = (w->at + w->step) % PLACES;
    table[w->at] = w->index;
}

static void table_fill(const struct upstream *up, struct hash_walk *walks, uint32_t count,
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

static void hash_build(void *conf, const struct upstream *up, struct arena *a)
{
    struct hash_conf *c = conf;
    struct hash_walk *walks = ARENA_ARRAY(a, struct hash_walk, up->server_count + 1);
    for (int tier = 0; walks && tier < TIER_COUNT; tier++) {
        uint32_t count = walks_collect(up, (uint8_t)tier, walks);
        if (count > 0)
            c->tables[tier] = ARENA_ARRAY(a, uint16_t, PLACES);
        if (c->tables[tier])
            table_fill(up, walks, count, c->tables[tier]);
    }
}

static size_t hash_state_bytes(const struct upstream *up)
{
    (void)up;
    return sizeof(struct hash_state);
}

static void hash_init(void *state, const struct upstream *up)
{
    (void)up;
    struct hash_state *s = state;
    for (int tier = 0; tier < TIER_COUNT; tier++)
        s->sums[tier].at_ms = INT64_MIN;
}

static int64_t in_flight_of(const struct pick *p, uint32_t i)
{
    return __atomic_load_n(&p->up->servers[i].shared->in_flight, __ATOMIC_RELAXED);
}

static void sum_renew(struct hash_sum *s, const struct pick *p)
{
    if (s->at_ms == p->now_ms && p->up->server_count > SUM_ALWAYS_COUNT)
        return;
    *s = (struct hash_sum){.at_ms = p->now_ms};
    for (uint32_t i = 0; i < p->up->server_count; i++) {
        if (!pick_allows(p, i))
            continue;
        s->in_flight += in_flight_of(p, i);
        s->weight += p->up->servers[i].weight;
    }
}

/* Would one request more keep server i within its bound (rounded up, so that it is at least 1)? */
static bool within_bound(const struct hash_sum *s, const struct pick *p, uint32_t i, int64_t bound)
{
    if (bound < 0 || s->weight == 0)
        return true;
    double share = (double)p->up->servers[i].weight / (double)s->weight;
    double most = (double)(s->in_flight + 1) * share * (double)bound / WHOLE;
    return (double)in_flight_of(p, i) < most;
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

/* All probes failed: the least loaded server for its weight. */
static int least_loaded(const struct pick *p)
{
    int best = -1;
    double best_load = 0;
    for (uint32_t i = 0; i < p->up->server_count; i++) {
        if (!pick_allows(p, i))
            continue;
        double load = (double)in_flight_of(p, i) / (double)p->up->servers[i].weight;
        if (best >= 0 && load >= best_load)
            continue;
        best = (int)i;
        best_load = load;
    }
    return best;
}

static int hash_pick(void *state, const struct pick *p)
{
    const struct hash_conf *c = p->up->balancer_conf;
    struct hash_sum *s = &((struct hash_state *)state)->sums[p->tier];
    const uint16_t *table = c->tables[p->tier];
    if (!table)
        return -1;
    if (c->bound >= 0)
        sum_renew(s, p);
    uint64_t key = p->key ? p->key : rand_next(p->rand);
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint32_t i = table[place_of(key, probe)];
        if (!pick_allows(p, i) || !within_bound(s, p, i, c->bound))
            continue;
        s->in_flight++;
        return (int)i;
    }
    return least_loaded(p);
}

const struct balancer_type balancer_hash = {
    .name = "hash",
    .text = "Requests with the same key go to the same server: `balance hash $ip`, "
            "`balance hash $path`, `balance hash ${cookie.session}`. When a server comes or goes "
            "about its share of the keys moves, the others stay; an overloaded server hands some "
            "of its keys on (`bound=125%`). Requests without the key go anywhere.",
    .options = hash_options,
    .conf_bytes = sizeof(struct hash_conf),
    .needs_key = true,
    .build = hash_build,
    .state_bytes = hash_state_bytes,
    .init = hash_init,
    .pick = hash_pick,
};
