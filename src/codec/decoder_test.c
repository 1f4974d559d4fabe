/* decoder_test.c - what encoders made is decoded again, in pieces of any size; broken, cut and
 * oversized input; limits at the last byte that passes and at the first that does not. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/decoder.h"
#include "codec/decoder_fuzz_priv.h"
#include "codec/encoder.h"
#include "tests/corpus.h"
#include "tests/unit.h"
#include <stdlib.h>

enum { TEXT_BYTES = 200000, CODED_MAX_BYTES = 1 << 20, ZEROS_BYTES = 3 << 20 };

static const struct {
    const struct encoder_type *encoder;
    const struct decoder_type *decoder;
} codings[] = {
    {&encoder_gzip, &decoder_gzip}, {&encoder_zstd, &decoder_zstd}, {&encoder_br, &decoder_br}};

static char coded[CODED_MAX_BYTES], decoded[ZEROS_BYTES + 10], text[ZEROS_BYTES];

static void text_make(void)
{
    unsigned seed = 1;
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = "etaoin shrdlu"[(seed >> 24) % 13];
    }
}

static size_t encode(size_t which, struct slice in, size_t at)
{
    struct encoder_plan plan = {ENCODER_NORMAL, 0, in.len};
    struct encoder *e = encoder_take(codings[which].encoder, &plan);
    struct encoder_out out = {0};
    assert_non_null(e);
    for (bool ends = false; !ends || !out.done; at += out.len) {
        ends = in.len == 0;
        out.to = coded + at;
        out.room = sizeof coded - at;
        assert_int_equal(encoder_run(e, &in, ends ? ENCODER_END : ENCODER_GO, &out), ERR_OK);
    }
    encoder_drop(e);
    encoders_release();
    return at;
}

/* In pieces; *len: what came out. */
static enum err decode(struct decoder *d, size_t bytes, size_t piece, size_t room, size_t *len)
{
    *len = 0;
    for (size_t at = 0; at < bytes; at += piece) {
        struct slice in = slice_head(slice_from((struct slice){coded, bytes}, at), piece);
        struct decoder_out out;
        do {
            out = (struct decoder_out){decoded + *len, room, 0};
            assert_true(*len + room <= sizeof decoded + room);
            if (out.room > sizeof decoded - *len)
                out.room = sizeof decoded - *len;
            TRY(decoder_run(d, &in, &out));
            *len += out.len;
        } while (in.len > 0 || out.len == room);
    }
    return ERR_OK;
}

static enum err decode_by(size_t which, size_t bytes, const struct decoder_plan *plan, size_t *len,
                          bool *whole)
{
    struct decoder *d = decoder_take(codings[which].decoder, plan);
    assert_non_null(d);
    enum err e = decode(d, bytes, bytes, 65536, len);
    *whole = decoder_is_whole(d);
    decoder_drop(d);
    assert_int_equal(decoders_held_bytes(), 0);
    return e;
}

static void what_was_encoded_is_decoded(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 1000, CODED_MAX_BYTES}, rooms[] = {1, 100, 65536};
    text_make();
    for (size_t c = 0; c < COUNT_OF(codings); c++) {
        size_t bytes = encode(c, (struct slice){text, TEXT_BYTES}, 0), len;
        for (size_t i = 0; i < COUNT_OF(pieces) * COUNT_OF(rooms); i++) {
            struct decoder *d = decoder_take(codings[c].decoder, &(struct decoder_plan){0});
            assert_int_equal(decode(d, bytes, pieces[i % 4], rooms[i / 4], &len), ERR_OK);
            assert_int_equal(len, TEXT_BYTES);
            assert_memory_equal(decoded, text, len);
            assert_true(decoder_is_whole(d) && d->in_bytes == bytes);
            decoder_drop(d);
        }
    }
}

static void members_and_frames_in_a_row_are_one_text(void **state)
{
    (void)state;
    struct decoder_plan plan = {0};
    bool whole;
    text_make();
    for (size_t c = 0; c < 2; c++) {
        size_t len, half = TEXT_BYTES / 2;
        size_t bytes = encode(c, (struct slice){text, half}, 0);
        bytes = encode(c, (struct slice){text + half, half}, bytes);
        assert_int_equal(decode_by(c, bytes, &plan, &len, &whole), ERR_OK);
        assert_true(whole && len == TEXT_BYTES);
        assert_memory_equal(decoded, text, len);
    }
}

