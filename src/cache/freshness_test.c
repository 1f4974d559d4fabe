/* freshness_test.c - what may be stored, lifetimes, ages and flags of responses, as tables. What is
 * done with them afterwards: freshness_use_test.c. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/freshness.h"
#include "cache/rules_test.h"

#define DATE     "Date: Sun, 06 Nov 1994 08:49:37 GMT"
#define MODIFIED "Last-Modified: Sun, 06 Nov 1994 07:09:37 GMT" /* 6000 s before */
#define TAG      "ETag: \"a\""
#define CC       "Cache-Control: "
#define CDN      "CDN-Cache-Control: "
#define EXPIRES  "Expires: Sun, 06 Nov 1994 "
#define COOKIE   "Set-Cookie: a=b"
#define AUTH     "Authorization: Basic eDp5"

enum { NONE = -1 };

static const int64_t RECEIVED_MS = 784111777400; /* 400 ms after DATE */

static enum storable judge_by(const struct cache_policy *p, const char *request, uint16_t status,
                              const char *response, int64_t status_lifetime_ms, struct freshness *f)
{
    struct rules_head req, res;
    struct exchange_clock t = {.sent_ms = RECEIVED_MS, .received_ms = RECEIVED_MS};
    rules_head_read(&req, request);
    rules_head_read(&res, response);
    return freshness_judge(p, METHOD_GET, &req.h, status, &res.h, &t, status_lifetime_ms, f);
}

static enum storable judge(const char *request, uint16_t status, const char *response,
                           struct freshness *f)
{
    struct cache_policy p;
    cache_policy_default(&p);
    return judge_by(&p, request, status, response, NONE, f);
}

