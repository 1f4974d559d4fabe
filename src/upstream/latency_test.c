/* latency_test.c - rises at once but at most to its double, falls with time, fades without answers.
 */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "upstream/latency.h"

enum { START_MS = 1000 };

static struct server_shared s;

static int reset(void **state)
{
    (void)state;
    s = (struct server_shared){0};
    return 0;
}

static void rises_at_once(void **state)
{
    (void)state;
    assert_int_equal(latency_now(&s, START_MS), 0);
    latency_add(&s, 8000, START_MS);
    assert_int_equal(latency_now(&s, START_MS), 8000);
    latency_add(&s, 15999, START_MS);
    assert_int_equal(latency_now(&s, START_MS), 15999);
}

static void one_outlier_counts_double_at_most(void **state)
{
    (void)state;
    static const int64_t then[] = {2000, 4000, 8000, 16000, 20000, 20000};
    latency_add(&s, 1000, START_MS);
    for (size_t i = 0; i < COUNT_OF(then); i++) {
        latency_add(&s, 20000, START_MS);
        assert_int_equal(latency_now(&s, START_MS), then[i]);
    }
}

static void falls_with_time_not_with_requests(void **state)
{
    (void)state;
    struct server_shared busy = {0};
    latency_add(&s, 100000, START_MS);
    latency_add(&busy, 100000, START_MS);
    for (int ms = 1; ms <= 2000; ms++) {
        if (ms % 100 == 0)
            latency_add(&s, 1000, START_MS + ms);
        for (int k = 0; k < 20; k++)
            latency_add(&busy, 1000, START_MS + ms);
    }
    /* exp(-2) of the difference is left, in steps somewhat more */
    int64_t seldom = latency_now(&s, START_MS + 2000), often = latency_now(&busy, START_MS + 2000);
    assert_in_range(often, 13000, 17000);
    assert_in_range(seldom, often * 9 / 10, often * 11 / 10);
}

static void falls_at_most_so_often(void **state)
{
    (void)state;
    latency_add(&s, 8000, START_MS);
    latency_add(&s, 1000, START_MS + LATENCY_FALL_MS - 1);
    assert_int_equal(latency_now(&s, START_MS), 8000);
    latency_add(&s, 1000, START_MS + LATENCY_FALL_MS);
    assert_int_equal(latency_now(&s, START_MS), 8000 - 7000 * 64 / 1064);
}

static void fades_without_answers(void **state)
{
    (void)state;
    latency_add(&s, 8000, START_MS);
    assert_int_equal(latency_now(&s, START_MS + LATENCY_FADE_MS - 1), 8000);
    assert_int_equal(latency_now(&s, START_MS + LATENCY_FADE_MS), 4000);
    assert_int_equal(latency_now(&s, START_MS + 3 * LATENCY_FADE_MS), 1000);
    assert_int_equal(latency_now(&s, START_MS + 1000ll * LATENCY_FADE_MS), 0);
}

static void silence_is_slowness(void **state)
{
    (void)state;
    latency_add(&s, 8000, START_MS);
    latency_asked(&s, START_MS + 100); /* it had nothing to say before */
    assert_int_equal(latency_now(&s, START_MS + 108), 8000);
    assert_int_equal(latency_now(&s, START_MS + 109), 9000);
    latency_asked(&s, START_MS + 200);
    assert_int_equal(latency_now(&s, START_MS + 300), 200000);
    latency_answered(&s, START_MS + 300); /* one of both */
    assert_int_equal(latency_now(&s, START_MS + 300), 8000);
    assert_int_equal(latency_now(&s, START_MS + 320), 20000);
}

static void silence_counts_up_to_its_limit(void **state)
{
    (void)state;
    latency_asked(&s, START_MS);
    assert_int_equal(latency_now(&s, START_MS + LATENCY_SILENCE_MAX_MS - 1),
                     (LATENCY_SILENCE_MAX_MS - 1) * 1000);
    assert_int_equal(latency_now(&s, START_MS + 10 * LATENCY_SILENCE_MAX_MS),
                     LATENCY_SILENCE_MAX_MS * 1000);
}

static void a_wait_in_vain_is_remembered(void **state)
{
    (void)state;
    latency_add(&s, 8000, START_MS);
    latency_asked(&s, START_MS);
    latency_given_up(&s, 700000, START_MS + 700);
    assert_int_equal(latency_now(&s, START_MS + 701), 700000);
}

/* It is the request that takes long, not the server. */
static void a_long_request_beside_others_says_nothing(void **state)
{
    (void)state;
    latency_add(&s, 8000, START_MS);
    latency_asked(&s, START_MS);
    latency_asked(&s, START_MS);
    latency_answered(&s, START_MS + 695);
    latency_given_up(&s, 700000, START_MS + 700);
    assert_int_equal(latency_now(&s, START_MS + 701), 8000);
}

/* It got another chance and is as slow as it was: that is no outlier. */
static void what_it_was_is_believed(void **state)
{
    (void)state;
    latency_add(&s, 50000, START_MS);
    int64_t later = START_MS + 6 * LATENCY_FADE_MS;
    assert_in_range(latency_now(&s, later), 1, 1000);
    latency_add(&s, 48000, later);
    assert_int_equal(latency_now(&s, later), 48000);
}

#define CASE(f) cmocka_unit_test_setup(f, reset)
UNIT_SUITE(upstream_latency, CASE(rises_at_once), CASE(one_outlier_counts_double_at_most),
           CASE(falls_with_time_not_with_requests), CASE(falls_at_most_so_often),
           CASE(fades_without_answers), CASE(silence_is_slowness),
           CASE(silence_counts_up_to_its_limit), CASE(a_wait_in_vain_is_remembered),
           CASE(a_long_request_beside_others_says_nothing), CASE(what_it_was_is_believed));
