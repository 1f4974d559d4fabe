/* build_test.c - values into fields: defaults, options, typed rows and apply(). */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"

static void build(const char *input, struct test_site *out)
{
    struct test_conf t;
    test_read(&t, NULL, input);
    conf_check(&test_schema, t.tree, &t.diag);
    assert_int_equal(t.diag.count, 0);
    struct conf_build b = {.arena = &t.arena, .diag = &t.diag, .schema = &test_schema};
    *out = (struct test_site){0};
    conf_defaults(test_rows, IN_TOP | IN_SITE, out);
    conf_apply_block(&b, out, &t.tree->root);
    assert_int_equal(t.diag.count, 0);
    out->title = slice_eq(out->title, SLICE("x y")) ? SLICE("x y") : SLICE_NONE;
    test_release(&t);
}

static void sets_defaults(void **state)
{
    (void)state;
    struct test_site s;
    build("", &s);
    assert_int_equal(s.workers, 2);
    assert_int_equal(s.window_ms, 10000);
    assert_int_equal(s.body_bytes, 1 << 20);
    assert_int_equal(s.rate, 10000);
    assert_int_equal(s.share, 2000);
    assert_int_equal(s.level, 1);
    assert_true(s.http2);
    assert_false(s.strict);
}

static void applies_typed_rows(void **state)
{
    (void)state;
    struct test_site s;
    build("workers 4\nwindow off\nsite a {\n body 2k\n rate 60r/m\n share 0.5%\n level high\n"
          "http2 off\n strict\n title \"x y\"\n}",
          &s);
    assert_int_equal(s.workers, 4);
    assert_int_equal(s.window_ms, CONF_OFF);
    assert_int_equal(s.body_bytes, 2048);
    assert_int_equal(s.rate, 1000);
    assert_int_equal(s.share, 50);
    assert_int_equal(s.level, 2);
    assert_false(s.http2);
    assert_true(s.strict);
    assert_int_equal(s.title.len, 3);
    assert_int_equal(s.applied, 1);
}

static void fills_in_options(void **state)
{
    (void)state;
    struct test_site s;
    build("upstream u { server a }", &s);
    assert_int_equal(s.weight, 1);
    assert_int_equal(s.every_ms, 5000);
    assert_false(s.backup);
    assert_int_equal(s.applied, 2);
    build("upstream u { server a weight=3 { every 1m; backup } }", &s);
    assert_int_equal(s.weight, 3);
    assert_int_equal(s.every_ms, 60000);
    assert_true(s.backup);
    assert_int_equal(s.applied, 2);
}

UNIT_SUITE(conf_build, cmocka_unit_test(sets_defaults), cmocka_unit_test(applies_typed_rows),
           cmocka_unit_test(fills_in_options));
