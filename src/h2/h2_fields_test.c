/* h2_fields_test.c - requests as fields, and the verdict on each; responses as header blocks. What
 * is admitted is checked field by field, what is not by its error. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_fields.h"
#include "tests/unit.h"
#include <stdio.h>

enum { LINES_MAX = 12 };

static const struct stream_limits limits = {
    .head_bytes = 8192, .line_bytes = 100, .header_count = 8, .trailer_bytes = 1000};

static struct arena arena;
static struct message m;
static bool connects;

/* "name: value" lines, to which GET http / on host h belongs unless they begin with '!'. */
static enum err take_line(struct h2_fields *f, const char *line)
{
    struct slice l = slice_of(line);
    size_t at = l.len ? 1 + slice_find(slice_from(l, 1), ':') : 0; /* a pseudo begins with one */
    struct hpack_header h = {.name = slice_head(l, at), .value = slice_from(l, at + 1)};
    if (h.value.len && h.value.at[0] == ' ')
        h.value = slice_from(h.value, 1);
    h.id = (uint16_t)field_find(h.name);
    return h2_fields_take(f, &h);
}

static enum err read_lines(const char *const *lines, unsigned end)
{
    static const char *const usual[] = {":method: GET", ":scheme: http", ":path: /",
                                        ":authority: h"};
    struct h2_fields f = {.headers = &m.headers, .arena = &arena, .limits = &limits};
    bool bare = lines[0] && lines[0][0] == '!';
    message_init(&m);
    for (size_t i = 0; i < COUNT_OF(usual) && !bare; i++)
        TRY(take_line(&f, usual[i]));
    for (size_t i = bare; i < LINES_MAX && lines[i]; i++)
        TRY(take_line(&f, lines[i]));
    connects = f.protocol.at != NULL;
    return h2_request_finish(&f, &m, end, 12345);
}

#define RAW    "!"
#define M      ":method: GET"
#define S      ":scheme: http"
#define PATH   ":path: /"
#define HOST_H ":authority: h"

