/* bound_test.c - the sums are right (at once when small, soon when large), and the bound holds. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/bound.h"
#include "upstream/testing.h"

static struct test_upstream t;
static struct bound *b;

static void start(uint32_t count)
{
    test_upstream_init(&t, "maglev", count);
    test_upstream_start(&t);
    b = t.state;
}

static int teardown(void **state)
{
    (void)state;
    test_upstream_release(&t);
    return 0;
}

static void small_sums_are_exact(void **state)
{
    (void)state;
    start(8);
    for (int i = 0; i < 8; i++)
        t.shared[i].in_flight = i;
    bound_renew(b, &t.pick);
    assert_int_equal(b->in_flight[TIER_NEAR], 28);
    assert_int_equal(b->weight[TIER_NEAR], 8000);
    t.shared[7].in_flight = 1;
    t.shared[0].ejected_until_ms = 5000;
    bound_renew(b, &t.pick);
    assert_int_equal(b->in_flight[TIER_NEAR], 22);
    assert_int_equal(b->weight[TIER_NEAR], 7000);
}

static void large_sums_follow(void **state)
{
    (void)state;
    start(80);
    bound_renew(b, &t.pick);
    for (int i = 0; i < 80; i++)
        t.shared[i].in_flight = 10;
    for (int i = 0; i < 20; i++)
        bound_renew(b, &t.pick);
    assert_int_equal(b->in_flight[TIER_NEAR], 800);
    for (int i = 0; i < 80; i++)
        t.shared[i].in_flight = 3;
    t.pick.now_ms += 99;
    bound_renew(b, &t.pick);
    assert_int_equal(b->in_flight[TIER_NEAR], 800 - 4 * 7);
    t.pick.now_ms += 1;
    bound_renew(b, &t.pick);
    assert_int_equal(b->in_flight[TIER_NEAR], 240);
}

static void tiers_are_apart(void **state)
{
    (void)state;
    test_upstream_init(&t, "maglev", 4);
    t.up.servers[3].backup = true;
    t.up.servers[3].weight = 5;
    test_upstream_start(&t);
    b = t.state;
    t.shared[3].in_flight = 100;
    t.shared[0].in_flight = 1;
    bound_renew(b, &t.pick);
    assert_int_equal(b->in_flight[TIER_NEAR], 1);
    assert_int_equal(b->weight[TIER_NEAR], 3000);
    assert_int_equal(b->in_flight[TIER_BACKUP], 100);
    assert_int_equal(b->weight[TIER_BACKUP], 5000);
}

/* 4 servers with 39 in flight: one more makes 10 on the average, so 125 % are 12.5. */
static void at_the_bound_and_past_it(void **state)
{
    (void)state;
    start(4);
    static const int64_t loads[] = {12, 13, 7, 7};
    for (int i = 0; i < 4; i++)
        t.shared[i].in_flight = loads[i];
    bound_renew(b, &t.pick);
    assert_true(bound_allows(b, &t.pick, 0, 12500));
    assert_false(bound_allows(b, &t.pick, 1, 12500));
    assert_true(bound_allows(b, &t.pick, 1, CONF_OFF));
    assert_true(bound_allows(b, &t.pick, 1, 13001));
    assert_false(bound_allows(b, &t.pick, 1, 13000));
}

/* Requests begin and end, half of them with the same key: at no time is a server above the bound
 * by more than what the sum lags behind. */
static void bound_holds_all_the_time(void **state)
{
    (void)state;
    enum { SERVERS = 100, OPEN = 2000, ROUNDS = 60000 };
    static int open[OPEN];
    start(SERVERS);
    for (int i = 0; i < ROUNDS; i++) {
        int *slot = &open[i % OPEN];
        if (i >= OPEN)
            t.shared[*slot].in_flight--;
        *slot = test_upstream_pick_key(&t, i % 2 ? 1 : i);
        t.shared[*slot].in_flight++;
        assert_in_range(t.shared[*slot].in_flight, 0, OPEN / SERVERS * 125 / 100 + 1);
        t.pick.now_ms += i % 10 == 0;
    }
}

#define CASE(f) cmocka_unit_test_teardown(f, teardown)
UNIT_SUITE(upstream_bound, CASE(small_sums_are_exact), CASE(large_sums_follow),
           CASE(tiers_are_apart), CASE(at_the_bound_and_past_it), CASE(bound_holds_all_the_time));
