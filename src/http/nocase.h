/* nocase.h - fast comparison with a lower-case word, for what is compared in every request. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdint.h>

static inline uint64_t nocase_word(const char *at)
{
    uint64_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

static inline uint32_t nocase_half(const char *at)
{
    uint32_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

/* Zero when eight bytes are equal but for letter case. Bit 0x20 may differ only where the
 * lower-case byte is a letter, that is where it has bit 0x40. */
static inline uint64_t nocase_diff(uint64_t lower, uint64_t any)
{
    uint64_t may_differ = (lower >> 1) & 0x2020202020202020u;
    return (lower ^ any) & ~may_differ;
}

/* Up to seven bytes by two loads that overlap. */
static inline bool nocase_eq_short(const char *lower, const char *any, size_t len)
{
    if (len >= 4)
        return (nocase_diff(nocase_half(lower), nocase_half(any)) |
                nocase_diff(nocase_half(lower + len - 4), nocase_half(any + len - 4))) == 0;
    uint64_t diff = 0;
    for (size_t i = 0; i < len; i++)
        diff |= nocase_diff((unsigned char)lower[i], (unsigned char)any[i]);
    return diff == 0;
}

/* `lower` has lower-case letters, digits and '-' only. */
static inline bool nocase_eq(const char *lower, const char *any, size_t len)
{
    if (len < 8)
        return nocase_eq_short(lower, any, len);
    uint64_t diff = nocase_diff(nocase_word(lower), nocase_word(any)) |
                    nocase_diff(nocase_word(lower + len - 8), nocase_word(any + len - 8));
    for (size_t i = 8; i + 8 < len; i += 8) /* few names have more than 16 bytes */
        diff |= nocase_diff(nocase_word(lower + i), nocase_word(any + i));
    return diff == 0;
}

#define NOCASE_IS(slice, lower_literal)          \
    ((slice).len == sizeof(lower_literal) - 1 && \
     nocase_eq("" lower_literal, (slice).at, sizeof(lower_literal) - 1))
