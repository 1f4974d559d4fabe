/* coding_fuzz_priv.h - what holds for every Accept-Encoding value; run by the fuzzer on made-up
 * bytes and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/coding.h"

/* The same members with a blank more around them mean the same, and what is chosen was offered, has
 * a weight, and none that was offered has a higher one. True: something was chosen. */
static inline bool fuzz_coding(const void *at, size_t len)
{
    static const uint8_t offered[] = {CODING_ZSTD, CODING_GZIP, CODING_BR};
    struct slice s = {(const char *)at, len};
    struct coding_weights w;
    coding_weights_parse(s, &w);
    for (unsigned c = 0; c < CODING_COUNT; c++)
        ASSERT(w.of[c] >= CODING_UNNAMED && w.of[c] <= 1000);
    enum coding best = coding_choose(&w, offered, sizeof offered);
    for (size_t i = 0; i < sizeof offered; i++)
        ASSERT(best == CODING_IDENTITY || w.of[best] >= w.of[offered[i]]);
    ASSERT(best == CODING_IDENTITY || w.of[best] > 0);
    ASSERT(coding_choose(&w, offered, 0) == CODING_IDENTITY);
    if (media_type_matches(SLICE("text/*"), s))
        ASSERT(len > 5 && media_type_matches(SLICE("*"), s));
    media_type_matches(s, SLICE("text/html; charset=utf-8"));
    return best != CODING_IDENTITY;
}
