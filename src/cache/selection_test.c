/* selection_test.c - names in Vary, pairs of requests that select the same or not, languages. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "cache/rules_test.h"
#include "cache/selection.h"
#include <stdio.h>

static void stars_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        bool any;
    } rows[] = {
        {"", false},          {"Vary:", false},          {"Vary: Accept", false},
        {"Vary: *", true},    {"Vary: Accept, *", true}, {"Vary: *, Accept", true},
        {"Vary: , *", true},  {"Vary: | Vary: *", true}, {"Vary: Accept | Vary: Foo, *", true},
        {"Vary: **", false},  {"Vary: \"*\"", false},    {"Vary: Accept*", false},
        {"X-Vary: *", false},
    };
    struct rules_head r;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (vary_any(rules_head_read(&r, rows[i].head)) != rows[i].any)
            fail_msg("%s", rows[i].head);
}

static void names_are_sorted(void **state)
{
    (void)state;
    static const struct {
        const char *head, *names;
    } rows[] = {
        {"", ""},
        {"Vary:", ""},
        {"Vary: ,", ""},
        {"Vary: Accept", "accept"},
        {"Vary: B, a", "a,b"},
        {"Vary: a,A , a | Vary: A", "a"},
        {"Vary: Accept-Language | Vary: | Vary: Accept,Accept-Encoding",
         "accept,accept-encoding,accept-language"},
        {"Vary: a-b, ab, a", "a,a-b,ab"},
        {"Vary: [, z, _", "[,_,z"},
    };
    struct rules_head r;
    struct arena a;
    arena_init(&a, 64 << 10);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice names = vary_names(rules_head_read(&r, rows[i].head), &a);
        if (!names.at || !slice_eq(names, slice_of(rows[i].names)))
            fail_msg("%s: %.*s", rows[i].head, SLICE_ARG(names));
    }
    arena_release(&a);
}

/* "Vary: f0,f1,..." with so many names, each twice. */
static struct slice many_names(unsigned count, struct arena *a)
{
    struct text t;
    struct rules_head r;
    text_init(&t);
    text_add(&t, SLICE("Vary: "));
    for (unsigned i = 0; i < 2 * count; i++)
        text_addf(&t, "%cF%u", i ? ',' : ' ', i % count);
    struct slice names = vary_names(rules_head_read(&r, t.at), a);
    text_release(&t);
    return names;
}

static void names_have_limits(void **state)
{
    (void)state;
    struct arena a;
    struct rules_head r;
    arena_init(&a, 64 << 10);
    assert_non_null(many_names(SELECTION_FIELDS_MAX, &a).at);
    assert_null(many_names(SELECTION_FIELDS_MAX + 1, &a).at);
    arena_release(&a);
    arena_init(&a, 0);
    assert_null(vary_names(rules_head_read(&r, "Vary: a"), &a).at);
    arena_release(&a);
}

#define LANGUAGE "Accept-Language: "
#define ENCODING "Accept-Encoding: "