static const struct verdict {
    const char *name;
    const char *lines[LINES_MAX];
    unsigned end;
    enum err err;
} verdicts[] = {
    {"plain", {NULL}, 1, ERR_OK},
    {"a field", {"x: y"}, 1, ERR_OK},
    {"an empty value", {"x: "}, 1, ERR_OK},
    {"other bytes in a value", {"x: \xc3\xa4"}, 1, ERR_OK},
    {"a tab inside a value", {"x: a\tb"}, 1, ERR_OK},
    {"space before a value", {"x:  y"}, 1, ERR_BAD_HEADER},
    {"space behind a value", {"x: y "}, 1, ERR_BAD_HEADER},
    {"tab behind a value", {"x: y\t"}, 1, ERR_BAD_HEADER},
    {"CR", {"x: a\rb"}, 1, ERR_BAD_HEADER},
    {"LF", {"x: a\nb"}, 1, ERR_BAD_HEADER},
    {"DEL", {"x: a\x7f"}, 1, ERR_BAD_HEADER},
    {"upper case", {"X: y"}, 1, ERR_BAD_HEADER},
    {"space in a name", {"x y: z"}, 1, ERR_BAD_HEADER},
    {"no name", {""}, 1, ERR_BAD_HEADER},
    {"connection", {"connection: x"}, 1, ERR_BAD_HEADER},
    {"transfer-encoding", {"transfer-encoding: chunked"}, 0, ERR_BAD_HEADER},
    {"upgrade", {"upgrade: h2c"}, 1, ERR_BAD_HEADER},
    {"keep-alive", {"keep-alive: 1"}, 1, ERR_BAD_HEADER},
    {"proxy-connection", {"proxy-connection: x"}, 1, ERR_BAD_HEADER},
    {"te trailers", {"te: trailers"}, 1, ERR_OK},
    {"te gzip", {"te: gzip"}, 1, ERR_BAD_HEADER},
    {"te both", {"te: trailers, gzip"}, 1, ERR_BAD_HEADER},
    {"as many fields as may be",
     {"a: ", "b: ", "c: ", "d: ", "e: ", "f: ", "g: ", "i: "},
     1,
     ERR_OK},
    {"one more",
     {"a: ", "b: ", "c: ", "d: ", "e: ", "f: ", "g: ", "i: ", "j: "},
     1,
     ERR_TOO_MANY_HEADERS},
    {"a second method", {M}, 1, ERR_BAD_HEADER},
    {"an unknown pseudo-header", {":x: y"}, 1, ERR_BAD_HEADER},
    {"the answer's", {":status: 200"}, 1, ERR_BAD_HEADER},
    {"a late one", {RAW, M, S, "x: y", PATH, HOST_H}, 1, ERR_BAD_HEADER},
    {"no method", {RAW, S, PATH, HOST_H}, 1, ERR_BAD_METHOD},
    {"no scheme", {RAW, M, PATH, HOST_H}, 1, ERR_BAD_TARGET},
    {"no path", {RAW, M, S, HOST_H}, 1, ERR_BAD_TARGET},
    {"no host at all", {RAW, M, S, PATH}, 1, ERR_BAD_HOST},
    {"host in its place", {RAW, M, S, PATH, "host: h"}, 1, ERR_OK},
    {"an empty authority", {RAW, M, S, PATH, ":authority: "}, 1, ERR_BAD_HOST},
    {"userinfo", {RAW, M, S, PATH, ":authority: u@h"}, 1, ERR_BAD_HOST},
    {"host of the same meaning", {"host: H:80"}, 1, ERR_OK},
    {"another host", {"host: i"}, 1, ERR_HOST_MISMATCH},
    {"another port", {"host: h:81"}, 1, ERR_HOST_MISMATCH},
    {"two hosts", {"host: h", "host: h"}, 1, ERR_BAD_HOST},
    {"https and its port", {RAW, M, ":scheme: https", PATH, HOST_H, "host: h:443"}, 1, ERR_OK},
    {"https and the other's",
     {RAW, M, ":scheme: https", PATH, HOST_H, "host: h:80"},
     1,
     ERR_HOST_MISMATCH},
    {"another scheme", {RAW, M, ":scheme: ws", PATH, HOST_H}, 1, ERR_BAD_TARGET},
    {"an empty path", {RAW, M, S, ":path: ", HOST_H}, 1, ERR_BAD_TARGET},
    {"a relative path", {RAW, M, S, ":path: x", HOST_H}, 1, ERR_BAD_TARGET},
    {"an absolute one", {RAW, M, S, ":path: http://h/", HOST_H}, 1, ERR_BAD_TARGET},
    {"a fragment", {RAW, M, S, ":path: /#", HOST_H}, 1, ERR_BAD_TARGET},
    {"space in the path", {RAW, M, S, ":path: /a b", HOST_H}, 1, ERR_BAD_TARGET},
    {"an asterisk", {RAW, M, S, ":path: *", HOST_H}, 1, ERR_BAD_TARGET},
    {"of OPTIONS", {RAW, ":method: OPTIONS", S, ":path: *", HOST_H}, 1, ERR_OK},
    {"a method that is none", {RAW, ":method: G T", S, PATH, HOST_H}, 1, ERR_BAD_METHOD},
    {"an unknown method", {RAW, ":method: BREW", S, PATH, HOST_H}, 1, ERR_OK},
    {"the longest path",
     {RAW, M, S,
      ":path: /"
      "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "123456789",
      HOST_H},
     1,
     ERR_OK},
    {"one longer",
     {RAW, M, S,
      ":path: /"
      "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "1234567890",
      HOST_H},
     1,
     ERR_URI_TOO_LONG},
    {"a length", {"content-length: 5"}, 0, ERR_OK},
    {"a length of nothing", {"content-length: 0"}, 1, ERR_OK},
    {"a length without a body", {"content-length: 1"}, 1, ERR_BAD_CONTENT_LENGTH},
    {"two lengths", {"content-length: 5", "content-length: 5"}, 0, ERR_BAD_CONTENT_LENGTH},
    {"a list", {"content-length: 5, 5"}, 0, ERR_BAD_CONTENT_LENGTH},
    {"a sign", {"content-length: +5"}, 0, ERR_BAD_CONTENT_LENGTH},
    {"the largest", {"content-length: 9223372036854775807"}, 0, ERR_OK},
    {"a larger", {"content-length: 9223372036854775808"}, 0, ERR_BAD_CONTENT_LENGTH},
    {"expect", {"expect: 100-Continue"}, 0, ERR_OK},
    {"expect something else", {"expect: x"}, 0, ERR_BAD_EXPECT},
    {"CONNECT", {RAW, ":method: CONNECT", HOST_H}, 0, ERR_METHOD_UNSUPPORTED},
    {"CONNECT with a path", {RAW, ":method: CONNECT", PATH, HOST_H}, 0, ERR_BAD_TARGET},
    {"a protocol of GET", {RAW, M, ":protocol: websocket", S, PATH, HOST_H}, 0, ERR_BAD_HEADER},
    {"websocket", {RAW, ":method: CONNECT", ":protocol: websocket", S, PATH, HOST_H}, 0, ERR_OK},
    {"websocket without a path",
     {RAW, ":method: CONNECT", ":protocol: websocket", S, HOST_H},
     0,
     ERR_BAD_TARGET},
    {"another protocol",
     {RAW, ":method: CONNECT", ":protocol: x", S, PATH, HOST_H},
     0,
     ERR_METHOD_UNSUPPORTED},
    {"websocket with a length",
     {RAW, ":method: CONNECT", ":protocol: websocket", S, PATH, HOST_H, "content-length: 0"},
     0,
     ERR_BAD_CONTENT_LENGTH},
};

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    arena_cache_release();
    return 0;
}

