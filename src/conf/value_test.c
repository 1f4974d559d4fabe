/* value_test.c - each type of value: what it parses to, what it refuses, how it is written. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"

struct value_case {
    enum conf_type type;
    const char *input;
    int64_t value;
    const char *error; /* NULL: it parses */
};

#define SIZE_HINT    " (a size is written like 512B, 10k, 1M or 2G)"
#define TIME_HINT    " (a time is written like 100ms, 5s, 10m, 2h or 1d)"
#define RATE_HINT    " (a rate is written like 10r/s, 600r/m or 1M/s)"
#define PERCENT_HINT " (a percentage is written like 20% or 0.5%)"
#define COUNT_HINT   " (a whole number is written like 0, 1 or 1000)"

static const struct value_case cases[] = {
    {CONF_COUNT, "0", 0, NULL},
    {CONF_COUNT, "-5", -5, NULL},
    {CONF_COUNT, "9223372036854775807", INT64_MAX, NULL},
    {CONF_COUNT, "9223372036854775808", 0, "1:1 '9223372036854775808' is too large"},
    {CONF_COUNT, "99999999999999999999999", 0, "1:1 '99999999999999999999999' is too large"},
    {CONF_COUNT, "1x", 0, "1:1 '1x' is not a whole number" COUNT_HINT},
    {CONF_COUNT, "+1", 0, "1:1 '+1' is not a whole number" COUNT_HINT},
    {CONF_COUNT, "", 0, "1:1 '' is not a whole number" COUNT_HINT},
    {CONF_SIZE, "512B", 512, NULL},
    {CONF_SIZE, "10k", 10240, NULL},
    {CONF_SIZE, "10K", 10240, NULL},
    {CONF_SIZE, "1m", 1 << 20, NULL},
    {CONF_SIZE, "1M", 1 << 20, NULL},
    {CONF_SIZE, "3G", 3LL << 30, NULL},
    {CONF_SIZE, "1T", 1LL << 40, NULL},
    {CONF_SIZE, "8388607T", 8388607LL << 40, NULL},
    {CONF_SIZE, "8388608T", 0, "1:1 '8388608T' is too large"},
    {CONF_SIZE, "10", 0, "1:1 '10' has no unit: a size is due" SIZE_HINT},
    {CONF_SIZE, "10kb", 0, "1:1 '10kb' is not a size" SIZE_HINT},
    {CONF_SIZE, "1.5M", 0, "1:1 '1.5M' is not a size" SIZE_HINT},
    {CONF_SIZE, "-1M", 0, "1:1 '-1M' is not a size" SIZE_HINT},
    {CONF_TIME, "0s", 0, NULL},
    {CONF_TIME, "100ms", 100, NULL},
    {CONF_TIME, "5s", 5000, NULL},
    {CONF_TIME, "10m", 600000, NULL},
    {CONF_TIME, "2h", 7200000, NULL},
    {CONF_TIME, "1d", 86400000, NULL},
    {CONF_TIME, "106751991167d", 106751991167LL * 86400000, NULL},
    {CONF_TIME, "106751991168d", 0, "1:1 '106751991168d' is too large"},
    {CONF_TIME, "5", 0, "1:1 '5' has no unit: a time is due" TIME_HINT},
    {CONF_TIME, "5S", 0, "1:1 '5S' is not a time" TIME_HINT},
    {CONF_TIME, "5s5", 0, "1:1 '5s5' is not a time" TIME_HINT},
    {CONF_TIME, "s", 0, "1:1 's' is not a time" TIME_HINT},
    {CONF_RATE, "10r/s", 10000, NULL},
    {CONF_RATE, "600r/m", 10000, NULL},
    {CONF_RATE, "1r/m", 17, NULL},
    {CONF_RATE, "60r/h", 17, NULL},
    {CONF_RATE, "1M/s", 1048576000, NULL},
    {CONF_RATE, "1r/h", 0, "1:1 '1r/h' is too small"},
    {CONF_RATE, "10", 0, "1:1 '10' has no unit: a rate is due" RATE_HINT},
    {CONF_RATE, "10r", 0, "1:1 '10r' is not a rate" RATE_HINT},
    {CONF_RATE, "10/s", 0, "1:1 '10/s' is not a rate" RATE_HINT},
    {CONF_RATE, "10r/x", 0, "1:1 '10r/x' is not a rate" RATE_HINT},
    {CONF_RATE, "9223372036854775807r/s", 0, "1:1 '9223372036854775807r/s' is too large"},
    {CONF_RATE, "9223372036854776r/m", 0, "1:1 '9223372036854776r/m' is too large"},
    {CONF_PERCENT, "20%", 2000, NULL},
    {CONF_PERCENT, "0.5%", 50, NULL},
    {CONF_PERCENT, "0.05%", 5, NULL},
    {CONF_PERCENT, "12.34%", 1234, NULL},
    {CONF_PERCENT, "12.345%", 0, "1:1 '12.345%' is not a percentage" PERCENT_HINT},
    {CONF_PERCENT, "12.%", 0, "1:1 '12.%' is not a percentage" PERCENT_HINT},
    {CONF_PERCENT, "20", 0, "1:1 '20' has no unit: a percentage is due" PERCENT_HINT},
    {CONF_PERCENT, "92233720368547758.08%", 0, "1:1 '92233720368547758.08%' is too large"},
    {CONF_FLAG, "on", 1, NULL},
    {CONF_FLAG, "off", 0, NULL},
    {CONF_FLAG, "On", 0, "1:1 'On' is neither on nor off (did you mean 'on'?)"},
};

