/* bans.c - see bans.h. Shards with a lock each, which a request takes only while anybody is banned:
 * a count of the bans, those that are over included, is looked at first. What is over stays for a
 * day, so that the next ban is longer; it goes when its shard is full or swept. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/bans.h"
#include "base/hash.h"
#include "base/mem.h"
#include "limit/addr_key.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    SHARDS = 16,
    SHARD_MAX = BANS_MAX / SHARDS,
    DOUBLED_MAX = 20,
    SWEEP_MS = 60 * 1000,
    FULL_MS = 1000
};

struct ban_entry {
    struct ban ban;
    uint64_t key; /* a keyed hash: clients do not choose who their neighbours are */
};

static struct bans_shared {
    uint32_t count; /* entries of all shards; atomic */
    struct ban_shard {
        pthread_mutex_t lock;
        struct hash_map all;
        int64_t swept_ms, full_ms;
    } __attribute__((aligned(64))) shards[SHARDS];
} bans_shared = {
    .shards = {[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}},
};

static bool who_is(const struct addr *a, struct addr_prefix *who)
{
    if (a->len == 0 || a->sa.sa_family == AF_UNIX)
        return false;
    *who = addr_prefix_of(a, (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6});
    return true;
}

static struct slice key_slice(const uint64_t *key)
{
    return (struct slice){(const char *)key, sizeof *key};
}

static struct ban_shard *shard_lock(uint64_t key)
{
    struct ban_shard *s = &bans_shared.shards[key >> 60];
    pthread_mutex_lock(&s->lock);
    return s;
}
_Static_assert(SHARDS == 16, "the upper four bits tell the shard");

static void shard_unlock(struct ban_shard *s)
{
    pthread_mutex_unlock(&s->lock);
}

static void count_add(uint32_t n)
{
    __atomic_fetch_add(&bans_shared.count, n, __ATOMIC_RELAXED);
}

static bool is_on(const struct ban_entry *e, int64_t now_ms)
{
    return e->ban.until_ms > now_ms;
}

/* --- entries ---------------------------------------------------------------------------------- */

static struct ban_entry *entry_find(struct ban_shard *s, uint64_t key)
{
    return hash_map_find(&s->all, key_slice(&key));
}

static void entry_forget(struct ban_shard *s, struct ban_entry *e)
{
    hash_map_remove(&s->all, key_slice(&e->key));
    free(e);
    count_add((uint32_t)-1);
}

/* A removal may move others to its slot, which is looked at again; one that moves past the end is
 * left for the next time. */
static void sweep(struct ban_shard *s, int64_t ended_before_ms)
{
    uint32_t at = 0;
    for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));) {
        struct ban_entry *e = slot->value;
        if (e->ban.until_ms > ended_before_ms)
            continue;
        entry_forget(s, e);
        at--;
    }
}

/* Now and then what is to be forgotten goes; when the shard is full, all that is over. */
static bool room_make(struct ban_shard *s, int64_t now_ms)
{
    if (now_ms - s->swept_ms >= SWEEP_MS) {
        s->swept_ms = now_ms;
        sweep(s, now_ms - BAN_MEMORY_MS);
    }
    if (s->all.count >= SHARD_MAX && now_ms - s->full_ms >= FULL_MS) {
        s->full_ms = now_ms;
        sweep(s, now_ms);
    }
    return s->all.count < SHARD_MAX && hash_map_reserve(&s->all);
}

/* NULL: there is no room. */
static struct ban_entry *entry_get(struct ban_shard *s, uint64_t key, const struct addr_prefix *who,
                                   int64_t now_ms)
{
    struct ban_entry *e = entry_find(s, key);
    if (e || !room_make(s, now_ms) || !(e = calloc(1, sizeof *e)))
        return e;
    e->ban.who = *who;
    e->key = key;
    hash_map_put(&s->all, key_slice(&e->key), e);
    count_add(1);
    return e;
}

