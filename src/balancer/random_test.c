/* random_test.c - shares by weight, and that the last server left is found. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

static void shares_follow_weights(void **state)
{
    (void)state;
    static const int64_t weights[] = {1, 2, 3, 10, 1, 7, 40, 1};
    enum { SERVERS = COUNT_OF(weights), PICKS = 65000 };
    struct test_upstream t;
    int counts[SERVERS];
    test_upstream_init(&t, "random", SERVERS);
    for (int i = 0; i < SERVERS; i++)
        t.up.servers[i].weight = weights[i];
    test_upstream_start(&t);
    test_upstream_count(&t, PICKS, counts);
    assert_true(test_chi_square(&t, counts, PICKS) < 24.3); /* 7 degrees: 1 in 1,000 by chance */
    test_upstream_release(&t);
}

/* Whoever is left shares by weight what the others do not take. */
static void shares_of_those_left(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[4];
    test_upstream_init(&t, "random", 4);
    t.up.servers[3].weight = 2;
    test_upstream_start(&t);
    t.shared[0].ejected_until_ms = 5000;
    test_upstream_count(&t, 40000, counts);
    assert_int_equal(counts[0], 0);
    assert_near(counts[1], 10000, 400);
    assert_near(counts[2], 10000, 400);
    assert_near(counts[3], 20000, 400);
    test_upstream_release(&t);
}

static void last_server_is_found(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "random", 1000);
    t.up.servers[5].backup = true;
    test_upstream_start(&t);
    for (int i = 0; i < 1000; i++)
        t.shared[i].ejected_until_ms = i == 777 || i == 5 ? 0 : 5000;
    assert_int_equal(test_upstream_pick(&t), 777);
    t.shared[777].ejected_until_ms = 5000;
    assert_int_equal(test_upstream_pick(&t), -1);
    t.pick.tier = TIER_FAR;
    assert_int_equal(test_upstream_pick(&t), -1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(test_upstream_pick(&t), 5);
    test_upstream_release(&t);
}

UNIT_SUITE(balancer_random, cmocka_unit_test(shares_follow_weights),
           cmocka_unit_test(shares_of_those_left), cmocka_unit_test(last_server_is_found));
