/* maglev_test.c - shares by weight, how many keys move when servers come and go, bounded loads. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

static void same_key_same_server(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "maglev", 7);
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
    test_upstream_init(&t, "maglev", 5);
    t.up.servers[0].weight = 6;
    test_upstream_start(&t);
    for (int i = 0; i < TEST_KEYS; i++)
        counts[test_upstream_pick_key(&t, i)]++;
    assert_near(counts[0], TEST_KEYS * 6 / 10, TEST_KEYS / 100);
    for (int i = 1; i < 5; i++)
        assert_near(counts[i], TEST_KEYS / 10, TEST_KEYS / 100);
    test_upstream_release(&t);
}

static void removal_moves_few_others(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 5, 20, 200};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct test_moved m = test_upstream_moved("maglev", counts[i]);
        assert_near(m.own, 1000 / counts[i], 300 / counts[i] + 5);
        assert_in_range(m.others, 0, counts[i] == 2 ? 0 : 10);
    }
}

static void ejection_moves_only_its_own_keys(void **state)
{
    (void)state;
    static int before[TEST_KEYS], after[TEST_KEYS];
    struct test_upstream t;
    int got[10] = {0};
    test_upstream_init(&t, "maglev", 10);
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
    assert_int_equal(got[3], 0);
    for (int i = 0; i < 10; i++) /* they spread over all the others */
        if (i != 3)
            assert_near(got[i], TEST_KEYS / 10 / 9, TEST_KEYS / 10 / 18);
    t.pick.now_ms = 5000;
    test_upstream_pick_keys(&t, after);
    assert_memory_equal(before, after, sizeof before);
    test_upstream_release(&t);
}

/* One hot key and nothing else in flight: it may not bury its server. */
static void hot_key_spills_over(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "maglev", 10);
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
    test_upstream_init(&t, "maglev", 10);
    test_upstream_start(&t);
    *(int64_t *)t.up.balancer_conf = CONF_OFF; /* the option is the first field */
    int first = test_upstream_pick_key(&t, 1);
    for (int i = 0; i < 1000; i++)
        t.shared[test_upstream_pick_key(&t, 1)].in_flight++;
    assert_int_equal(t.shared[first].in_flight, 1000);
    test_upstream_release(&t);
}

static void no_key_goes_anywhere(void **state)
{
    (void)state;
    struct test_upstream t;
    int counts[4];
    test_upstream_init(&t, "maglev", 4);
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
    test_upstream_init(&t, "maglev", 3);
    t.up.servers[2].backup = true;
    test_upstream_start(&t);
    assert_in_range(test_upstream_pick_key(&t, 1), 0, 1);
    t.pick.tier = TIER_BACKUP;
    assert_int_equal(test_upstream_pick_key(&t, 1), 2);
    t.up.servers[2].disabled = true;
    assert_int_equal(test_upstream_pick_key(&t, 1), -1);
    test_upstream_release(&t);
}

static void hash_is_its_name_too(void **state)
{
    (void)state;
    assert_ptr_equal(balancer_find(SLICE("hash")), balancer_find(SLICE("maglev")));
    assert_null(balancer_find(SLICE("")));
}

UNIT_SUITE(balancer_maglev, cmocka_unit_test(hash_is_its_name_too),
           cmocka_unit_test(same_key_same_server), cmocka_unit_test(shares_follow_weights),
           cmocka_unit_test(removal_moves_few_others),
           cmocka_unit_test(ejection_moves_only_its_own_keys),
           cmocka_unit_test(hot_key_spills_over), cmocka_unit_test(bound_off_never_spills),
           cmocka_unit_test(no_key_goes_anywhere), cmocka_unit_test(tiers_and_none));
