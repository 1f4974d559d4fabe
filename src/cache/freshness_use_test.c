/* freshness_use_test.c - what may be done with a stored response by its age, as tables: for
 * clients, when the server fails, when it is dead; and what clients themselves may ask. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/freshness.h"
#include "cache/rules_test.h"
#include <stdio.h>

enum { RECEIVED = 1000000, LIFETIME = 60000, NOT_SAID = -1 };
enum { BY_S_MAXAGE = FRESH_MUST_VALIDATE | FRESH_BY_S_MAXAGE };

static struct cache_policy policy(void)
{
    struct cache_policy p;
    cache_policy_default(&p);
    return p;
}

static struct freshness stored(uint32_t flags, int32_t swr_s, int32_t sie_s)
{
    return (struct freshness){.received_ms = RECEIVED,
                              .lifetime_ms = LIFETIME,
                              .swr_s = swr_s,
                              .sie_s = sie_s,
                              .flags = flags};
}

static struct request_terms terms(const char *request)
{
    struct rules_head r;
    struct request_terms t;
    request_terms_read(rules_head_read(&r, request), CLIENT_CONTROL_FULL, &t);
    return t;
}

/* At an age of so many milliseconds; fresh below LIFETIME. */
static const struct {
    uint32_t flags;
    int32_t swr_s;
    const char *client; /* Cache-Control */
    int64_t age_ms;
    enum usability expected;
} USES[] = {
    {0, 0, "", 0, USE_FRESH},
    {0, 0, "", 59999, USE_FRESH},
    {0, 0, "", 60000, USE_AFTER_VALIDATION},
    {FRESH_MUST_VALIDATE, 0, "", 59999, USE_FRESH},
    {FRESH_MUST_VALIDATE, 0, "", 60000, USE_AFTER_VALIDATION},
    {FRESH_NO_FIELDS, 0, "", 59999, USE_FRESH},
    {FRESH_NO_CACHE, 0, "", 0, USE_AFTER_VALIDATION},
    /* stale-while-revalidate */
    {0, 30, "", 59999, USE_FRESH},
    {0, 30, "", 60000, USE_STALE_REVALIDATE},
    {0, 30, "", 89999, USE_STALE_REVALIDATE},
    {0, 30, "", 90000, USE_AFTER_VALIDATION},
    {FRESH_NO_CACHE, 30, "", 60000, USE_AFTER_VALIDATION},
    {FRESH_MUST_VALIDATE, 30, "", 60000, USE_AFTER_VALIDATION},
    {BY_S_MAXAGE, 30, "", 60000, USE_STALE_REVALIDATE},
    {0, NOT_SAID, "", 60000, USE_AFTER_VALIDATION},
    {0, INT32_MAX, "", (int64_t)INT32_MAX * 1000, USE_STALE_REVALIDATE},
    /* max-age */
    {0, 0, "max-age=10", 9999, USE_FRESH},
    {0, 0, "max-age=10", 10000, USE_AFTER_VALIDATION},
    {0, 0, "max-age=0", 0, USE_AFTER_VALIDATION},
    {0, 0, "max-age=x", 0, USE_AFTER_VALIDATION},
    {0, 0, "max-age=100", 60000, USE_AFTER_VALIDATION},
    {0, 30, "max-age=100", 60000, USE_STALE_REVALIDATE},
    {0, 30, "max-age=10", 60000, USE_AFTER_VALIDATION},
    /* min-fresh */
    {0, 0, "min-fresh=10", 50000, USE_FRESH},
    {0, 0, "min-fresh=10", 50001, USE_AFTER_VALIDATION},
    {0, 0, "min-fresh=61", 0, USE_AFTER_VALIDATION},
    {0, 30, "min-fresh=1", 60000, USE_AFTER_VALIDATION},
    {0, 0, "min-fresh=0", 59999, USE_FRESH},
    {0, 0, "min-fresh=10, max-stale", 55000, USE_AFTER_VALIDATION},
    /* max-stale */
    {0, 0, "max-stale=10", 59999, USE_FRESH},
    {0, 0, "max-stale=10", 60000, USE_STALE_ALLOWED},
    {0, 0, "max-stale=10", 70000, USE_STALE_ALLOWED},
    {0, 0, "max-stale=10", 70001, USE_AFTER_VALIDATION},
    {0, 0, "max-stale", (int64_t)1 << 40, USE_STALE_ALLOWED},
    {0, 0, "max-stale=x", 60001, USE_AFTER_VALIDATION},
    {FRESH_MUST_VALIDATE, 0, "max-stale", 60000, USE_AFTER_VALIDATION},
    {BY_S_MAXAGE, 0, "max-stale", 60000, USE_AFTER_VALIDATION},
    {FRESH_NO_CACHE, 0, "max-stale", 60000, USE_AFTER_VALIDATION},
    {0, 30, "max-stale=100", 60000, USE_STALE_REVALIDATE},
    {0, 30, "max-stale=100", 90000, USE_STALE_ALLOWED},
    {0, 0, "max-age=10, max-stale=5", 15000, USE_STALE_ALLOWED},
    {0, 0, "max-age=10, max-stale=5", 15001, USE_AFTER_VALIDATION},
    {0, 0, "max-age=58, max-stale=5", 63000, USE_STALE_ALLOWED},
    {0, 0, "max-age=58, max-stale=5", 63001, USE_AFTER_VALIDATION},
    {0, 0, "max-age=62, max-stale=5", 65001, USE_AFTER_VALIDATION},
    {FRESH_MUST_VALIDATE, 0, "max-age=10, max-stale=5", 15000, USE_STALE_ALLOWED}, /* fresh */
    /* no-cache */
    {0, 0, "no-cache", 0, USE_AFTER_VALIDATION},
    {0, 30, "no-cache", 60000, USE_AFTER_VALIDATION},
    {0, 0, "no-cache, max-stale", 60000, USE_AFTER_VALIDATION},
    {0, 0, "no-store, only-if-cached", 0, USE_FRESH},
};

