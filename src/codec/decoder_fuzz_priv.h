/* decoder_fuzz_priv.h - what holds for all bytes that a decoder gets; run by the fuzzer on made-up
 * bytes and by a unit test on the corpus. The first byte says which coding, and how much room. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "codec/decoder.h"

enum { FUZZ_OUT_MAX_BYTES = 4 << 20, FUZZ_RATIO = 50 };

static inline enum err fuzz_decoder_all(struct decoder *d, struct slice in, size_t room)
{
    char to[4096];
    enum err e = ERR_OK;
    struct decoder_out out;
    do {
        size_t before = in.len;
        out = (struct decoder_out){to, room, 0};
        e = decoder_run(d, &in, &out);
        ASSERT(e != ERR_OK || in.len < before || out.len > 0 || before == 0);
        ASSERT(in.len <= before && (e != ERR_OK || out.len <= room));
        ASSERT(e != ERR_OK || d->out_bytes <= FUZZ_OUT_MAX_BYTES);
    } while (e == ERR_OK && (in.len > 0 || out.len == room));
    return e;
}

static inline void fuzz_decoder(const void *at, size_t len)
{
    static const struct decoder_type *const types[] = {&decoder_gzip, &decoder_zstd, &decoder_br};
    static const size_t rooms[] = {4096, 1, 37};
    if (len == 0)
        return;
    uint8_t how = *(const uint8_t *)at;
    struct decoder_plan plan = {FUZZ_OUT_MAX_BYTES, FUZZ_RATIO};
    struct decoder *d = decoder_take(types[how % 3], &plan);
    ASSERT(d);
    enum err e = fuzz_decoder_all(d, slice_from((struct slice){at, len}, 1), rooms[how / 3 % 3]);
    ASSERT(e == ERR_OK || e == ERR_BAD_CODING || e == ERR_DECODED_TOO_LARGE || e == ERR_NO_MEMORY);
    ASSERT(decoders_held_bytes() <= DECODERS_MAX_BYTES);
    decoder_drop(d);
    ASSERT(decoders_held_bytes() == 0);
}
