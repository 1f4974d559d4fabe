/* store_rig_test.h - objects and queries for tests of the store. Bodies are made of their key's
 * hash, so that a torn or mixed-up one shows. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rand.h"
#include "cache/purge.h"
#include "cache/store.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>

enum { RIG_KEY_BYTES = 96 };

static inline struct cache_shared *rig_cache(uint64_t memory_bytes)
{
    struct cache_limits l = {.memory_bytes = memory_bytes, .object_bytes = memory_bytes};
    return cache_new(&l);
}

static inline struct cache_key rig_key(char text[RIG_KEY_BYTES], unsigned n)
{
    struct cache_key k;
    int len = snprintf(text, RIG_KEY_BYTES, "https://host/path/%u", n);
    cache_key_init(&k, (struct slice){text, (size_t)len});
    return k;
}

/* Byte `at` of the body of a key. */
static inline char rig_byte(uint64_t hash, uint64_t at)
{
    return (char)(hash >> (at % 8 * 8) ^ at / 8);
}

static inline void rig_fill(struct content_shared *k, uint64_t hash, uint64_t bytes)
{
    char piece[4096];
    for (uint64_t at = 0; at < bytes;) {
        size_t n = bytes - at < sizeof piece ? (size_t)(bytes - at) : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = rig_byte(hash, at + i);
        assert_int_equal(content_append(k, (struct slice){piece, n}), ERR_OK);
        at += n;
    }
}

static inline void rig_check(struct slice s, uint64_t hash, uint64_t at)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] != rig_byte(hash, at + i))
            fail_msg("byte %zu of the body is not its key's", (size_t)at + i);
}

static inline struct content_shared *rig_content(struct cache_shared *c, uint64_t hash,
                                                 uint64_t bytes)
{
    struct content_shared *k = content_new(c, 0, bytes);
    assert_non_null(k);
    rig_fill(k, hash, bytes);
    content_end(k);
    return k;
}

struct rig_object {
    struct slice tags;
    uint64_t variant;
    uint8_t kind;
};

/* Counted once, not linked. `k` is counted by it only. */
static inline struct object_shared *rig_object_with(struct cache_shared *c,
                                                    const struct cache_key *key,
                                                    struct content_shared *k,
                                                    const struct rig_object *extra)
{
    struct header h[] = {
        {.name = SLICE("Content-Type"), .value = SLICE("text/plain"), .id = FIELD_CONTENT_TYPE},
        {.name = SLICE("etag"), .value = SLICE("\"abc\""), .id = FIELD_ETAG},
        {.name = SLICE("X-Own"), .value = SLICE("1"), .id = FIELD_OTHER},
    };
    struct headers headers = {.at = h, .count = 3};
    struct object_draft d = {.key = *key,
                             .status = 200,
                             .headers = &headers,
                             .reason = SLICE("OK"),
                             .tags = extra->tags,
                             .variant = extra->variant,
                             .kind = extra->kind,
                             .content = k};
    struct object_shared *o = object_new(c, &d);
    assert_non_null(o);
    if (k)
        content_drop(k);
    return o;
}

/* Linked and settled; not counted for the caller. */
static inline void rig_store(struct cache_shared *c, const struct cache_key *key, uint64_t bytes,
                             const struct rig_object *extra)
{
    struct object_shared *o = rig_object_with(c, key, rig_content(c, key->hash, bytes), extra);
    assert_true(cache_insert(c, o, cache_now(c)));
    cache_settle(c, o);
    object_drop(o);
}

static inline void rig_put(struct cache_shared *c, unsigned n, uint64_t bytes)
{
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, n);
    rig_store(c, &k, bytes, &(struct rig_object){0});
}

static inline enum cache_match rig_match_fresh(struct cache_query *q, const struct object_shared *o)
{
    return o->variant == q->variant ? MATCH_FRESH : MATCH_NO;
}

static inline void rig_result_drop(struct cache_result *r)
{
    if (r->object)
        object_drop(r->object);
    if (r->content)
        content_drop(r->content);
    if (r->fill && r->leads)
        fill_leave(r->fill);
    else if (r->fill)
        fill_drop(r->fill);
}

/* Looks up alone: is it there, fresh? */
static inline bool rig_has_key(struct cache_shared *c, const struct cache_key *k, uint64_t variant)
{
    struct cache_query q = {.key = *k, .match = rig_match_fresh, .variant = variant, .alone = true};
    struct cache_result r;
    cache_lookup(c, &q, &r);
    bool has = r.match == MATCH_FRESH;
    rig_result_drop(&r);
    return has;
}

static inline bool rig_has(struct cache_shared *c, unsigned n)
{
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, n);
    return rig_has_key(c, &k, 0);
}

static inline struct cache_stats rig_stats(struct cache_shared *c)
{
    struct cache_stats st;
    cache_stats_get(c, &st);
    return st;
}

/* All that was charged was given back but for the index. */
static inline void rig_cache_free(struct cache_shared *c)
{
    cache_free(c);
}