static void every_request_gets_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
        const struct verdict *v = &verdicts[i];
        enum err e = read_lines(v->lines, v->end);
        if (e != v->err)
            fail_msg("%s: %s instead of %s", v->name, err_name(e), err_name(v->err));
        if (e)
            continue;
        struct header *host = headers_find(&m.headers, FIELD_HOST);
        assert_non_null(host);
        assert_null(headers_next(&m.headers, host));
        assert_true(slice_eq(host->value, SLICE("h")));
        assert_true(slice_eq(m.authority, SLICE("h")));
        assert_int_equal(m.version_major, 2);
    }
}

static void nul_is_refused(void **state)
{
    struct h2_fields f = {.headers = &m.headers, .arena = &arena, .limits = &limits};
    struct hpack_header in_value = {.name = SLICE_INIT("x"), .value = SLICE_INIT("a\0b")};
    struct hpack_header in_name = {.name = SLICE_INIT("x\0"), .value = SLICE_INIT("a")};
    (void)state;
    message_init(&m);
    assert_int_equal(h2_fields_take(&f, &in_value), ERR_BAD_HEADER);
    assert_int_equal(h2_fields_take(&f, &in_name), ERR_BAD_HEADER);
}

static void lengths_are_told(void **state)
{
    static const char *const none[] = {NULL}, *const five[] = {"content-length: 5", NULL};
    (void)state;
    assert_int_equal(read_lines(none, 1), ERR_OK);
    assert_int_equal(m.length, LENGTH_NONE);
    assert_int_equal(read_lines(none, 0), ERR_OK);
    assert_int_equal(m.length, LENGTH_UNKNOWN);
    assert_int_equal(read_lines(five, 0), ERR_OK);
    assert_int_equal(m.length, LENGTH_KNOWN);
    assert_int_equal(m.content_length, 5);
}

static void crumbs_become_one_cookie(void **state)
{
    static const char *const lines[] = {"cookie: a=1", "x: y", "cookie: b=2", "cookie: c=3", NULL};
    (void)state;
    assert_int_equal(read_lines(lines, 1), ERR_OK);
    struct header *h = headers_find(&m.headers, FIELD_COOKIE);
    assert_true(slice_eq(h->value, SLICE("a=1; b=2; c=3")));
    assert_null(headers_next(&m.headers, h));
}

