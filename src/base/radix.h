/* radix.h - compressed radix tree over byte strings: exact and longest-prefix lookup.
 *
 * Built once (nodes come from an arena and die with it), then read-only; lookups take time in
 * the length of the key, whatever the number of entries. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct radix_node;

struct radix {
    struct arena *arena; /* borrowed until the tree is dropped */
    struct radix_node *root;
    size_t count;
};

void radix_init(struct radix *t, struct arena *a);

/* Adds key -> value (value not NULL; key bytes are borrowed for the tree's life).
 * *old gets the value that was there already and stays, or NULL. ERR_NO_MEMORY. */
enum err radix_add(struct radix *t, struct slice key, void *value, void **old) MUST_CHECK;

void *radix_find(const struct radix *t, struct slice key);

/* Value of the longest entry that is a prefix of `key`, its length in *len; NULL when none is. */
void *radix_longest(const struct radix *t, struct slice key, size_t *len);

/* Calls `each` for every entry that is a prefix of `key`, shortest first. */
void radix_prefixes(const struct radix *t, struct slice key,
                    void (*each)(void *ctx, size_t len, void *value), void *ctx);
