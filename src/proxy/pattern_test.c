/* pattern_test.c - matching, captures, positions of errors, and hostile subjects. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/snapshot.h"
#include "proxy/pattern.h"
#include "tests/unit.h"

struct fixture {
    struct diag diag;
    struct conf_build build;
    struct conf *conf;
};

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    diag_init(&f->diag);
    f->conf = conf_new(1);
    f->build = (struct conf_build){.arena = &f->conf->arena, .diag = &f->diag, .app = f->conf};
}

static void fixture_release(struct fixture *f)
{
    diag_release(&f->diag);
    conf_free(f->conf);
}

static struct pattern *compile(struct fixture *f, const char *text)
{
    struct conf_word w = {.text = slice_of(text), .pos = {.line = 1, .col = 5}};
    w.pos.len = (uint32_t)w.text.len;
    return pattern_compile(&f->build, &w);
}

static void matches_and_captures(void **state)
{
    (void)state;
    struct fixture f;
    struct slice c[PATTERN_CAPTURES];
    fixture_init(&f);
    struct pattern *p = compile(&f, "^/(a|b)/(x)?(\\d+)$");
    assert_non_null(p);
    assert_true(pattern_match(p, SLICE("/a/17"), c));
    assert_true(slice_eq(c[0], SLICE("/a/17")));
    assert_true(slice_eq(c[1], SLICE("a")));
    assert_null(c[2].at); /* took no part */
    assert_true(slice_eq(c[3], SLICE("17")));
    assert_null(c[4].at);
    assert_false(pattern_match(p, SLICE("/c/17"), c));
    assert_false(pattern_match(p, SLICE("/a/17\n"), c)); /* $ is the very end */
    assert_false(pattern_match(p, SLICE_NONE, NULL));
    fixture_release(&f);
}

static void more_groups_than_captures(void **state)
{
    (void)state;
    struct fixture f;
    struct slice c[PATTERN_CAPTURES];
    fixture_init(&f);
    struct pattern *p = compile(&f, "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)");
    assert_true(pattern_match(p, SLICE("abcdefghijk"), c));
    assert_true(slice_eq(c[9], SLICE("i")));
    fixture_release(&f);
}

static void errors_point_into_the_pattern(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    assert_null(compile(&f, "a(b"));
    assert_int_equal(f.diag.error_count, 1);
    assert_int_equal(f.diag.entries[0].pos.col, 5 + 3);
    assert_null(compile(&f, "*"));
    assert_int_equal(f.diag.error_count, 2);
    fixture_release(&f);
}

/* Takes exponential time without a limit. */
static void runaway_subjects_are_no_match(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct pattern *p = compile(&f, "^(a+)+$");
    char subject[41];
    memset(subject, 'a', sizeof(subject) - 1);
    subject[sizeof(subject) - 1] = '!';
    assert_false(pattern_match(p, (struct slice){subject, sizeof(subject)}, NULL));
    assert_true(pattern_match(p, SLICE("aaaa"), NULL));
    fixture_release(&f);
}

UNIT_SUITE(proxy_pattern, cmocka_unit_test(matches_and_captures),
           cmocka_unit_test(more_groups_than_captures),
           cmocka_unit_test(errors_point_into_the_pattern),
           cmocka_unit_test(runaway_subjects_are_no_match));
