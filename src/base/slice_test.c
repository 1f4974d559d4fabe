/* slice_test.c - borrowed runs of bytes, the empty and NULL ones above all. */
// SPDX-License-Identifier: Apache-2.0
#include "base/slice.h"
#include "tests/unit.h"

static void compares(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("ab"), SLICE("ab")));
    assert_false(slice_eq(SLICE("ab"), SLICE("aB")));
    assert_false(slice_eq(SLICE("ab"), SLICE("abc")));
    assert_true(slice_eq(SLICE(""), SLICE_NONE));
    assert_true(slice_eq_nocase(SLICE("Content-LENGTH"), SLICE("cONTENT-length")));
    assert_false(slice_eq_nocase(SLICE("a"), SLICE("ab")));
    assert_false(slice_eq_nocase(SLICE("[@"), SLICE("{`"))); /* differ by 0x20, no letters */
    assert_false(slice_eq_nocase(SLICE("\xc4"), SLICE("\xe4")));
}

static void orders(void **state)
{
    (void)state;
    assert_true(slice_cmp(SLICE("a"), SLICE("b")) < 0);
    assert_true(slice_cmp(SLICE("b"), SLICE("a")) > 0);
    assert_true(slice_cmp(SLICE("a"), SLICE("ab")) < 0);
    assert_true(slice_cmp(SLICE("ab"), SLICE("a")) > 0);
    assert_int_equal(slice_cmp(SLICE_NONE, SLICE("")), 0);
    assert_true(slice_cmp(SLICE("\xff"), SLICE("\x01")) > 0);
}

static void starts_and_ends(void **state)
{
    (void)state;
    assert_true(slice_starts(SLICE("/a/b"), SLICE("/a")));
    assert_true(slice_starts(SLICE("/a"), SLICE_NONE));
    assert_false(slice_starts(SLICE("/"), SLICE("/a")));
    assert_true(slice_ends(SLICE("x.html"), SLICE(".html")));
    assert_false(slice_ends(SLICE("html"), SLICE(".html")));
}

static void parts(void **state)
{
    (void)state;
    assert_true(slice_eq(slice_from(SLICE("abc"), 1), SLICE("bc")));
    assert_int_equal(slice_from(SLICE("abc"), 3).len, 0);
    assert_int_equal(slice_from(SLICE("abc"), 4).len, 0);
    assert_null(slice_from(SLICE_NONE, 0).at);
    assert_true(slice_eq(slice_head(SLICE("abc"), 2), SLICE("ab")));
    assert_int_equal(slice_head(SLICE("abc"), 4).len, 3);
    assert_int_equal(slice_find(SLICE("abc"), 'c'), 2);
    assert_int_equal(slice_find(SLICE("abc"), 'd'), 3);
    assert_int_equal(slice_find(SLICE_NONE, 'd'), 0);
}

static void trims_blanks_only(void **state)
{
    (void)state;
    assert_true(slice_eq(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_true(slice_eq(slice_trim(SLICE("\r\na")), SLICE("\r\na")));
    assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
    assert_int_equal(slice_trim(SLICE_NONE).len, 0);
}

static void cuts_every_part(void **state)
{
    (void)state;
    struct slice rest = SLICE("a,,b,"), part;
    const char *const parts_due[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(slice_cut(&rest, ',', &part));
        assert_true(slice_eq(part, slice_of(parts_due[i])));
    }
    assert_false(slice_cut(&rest, ',', &part));
    rest = SLICE("");
    assert_true(slice_cut(&rest, ',', &part));
    assert_int_equal(part.len, 0);
    assert_false(slice_cut(&rest, ',', &part));
}

UNIT_SUITE(base_slice, cmocka_unit_test(compares), cmocka_unit_test(orders),
           cmocka_unit_test(starts_and_ends), cmocka_unit_test(parts),
           cmocka_unit_test(trims_blanks_only), cmocka_unit_test(cuts_every_part));
