/* h1_chunks_test.c - chunked bodies, whole and byte by byte, and trailers. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1_parse.h"
#include "tests/unit.h"

static const struct stream_limits limits = {
    .chunk_ext_bytes = 8,
    .header_count = 4,
    .trailer_bytes = 1024,
};

/* Reads `in` in pieces of `step` bytes; body bytes go to `out`, the rest's position to *used. */
static enum err read_all(struct slice in, size_t step, char *out, size_t *out_len, size_t *used)
{
    struct h1_chunks c;
    struct slice data;
    h1_chunks_init(&c);
    *out_len = *used = 0;
    for (;;) {
        struct slice piece = slice_head(slice_from(in, *used), step);
        size_t given = piece.len;
        enum err e = h1_chunks_next(&c, &piece, &limits, &data);
        *used += given - piece.len;
        if (e == ERR_OK) {
            memcpy(out + *out_len, data.at, data.len);
            *out_len += data.len;
        } else if (e != ERR_HOLD || *used == in.len) {
            return e;
        }
    }
}

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        struct slice in;
        enum err err; /* NOT_FOUND: the end was reached */
        const char *body;
        size_t left;
    } rows[] = {
        {SLICE_INIT("0\r\n"), ERR_NOT_FOUND, "", 0},
        {SLICE_INIT("0\r\n\r\nnext"), ERR_NOT_FOUND, "", 6},
        {SLICE_INIT("3\r\nabc\r\n0\r\n\r\n"), ERR_NOT_FOUND, "abc", 2},
        {SLICE_INIT("3\r\nabc\r\nA\r\n0123456789\r\n00\r\n"), ERR_NOT_FOUND, "abc0123456789", 0},
        {SLICE_INIT("0000000000000003\r\nabc\r\n0\r\n"), ERR_NOT_FOUND, "abc", 0},
        {SLICE_INIT("00000000000000003\r\nabc\r\n0\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("7fffffffffffffff\r\nabc"), ERR_HOLD, "abc", 0},
        {SLICE_INIT("8000000000000000\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("ffffffffffffffff\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("10000000000000000\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("3;a=b\r\nabc\r\n0;x\r\n"), ERR_NOT_FOUND, "abc", 0},
        {SLICE_INIT("3 ;a=\"b\"\r\nabc\r\n0\r\n"), ERR_NOT_FOUND, "abc", 0},
        {SLICE_INIT("3;12345678\r\nabc\r\n0\r\n"), ERR_NOT_FOUND, "abc", 0},
        {SLICE_INIT("3;123456789\r\nabc\r\n0\r\n"), ERR_CHUNK_EXT_TOO_LONG, "", 0},
        {SLICE_INIT("3;12345678\r\nabc\r\n3;12345678\r\ndef\r\n0\r\n"), ERR_NOT_FOUND, "abcdef", 0},
        {SLICE_INIT("3 \r\nabc\r\n0\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT(" 3\r\nabc\r\n0\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT(";a\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("0x3\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("+3\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("-3\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("g\r\nabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("3\nabc\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("3;a\nabc\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("3;\0\r\nabc\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("3\r\rabc"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("3;a\rb\r\n"), ERR_BAD_CHUNK, "", 0},
        {SLICE_INIT("3\r\nabcd\r\n"), ERR_BAD_CHUNK, "abc", 0},
        {SLICE_INIT("3\r\nabc\n"), ERR_BAD_CHUNK, "abc", 0},
        {SLICE_INIT("3\r\nabc\r0"), ERR_BAD_CHUNK, "abc", 0},
        {SLICE_INIT("3\r\nab\r\n"), ERR_BAD_CHUNK, "ab\r", 0},
        {SLICE_INIT("3\r\nab"), ERR_HOLD, "ab", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t step = 1; step < 40; step++) {
            char out[64];
            size_t len, used;
            enum err e = read_all(rows[i].in, step, out, &len, &used);
            bool same = slice_eq((struct slice){out, len}, slice_of(rows[i].body));
            bool at = e != ERR_NOT_FOUND || rows[i].in.len - used == rows[i].left;
            if (e != rows[i].err || !same || !at)
                fail_msg("row %zu, step %zu: %s, \"%.*s\"", i, step, err_name(e), (int)len, out);
        }
}

static void trailers(void **state)
{
    (void)state;
    static const struct {
        struct slice in;
        enum err err;
        unsigned kept;
    } rows[] = {
        {SLICE_INIT("\r\n"), ERR_OK, 0},
        {SLICE_INIT("X-Sum: 1\r\nETag: e\r\n\r\n"), ERR_OK, 2},
        {SLICE_INIT("X-Sum: 1\r\nContent-Length: 3\r\n\r\n"), ERR_OK, 1},
        {SLICE_INIT("Transfer-Encoding: chunked\r\n\r\n"), ERR_OK, 0},
        {SLICE_INIT("Host: h\r\n\r\n"), ERR_OK, 0},
        {SLICE_INIT("Cookie: c\r\n\r\n"), ERR_OK, 0},
        {SLICE_INIT("Connection: close\r\n\r\n"), ERR_OK, 0},
        {SLICE_INIT("X-Forwarded-For: c\r\n\r\n"), ERR_OK, 0},
        {SLICE_INIT("X : c\r\n\r\n"), ERR_BAD_HEADER, 0},
        {SLICE_INIT("X: c\r\n d\r\n\r\n"), ERR_OBS_FOLD, 0},
        {SLICE_INIT("X: \0\r\n\r\n"), ERR_NUL_BYTE, 0},
        {SLICE_INIT("X: \r\r\n\r\n"), ERR_BARE_CR, 0},
    };
    struct arena a;
    arena_init(&a, 65536);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct headers h = {0};
        unsigned kept = 0;
        assert_int_equal(h1_parse_trailers(rows[i].in, &a, &limits, &h), rows[i].err);
        HEADER_EACH (it, &h)
            kept++;
        assert_int_equal(kept, rows[i].kept);
    }
    arena_release(&a);
}

UNIT_SUITE(h1_h1_chunks, cmocka_unit_test(verdicts), cmocka_unit_test(trailers));
