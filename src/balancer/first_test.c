/* first_test.c - fills servers in order, goes back to earlier ones, in small and large tiers. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

static struct test_upstream t;

static void start(uint32_t count, int64_t max_conns)
{
    test_upstream_init(&t, "first", count);
    for (uint32_t i = 0; i < count; i++)
        t.up.servers[i].max_conns = max_conns;
    test_upstream_start(&t);
}

static int teardown(void **state)
{
    (void)state;
    test_upstream_release(&t);
    return 0;
}

static void fills_in_order(void **state)
{
    (void)state;
    start(100, 2);
    for (int i = 0; i < 200; i++) {
        int k = test_upstream_pick(&t);
        assert_int_equal(k, i / 2);
        t.shared[k].conns++;
    }
    assert_int_equal(test_upstream_pick(&t), -1);
}

static void a_free_place_at_once_in_small_tiers(void **state)
{
    (void)state;
    start(16, 1);
    for (int i = 0; i < 15; i++)
        t.shared[test_upstream_pick(&t)].conns++;
    assert_int_equal(test_upstream_pick(&t), 15);
    t.shared[3].conns = 0;
    assert_int_equal(test_upstream_pick(&t), 3);
}

static void a_free_place_soon_in_large_tiers(void **state)
{
    (void)state;
    start(17, 1);
    for (int i = 0; i < 15; i++)
        t.shared[test_upstream_pick(&t)].conns++;
    assert_int_equal(test_upstream_pick(&t), 15);
    t.shared[3].conns = 0;
    assert_int_equal(test_upstream_pick(&t), 15);
    t.pick.now_ms += 10;
    assert_int_equal(test_upstream_pick(&t), 3);
}

/* The only free place is before where the search begins. */
static void earlier_ones_are_found_when_the_later_are_full(void **state)
{
    (void)state;
    start(100, 1);
    for (int i = 0; i < 100; i++)
        t.shared[test_upstream_pick(&t)].conns++;
    assert_int_equal(test_upstream_pick(&t), -1);
    t.shared[99].conns = 0;
    assert_int_equal(test_upstream_pick(&t), 99);
    t.shared[99].conns = 1;
    t.shared[2].conns = 0;
    assert_int_equal(test_upstream_pick(&t), 2);
}

/* A retry passes its own tried servers by; others do not follow it. */
static void what_one_tried_is_no_hint(void **state)
{
    (void)state;
    start(100, 1);
    uint64_t tried[4] = {0x3};
    t.pick.tried = tried;
    assert_int_equal(test_upstream_pick(&t), 2);
    t.pick.tried = NULL;
    assert_int_equal(test_upstream_pick(&t), 0);
}

static void tiers_and_none(void **state)
{
    (void)state;
    test_upstream_init(&t, "first", 3);
    t.up.servers[0].backup = true;
    test_upstream_start(&t);
    assert_int_equal(test_upstream_pick(&t), 1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(test_upstream_pick(&t), 0);
    t.shared[0].ejected_until_ms = 5000;
    assert_int_equal(test_upstream_pick(&t), -1);
}

#define CASE(f) cmocka_unit_test_teardown(f, teardown)
UNIT_SUITE(balancer_first, CASE(fills_in_order), CASE(a_free_place_at_once_in_small_tiers),
           CASE(a_free_place_soon_in_large_tiers),
           CASE(earlier_ones_are_found_when_the_later_are_full), CASE(what_one_tried_is_no_hint),
           CASE(tiers_and_none));
