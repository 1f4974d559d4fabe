/* retry_test.c - the budget at its limit and one past it, its floor, and the sliding window. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "upstream/retry.h"

enum { SHARE = 2000 /* 20 % */ };

static struct upstream_shared s;

static int reset(void **state)
{
    (void)state;
    s = (struct upstream_shared){0};
    return 0;
}

static void requests(int n, int64_t now_ms)
{
    while (n-- > 0)
        retry_budget_request(&s, now_ms);
}

static int retries(int64_t budget, int64_t now_ms)
{
    int n = 0;
    while (n < 1000 && retry_budget_take(&s, budget, now_ms))
        n++;
    return n;
}

static void at_the_limit_and_one_past(void **state)
{
    (void)state;
    requests(100, 1000);
    for (int i = 0; i < 20; i++)
        assert_true(retry_budget_take(&s, SHARE, 1000));
    assert_false(retry_budget_take(&s, SHARE, 1000));
    assert_int_equal(s.retries_total, 20);
    requests(5, 1000);
    assert_true(retry_budget_take(&s, SHARE, 1000));
    assert_false(retry_budget_take(&s, SHARE, 1000));
}

static void small_traffic_has_a_floor(void **state)
{
    (void)state;
    requests(1, 1000);
    assert_int_equal(retries(SHARE, 1000), RETRY_FLOOR);
}

static void window_slides_by_halves(void **state)
{
    (void)state;
    requests(100, 1000);
    assert_int_equal(retries(SHARE, 1000), 20);
    assert_int_equal(retries(SHARE, 1000 + RETRY_WINDOW_MS / 2 - 1), 0);
    requests(100, 1000 + RETRY_WINDOW_MS / 2);
    assert_int_equal(retries(SHARE, 1000 + RETRY_WINDOW_MS / 2), 20);
    /* the first half is forgotten, the second still counts */
    assert_int_equal(retries(SHARE, 1000 + RETRY_WINDOW_MS), 0);
    assert_int_equal(retries(SHARE, 1000 + 3 * RETRY_WINDOW_MS), RETRY_FLOOR);
}

static void works_at_time_zero(void **state)
{
    (void)state;
    requests(100, 0);
    assert_int_equal(retries(SHARE, 0), 20);
}

static void off_has_no_limit(void **state)
{
    (void)state;
    assert_int_equal(retries(CONF_OFF, 1000), 1000);
}

#define CASE(f) cmocka_unit_test_setup(f, reset)
static void hedges_have_a_budget_of_their_own(void **state)
{
    (void)state;
    requests(100, 1000);
    assert_int_equal(retries(SHARE, 1000), 20);
    for (int i = 0; i < 5; i++)
        assert_true(hedge_budget_take(&s, 500, 1000));
    assert_false(hedge_budget_take(&s, 500, 1000));
    s = (struct upstream_shared){0};
    requests(1, 1000);
    assert_true(hedge_budget_take(&s, 500, 1000)); /* the floor */
    assert_false(hedge_budget_take(&s, 500, 1000));
    assert_true(hedge_budget_take(&s, 500, 1000 + 2 * RETRY_WINDOW_MS));
}

static void a_hedge_waits_for_what_most_answers_take(void **state)
{
    (void)state;
    struct upstream up = {.shared = &s, .hedge.after_ms = 50};
    assert_int_equal(hedge_after_ms(&up), 50);
    up.hedge.after_ms = HEDGE_P95;
    assert_int_equal(hedge_after_ms(&up), HEDGE_NEVER);
    s.limit.p95_us = 12345;
    assert_int_equal(hedge_after_ms(&up), 13);
}

UNIT_SUITE(upstream_retry, CASE(at_the_limit_and_one_past), CASE(small_traffic_has_a_floor),
           CASE(window_slides_by_halves), CASE(works_at_time_zero), CASE(off_has_no_limit),
           cmocka_unit_test_setup(hedges_have_a_budget_of_their_own, reset),
           cmocka_unit_test_setup(a_hedge_waits_for_what_most_answers_take, reset));
