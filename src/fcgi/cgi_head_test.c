/* cgi_head_test.c - verdicts on the heads of CGI answers, and what they mean. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "fcgi/cgi_head.h"
#include "tests/unit.h"
#include <stdio.h>

static const struct stream_limits limits = {.head_bytes = 4096, .header_count = 4};

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 65536);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

#define HEAD(text) SLICE_INIT(text "\r\n\r\n")

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        struct slice head;
        enum err err;
        uint16_t status;
    } rows[] = {
        {HEAD("Content-Type: text/html"), ERR_OK, 200},
        {SLICE_INIT("Content-Type: text/html\n\n"), ERR_OK, 200},
        {SLICE_INIT("A: b\r\nC: d\n\r\n"), ERR_OK, 200},
        {HEAD("Status: 404 Not Found"), ERR_OK, 404},
        {HEAD("status:599"), ERR_OK, 599},
        {HEAD("Status: 200 "), ERR_OK, 200},
        {HEAD("Location: /x"), ERR_OK, 302},
        {HEAD("Location: http://h/x\r\nStatus: 301 Moved"), ERR_OK, 301},
        {HEAD("Location: /x\r\nStatus: 201"), ERR_OK, 201},
        {HEAD("A: 1\r\nB: 2\r\nC: 3\r\nD: 4"), ERR_OK, 200},
        {HEAD("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5"), ERR_ORIGIN_HEAD_TOO_LARGE, 0},
        {HEAD(""), ERR_ORIGIN_BAD_HEAD, 0},
        {SLICE_INIT("\n"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("no field"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("HTTP/1.1 200 OK"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD(": x"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("A : x"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("A: b\r\n c"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("A: b\rc"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("A: b\0c"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: 200\r\nStatus: 200"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: "), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: OK"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: 2000"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: 200OK"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: +20 x"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: 100 Continue"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: 101 Switching"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: 199"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("Status: 600"), ERR_ORIGIN_BAD_HEAD, 0},
        {HEAD("A: b\r\nTransfer-Encoding: chunked"), ERR_ORIGIN_BAD_FRAMING, 0},
        {HEAD("Content-Length: 1\r\nContent-Length: 1"), ERR_ORIGIN_BAD_FRAMING, 0},
        {HEAD("Content-Length: -1"), ERR_ORIGIN_BAD_FRAMING, 0},
        {HEAD("Content-Length: 1, 1"), ERR_ORIGIN_BAD_FRAMING, 0},
        {HEAD("Content-Length: 9223372036854775808"), ERR_ORIGIN_BAD_FRAMING, 0},
        {HEAD("Content-Length: "), ERR_ORIGIN_BAD_FRAMING, 0},
        {HEAD("Content-Length: 9223372036854775807"), ERR_OK, 200},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct message m;
        enum err e = cgi_head_parse(rows[i].head, METHOD_GET, &arena, &limits, &m);
        if (e != rows[i].err || (e == ERR_OK && m.status != rows[i].status))
            fail_msg("row %zu: %s %u", i, err_name(e), m.status);
    }
}

static void the_length_of_the_body(void **state)
{
    (void)state;
    static const struct {
        struct slice head;
        enum method method;
        enum length_kind length;
    } rows[] = {
        {HEAD("A: b"), METHOD_GET, LENGTH_UNKNOWN},
        {HEAD("Content-Length: 0"), METHOD_GET, LENGTH_KNOWN},
        {HEAD("Content-Length: 7"), METHOD_POST, LENGTH_KNOWN},
        {HEAD("Content-Length: 7"), METHOD_HEAD, LENGTH_NONE},
        {HEAD("A: b"), METHOD_HEAD, LENGTH_NONE},
        {HEAD("Status: 204\r\nContent-Length: 7"), METHOD_GET, LENGTH_NONE},
        {HEAD("Status: 304"), METHOD_GET, LENGTH_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct message m;
        assert_int_equal(cgi_head_parse(rows[i].head, rows[i].method, &arena, &limits, &m), ERR_OK);
        if (m.length != rows[i].length)
            fail_msg("row %zu: %u", i, m.length);
    }
}

static void the_fields(void **state)
{
    (void)state;
    struct message m;
    struct slice head = SLICE("Set-Cookie: a=1\nStatus: 418 I'm a teapot\nSet-Cookie: b=2\n\n");
    assert_int_equal(cgi_head_parse(head, METHOD_GET, &arena, &limits, &m), ERR_OK);
    assert_true(slice_eq(m.reason, SLICE("I'm a teapot")));
    assert_null(headers_find_name(&m.headers, SLICE("Status")));
    const struct header *first = headers_find(&m.headers, FIELD_SET_COOKIE);
    assert_non_null(first);
    assert_true(slice_eq(first->value, SLICE("a=1")));
    assert_true(slice_eq(headers_next(&m.headers, first)->value, SLICE("b=2")));
}

static void where_a_head_ends(void **state)
{
    (void)state;
    static const struct {
        struct slice in;
        size_t len; /* 0: it does not */
    } rows[] = {
        {SLICE_INIT("A: b\n\nbody\n\n"), 6}, {SLICE_INIT("A: b\r\n\r\nbody"), 8},
        {SLICE_INIT("A: b\r\n\nbody"), 7},   {SLICE_INIT("\nbody"), 1},
        {SLICE_INIT("\r\nbody"), 2},         {SLICE_INIT("A: b\n\r"), 0},
        {SLICE_INIT("A: b\r\rbody"), 0},     {SLICE_INIT(""), 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 1; step <= rows[i].in.len + 1; step++) {
            struct cgi_scan s = {0};
            size_t len = 0;
            enum err e = ERR_HOLD;
            for (size_t n = step; e == ERR_HOLD && n < rows[i].in.len + step; n += step)
                e = cgi_head_find(&s, slice_head(rows[i].in, n), &limits, &len);
            if (len != rows[i].len || (e == ERR_OK) != (len > 0))
                fail_msg("row %zu by %zu: %zu", i, step, len);
        }
    }
}

static void the_largest_head(void **state)
{
    (void)state;
    static char bytes[4097];
    struct cgi_scan s = {0}, t = {0};
    size_t len = 0;
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes + 4094, "\n\n", 2);
    assert_int_equal(cgi_head_find(&s, (struct slice){bytes, 4096}, &limits, &len), ERR_OK);
    assert_int_equal(len, 4096);
    memcpy(bytes + 4094, "a\n\n", 3);
    assert_int_equal(cgi_head_find(&t, (struct slice){bytes, 4097}, &limits, &len),
                     ERR_ORIGIN_HEAD_TOO_LARGE);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(fcgi_cgi_head, CASE(verdicts), CASE(the_length_of_the_body), CASE(the_fields),
           cmocka_unit_test(where_a_head_ends), cmocka_unit_test(the_largest_head));
