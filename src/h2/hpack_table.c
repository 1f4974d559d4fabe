/* hpack_table.c - the dynamic table of HPACK (RFC 7541 2.3.2 and 4), for both directions.
 *
 * One block of memory, taken with the first entry and doubled as needed: a head, a ring of entries,
 * and their bytes. Bytes are appended; those of the oldest entries fall off at the front, and when
 * the end is reached what lives is moved to the front. That happens once per quarter of the
 * table's size at most, and it keeps every string in one piece. Names that are in the static table
 * are not stored, though they are counted.
 *
 * An encoder finds entries by two hash chains, of fields and of names. A link is the distance to
 * an older entry, so eviction has nothing to unlink: what is older than the oldest entry is gone.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/hpack.h"
#include "h2/hpack_priv.h"
#include <stdlib.h>

enum {
    FIRST_ENTRIES = 16,
    FIRST_BYTES = 512,
    BUCKETS = 64,  /* of each kind */
    CHAIN_MAX = 8, /* entries looked at: a bound where somebody makes collisions */
    SEEN = 64,
};

struct hpack_table {
    uint32_t next;           /* number of the next entry; the newest one has next - 1; wraps */
    uint32_t count;          /* entries that live */
    uint32_t used;           /* bytes as RFC 7541 4.1 counts them */
    uint32_t mask;           /* of the ring: its slots - 1 */
    uint32_t from, to, room; /* bytes: where the oldest live one is, where the next goes, all */
    uint32_t bucket[BUCKETS], name_bucket[BUCKETS]; /* number of the newest entry of the chain */
    uint16_t seen[SEEN];
    struct hpack_entry ring[];
};

static inline char *bytes_of(const struct hpack_table *t)
{
    return (char *)(t->ring + t->mask + 1);
}

static inline struct hpack_entry *entry_of(const struct hpack_table *t, uint32_t number)
{
    return (struct hpack_entry *)&t->ring[number & t->mask];
}

static inline uint32_t stored_bytes(const struct hpack_entry *e)
{
    return (e->name_static ? 0u : e->name_len) + e->value_len;
}

static inline uint32_t counted_bytes(const struct hpack_entry *e)
{
    return (uint32_t)e->name_len + e->value_len + HPACK_ENTRY_BYTES;
}

void hpack_table_free(struct hpack_table *t)
{
    free(t);
}

uint32_t hpack_table_count(const struct hpack_table *t)
{
    return t ? t->count : 0;
}

uint32_t hpack_table_bytes(const struct hpack_table *t)
{
    return t ? t->used : 0;
}

static struct hpack_table *table_new(uint32_t entries, uint32_t room)
{
    struct hpack_table *t = malloc(sizeof *t + entries * sizeof *t->ring + room);
    if (!t)
        return NULL;
    memset(t, 0, sizeof *t);
    t->next = 1; /* so that an empty bucket, 0, names nothing that lives */
    t->mask = entries - 1;
    t->room = room;
    return t;
}

static void evict_oldest(struct hpack_table *t)
{
    const struct hpack_entry *e = entry_of(t, t->next - t->count);
    t->used -= counted_bytes(e);
    t->from += stored_bytes(e);
    t->count--;
    if (t->count == 0)
        t->from = t->to = 0;
}

static void evict_to(struct hpack_table *t, uint32_t bytes)
{
    while (t->used > bytes)
        evict_oldest(t);
}

void hpack_table_resize(struct hpack_table **t, uint32_t size_bytes)
{
    if (!*t)
        return;
    evict_to(*t, size_bytes);
    if ((*t)->count > 0)
        return;
    hpack_table_free(*t);
    *t = NULL;
}

/* Moves the live bytes to the front of `to`, which may be the same table. */
static void slide(struct hpack_table *to, const struct hpack_table *t)
{
    memmove(bytes_of(to), bytes_of(t) + t->from, t->to - t->from);
    for (uint32_t age = 1; age <= t->count; age++)
        entry_of(to, t->next - age)->at -= t->from;
    to->to = t->to - t->from;
    to->from = 0;
}

static enum err grow(struct hpack_table **t, uint32_t entries, uint32_t room)
{
    struct hpack_table *old = *t, *new = table_new(entries, room);
    if (!new)
        return ERR_NO_MEMORY;
    if (old) {
        uint32_t mask = new->mask;
        *new = *old;
        new->mask = mask;
        new->room = room;
        for (uint32_t age = 1; age <= old->count; age++)
            *entry_of(new, old->next - age) = *entry_of(old, old->next - age);
        slide(new, old);
        hpack_table_free(old);
    }
    *t = new;
    return ERR_OK;
}

/* A quarter more than can live, so that sliding stays rare. */
static uint32_t room_for(uint32_t room, uint32_t need, uint32_t size_bytes)
{
    uint32_t most = size_bytes + size_bytes / 4;
    while (room < need)
        room *= 2;
    return room < most ? room : most;
}