static const struct {
    const char *names, *a, *b;
    bool same;
} PAIRS[] = {
    /* absent matches only absent */
    {"foo", "", "", true},
    {"foo", "Foo: 1", "", false},
    {"foo", "Foo:", "", false},
    {"foo", "Foo:", "Foo:", true},
    {"foo", "Foo: 1", "foo: 1", true},
    {"foo", "Foo: 1", "Foo: 2", false},
    {"foo", "Foo: a", "Foo: A", false},
    {"foo", "Foo: 1 | Bar: 1", "Foo: 1 | Bar: 2", true},
    {"bar,foo", "Foo: 1 | Bar: 1", "Foo: 1 | Bar: 2", false},
    {"bar,foo", "Foo: 1", "Bar: 1", false},
    {"bar,foo", "Bar: 1 | Foo: 2", "Foo: 2 | Bar: 1", true},
    /* lines joined, blanks of lists removed */
    {"foo", "Foo: 1,2", "Foo: 1, 2", true},
    {"foo", "Foo: 1,2", "Foo:  1 \t,\t 2 ", true},
    {"foo", "Foo: 1,2", "Foo: 1 | Foo: 2", true},
    {"foo", "Foo: 1 | Foo: 2", "Foo: 2 | Foo: 1", false},
    {"foo", "Foo: 1,2", "Foo: 12", false},
    {"foo", "Foo: 1,2", "Foo: 1,,2", false},
    {"foo", "Foo: 1", "Foo: 1,", false},
    {"foo", "Foo: 1 2", "Foo: 1  2", false},
    {"foo", "Foo: \"1,2\"", "Foo: \"1, 2\"", false},
    {"foo", "Foo: \"1\",2", "Foo: \"1\" , 2", true},
    /* languages */
    {"accept-language", LANGUAGE "en, de", LANGUAGE "de, en", true},
    {"accept-language", LANGUAGE "en, de", LANGUAGE "EN,De", true},
    {"accept-language", LANGUAGE "en, de", LANGUAGE "de | " LANGUAGE "en", true},
    {"accept-language", LANGUAGE "en;q=0.5, de", LANGUAGE "de, en;q=0.500", true},
    {"accept-language", LANGUAGE "en;q=0.5, de", LANGUAGE "de;q=1.0, en ; Q=.5", false},
    {"accept-language", LANGUAGE "en;q=0.5, de", LANGUAGE "de;q=1.000, en ; Q=0.5", true},
    {"accept-language", LANGUAGE "en;q=0.5, de", LANGUAGE "de;q=0.5, en", false},
    {"accept-language", LANGUAGE "en;q=0.5", LANGUAGE "en;q=0.51", false},
    {"accept-language", LANGUAGE "en;q=0", LANGUAGE "en;q=1", false},
    {"accept-language", LANGUAGE "en", LANGUAGE "en-us", false},
    {"accept-language", LANGUAGE "en, *;q=0.1", LANGUAGE "*;q=0.1, en", true},
    {"accept-language", LANGUAGE "en", LANGUAGE "en, en", false},
    {"accept-language", LANGUAGE "", "", false},
    /* what is not well-formed stays as it is */
    {"accept-language", LANGUAGE "en;q=2, de", LANGUAGE "de, en;q=2", false},
    {"accept-language", LANGUAGE "en;q=2, de", LANGUAGE "en;q=2,de", true},
    {"accept-language", LANGUAGE "en;q=x", LANGUAGE "en", false},
    {"accept-language", LANGUAGE "en;q=1.001", LANGUAGE "en", false},
    {"accept-language", LANGUAGE "en;q=0.1234", LANGUAGE "en;q=0.123", false},
    {"accept-language", LANGUAGE "en;level=1", LANGUAGE "en", false},
    {"accept-language", LANGUAGE "en us", LANGUAGE "EN us", false},
    /* codings */
    {"accept-encoding", ENCODING "gzip, br", ENCODING "BR,gzip", true},
    {"accept-encoding", ENCODING "gzip, br", ENCODING "gzip", false},
    {"accept-encoding", ENCODING "gzip", "", false},
    {"accept-encoding", ENCODING "gzip;q=1", ENCODING "gzip", true},
    {"accept-encoding", ENCODING "gzip;q=0", ENCODING "gzip", false},
    {"accept-encoding", ENCODING "x", LANGUAGE "x", false},
    /* other fields have no such form */
    {"accept", "Accept: a/b, c/d", "Accept: c/d, a/b", false},
};

static void pairs_select_the_same_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(PAIRS); i++) {
        struct rules_head a, b;
        uint64_t ha = selection_hash(slice_of(PAIRS[i].names), rules_head_read(&a, PAIRS[i].a));
        uint64_t hb = selection_hash(slice_of(PAIRS[i].names), rules_head_read(&b, PAIRS[i].b));
        assert_true(ha != 0 && hb != 0);
        if ((ha == hb) != PAIRS[i].same)
            fail_msg("row %zu: %s / %s", i, PAIRS[i].a, PAIRS[i].b);
    }
}

static void names_count_too(void **state)
{
    (void)state;
    struct rules_head r;
    const struct headers *h = rules_head_read(&r, "A: 1 | B: 1 | AB: 1");
    assert_int_equal(selection_hash(SLICE(""), h), 0);
    assert_true(selection_hash(SLICE("a"), h) != selection_hash(SLICE("b"), h));
    assert_true(selection_hash(SLICE("a,b"), h) != selection_hash(SLICE("ab"), h));
    assert_true(selection_hash(SLICE("x"), h) != selection_hash(SLICE("y"), h));
}

/* Values around the size of a block, which are hashed piece by piece: each of their bytes counts.
 */
static void long_values_count_whole(void **state)
{
    (void)state;
    static const size_t lengths[] = {500, 506, 507, 508, 509, 510, 511, 512, 513, 1500};
    char text[2000] = "Foo: ";
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct rules_head a;
        memset(text + 5, 'x', lengths[i]);
        text[5 + lengths[i]] = 0;
        uint64_t before = selection_hash(SLICE("foo"), rules_head_read(&a, text));
        assert_true(before == selection_hash(SLICE("foo"), rules_head_read(&a, text)));
        for (size_t k = 5; k < 5 + lengths[i]; k += 7) {
            text[k] = 'y';
            assert_true(before != selection_hash(SLICE("foo"), rules_head_read(&a, text)));
            text[k] = 'x';
        }
    }
}

