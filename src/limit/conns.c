/* conns.c - see conns.h. Entries stand in shards with a lock each, which is taken when a worker
 * sees an address for the first time and when it has lost the last connection of it; the counts are
 * atomics. A bound is kept by compare and exchange: a newcomer that is over it was never counted,
 * so that two who come at once at the last place are not both refused. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/conns.h"
#include "base/assert.h"
#include "base/hash.h"
#include "limit/addr_key.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16 };

struct conns_shared {
    struct conns_who who;
    uint32_t count; /* connections; atomic */
    uint32_t refs;  /* workers that have it; under the shard's lock */
};

static struct conns_table_shared {
    uint32_t sum; /* connections; atomic */
    struct conns_shard {
        pthread_mutex_t lock;
        struct hash_map all; /* by key */
    } __attribute__((aligned(64))) shards[SHARDS];
} conns_table_shared = {
    .shards = {[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}},
};

/* --- who -------------------------------------------------------------------------------------- */

struct conns_who conns_who_of(const struct addr *a)
{
    struct conns_who w = {.prefix = addr_prefix_of(a, (struct addr_bits){32, ADDR_BITS_V6})};
    w.exempt = a->len == 0 || a->sa.sa_family == AF_UNIX;
    w.key = addr_prefix_key(&w.prefix);
    return w;
}

struct conns_who conns_trusted(const struct addr *a)
{
    struct conns_who w = {.prefix = addr_prefix_of(a, (struct addr_bits){32, 128}), .exempt = true};
    w.key = ~addr_prefix_key(&w.prefix); /* never that of a network that begins like it */
    return w;
}

/* --- entries ---------------------------------------------------------------------------------- */

static struct slice key_slice(const struct conns_who *who)
{
    return (struct slice){(const char *)&who->key, sizeof who->key};
}

static struct conns_shard *shard_lock(const struct conns_who *who)
{
    struct conns_shard *s = &conns_table_shared.shards[who->key % SHARDS];
    pthread_mutex_lock(&s->lock);
    return s;
}

static struct conns_shared *entry_make(struct conns_shard *s, const struct conns_who *who)
{
    struct conns_shared *c = hash_map_reserve(&s->all) ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return NULL;
    c->who = *who;
    hash_map_put(&s->all, key_slice(&c->who), c);
    return c;
}

struct conns_shared *conns_take(const struct conns_who *who)
{
    struct conns_shard *s = shard_lock(who);
    struct conns_shared *c = hash_map_find(&s->all, key_slice(who));
    if (!c)
        c = entry_make(s, who);
    if (c)
        c->refs++;
    pthread_mutex_unlock(&s->lock);
    return c;
}

void conns_drop(struct conns_shared *c)
{
    struct conns_shard *s = shard_lock(&c->who);
    bool last = --c->refs == 0;
    if (last)
        hash_map_remove(&s->all, key_slice(&c->who));
    pthread_mutex_unlock(&s->lock);
    if (last) {
        ASSERT(c->count == 0);
        free(c);
    }
}

/* --- counting --------------------------------------------------------------------------------- */

/* False: there are `most` already. */
static bool raise(uint32_t *count, int64_t most)
{
    uint32_t now = __atomic_load_n(count, __ATOMIC_RELAXED);
    do {
        if (most >= 0 && now >= most)
            return false;
    } while (!__atomic_compare_exchange_n(count, &now, now + 1, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

static void lower(uint32_t *count)
{
    uint32_t was = __atomic_fetch_sub(count, 1, __ATOMIC_RELAXED);
    ASSERT(was > 0);
}

enum conns_verdict conns_enter(struct conns_shared *c, const struct conns_bounds *b)
{
    if (!raise(&c->count, c->who.exempt ? -1 : b->per_address))
        return CONNS_OVERRUN;
    if (raise(&conns_table_shared.sum, b->max))
        return CONNS_IN;
    lower(&c->count);
    return CONNS_FULL;
}

void conns_leave(struct conns_shared *c)
{
    lower(&conns_table_shared.sum);
    lower(&c->count);
}

uint32_t conns_of(const struct conns_shared *c)
{
    return __atomic_load_n(&c->count, __ATOMIC_RELAXED);
}

uint32_t conns_sum(void)
{
    return __atomic_load_n(&conns_table_shared.sum, __ATOMIC_RELAXED);
}

size_t conns_write(char to[ADDR_TEXT_BYTES], const struct conns_shared *c)
{
    return addr_prefix_write(to, &c->who.prefix);
}

/* --- for people ------------------------------------------------------------------------------- */

/* Keeps the rows in order; the last falls out when they are full. */
static uint32_t row_insert(struct conns_row *rows, uint32_t count, uint32_t most,
                           const struct conns_row *r)
{
    uint32_t at = count;
    while (at > 0 && rows[at - 1].count < r->count)
        at--;
    if (at == most)
        return count;
    uint32_t kept = count < most ? count : most - 1;
    memmove(&rows[at + 1], &rows[at], (kept - at) * sizeof *rows);
    rows[at] = *r;
    return kept + 1;
}

static uint32_t shard_top(struct conns_shard *s, struct conns_row *rows, uint32_t count,
                          uint32_t most)
{
    uint32_t at = 0;
    pthread_mutex_lock(&s->lock);
    for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));) {
        const struct conns_shared *c = slot->value;
        struct conns_row r = {c->who, conns_of(c)};
        if (r.count > 0)
            count = row_insert(rows, count, most, &r);
    }
    pthread_mutex_unlock(&s->lock);
    return count;
}

uint32_t conns_top(struct conns_row *rows, uint32_t most)
{
    uint32_t count = 0;
    for (int i = 0; i < SHARDS && most > 0; i++)
        count = shard_top(&conns_table_shared.shards[i], rows, count, most);
    return count;
}

uint32_t conns_addresses(void)
{
    uint32_t count = 0;
    for (int i = 0; i < SHARDS; i++) {
        struct conns_shard *s = &conns_table_shared.shards[i];
        pthread_mutex_lock(&s->lock);
        count += s->all.count;
        pthread_mutex_unlock(&s->lock);
    }
    return count;
}
