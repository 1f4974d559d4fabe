/* message_test.c - methods, status codes, and what the header array promises. */
// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"
#include "tests/unit.h"
#include <stdio.h>

static void methods(void **state)
{
    (void)state;
    assert_int_equal(method_find(SLICE("GET")), METHOD_GET);
    assert_int_equal(method_find(SLICE("TRACE")), METHOD_TRACE);
    assert_int_equal(method_find(SLICE("get")), METHOD_OTHER);
    assert_int_equal(method_find(SLICE("")), METHOD_OTHER);
    assert_true(method_idempotent(METHOD_PUT) && method_idempotent(METHOD_GET));
    assert_false(method_idempotent(METHOD_POST) || method_idempotent(METHOD_OTHER));
    assert_false(method_safe(METHOD_DELETE));
}

static void statuses(void **state)
{
    (void)state;
    assert_true(slice_eq(status_reason(404), SLICE("Not Found")));
    assert_true(slice_eq(status_reason(200), SLICE("OK")));
    assert_int_equal(status_reason(599).len, 0);
    assert_true(status_has_body(200) && status_has_body(500));
    assert_false(status_has_body(101) || status_has_body(204) || status_has_body(304));
}

static void adds_and_finds(void **state)
{
    (void)state;
    struct arena a;
    struct headers h = {0};
    arena_init(&a, 65536);
    assert_null(headers_find(&h, FIELD_HOST));
    assert_null(headers_find_name(&h, SLICE("x-a")));
    assert_int_equal(headers_add(&h, &a, SLICE("HOST"), SLICE("h")), ERR_OK);
    assert_int_equal(headers_add(&h, &a, SLICE("X-A"), SLICE("1")), ERR_OK);
    assert_int_equal(headers_add(&h, &a, SLICE("x-b"), SLICE("2")), ERR_OK);
    assert_int_equal(headers_add(&h, &a, SLICE("x-a"), SLICE("3")), ERR_OK);
    assert_int_equal(headers_add_id(&h, &a, FIELD_CONNECTION, SLICE("close")), ERR_OK);
    assert_true(slice_eq(headers_get(&h, FIELD_HOST), SLICE("h")));
    assert_true(headers_find(&h, FIELD_CONNECTION)->hop);
    assert_false(headers_find(&h, FIELD_HOST)->hop);
    assert_null(headers_get(&h, FIELD_COOKIE).at);
    struct header *x = headers_find_name(&h, SLICE("X-a"));
    assert_true(slice_eq(x->value, SLICE("1")));
    x = headers_next(&h, x);
    assert_true(slice_eq(x->value, SLICE("3")));
    assert_null(headers_next(&h, x));
    arena_release(&a);
}

static void sets_and_deletes(void **state)
{
    (void)state;
    struct arena a;
    struct headers h = {0};
    unsigned left = 0;
    arena_init(&a, 65536);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(headers_add_id(&h, &a, FIELD_VIA, SLICE("v")), ERR_OK);
        assert_int_equal(headers_add(&h, &a, SLICE("x-a"), SLICE("v")), ERR_OK);
    }
    assert_true(slice_eq(headers_join(&h, &a, FIELD_VIA), SLICE("v, v, v")));
    assert_int_equal(headers_set(&h, &a, SLICE("VIA"), SLICE("w")), ERR_OK);
    assert_true(slice_eq(headers_join(&h, &a, FIELD_VIA), SLICE("w")));
    assert_int_equal(headers_set(&h, &a, SLICE("x-new"), SLICE("n")), ERR_OK);
    headers_del(&h, SLICE("X-A"));
    assert_null(headers_find_name(&h, SLICE("x-a")));
    headers_del_id(&h, FIELD_VIA);
    assert_null(headers_find(&h, FIELD_VIA));
    assert_null(headers_join(&h, &a, FIELD_VIA).at);
    HEADER_EACH (it, &h)
        left++;
    assert_int_equal(left, 1);
    assert_int_equal(headers_add_id(&h, &a, FIELD_VIA, SLICE("again")), ERR_OK);
    assert_true(slice_eq(headers_get(&h, FIELD_VIA), SLICE("again")));
    arena_release(&a);
}

static void copies_deeply(void **state)
{
    (void)state;
    struct arena a, b;
    struct headers from = {0}, to = {0};
    char value[] = "abc";
    arena_init(&a, 65536);
    arena_init(&b, 65536);
    assert_int_equal(headers_add(&from, &a, SLICE("x"), slice_of(value)), ERR_OK);
    assert_int_equal(headers_add(&from, &a, SLICE("gone"), SLICE("1")), ERR_OK);
    headers_del(&from, SLICE("gone"));
    from.at[0].hop = true;
    assert_int_equal(headers_copy(&to, &b, &from), ERR_OK);
    value[0] = 'X';
    arena_release(&a);
    assert_int_equal(to.count, 1);
    assert_true(to.at[0].hop && slice_eq(to.at[0].value, SLICE("abc")));
    arena_release(&b);
}

static void the_budget_refuses(void **state)
{
    (void)state;
    struct arena a;
    struct headers h = {0};
    enum err e = ERR_OK;
    unsigned added = 0;
    arena_init(&a, 2 * ARENA_BLOCK_BYTES);
    while (!(e = headers_add(&h, &a, SLICE("x"), SLICE("y"))) && added < 10000)
        added++;
    assert_int_equal(e, ERR_OVER_BUDGET);
    assert_int_equal(h.count, added);
    arena_release(&a);
}

static void nothing_added_can_split_a_head(void **state)
{
    (void)state;
    struct arena a;
    struct headers h = {0};
    arena_init(&a, 65536);
    assert_int_equal(headers_add(&h, &a, SLICE("x"), SLICE("a\r\nb: c")), ERR_BAD_HEADER);
    assert_int_equal(headers_add(&h, &a, SLICE("x:y"), SLICE("a")), ERR_BAD_HEADER);
    assert_int_equal(headers_add(&h, &a, SLICE(""), SLICE("a")), ERR_BAD_HEADER);
    assert_int_equal(headers_add_id(&h, &a, FIELD_VIA, SLICE("a\n")), ERR_BAD_HEADER);
    assert_int_equal(headers_add(&h, &a, SLICE("x"), SLICE("a")), ERR_OK);
    assert_int_equal(headers_set(&h, &a, SLICE("x"), SLICE("\r")), ERR_BAD_HEADER);
    assert_true(slice_eq(headers_find_name(&h, SLICE("x"))->value, SLICE("a")));
    assert_int_equal(h.count, 1);
    arena_release(&a);
}

UNIT_SUITE(http_message, cmocka_unit_test(methods), cmocka_unit_test(statuses),
           cmocka_unit_test(adds_and_finds), cmocka_unit_test(sets_and_deletes),
           cmocka_unit_test(nothing_added_can_split_a_head), cmocka_unit_test(copies_deeply),
           cmocka_unit_test(the_budget_refuses));