static const struct {
    const char *request;
    uint16_t status;
    const char *response;
    enum storable expected;
} STORES[] = {
    {"", 200, CC "max-age=60", STORE_YES},
    {"", 200, CC "s-maxage=60", STORE_YES},
    {"", 200, DATE " | " EXPIRES "08:49:38 GMT", STORE_YES},
    {"", 200, DATE " | " MODIFIED, STORE_YES},
    {"Cookie: a=b", 200, CC "max-age=60", STORE_YES},
    {"Pragma: no-cache", 200, CC "max-age=60", STORE_YES},
    {"", 200, CC "max-age=60 | Pragma: no-cache", STORE_YES},
    {CC "no-cache, max-age=0", 200, CC "max-age=60", STORE_YES},
    /* freshness or a validator */
    {"", 200, "", STORE_NO_LIFETIME},
    {"", 200, CC "public", STORE_NO_LIFETIME},
    {"", 200, CC "max-age=0", STORE_NO_LIFETIME},
    {"", 200, CC "max-age=abc", STORE_NO_LIFETIME},
    {"", 200, "Expires: 0", STORE_NO_LIFETIME},
    {"", 200, CC "no-cache", STORE_NO_LIFETIME},
    {"", 200, "ETag:", STORE_NO_LIFETIME},
    {"", 200, TAG, STORE_YES},
    {"", 200, TAG " | " CC "max-age=0", STORE_YES},
    {"", 200, MODIFIED " | " CC "no-cache", STORE_YES},
    {"", 200, CC "no-cache, max-age=60", STORE_YES},
    {"", 200, TAG " | " CC "must-revalidate", STORE_YES},
    /* statuses */
    {"", 204, CC "max-age=60", STORE_YES},
    {"", 302, CC "max-age=60", STORE_YES},
    {"", 404, CC "max-age=60", STORE_YES},
    {"", 503, CC "max-age=60", STORE_YES},
    {"", 299, CC "max-age=60", STORE_YES},
    {"", 499, CC "max-age=60", STORE_YES},
    {"", 599, CC "max-age=60", STORE_YES},
    {"", 103, CC "max-age=60", STORE_STATUS},
    {"", 101, CC "max-age=60", STORE_STATUS},
    {"", 206, CC "max-age=60", STORE_STATUS},
    {"", 206, "", STORE_NO_LIFETIME}, /* the status is asked last */
    {"", 206, CC "no-store, max-age=60", STORE_RESPONSE},
    {"", 304, CC "max-age=60", STORE_STATUS},
    {"Range: bytes=0-1", 200, CC "max-age=60", STORE_YES},
    {"Range: bytes=9-", 416, CC "max-age=60", STORE_STATUS},
    {"", 416, CC "max-age=60", STORE_YES},
    {"If-Match: \"a\"", 412, CC "max-age=60", STORE_STATUS},
    {"If-None-Match: \"a\"", 412, CC "max-age=60", STORE_STATUS},
    {"If-Unmodified-Since: 0", 412, CC "max-age=60", STORE_STATUS},
    {"", 412, CC "max-age=60", STORE_YES},
    /* no-store, private */
    {CC "no-store", 200, CC "max-age=60", STORE_REQUEST},
    {CC "max-age=1 | " CC "no-store", 200, CC "max-age=60", STORE_REQUEST},
    {"", 200, CC "max-age=60, no-store", STORE_RESPONSE},
    {"", 200, CC "max-age=60 | " CC "no-store", STORE_RESPONSE},
    {"", 200, CC "max-age=60, private", STORE_RESPONSE},
    {"", 200, CC "max-age=60, private=\"set-cookie\"", STORE_RESPONSE},
    {"", 200, CC "max-age=60, public, private", STORE_RESPONSE},
    {"", 200, CC "max-age=60, foo=\"no-store\"", STORE_YES},
    {"", 200, CC "max-age=60, no-cache=\"a\"", STORE_YES},
    /* must-understand */
    {"", 200, CC "max-age=60, no-store, must-understand", STORE_YES},
    {"", 200, CC "max-age=60, must-understand", STORE_YES},
    {"", 299, CC "max-age=60, no-store, must-understand", STORE_UNDERSTAND},
    {"", 299, CC "max-age=60, must-understand", STORE_UNDERSTAND},
    {"", 200, CC "max-age=60, must-understand, private", STORE_RESPONSE},
    /* Vary */
    {"", 200, CC "max-age=60 | Vary: Accept", STORE_YES},
    {"", 200, CC "max-age=60 | Vary: *", STORE_VARY},
    {"", 200, CC "max-age=60 | Vary: Accept | Vary: Foo, *", STORE_VARY},
    /* Authorization */
    {AUTH, 200, CC "max-age=60", STORE_AUTHORIZATION},
    {AUTH, 200, CC "max-age=60, public", STORE_YES},
    {AUTH, 200, CC "max-age=60, must-revalidate", STORE_YES},
    {AUTH, 200, CC "s-maxage=60", STORE_YES},
    {AUTH, 200, TAG " | " CC "s-maxage=0", STORE_YES},
    {AUTH, 200, CC "max-age=60, proxy-revalidate", STORE_AUTHORIZATION},
    {AUTH, 200, CC "max-age=60, public | " CDN "max-age=60", STORE_AUTHORIZATION},
    {AUTH, 200, CC "max-age=60 | " CDN "max-age=60, public", STORE_YES},
    /* Set-Cookie */
    {"", 200, COOKIE " | " CC "max-age=60", STORE_YES},
    {"", 200, COOKIE " | " TAG " | " CC "max-age=0", STORE_YES},
    {"", 200, COOKIE " | " DATE " | " MODIFIED, STORE_COOKIE},
    {"", 200, COOKIE " | " TAG " | " CC "no-cache", STORE_COOKIE},
    {"", 200, COOKIE " | " TAG " | " CC "public", STORE_COOKIE},
    /* a targeted field governs alone */
    {"", 200, CC "no-store | " CDN "max-age=60", STORE_YES},
    {"", 200, CC "private | " CDN "max-age=60", STORE_YES},
    {"", 200, CC "max-age=60 | " CDN "no-store", STORE_RESPONSE},
    {"", 200, CC "max-age=60 | " CDN "private, max-age=60", STORE_RESPONSE},
    {"", 200, CC "max-age=60 | " CDN "private=\"a\", max-age=60", STORE_RESPONSE},
    {"", 200, CC "max-age=60 | " CDN "foo", STORE_NO_LIFETIME},
    {"", 200, DATE " | " EXPIRES "08:50:37 GMT | " CDN "foo", STORE_NO_LIFETIME},
    {"", 200, CC "no-store | " CDN "max-age=60, X=1", STORE_RESPONSE},
    {"", 200, CC "no-store | " CDN "max-age = 60", STORE_RESPONSE},
    {"", 200, CC "no-store | " CDN, STORE_RESPONSE},
    {"", 200, CC "no-store | Surrogate-Control: max-age=60", STORE_YES},
    {"", 200, CDN "no-store | Surrogate-Control: max-age=60", STORE_RESPONSE},
    {"", 200, CDN "X | Surrogate-Control: max-age=60", STORE_YES},
    {"", 200, CC "no-store | Other-Cache-Control: max-age=60", STORE_RESPONSE},
};

