/* scan.h - looks for bytes sixteen at a time.
 *
 * The core are two questions about a block of 16 bytes, answered as a mask with a bit per byte:
 * two to five instructions with SSE2 (every x86-64 has it), about twenty without. The searches read
 * nothing outside of the given bytes: a rest shorter than a block is looked at byte by byte. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { SCAN_BYTES = 16 };

/* Plain C, for other processors; here so that it is tested everywhere. A bit per byte of `w`, in
 * memory order, from the bytes' top bits. */
static inline unsigned scan_top_bits(uint64_t w)
{
    return (unsigned)(((w >> 7 & 0x0101010101010101u) * 0x0102040810204080u) >> 56);
}

static inline unsigned scan_word_eq(const char *at, char c)
{
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
    uint64_t w;
    memcpy(&w, at, sizeof w);
    w = le64toh(w) ^ 0x0101010101010101u * (unsigned char)c;
    return scan_top_bits(~(((w & low7) + low7) | w));
}

static inline unsigned scan_word_control(const char *at)
{
    const uint64_t ones = 0x0101010101010101u, low7 = 0x7f7f7f7f7f7f7f7fu;
    uint64_t w;
    memcpy(&w, at, sizeof w);
    w = le64toh(w);
    uint64_t printable = (w & low7) + ones * 0x60, del = (w & low7) + ones;
    return scan_top_bits((~printable | del) & ~w);
}

/* Bit i: at[i] is c. Reads 16 bytes. */
static inline unsigned scan_eq(const char *at, char c)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(c)));
#else
    return scan_word_eq(at, c) | scan_word_eq(at + 8, c) << 8;
#endif
}

/* As scan_eq() for 32 bytes. */
static inline unsigned scan_eq32(const char *at, char c)
{
    return scan_eq(at, c) | scan_eq(at + SCAN_BYTES, c) << SCAN_BYTES;
}

/* Bit i: at[i] is a control character: below a space, or DEL. Reads 16 bytes. */
static inline unsigned scan_control(const char *at)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, del));
#else
    return scan_word_control(at) | scan_word_control(at + 8) << 8;
#endif
}

/* Bit i: at[i] is not ASCII. Reads 16 bytes. */
static inline unsigned scan_high(const char *at)
{
#ifdef __SSE2__
    return (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)at));
#else
    uint64_t w[2];
    memcpy(w, at, sizeof w);
    return scan_top_bits(le64toh(w[0])) | scan_top_bits(le64toh(w[1])) << 8;
#endif
}

/* The first `c`, or `end`. */
static inline const char *scan_find(const char *at, const char *end, char c)
{
    for (; end - at >= SCAN_BYTES; at += SCAN_BYTES) {
        unsigned hits = scan_eq(at, c);
        if (hits)
            return at + __builtin_ctz(hits);
    }
    while (at < end && *at != c)
        at++;
    return at;
}

static inline bool scan_is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* The first control character, tab included, or `end`. */
static inline const char *scan_find_control(const char *at, const char *end)
{
    for (; end - at >= SCAN_BYTES; at += SCAN_BYTES) {
        unsigned hits = scan_control(at);
        if (hits)
            return at + __builtin_ctz(hits);
    }
    while (at < end && !scan_is_control(*at))
        at++;
    return at;
}

/* The first control character that is no tab, or `end`. */
static inline const char *scan_find_bad(const char *at, const char *end)
{
    at = scan_find_control(at, end);
    while (at < end && *at == '\t')
        at = scan_find_control(at + 1, end);
    return at;
}
