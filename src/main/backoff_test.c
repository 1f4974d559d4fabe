/* backoff_test.c - pauses grow, have a limit, and end after a good run. */
// SPDX-License-Identifier: Apache-2.0
#include "main/backoff.h"
#include "tests/unit.h"

static void a_first_death_costs_nothing(void **state)
{
    struct backoff b = {0};
    (void)state;
    assert_int_equal(backoff_after(&b, 0), 0);
}

static void pauses_double_up_to_the_limit(void **state)
{
    struct backoff b = {0};
    int64_t wanted[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_int_equal(backoff_after(&b, BACKOFF_EARLY_MS - 1), wanted[i]);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(backoff_after(&b, 0), BACKOFF_MOST_MS);
    assert_int_equal(b.failures, 1010);
}

static void a_good_run_is_forgiven_all(void **state)
{
    struct backoff b = {0};
    (void)state;
    for (int i = 0; i < 5; i++)
        (void)backoff_after(&b, 0);
    assert_int_equal(backoff_after(&b, BACKOFF_EARLY_MS), 0);
    assert_int_equal(b.failures, 0);
    assert_int_equal(backoff_after(&b, 0), 0);
    assert_int_equal(backoff_after(&b, 0), BACKOFF_FIRST_MS);
}

static void the_count_does_not_overflow(void **state)
{
    struct backoff b = {.failures = UINT32_MAX};
    (void)state;
    assert_int_equal(backoff_after(&b, 0), BACKOFF_MOST_MS);
    assert_int_equal(b.failures, UINT32_MAX);
}

UNIT_SUITE(main_backoff, cmocka_unit_test(a_first_death_costs_nothing),
           cmocka_unit_test(pauses_double_up_to_the_limit),
           cmocka_unit_test(a_good_run_is_forgiven_all),
           cmocka_unit_test(the_count_does_not_overflow));
