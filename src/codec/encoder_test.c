/* encoder_test.c - what encoders make is read by the libraries' decoders, however the input was cut
 * and flushed and however little room there was; what a thread holds is counted. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/rand.h"
#include "codec/encoder.h"
#include "tests/unit.h"
#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { TEXT_BYTES = 300 << 10, CODED_BYTES = 2 * TEXT_BYTES };

static char text[TEXT_BYTES], coded[CODED_BYTES], decoded[TEXT_BYTES + 1];

typedef size_t decode_fn(size_t coded_len); /* of `coded` to `decoded`, as much as there is */

static size_t gunzip(size_t len)
{
    z_stream z = {.next_in = (unsigned char *)coded,
                  .avail_in = (unsigned)len,
                  .next_out = (unsigned char *)decoded,
                  .avail_out = sizeof decoded};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    int ret = inflate(&z, Z_SYNC_FLUSH);
    assert_true(ret == Z_OK || ret == Z_STREAM_END || ret == Z_BUF_ERROR);
    size_t out = z.total_out;
    assert_int_equal(inflateEnd(&z), Z_OK);
    return out;
}

static size_t unzstd(size_t len)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer in = {coded, len, 0};
    ZSTD_outBuffer out = {decoded, sizeof decoded, 0};
    assert_non_null(d);
    while (in.pos < in.size)
        assert_false(ZSTD_isError(ZSTD_decompressStream(d, &out, &in)));
    ZSTD_freeDCtx(d);
    return out.pos;
}

static size_t unbr(size_t len)
{
    BrotliDecoderState *b = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *in = (const uint8_t *)coded;
    uint8_t *out = (uint8_t *)decoded;
    size_t room = sizeof decoded, total = 0;
    assert_non_null(b);
    assert_true(BrotliDecoderDecompressStream(b, &len, &in, &room, &out, &total) !=
                BROTLI_DECODER_RESULT_ERROR);
    BrotliDecoderDestroyInstance(b);
    return total;
}

static const struct {
    const struct encoder_type *type;
    decode_fn *decode;
} codecs[] = {{&encoder_gzip, gunzip}, {&encoder_zstd, unzstd}, {&encoder_br, unbr}};

static void fill(struct rand *r)
{
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        bool again = i > 1000 && rand_below(r, 8) > 0;
        text[i] = again ? text[i - 1 - rand_below(r, 3) * 100] : (char)('a' + rand_below(r, 26));
    }
}

/* All of `in`, in rooms of random size; for an end or a flush until it is done. */
static size_t run(struct encoder *e, struct rand *r, struct slice in, enum encoder_op op, size_t at)
{
    bool done = false;
    while (in.len > 0 || (op != ENCODER_GO && !done)) {
        char room[ENCODER_ROOM_MIN_BYTES + 4000];
        struct encoder_out out = {.to = room, .room = ENCODER_ROOM_MIN_BYTES + rand_below(r, 4000)};
        assert_int_equal(encoder_run(e, &in, op, &out), ERR_OK);
        assert_true(out.len <= out.room && at + out.len <= sizeof coded);
        memcpy(coded + at, room, out.len);
        at += out.len;
        done = out.done;
    }
    return at;
}

static void expect_text(decode_fn *decode, size_t coded_len, size_t text_len)
{
    assert_int_equal(decode(coded_len), text_len);
    assert_memory_equal(decoded, text, text_len);
}

static void stream_random(size_t codec, struct rand *r, size_t len)
{
    struct encoder_plan plan = {(uint8_t)rand_below(r, ENCODER_EFFORTS), 0, ENCODER_SIZE_UNKNOWN};
    if (rand_below(r, 2))
        plan.size_bytes = len;
    struct encoder *e = encoder_take(codecs[codec].type, &plan);
    size_t at = 0, max = 1 + rand_below(r, 90000);
    assert_non_null(e);
    for (size_t from = 0, piece; from < len; from += piece) {
        piece = 1 + rand_below(r, (uint32_t)max);
        piece = piece < len - from ? piece : len - from;
        bool flush = rand_below(r, 3) == 0;
        struct slice in = {text + from, piece};
        at = run(e, r, in, ENCODER_GO, at);
        if (flush) {
            at = run(e, r, SLICE(""), ENCODER_FLUSH, at);
            if (rand_below(r, 4) == 0)
                expect_text(codecs[codec].decode, at, from + piece);
        }
    }
    at = run(e, r, SLICE(""), ENCODER_END, at);
    encoder_drop(e);
    expect_text(codecs[codec].decode, at, len);
}

static void streams_come_back(void **state)
{
    (void)state;
    struct rand r;
    rand_init(&r, 7);
    for (int round = 0; round < 60; round++) {
        fill(&r);
        stream_random((size_t)round % COUNT_OF(codecs), &r, rand_below(&r, TEXT_BYTES));
    }
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        stream_random(c, &r, 0);
        stream_random(c, &r, 1);
        stream_random(c, &r, TEXT_BYTES);
    }
    assert_int_equal(encoders_held_bytes(), 0);
    encoders_release();
}

static size_t gzip_bytes(struct rand *r, uint8_t padding)
{
    struct encoder_plan plan = {ENCODER_NORMAL, padding, 10};
    struct encoder *e = encoder_take(&encoder_gzip, &plan);
    assert_non_null(e);
    size_t len = run(e, r, (struct slice){text, 10}, ENCODER_END, 0);
    encoder_drop(e);
    expect_text(gunzip, len, 10);
    return len;
}

static void padding_is_length_only(void **state)
{
    (void)state;
    struct rand r;
    rand_init(&r, 3);
    fill(&r);
    size_t plain = gzip_bytes(&r, 0);
    assert_int_equal(gzip_bytes(&r, 1), plain + 2);
    assert_int_equal(gzip_bytes(&r, ENCODER_PADDING_MAX_BYTES),
                     plain + ENCODER_PADDING_MAX_BYTES + 1);
    encoders_release();
}

static void what_a_thread_holds_has_a_limit(void **state)
{
    (void)state;
    struct encoder_plan plan = {ENCODER_NORMAL, 0, 1};
    struct encoder *held[ENCODERS_MAX_BYTES / (1 << 20)], *e;
    size_t count = 0, each = encoder_br.memory_bytes;
    while ((e = encoder_take(&encoder_br, &plan)))
        held[count++] = e;
    assert_int_equal(count, ENCODERS_MAX_BYTES / each);
    assert_int_equal(encoders_held_bytes(), count * each);
    encoder_drop(held[--count]);
    held[count++] = e = encoder_take(&encoder_br, &plan);
    assert_non_null(e);
    while (count > 0)
        encoder_drop(held[--count]);
    assert_int_equal(encoders_held_bytes(), 0);
    encoders_release();
}

static void a_wrong_size_is_refused(void **state)
{
    (void)state;
    struct encoder_plan plan = {ENCODER_NORMAL, 0, 5};
    struct encoder *e = encoder_take(&encoder_zstd, &plan);
    struct slice in = SLICE("four");
    struct encoder_out out = {.to = coded, .room = sizeof coded};
    assert_non_null(e);
    assert_int_equal(encoder_run(e, &in, ENCODER_GO, &out), ERR_OK);
    assert_int_equal(encoder_run(e, &in, ENCODER_END, &out), ERR_INTERNAL);
    encoder_drop(e);
    encoders_release();
}

UNIT_SUITE(codec_encoder, cmocka_unit_test(streams_come_back),
           cmocka_unit_test(padding_is_length_only),
           cmocka_unit_test(what_a_thread_holds_has_a_limit),
           cmocka_unit_test(a_wrong_size_is_refused));
