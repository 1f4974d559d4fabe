/* sticky_table.c - see sticky_table.h. The table is cut into shards with a lock each, which is held
 * for a lookup in a short chain and the moving of one entry to the end of the shard's list; the
 * front of that list is the session that was idle the longest. Entries are indexes into one array:
 * nothing is allocated once the table is made, and memory that no session has used yet costs
 * nothing. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/sticky_table.h"
#include "base/list.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdlib.h>

enum { SHARDS = 16, NONE = 0 /* entry 0 is the head of the list */ };

struct entry {
    uint64_t key, server;
    int64_t seen_ms;
    uint32_t chain;      /* next in the bucket */
    uint32_t prev, next; /* by the time seen */
};

struct shard {
    pthread_mutex_t lock;
    struct entry *entries; /* cap + 1 */
    uint32_t *buckets;
    uint32_t cap, used, mask;
} __attribute__((aligned(64)));

struct sticky_shared {
    struct list link;
    uint32_t refs, size; /* under the registry's lock */
    char *identity;
    size_t identity_len;
    struct shard shards[SHARDS];
};

static struct sticky_tables_shared {
    pthread_mutex_t lock;
    struct list tables;
} sticky_tables_shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .tables = {&sticky_tables_shared.tables, &sticky_tables_shared.tables}};

/* --- tables -----------------------------------------------------------------------------------*/

static void shard_init(struct shard *s, uint32_t cap)
{
    uint32_t buckets = 16;
    while (buckets < cap)
        buckets *= 2;
    pthread_mutex_init(&s->lock, NULL);
    s->cap = cap;
    s->mask = buckets - 1;
    s->entries = mem_must(calloc((size_t)cap + 1, sizeof *s->entries), cap);
    s->buckets = mem_must(calloc(buckets, sizeof *s->buckets), buckets);
}

static struct sticky_shared *table_new(struct slice identity, uint32_t size)
{
    struct sticky_shared *t =
        mem_must(aligned_alloc(_Alignof(struct sticky_shared), sizeof *t), sizeof *t);
    *t = (struct sticky_shared){.size = size, .identity_len = identity.len};
    t->identity = mem_dup(identity.at, identity.len);
    for (int i = 0; i < SHARDS; i++)
        shard_init(&t->shards[i], (size + SHARDS - 1) / SHARDS);
    list_push(&sticky_tables_shared.tables, &t->link);
    return t;
}

static void table_free(struct sticky_shared *t)
{
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&t->shards[i].lock);
        free(t->shards[i].entries);
        free(t->shards[i].buckets);
    }
    free(t->identity);
    free(t);
}

struct sticky_shared *sticky_table_take(struct slice identity, uint32_t size)
{
    struct sticky_shared *found = NULL;
    pthread_mutex_lock(&sticky_tables_shared.lock);
    LIST_EACH (it, &sticky_tables_shared.tables) {
        struct sticky_shared *t = LIST_ENTRY(it, struct sticky_shared, link);
        if (t->size == size && slice_eq((struct slice){t->identity, t->identity_len}, identity))
            found = t;
    }
    if (!found)
        found = table_new(identity, size);
    found->refs++;
    pthread_mutex_unlock(&sticky_tables_shared.lock);
    return found;
}

void sticky_table_drop(struct sticky_shared *t)
{
    pthread_mutex_lock(&sticky_tables_shared.lock);
    bool last = --t->refs == 0;
    if (last)
        list_remove(&t->link);
    pthread_mutex_unlock(&sticky_tables_shared.lock);
    if (last)
        table_free(t);
}

/* --- sessions ---------------------------------------------------------------------------------*/

static struct shard *shard_of(struct sticky_shared *t, uint64_t key)
{
    return &t->shards[key >> 60];
}
_Static_assert(SHARDS == 16, "the upper four bits tell the shard");

static uint32_t *bucket_of(struct shard *s, uint64_t key)
{
    return &s->buckets[key & s->mask];
}

static void entry_unlink(struct shard *s, uint32_t i)
{
    struct entry *e = &s->entries[i];
    s->entries[e->prev].next = e->next;
    s->entries[e->next].prev = e->prev;
}

/* To the end of the list. */
static void entry_seen(struct shard *s, uint32_t i, int64_t now_ms)
{
    struct entry *e = &s->entries[i];
    e->seen_ms = now_ms;
    e->prev = s->entries[NONE].prev;
    e->next = NONE;
    s->entries[e->prev].next = i;
    s->entries[NONE].prev = i;
}

static uint32_t entry_find(struct shard *s, uint64_t key)
{
    uint32_t i = *bucket_of(s, key);
    while (i != NONE && s->entries[i].key != key)
        i = s->entries[i].chain;
    return i;
}

/* Takes the one that was idle the longest out of its chain and the list. */
static uint32_t entry_reclaim(struct shard *s)
{
    uint32_t i = s->entries[NONE].next;
    uint32_t *at = bucket_of(s, s->entries[i].key);
    while (*at != i)
        at = &s->entries[*at].chain;
    *at = s->entries[i].chain;
    entry_unlink(s, i);
    return i;
}

static uint32_t entry_add(struct shard *s, uint64_t key)
{
    uint32_t i = s->used < s->cap ? ++s->used : entry_reclaim(s);
    uint32_t *bucket = bucket_of(s, key);
    s->entries[i].key = key;
    s->entries[i].chain = *bucket;
    *bucket = i;
    return i;
}

bool sticky_table_find(struct sticky_shared *t, uint64_t key, int64_t now_ms, int64_t ttl_ms,
                       uint64_t *server)
{
    struct shard *s = shard_of(t, key);
    pthread_mutex_lock(&s->lock);
    uint32_t i = entry_find(s, key);
    bool there = i != NONE && now_ms - s->entries[i].seen_ms <= ttl_ms;
    if (there) {
        *server = s->entries[i].server;
        entry_unlink(s, i);
        entry_seen(s, i, now_ms);
    }
    pthread_mutex_unlock(&s->lock);
    return there;
}

void sticky_table_put(struct sticky_shared *t, uint64_t key, uint64_t server, int64_t now_ms)
{
    struct shard *s = shard_of(t, key);
    pthread_mutex_lock(&s->lock);
    uint32_t i = entry_find(s, key);
    if (i == NONE)
        i = entry_add(s, key);
    else
        entry_unlink(s, i);
    s->entries[i].server = server;
    entry_seen(s, i, now_ms);
    pthread_mutex_unlock(&s->lock);
}

uint32_t sticky_table_count(struct sticky_shared *t)
{
    uint32_t count = 0;
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&t->shards[i].lock);
        count += t->shards[i].used;
        pthread_mutex_unlock(&t->shards[i].lock);
    }
    return count;
}
