/* field_test.c - name lookup over all rows, and the value grammars by table. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "http/field.h"
#include "tests/unit.h"
#include <ctype.h>

static void every_row_is_found_in_any_case(void **state)
{
    (void)state;
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        const struct field_row *row = field_row((enum field_id)id);
        char upper[64];
        for (size_t i = 0; i < row->lower.len; i++)
            upper[i] = (char)toupper((unsigned char)row->lower.at[i]);
        assert_int_equal(field_find(row->lower), id);
        assert_int_equal(field_find(row->usual), id);
        assert_int_equal(field_find((struct slice){upper, row->lower.len}), id);
        assert_true(slice_eq_nocase(row->lower, row->usual));
    }
}

/* Every single-byte change of a known name that is not a change of letter case is another name. */
static void near_names_are_other(void **state)
{
    (void)state;
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        struct slice name = field_row((enum field_id)id)->lower;
        for (size_t i = 0; i < name.len; i++)
            for (int c = 0; c < 256; c++) {
                char near[64];
                memcpy(near, name.at, name.len);
                near[i] = (char)c;
                struct slice s = {near, name.len};
                assert_int_equal(field_find(s) == id, slice_eq_nocase(s, name));
            }
        assert_int_not_equal(field_find(slice_head(name, name.len - 1)), id);
    }
}

static void odd_names_are_other(void **state)
{
    (void)state;
    assert_int_equal(field_find(SLICE("")), FIELD_OTHER);
    assert_int_equal(field_find(SLICE_NONE), FIELD_OTHER);
    assert_int_equal(field_find(SLICE("sec-fetch-mode")), FIELD_OTHER);
    assert_int_equal(field_find(SLICE("a-name-that-is-longer-than-every-row-of-the-table")),
                     FIELD_OTHER);
}

static void tokens(void **state)
{
    (void)state;
    assert_true(field_is_token(SLICE("X-a.b_c~1!#$%&'*+^`|")));
    assert_false(field_is_token(SLICE("")));
    for (int c = 0; c < 256; c++) {
        bool is = c && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c)) && c < 0x80;
        assert_int_equal(field_is_tchar((unsigned char)c), is);
    }
    assert_true(field_value_valid(SLICE("a\tb \xff")));
    assert_false(field_value_valid(SLICE("a\rb")));
    assert_false(field_value_valid(SLICE("a\0b")));
    assert_false(field_value_valid(SLICE("a\x7f")));
}

static void lists(void **state)
{
    (void)state;
    struct slice rest = SLICE(" a , ,\"x,y\\\",z\",, b"), m;
    assert_true(field_list_next(&rest, &m) && slice_eq(m, SLICE("a")));
    assert_true(field_list_next(&rest, &m) && slice_eq(m, SLICE("\"x,y\\\",z\"")));
    assert_true(field_list_next(&rest, &m) && slice_eq(m, SLICE("b")));
    assert_false(field_list_next(&rest, &m));
    assert_true(field_list_has(SLICE("keep-alive, Upgrade"), SLICE("upgrade")));
    assert_false(field_list_has(SLICE("keep-alive; upgrade"), SLICE("upgrade")));
    assert_false(field_list_has(SLICE_NONE, SLICE("upgrade")));
}

static void parameters(void **state)
{
    (void)state;
    struct slice rest = SLICE("a=1; b = \"x;y\" ;;c"), n, v;
    assert_true(field_param_next(&rest, &n, &v) && slice_eq(n, SLICE("a")));
    assert_true(slice_eq(v, SLICE("1")));
    assert_true(field_param_next(&rest, &n, &v) && slice_eq(n, SLICE("b")));
    assert_true(slice_eq(v, SLICE("x;y")));
    assert_true(field_param_next(&rest, &n, &v) && slice_eq(n, SLICE("c")));
    assert_null(v.at);
    assert_false(field_param_next(&rest, &n, &v));
}

static void accept_weights(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type;
        int weight;
    } rows[] = {
        {"text/html, application/json;q=0.5", "application/json", 500},
        {"text/html, application/json;q=0.5", "TEXT/HTML", 1000},
        {"text/html", "image/png", 0},
        {"*/*;q=0.1, text/*;q=0.7, text/html;q=0.333", "text/html", 333},
        {"*/*;q=0.1, text/*;q=0.7", "text/plain", 700},
        {"*/*;q=0.1, text/*;q=0.7", "image/png", 100},
        {"text/html;q=0", "text/html", 0},
        {"text/html;q=2", "text/html", 1000},
        {"gzip;q=0.25, *;q=0", "gzip", 250},
        {"gzip;q=0.25, *;q=0", "br", 0},
        {"", "text/html", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(field_accept_weight(slice_of(rows[i].accept), slice_of(rows[i].type)),
                         rows[i].weight);
    assert_int_equal(field_accept_weight(SLICE_NONE, SLICE("text/html")), 1000);
}

static void cookies(void **state)
{
    (void)state;
    struct slice jar = SLICE("a=1; sid=x=y; b=");
    assert_true(slice_eq(field_cookie(jar, SLICE("sid")), SLICE("x=y")));
    assert_true(slice_eq(field_cookie(jar, SLICE("a")), SLICE("1")));
    assert_int_equal(field_cookie(jar, SLICE("b")).len, 0);
    assert_non_null(field_cookie(jar, SLICE("b")).at);
    assert_null(field_cookie(jar, SLICE("id")).at);
}

UNIT_SUITE(http_field, cmocka_unit_test(every_row_is_found_in_any_case),
           cmocka_unit_test(near_names_are_other), cmocka_unit_test(odd_names_are_other),
           cmocka_unit_test(tokens), cmocka_unit_test(lists), cmocka_unit_test(parameters),
           cmocka_unit_test(accept_weights), cmocka_unit_test(cookies));