static void responses_are_stored_or_not(void **state)
{
    (void)state;
    struct freshness f;
    for (size_t i = 0; i < COUNT_OF(STORES); i++) {
        enum storable s = judge(STORES[i].request, STORES[i].status, STORES[i].response, &f);
        if (s != STORES[i].expected)
            fail_msg("%s -> %u %s: %s, not %s", STORES[i].request, STORES[i].status,
                     STORES[i].response, storable_text(s), storable_text(STORES[i].expected));
    }
}

static void only_get_is_stored(void **state)
{
    (void)state;
    struct rules_head req, res;
    struct freshness f;
    struct cache_policy p;
    struct exchange_clock t = {RECEIVED_MS, RECEIVED_MS};
    cache_policy_default(&p);
    rules_head_read(&req, "");
    rules_head_read(&res, CC "max-age=60");
    for (unsigned m = 0; m < METHOD_COUNT; m++) {
        enum storable s = freshness_judge(&p, (enum method)m, &req.h, 200, &res.h, &t, NONE, &f);
        assert_int_equal(s, m == METHOD_GET ? STORE_YES : STORE_METHOD);
        assert_int_equal(f.lifetime_ms, 60000); /* a HEAD brings a stored one up to date */
    }
}

static void requests_may_be_ignored(void **state)
{
    (void)state;
    struct freshness f;
    struct cache_policy p;
    cache_policy_default(&p);
    p.ignore_client_no_store = true;
    assert_int_equal(judge_by(&p, CC "no-store", 200, CC "max-age=60", NONE, &f), STORE_YES);
}

/* What must-understand is about: statuses that RFC 9110 15 defines. */
static void statuses_are_understood(void **state)
{
    (void)state;
    static const uint16_t none[] = {207, 208, 226, 299, 306, 309, 399, 418, 419, 420, 423,
                                    425, 427, 428, 429, 431, 451, 499, 506, 511, 599, 600};
    static const uint16_t known[] = {200, 201, 203, 204, 205, 300, 301, 303, 305, 307, 308,
                                     400, 404, 410, 417, 421, 422, 426, 500, 503, 505};
    struct freshness f;
    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_int_equal(judge("", none[i], CC "max-age=9, must-understand", &f), STORE_UNDERSTAND);
    for (size_t i = 0; i < COUNT_OF(known); i++)
        assert_int_equal(judge("", known[i], CC "max-age=9, must-understand", &f), STORE_YES);
}

static void every_answer_has_a_text(void **state)
{
    (void)state;
    for (unsigned s = 0; s < STORE_COUNT; s++)
        assert_true(strlen(storable_text((enum storable)s)) > 0);
}

/* --- lifetimes -------------------------------------------------------------------------------- */