/* 32 members are sorted, 33 are taken as they stand. */
static void long_lists_stay_as_they_are(void **state)
{
    (void)state;
    for (unsigned count = 32; count <= 33; count++) {
        struct text up, down;
        struct rules_head a, b;
        text_init(&up);
        text_init(&down);
        for (unsigned i = 0; i < count; i++) {
            text_addf(&up, "%s%c%u", i ? "," : LANGUAGE, 'l', 10 + i);
            text_addf(&down, "%s%c%u", i ? "," : LANGUAGE, 'l', 9 + count - i);
        }
        struct slice name = SLICE("accept-language");
        bool same = selection_hash(name, rules_head_read(&a, up.at)) ==
                    selection_hash(name, rules_head_read(&b, down.at));
        assert_int_equal(same, count == 32);
        text_release(&up);
        text_release(&down);
    }
}

/* More values than a thread remembers, again and again: the same answers. */
static void what_is_remembered_is_right(void **state)
{
    (void)state;
    enum { VALUES = 500, ROUNDS = 3 };
    uint64_t hashes[VALUES] = {0};
    for (size_t i = 0; i < (size_t)ROUNDS * VALUES; i++) {
        struct rules_head r;
        char text[32];
        snprintf(text, sizeof text, "Foo: %zu", i % VALUES);
        uint64_t hash = selection_hash(SLICE("foo"), rules_head_read(&r, text));
        if (i >= VALUES)
            assert_true(hash == hashes[i % VALUES]);
        hashes[i % VALUES] = hash;
    }
    for (size_t i = 1; i < VALUES; i++)
        assert_true(hashes[i] != hashes[i - 1]);
}

/* What is on disk has been hashed by another process. */
static void hashes_are_the_same_everywhere(void **state)
{
    (void)state;
    struct rules_head r;
    const struct headers *h = rules_head_read(&r, ENCODING "gzip, br");
    assert_true(selection_hash(SLICE("accept-encoding"), h) == 0x6a0205fb489d4dfu);
}

static void languages_can_be_left_out(void **state)
{
    (void)state;
    struct rules_head a, b;
    struct slice both = SLICE("accept,accept-language"), one = SLICE("accept-language");
    rules_head_read(&a, "Accept: x | " LANGUAGE "en");
    rules_head_read(&b, "Accept: x | " LANGUAGE "de");
    uint64_t hash = selection_hash_without_language(both, &a.h);
    assert_true(selection_hash(both, &a.h) != selection_hash(both, &b.h));
    assert_true(hash != 0 && hash == selection_hash_without_language(both, &b.h));
    rules_head_read(&b, "Accept: y | " LANGUAGE "en");
    assert_true(hash != selection_hash_without_language(both, &b.h));
    assert_true(selection_hash_without_language(one, &a.h) != 0);
    assert_true(selection_hash_without_language(one, &a.h) ==
                selection_hash_without_language(one, &b.h));
    assert_true(selection_hash_without_language(SLICE("accept"), &a.h) == 0);
    assert_true(selection_hash_without_language(SLICE(""), &a.h) == 0);
}

static void one_best_language_matches(void **state)
{
    (void)state;
    static const struct {
        const char *head, *content_language;
        bool matches;
    } rows[] = {
        {LANGUAGE "en", "en", true},
        {LANGUAGE "EN", "en", true},
        {LANGUAGE "en", " En ", true},
        {LANGUAGE "en, de;q=0.5", "en", true},
        {LANGUAGE "de;q=0.5, en", "en", true},
        {LANGUAGE "de;q=0.5 | " LANGUAGE "en;q=0.6", "en", true},
        {LANGUAGE "de;q=0.5, en", "de", false},
        {LANGUAGE "en, de", "en", false},
        {LANGUAGE "en, de", "de", false},
        {LANGUAGE "en", "en-us", false},
        {LANGUAGE "en", "en, de", false},
        {LANGUAGE "en", "", false},
        {LANGUAGE "en;q=0", "en", false},
        {LANGUAGE "*", "en", false},
        {LANGUAGE "en;q=x", "en", false},
        {LANGUAGE "", "", false},
        {"", "en", false},
    };
    struct rules_head r;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (language_matches(rules_head_read(&r, rows[i].head),
                             slice_of(rows[i].content_language)) != rows[i].matches)
            fail_msg("row %zu: %s", i, rows[i].head);
    assert_false(language_matches(rules_head_read(&r, LANGUAGE "en"), SLICE_NONE));
}

UNIT_SUITE(cache_selection, cmocka_unit_test(stars_are_found), cmocka_unit_test(names_are_sorted),
           cmocka_unit_test(names_have_limits), cmocka_unit_test(pairs_select_the_same_or_not),
           cmocka_unit_test(names_count_too), cmocka_unit_test(long_values_count_whole),
           cmocka_unit_test(long_lists_stay_as_they_are),
           cmocka_unit_test(what_is_remembered_is_right),
           cmocka_unit_test(hashes_are_the_same_everywhere),
           cmocka_unit_test(languages_can_be_left_out),
           cmocka_unit_test(one_best_language_matches));
