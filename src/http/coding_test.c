// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "http/coding.h"
#include "tests/unit.h"

static const uint8_t offered[] = {CODING_ZSTD, CODING_GZIP, CODING_BR};

static void expect(const char *accept, size_t count, enum coding want)
{
    struct coding_weights w;
    coding_weights_parse(slice_of(accept), &w);
    if (coding_choose(&w, offered, count) != want)
        fail_msg("%s", accept);
}

static void best_is_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum coding want;
    } cases[] = {
        {"gzip", CODING_GZIP},
        {"gzip, deflate, br, zstd", CODING_ZSTD},
        {"gzip, deflate, br", CODING_GZIP},
        {"br", CODING_BR},
        {"GZip", CODING_GZIP},
        {"x-gzip", CODING_GZIP},
        {"deflate", CODING_IDENTITY},
        {"", CODING_IDENTITY},
        {" , ,", CODING_IDENTITY},
        {"identity", CODING_IDENTITY},
        {"*", CODING_ZSTD},
        {"*;q=0", CODING_IDENTITY},
        {"zstd;q=0, *", CODING_GZIP},
        {"zstd;q=0, *;q=0.1", CODING_GZIP},
        {"*;q=0, gzip", CODING_GZIP},
        {"gzip;q=0", CODING_IDENTITY},
        {"gzip;q=0.000", CODING_IDENTITY},
        {"gzip;q=0.001", CODING_GZIP},
        {"zstd;q=0.5, gzip;q=0.501", CODING_GZIP},
        {"zstd;q=0.5, gzip;q=0.5", CODING_ZSTD},
        {"gzip ; Q=0 , br ; q=1.000", CODING_BR},
        {"gzip;q=0.5, identity;q=0.6", CODING_IDENTITY},
        {"gzip;q=0.5, identity;q=0.5", CODING_GZIP},
        {"gzip;q=0.5, identity;q=0", CODING_GZIP},
        {"identity;q=0", CODING_IDENTITY},
        {"identity;q=0, *", CODING_ZSTD},
        {"gzip;q=0, gzip", CODING_IDENTITY},
        {"gzip;q=nonsense", CODING_GZIP},
        {"gzippy, gzi, \"gzip\"", CODING_IDENTITY},
        {"gzip;level=1;q=0", CODING_IDENTITY},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(cases[i].accept, COUNT_OF(offered), cases[i].want);
}

static void only_what_is_offered(void **state)
{
    (void)state;
    expect("gzip, zstd;q=0.1", 1, CODING_ZSTD);
    expect("gzip", 1, CODING_IDENTITY);
    expect("gzip, *", 0, CODING_IDENTITY);
}

static void names_are_found(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CODING_COUNT; c++)
        assert_int_equal(coding_find(coding_name((enum coding)c)), c);
    assert_int_equal(coding_find(SLICE("deflate")), CODING_COUNT);
    assert_int_equal(coding_find(SLICE("")), CODING_COUNT);
}

static void types_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *type;
        bool want;
    } cases[] = {
        {"text/html", "text/html", true},
        {"text/html", "Text/HTML ; charset=utf-8", true},
        {"text/html", "text/htm", false},
        {"text/html", "text/html5", false},
        {"text/*", "text/css", true},
        {"text/*", "text/", false},
        {"text/*", "textual/css", false},
        {"*+json", "application/ld+json;x=y", true},
        {"*+json", "application/json", false},
        {"*+json", "+json", false},
        {"*", "a/b", true},
        {"*", "", false},
        {"", "a/b", false},
        {"*", ";charset=x", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (media_type_matches(slice_of(cases[i].pattern), slice_of(cases[i].type)) !=
            cases[i].want)
            fail_msg("%s %s", cases[i].pattern, cases[i].type);
}

UNIT_SUITE(http_coding, cmocka_unit_test(best_is_chosen), cmocka_unit_test(only_what_is_offered),
           cmocka_unit_test(names_are_found), cmocka_unit_test(types_match));