static void uses_are_by_age(void **state)
{
    (void)state;
    struct cache_policy p = policy();
    for (size_t i = 0; i < COUNT_OF(USES); i++) {
        char request[80];
        snprintf(request, sizeof request, "Cache-Control: %s", USES[i].client);
        struct freshness f = stored(USES[i].flags, USES[i].swr_s, 0);
        struct request_terms t = terms(request);
        enum usability u = freshness_use(&p, &f, &t, RECEIVED + USES[i].age_ms);
        if (u != USES[i].expected)
            fail_msg("row %zu: %d, not %d", i, u, USES[i].expected);
    }
}

static void no_clock_makes_younger(void **state)
{
    (void)state;
    struct cache_policy p = policy();
    struct freshness f = stored(0, 0, 0);
    struct request_terms t = terms("");
    f.age_ms = 59999;
    assert_int_equal(freshness_use(&p, &f, &t, RECEIVED - 5000), USE_FRESH);
    f.age_ms = 60000;
    assert_int_equal(freshness_use(&p, &f, &t, RECEIVED - 5000), USE_AFTER_VALIDATION);
}

static bool revalidates(const struct cache_policy *p, uint32_t flags, int32_t swr_s, int64_t age_ms)
{
    struct freshness f = stored(flags, swr_s, 0);
    struct request_terms t = terms("");
    return freshness_use(p, &f, &t, RECEIVED + age_ms) == USE_STALE_REVALIDATE;
}

static bool errs(const struct cache_policy *p, uint32_t flags, int32_t sie_s, int64_t age_ms)
{
    struct freshness f = stored(flags, 0, sie_s);
    return freshness_if_error(p, &f, RECEIVED + age_ms);
}

static bool dies(const struct cache_policy *p, uint32_t flags, int32_t sie_s, int64_t age_ms)
{
    struct freshness f = stored(flags, 0, sie_s);
    return freshness_if_dead(p, &f, RECEIVED + age_ms);
}

static void windows_are_configured(void **state)
{
    (void)state;
    struct cache_policy p = policy();
    p.swr_ms = p.sie_ms = 20000;
    assert_true(revalidates(&p, 0, NOT_SAID, 79999));
    assert_false(revalidates(&p, 0, NOT_SAID, 80000));
    assert_true(revalidates(&p, 0, 30, 89999)); /* the response wins, in both directions */
    assert_false(revalidates(&p, 0, 10, 70000));
    assert_false(revalidates(&p, 0, 0, 60000));
    assert_false(revalidates(&p, FRESH_MUST_VALIDATE, NOT_SAID, 60000));
    assert_true(errs(&p, 0, NOT_SAID, 79999));
    assert_false(errs(&p, 0, NOT_SAID, 80000));
    assert_false(errs(&p, 0, 0, 60000));
    assert_true(errs(&p, BY_S_MAXAGE, NOT_SAID, 60000));
}