static const struct {
    uint16_t status;
    const char *response;
    int64_t lifetime_s;
    bool explicit;
} LIFETIMES[] = {
    {200, CC "max-age=60", 60, true},
    {200, CC "max-age=60, s-maxage=10", 10, true},
    {200, CC "s-maxage=0, max-age=60", 0, true},
    {200, CC "s-maxage=x, max-age=60", 0, true},
    {200, CC "max-age=99999999999", 2147483648, true},
    {200, CC "max-age=60 | " DATE " | " EXPIRES "08:49:38 GMT", 60, true},
    {200, CC "max-age=0 | " DATE " | " EXPIRES "08:50:37 GMT", 0, true},
    {200, CC "max-age=x | " DATE " | " EXPIRES "08:50:37 GMT", 0, true},
    {200, CC "max-age =60 | " DATE " | " EXPIRES "08:49:47 GMT", 10, true},
    {206, CC "max-age=60", 60, true},
    /* Expires */
    {200, DATE " | " EXPIRES "08:50:37 GMT", 60, true},
    {200, DATE " | " EXPIRES "08:49:38 GMT", 1, true},
    {200, DATE " | " EXPIRES "08:49:37 GMT", 0, true},
    {200, DATE " | " EXPIRES "08:49:36 GMT", 0, true},
    {200, DATE " | Expires: Sat, 20 Nov 2286 17:46:40 GMT", 9215888223, true},
    {200, "Date: Sun, 06 Nov 1994 08:49:27 GMT | " EXPIRES "08:50:37 GMT", 70, true},
    {200, EXPIRES "08:50:37 GMT", 60, true}, /* the receipt stands in for Date */
    {200, "Date: today | " EXPIRES "08:50:37 GMT", 60, true},
    {200, DATE " | Expires: 0", 0, true},
    {200, DATE " | Expires:", 0, true},
    {200, DATE " | Expires: 0 | " MODIFIED, 0, true},
    {200, DATE " | " EXPIRES "08:50:37 UTC", 0, true},
    {200, DATE " | " EXPIRES "08:50:37 GMT | " EXPIRES "08:50:37 GMT", 0, true},
    {200, DATE " | Expires: sunday, 06-nov-94 08:50:37 gmt", 60, true},
    {200, DATE " | Expires: Sun Nov  6 08:50:37 1994", 60, true},
    /* the heuristic */
    {200, DATE " | " MODIFIED, 600, false},
    {203, DATE " | " MODIFIED, 600, false},
    {204, DATE " | " MODIFIED, 600, false},
    {300, DATE " | " MODIFIED, 600, false},
    {301, DATE " | " MODIFIED, 600, false},
    {308, DATE " | " MODIFIED, 600, false},
    {404, DATE " | " MODIFIED, 600, false},
    {405, DATE " | " MODIFIED, 600, false},
    {410, DATE " | " MODIFIED, 600, false},
    {414, DATE " | " MODIFIED, 600, false},
    {501, DATE " | " MODIFIED, 600, false},
    {201, DATE " | " MODIFIED, 0, false},
    {202, DATE " | " MODIFIED, 0, false},
    {302, DATE " | " MODIFIED, 0, false},
    {307, DATE " | " MODIFIED, 0, false},
    {403, DATE " | " MODIFIED, 0, false},
    {502, DATE " | " MODIFIED, 0, false},
    {503, DATE " | " MODIFIED, 0, false},
    {504, DATE " | " MODIFIED, 0, false},
    {299, DATE " | " MODIFIED, 0, false},
    {299, DATE " | " MODIFIED " | " CC "public", 600, false},
    {503, DATE " | " MODIFIED " | " CC "public", 600, false},
    {200, MODIFIED, 600, false},
    {200, DATE, 0, false},
    {200, DATE " | " TAG, 0, false},
    {200, DATE " | Last-Modified: yesterday", 0, false},
    {200, DATE " | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", 0, false},
    {200, DATE " | Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT", 0, false},
    {200, DATE " | Last-Modified: Thu, 27 Oct 1994 08:49:38 GMT", 86399, false},
    {200, DATE " | Last-Modified: Thu, 27 Oct 1994 08:49:37 GMT", 86400, false},
    {200, DATE " | Last-Modified: Thu, 27 Oct 1994 08:49:27 GMT", 86400, false}, /* the cap */
    {200, DATE " | Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", 86400, false},
    {200, DATE " | " MODIFIED " | " CC "no-cache", 0, false},
    {200, DATE " | " MODIFIED " | " CC "no-cache=\"a\"", 600, false},
    {200, DATE " | " MODIFIED " | " CC "private=\"a\"", 0, false},
    {200, DATE " | " MODIFIED " | " COOKIE, 0, false},
    /* targeted */
    {200, CC "max-age=60 | " CDN "max-age=10", 10, true},
    {200, CC "s-maxage=60 | " CDN "max-age=10, s-maxage=5", 5, true},
    {200, CC "max-age=60 | " CDN "max-age=\"10\"", 0, false},
    {200, CC "max-age=60 | " CDN "max-age=10 | " CDN "s-maxage=20", 20, true},
    {200, CC "max-age=60 | " CDN "max-age=10,", 60, true},
    {200, CDN "foo | " DATE " | " MODIFIED " | " EXPIRES "08:50:37 GMT", 600, false},
};

