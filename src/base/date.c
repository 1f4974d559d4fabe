/* date.c - dates as text, in UTC, without locale, time zone files or time_t.
 *
 * Days become year, month and day after H. Hinnant, "chrono-compatible low-level date algorithms"
 * (2013): years start in March, so that the leap day comes last. Times outside the years 0..9999,
 * which the formats cannot show, are clamped. */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"

static const int64_t FIRST_S = -62167219200; /* 0000-01-01T00:00:00 */
static const int64_t LAST_S = 253402300799;  /* 9999-12-31T23:59:59 */

struct civil {
    unsigned year, month, day; /* month and day from 1 */
    unsigned weekday;          /* 0: Sunday */
    unsigned hour, minute, second;
};

static int64_t clamp(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

enum { ERA_DAYS = 146097 }; /* 400 years, after which the calendar repeats */

static void civil_set_day(struct civil *c, uint64_t days) /* since 0000-01-01 */
{
    /* Since 1 March of the year -400, so that January of the year 0 is not negative. */
    uint64_t shifted = days + ERA_DAYS - 60;
    uint64_t era = shifted / ERA_DAYS, day_of_era = shifted % ERA_DAYS;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t from_march = (5 * day_of_year + 2) / 153; /* month, 0: March */
    c->day = (unsigned)(day_of_year - (153 * from_march + 2) / 5 + 1);
    c->month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    c->year = (unsigned)(year_of_era + era * 400 + (c->month <= 2) - 400);
}

static struct civil civil_of(int64_t unix_s)
{
    struct civil c;
    uint64_t s = (uint64_t)(clamp(unix_s, FIRST_S, LAST_S) - FIRST_S);
    uint64_t days = s / 86400, second = s % 86400;
    civil_set_day(&c, days);
    c.weekday = (unsigned)((days + 6) % 7); /* 0000-01-01 was a Saturday */
    c.hour = (unsigned)(second / 3600);
    c.minute = (unsigned)(second / 60 % 60);
    c.second = (unsigned)(second % 60);
    return c;
}

static char *put2(char *to, unsigned v)
{
    to[0] = (char)('0' + v / 10);
    to[1] = (char)('0' + v % 10);
    return to + 2;
}

static char *put4(char *to, unsigned v)
{
    return put2(put2(to, v / 100), v % 100);
}

static char *put_text(char *to, const char *text, size_t len)
{
    memcpy(to, text, len);
    return to + len;
}

static char *put_month(char *to, unsigned month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    return put_text(to, names + 3 * (month - 1), 3);
}

static char *put_time(char *to, const struct civil *c)
{
    to = put_text(put2(to, c->hour), ":", 1);
    to = put_text(put2(to, c->minute), ":", 1);
    return put2(to, c->second);
}

void date_write_http(char to[DATE_HTTP_BYTES], int64_t unix_s)
{
    static const char weekdays[] = "Sun, Mon, Tue, Wed, Thu, Fri, Sat, ";
    struct civil c = civil_of(unix_s);
    to = put_text(to, weekdays + 5 * c.weekday, 5);
    to = put_text(put2(to, c.day), " ", 1);
    to = put_text(put_month(to, c.month), " ", 1);
    to = put_text(put4(to, c.year), " ", 1);
    put_text(put_time(to, &c), " GMT", 4);
}

void date_write_iso(char to[DATE_ISO_BYTES], int64_t unix_ms)
{
    int64_t ms = clamp(unix_ms, FIRST_S * 1000, LAST_S * 1000 + 999) - FIRST_S * 1000;
    struct civil c = civil_of(ms / 1000 + FIRST_S);
    unsigned fraction = (unsigned)(ms % 1000);
    to = put_text(put4(to, c.year), "-", 1);
    to = put_text(put2(to, c.month), "-", 1);
    to = put_text(put2(to, c.day), "T", 1);
    to = put_text(put_time(to, &c), ".", 1);
    *to++ = (char)('0' + fraction / 100);
    put_text(put2(to, fraction % 100), "Z", 1);
}

void date_write_clf(char to[DATE_CLF_BYTES], int64_t unix_s)
{
    struct civil c = civil_of(unix_s);
    to = put_text(put2(to, c.day), "/", 1);
    to = put_text(put_month(to, c.month), "/", 1);
    to = put_text(put4(to, c.year), ":", 1);
    put_text(put_time(to, &c), " +0000", 6);
}
