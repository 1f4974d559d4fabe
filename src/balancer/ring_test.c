/* ring_test.c - exactly the keys of a server move when it comes or goes; shares, bounded loads. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing_keyed.h"

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
    keyed_same_key_same_server("ring");
}

static void shares_follow_weights(void **state)
{
    (void)state;
    keyed_shares_follow_weights("ring", TEST_KEYS / 25, TEST_KEYS / 40);
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
    int got[10];
    keyed_ejection_moves_its_own_keys_alone("ring", got);
    for (int i = 0; i < 10; i++) /* they spread over all the others */
        assert_true(i == 3 || got[i] > 0);
}

static void hot_key_spills_over(void **state)
{
    (void)state;
    keyed_hot_key_spills_over("ring");
}

static void bound_off_never_spills(void **state)
{
    (void)state;
    keyed_bound_off_never_spills("ring");
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
    keyed_no_key_goes_anywhere("ring", 300);
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
