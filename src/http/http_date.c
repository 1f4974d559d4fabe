/* http_date.c - IMF-fixdate, the obsolete RFC 850 form and asctime(), to seconds since 1970.
 *
 * Each form is a pattern of which every byte must fit: a date that is nearly right is no date, and
 * a condition that hangs on it does not hold. Only the case of letters is free (RFC 9111 4.2), and
 * the name of the day is checked for being one only. */
// SPDX-License-Identifier: Apache-2.0
#include "http/http_date.h"
#include "http/nocase.h"

struct date_parts {
    int year, month, day, hour, minute, second;
};

static const char MONTHS[] = "janfebmaraprmayjunjulaugsepoctnovdec";
static const char DAYS[] = "sunmontuewedthufrisat";

/* 50 years of the Gregorian calendar's mean length. */
#define HALF_CENTURY_S ((int64_t)50 * 31556952)

static bool name_find(const char *names, int count, const char *at, int *index)
{
    for (int i = 0; i < count; i++) {
        if (nocase_eq(names + (size_t)3 * (size_t)i, at, 3)) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* One byte of a number, or the blank that asctime() pads a day with. */
static bool digit_add(int *to, char c, char pattern)
{
    if (c == ' ' && pattern == 'D')
        c = '0';
    if (c < '0' || c > '9')
        return false;
    *to = *to * 10 + (c - '0');
    return true;
}

static int *part_of(struct date_parts *p, char pattern)
{
    switch (pattern) {
    case 'Y': return &p->year;
    case 'd':
    case 'D': return &p->day;
    case 'h': return &p->hour;
    case 'm': return &p->minute;
    case 's': return &p->second;
    default: return NULL;
    }
}

static bool literal_fits(char pattern, char c)
{
    bool letter = pattern >= 'A' && pattern <= 'Z';
    return c == pattern || (letter && c == pattern + ('a' - 'A'));
}

/* In a pattern: letters of part_of() are digits, "aaa" a day's name, "bbb" a month's, capitals
 * letters of either case; the rest stands for itself. */
static bool pattern_read(struct slice s, const char *pattern, struct date_parts *p)
{
    int weekday;
    if (s.len != strlen(pattern))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        int *part = part_of(p, pattern[i]);
        if (part) {
            if (!digit_add(part, s.at[i], pattern[i]))
                return false;
        } else if (pattern[i] == 'a' || pattern[i] == 'b') {
            bool day = pattern[i] == 'a';
            if (!name_find(day ? DAYS : MONTHS, day ? 7 : 12, s.at + i, day ? &weekday : &p->month))
                return false;
            i += 2;
        } else if (!literal_fits(pattern[i], s.at[i])) {
            return false;
        }
    }
    return true;
}

/* Days from 1970 to the day of the Gregorian calendar (Hinnant, days_from_civil). */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 1 && leap ? 29 : days[month];
}

/* A leap second is one second later than :59, as everywhere. */
static bool parts_valid(const struct date_parts *p)
{
    return p->day >= 1 && p->day <= month_days(p->year, p->month) && p->hour <= 23 &&
           p->minute <= 59 && p->second <= 60;
}

static int64_t parts_seconds(const struct date_parts *p)
{
    int64_t days = days_from_civil(p->year, p->month + 1, p->day);
    return ((days * 24 + p->hour) * 60 + p->minute) * 60 + p->second;
}

/* The latest year with these two digits that is not more than 50 years ahead (RFC 9110 5.6.7). */
static void century_find(struct date_parts *p, int64_t now_s)
{
    int64_t latest_s = now_s + HALF_CENTURY_S;
    int latest_year = 1970 + (int)(latest_s / 31556952);
    p->year += latest_year / 100 * 100 + 100; /* one century more: the year is an estimate */
    while (parts_seconds(p) > latest_s)
        p->year -= 100;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" (RFC 850): the long name of the day is cut to what a pattern can
 * say. */
static bool rfc850_read(struct slice s, int64_t now_s, struct date_parts *p)
{
    static const struct slice names[] = {SLICE_INIT("Sunday"),   SLICE_INIT("Monday"),
                                         SLICE_INIT("Tuesday"),  SLICE_INIT("Wednesday"),
                                         SLICE_INIT("Thursday"), SLICE_INIT("Friday"),
                                         SLICE_INIT("Saturday")};
    bool named = false;
    size_t comma = slice_find(s, ',');
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        named |= slice_eq_nocase(slice_head(s, comma), names[i]);
    if (!named || !pattern_read(slice_from(s, comma), ", dd-bbb-YY hh:mm:ss GMT", p))
        return false;
    century_find(p, now_s);
    return true;
}

bool http_date_parse(struct slice s, int64_t now_s, int64_t *unix_s)
{
    struct date_parts p = {0};
    bool read = pattern_read(s, "aaa, dd bbb YYYY hh:mm:ss GMT", &p);
    if (!read) {
        p = (struct date_parts){0};
        read = pattern_read(s, "aaa bbb Dd hh:mm:ss YYYY", &p);
    }
    if (!read) {
        p = (struct date_parts){0};
        read = rfc850_read(s, now_s, &p);
    }
    if (!read || !parts_valid(&p))
        return false;
    *unix_s = parts_seconds(&p);
    return true;
}
