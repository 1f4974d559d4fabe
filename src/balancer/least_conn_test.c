/* least_conn_test.c - fewest in flight for the weight; equal ones take turns. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/draw.h"
#include "upstream/testing.h"

static void fewest_in_flight_wins(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_conn", 4);
    test_upstream_start(&t);
    t.shared[0].in_flight = 3;
    t.shared[1].in_flight = 2;
    t.shared[2].in_flight = 1;
    t.shared[3].in_flight = 2;
    for (int i = 0; i < 10; i++)
        assert_int_equal(test_upstream_pick(&t), 2);
    t.shared[2].ejected_until_ms = 5000;
    assert_int_not_equal(test_upstream_pick(&t), 2);
    test_upstream_release(&t);
}

static void load_counts_by_weight(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_conn", 2);
    t.up.servers[1].weight = 3;
    test_upstream_start(&t);
    for (int i = 0; i < 400; i++)
        t.shared[test_upstream_pick(&t)].in_flight++;
    assert_near(t.shared[0].in_flight, 100, 1);
    assert_near(t.shared[1].in_flight, 300, 1);
    test_upstream_release(&t);
}

static void idle_servers_take_turns_by_weight(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[3];
    test_upstream_init(&t, "least_conn", 3);
    t.up.servers[2].weight = 2;
    test_upstream_start(&t);
    test_upstream_count(&t, 400, counts);
    assert_near(counts[0], 100, 1);
    assert_near(counts[1], 100, 1);
    assert_near(counts[2], 200, 1);
    test_upstream_release(&t);
}

static void return_is_no_flood(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[2];
    test_upstream_init(&t, "least_conn", 2);
    test_upstream_start(&t);
    t.shared[0].ejected_until_ms = 5000;
    test_upstream_count(&t, 100, counts);
    assert_int_equal(counts[0], 0);
    t.pick.now_ms = 5000;
    test_upstream_count(&t, 20, counts);
    assert_near(counts[0], 10, 1);
    test_upstream_release(&t);
}

/* 1,000 servers are sampled: the fullest holds hardly more than the mean, the emptiest hardly less.
 */
static void large_tiers_are_nearly_even(void **state)
{
    (void)state;
    static struct test_upstream t;
    test_upstream_init(&t, "least_conn", 1000);
    test_upstream_start(&t);
    for (int i = 0; i < 10000; i++)
        t.shared[test_upstream_pick(&t)].in_flight++;
    for (int i = 0; i < 1000; i++)
        assert_near(t.shared[i].in_flight, 10, 2);
    for (int i = 0; i < 1000; i++)
        t.shared[i].ejected_until_ms = i == 777 ? 0 : 5000;
    assert_int_equal(test_upstream_pick(&t), 777);
    test_upstream_release(&t);
}

static void at_the_size_where_sampling_begins(void **state)
{
    (void)state;
    struct test_upstream t;
    for (uint32_t n = DRAW_ALL_MAX; n <= DRAW_ALL_MAX + 1; n++) {
        int hits = 0;
        test_upstream_init(&t, "least_conn", n);
        test_upstream_start(&t);
        for (uint32_t i = 0; i < n; i++)
            t.shared[i].in_flight = i != 7;
        for (int i = 0; i < 100; i++)
            hits += test_upstream_pick(&t) == 7;
        if (n == DRAW_ALL_MAX)
            assert_int_equal(hits, 100);
        else
            assert_in_range(hits, 3, 60);
        test_upstream_release(&t);
    }
}

/* Every server level, 33 of them: shares by weight also where draws decide. */
static void large_idle_tiers_go_by_weight(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[64];
    test_upstream_init(&t, "least_conn", 64);
    for (int i = 0; i < 64; i++)
        t.up.servers[i].weight = 1 + i % 4;
    test_upstream_start(&t);
    test_upstream_count(&t, 160000, counts);
    assert_true(test_chi_square(&t, counts, 160000) < 103.4); /* 63 degrees, 1 in 1,000 */
    test_upstream_release(&t);
}

static void none_is_none(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_conn", 2);
    test_upstream_start(&t);
    t.up.servers[0].disabled = t.up.servers[1].disabled = true;
    assert_int_equal(test_upstream_pick(&t), -1);
    test_upstream_release(&t);
}

UNIT_SUITE(balancer_least_conn, cmocka_unit_test(fewest_in_flight_wins),
           cmocka_unit_test(load_counts_by_weight),
           cmocka_unit_test(idle_servers_take_turns_by_weight),
           cmocka_unit_test(return_is_no_flood), cmocka_unit_test(large_tiers_are_nearly_even),
           cmocka_unit_test(at_the_size_where_sampling_begins),
           cmocka_unit_test(large_idle_tiers_go_by_weight), cmocka_unit_test(none_is_none));
