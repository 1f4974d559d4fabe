/* cache_control_test.c - what Cache-Control, targeted fields and Age say, as tables; and the
 * fuzzer's corpus. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "http/cache_control_fuzz_priv.h"
#include "tests/corpus.h"

#define NOTHING "-"

/* Newlines part lines of the field. `expected`: flags, then seconds, then names. */
struct row {
    const char *field, *expected;
};

static const struct row LISTS[] = {
    {"", NOTHING},
    {", ,", NOTHING},
    {"no-store", "no-store "},
    {"NO-STORE, No-Cache,pRIVATE", "no-store no-cache private "},
    {"public,must-revalidate\t, proxy-revalidate", "public must-revalidate proxy-revalidate "},
    {"must-understand, no-transform, immutable, only-if-cached",
     "must-understand no-transform immutable only-if-cached "},
    {"\nno-cache", "no-cache "},
    {"public\n, private", "private public "},
    {"nostore, no-stored, no_store", NOTHING},
    {"foo, bar=1, baz=\"no-store, max-age=1\"", NOTHING},
    {"no-store=1", "no-store "},
    {"no-store=\"1\"", "no-store "},
    {"no-store foo", NOTHING},
    {"no-store, \"", "no-store "},
    /* numbers */
    {"max-age=3600", "max-age=3600 "},
    {"MAX-AGE=3600", "max-age=3600 "},
    {"max-age=\"3600\"", "max-age=3600 "},
    {"max-age=0", "max-age=0 "},
    {"max-age=003600", "max-age=3600 "},
    {"max-age=2147483647", "max-age=2147483647 "},
    {"max-age=2147483648", "max-age=2147483648 "},
    {"max-age=2147483649", "max-age=2147483648 "},
    {"max-age=99999999999999999999999999", "max-age=2147483648 "},
    {"max-age='3600'", "max-age=0 "},
    {"max-age=3600.0", "max-age=0 "},
    {"max-age=a3600", "max-age=0 "},
    {"max-age=3600a", "max-age=0 "},
    {"max-age=-1", "max-age=0 "},
    {"max-age=+1", "max-age=0 "},
    {"max-age=\"-1\"", "max-age=0 "},
    {"max-age=\"\"", "max-age=0 "},
    {"max-age", "max-age=0 "},
    {"s-maxage=abc", "s-maxage=0 "},
    {"max-age=", NOTHING},
    {"max-age =3600", NOTHING},
    {"max-age= 3600", NOTHING},
    {"max-age = 3600", NOTHING},
    {"max-age==3600", NOTHING},
    {"max-age=36 00", NOTHING},
    {"max-age=\"3600", NOTHING},
    {"max-age=\"36\"00", NOTHING},
    {"max-age=\"3600\"\"", NOTHING},
    {"=3600", NOTHING},
    {"max-age=1, max-age=2", "max-age=1 "},
    {"max-age=1\nmax-age=2", "max-age=1 "},
    {"max-age=x, max-age=2", "max-age=0 "},
    {"x=\"max-age=5\", max-age=7", "max-age=7 "},
    {"x=\"a\\\", max-age=5\", s-maxage=7", "s-maxage=7 "},
    {"x=\"max-age=5\nmax-age=7", "max-age=7 "}, /* a line ends its quotes */
    {"s-maxage=1, min-fresh=2, max-stale=3, stale-while-revalidate=4, stale-if-error=5",
     "s-maxage=1 min-fresh=2 max-stale=3 swr=4 sie=5 "},
    {"max-stale", "max-stale=any "},
    {"max-stale=x", "max-stale=0 "},
    {"max-stale, max-stale=1", "max-stale=any "},
    /* names */
    {"no-cache=\"a, b\"", "no-cache(a, b) "},
    {"no-cache=a", "no-cache(a) "},
    {"private=\"set-cookie\"", "private(set-cookie) "},
    {"no-cache=\"\"", "no-cache "},
    {"no-cache=\" , \"", "no-cache "},
    {"no-cache=\"a\\b\"", "no-cache "},
    {"no-cache=\"a\", no-cache=\"b\"", "no-cache no-cache(a) "},
    {"no-cache=\"a\", no-cache", "no-cache no-cache(a) "},
    {"no-cache, no-cache=\"a\"", "no-cache no-cache(a) "},
};

static const struct row DICTIONARIES[] = {
    {"no-store", "no-store "},
    {"max-age=60, private", "private max-age=60 "},
    {"foo", "-"}, /* governs, and says nothing */
    {"max-age=60;x=1", "max-age=60 "},
    {"max-age=60\nno-cache", "no-cache max-age=60 "},
    {"max-age=1, max-age=2", "max-age=2 "},
    {"no-store, no-store=?0", NOTHING},
    {"no-store=?1", "no-store "},
    {"no-cache=\"a, b\", private=c", "no-cache(a, b) private(c) "},
    {"no-cache=\"a\", no-cache", "no-cache "},
    {"no-cache, no-cache=\"a\"", "no-cache(a) "},
    {"no-cache=\"\"", "no-cache "},
    {"max-age=2147483649", "max-age=2147483648 "},
    {"max-age=-1", "max-age=0 "},
    {"max-stale", "max-stale=any "},
    {"max-stale=5", "max-stale=5 "},
    /* wrong types are ignored */
    {"max-age=\"1\"", NOTHING},
    {"max-age=1.0, s-maxage=5", "s-maxage=5 "},
    {"max-age=@1", NOTHING},
    {"max-age", NOTHING},
    {"max-age=a", NOTHING},
    {"max-age=5, max-age=a", "max-age=5 "},
    {"no-store=1", NOTHING},
    {"no-store=\"a\"", NOTHING},
    {"no-cache=(\"a\")", NOTHING},
    {"private=5", NOTHING},
};