static void parses_and_refuses(void **state)
{
    (void)state;
    static const struct conf_file file = {.path = "t.conf"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct value_case *c = &cases[i];
        struct conf_word w = {.text = slice_of(c->input), .pos = {&file, 1, 1, 1}};
        struct diag d;
        struct text got;
        int64_t value = -77;
        text_init(&got);
        diag_init(&d);
        bool ok = conf_parse_value(&d, c->type, &w, &value);
        test_errors(&d, &got);
        test_same(c->input, &got, c->error ? c->error : "");
        assert_int_equal(ok, c->error == NULL);
        assert_int_equal(value, c->error ? -77 : c->value);
        diag_release(&d);
        text_release(&got);
    }
}

static void check_written(enum conf_type type, int64_t value, const char *want)
{
    struct text got;
    text_init(&got);
    conf_value_write(&got, type, value);
    assert_string_equal(got.at, want);
    text_release(&got);
}

static void writes_in_the_users_units(void **state)
{
    (void)state;
    check_written(CONF_COUNT, 5, "5");
    check_written(CONF_SIZE, 0, "0B");
    check_written(CONF_SIZE, 1023, "1023B");
    check_written(CONF_SIZE, 10240, "10k");
    check_written(CONF_SIZE, 3LL << 30, "3G");
    check_written(CONF_TIME, 0, "0ms");
    check_written(CONF_TIME, 1500, "1500ms");
    check_written(CONF_TIME, 90000, "90s");
    check_written(CONF_TIME, 86400000, "1d");
    check_written(CONF_RATE, 10000, "10r/s");
    check_written(CONF_RATE, 17, "1r/m");
    check_written(CONF_RATE, 1048576000, "1M/s");
    check_written(CONF_PERCENT, 2000, "20%");
    check_written(CONF_PERCENT, 50, "0.5%");
    check_written(CONF_PERCENT, 1205, "12.05%");
}

static bool fits(const struct directive *row, const char *text, int64_t *value)
{
    struct diag d;
    struct conf_word w = {.text = slice_of(text)};
    diag_init(&d);
    bool ok = conf_value_parse(&d, row, &w, value);
    diag_release(&d);
    return ok;
}

static void keeps_the_range(void **state)
{
    (void)state;
    int64_t v;
    struct directive row = {.name = "x", .type = CONF_COUNT, .min = 1, .max = 10};
    assert_true(fits(&row, "1", &v) && fits(&row, "10", &v));
    assert_false(fits(&row, "0", &v) || fits(&row, "11", &v) || fits(&row, "off", &v));
    row.off_ok = true;
    assert_true(fits(&row, "off", &v));
    assert_int_equal(v, CONF_OFF);
    row = (struct directive){.name = "x", .type = CONF_COUNT, .min = 3};
    assert_true(fits(&row, "3", &v) && fits(&row, "9223372036854775807", &v));
    assert_false(fits(&row, "2", &v));
    row = (struct directive){.name = "x", .type = CONF_COUNT};
    assert_true(fits(&row, "0", &v));
    assert_false(fits(&row, "-1", &v));
    row = (struct directive){.name = "x", .type = CONF_COUNT, .min = -5, .max = 5};
    assert_true(fits(&row, "-5", &v));
    assert_false(fits(&row, "-6", &v));
}

UNIT_SUITE(conf_value, cmocka_unit_test(parses_and_refuses),
           cmocka_unit_test(writes_in_the_users_units), cmocka_unit_test(keeps_the_range));
