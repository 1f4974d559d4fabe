/* round_robin_test.c - shares by weight, evenly spread, and servers that come and go. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

static void shares_follow_weights(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[3];
    test_upstream_init(&t, "round_robin", 3);
    t.up.servers[0].weight = 5;
    t.up.servers[2].weight = 4;
    test_upstream_start(&t);
    test_upstream_count(&t, 1000, counts);
    assert_near(counts[0], 500, 1);
    assert_near(counts[1], 100, 1);
    assert_near(counts[2], 400, 1);
    test_upstream_release(&t);
}

static void turns_are_spread_evenly(void **state)
{
    (void)state;
    struct test_upstream t;
    int picks[700];
    test_upstream_init(&t, "round_robin", 3);
    t.up.servers[0].weight = 5;
    test_upstream_start(&t);
    for (int i = 0; i < 700; i++)
        picks[i] = test_upstream_pick(&t);
    for (int from = 0; from + 7 <= 700; from++) {
        int heavy = 0;
        for (int i = 0; i < 7; i++)
            heavy += picks[from + i] == 0;
        assert_in_range(heavy, 4, 6);
    }
    test_upstream_release(&t);
}

static void equal_servers_take_strict_turns(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[10];
    test_upstream_init(&t, "round_robin", 10);
    test_upstream_start(&t);
    for (int round = 0; round < 20; round++) {
        test_upstream_count(&t, 10, counts);
        for (int i = 0; i < 10; i++)
            assert_int_equal(counts[i], 1);
    }
    test_upstream_release(&t);
}

static void workers_start_at_different_servers(void **state)
{
    (void)state;
    int first[10] = {0};
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct test_upstream t;
        test_upstream_init(&t, "round_robin", 10);
        test_upstream_start(&t);
        rand_init(&t.rand, seed);
        first[test_upstream_pick(&t)]++;
        test_upstream_release(&t);
    }
    for (int i = 0; i < 10; i++)
        assert_near(first[i], 20, 15);
}

/* A server that was out must not get a burst of what it missed. */
static void absence_gives_no_credit(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[3];
    test_upstream_init(&t, "round_robin", 3);
    test_upstream_start(&t);
    t.shared[1].ejected_until_ms = 2000;
    test_upstream_count(&t, 300, counts);
    assert_int_equal(counts[1], 0);
    assert_near(counts[0], 150, 1);
    t.pick.now_ms = 2000;
    test_upstream_count(&t, 30, counts);
    assert_near(counts[1], 10, 1);
    test_upstream_release(&t);
}

static void heavy_server_out_is_no_obstacle(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[2];
    test_upstream_init(&t, "round_robin", 2);
    t.up.servers[0].weight = 1000;
    test_upstream_start(&t);
    t.shared[0].ejected_until_ms = 2000;
    test_upstream_count(&t, 100, counts);
    assert_int_equal(counts[1], 100);
    test_upstream_release(&t);
}

static void none_is_none(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "round_robin", 3);
    t.up.servers[2].backup = true;
    test_upstream_start(&t);
    t.shared[0].ejected_until_ms = t.shared[1].ejected_until_ms = 2000;
    assert_int_equal(test_upstream_pick(&t), -1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(test_upstream_pick(&t), 2);
    t.pick.tier = TIER_NEAR;
    t.pick.now_ms = 2000;
    assert_in_range(test_upstream_pick(&t), 0, 1);
    test_upstream_release(&t);
}

UNIT_SUITE(balancer_round_robin, cmocka_unit_test(shares_follow_weights),
           cmocka_unit_test(turns_are_spread_evenly),
           cmocka_unit_test(equal_servers_take_strict_turns),
           cmocka_unit_test(workers_start_at_different_servers),
           cmocka_unit_test(absence_gives_no_credit),
           cmocka_unit_test(heavy_server_out_is_no_obstacle), cmocka_unit_test(none_is_none));
