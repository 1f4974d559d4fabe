/* grpc_web_fuzz_priv.h - what holds for every text of gRPC-Web; run by the fuzzer on made-up bytes
 * and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/grpc.h"
#include "http/grpc_web.h"
#include <stdlib.h>

struct fuzz_decoded {
    char *at;
    size_t len;
    enum err err;
    bool whole;
};

/* In pieces of `step` bytes, into rooms of `room`. */
static inline struct fuzz_decoded fuzz_decode(struct slice text, size_t step, size_t room)
{
    struct fuzz_decoded out = {.at = (char *)malloc(text.len + GRPC_WEB_GROUP_BYTES)};
    struct grpc_web_decoder d = {0};
    ASSERT(out.at);
    while (text.len > 0 && out.err == ERR_OK) {
        struct slice piece = slice_head(text, step), rest = piece;
        char *to = (char *)malloc(room);
        size_t len = 0;
        ASSERT(to);
        out.err = grpc_web_decode(&d, &rest, to, room, &len);
        ASSERT(len <= room && rest.len <= piece.len);
        ASSERT(out.err || rest.len < piece.len); /* it gets on */
        memcpy(out.at + out.len, to, len);
        out.len += len;
        text = slice_from(text, piece.len - rest.len);
        free(to);
    }
    out.whole = out.err == ERR_OK && grpc_web_decoded_whole(&d);
    return out;
}

/* How a text is cut changes nothing, and what was decoded whole has the length that it says. */
static inline bool fuzz_grpc_web_text(struct slice text)
{
    struct fuzz_decoded all = fuzz_decode(text, SIZE_MAX, text.len + GRPC_WEB_GROUP_BYTES);
    struct fuzz_decoded bits = fuzz_decode(text, 1, GRPC_WEB_GROUP_BYTES);
    struct fuzz_decoded some = fuzz_decode(text, 7, GRPC_WEB_GROUP_BYTES + 1);
    ASSERT(all.err == bits.err && all.err == some.err && all.whole == bits.whole);
    if (!all.err) {
        ASSERT(all.len == bits.len && all.len == some.len);
        ASSERT(all.len == 0 || memcmp(all.at, bits.at, all.len) == 0);
        ASSERT(all.len == 0 || memcmp(all.at, some.at, all.len) == 0);
    }
    free(all.at);
    free(bits.at);
    free(some.at);
    return all.whole;
}

/* What was encoded comes back, and an encoding has no other reading. */
static inline void fuzz_grpc_web_bytes(struct slice bytes)
{
    char *text = (char *)malloc(bytes.len / 3 * 4 + 4);
    ASSERT(text);
    size_t len = grpc_web_encode(text, bytes);
    struct fuzz_decoded back = fuzz_decode((struct slice){text, len}, 5, 8);
    ASSERT(back.whole && back.len == bytes.len);
    ASSERT(bytes.len == 0 || memcmp(back.at, bytes.at, bytes.len) == 0);
    free(back.at);
    free(text);
}

static inline void fuzz_grpc_timeout(struct slice text)
{
    char written[GRPC_TIMEOUT_BYTES];
    int64_t ms, again;
    if (grpc_timeout_parse(text, &ms) != ERR_OK)
        return;
    ASSERT(ms >= 0 && text.len <= sizeof written);
    struct slice s = {written, grpc_timeout_write(written, ms)};
    ASSERT(s.len <= sizeof written && grpc_timeout_parse(s, &again) == ERR_OK);
    ASSERT(again <= ms || (ms == 0 && again == 1));
}

static inline bool fuzz_grpc_web(const void *at, size_t len)
{
    struct slice s = {(const char *)at, len}, rest;
    if (grpc_web_mode_of(s, &rest) != GRPC_WEB_NOT)
        ASSERT(rest.len < len && !grpc_is_type(s));
    fuzz_grpc_timeout(s);
    fuzz_grpc_web_bytes(s);
    return fuzz_grpc_web_text(s);
}
