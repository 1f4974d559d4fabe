/* fcgi_record_test.c - records in any pieces, and those that may not come. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "fcgi/fcgi_record.h"
#include "tests/unit.h"
#include <stdio.h>

#define OUT(len)        "\x01\x06\0\x01\0" len "\0\0"
#define OUT_PADDED(len) "\x01\x06\0\x01\0" len "\x03\0"
#define ERR_(len)       "\x01\x07\0\x01\0" len "\0\0"
#define END(app, how)   "\x01\x03\0\x01\0\x08\0\0\0\0\0" app how "\0\0\0"

/* What was read, as text: "out(ab) end(0,0)". */
struct told {
    char text[512];
    enum err err;
};

static void tell(struct told *t, const char *what, struct slice bytes)
{
    size_t len = strlen(t->text), cap = sizeof t->text - len;
    size_t what_len = strlen(what);
    /* pieces of one kind are one */
    if (len > 0 && t->text[len - 1] == ')' && bytes.at &&
        strncmp(strrchr(t->text, '(') - what_len, what, what_len) == 0)
        snprintf(t->text + len - 1, cap + 1, "%.*s)", SLICE_ARG(bytes));
    else
        snprintf(t->text + len, cap, "%s%s(%.*s)", len ? " " : "", what, SLICE_ARG(bytes));
}

static struct told read_by(struct slice in, size_t step)
{
    struct told t = {.err = ERR_HOLD};
    struct fcgi_reader r = {0};
    while (in.len > 0 && t.err == ERR_HOLD) {
        struct slice part = slice_head(in, step);
        in = slice_from(in, step);
        struct fcgi_piece p;
        while ((t.err = fcgi_next(&r, &part, &p)) == ERR_OK) {
            char how[32];
            snprintf(how, sizeof how, "%u,%u", r.app_status, r.protocol_status);
            switch (p.kind) {
            case FCGI_PIECE_OUT: tell(&t, "out", p.bytes); break;
            case FCGI_PIECE_ERR: tell(&t, "err", p.bytes); break;
            case FCGI_PIECE_OUT_END: tell(&t, "done", SLICE_NONE); break;
            case FCGI_PIECE_END: tell(&t, "end", slice_of(how)); break;
            }
        }
    }
    return t;
}

static void answers_in_any_pieces(void **state)
{
    (void)state;
    static const struct {
        struct slice in;
        const char *told;
        enum err err;
    } rows[] = {
        {SLICE_INIT(OUT("\x02") "hi" END("\0", "\0")), "out(hi) end(0,0)", ERR_HOLD},
        {SLICE_INIT(OUT_PADDED("\x02") "hixxx" OUT("\0") END("\x02", "\0")),
         "out(hi) done() end(2,0)", ERR_HOLD},
        {SLICE_INIT(ERR_("\x01") "e" OUT("\x01") "o" ERR_("\x01") "f" ERR_("\0") END("\0", "\x02")),
         "err(e) out(o) err(f) end(0,2)", ERR_HOLD},
        {SLICE_INIT("\x01\x0a\0\0\0\x02\x01\0zzp" OUT("\x01") "o"), "out(o)", ERR_HOLD},
        {SLICE_INIT("\x01\x0b\0\0\0\x08\0\0zzzzzzzz"), "", ERR_HOLD},
        {SLICE_INIT(OUT_PADDED("\0") "ppp" ERR_("\x01") "e"), "done() err(e)", ERR_HOLD},
        /* after the end of their stream, or of the request */
        {SLICE_INIT(OUT("\0") OUT("\x01") "o"), "done()", ERR_ORIGIN_FASTCGI},
        {SLICE_INIT(ERR_("\0") ERR_("\0")), "", ERR_ORIGIN_FASTCGI},
        {SLICE_INIT(END("\0", "\0") OUT("\x01") "o"), "end(0,0)", ERR_ORIGIN_FASTCGI},
        {SLICE_INIT(END("\0", "\0") END("\0", "\0")), "end(0,0)", ERR_ORIGIN_FASTCGI},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 1; step <= rows[i].in.len; step++) {
            struct told t = read_by(rows[i].in, step);
            if (strcmp(t.text, rows[i].told) != 0 || t.err != rows[i].err)
                fail_msg("row %zu by %zu: %s, %s", i, step, t.text, err_name(t.err));
        }
    }
}

