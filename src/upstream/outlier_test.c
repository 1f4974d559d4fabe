/* outlier_test.c - series of totals, means that forget the odd one, and who is worse than whom. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "upstream/outlier.h"

static const struct eject_conf conf = {.rate = 5000, .requests = 20, .slow = 5, .max_share = 5000};

static void recent_is_as_long_as_it_must(void **state)
{
    (void)state;
    struct outlier_series s = {0};
    struct outlier_totals t = {0};
    assert_int_equal(outlier_recent(&s, 20).requests, 0);
    outlier_series_add(&s, &t);
    assert_int_equal(outlier_recent(&s, 20).requests, 0); /* one look is no step */
    for (int i = 0; i < 100; i++) {
        t.requests += 8;
        t.failures += i >= 97 ? 8 : 0;
        outlier_series_add(&s, &t);
    }
    assert_int_equal(outlier_recent(&s, 8).requests, 8);
    assert_int_equal(outlier_recent(&s, 20).requests, 24);
    assert_int_equal(outlier_recent(&s, 20).failures, 24);
    assert_int_equal(outlier_recent(&s, 1000).requests, 8 * OUTLIER_STEPS);
    assert_int_equal(outlier_last(&s, 4).requests, 32);
    assert_int_equal(outlier_last(&s, OUTLIER_STEPS).requests, 8 * OUTLIER_STEPS);
}

static void short_series_say_nothing(void **state)
{
    (void)state;
    struct outlier_series s = {0};
    for (int i = 0; i < 4; i++)
        outlier_series_add(&s, &(struct outlier_totals){.requests = i});
    assert_int_equal(outlier_last(&s, 4).requests, 0);
    assert_int_equal(outlier_last(&s, 3).requests, 3);
}

static void logs_are_near(void **state)
{
    (void)state;
    for (int64_t us = 1; us < 100000000; us = us * 5 / 4 + 1) {
        int64_t back = outlier_unlog(outlier_log(us));
        assert_in_range(back, us - us / 50, us + us / 50 + 1);
    }
    assert_int_equal(outlier_log(0), 0);
    assert_int_equal(outlier_log(-5), 0);
    assert_true(outlier_log(INT64_MAX) > outlier_log(INT64_MAX / 2));
}

static struct outlier_totals answers(int64_t n, int64_t us)
{
    return (struct outlier_totals){.requests = n, .answers = n, .log_sum = n * outlier_log(us)};
}

static void one_long_poll_hardly_matters(void **state)
{
    (void)state;
    struct outlier_totals t = answers(19, 5000);
    t.answers++;
    t.log_sum += outlier_log(30 * 1000000);
    assert_in_range(outlier_mean_us(&t), 5000, 10000);
    assert_int_equal(outlier_mean_us(&(struct outlier_totals){0}), 0);
}

static enum outlier_kind judged(const struct outlier_case *c)
{
    return outlier_judge(&conf, c, OUTLIER_COMPARABLE);
}

static void failures_at_the_limits(void **state)
{
    (void)state;
    struct outlier_case c = {.own = answers(20, 1000), .others = answers(100, 1000)};
    c.own.failures = 9;
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.own.failures = 10;
    assert_int_equal(judged(&c), OUTLIER_FAILS);
    c.own.requests = 19;
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.own.requests = 20;
    c.others.failures = 25; /* half as many */
    assert_int_equal(judged(&c), OUTLIER_FAILS);
    c.others.failures = 26; /* the same everywhere: not the server */
    assert_int_equal(judged(&c), OUTLIER_NONE);
}

static void errors_are_compared(void **state)
{
    (void)state;
    struct outlier_case c = {.own = answers(40, 1000), .others = answers(20, 1000)};
    c.own.errors = 20;
    assert_int_equal(judged(&c), OUTLIER_ERRORS);
    assert_int_equal(outlier_judge(&conf, &c, OUTLIER_SPECIAL), OUTLIER_NONE);
    struct eject_conf on = conf;
    on.on = EJECT_ON_5XX;
    assert_int_equal(outlier_judge(&on, &c, OUTLIER_SPECIAL), OUTLIER_ERRORS);
    on.on = EJECT_ON_FAILURES;
    assert_int_equal(outlier_judge(&on, &c, OUTLIER_COMPARABLE), OUTLIER_NONE);
    c.others.requests = 19; /* too few to know better */
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.others = answers(20, 1000);
    c.others.errors = 6;
    assert_int_equal(judged(&c), OUTLIER_NONE);
}

static void slow_ones_stand_out(void **state)
{
    (void)state;
    struct outlier_case c = {
        .own = answers(20, 120000), .others = answers(40, 5000), .median_us = 5000};
    assert_int_equal(judged(&c), OUTLIER_SLOW);
    assert_int_equal(outlier_judge(&conf, &c, OUTLIER_SPECIAL), OUTLIER_NONE);
    c.own = answers(19, 120000);
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.own = answers(20, 24000); /* less than five times */
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.own = answers(20, 10000);
    c.median_us = 500; /* twenty times, but who would notice */
    assert_int_equal(judged(&c), OUTLIER_NONE);
    struct eject_conf off = conf;
    off.slow = CONF_OFF;
    c.own = answers(20, 900000);
    assert_int_equal(outlier_judge(&off, &c, OUTLIER_COMPARABLE), OUTLIER_NONE);
}

static void silent_ones_stand_out(void **state)
{
    (void)state;
    struct outlier_case c = {.own_last = {.requests = 3},
                             .others_last = answers(20, 5000),
                             .median_us = 5000,
                             .in_flight = true};
    assert_int_equal(judged(&c), OUTLIER_STALLS);
    c.own_last.answers = 1;
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.own_last = (struct outlier_totals){.requests = 2};
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.own_last.requests = 3;
    c.others_last = answers(19, 5000);
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.others_last = answers(20, 5000);
    c.median_us = 400000; /* two seconds are nothing special there */
    assert_int_equal(judged(&c), OUTLIER_NONE);
    c.median_us = 5000;
    c.in_flight = false;
    assert_int_equal(judged(&c), OUTLIER_NONE);
}

static void words_are_whole(void **state)
{
    (void)state;
    char to[SERVER_OUTLIER_BYTES];
    struct outlier_case c = {
        .own = answers(20, 120000), .others = answers(40, 5000), .median_us = 5000};
    c.own.errors = 15;
    outlier_write(to, OUTLIER_ERRORS, &c);
    assert_string_equal(
        to, "75 % of its last 20 requests failed or were answered with 5xx, and 0 % of others'");
    outlier_write(to, OUTLIER_SLOW, &c);
    assert_memory_equal(to, "its answers take 1", 18);
    c.own.requests = c.own.failures = 1000000000;
    outlier_write(to, OUTLIER_FAILS, &c);
    assert_true(strlen(to) < sizeof to - 1);
}

UNIT_SUITE(upstream_outlier, cmocka_unit_test(recent_is_as_long_as_it_must),
           cmocka_unit_test(short_series_say_nothing), cmocka_unit_test(logs_are_near),
           cmocka_unit_test(one_long_poll_hardly_matters), cmocka_unit_test(failures_at_the_limits),
           cmocka_unit_test(errors_are_compared), cmocka_unit_test(slow_ones_stand_out),
           cmocka_unit_test(silent_ones_stand_out), cmocka_unit_test(words_are_whole));
