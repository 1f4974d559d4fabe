/* hash_test.c - shares by weight, how many keys move when servers come and go, bounded loads. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "upstream/testing.h"

enum { KEYS = 20000 };

static uint64_t key_of(int i)
{
    return hash_fast((struct slice){(const char *)&i, sizeof i}, 7);
}

static int pick_key(struct test_upstream *t, int i)
{
    t->pick.key = key_of(i);
    return test_upstream_pick(t);
}

static void pick_all(struct test_upstream *t, int *picks)
{
    for (int i = 0; i < KEYS; i++)
        picks[i] = pick_key(t, i);
}

static void same_key_same_server(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "hash", 7);
    test_upstream_start(&t);
    for (int i = 0; i < 100; i++) {
        int first = pick_key(&t, i);
        for (int k = 0; k < 5; k++)
            assert_int_equal(pick_key(&t, i), first);
    }
    test_upstream_release(&t);
}

static void shares_follow_weights(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[5] = {0};
    test_upstream_init(&t, "hash", 5);
    t.up.servers[0].weight = 6;
    test_upstream_start(&t);
    for (int i = 0; i < KEYS; i++)
        counts[pick_key(&t, i)]++;
    assert_near(counts[0], KEYS * 6 / 10, KEYS / 100);
    for (int i = 1; i < 5; i++)
        assert_near(counts[i], KEYS / 10, KEYS / 100);
    test_upstream_release(&t);
}

/* The list of servers loses its first one (so that all indexes shift): how many keys of the others
 * move? The share in thousandths. */
static int moved_by_removal(uint32_t count)
{
    static int before[KEYS], after[KEYS];
    struct test_upstream t;
    test_upstream_init(&t, "hash", count);
    test_upstream_start(&t);
    pick_all(&t, before);
    memmove(&t.up.servers[0], &t.up.servers[1], (count - 1) * sizeof t.up.servers[0]);
    t.up.server_count--;
    memset(t.up.balancer_conf, 0, t.up.balancer->conf_bytes);
    conf_defaults(t.up.balancer->options, IN_OPTIONS, t.up.balancer_conf);
    t.up.balancer->build(t.up.balancer_conf, &t.up, &t.arena);
    pick_all(&t, after);
    int moved = 0;
    for (int i = 0; i < KEYS; i++)
        moved += before[i] != 0 && after[i] + 1 != before[i];
    test_upstream_release(&t);
    return moved * 1000 / KEYS;
}

static void removal_moves_few_others(void **state)
{
    (void)state;
    assert_int_equal(moved_by_removal(2), 0);
    assert_in_range(moved_by_removal(5), 0, 15);
    assert_in_range(moved_by_removal(20), 0, 15);
    assert_in_range(moved_by_removal(200), 0, 15);
}

static void ejection_moves_only_its_own_keys(void **state)
{
    (void)state;
    static int before[KEYS], after[KEYS];
    struct test_upstream t;
    int got[10] = {0};
    test_upstream_init(&t, "hash", 10);
    test_upstream_start(&t);
    pick_all(&t, before);
    t.shared[3].ejected_until_ms = 5000;
    pick_all(&t, after);
    for (int i = 0; i < KEYS; i++) {
        if (before[i] != 3)
            assert_int_equal(after[i], before[i]);
        else
            got[after[i]]++;
    }
    assert_int_equal(got[3], 0);
    for (int i = 0; i < 10; i++) /* they spread over all the others */
        if (i != 3)
            assert_near(got[i], KEYS / 10 / 9, KEYS / 10 / 18);
    t.pick.now_ms = 5000;
    pick_all(&t, after);
    assert_memory_equal(before, after, sizeof before);
    test_upstream_release(&t);
}

/* One hot key and nothing else in flight: it may not bury its server. */
static void hot_key_spills_over(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "hash", 10);
    test_upstream_start(&t);
    for (int i = 0; i < 1000; i++)
        t.shared[pick_key(&t, 1)].in_flight++;
    for (int i = 0; i < 10; i++)
        assert_in_range(t.shared[i].in_flight, 0, 125 + 1);
    test_upstream_release(&t);
}

static void bound_off_never_spills(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "hash", 10);
    test_upstream_start(&t);
    *(int64_t *)t.up.balancer_conf = CONF_OFF; /* the option is the first field */
    int first = pick_key(&t, 1);
    for (int i = 0; i < 1000; i++)
        t.shared[pick_key(&t, 1)].in_flight++;
    assert_int_equal(t.shared[first].in_flight, 1000);
    test_upstream_release(&t);
}

static void no_key_goes_anywhere(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[4];
    test_upstream_init(&t, "hash", 4);
    test_upstream_start(&t);
    t.pick.key = 0;
    test_upstream_count(&t, 4000, counts);
    for (int i = 0; i < 4; i++)
        assert_near(counts[i], 1000, 150);
    test_upstream_release(&t);
}

static void tiers_and_none(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "hash", 3);
    t.up.servers[2].backup = true;
    test_upstream_start(&t);
    assert_in_range(pick_key(&t, 1), 0, 1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(pick_key(&t, 1), 2);
    t.up.servers[2].disabled = true;
    assert_int_equal(pick_key(&t, 1), -1);
    test_upstream_release(&t);
}

UNIT_SUITE(balancer_hash, cmocka_unit_test(same_key_same_server),
           cmocka_unit_test(shares_follow_weights), cmocka_unit_test(removal_moves_few_others),
           cmocka_unit_test(ejection_moves_only_its_own_keys),
           cmocka_unit_test(hot_key_spills_over), cmocka_unit_test(bound_off_never_spills),
           cmocka_unit_test(no_key_goes_anywhere), cmocka_unit_test(tiers_and_none));
