/* two_choices_test.c - shares by weight when idle, evenness under load, slow servers spared. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

static void idle_shares_follow_weights(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[4];
    test_upstream_init(&t, "two_choices", 4);
    t.up.servers[1].weight = 2;
    t.up.servers[2].weight = 3;
    t.up.servers[3].weight = 4;
    test_upstream_start(&t);
    test_upstream_count(&t, 100000, counts);
    for (int i = 0; i < 4; i++)
        assert_near(counts[i], (i + 1) * 10000, 500);
    test_upstream_release(&t);
}

/* Requests that stay: with two choices the fullest of 100 servers holds little more than the mean.
 */
static void load_is_even(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "two_choices", 100);
    test_upstream_start(&t);
    for (int i = 0; i < 10000; i++)
        t.shared[test_upstream_pick(&t)].in_flight++;
    for (int i = 0; i < 100; i++)
        assert_near(t.shared[i].in_flight, 100, 6);
    test_upstream_release(&t);
}

static void load_counts_by_weight(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "two_choices", 2);
    t.up.servers[1].weight = 9;
    test_upstream_start(&t);
    for (int i = 0; i < 1000; i++)
        t.shared[test_upstream_pick(&t)].in_flight++;
    assert_near(t.shared[0].in_flight, 100, 5);
    test_upstream_release(&t);
}

static void slow_server_gets_less(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[3];
    test_upstream_init(&t, "two_choices", 3);
    test_upstream_start(&t);
    for (int i = 0; i < 3; i++) {
        t.shared[i].latency_ewma_us = i == 0 ? 50000 : 1000;
        t.shared[i].latency_at_ms = t.pick.now_ms;
    }
    test_upstream_count(&t, 3000, counts);
    assert_in_range(counts[0], 0, 30);
    assert_near(counts[1], 1500, 120);
    test_upstream_release(&t);
}

/* However rarely the draw hits it: of a few servers the second choice is always found. */
static void a_light_server_is_found_as_second_choice(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "two_choices", 2);
    t.up.servers[0].weight = 1000;
    test_upstream_start(&t);
    t.shared[0].latency_ewma_us = 50000;
    t.shared[1].latency_ewma_us = 1000;
    for (int i = 0; i < 200; i++)
        assert_int_equal(test_upstream_pick(&t), 1);
    test_upstream_release(&t);
}

static void old_latency_fades(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[2];
    test_upstream_init(&t, "two_choices", 2);
    test_upstream_start(&t);
    t.shared[0].latency_ewma_us = 100000;
    t.shared[0].latency_at_ms = t.pick.now_ms;
    t.shared[1].latency_ewma_us = 1000;
    t.pick.now_ms += 60000;
    t.shared[1].latency_at_ms = t.pick.now_ms;
    test_upstream_count(&t, 1000, counts);
    assert_true(counts[0] > 300);
    test_upstream_release(&t);
}

/* Of 10,000 picks those of the quick one; so long do both take. */
static int quick_share(int64_t quick_us, int64_t slow_us, int64_t in_flight)
{
    struct test_upstream t;
    int counts[2];
    test_upstream_init(&t, "two_choices", 2);
    test_upstream_start(&t);
    t.shared[0].latency_ewma_us = quick_us;
    t.shared[1].latency_ewma_us = slow_us;
    t.shared[0].in_flight = t.shared[1].in_flight = in_flight;
    test_upstream_count(&t, 10000, counts);
    test_upstream_release(&t);
    return counts[0];
}

static void small_differences_are_noise(void **state)
{
    (void)state;
    assert_near(quick_share(1000, 1500, 1), 5000, 250);
    assert_int_equal(quick_share(1000, 1501, 1), 10000);
    assert_near(quick_share(1000, 6000, 0), 5000, 250); /* idle: nobody feels it */
    assert_int_equal(quick_share(1000, 6001, 0), 10000);
}

static void last_server_is_found(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "two_choices", 1000);
    test_upstream_start(&t);
    for (int i = 0; i < 1000; i++)
        t.shared[i].ejected_until_ms = i == 777 ? 0 : 5000;
    for (int i = 0; i < 50; i++)
        assert_int_equal(test_upstream_pick(&t), 777);
    t.shared[777].ejected_until_ms = 5000;
    assert_int_equal(test_upstream_pick(&t), -1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(test_upstream_pick(&t), -1);
    test_upstream_release(&t);
}

UNIT_SUITE(balancer_two_choices, cmocka_unit_test(idle_shares_follow_weights),
           cmocka_unit_test(load_is_even), cmocka_unit_test(load_counts_by_weight),
           cmocka_unit_test(slow_server_gets_less), cmocka_unit_test(old_latency_fades),
           cmocka_unit_test(a_light_server_is_found_as_second_choice),
           cmocka_unit_test(small_differences_are_noise), cmocka_unit_test(last_server_is_found));
