/* maglev_test.c - shares by weight, how many keys move when servers come and go, bounded loads. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing_keyed.h"

static void same_key_same_server(void **state)
{
    (void)state;
    keyed_same_key_same_server("maglev");
}

static void shares_follow_weights(void **state)
{
    (void)state;
    keyed_shares_follow_weights("maglev", TEST_KEYS / 100, TEST_KEYS / 100);
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
    int got[10];
    keyed_ejection_moves_its_own_keys_alone("maglev", got);
    for (int i = 0; i < 10; i++) /* they spread over all the others */
        if (i != 3)
            assert_near(got[i], TEST_KEYS / 10 / 9, TEST_KEYS / 10 / 18);
}

static void hot_key_spills_over(void **state)
{
    (void)state;
    keyed_hot_key_spills_over("maglev");
}

static void bound_off_never_spills(void **state)
{
    (void)state;
    keyed_bound_off_never_spills("maglev");
}

static void no_key_goes_anywhere(void **state)
{
    (void)state;
    keyed_no_key_goes_anywhere("maglev", 150);
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
