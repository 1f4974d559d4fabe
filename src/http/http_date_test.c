/* http_date_test.c - the three forms of an HTTP date, and what is none; and the fuzzer's corpus. */
// SPDX-License-Identifier: Apache-2.0
#include "http/http_date_fuzz_priv.h"
#include "tests/corpus.h"

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

static void letter_case_is_free(void **state)
{
    (void)state;
    expect_date("sun, 06 nov 1994 08:49:37 gmt", 784111777);
    expect_date("SUN, 06 NOV 1994 08:49:37 GMT", 784111777);
    expect_date("sUN, 06 nOV 1994 08:49:37 gMt", 784111777);
    expect_date("sunday, 06-nov-94 08:49:37 gmt", 784111777);
    expect_date("SUNDAY, 06-NOV-94 08:49:37 Gmt", 784111777);
    expect_date("sun nov  6 08:49:37 1994", 784111777);
    expect_date("SUN NOV 06 08:49:37 1994", 784111777);
}

static void seconds_have_64_bits(void **state)
{
    (void)state;
    expect_date("Tue, 19 Jan 2038 03:14:08 GMT", 2147483648);
    expect_date("Sun, 07 Feb 2106 06:28:16 GMT", 4294967296);
    expect_date("Sat, 20 Nov 2286 17:46:40 GMT", 10000000000);
    expect_date("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799);
    expect_date("Sat, 01 Jan 0000 00:00:00 GMT", -62167219200);
}

static void years_of_two_digits_are_near(void **state)
{
    (void)state;
    expect_date("Monday, 01-Jan-75 00:00:00 GMT", 3313526400); /* 2075: in 50 years */
    expect_date("Monday, 25-Nov-75 00:00:00 GMT", 3341865600);
    expect_date("Monday, 27-Nov-75 00:00:00 GMT", 186278400); /* a day more: not 2075 */
    expect_date("Monday, 01-Jan-76 00:00:00 GMT", 189302400);
    expect_date("Tuesday, 29-Feb-00 12:00:00 GMT", 951825600);
    int64_t t = 0; /* at the end of a century the next one is near */
    assert_true(http_date_parse(SLICE("Friday, 01-Jan-00 00:00:00 GMT"), 4102444799, &t));
    assert_int_equal(t, 4102444800);
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
                                       "Sun, 06 Nov 1994 08:49:37 AEST",
                                       "Sun, 06 Nov 1994 08:49:37 +0000",
                                       "Sun, 06 Nov 94 08:49:37 GMT",
                                       "Sun 06 Nov 1994 08:49:37 GMT",
                                       "Sun,06 Nov 1994 08:49:37 GMT",
                                       "Sun,  06 Nov 1994 08:49:37 GMT",
                                       "Sun, 06  Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Nov  1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994  08:49:37 GMT",
                                       "Sun, 06 Nov 1994 08:49:37  GMT",
                                       "Sun, 06-Nov-1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 08.49.37 GMT",
                                       "Sun, 06 Nov 1994 8:49:37 GMT",
                                       "Sun, 06 Nov 1994 08:49 GMT",
                                       "Sun, 06 Nov 1994 08:49:37 GMT ",
                                       " Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-1994 08:49:37 GMT",
                                       "Sunday 06-Nov-94 08:49:37 GMT",
                                       "Sun, 06-Nov-94 08:49:37 GMT",
                                       "Sunday, 6-Nov-94 08:49:37 GMT",
                                       "Sunday, 29-Feb-01 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994 GMT",
                                       "Sun Nov  6 08:49:37 94",
                                       "Sun Nov    08:49:37 1994",
                                       "Sun, Nov  6 08:49:37 1994",
                                       "784111777",
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

static size_t replay(char *bytes, size_t len)
{
    return fuzz_http_date(bytes, len) ? 1 : 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/http_date/*", 10, replay) >= 7);
}

UNIT_SUITE(http_http_date, cmocka_unit_test(three_forms_are_read),
           cmocka_unit_test(letter_case_is_free), cmocka_unit_test(seconds_have_64_bits),
           cmocka_unit_test(corpus_holds), cmocka_unit_test(years_of_two_digits_are_near),
           cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(others_are_refused));
