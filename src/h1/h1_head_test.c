/* h1_head_test.c - finding heads byte by byte, and their limits at and one past. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1_parse.h"
#include "tests/unit.h"

static const struct stream_limits limits = {
    .head_bytes = 100,
    .line_bytes = 40,
    .header_count = 3,
    .trailer_bytes = 30,
};

/* Feeds one byte more at a time; the first verdict that is not HOLD. */
static enum err feed(struct slice in, size_t *len)
{
    struct h1_scan s = {0};
    for (size_t n = 0; n <= in.len; n++) {
        char copy[512]; /* so that reading past the bytes given would be seen */
        memcpy(copy, in.at, n);
        enum err e = h1_head_find(&s, (struct slice){copy, n}, &limits, len);
        if (e != ERR_HOLD)
            return e;
    }
    return ERR_HOLD;
}

static void finds_the_end(void **state)
{
    (void)state;
    static const struct {
        struct slice in;
        enum err err;
        size_t len;
    } rows[] = {
        {SLICE_INIT("GET / HTTP/1.1\r\n\r\n"), ERR_OK, 18},
        {SLICE_INIT("GET / HTTP/1.1\r\nA: b\r\n\r\nrest"), ERR_OK, 24},
        {SLICE_INIT("\r\nG\r\n\r\n"), ERR_OK, 7},
        {SLICE_INIT("\r\n\r\nG\r\n\r\n"), ERR_OK, 9},
        {SLICE_INIT("\r\n\r\n\r\nG\r\n\r\n"), ERR_BAD_REQUEST_LINE},
        {SLICE_INIT("GET / HTTP/1.1\r\nA: b\r\n"), ERR_HOLD},
        {SLICE_INIT("GET / HTTP/1.1\r\nA: b\r\n\r"), ERR_HOLD},
        {SLICE_INIT("GET / HTTP/1.1\n\r\n"), ERR_BARE_LF},
        {SLICE_INIT("GET / HTTP/1.1\r\n\n"), ERR_BARE_LF},
        {SLICE_INIT("\nGET / HTTP/1.1\r\n\r\n"), ERR_BARE_LF},
        {SLICE_INIT("\x16\x03\x01"), ERR_NOT_HTTP},
        {SLICE_INIT("\0"), ERR_NOT_HTTP},
        {SLICE_INIT("\xff"), ERR_NOT_HTTP},
        {SLICE_INIT("\x7f"), ERR_NOT_HTTP},
        {SLICE_INIT("G\r\na\r\nb\r\nc\r\n\r\n"), ERR_OK, 14},
        {SLICE_INIT("G\r\na\r\nb\r\nc\r\nd\r\n"), ERR_TOO_MANY_HEADERS},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = 0;
        enum err e = feed(rows[i].in, &len);
        if (e != rows[i].err || len != rows[i].len)
            fail_msg("row %zu: %s, %zu bytes", i, err_name(e), len);
    }
}

/* `line` bytes of request line and `fields` bytes of field lines, CRLFs not counted in the first.
 */
static enum err sized(size_t line, size_t total)
{
    char in[512];
    size_t len, at = line;
    memset(in, 'x', sizeof in);
    memcpy(in + at, "\r\n", 2);
    memcpy(in + total - 4, "\r\n\r\n", 4);
    return feed((struct slice){in, total}, &len);
}

static void limits_at_and_past(void **state)
{
    (void)state;
    assert_int_equal(sized(40, 60), ERR_OK);
    assert_int_equal(sized(41, 60), ERR_URI_TOO_LONG);
    assert_int_equal(sized(10, 100), ERR_OK);
    assert_int_equal(sized(10, 101), ERR_HEAD_TOO_LARGE);
}

static void an_endless_line_is_refused_before_it_ends(void **state)
{
    (void)state;
    char in[64];
    size_t len;
    struct h1_scan s = {0};
    memset(in, 'x', sizeof in);
    assert_int_equal(h1_head_find(&s, (struct slice){in, 41}, &limits, &len), ERR_HOLD);
    assert_int_equal(h1_head_find(&s, (struct slice){in, 42}, &limits, &len), ERR_URI_TOO_LONG);
}

static enum err trailer(struct slice in, size_t *len)
{
    struct h1_scan s = {0};
    enum err e = ERR_HOLD;
    for (size_t n = 0; n <= in.len && e == ERR_HOLD; n++)
        e = h1_trailer_find(&s, slice_head(in, n), &limits, len);
    return e;
}

static void trailers_end(void **state)
{
    (void)state;
    size_t len;
    assert_int_equal(trailer(SLICE("\r\nrest"), &len), ERR_OK);
    assert_int_equal(len, 2);
    assert_int_equal(trailer(SLICE("a: b\r\n\r\nrest"), &len), ERR_OK);
    assert_int_equal(len, 8);
    assert_int_equal(trailer(SLICE("a: b\r\n"), &len), ERR_HOLD);
    assert_int_equal(trailer(SLICE("a: b\n\r\n"), &len), ERR_BARE_LF);
    assert_int_equal(trailer(SLICE("a: 4567890123456789012345678\r\n\r\n"), &len), ERR_OK);
    assert_int_equal(trailer(SLICE("a: 45678901234567890123456789\r\n\r\n"), &len),
                     ERR_HEAD_TOO_LARGE);
    assert_int_equal(trailer(SLICE("a:1\r\nb:2\r\nc:3\r\n\r\n"), &len), ERR_OK);
    assert_int_equal(trailer(SLICE("a:1\r\nb:2\r\nc:3\r\nd:4\r\n\r\n"), &len),
                     ERR_TOO_MANY_HEADERS);
}

UNIT_SUITE(h1_h1_head, cmocka_unit_test(finds_the_end), cmocka_unit_test(limits_at_and_past),
           cmocka_unit_test(an_endless_line_is_refused_before_it_ends),
           cmocka_unit_test(trailers_end));
