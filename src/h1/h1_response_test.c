/* h1_response_test.c - verdicts on whole response heads, and their framing by RFC 9112 6.3. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1_parse.h"
#include "tests/unit.h"

static const struct stream_limits limits = {
    .head_bytes = 4096, .line_bytes = 1024, .header_count = 4};

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
    } rows[] = {
        {HEAD("HTTP/1.1 200 OK"), ERR_OK},
        {HEAD("HTTP/1.1 200 "), ERR_OK},
        {HEAD("HTTP/1.1 200"), ERR_OK},
        {HEAD("HTTP/1.0 599 a b\tc\xff"), ERR_OK},
        {HEAD("HTTP/1.1 100 Continue"), ERR_OK},
        {HEAD("HTTP/1.1 099 x"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 600 x"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 20 x"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 2000 x"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 2x0 x"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1  200 OK"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1\t200 OK"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 200 O\rK"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 200 O\0K"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/2.0 200 OK"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.2 200 OK"), ERR_OK},
        {HEAD("ICY 200 OK"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("\r\nHTTP/1.1 200 OK"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 200 OK\r\nA : b"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 200 OK\r\nA: b\r\n c"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 200 OK\r\nA: b\0"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 200 OK\r\nA: b\rc"), ERR_ORIGIN_BAD_HEAD},
        {HEAD("HTTP/1.1 200 OK\r\nContent-Length: x"), ERR_ORIGIN_BAD_FRAMING},
        {HEAD("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1"), ERR_ORIGIN_BAD_FRAMING},
        {HEAD("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
         ERR_ORIGIN_BAD_FRAMING},
        {HEAD("HTTP/1.1 304 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
         ERR_ORIGIN_BAD_FRAMING},
        {HEAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked"), ERR_ORIGIN_BAD_FRAMING},
        {HEAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity"), ERR_ORIGIN_BAD_FRAMING},
        {HEAD("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked"), ERR_ORIGIN_BAD_FRAMING},
        {HEAD("HTTP/1.1 200 OK\r\na:1\r\nb:1\r\nc:1\r\nd:1"), ERR_OK},
        {HEAD("HTTP/1.1 200 OK\r\na:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1"), ERR_ORIGIN_HEAD_TOO_LARGE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct message m;
        enum err e = h1_parse_response(rows[i].head, METHOD_GET, &arena, &limits, &m);
        if (e != rows[i].err)
            fail_msg("row %zu: %s instead of %s", i, err_name(e), err_name(rows[i].err));
    }
}

static void framing(void **state)
{
    (void)state;
    static const struct {
        struct slice head;
        enum method method;
        enum length_kind length;
        bool keep_alive;
    } rows[] = {
        {HEAD("HTTP/1.1 200 OK\r\nContent-Length: 7"), METHOD_GET, LENGTH_KNOWN, true},
        {HEAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"), METHOD_GET, LENGTH_UNKNOWN, true},
        {HEAD("HTTP/1.1 200 OK"), METHOD_GET, LENGTH_UNKNOWN, false},
        {HEAD("HTTP/1.1 200 OK\r\nContent-Length: 7"), METHOD_HEAD, LENGTH_NONE, true},
        {HEAD("HTTP/1.1 200 OK"), METHOD_HEAD, LENGTH_NONE, true},
        {HEAD("HTTP/1.1 204 x"), METHOD_GET, LENGTH_NONE, true},
        {HEAD("HTTP/1.1 304 x\r\nContent-Length: 7"), METHOD_GET, LENGTH_NONE, true},
        {HEAD("HTTP/1.1 103 x"), METHOD_GET, LENGTH_NONE, true},
        {HEAD("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close"), METHOD_GET,
         LENGTH_KNOWN, false},
        {HEAD("HTTP/1.0 200 OK\r\nContent-Length: 7"), METHOD_GET, LENGTH_KNOWN, false},
        {HEAD("HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: keep-alive"), METHOD_GET,
         LENGTH_KNOWN, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct message m;
        assert_int_equal(h1_parse_response(rows[i].head, rows[i].method, &arena, &limits, &m),
                         ERR_OK);
        if (m.length != rows[i].length || m.keep_alive != rows[i].keep_alive)
            fail_msg("row %zu: length %d, keep alive %d", i, m.length, m.keep_alive);
    }
}

static void status_and_reason(void **state)
{
    (void)state;
    struct message m;
    struct slice head = HEAD("HTTP/1.0 404 Not There\r\nX: y");
    assert_int_equal(h1_parse_response(head, METHOD_GET, &arena, &limits, &m), ERR_OK);
    assert_int_equal(m.status, 404);
    assert_int_equal(m.version_minor, 0);
    assert_true(slice_eq(m.reason, SLICE("Not There")));
    assert_int_equal(m.headers.count, 1);
}

static void switching_protocols(void **state)
{
    (void)state;
    struct message m;
    struct slice good = HEAD("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket");
    struct slice bare = HEAD("HTTP/1.1 101 x");
    assert_int_equal(h1_parse_response(good, METHOD_GET, &arena, &limits, &m), ERR_OK);
    assert_true(m.upgrade && slice_eq(m.upgrade_to, SLICE("websocket")));
    assert_int_equal(h1_parse_response(bare, METHOD_GET, &arena, &limits, &m), ERR_OK);
    assert_false(m.upgrade);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(h1_h1_response, CASE(verdicts), CASE(framing), CASE(status_and_reason),
           CASE(switching_protocols));
