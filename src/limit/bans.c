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
    bool changed; /* to be told */
};

static struct bans_shared {
    uint32_t count; /* entries of all shards; atomic */
    bool recorded;  /* constant once there are threads */
    bool untold;    /* some may have changed; atomic, set with the entry's shard locked */
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

static void changed(struct ban_entry *e)
{
    if (!bans_shared.recorded)
        return;
    e->changed = true;
    __atomic_store_n(&bans_shared.untold, true, __ATOMIC_RELAXED);
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

/* Nothing is left of it, once whoever keeps a copy knows. */
static void entry_lift(struct ban_shard *s, struct ban_entry *e)
{
    e->ban.until_ms = 0;
    e->ban.times = 0;
    changed(e);
    if (!e->changed)
        entry_forget(s, e);
}

static bool is_lifted(const struct ban_entry *e)
{
    return e->ban.until_ms == 0;
}

/* A removal may move others to its slot, which is looked at again; one that moves past the end is
 * left for the next time. */
static void sweep(struct ban_shard *s, int64_t ended_before_ms)
{
    uint32_t at = 0;
    for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));) {
        struct ban_entry *e = slot->value;
        if (e->ban.until_ms > ended_before_ms || (is_lifted(e) && e->changed))
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

/* Those that end after `after_ms`. */
static void ending_after(int64_t after_ms, void (*each)(void *ctx, const struct ban *b), void *ctx)
{
    for (int i = 0; i < SHARDS; i++) {
        struct ban_shard *s = &bans_shared.shards[i];
        uint32_t at = 0;
        pthread_mutex_lock(&s->lock);
        for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));) {
            const struct ban_entry *e = slot->value;
            if (is_on(e, after_ms))
                each(ctx, &e->ban);
        }
        pthread_mutex_unlock(&s->lock);
    }
}

void bans_each(int64_t now_ms, void (*each)(void *ctx, const struct ban *b), void *ctx)
{
    ending_after(now_ms, each, ctx);
}

void bans_each_known(void (*each)(void *ctx, const struct ban *b), void *ctx)
{
    ending_after(0, each, ctx);
}

static void count_one(void *ctx, const struct ban *b)
{
    (void)b;
    ++*(uint32_t *)ctx;
}

uint32_t bans_count(int64_t now_ms)
{
    uint32_t count = 0;
    if (bans_any())
        bans_each(now_ms, count_one, &count);
    return count;
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
        changed(e);
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
        changed(e);
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
        entry_lift(s, e);
    shard_unlock(s);
    return was_on;
}

static void shard_empty(struct ban_shard *s)
{
    uint32_t at = 0, count = s->all.count;
    for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));)
        free(slot->value);
    hash_map_release(&s->all);
    count_add(-count);
}

/* All of them: where changes are noted they stay until they were told. */
static uint32_t shard_lift(struct ban_shard *s, int64_t now_ms)
{
    uint32_t at = 0, on = 0;
    for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));) {
        struct ban_entry *e = slot->value;
        on += is_on(e, now_ms);
        e->ban.until_ms = 0;
        e->ban.times = 0;
        changed(e);
    }
    if (!bans_shared.recorded)
        shard_empty(s);
    return on;
}

uint32_t bans_lift_all(int64_t now_ms)
{
    uint32_t on = 0;
    for (int i = 0; i < SHARDS; i++) {
        struct ban_shard *s = &bans_shared.shards[i];
        pthread_mutex_lock(&s->lock);
        on += shard_lift(s, now_ms);
        pthread_mutex_unlock(&s->lock);
    }
    return on;
}

/* --- keeping a copy --------------------------------------------------------------------------- */

void bans_record(void)
{
    bans_shared.recorded = true;
}

static uint32_t shard_tell(struct ban_shard *s, uint32_t most,
                           void (*each)(void *ctx, const struct ban *b), void *ctx)
{
    uint32_t at = 0, told = 0;
    for (struct hash_slot *slot; told < most && (slot = hash_map_next(&s->all, &at));) {
        struct ban_entry *e = slot->value;
        if (!e->changed)
            continue;
        each(ctx, &e->ban);
        told++;
        e->changed = false;
        if (!is_lifted(e))
            continue;
        entry_forget(s, e);
        at--; /* as in sweep() */
    }
    return told;
}

uint32_t bans_take_changes(uint32_t most, void (*each)(void *ctx, const struct ban *b), void *ctx)
{
    uint32_t told = 0;
    if (!__atomic_exchange_n(&bans_shared.untold, false, __ATOMIC_RELAXED))
        return 0;
    for (int i = 0; i < SHARDS && told < most; i++) {
        struct ban_shard *s = &bans_shared.shards[i];
        pthread_mutex_lock(&s->lock);
        told += shard_tell(s, most - told, each, ctx);
        pthread_mutex_unlock(&s->lock);
    }
    if (told == most)
        __atomic_store_n(&bans_shared.untold, true, __ATOMIC_RELAXED);
    return told;
}

void bans_tell_again(void)
{
    for (int i = 0; i < SHARDS; i++) {
        struct ban_shard *s = &bans_shared.shards[i];
        uint32_t at = 0;
        pthread_mutex_lock(&s->lock);
        for (struct hash_slot *slot; (slot = hash_map_next(&s->all, &at));)
            changed(slot->value);
        pthread_mutex_unlock(&s->lock);
    }
}

bool bans_put(const struct ban *b, int64_t now_ms)
{
    uint64_t key = addr_prefix_key(&b->who);
    struct ban_shard *s = shard_lock(key);
    struct ban_entry *e = b->until_ms ? entry_get(s, key, &b->who, now_ms) : entry_find(s, key);
    if (e && b->until_ms) {
        e->ban = *b;
        changed(e);
    } else if (e) {
        entry_lift(s, e);
    }
    shard_unlock(s);
    return e || !b->until_ms;
}
