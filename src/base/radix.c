/* radix.c - compressed radix tree (Morrison's PATRICIA, 1968, over whole bytes).
 *
 * A node carries the bytes that lead to it from its parent (borrowed from a key) and its children
 * with the first byte of each in an array of its own, which memchr() searches: a lookup touches
 * one line of memory per node for that. Every lookup is the same walk down (walk_from, walk_on). */
// SPDX-License-Identifier: Apache-2.0
#include "base/radix.h"
#include "base/assert.h"

struct radix_node {
    struct slice label;
    void *value; /* NULL: only a branch */
    unsigned char *firsts;
    struct radix_node **children;
    uint16_t child_count, child_cap; /* at most 256 */
};

void radix_init(struct radix *t, struct arena *a)
{
    *t = (struct radix){.arena = a};
}

static struct radix_node *new_node(struct radix *t, struct slice label, void *value)
{
    struct radix_node *n = ARENA_NEW(t->arena, struct radix_node);
    if (!n)
        return NULL;
    n->label = label;
    n->value = value;
    return n;
}

static struct radix_node **child_find(const struct radix_node *n, char first)
{
    if (n->child_count == 0)
        return NULL;
    unsigned char *hit = memchr(n->firsts, first, n->child_count);
    return hit ? &n->children[hit - n->firsts] : NULL;
}

static enum err grow_children(struct radix *t, struct radix_node *n)
{
    size_t cap = n->child_cap ? n->child_cap * 4u : 4;
    struct radix_node **children = ARENA_ARRAY(t->arena, struct radix_node *, cap);
    unsigned char *firsts = ARENA_ARRAY(t->arena, unsigned char, cap);
    if (!children || !firsts)
        return ERR_NO_MEMORY;
    if (n->child_count > 0) {
        memcpy(children, n->children, n->child_count * sizeof(*children));
        memcpy(firsts, n->firsts, n->child_count);
    }
    n->children = children;
    n->firsts = firsts;
    n->child_cap = (uint16_t)cap;
    return ERR_OK;
}

static enum err add_child(struct radix *t, struct radix_node *n, struct radix_node *child)
{
    if (!child)
        return ERR_NO_MEMORY;
    if (n->child_count == n->child_cap)
        TRY(grow_children(t, n));
    n->firsts[n->child_count] = (unsigned char)child->label.at[0];
    n->children[n->child_count++] = child;
    return ERR_OK;
}

/* Puts a branch over *link that holds the first `len` bytes of its label. */
static enum err split(struct radix *t, struct radix_node **link, size_t len)
{
    struct radix_node *low = *link;
    struct slice whole = low->label;
    struct radix_node *high = new_node(t, slice_head(whole, len), NULL);
    if (!high)
        return ERR_NO_MEMORY;
    low->label = slice_from(whole, len);
    enum err e = add_child(t, high, low);
    if (e == ERR_OK)
        *link = high;
    else
        low->label = whole;
    return e;
}

static size_t shared_len(struct slice a, struct slice b)
{
    size_t most = a.len < b.len ? a.len : b.len, len = 0;
    while (len < most && a.at[len] == b.at[len])
        len++;
    return len;
}

static void set_value(struct radix *t, struct radix_node *n, void *value, void **old)
{
    *old = n->value;
    if (n->value)
        return;
    n->value = value;
    t->count++;
}

static enum err add_leaf(struct radix *t, struct radix_node *n, struct slice label, void *value)
{
    TRY(add_child(t, n, new_node(t, label, value)));
    t->count++;
    return ERR_OK;
}

/* Out of memory half way leaves at most a branch without a value: lookups stay right. */
enum err radix_add(struct radix *t, struct slice key, void *value, void **old)
{
    ASSERT(value);
    if (!t->root && !(t->root = new_node(t, SLICE(""), NULL)))
        return ERR_NO_MEMORY;
    struct radix_node **link = &t->root;
    for (;;) {
        size_t shared = shared_len((*link)->label, key);
        if (shared < (*link)->label.len)
            TRY(split(t, link, shared));
        struct radix_node *n = *link;
        key = slice_from(key, shared);
        if (key.len == 0) {
            set_value(t, n, value, old);
            return ERR_OK;
        }
        link = child_find(n, key.at[0]);
        if (!link) {
            TRY(add_leaf(t, n, key, value));
            *old = NULL;
            return ERR_OK;
        }
    }
}

/* `n` when its label is the next thing in *rest, which it is cut from; else NULL. */
static const struct radix_node *walk_from(const struct radix_node *n, struct slice *rest)
{
    if (!n || !slice_starts(*rest, n->label))
        return NULL;
    *rest = slice_from(*rest, n->label.len);
    return n;
}

static const struct radix_node *walk_on(const struct radix_node *n, struct slice *rest)
{
    struct radix_node **child = rest->len ? child_find(n, rest->at[0]) : NULL;
    return child ? walk_from(*child, rest) : NULL;
}

void *radix_find(const struct radix *t, struct slice key)
{
    const struct radix_node *n = walk_from(t->root, &key);
    while (n && key.len > 0)
        n = walk_on(n, &key);
    return n ? n->value : NULL;
}

void *radix_longest(const struct radix *t, struct slice key, size_t *len)
{
    struct slice rest = key;
    void *best = NULL;
    for (const struct radix_node *n = walk_from(t->root, &rest); n; n = walk_on(n, &rest)) {
        if (!n->value)
            continue;
        best = n->value;
        *len = key.len - rest.len;
    }
    return best;
}

void radix_prefixes(const struct radix *t, struct slice key,
                    void (*each)(void *ctx, size_t len, void *value), void *ctx)
{
    struct slice rest = key;
    for (const struct radix_node *n = walk_from(t->root, &rest); n; n = walk_on(n, &rest)) {
        if (n->value)
            each(ctx, key.len - rest.len, n->value);
    }
}