/* Room for one more entry that stores `more` bytes. */
static enum err make_room(struct hpack_table **t, uint32_t more, uint32_t size_bytes)
{
    if (!*t)
        return grow(t, FIRST_ENTRIES, room_for(FIRST_BYTES, more, size_bytes));
    struct hpack_table *old = *t;
    uint32_t live = old->to - old->from, slots = old->mask + 1;
    bool ring_full = old->count == slots;
    bool tight = old->to + more > old->room;
    bool too_small =
        tight && live + more > old->room - old->room / 4 && old->room < size_bytes + size_bytes / 4;
    if (ring_full || too_small)
        return grow(t, ring_full ? 2 * slots : slots,
                    too_small ? room_for(2 * old->room, live + more, size_bytes) : old->room);
    if (tight)
        slide(old, old);
    return ERR_OK;
}

/* The link from a new entry to the one before it in the chain. */
static uint16_t chain_push(const struct hpack_table *t, uint32_t *bucket)
{
    uint32_t distance = t->next - *bucket;
    *bucket = t->next;
    return distance <= t->count ? (uint16_t)distance : 0;
}

static void entry_put(struct hpack_table *t, const struct hpack_key *key)
{
    struct hpack_entry *e = entry_of(t, t->next);
    *e = (struct hpack_entry){
        .at = t->to,
        .hash = key->hash,
        .name_hash = key->name_hash,
        .older = chain_push(t, &t->bucket[key->hash % BUCKETS]),
        .name_older = chain_push(t, &t->name_bucket[key->name_hash % BUCKETS]),
        .name_len = (uint16_t)key->name.len,
        .value_len = (uint16_t)key->value.len,
        .name_static = key->name_static,
        .id = key->id,
    };
    char *at = bytes_of(t) + t->to;
    if (!key->name_static && key->name.len > 0)
        at = mempcpy(at, key->name.at, key->name.len);
    if (key->value.len > 0)
        memcpy(at, key->value.at, key->value.len);
    t->to += stored_bytes(e);
    t->used += counted_bytes(e);
    t->count++;
    t->next++;
}

enum err hpack_table_add(struct hpack_table **t, uint32_t size_bytes, const struct hpack_key *key)
{
    ASSERT(size_bytes <= HPACK_TABLE_MAX_BYTES);
    size_t stored = (key->name_static ? 0 : key->name.len) + key->value.len;
    size_t counted = key->name.len + key->value.len + HPACK_ENTRY_BYTES;
    if (counted > size_bytes) {
        hpack_table_resize(t, 0);
        return ERR_OK;
    }
    if (*t)
        evict_to(*t, size_bytes - (uint32_t)counted);
    TRY(make_room(t, (uint32_t)stored, size_bytes));
    entry_put(*t, key);
    return ERR_OK;
}

const struct hpack_entry *hpack_table_find(const struct hpack_table *t, uint32_t index)
{
    uint32_t age = index - HPACK_STATIC_COUNT; /* 1: the newest */
    if (!t || age - 1 >= t->count)
        return NULL;
    return entry_of(t, t->next - age);
}

struct slice hpack_table_text(const struct hpack_table *t, const struct hpack_entry *e)
{
    return (struct slice){bytes_of(t) + e->at, stored_bytes(e)};
}

static bool name_is(const struct hpack_table *t, const struct hpack_entry *e,
                    const struct hpack_key *key)
{
    if (e->name_static || key->name_static)
        return e->name_static == key->name_static;
    return slice_eq((struct slice){bytes_of(t) + e->at, e->name_len}, key->name);
}

static bool value_is(const struct hpack_table *t, const struct hpack_entry *e,
                     const struct hpack_key *key)
{
    const char *end = bytes_of(t) + e->at + stored_bytes(e);
    return slice_eq((struct slice){end - e->value_len, e->value_len}, key->value);
}

uint32_t hpack_table_match(const struct hpack_table *t, const struct hpack_key *key)
{
    if (!t)
        return 0;
    uint32_t age = t->next - t->bucket[key->hash % BUCKETS];
    for (int looks = 0; age - 1 < t->count && looks < CHAIN_MAX; looks++) {
        const struct hpack_entry *e = entry_of(t, t->next - age);
        if (e->hash == key->hash && name_is(t, e, key) && value_is(t, e, key))
            return HPACK_STATIC_COUNT + age;
        if (e->older == 0)
            return 0;
        age += e->older;
    }
    return 0;
}

uint32_t hpack_table_match_name(const struct hpack_table *t, const struct hpack_key *key)
{
    if (!t)
        return 0;
    uint32_t age = t->next - t->name_bucket[key->name_hash % BUCKETS];
    for (int looks = 0; age - 1 < t->count && looks < CHAIN_MAX; looks++) {
        const struct hpack_entry *e = entry_of(t, t->next - age);
        if (e->name_hash == key->name_hash && name_is(t, e, key))
            return HPACK_STATIC_COUNT + age;
        if (e->name_older == 0)
            return 0;
        age += e->name_older;
    }
    return 0;
}

bool hpack_table_seen(struct hpack_table *t, uint32_t hash)
{
    if (!t)
        return false;
    uint16_t *slot = &t->seen[hash % SEEN], mark = (uint16_t)(hash >> 16 | 1);
    bool seen = *slot == mark;
    *slot = mark;
    return seen;
}
