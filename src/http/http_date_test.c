/* http_date_test.c - the three forms of an HTTP date, and what is none. */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "http/http_date.h"
#include "tests/unit.h"

enum { NOW = 1764115200 }; /* 2025-11-26 */

static void expect_date(const char *text, int64_t expected)
{
    int64_t got = -1;
    if (!http_date_parse(slice_of(text), NOW, &got))
        fail_msg("'%s' is no date", text);
    assert_int_equal(got, expected);
}

static void three_forms_are_read(void **state)
{
    (void)state;
    expect_date("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    expect_date("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    expect_date("Sun Nov  6 08:49:37 1994", 784111777);
    expect_date("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    expect_date("Thu, 29 Feb 2024 23:59:60 GMT", 1709251200);
    expect_date("Wed, 31 Dec 1969 23:59:59 GMT", -1);
}

static void years_of_two_digits_are_near(void **state)
{
    (void)state;
    expect_date("Monday, 01-Jan-75 00:00:00 GMT", 3313526400); /* 2075: in 50 years */
    expect_date("Monday, 01-Jan-76 00:00:00 GMT", 189302400);  /* not 2076 */
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (int64_t t = -86400; t < 4102444800; t += 7654321) {
        char text[DATE_HTTP_BYTES + 1] = "";
        date_write_http(text, t);
        expect_date(text, t);
    }
}

static void others_are_refused(void **state)
{
    (void)state;
    static const char *const none[] = {"",
                                       "0",
                                       "Sun, 06 Nov 1994 08:49:37",
                                       "Sun, 06 Nov 1994 08:49:37 UTC",
                                       "Sun, 6 Nov 1994 08:49:37 GMT",
                                       "Sun, 31 Nov 1994 08:49:37 GMT",
                                       "Sun, 29 Feb 2023 08:49:37 GMT",
                                       "Sun, 00 Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 24:00:00 GMT",
                                       "Sun, 06 Nov 1994 08:60:37 GMT",
                                       "Sun, 06 Nov 1994 08:49:61 GMT",
                                       "Xxx, 06 Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Xov 1994 08:49:37 GMT",
                                       "Someday, 06-Nov-94 08:49:37 GMT",
                                       ", 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov 6 08:49:37 1994"};
    int64_t t;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (http_date_parse(slice_of(none[i]), NOW, &t))
            fail_msg("'%s' is a date", none[i]);
}

UNIT_SUITE(http_http_date, cmocka_unit_test(three_forms_are_read),
           cmocka_unit_test(years_of_two_digits_are_near),
           cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(others_are_refused));