static void lifetimes_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(LIFETIMES); i++) {
        struct freshness f;
        judge("", LIFETIMES[i].status, LIFETIMES[i].response, &f);
        int64_t ms = f.lifetime_ms;
        bool rounded = ms / 1000 == LIFETIMES[i].lifetime_s; /* a tenth of a second may be left */
        if (!rounded || !!(f.flags & FRESH_EXPLICIT) != LIFETIMES[i].explicit)
            fail_msg("%u %s: %lld ms", LIFETIMES[i].status, LIFETIMES[i].response, (long long)ms);
    }
}

/* `cache 10m`, and lifetimes of statuses. */
static void lifetimes_are_configured(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *response;
        int64_t status_lifetime_ms, lifetime_ms;
        enum storable expected;
    } rows[] = {
        {200, "", NONE, 600000, STORE_YES},
        {404, "", NONE, 600000, STORE_YES},
        {200, DATE " | " MODIFIED, NONE, 600000, STORE_YES},
        {200, CC "max-age=5", NONE, 5000, STORE_YES},
        {200, CC "max-age=0", NONE, 0, STORE_NO_LIFETIME},
        {200, CC "s-maxage=0", NONE, 0, STORE_NO_LIFETIME},
        {200, "Expires: 0", NONE, 0, STORE_NO_LIFETIME},
        {200, CC "no-cache", NONE, 0, STORE_NO_LIFETIME},
        {200, CC "no-store", NONE, 0, STORE_RESPONSE},
        {200, CC "private", NONE, 0, STORE_RESPONSE},
        {200, CC "must-revalidate", NONE, 600000, STORE_YES},
        {200, COOKIE, NONE, 0, STORE_COOKIE},
        {200, CDN "foo", NONE, 600000, STORE_YES},
        {200, CDN "no-cache", NONE, 0, STORE_NO_LIFETIME},
        {302, "", NONE, 0, STORE_NO_LIFETIME},
        {503, "", NONE, 0, STORE_NO_LIFETIME},
        {503, CC "public", NONE, 600000, STORE_YES},
        {404, "", 1000, 1000, STORE_YES},
        {503, "", 1000, 1000, STORE_YES},
        {302, "", 1000, 1000, STORE_YES},
        {404, "", 0, 0, STORE_NO_LIFETIME},
        {404, CC "max-age=5", 1000, 5000, STORE_YES},
        {404, CC "no-store", 1000, 0, STORE_RESPONSE},
        {404, COOKIE, 1000, 0, STORE_COOKIE},
    };
    struct cache_policy p;
    cache_policy_default(&p);
    p.lifetime_ms = 600000;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct freshness f;
        enum storable s =
            judge_by(&p, "", rows[i].status, rows[i].response, rows[i].status_lifetime_ms, &f);
        if (s != rows[i].expected || f.lifetime_ms != rows[i].lifetime_ms)
            fail_msg("row %zu: %s, %lld ms", i, storable_text(s), (long long)f.lifetime_ms);
    }
}

