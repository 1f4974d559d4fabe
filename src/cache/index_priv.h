/* index_priv.h - the table of keys of a shard, and the memory of keys that were evicted.
 *
 * Open addressing with linear probing. A slot is a pointer to the newest object of a key with 16
 * bits of its hash on top, so that others are passed without looking at them. Its capacity need not
 * be a power of two, so that it is never much larger than what it holds. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct object_shared;
struct cache_key;

struct key_index {
    uint64_t *slots;
    uint32_t cap, count;
    uint32_t generation; /* how often it was made anew */
};

enum { INDEX_FIRST_CAP = 32 };
#define INDEX_NONE UINT32_MAX

/* The slot of a key, INDEX_NONE: not there. */
uint32_t index_find(const struct key_index *x, uint64_t hash, struct slice key);
struct object_shared *index_at(const struct key_index *x, uint32_t slot); /* NULL: free */
void index_set(struct key_index *x, uint32_t slot, struct object_shared *o);
/* For a key that is not there, after index_reserve(). */
void index_add(struct key_index *x, struct object_shared *o);
void index_remove(struct key_index *x, uint32_t slot);
/* Room for one more. *grown: bytes more than before; false: no memory. */
bool index_reserve(struct key_index *x, size_t *grown);
void index_release(struct key_index *x);

/* Fingerprints in buckets, the newest first: who comes back soon goes to the main queue. */
struct ghost {
    uint32_t *prints;
    uint32_t buckets;
};

void ghost_add(struct ghost *g, uint64_t hash);
bool ghost_take(struct ghost *g, uint64_t hash); /* was it there? */
/* Room for about `count` keys. *grown as above; without memory it stays as it is. */
void ghost_resize(struct ghost *g, uint32_t count, size_t *grown);
void ghost_release(struct ghost *g);
