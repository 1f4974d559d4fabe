/* hash.h - hashing, and an open-addressing map from byte strings to pointers.
 *
 * hash_fast() (xxHash3, seeded) for keys that our own configuration chooses; hash_secret()
 * (SipHash-1-3, Aumasson & Bernstein 2012) keyed per process where an attacker chooses the keys.
 * The map borrows its keys (they live as long as their values) and never shrinks. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

uint64_t hash_fast(struct slice s, uint64_t seed);
uint64_t hash_secret(struct slice s);
uint64_t hash_siphash13(const uint8_t key[16], struct slice s);
void hash_secret_init(const uint8_t key[16]); /* tests and simulation; else random at first use */

struct hash_slot {
    struct slice key;
    void *value; /* NULL: free */
    uint32_t hash;
};

struct hash_map {
    struct hash_slot *slots;
    uint32_t count, mask; /* mask + 1 slots, a power of two; 0 slots before the first put */
};

void hash_map_init(struct hash_map *m);
void hash_map_release(struct hash_map *m); /* not the values */
void *hash_map_find(const struct hash_map *m, struct slice key);
/* Room for one more key, so that a put() of the data path needs no memory. False: there is none. */
bool hash_map_reserve(struct hash_map *m);
/* Puts or replaces; returns the value it replaced or NULL. Control plane: ends the process when
 * memory runs out. `value` is not NULL. */
void *hash_map_put(struct hash_map *m, struct slice key, void *value);
void *hash_map_remove(struct hash_map *m, struct slice key);
/* Iterates: start with *at = 0; NULL at the end. */
struct hash_slot *hash_map_next(const struct hash_map *m, uint32_t *at);
