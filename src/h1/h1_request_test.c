/* h1_request_test.c - verdicts on whole request heads by table, then what the message holds. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1_parse.h"
#include "tests/unit.h"

static const struct stream_limits limits = {
    .head_bytes = 4096,
    .line_bytes = 1024,
    .header_count = 8,
};

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

static enum err parse(struct slice head, struct message *m)
{
    struct h1_scan s = {0};
    size_t len;
    enum err e = h1_head_find(&s, head, &limits, &len);
    return e ? e : h1_parse_request(slice_head(head, len), &arena, &limits, m);
}

struct row {
    struct slice head;
    enum err err;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct message m;
        enum err e = parse(rows[i].head, &m);
        if (e != rows[i].err)
            fail_msg("row %zu: %s instead of %s\n%.*s", i, err_name(e), err_name(rows[i].err),
                     SLICE_ARG(rows[i].head));
    }
}

#define HEAD(text)  SLICE_INIT(text "\r\n\r\n")
#define GET(fields) SLICE_INIT("GET / HTTP/1.1\r\nHost: h\r\n" fields "\r\n\r\n")

static void request_lines(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {HEAD("GET / HTTP/1.1\r\nHost: h"), ERR_OK},
        {HEAD("\r\n\r\nGET / HTTP/1.1\r\nHost: h"), ERR_OK},
        {HEAD("X-!#$%&'*+.^_`|~9 / HTTP/1.1\r\nHost: h"), ERR_OK},
        {HEAD("GET / HTTP/1.0"), ERR_OK},
        {HEAD("OPTIONS * HTTP/1.1\r\nHost: h"), ERR_OK},
        {HEAD("GET * HTTP/1.1\r\nHost: h"), ERR_BAD_TARGET},
        {HEAD("GET /"), ERR_BAD_REQUEST_LINE},
        {HEAD("GET"), ERR_BAD_REQUEST_LINE},
        {HEAD("GET  / HTTP/1.1\r\nHost: h"), ERR_BAD_REQUEST_LINE},
        {HEAD("GET /  HTTP/1.1\r\nHost: h"), ERR_BAD_REQUEST_LINE},
        {HEAD("GET / HTTP/1.1 \r\nHost: h"), ERR_BAD_REQUEST_LINE},
        {HEAD("GET /a b HTTP/1.1\r\nHost: h"), ERR_BAD_REQUEST_LINE},
        {HEAD(" GET / HTTP/1.1\r\nHost: h"), ERR_BAD_REQUEST_LINE},
        {HEAD("GET\t/\tHTTP/1.1\r\nHost: h"), ERR_BAD_REQUEST_LINE},
        {HEAD("GE(T / HTTP/1.1\r\nHost: h"), ERR_BAD_METHOD},
        {HEAD("GE\xc3T / HTTP/1.1\r\nHost: h"), ERR_BAD_METHOD},
        {HEAD("GET / http/1.1\r\nHost: h"), ERR_BAD_VERSION},
        {HEAD("GET / HTTP/1\r\nHost: h"), ERR_BAD_VERSION},
        {HEAD("GET / HTTP/1.10\r\nHost: h"), ERR_BAD_VERSION},
        {HEAD("GET / HTTP/1,1\r\nHost: h"), ERR_BAD_VERSION},
        {HEAD("GET / HTTP/x.1\r\nHost: h"), ERR_BAD_VERSION},
        {HEAD("GET / ICY/1.0\r\nHost: h"), ERR_BAD_VERSION},
        {HEAD("GET / HTTP/0.9\r\nHost: h"), ERR_VERSION_UNSUPPORTED},
        {HEAD("GET / HTTP/1.2\r\nHost: h"), ERR_OK},
        {HEAD("GET / HTTP/1.9"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/3.0\r\nHost: h"), ERR_VERSION_UNSUPPORTED},
        {HEAD("PRI * HTTP/2.0"), ERR_VERSION_UNSUPPORTED},
        {HEAD("CONNECT h:443 HTTP/1.1\r\nHost: h:443"), ERR_METHOD_UNSUPPORTED},
        {HEAD("GET h:443 HTTP/1.1\r\nHost: h:443"), ERR_BAD_TARGET},
        {HEAD("GET a HTTP/1.1\r\nHost: h"), ERR_BAD_TARGET},
        {HEAD("GET /a#b HTTP/1.1\r\nHost: h"), ERR_BAD_TARGET},
        {HEAD("GET /\x01 HTTP/1.1\r\nHost: h"), ERR_BAD_TARGET},
        {HEAD("GET /\x80 HTTP/1.1\r\nHost: h"), ERR_BAD_TARGET},
        {HEAD("GET /a\rb HTTP/1.1\r\nHost: h"), ERR_BARE_CR},
        {HEAD("GET / HTTP/1.1\r\r\nHost: h"), ERR_BARE_CR},
        {HEAD("G\rET / HTTP/1.1\r\nHost: h"), ERR_BARE_CR},
        {HEAD("GET /a\0b HTTP/1.1\r\nHost: h"), ERR_NUL_BYTE},
        {HEAD("GET / HTTP/1.\0\r\nHost: h"), ERR_NUL_BYTE},
        {HEAD("GET / HTTP/1.1\nHost: h"), ERR_BARE_LF},
    };
    check(rows, COUNT_OF(rows));
}

static void field_lines(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {GET("A:b"), ERR_OK},
        {GET("A:"), ERR_OK},
        {GET("A: \t b \t "), ERR_OK},
        {GET("A: b\tc \xff\xfe 0123456789"), ERR_OK},
        {GET("A: \xff\x7e\xff\x7e\xff\x7e\xff\x7e\xff\x7e"), ERR_OK},
        {GET("A : b"), ERR_BAD_HEADER},
        {GET("Host : b"), ERR_BAD_HEADER},
        {GET("A\t: b"), ERR_BAD_HEADER},
        {GET(": b"), ERR_BAD_HEADER},
        {GET("A"), ERR_BAD_HEADER},
        {GET("A\r\nB: c"), ERR_BAD_HEADER},
        {GET("A B: c"), ERR_BAD_HEADER},
        {GET("A\x80: c"), ERR_BAD_HEADER},
        {GET("A(): c"), ERR_BAD_HEADER},
        {GET(" A: b"), ERR_OBS_FOLD},
        {GET("A: b\r\n c"), ERR_OBS_FOLD},
        {GET("A: b\r\n\tc: d"), ERR_OBS_FOLD},
        {HEAD("GET / HTTP/1.1\r\n Host: h\r\nHost: h"), ERR_OBS_FOLD},
        {GET("A: b\rc"), ERR_BARE_CR},
        {GET("A: b\r\rc"), ERR_BARE_CR},
        {GET("A\r: b"), ERR_BARE_CR},
        {GET("A: b\r"), ERR_BARE_CR},
        {GET("A: 0123456789abcdef\r0123456789abcdef"), ERR_BARE_CR},
        {GET("A: b\nB: c"), ERR_BARE_LF},
        {GET("A: b\0c"), ERR_NUL_BYTE},
        {GET("A\0: c"), ERR_NUL_BYTE},
        {GET("A: b\x01"), ERR_BAD_HEADER},
        {GET("A: b\x1f 01234567"), ERR_BAD_HEADER},
        {GET("A: 0123456\x7f"), ERR_BAD_HEADER},
        {GET("A: \x7f"), ERR_BAD_HEADER},
        {GET("A: \xff\x7f"), ERR_BAD_HEADER},
        {GET("1: a\r\n2: a\r\n3: a\r\n4: a\r\n5: a\r\n6: a\r\n7: a"), ERR_OK},
        {GET("1: a\r\n2: a\r\n3: a\r\n4: a\r\n5: a\r\n6: a\r\n7: a\r\n8: a"), ERR_TOO_MANY_HEADERS},
    };
    check(rows, COUNT_OF(rows));
}

static void hosts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {HEAD("GET / HTTP/1.1"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost:"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost: h\r\nHost: h"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.0\r\nHost: h\r\nHost: h"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost: h\r\nhOST: g"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost: h, g"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost: u@h"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost: h/x"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost: h:99999"), ERR_BAD_HOST},
        {HEAD("GET / HTTP/1.1\r\nHost: [::1"), ERR_BAD_HOST},
        {HEAD("GET http://h/ HTTP/1.1\r\nHost: h"), ERR_OK},
        {HEAD("GET http://h/ HTTP/1.1\r\nHost: H.:80"), ERR_OK},
        {HEAD("GET http://h:80/ HTTP/1.1\r\nHost: h"), ERR_OK},
        {HEAD("GET https://h/ HTTP/1.1\r\nHost: h:443"), ERR_OK},
        {HEAD("GET http://h/ HTTP/1.0"), ERR_OK},
        {HEAD("GET http://h/ HTTP/1.1"), ERR_BAD_HOST},
        {HEAD("GET http://h/ HTTP/1.1\r\nHost: g"), ERR_HOST_MISMATCH},
        {HEAD("GET http://h/ HTTP/1.1\r\nHost: h:8080"), ERR_HOST_MISMATCH},
        {HEAD("GET http://u@h/ HTTP/1.1\r\nHost: h"), ERR_BAD_TARGET},
        {HEAD("GET ftp://h/ HTTP/1.1\r\nHost: h"), ERR_BAD_TARGET},
    };
    check(rows, COUNT_OF(rows));
}

#define POST(fields) SLICE_INIT("POST / HTTP/1.1\r\nHost: h\r\n" fields "\r\n\r\n")

static void framing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {POST("Content-Length: 0"), ERR_OK},
        {POST("Content-Length: 9223372036854775807"), ERR_OK},
        {POST("Content-Length: 9223372036854775808"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 18446744073709551616"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: +5"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: -5"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 0x5"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length:"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 5 5"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 5, 5"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 5,"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 5.0"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: \"5\""), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 5\r\nContent-Length: 5"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 5\r\ncontent-length: 6"), ERR_BAD_CONTENT_LENGTH},
        {POST("Content-Length: 5\r\nTransfer-Encoding: chunked"), ERR_LENGTH_AND_CODING},
        {POST("Transfer-Encoding: chunked\r\nContent-Length: 5"), ERR_LENGTH_AND_CODING},
        {POST("Transfer-Encoding: chunked"), ERR_OK},
        {POST("Transfer-Encoding: CHUNKED"), ERR_OK},
        {POST("Transfer-Encoding: gzip, chunked"), ERR_CODING_UNSUPPORTED},
        {POST("Transfer-Encoding: identity, chunked"), ERR_CODING_UNSUPPORTED},
        {POST("Transfer-Encoding: chunked, gzip"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: chunked, chunked"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: identity"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: xchunked"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: chunked,"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: ,chunked"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: chunked;q=1"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: \"chunked\""), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding:"), ERR_BAD_TRANSFER_CODING},
        {POST("Transfer-Encoding: \x0b"
              "chunked"),
         ERR_BAD_HEADER},
        {POST("Transfer-Encoding : chunked"), ERR_BAD_HEADER},
        {HEAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked"), ERR_BAD_TRANSFER_CODING},
        {POST("Content-Length: 1\r\nExpect: 100-continue"), ERR_OK},
        {POST("Content-Length: 1\r\nExpect: 100-Continue"), ERR_OK},
        {POST("Content-Length: 1\r\nExpect: 200-ok"), ERR_BAD_EXPECT},
        {POST("Expect: 100-continue, x"), ERR_BAD_EXPECT},
        {POST("Expect: 100-continue\r\nExpect: 100-continue"), ERR_BAD_EXPECT},
        {POST("Expect:"), ERR_BAD_EXPECT},
        {POST("Connection: a b"), ERR_BAD_HEADER},
        {POST("Connection: \"close\""), ERR_BAD_HEADER},
        {POST("Connection: , close,"), ERR_OK},
    };
    check(rows, COUNT_OF(rows));
}

static struct message parsed(struct slice head)
{
    struct message m;
    assert_int_equal(parse(head, &m), ERR_OK);
    return m;
}

static void messages_hold_what_was_said(void **state)
{
    (void)state;
    struct message m = parsed(SLICE("POST /a?b HTTP/1.1\r\nhost: Example.COM.:81\r\n"
                                    "Content-Length: 12\r\nX-Y:  z \r\n\r\n"));
    assert_int_equal(m.method, METHOD_POST);
    assert_true(slice_eq(m.method_text, SLICE("POST")));
    assert_true(slice_eq(m.target, SLICE("/a?b")));
    assert_true(slice_eq(m.authority, SLICE("example.com:81")));
    assert_true(slice_eq(headers_get(&m.headers, FIELD_HOST), m.authority));
    assert_int_equal(m.length, LENGTH_KNOWN);
    assert_int_equal(m.content_length, 12);
    assert_int_equal(m.version_minor, 1);
    assert_true(m.keep_alive);
    assert_false(m.expect_continue || m.upgrade);
    assert_int_equal(m.headers.count, 3);
    assert_true(slice_eq(headers_find_name(&m.headers, SLICE("x-y"))->value, SLICE("z")));
}

static void authorities_are_canonical(void **state)
{
    (void)state;
    static const struct {
        struct slice head;
        const char *authority;
    } rows[] = {
        {HEAD("GET / HTTP/1.1\r\nHost: h"), "h"},
        {HEAD("GET / HTTP/1.1\r\nHost: h:"), "h"},
        {HEAD("GET / HTTP/1.1\r\nHost: h:080"), "h:80"},
        {HEAD("GET / HTTP/1.1\r\nHost: h.:80"), "h:80"},
        {HEAD("GET / HTTP/1.1\r\nHost: h:80"), "h:80"},
        {HEAD("GET / HTTP/1.1\r\nHost: [::A]:80"), "[::a]:80"},
        {HEAD("GET http://H:81/ HTTP/1.1\r\nHost: h:81"), "h:81"},
        {HEAD("GET http://H HTTP/1.0"), "h"},
        {HEAD("GET / HTTP/1.0"), ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct message m = parsed(rows[i].head);
        if (!slice_eq(m.authority, slice_of(rows[i].authority)))
            fail_msg("row %zu: %.*s", i, SLICE_ARG(m.authority));
    }
}

static void persistence(void **state)
{
    (void)state;
    assert_true(parsed((struct slice)GET("A: b")).keep_alive);
    assert_false(parsed((struct slice)GET("Connection: close")).keep_alive);
    assert_false(parsed((struct slice)GET("Connection: x, CLOSE")).keep_alive);
    assert_false(parsed((struct slice)GET("Connection: x\r\nConnection: close")).keep_alive);
    assert_false(parsed(SLICE("GET / HTTP/1.0\r\n\r\n")).keep_alive);
    assert_true(parsed(SLICE("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")).keep_alive);
    assert_false(
        parsed(SLICE("GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n")).keep_alive);
}

static bool is_hop(const struct message *m, struct slice name)
{
    return headers_find_name(&m->headers, name)->hop;
}

static void connection_names_hop_by_hop_fields(void **state)
{
    (void)state;
    struct message m =
        parsed((struct slice)GET("Connection: x-a, cookie, Host, X-Forwarded-For\r\n"
                                 "X-A: 1\r\nCookie: c\r\nX-Forwarded-For: 1.2.3.4\r\n"
                                 "X-B: 2\r\nx-a: 3\r\nTE: trailers"));
    struct header *first = headers_find_name(&m.headers, SLICE("x-a"));
    assert_true(first->hop && headers_next(&m.headers, first)->hop);
    assert_true(is_hop(&m, SLICE("te")) && is_hop(&m, SLICE("connection")));
    assert_false(is_hop(&m, SLICE("cookie")) || is_hop(&m, SLICE("host")));
    assert_false(is_hop(&m, SLICE("x-forwarded-for")) || is_hop(&m, SLICE("x-b")));
}

static void framing_can_not_be_named_away(void **state)
{
    (void)state;
    struct message m =
        parsed((struct slice)POST("Connection: Content-Length\r\nContent-Length: 3"));
    assert_int_equal(m.length, LENGTH_KNOWN);
    assert_false(is_hop(&m, SLICE("content-length")));
}

static void upgrades(void **state)
{
    (void)state;
    struct message m =
        parsed((struct slice)GET("Connection: keep-alive, Upgrade\r\nUpgrade: websocket"));
    assert_true(m.upgrade && slice_eq(m.upgrade_to, SLICE("websocket")));
    assert_true(is_hop(&m, SLICE("upgrade")));
    assert_false(parsed((struct slice)GET("Upgrade: websocket")).upgrade);
    assert_false(parsed((struct slice)GET("Connection: upgrade")).upgrade);
    assert_false(parsed((struct slice)GET("Connection: upgrade\r\nUpgrade: a, h2c")).upgrade);
    assert_false(parsed((struct slice)POST("Connection: upgrade\r\nUpgrade: a\r\n"
                                           "Content-Length: 1"))
                     .upgrade);
    assert_false(
        parsed(SLICE("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n")).upgrade);
}

static void expectations(void **state)
{
    (void)state;
    struct message m = parsed((struct slice)POST("Content-Length: 1\r\nExpect: 100-continue"));
    assert_true(m.expect_continue);
    assert_non_null(headers_find(&m.headers, FIELD_EXPECT));
    m = parsed((struct slice)GET("Expect: 100-continue"));
    assert_false(m.expect_continue);
    assert_null(headers_find(&m.headers, FIELD_EXPECT));
    m = parsed(SLICE("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"));
    assert_false(m.expect_continue);
}

static void the_budget_refuses(void **state)
{
    (void)state;
    struct arena none;
    struct message m;
    struct slice head = GET("A: b");
    arena_init(&none, 0);
    assert_int_equal(h1_parse_request(head, &none, &limits, &m), ERR_OVER_BUDGET);
    arena_release(&none);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(h1_h1_request, CASE(request_lines), CASE(field_lines), CASE(hosts), CASE(framing),
           CASE(messages_hold_what_was_said), CASE(authorities_are_canonical), CASE(persistence),
           CASE(connection_names_hop_by_hop_fields), CASE(framing_can_not_be_named_away),
           CASE(upgrades), CASE(expectations), CASE(the_budget_refuses));