static void what_is_cut_is_not_whole(void **state)
{
    (void)state;
    struct decoder_plan plan = {0};
    bool whole;
    text_make();
    for (size_t c = 0; c < COUNT_OF(codings); c++) {
        size_t len, bytes = encode(c, (struct slice){text, 5000}, 0);
        for (size_t cut = 1; cut < bytes; cut += bytes / 50) {
            assert_int_equal(decode_by(c, bytes - cut, &plan, &len, &whole), ERR_OK);
            assert_false(whole);
        }
        assert_int_equal(decode_by(c, 0, &plan, &len, &whole), ERR_OK);
        assert_true(whole && len == 0);
    }
}

static void what_is_broken_is_told(void **state)
{
    (void)state;
    struct decoder_plan plan = {0};
    bool whole;
    text_make();
    for (size_t c = 0; c < COUNT_OF(codings); c++) {
        size_t len, bytes = encode(c, (struct slice){text, 5000}, 0);
        memcpy(coded + bytes, "more", 4); /* behind the end */
        assert_int_equal(decode_by(c, bytes + 4, &plan, &len, &whole), ERR_BAD_CODING);
        memset(coded + bytes / 2, 0xff, bytes / 4);
        enum err e = decode_by(c, bytes, &plan, &len, &whole);
        assert_true(e == ERR_BAD_CODING || !whole || c > 0); /* the others have no sum */
        memcpy(coded, "<!doctype html>", 15);
        assert_int_equal(decode_by(c, 15, &plan, &len, &whole), ERR_BAD_CODING);
    }
}

static void there_is_a_limit_of_bytes(void **state)
{
    (void)state;
    bool whole;
    size_t len;
    text_make();
    for (size_t c = 0; c < COUNT_OF(codings); c++) {
        size_t bytes = encode(c, (struct slice){text, 5000}, 0);
        struct decoder_plan just = {.max_bytes = 5000}, less = {.max_bytes = 4999};
        assert_int_equal(decode_by(c, bytes, &just, &len, &whole), ERR_OK);
        assert_true(whole);
        assert_int_equal(decode_by(c, bytes, &less, &len, &whole), ERR_DECODED_TOO_LARGE);
    }
}

/* 3 MB of zeros; the ratio is that of the whole when all is decoded at once. */
static void there_is_a_limit_of_the_ratio(void **state)
{
    (void)state;
    bool whole;
    size_t len;
    memset(text, 0, sizeof text);
    for (size_t c = 0; c < COUNT_OF(codings); c++) {
        size_t bytes = encode(c, (struct slice){text, ZEROS_BYTES}, 0);
        struct decoder_plan plan = {.ratio = 200};
        assert_true(ZEROS_BYTES / bytes > 200);
        assert_int_equal(decode_by(c, bytes, &plan, &len, &whole), ERR_DECODED_TOO_LARGE);
        assert_true(len <= DECODER_RATIO_FREE_BYTES + 65536);
        bytes = encode(c, (struct slice){text, DECODER_RATIO_FREE_BYTES}, 0);
        assert_int_equal(decode_by(c, bytes, &plan, &len, &whole), ERR_OK); /* small enough */
        bytes = encode(c, (struct slice){text, DECODER_RATIO_FREE_BYTES + 1}, 0);
        assert_int_equal(decode_by(c, bytes, &plan, &len, &whole), ERR_DECODED_TOO_LARGE);
    }
}

static void there_is_a_limit_of_memory(void **state)
{
    (void)state;
    struct decoder_plan plan = {0};
    struct decoder *d = decoder_take(&decoder_gzip, &plan);
    size_t left = DECODERS_MAX_BYTES - decoders_held_bytes();
    assert_null(decoder_alloc(d, left + 1));
    void *all = decoder_alloc(d, left);
    assert_non_null(all);
    for (size_t c = 0; c < COUNT_OF(codings); c++)
        assert_null(decoder_take(codings[c].decoder, &plan));
    decoder_release(d, all);
    decoder_drop(d);
    assert_int_equal(decoders_held_bytes(), 0);
}

static size_t replay(char *bytes, size_t len)
{
    fuzz_decoder(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/decoder/*", 9, replay);
}

UNIT_SUITE(codec_decoder, cmocka_unit_test(what_was_encoded_is_decoded),
           cmocka_unit_test(members_and_frames_in_a_row_are_one_text),
           cmocka_unit_test(what_is_cut_is_not_whole), cmocka_unit_test(what_is_broken_is_told),
           cmocka_unit_test(there_is_a_limit_of_bytes),
           cmocka_unit_test(there_is_a_limit_of_the_ratio),
           cmocka_unit_test(there_is_a_limit_of_memory), cmocka_unit_test(corpus_holds));
