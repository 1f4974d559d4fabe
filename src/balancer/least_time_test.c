/* least_time_test.c - quick servers get more, unknown ones are probed once, large tiers too. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

static void latency_set(struct test_upstream *t, int i, int64_t us)
{
    t->shared[i].latency_ewma_us = us;
    t->shared[i].latency_at_ms = t->pick.now_ms;
}

static void the_quickest_idle_one_wins(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_time", 4);
    test_upstream_start(&t);
    for (int i = 0; i < 4; i++)
        latency_set(&t, i, 4000 - 1000 * i + 500);
    for (int i = 0; i < 20; i++)
        assert_int_equal(test_upstream_pick(&t), 3);
    t.shared[3].ejected_until_ms = 5000;
    assert_int_equal(test_upstream_pick(&t), 2);
    test_upstream_release(&t);
}

/* Requests that stay: each gets as many as it can finish in the same time. */
static void load_is_shared_by_speed(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_time", 3);
    test_upstream_start(&t);
    for (int i = 0; i < 3; i++)
        latency_set(&t, i, 1000 << i);
    for (int i = 0; i < 700; i++)
        t.shared[test_upstream_pick(&t)].in_flight++;
    assert_near(t.shared[0].in_flight, 400, 4);
    assert_near(t.shared[1].in_flight, 200, 4);
    assert_near(t.shared[2].in_flight, 100, 4);
    test_upstream_release(&t);
}

static void load_counts_by_weight(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_time", 2);
    t.up.servers[1].weight = 3;
    test_upstream_start(&t);
    latency_set(&t, 0, 1000);
    latency_set(&t, 1, 1000);
    for (int i = 0; i < 400; i++)
        t.shared[test_upstream_pick(&t)].in_flight++;
    assert_near(t.shared[1].in_flight, 300, 5);
    test_upstream_release(&t);
}

static void alike_and_idle_is_shared_by_weight(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[3];
    test_upstream_init(&t, "least_time", 3);
    t.up.servers[2].weight = 2;
    test_upstream_start(&t);
    for (int i = 0; i < 3; i++)
        latency_set(&t, i, 1000);
    test_upstream_count(&t, 4000, counts);
    assert_near(counts[0], 1000, 120);
    assert_near(counts[2], 2000, 120);
    test_upstream_release(&t);
}

static void unknown_is_probed_with_one(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_time", 3);
    test_upstream_start(&t);
    latency_set(&t, 0, 1000);
    latency_set(&t, 1, 2000);
    assert_int_equal(test_upstream_pick(&t), 2);
    t.shared[2].in_flight = 1;
    for (int i = 0; i < 300; i++)
        t.shared[test_upstream_pick(&t)].in_flight++;
    assert_int_equal(t.shared[2].in_flight, 1);
    latency_set(&t, 2, 1000);
    assert_int_equal(test_upstream_pick(&t), 2);
    test_upstream_release(&t);
}

/* 1,000 servers, a tenth of which are slow: those get next to nothing. */
static void large_tiers_are_sampled(void **state)
{
    (void)state;
    static struct test_upstream t;
    static int counts[1000];
    test_upstream_init(&t, "least_time", 1000);
    test_upstream_start(&t);
    for (int i = 0; i < 1000; i++)
        latency_set(&t, i, i < 100 ? 20000 : 1000);
    test_upstream_count(&t, 20000, counts);
    int slow = 0;
    for (int i = 0; i < 100; i++)
        slow += counts[i];
    assert_in_range(slow, 0, 10);
    for (int i = 0; i < 1000; i++)
        t.shared[i].ejected_until_ms = i == 50 ? 0 : 5000;
    assert_int_equal(test_upstream_pick(&t), 50);
    test_upstream_release(&t);
}

static void none_is_none(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "least_time", 2);
    test_upstream_start(&t);
    t.up.servers[0].disabled = t.up.servers[1].disabled = true;
    assert_int_equal(test_upstream_pick(&t), -1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(test_upstream_pick(&t), -1);
    test_upstream_release(&t);
}

UNIT_SUITE(balancer_least_time, cmocka_unit_test(the_quickest_idle_one_wins),
           cmocka_unit_test(load_is_shared_by_speed), cmocka_unit_test(load_counts_by_weight),
           cmocka_unit_test(alike_and_idle_is_shared_by_weight),
           cmocka_unit_test(unknown_is_probed_with_one), cmocka_unit_test(large_tiers_are_sampled),
           cmocka_unit_test(none_is_none));
