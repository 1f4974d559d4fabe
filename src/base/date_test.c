/* date_test.c - dates with known texts, each day of several centuries against libc, clamping. */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "tests/unit.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static void http_is(int64_t unix_s, const char *due)
{
    char to[DATE_HTTP_BYTES + 1] = {0};
    date_write_http(to, unix_s);
    assert_string_equal(to, due);
}

static void known_dates(void **state)
{
    (void)state;
    http_is(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_is(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110 5.6.7 */
    http_is(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    http_is(1709251199, "Thu, 29 Feb 2024 23:59:59 GMT");
    http_is(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"); /* no leap year */
    http_is(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
    http_is(-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT");
}

static void clamps_to_four_digit_years(void **state)
{
    (void)state;
    http_is(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
    http_is(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
    http_is(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    http_is(-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT");
    http_is(-62167219201, "Sat, 01 Jan 0000 00:00:00 GMT");
    http_is(INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void agrees_with_libc(void **state)
{
    (void)state;
    for (int64_t s = -62167219200; s <= 253402300799; s += 86400 * 29 + 3607) {
        time_t t = (time_t)s;
        struct tm tm;
        char due[64], years[16];
        assert_non_null(gmtime_r(&t, &tm));
        strftime(due, sizeof(due), "%a, %d %b YYYY %H:%M:%S GMT", &tm);
        snprintf(years, sizeof(years), "%04d", tm.tm_year + 1900);
        memcpy(strstr(due, "YYYY"), years, 4);
        http_is(s, due);
    }
}

static void iso_is(int64_t unix_ms, const char *due)
{
    char to[DATE_ISO_BYTES + 1] = {0};
    date_write_iso(to, unix_ms);
    assert_string_equal(to, due);
}

static void iso_with_milliseconds(void **state)
{
    (void)state;
    iso_is(0, "1970-01-01T00:00:00.000Z");
    iso_is(1767323045678, "2026-01-02T03:04:05.678Z");
    iso_is(-1, "1969-12-31T23:59:59.999Z");
    iso_is(253402300799999, "9999-12-31T23:59:59.999Z");
    iso_is(INT64_MAX, "9999-12-31T23:59:59.999Z");
    iso_is(INT64_MIN, "0000-01-01T00:00:00.000Z");
}

static void common_log_format(void **state)
{
    (void)state;
    char to[DATE_CLF_BYTES + 1] = {0};
    date_write_clf(to, 1767323045);
    assert_string_equal(to, "02/Jan/2026:03:04:05 +0000");
}

UNIT_SUITE(base_date, cmocka_unit_test(known_dates), cmocka_unit_test(clamps_to_four_digit_years),
           cmocka_unit_test(agrees_with_libc), cmocka_unit_test(iso_with_milliseconds),
           cmocka_unit_test(common_log_format));
