/* index.c - open addressing over object pointers, and buckets of fingerprints.
 *
 * A hash's home is its low half scaled to the capacity, so the order of homes is the order of
 * hashes whatever the capacity. Removing moves later ones of a cluster towards their homes:
 * never away from slot 0, except around the end. The sweeper, which goes downwards, relies on it.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/prefetch.h"
#include "cache/index_priv.h"
#include "cache/object.h"
#include <stdlib.h>

/* LOOKED_AT_BYTES: an object as far as its key; all its lines are asked for at once, which makes a
 * lookup among a million wait half as long. */
enum { TAG_SHIFT = 48, GHOST_WAYS = 4, AHEAD = 8, LOOKED_AT_BYTES = 256 };
#define POINTER_MASK (((uint64_t)1 << TAG_SHIFT) - 1)

static uint32_t home(const struct key_index *x, uint64_t hash)
{
    return (uint32_t)((hash & UINT32_MAX) * x->cap >> 32);
}

static uint64_t tag(uint64_t hash)
{
    return hash & ~POINTER_MASK;
}

static struct object_shared *slot_object(uint64_t slot)
{
    return (struct object_shared *)(uintptr_t)(slot & POINTER_MASK);
}

static uint64_t slot_of(struct object_shared *o)
{
    ASSERT(((uintptr_t)o & ~POINTER_MASK) == 0);
    return tag(o->hash) | (uintptr_t)o;
}

static uint32_t after(const struct key_index *x, uint32_t i)
{
    return i + 1 == x->cap ? 0 : i + 1;
}

uint32_t index_find(const struct key_index *x, uint64_t hash, struct slice key)
{
    if (x->cap == 0)
        return INDEX_NONE;
    for (uint32_t i = home(x, hash); x->slots[i] != 0; i = after(x, i)) {
        if ((x->slots[i] & ~POINTER_MASK) != tag(hash))
            continue;
        const struct object_shared *o = slot_object(x->slots[i]);
        prefetch_for_read(o, LOOKED_AT_BYTES);
        if (o->hash == hash && slice_eq(object_key(o), key))
            return i;
    }
    return INDEX_NONE;
}

struct object_shared *index_at(const struct key_index *x, uint32_t slot)
{
    return slot_object(x->slots[slot]);
}

void index_set(struct key_index *x, uint32_t slot, struct object_shared *o)
{
    x->slots[slot] = slot_of(o);
}

void index_add(struct key_index *x, struct object_shared *o)
{
    uint32_t i = home(x, o->hash);
    while (x->slots[i] != 0)
        i = after(x, i);
    x->slots[i] = slot_of(o);
    x->count++;
}

/* Is home `h` in the cyclic range (hole, at]? Then what is at `at` has to stay. */
static bool stays(uint32_t hole, uint32_t at, uint32_t h)
{
    return hole < at ? h > hole && h <= at : h > hole || h <= at;
}

void index_remove(struct key_index *x, uint32_t slot)
{
    uint32_t hole = slot;
    for (uint32_t i = after(x, hole); x->slots[i] != 0; i = after(x, i)) {
        if (stays(hole, i, home(x, slot_object(x->slots[i])->hash)))
            continue;
        x->slots[hole] = x->slots[i];
        hole = i;
    }
    x->slots[hole] = 0;
    x->count--;
}

/* In the order of slots, which is that of homes: fills the new table from its start to its end. */
static void move_all(const struct key_index *from, struct key_index *to)
{
    for (uint32_t i = 0; i < from->cap; i++) {
        if (i + AHEAD < from->cap && from->slots[i + AHEAD] != 0)
            prefetch_for_read(slot_object(from->slots[i + AHEAD]), CACHE_LINE_BYTES);
        if (from->slots[i] != 0)
            index_add(to, slot_object(from->slots[i]));
    }
}

/* Between four and six sevenths are in use. */
bool index_reserve(struct key_index *x, size_t *grown)
{
    *grown = 0;
    if (x->cap != 0 && (uint64_t)(x->count + 1) * 7 <= (uint64_t)x->cap * 6)
        return true;
    struct key_index to = {.generation = x->generation + 1};
    to.cap = x->cap == 0 ? INDEX_FIRST_CAP : x->cap + x->cap / 2;
    to.slots = calloc(to.cap, sizeof *to.slots);
    if (!to.slots)
        return false;
    move_all(x, &to);
    *grown = (size_t)(to.cap - x->cap) * sizeof *x->slots;
    free(x->slots);
    *x = to;
    return true;
}

void index_release(struct key_index *x)
{
    free(x->slots);
    *x = (struct key_index){0};
}

/* ---- ghost ---- */

static uint32_t fingerprint(uint64_t hash)
{
    uint32_t f = (uint32_t)(hash >> 16);
    return f ? f : 1;
}

static uint32_t *bucket(const struct ghost *g, uint32_t print)
{
    uint32_t at = (uint32_t)((uint64_t)(print * 2654435769u) * g->buckets >> 32);
    return g->prints + (size_t)at * GHOST_WAYS;
}

static void print_add(struct ghost *g, uint32_t print)
{
    uint32_t *b = bucket(g, print);
    memmove(b + 1, b, (GHOST_WAYS - 1) * sizeof *b);
    b[0] = print;
}

void ghost_add(struct ghost *g, uint64_t hash)
{
    if (g->buckets > 0)
        print_add(g, fingerprint(hash));
}

bool ghost_take(struct ghost *g, uint64_t hash)
{
    if (g->buckets == 0)
        return false;
    uint32_t print = fingerprint(hash), *b = bucket(g, print);
    for (int i = 0; i < GHOST_WAYS; i++) {
        if (b[i] != print)
            continue;
        memmove(b + i, b + i + 1, (size_t)(GHOST_WAYS - 1 - i) * sizeof *b);
        b[GHOST_WAYS - 1] = 0;
        return true;
    }
    return false;
}

void ghost_resize(struct ghost *g, uint32_t count, size_t *grown)
{
    *grown = 0;
    struct ghost to = {.buckets = (count + GHOST_WAYS - 1) / GHOST_WAYS};
    if (to.buckets <= g->buckets)
        return;
    to.prints = calloc((size_t)to.buckets * GHOST_WAYS, sizeof *to.prints);
    if (!to.prints)
        return;
    for (size_t i = (size_t)g->buckets * GHOST_WAYS; i-- > 0;)
        if (g->prints[i] != 0)
            print_add(&to, g->prints[i]);
    *grown = (size_t)(to.buckets - g->buckets) * GHOST_WAYS * sizeof *to.prints;
    free(g->prints);
    *g = to;
}

void ghost_release(struct ghost *g)
{
    free(g->prints);
    *g = (struct ghost){0};
}
