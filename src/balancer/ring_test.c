/* ring_test.c - exactly the keys of a server move when it comes or goes; shares, bounded loads. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

/* The options are the first fields. */
struct ring_options {
    int64_t bound, replicas;
};

static struct ring_options *options(struct test_upstream *t)
{
    return t->up.balancer_conf;
}

static void same_key_same_server(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "ring", 7);
    test_upstream_start(&t);
    for (int i = 0; i < 100; i++) {
        int first = test_upstream_pick_key(&t, i);
        for (int k = 0; k < 5; k++)
            assert_int_equal(test_upstream_pick_key(&t, i), first);
    }
    test_upstream_release(&t);
}

static void shares_follow_weights(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[5] = {0};
    test_upstream_init(&t, "ring", 5);
    t.up.servers[0].weight = 6;
    test_upstream_start(&t);
    for (int i = 0; i < TEST_KEYS; i++)
        counts[test_upstream_pick_key(&t, i)]++;
    assert_near(counts[0], TEST_KEYS * 6 / 10, TEST_KEYS / 25);
    for (int i = 1; i < 5; i++)
        assert_near(counts[i], TEST_KEYS / 10, TEST_KEYS / 40);
    test_upstream_release(&t);
}

static void removal_moves_its_own_keys_alone(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 5, 20, 200};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct test_moved m = test_upstream_moved("ring", counts[i]);
        assert_near(m.own, 1000 / counts[i], 300 / counts[i] + 2);
        assert_int_equal(m.others, 0);
    }
}

static void ejection_moves_its_own_keys_alone(void **state)
{
    (void)state;
    static int before[TEST_KEYS], after[TEST_KEYS];
    struct test_upstream t;
    int got[10] = {0};
    test_upstream_init(&t, "ring", 10);
    test_upstream_start(&t);
    test_upstream_pick_keys(&t, before);
    t.shared[3].ejected_until_ms = 5000;
    test_upstream_pick_keys(&t, after);
    for (int i = 0; i < TEST_KEYS; i++) {
        if (before[i] != 3)
            assert_int_equal(after[i], before[i]);
        else
            got[after[i]]++;
    }
    for (int i = 0; i < 10; i++) /* they spread over all the others */
        assert_true(i == 3 ? got[i] == 0 : got[i] > 0);
    t.pick.now_ms = 5000;
    test_upstream_pick_keys(&t, after);
    assert_memory_equal(before, after, sizeof before);
    test_upstream_release(&t);
}

static void hot_key_spills_over(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "ring", 10);
    test_upstream_start(&t);
    for (int i = 0; i < 1000; i++)
        t.shared[test_upstream_pick_key(&t, 1)].in_flight++;
    for (int i = 0; i < 10; i++)
        assert_in_range(t.shared[i].in_flight, 0, 125 + 1);
    test_upstream_release(&t);
}

static void bound_off_never_spills(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "ring", 10);
    test_upstream_start(&t);
    options(&t)->bound = CONF_OFF;
    int first = test_upstream_pick_key(&t, 1);
    for (int i = 0; i < 1000; i++)
        t.shared[test_upstream_pick_key(&t, 1)].in_flight++;
    assert_int_equal(t.shared[first].in_flight, 1000);
    test_upstream_release(&t);
}

/* 2,000,000 points are asked for: the ring keeps its size, and the shares stay right. */
static void too_many_points_are_halved(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[2] = {0};
    test_upstream_init(&t, "ring", 2);
    t.up.servers[0].weight = t.up.servers[1].weight = 1000;
    test_upstream_start(&t);
    options(&t)->replicas = 1000;
    struct ring_options *conf = t.up.balancer_conf;
    memset(conf + 1, 0, t.up.balancer->conf_bytes - sizeof *conf);
    t.up.balancer->build(conf, &t.up, &t.arena);
    assert_true(t.arena.used < 32u << 20);
    for (int i = 0; i < TEST_KEYS; i++)
        counts[test_upstream_pick_key(&t, i)]++;
    assert_near(counts[0], TEST_KEYS / 2, TEST_KEYS / 40);
    test_upstream_release(&t);
}

static void no_key_goes_anywhere(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[4];
    test_upstream_init(&t, "ring", 4);
    test_upstream_start(&t);
    t.pick.key = 0;
    test_upstream_count(&t, 4000, counts);
    for (int i = 0; i < 4; i++)
        assert_near(counts[i], 1000, 300);
    test_upstream_release(&t);
}

static void tiers_and_none(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "ring", 3);
    t.up.servers[2].backup = true;
    test_upstream_start(&t);
    assert_in_range(test_upstream_pick_key(&t, 1), 0, 1);
    t.pick.tier = TIER_FAR;
    assert_int_equal(test_upstream_pick_key(&t, 1), -1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(test_upstream_pick_key(&t, 1), 2);
    t.up.servers[2].disabled = true;
    assert_int_equal(test_upstream_pick_key(&t, 1), -1);
    test_upstream_release(&t);
}

UNIT_SUITE(balancer_ring, cmocka_unit_test(same_key_same_server),
           cmocka_unit_test(shares_follow_weights),
           cmocka_unit_test(removal_moves_its_own_keys_alone),
           cmocka_unit_test(ejection_moves_its_own_keys_alone),
           cmocka_unit_test(hot_key_spills_over), cmocka_unit_test(bound_off_never_spills),
           cmocka_unit_test(too_many_points_are_halved), cmocka_unit_test(no_key_goes_anywhere),
           cmocka_unit_test(tiers_and_none));