static void s_maxage_may_be_strict(void **state)
{
    (void)state;
    struct cache_policy p = policy();
    assert_true(revalidates(&p, BY_S_MAXAGE, 30, 60000));
    assert_true(errs(&p, BY_S_MAXAGE, 30, 60000));
    p.strict_stale = true;
    assert_false(revalidates(&p, BY_S_MAXAGE, 30, 60000));
    assert_false(errs(&p, BY_S_MAXAGE, 30, 60000));
    assert_true(revalidates(&p, 0, 30, 60000));
    assert_true(errs(&p, 0, 30, 60000));
}

static void errors_are_bridged(void **state)
{
    (void)state;
    struct cache_policy p = policy();
    assert_true(errs(&p, 0, 30, 60000));
    assert_true(errs(&p, 0, 30, 89999));
    assert_false(errs(&p, 0, 30, 90000));
    assert_false(errs(&p, 0, NOT_SAID, 60000));
    assert_false(errs(&p, 0, 0, 1000)); /* fresh, but the client wanted the server's answer */
    assert_true(errs(&p, 0, 30, 1000));
    assert_false(errs(&p, FRESH_NO_CACHE, 30, 60000));
    assert_false(errs(&p, FRESH_MUST_VALIDATE, 30, 60000));
}

static void dead_servers_are_bridged(void **state)
{
    (void)state;
    struct cache_policy p = policy();
    const int64_t limit = LIFETIME + 3600000;
    assert_true(dies(&p, 0, 0, 1000));
    assert_true(dies(&p, 0, 0, limit - 1));
    assert_false(dies(&p, 0, 0, limit));
    assert_true(dies(&p, 0, 7200, limit)); /* stale-if-error is longer */
    assert_false(dies(&p, FRESH_NO_CACHE, 7200, 1000));
    assert_true(dies(&p, FRESH_MUST_VALIDATE, 0, 59999));
    assert_false(dies(&p, FRESH_MUST_VALIDATE, 30, 60000));
    assert_false(dies(&p, BY_S_MAXAGE, 0, 60000));
    assert_true(dies(&p, BY_S_MAXAGE, 30, 60000));
    p.strict_stale = true;
    assert_false(dies(&p, BY_S_MAXAGE, 30, 60000));
    p.stale_max_ms = 0;
    assert_false(dies(&p, 0, 0, 60000));
    assert_true(dies(&p, 0, 0, 59999));
}

static void terms_are_obeyed_as_configured(void **state)
{
    (void)state;
    struct rules_head r;
    struct request_terms t;
    rules_head_read(&r, "Cache-Control: no-store, no-cache, only-if-cached, max-age=1, "
                        "min-fresh=2, max-stale=3 | Pragma: no-cache");
    request_terms_read(&r.h, CLIENT_CONTROL_IGNORE, &t);
    assert_false(t.no_store || t.no_cache || t.only_if_cached);
    assert_true(t.max_age_ms == -1 && t.min_fresh_ms == -1 && t.max_stale_ms == -1);
    request_terms_read(&r.h, CLIENT_CONTROL_BASIC, &t);
    assert_true(t.no_store && !t.no_cache && t.only_if_cached);
    assert_true(t.max_age_ms == -1 && t.min_fresh_ms == -1 && t.max_stale_ms == -1);
    request_terms_read(&r.h, CLIENT_CONTROL_FULL, &t);
    assert_true(t.no_store && t.no_cache && t.only_if_cached);
    assert_true(t.max_age_ms == 1000 && t.min_fresh_ms == 2000 && t.max_stale_ms == 3000);
}

static void absent_terms_are_none(void **state)
{
    (void)state;
    struct request_terms t = terms("Pragma: no-cache");
    assert_false(t.no_store || t.no_cache || t.only_if_cached);
    assert_true(t.max_age_ms == -1 && t.min_fresh_ms == -1 && t.max_stale_ms == -1);
    assert_true(terms("Cache-Control: max-stale").max_stale_ms == INT64_MAX);
    assert_true(terms("Cache-Control: max-age=99999999999").max_age_ms == DELTA_MAX_S * 1000);
    assert_true(terms("Cache-Control: no-cache=\"a\"").no_cache);
    assert_false(terms("CDN-Cache-Control: no-cache").no_cache); /* of responses only */
}

UNIT_SUITE(cache_freshness_use, cmocka_unit_test(uses_are_by_age),
           cmocka_unit_test(no_clock_makes_younger), cmocka_unit_test(windows_are_configured),
           cmocka_unit_test(s_maxage_may_be_strict), cmocka_unit_test(errors_are_bridged),
           cmocka_unit_test(dead_servers_are_bridged),
           cmocka_unit_test(terms_are_obeyed_as_configured),
           cmocka_unit_test(absent_terms_are_none));
