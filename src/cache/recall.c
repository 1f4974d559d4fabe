/* recall.c - what a shard remembers of keys beside objects: who need not queue, what was
 * invalidated, how often a key was asked for. Small tables of hashes; what they forget or mix up
 * costs a fetch, never a wrong answer. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/store_priv.h"
#include <stdlib.h>

enum { USES_MAX = 255, USES_HALVED_AFTER = 8 * USES_CELLS, PASS_WAYS = 4 };

/* ---- keys that are not storable ---- */

static uint32_t pass_bucket(uint64_t hash)
{
    return (uint32_t)(hash % (PASS_MARKS / PASS_WAYS)) * PASS_WAYS;
}

bool recall_pass(const struct shard_shared *s, uint64_t hash, int64_t now_ms)
{
    const struct pass_mark *m = &s->passes[pass_bucket(hash)];
    for (int i = 0; i < PASS_WAYS; i++)
        if (m[i].hash == hash && m[i].until_ms > now_ms)
            return true;
    return false;
}

void cache_mark_pass(struct cache_shared *c, const struct cache_key *k, int64_t until_ms)
{
    struct shard_shared *s = shard_of(c, k->hash);
    pthread_mutex_lock(&s->lock);
    struct pass_mark *m = &s->passes[pass_bucket(k->hash)], *at = m;
    for (int i = 0; i < PASS_WAYS; i++) {
        if (m[i].hash == k->hash) {
            at = &m[i];
            break;
        }
        if (m[i].until_ms < at->until_ms)
            at = &m[i];
    }
    *at = (struct pass_mark){k->hash, until_ms};
    pthread_mutex_unlock(&s->lock);
}

/* ---- invalidated keys ---- */

static uint32_t invalidated_slot(uint64_t hash)
{
    return (uint32_t)(hash % INVALIDATED_SLOTS);
}

/* Of the key, or of another one in its slot: then a response is not stored that might have been. */
uint64_t recall_invalidated(const struct shard_shared *s, uint64_t hash)
{
    return s->invalidated[invalidated_slot(hash)];
}

void recall_invalidate(struct shard_shared *s, uint64_t hash, uint64_t now)
{
    s->invalidated[invalidated_slot(hash)] = now;
}

/* ---- how often ---- */

static void uses_halve(struct uses *u)
{
    uint8_t *cells = u->cells[0];
    for (int i = 0; i < 2 * USES_CELLS; i++)
        cells[i] /= 2;
    u->counted = 0;
}

static unsigned uses_count(struct uses *u, uint64_t hash)
{
    if (++u->counted > USES_HALVED_AFTER)
        uses_halve(u);
    uint8_t *a = &u->cells[0][hash % USES_CELLS];
    uint8_t *b = &u->cells[1][(hash >> 20) % USES_CELLS];
    unsigned least = *a < *b ? *a : *b;
    if (least < USES_MAX)
        least++;
    if (*a < least)
        *a = (uint8_t)least;
    if (*b < least)
        *b = (uint8_t)least;
    return least;
}

/* Without memory everything is asked for often enough. */
unsigned cache_uses(struct cache_shared *c, const struct cache_key *k)
{
    struct shard_shared *s = shard_of(c, k->hash);
    pthread_mutex_lock(&s->lock);
    if (!s->uses && (s->uses = calloc(1, sizeof *s->uses)) != NULL)
        cache_charge_now(c, sizeof *s->uses);
    unsigned uses = s->uses ? uses_count(s->uses, k->hash) : USES_MAX;
    pthread_mutex_unlock(&s->lock);
    return uses;
}
