/* testing_keyed.h - what every balancer by key has to keep, whatever its table is; for unit tests.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/testing.h"

static inline void keyed_same_key_same_server(const char *balancer)
{
    struct test_upstream t;
    test_upstream_init(&t, balancer, 7);
    test_upstream_start(&t);
    for (int i = 0; i < 100; i++) {
        int first = test_upstream_pick_key(&t, i);
        for (int k = 0; k < 5; k++)
            assert_int_equal(test_upstream_pick_key(&t, i), first);
    }
    test_upstream_release(&t);
}

/* One of five servers weighs as much as six of ten; shares are right within these. */
static inline void keyed_shares_follow_weights(const char *balancer, int heavy_off, int light_off)
{
    struct test_upstream t;
    int counts[5] = {0};
    test_upstream_init(&t, balancer, 5);
    t.up.servers[0].weight = 6;
    test_upstream_start(&t);
    for (int i = 0; i < TEST_KEYS; i++)
        counts[test_upstream_pick_key(&t, i)]++;
    assert_near(counts[0], TEST_KEYS * 6 / 10, heavy_off);
    for (int i = 1; i < 5; i++)
        assert_near(counts[i], TEST_KEYS / 10, light_off);
    test_upstream_release(&t);
}

/* Of ten servers number 3 is ejected and comes back; got[]: who had its keys meanwhile. */
static inline void keyed_ejection_moves_its_own_keys_alone(const char *balancer, int got[10])
{
    static int before[TEST_KEYS], after[TEST_KEYS];
    struct test_upstream t;
    memset(got, 0, 10 * sizeof *got);
    test_upstream_init(&t, balancer, 10);
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
    t.pick.now_ms = 5000;
    test_upstream_pick_keys(&t, after);
    assert_memory_equal(before, after, sizeof before);
    test_upstream_release(&t);
}

/* One hot key and nothing else in flight: it may not bury its server. */
static inline void keyed_hot_key_spills_over(const char *balancer)
{
    struct test_upstream t;
    test_upstream_init(&t, balancer, 10);
    test_upstream_start(&t);
    for (int i = 0; i < 1000; i++)
        t.shared[test_upstream_pick_key(&t, 1)].in_flight++;
    for (int i = 0; i < 10; i++)
        assert_in_range(t.shared[i].in_flight, 0, 125 + 1);
    test_upstream_release(&t);
}

static inline void keyed_bound_off_never_spills(const char *balancer)
{
    struct test_upstream t;
    test_upstream_init(&t, balancer, 10);
    test_upstream_start(&t);
    *(int64_t *)t.up.balancer_conf = CONF_OFF; /* the option is the first field */
    int first = test_upstream_pick_key(&t, 1);
    for (int i = 0; i < 1000; i++)
        t.shared[test_upstream_pick_key(&t, 1)].in_flight++;
    assert_int_equal(t.shared[first].in_flight, 1000);
    test_upstream_release(&t);
}

/* Of 4,000 picks each of four servers gets 1,000, within `off`. */
static inline void keyed_no_key_goes_anywhere(const char *balancer, int off)
{
    struct test_upstream t;
    int counts[4];
    test_upstream_init(&t, balancer, 4);
    test_upstream_start(&t);
    t.pick.key = 0;
    test_upstream_count(&t, 4000, counts);
    for (int i = 0; i < 4; i++)
        assert_near(counts[i], 1000, off);
    test_upstream_release(&t);
}
