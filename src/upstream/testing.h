/* testing.h - what the unit tests of upstreams and balancers share; never in the product.
 *
 * test_upstream_*: an upstream made by hand, for balancers. test_conf_*: one read from a text. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "base/mem.h"
#include "conf/snapshot.h"
#include "tests/unit.h"
#include "upstream/balancer.h"
#include "upstream/check.h"
#include <stdio.h>
#include <stdlib.h>

struct test_upstream {
    struct arena arena;
    struct upstream up;
    struct server_shared *shared;
    struct rand rand;
    void *state;
    struct pick pick;
};

static inline void test_upstream_init(struct test_upstream *t, const char *balancer, uint32_t count)
{
    *t = (struct test_upstream){0};
    arena_init(&t->arena, 64 << 20);
    t->up.servers = ARENA_ARRAY(&t->arena, struct server, count);
    t->up.server_count = count;
    t->up.fail_count = 3;
    t->up.fail_ms = 10000;
    t->up.fail_max_ms = 300000;
    t->shared = mem_new(count * sizeof *t->shared);
    for (uint32_t i = 0; i < count; i++) {
        struct server *srv = &t->up.servers[i];
        *srv = (struct server){.index = i, .weight = 1, .shared = &t->shared[i]};
        srv->name = arena_printf(&t->arena, "10.0.%u.%u:80", i / 256, i % 256);
        t->shared[i].addr_count = 1;
    }
    t->up.balancer = balancer_find(slice_of(balancer));
    assert_non_null(t->up.balancer);
    rand_init(&t->rand, 42);
    t->pick = (struct pick){.up = &t->up, .rand = &t->rand, .now_ms = 1000, .pin = PIN_NONE};
}

/* After weights and marks were set. */
static inline void test_upstream_start(struct test_upstream *t)
{
    const struct balancer_type *b = t->up.balancer;
    upstream_tiers_set(&t->up);
    if (b->conf_bytes) {
        t->up.balancer_conf = arena_zalloc(&t->arena, b->conf_bytes);
        if (b->options)
            conf_defaults(b->options, IN_OPTIONS, t->up.balancer_conf);
    }
    if (b->build)
        b->build(t->up.balancer_conf, &t->up, &t->arena);
    size_t bytes = b->state_bytes ? b->state_bytes(&t->up) : 0;
    t->state = bytes ? mem_new(bytes) : NULL;
    if (b->init)
        b->init(t->state, &t->up);
}

static inline int test_upstream_pick(struct test_upstream *t)
{
    return t->up.balancer->pick(t->state, &t->pick);
}

static inline void test_upstream_release(struct test_upstream *t)
{
    free(t->state);
    free(t->shared);
    arena_release(&t->arena);
}

/* Counts `rounds` picks by server into counts[]; each must find one. */
static inline void test_upstream_count(struct test_upstream *t, int rounds, int *counts)
{
    for (uint32_t i = 0; i < t->up.server_count; i++)
        counts[i] = 0;
    for (int i = 0; i < rounds; i++) {
        int k = test_upstream_pick(t);
        assert_in_range(k, 0, t->up.server_count - 1);
        counts[k]++;
    }
}

/* How far counts are from the shares by weight; compare with the quantile for n - 1 degrees. */
static inline double test_chi_square(const struct test_upstream *t, const int *counts, int rounds)
{
    double weights = 0, sum = 0;
    for (uint32_t i = 0; i < t->up.server_count; i++)
        weights += (double)t->up.servers[i].weight;
    for (uint32_t i = 0; i < t->up.server_count; i++) {
        double due = rounds * (double)t->up.servers[i].weight / weights;
        sum += (counts[i] - due) * (counts[i] - due) / due;
    }
    return sum;
}

static inline void assert_near(int64_t got, int64_t want, int64_t tolerance)
{
    if (got < want - tolerance || got > want + tolerance)
        fail_msg("%lld is not within %lld of %lld", (long long)got, (long long)tolerance,
                 (long long)want);
}

/* Keys, for balancers that hash. */
enum { TEST_KEYS = 20000 };

static inline int test_upstream_pick_key(struct test_upstream *t, int i)
{
    t->pick.key = hash_fast((struct slice){(const char *)&i, sizeof i}, 7);
    return test_upstream_pick(t);
}

static inline void test_upstream_pick_keys(struct test_upstream *t, int *picks)
{
    for (int i = 0; i < TEST_KEYS; i++)
        picks[i] = test_upstream_pick_key(t, i);
}

/* How keys move when the first of `count` servers leaves the list (so that all indexes shift), or,
 * read the other way, when it joins. */
struct test_moved {
    int own;    /* thousandths of the keys: those it had */
    int others; /* thousandths of the keys that moved although it did not have them */
};

static inline struct test_moved test_upstream_moved(const char *balancer, uint32_t count)
{
    static int before[TEST_KEYS], after[TEST_KEYS];
    struct test_upstream t;
    int own = 0, others = 0;
    test_upstream_init(&t, balancer, count);
    test_upstream_start(&t);
    test_upstream_pick_keys(&t, before);
    memmove(&t.up.servers[0], &t.up.servers[1], (count - 1) * sizeof t.up.servers[0]);
    t.up.server_count--;
    for (uint32_t i = 0; i < t.up.server_count; i++)
        t.up.servers[i].index = i;
    free(t.state);
    test_upstream_start(&t);
    test_upstream_pick_keys(&t, after);
    for (int i = 0; i < TEST_KEYS; i++) {
        own += before[i] == 0;
        others += before[i] != 0 && after[i] + 1 != before[i];
    }
    test_upstream_release(&t);
    return (struct test_moved){own * 1000 / TEST_KEYS, (others * 1000 + TEST_KEYS - 1) / TEST_KEYS};
}

struct test_conf {
    struct conf *conf;
    struct diag diag;
    struct conf_build build;
};

/* Reads, checks and builds; the errors stand in t->diag. */
static inline void test_conf_build(struct test_conf *t, const char *text)
{
    static const struct conf_table tables[] = {{"upstream", upstream_rows}, {"checks", check_rows}};
    static const struct conf_schema schema = {tables, 2};
    t->conf = conf_new(1);
    diag_init(&t->diag);
    t->conf->upstreams = ARENA_NEW(&t->conf->arena, struct upstreams_conf);
    t->build = (struct conf_build){
        .arena = &t->conf->arena, .diag = &t->diag, .schema = &schema, .app = t->conf};
    t->conf->tree = conf_read(&t->conf->arena, &t->diag, "t.conf", slice_of(text));
    conf_check(&schema, t->conf->tree, &t->diag);
    if (!diag_failed(&t->diag))
        conf_apply_block(&t->build, t->conf->upstreams, &t->conf->tree->root);
}

static inline void test_conf_init(struct test_conf *t, const char *text)
{
    test_conf_build(t, text);
    if (diag_failed(&t->diag))
        fail_msg("%s\n%.*s", text, SLICE_ARG(t->diag.entries[0].text));
    upstreams_bind(&t->build, t->conf);
}

static inline void test_conf_release(struct test_conf *t)
{
    conf_drop(t->conf);
    diag_release(&t->diag);
}