static const char *const GOVERN_NOT[] = {
    "",
    ",",
    "max-age=60,",
    "max-age=60, , no-store",
    "Max-Age=60",
    "max-age =60",
    "max-age= 60",
    "max-age=60 no-store",
    "max-age=60, no-store&",
    "max-age=60\n",
    "\nmax-age=60",
    "max-age=1000000000000000",
    "max-age='60'",
    "content=\"ESI/1.0\", max-age=3600+600",
};

static void describe_seconds(struct text *t, const char *name, int64_t s)
{
    if (s == INT64_MAX)
        text_addf(t, "%s=any ", name);
    else if (s >= 0)
        text_addf(t, "%s=%lld ", name, (long long)s);
}

static void describe_names(struct text *t, const char *name, struct slice names)
{
    if (names.at)
        text_addf(t, "%s(%.*s) ", name, SLICE_ARG(names));
}

static void describe(struct text *t, const struct cache_control *c)
{
    static const char *const flags[] = {
        "no-store",         "no-cache",        "private",      "public",    "must-revalidate",
        "proxy-revalidate", "must-understand", "no-transform", "immutable", "only-if-cached"};
    text_clear(t);
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        if (c->directives >> i & 1)
            text_addf(t, "%s ", flags[i]);
    describe_seconds(t, "max-age", c->max_age);
    describe_seconds(t, "s-maxage", c->s_maxage);
    describe_seconds(t, "min-fresh", c->min_fresh);
    describe_seconds(t, "max-stale", c->max_stale);
    describe_seconds(t, "swr", c->stale_while_revalidate);
    describe_seconds(t, "sie", c->stale_if_error);
    describe_names(t, "no-cache", c->no_cache_fields);
    describe_names(t, "private", c->private_fields);
    if (t->len == 0)
        text_add(t, SLICE(NOTHING));
}

static void lists_are_read(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    for (size_t i = 0; i < COUNT_OF(LISTS); i++) {
        struct header at[FUZZ_LINES_MAX];
        struct headers h;
        struct cache_control c;
        fuzz_headers(slice_of(LISTS[i].field), FIELD_CACHE_CONTROL, &h, at);
        cache_control_read(&h, &c);
        describe(&t, &c);
        if (strcmp(t.at, LISTS[i].expected) != 0)
            fail_msg("%s: '%s', not '%s'", LISTS[i].field, t.at, LISTS[i].expected);
    }
    text_release(&t);
}

static bool targeted_read(const char *field, struct cache_control *c)
{
    struct header at[FUZZ_LINES_MAX];
    struct headers h;
    fuzz_headers(slice_of(field), FIELD_OTHER, &h, at);
    for (uint32_t i = 0; i < h.count; i++)
        h.at[i].name = SLICE("CDN-Cache-Control");
    return targeted_control_read(&h, SLICE("cdn-cache-control"), c);
}

static void dictionaries_are_read(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    for (size_t i = 0; i < COUNT_OF(DICTIONARIES); i++) {
        struct cache_control c;
        if (!targeted_read(DICTIONARIES[i].field, &c))
            fail_msg("%s does not govern", DICTIONARIES[i].field);
        describe(&t, &c);
        if (strcmp(t.at, DICTIONARIES[i].expected) != 0)
            fail_msg("%s: '%s', not '%s'", DICTIONARIES[i].field, t.at, DICTIONARIES[i].expected);
    }
    text_release(&t);
}

static void broken_dictionaries_say_nothing(void **state)
{
    (void)state;
    struct cache_control c;
    for (size_t i = 0; i < COUNT_OF(GOVERN_NOT); i++) {
        memset(&c, 0x55, sizeof c);
        if (targeted_read(GOVERN_NOT[i], &c))
            fail_msg("'%s' governs", GOVERN_NOT[i]);
        assert_int_equal(c.directives, 0x55555555); /* written only on success */
    }
    struct headers none = {0};
    assert_false(targeted_control_read(&none, SLICE("cdn-cache-control"), &c));
}

static void ages_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        int64_t age;
    } rows[] = {
        {"0", 0},      {"7200", 7200}, {"007", 7}, {"2147483648", 2147483648},
        {"1, 2", 1},   {"1\n2", 1},    {"-1", 0},  {"2147483649", 2147483648},
        {"7200.0", 0}, {"abc", 0},     {"", 0},    {"99999999999999999999", 2147483648},
        {"\"7\"", 0},  {"7 8", 0},     {"+7", 0},  {"x, 7", 0},
        {"7;x=1", 0},  {"0x10", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct header at[FUZZ_LINES_MAX];
        struct headers h;
        fuzz_headers(slice_of(rows[i].field), FIELD_AGE, &h, at);
        if (age_read(&h) != rows[i].age)
            fail_msg("Age: %s is %lld", rows[i].field, (long long)age_read(&h));
    }
    struct headers none = {0};
    assert_int_equal(age_read(&none), 0);
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_cache_control(bytes, len) ? 1 : 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/cache_control/*", 15, replay) >= 5);
}

UNIT_SUITE(http_cache_control, cmocka_unit_test(lists_are_read),
           cmocka_unit_test(dictionaries_are_read),
           cmocka_unit_test(broken_dictionaries_say_nothing), cmocka_unit_test(ages_are_read),
           cmocka_unit_test(corpus_holds));