/* One byte of the header of a good record is another. */
static void what_no_header_may_say(void **state)
{
    (void)state;
    static const struct {
        uint8_t at, byte;
        enum err err;
    } rows[] = {
        {0, 1, ERR_OK},
        {0, 0, ERR_ORIGIN_FASTCGI},
        {0, 2, ERR_ORIGIN_FASTCGI},
        {1, FCGI_BEGIN_REQUEST, ERR_ORIGIN_FASTCGI},
        {1, FCGI_ABORT_REQUEST, ERR_ORIGIN_FASTCGI},
        {1, FCGI_END_REQUEST, ERR_ORIGIN_FASTCGI}, /* of two bytes */
        {1, FCGI_PARAMS, ERR_ORIGIN_FASTCGI},
        {1, FCGI_STDIN, ERR_ORIGIN_FASTCGI},
        {1, FCGI_DATA, ERR_ORIGIN_FASTCGI},
        {1, FCGI_GET_VALUES, ERR_ORIGIN_FASTCGI},
        {1, FCGI_GET_VALUES_RESULT, ERR_ORIGIN_FASTCGI}, /* of a request */
        {1, FCGI_UNKNOWN_TYPE, ERR_ORIGIN_FASTCGI},
        {1, 0, ERR_ORIGIN_FASTCGI},
        {1, 99, ERR_ORIGIN_FASTCGI},
        {2, 1, ERR_ORIGIN_FASTCGI},
        {3, 0, ERR_ORIGIN_FASTCGI},
        {3, 2, ERR_ORIGIN_FASTCGI},
        {7, 255, ERR_OK}, /* reserved */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char bytes[] = OUT("\x02") "hi";
        struct fcgi_reader r = {0};
        struct fcgi_piece p;
        bytes[rows[i].at] = (char)rows[i].byte;
        struct slice in = {bytes, sizeof bytes - 1};
        if (fcgi_next(&r, &in, &p) != rows[i].err)
            fail_msg("row %zu", i);
    }
}

static void the_largest_record(void **state)
{
    (void)state;
    static char bytes[FCGI_HEADER_BYTES + FCGI_CONTENT_MAX];
    struct fcgi_reader r = {0};
    struct fcgi_piece p;
    fcgi_header_write(bytes, FCGI_STDOUT, FCGI_CONTENT_MAX);
    struct slice in = {bytes, sizeof bytes};
    assert_int_equal(fcgi_next(&r, &in, &p), ERR_OK);
    assert_int_equal(p.bytes.len, FCGI_CONTENT_MAX);
    assert_int_equal(in.len, 0);
    assert_false(r.in_record && r.content > 0);
}

static void what_is_written(void **state)
{
    (void)state;
    char begin[FCGI_BEGIN_BYTES], length[4];
    fcgi_begin_write(begin, FCGI_KEEP_CONN);
    assert_memory_equal(begin, "\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0", sizeof begin);
    fcgi_begin_write(begin, FCGI_CLOSE_CONN);
    assert_int_equal(begin[FCGI_HEADER_BYTES + 2], 0);
    assert_int_equal(fcgi_length_write(length, 127), 1);
    assert_int_equal(length[0], 127);
    assert_int_equal(fcgi_length_write(length, 128), 4);
    assert_memory_equal(length, "\x80\0\0\x80", 4);
    assert_int_equal(fcgi_length_write(length, 0x12345), 4);
    assert_memory_equal(length, "\x80\x01\x23\x45", 4);
}

UNIT_SUITE(fcgi_fcgi_record, cmocka_unit_test(answers_in_any_pieces),
           cmocka_unit_test(what_no_header_may_say), cmocka_unit_test(the_largest_record),
           cmocka_unit_test(what_is_written));