static void websocket_asks_for_an_upgrade(void **state)
{
    static const char *const lines[] = {
        RAW, ":method: CONNECT", ":protocol: websocket", S, PATH, HOST_H, "sec-websocket-key: old",
        NULL};
    (void)state;
    assert_int_equal(read_lines(lines, 0), ERR_OK);
    assert_true(connects && m.upgrade && slice_eq(m.upgrade_to, SLICE("websocket")));
    assert_int_equal(m.method, METHOD_GET);
    assert_int_equal(m.length, LENGTH_NONE);
    struct header *key = headers_find(&m.headers, FIELD_SEC_WEBSOCKET_KEY);
    assert_null(headers_next(&m.headers, key));
    assert_int_equal(key->value.len, 24);
    assert_true(slice_ends(key->value, SLICE("==")));
}

static void trailers_lose_what_they_may_not_have(void **state)
{
    struct headers t = {0};
    struct h2_fields f = {.headers = &t, .arena = &arena, .limits = &limits, .trailers = true};
    (void)state;
    assert_int_equal(take_line(&f, "grpc-status: 0"), ERR_OK);
    assert_int_equal(take_line(&f, "content-length: 7"), ERR_OK);
    assert_int_equal(take_line(&f, "authorization: x"), ERR_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(take_line(&f, ":path: /"), ERR_BAD_HEADER);
    assert_int_equal(take_line(&f, "connection: x"), ERR_BAD_HEADER);
}

/* ---- responses ---- */

static char text[1000];

static enum err to_text(void *user, const struct hpack_header *h)
{
    (void)user;
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, "%.*s=%.*s\n", SLICE_ARG(h->name), SLICE_ARG(h->value));
    return ERR_OK;
}

static void expect_response(const struct h2_reply *r, const char *expected)
{
    struct hpack_encoder e;
    struct hpack_decoder d;
    char block[1000];
    hpack_encoder_init(&e);
    hpack_decoder_init(&d, HPACK_TABLE_BYTES);
    assert_true(h2_response_room(&m, r) <= sizeof block);
    size_t len = h2_response_write(&e, block, &m, r);
    assert_true(len <= h2_response_room(&m, r));
    text[0] = 0;
    struct slice all = {block, len};
    assert_int_equal(hpack_decode(&d, all, 8192, &arena, to_text, NULL), ERR_OK);
    assert_string_equal(text, expected);
    hpack_encoder_release(&e);
    hpack_decoder_release(&d);
}

static void responses_lose_what_is_of_the_connection(void **state)
{
    static const char *const names[] = {"X-A",
                                        "Connection",
                                        "Keep-Alive",
                                        "Content-Length",
                                        "Transfer-Encoding",
                                        "Sec-WebSocket-Accept"};
    (void)state;
    message_init(&m);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(headers_add(&m.headers, &arena, slice_of(names[i]), SLICE("9")), ERR_OK);
    m.content_length = 7;
    expect_response(&(struct h2_reply){.status = 200, .length = true, .date = SLICE_INIT("now")},
                    ":status=200\nx-a=9\nsec-websocket-accept=9\ndate=now\ncontent-length=7\n");
    expect_response(&(struct h2_reply){.status = 304, .pass_length = true},
                    ":status=304\nx-a=9\nsec-websocket-accept=9\ncontent-length=9\n");
    expect_response(&(struct h2_reply){.status = 200, .tunnel = true}, ":status=200\nx-a=9\n");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

UNIT_SUITE(h2_h2_fields, CASE(every_request_gets_its_verdict), CASE(nul_is_refused),
           CASE(lengths_are_told), CASE(crumbs_become_one_cookie),
           CASE(websocket_asks_for_an_upgrade), CASE(trailers_lose_what_they_may_not_have),
           CASE(responses_lose_what_is_of_the_connection));