/* --- asking ----------------------------------------------------------------------------------- */

bool bans_any(void)
{
    return __atomic_load_n(&bans_shared.count, __ATOMIC_RELAXED) > 0;
}

bool bans_has(const struct addr *a, int64_t now_ms)
{
    struct addr_prefix who;
    if (!bans_any() || !who_is(a, &who))
        return false;
    uint64_t key = addr_prefix_key(&who);
    struct ban_shard *s = shard_lock(key);
    const struct ban_entry *e = entry_find(s, key);
    bool banned = e && is_on(e, now_ms);
    shard_unlock(s);
    return banned;
}

void bans_each(int64_t now_ms, void (*each)(void *ctx, const struct ban *b), void *ctx)
{
    for (int i = 0; i < SHARDS; i++) {
        struct ban_shard *s = &bans_shared.shards[i];
        uint32_t at = 0;
        pthread_mutex_lock(&s->lock);
        for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));) {
            const struct ban_entry *e = slot->value;
            if (is_on(e, now_ms))
                each(ctx, &e->ban);
        }
        pthread_mutex_unlock(&s->lock);
    }
}

/* --- changing --------------------------------------------------------------------------------- */

static int64_t grown(int64_t ms, uint32_t times, int64_t most_ms)
{
    uint32_t doubled = times < DOUBLED_MAX ? times : DOUBLED_MAX;
    return ms <= most_ms >> doubled ? ms << doubled : most_ms;
}

bool bans_add(const struct addr *a, int64_t ms, int64_t most_ms, int64_t now_ms, struct ban *out)
{
    struct addr_prefix who;
    if (!who_is(a, &who))
        return false;
    uint64_t key = addr_prefix_key(&who);
    struct ban_shard *s = shard_lock(key);
    struct ban_entry *e = entry_get(s, key, &who, now_ms);
    bool added = e && !is_on(e, now_ms);
    if (added) {
        if (now_ms - e->ban.until_ms > BAN_MEMORY_MS)
            e->ban.times = 0;
        e->ban.until_ms = now_ms + grown(ms, e->ban.times++, most_ms);
        *out = e->ban;
    }
    shard_unlock(s);
    return added;
}

bool bans_set(const struct addr *a, int64_t ms, int64_t now_ms, struct ban *out)
{
    struct addr_prefix who;
    if (!who_is(a, &who))
        return false;
    uint64_t key = addr_prefix_key(&who);
    struct ban_shard *s = shard_lock(key);
    struct ban_entry *e = entry_get(s, key, &who, now_ms);
    if (e) {
        e->ban.until_ms = now_ms + ms;
        e->ban.times++;
        *out = e->ban;
    }
    shard_unlock(s);
    return e != NULL;
}

bool bans_lift(const struct addr *a, int64_t now_ms)
{
    struct addr_prefix who;
    if (!who_is(a, &who))
        return false;
    uint64_t key = addr_prefix_key(&who);
    struct ban_shard *s = shard_lock(key);
    struct ban_entry *e = entry_find(s, key);
    bool was_on = e && is_on(e, now_ms);
    if (e)
        entry_forget(s, e);
    shard_unlock(s);
    return was_on;
}

static uint32_t shard_empty(struct ban_shard *s, int64_t now_ms)
{
    uint32_t at = 0, on = 0, count = s->all.count;
    for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));) {
        on += is_on(slot->value, now_ms);
        free(slot->value);
    }
    hash_map_release(&s->all);
    count_add(-count);
    return on;
}

uint32_t bans_lift_all(int64_t now_ms)
{
    uint32_t on = 0;
    for (int i = 0; i < SHARDS; i++) {
        struct ban_shard *s = &bans_shared.shards[i];
        pthread_mutex_lock(&s->lock);
        on += shard_empty(s, now_ms);
        pthread_mutex_unlock(&s->lock);
    }
    return on;
}
