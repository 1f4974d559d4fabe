/* grpc_test.c - content types, statuses, grpc-timeout and grpc-message. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc.h"
#include "tests/unit.h"

static void types_of_grpc_are_known(void **state)
{
    (void)state;
    static const char *const yes[] = {"application/grpc", "application/grpc+proto",
                                      "Application/GRPC+json", "application/grpc; charset=x",
                                      "application/grpc ;a=b"};
    static const char *const no[] = {"",
                                     "application/grp",
                                     "application/grpc-web",
                                     "application/grpc-web-text+proto",
                                     "application/grpcx",
                                     "text/grpc"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(grpc_is_type(slice_of(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(grpc_is_type(slice_of(no[i])));
    assert_false(grpc_is_type(SLICE_NONE));
}

static void statuses_map_as_grpc_says(void **state)
{
    (void)state;
    static const uint16_t map[][2] = {{400, 13}, {401, 16}, {403, 7},  {404, 12}, {429, 14},
                                      {502, 14}, {503, 14}, {504, 14}, {413, 8},  {431, 8},
                                      {200, 2},  {302, 2},  {405, 2},  {500, 2},  {408, 2}};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        assert_int_equal(grpc_status_of_http(map[i][0]), map[i][1]);
}

static void errors_say_more_than_their_status(void **state)
{
    (void)state;
    assert_int_equal(grpc_status_of_err(ERR_GRPC_DEADLINE), GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(grpc_status_of_err(ERR_REQUEST_TIMEOUT), GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(grpc_status_of_err(ERR_ORIGIN_FIRST_BYTE_TIMEOUT), GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(grpc_status_of_err(ERR_CONNECT_TIMEOUT), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_err(ERR_CONNECT_REFUSED), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_err(ERR_BODY_TOO_LARGE), GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(grpc_status_of_err(ERR_ORIGIN_HEAD_TOO_LARGE), GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(grpc_status_of_err(ERR_NO_ROUTE), GRPC_UNIMPLEMENTED);
    assert_int_equal(grpc_status_of_err(ERR_INTERNAL), GRPC_UNKNOWN);
}

static void expect_ms(const char *text, int64_t want)
{
    int64_t ms = -1;
    assert_int_equal(grpc_timeout_parse(slice_of(text), &ms), ERR_OK);
    assert_int_equal(ms, want);
}

static void timeouts_have_six_units(void **state)
{
    (void)state;
    expect_ms("1H", 3600000);
    expect_ms("2M", 120000);
    expect_ms("10S", 10000);
    expect_ms("250m", 250);
    expect_ms("0m", 0);
    expect_ms("1000u", 1);
    expect_ms("1001u", 2); /* rounded up: never sooner than asked for */
    expect_ms("1n", 1);
    expect_ms("99999999H", 99999999LL * 3600000);
    expect_ms("00000001S", 1000);
}

static void other_timeouts_are_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "S",   "1",    "123456789S", "1s",  "1h", "-1S",
                                      "+1S", "1 S", "1.5S", " 1S",        "1SS", "x"};
    int64_t ms = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(grpc_timeout_parse(slice_of(bad[i]), &ms), ERR_BAD_NUMBER);
    assert_int_equal(grpc_timeout_parse(SLICE_NONE, &ms), ERR_BAD_NUMBER);
    assert_int_equal(ms, 7);
}

static void expect_written(int64_t ms, const char *want)
{
    char to[GRPC_TIMEOUT_BYTES];
    struct slice got = {to, grpc_timeout_write(to, ms)};
    assert_true(slice_eq(got, slice_of(want)));
}

static void timeouts_are_written_as_fine_as_they_fit(void **state)
{
    (void)state;
    expect_written(1500, "1500m");
    expect_written(0, "1m");
    expect_written(-5, "1m");
    expect_written(99999999, "99999999m");
    expect_written(100000000, "100000S");
    expect_written(99999999LL * 1000 + 999, "99999999S");
    expect_written(100000000LL * 1000, "1666666M");
    expect_written(INT64_MAX, "99999999H");
}

static void expect_message(const char *text, const char *want)
{
    char to[64];
    struct slice got = {to, grpc_message_write(to, slice_of(text))};
    assert_true(slice_eq(got, slice_of(want)));
}

static void messages_are_percent_encoded(void **state)
{
    (void)state;
    expect_message("all is well ~", "all is well ~");
    expect_message("100%", "100%25");
    expect_message("a\r\nb", "a%0D%0Ab");
    expect_message("\xc3\xbc\x7f", "%C3%BC%7F");
    expect_message("", "");
}

UNIT_SUITE(http_grpc, cmocka_unit_test(types_of_grpc_are_known),
           cmocka_unit_test(statuses_map_as_grpc_says),
           cmocka_unit_test(errors_say_more_than_their_status),
           cmocka_unit_test(timeouts_have_six_units),
           cmocka_unit_test(other_timeouts_are_malformed),
           cmocka_unit_test(timeouts_are_written_as_fine_as_they_fit),
           cmocka_unit_test(messages_are_percent_encoded));
