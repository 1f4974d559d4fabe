/* mime_test.c - every row of the table is found, others are not. */
// SPDX-License-Identifier: Apache-2.0
#include "http/field.h"
#include "http/mime.h"
#include "tests/unit.h"

static const struct {
    struct slice extension, type;
} ROWS[] = {
#define MIME(extension, type) {SLICE_INIT(extension), SLICE_INIT(type)},
#include "http/mime.def"
#undef MIME
};

static void every_row_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct slice got = mime_find(ROWS[i].extension);
        if (!slice_eq(got, ROWS[i].type))
            fail_msg("%s has no type: is the table sorted?", ROWS[i].extension.at);
        assert_true(field_value_valid(got) && slice_find(got, '/') < got.len);
    }
}

static void others_have_no_type(void **state)
{
    (void)state;
    assert_true(slice_eq(mime_find(SLICE("HTML")), SLICE("text/html; charset=utf-8")));
    assert_null(mime_find(SLICE("")).at);
    assert_null(mime_find(SLICE("htm ")).at);
    assert_null(mime_find(SLICE("zzz")).at);
    assert_null(mime_find(SLICE("0")).at);
    assert_null(mime_find(SLICE("averyverylongextension")).at);
}

static void the_last_dot_counts(void **state)
{
    (void)state;
    assert_true(slice_eq(mime_extension(SLICE("/a.b/c.tar.gz")), SLICE("gz")));
    assert_int_equal(mime_extension(SLICE("/a.b/c")).len, 0);
    assert_int_equal(mime_extension(SLICE("/a.b/c.")).len, 0);
    assert_int_equal(mime_extension(SLICE("")).len, 0);
}

UNIT_SUITE(http_mime, cmocka_unit_test(every_row_is_found), cmocka_unit_test(others_have_no_type),
           cmocka_unit_test(the_last_dot_counts));