static void heuristic_is_configured(void **state)
{
    (void)state;
    struct freshness f;
    struct cache_policy p;
    cache_policy_default(&p);
    p.heuristic = 2500;
    judge_by(&p, "", 200, DATE " | " MODIFIED, NONE, &f);
    assert_int_equal(f.lifetime_ms, 1500000);
    p.heuristic_max_ms = 7000;
    judge_by(&p, "", 200, DATE " | " MODIFIED, NONE, &f);
    assert_int_equal(f.lifetime_ms, 7000);
    p.heuristic = 0;
    assert_int_equal(judge_by(&p, "", 200, DATE " | " MODIFIED, NONE, &f), STORE_YES);
    assert_int_equal(f.lifetime_ms, 0);
    p.heuristic = 1000;
    p.targeted_count = 0; /* then none governs */
    judge_by(&p, "", 200, CDN "max-age=10 | " CC "max-age=60", NONE, &f);
    assert_int_equal(f.lifetime_ms, 60000);
}

/* --- ages ------------------------------------------------------------------------------------- */

static void ages_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        int64_t delay_ms, age_ms;
    } rows[] = {
        {"", 0, 0},
        {DATE, 0, 0}, /* 400 ms are less than Date can tell */
        {"Date: Sun, 06 Nov 1994 08:49:27 GMT", 0, 10000},
        {"Date: Sun, 06 Nov 1994 08:49:38 GMT", 0, 0},
        {"Date: Sat, 20 Nov 2286 17:46:40 GMT", 0, 0},
        {"Date: Sun, 06 Nov 1994 08:49:27 UTC", 0, 0},
        {DATE " | Age: 30", 0, 30000},
        {"Date: Sun, 06 Nov 1994 08:49:27 GMT | Age: 9", 0, 10000},
        {"Date: Sun, 06 Nov 1994 08:49:27 GMT | Age: 11", 0, 11000},
        {"Date: Sat, 20 Nov 2286 17:46:40 GMT | Age: 7200", 0, 7200000},
        {DATE, 250, 250},
        {DATE " | Age: 30", 250, 30250},
        {"Date: Sun, 06 Nov 1994 08:49:27 GMT", 250, 10000},
        {DATE " | Age: 30, 40", 0, 30000},
        {DATE " | Age: 30 | Age: 40", 0, 30000},
        {DATE " | Age: 30.0", 0, 0},
        {DATE " | Age: -30", 0, 0},
        {DATE " | Age: 99999999999", 0, 2147483648000},
        {DATE " | Age: 30", -50, 30000}, /* a clock that was set back */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rules_head req, res;
        struct freshness f;
        struct cache_policy p;
        struct exchange_clock t = {RECEIVED_MS - rows[i].delay_ms, RECEIVED_MS};
        cache_policy_default(&p);
        rules_head_read(&req, "");
        rules_head_read(&res, rows[i].response);
        (void)freshness_judge(&p, METHOD_GET, &req.h, 200, &res.h, &t, NONE, &f);
        if (f.age_ms != rows[i].age_ms)
            fail_msg("%s: %lld", rows[i].response, (long long)f.age_ms);
        assert_int_equal(f.received_ms, RECEIVED_MS);
    }
}

static void ages_grow(void **state)
{
    (void)state;
    struct freshness f;
    judge("", 200, DATE " | Age: 7200 | " CC "max-age=3600", &f);
    assert_true(freshness_left_ms(&f, RECEIVED_MS) < 0); /* stale at once */
    judge("", 200, DATE " | Age: 2 | " CC "max-age=10", &f);
    assert_int_equal(freshness_age_ms(&f, RECEIVED_MS), 2000);
    assert_int_equal(freshness_age_ms(&f, RECEIVED_MS + 3000), 5000);
    assert_int_equal(freshness_left_ms(&f, RECEIVED_MS + 3000), 5000);
    assert_int_equal(freshness_left_ms(&f, RECEIVED_MS + 8000), 0);
    assert_int_equal(freshness_age_ms(&f, RECEIVED_MS - 1), 2000); /* never younger */
}

/* --- flags ------------------------------------------------------------------------------------ */

static void flags_are_set(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        uint32_t flags;
    } rows[] = {
        {"", 0},
        {CC "max-age=1", FRESH_EXPLICIT},
        {"Expires: 0", FRESH_EXPLICIT},
        {CC "s-maxage=1", FRESH_EXPLICIT | FRESH_MUST_VALIDATE | FRESH_BY_S_MAXAGE},
        {CC "s-maxage=1, must-revalidate", FRESH_EXPLICIT | FRESH_MUST_VALIDATE},
        {CC "must-revalidate", FRESH_MUST_VALIDATE},
        {CC "proxy-revalidate", FRESH_MUST_VALIDATE},
        {CC "no-cache", FRESH_NO_CACHE},
        {CC "no-cache=\"a\"", FRESH_NO_FIELDS},
        {CC "no-cache=\"a\", no-cache", FRESH_NO_CACHE | FRESH_NO_FIELDS},
        {CC "public", FRESH_PUBLIC},
        {CC "immutable", 0},
        {"Pragma: no-cache", 0},
        {TAG, FRESH_VALIDATOR},
        {"ETag: W/\"a\"", FRESH_VALIDATOR},
        {MODIFIED, FRESH_VALIDATOR},
        {"ETag:", 0},
        {COOKIE, FRESH_STRIP_COOKIES},
        {CC "no-cache | " CDN "max-age=1", FRESH_EXPLICIT},
        {CC "max-age=1 | " CDN "no-cache", FRESH_NO_CACHE},
        {CC "max-age=1 | " CDN "must-revalidate", FRESH_MUST_VALIDATE},
    };
    struct freshness f;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        judge("", 200, rows[i].response, &f);
        if (f.flags != rows[i].flags)
            fail_msg("%s: %x", rows[i].response, f.flags);
    }
    struct cache_policy p;
    cache_policy_default(&p);
    p.keep_set_cookie = true;
    judge_by(&p, "", 200, COOKIE " | " CC "max-age=1", NONE, &f);
    assert_int_equal(f.flags, FRESH_EXPLICIT);
}

static void windows_are_read(void **state)
{
    (void)state;
    struct freshness f;
    judge("", 200, CC "max-age=1", &f);
    assert_true(f.swr_s < 0 && f.sie_s < 0);
    judge("", 200, CC "max-age=1, stale-while-revalidate=2, stale-if-error=3", &f);
    assert_true(f.swr_s == 2 && f.sie_s == 3);
    judge("", 200, CC "max-age=1, stale-while-revalidate=0, stale-if-error=x", &f);
    assert_true(f.swr_s == 0 && f.sie_s == 0);
    judge("", 200, CC "stale-while-revalidate=2147483648, stale-if-error=2147483647", &f);
    assert_true(f.swr_s == INT32_MAX && f.sie_s == INT32_MAX);
    judge("", 200, CC "stale-while-revalidate=9 | " CDN "stale-if-error=8", &f);
    assert_true(f.swr_s < 0 && f.sie_s == 8);
}

static void hidden_fields_are_named(void **state)
{
    (void)state;
    struct rules_head r;
    struct cache_policy p;
    cache_policy_default(&p);
    rules_head_read(&r, CC "max-age=1, no-cache=\"a, b\"");
    assert_true(slice_eq(freshness_hidden_fields(&p, &r.h), SLICE("a, b")));
    rules_head_read(&r, CC "max-age=1, no-cache=\"a, b\" | " CDN "no-cache=\"c\"");
    assert_true(slice_eq(freshness_hidden_fields(&p, &r.h), SLICE("c")));
    rules_head_read(&r, CC "no-cache");
    assert_null(freshness_hidden_fields(&p, &r.h).at);
}

UNIT_SUITE(cache_freshness, cmocka_unit_test(responses_are_stored_or_not),
           cmocka_unit_test(only_get_is_stored), cmocka_unit_test(requests_may_be_ignored),
           cmocka_unit_test(statuses_are_understood), cmocka_unit_test(every_answer_has_a_text),
           cmocka_unit_test(lifetimes_are_found), cmocka_unit_test(lifetimes_are_configured),
           cmocka_unit_test(heuristic_is_configured), cmocka_unit_test(ages_are_found),
           cmocka_unit_test(ages_grow), cmocka_unit_test(flags_are_set),
           cmocka_unit_test(windows_are_read), cmocka_unit_test(hidden_fields_are_named));
