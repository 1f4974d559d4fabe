/* hpack_huffman.c - the Huffman code of HPACK (RFC 7541 5.2, appendix B).
 *
 * The code is canonical, so the lengths of its codes say all: the tables are made from them once
 * per process. The decoder takes STEP_BITS bits a step, which are one or two bytes of text, by one
 * load from a table of 8 KB; longer codes (bytes that are rare in header fields) are found by
 * comparing with the first code of each length. The encoder gathers 32 bits and stores them. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/hpack_priv.h"
#include <endian.h>
#include <pthread.h>

enum {
    SYMBOLS = 257,
    EOS = 256,
    STEP_BITS = 11, /* 10 costs 24 % more instructions, 12 saves 9 % but fills 16 KB of cache */
    CODE_BITS_MAX = 30,
    SHORTEST_BITS = 5,
};

/* Appendix B: bits of the code of each byte and of EOS. */
static const uint8_t code_bits[SYMBOLS] = {
    /* clang-format off */
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
    /* clang-format on */
};

struct step {
    uint8_t bits;  /* that the text takes */
    uint8_t count; /* bytes of text; 0: a longer code begins here */
    uint8_t text[2];
};

static struct step steps[1 << STEP_BITS];
static struct {
    uint32_t code, bits;
} codes[SYMBOLS];
static struct {
    uint32_t end;   /* of the codes with this length, at the left of 32 bits; 0 past the last */
    uint32_t first; /* likewise the first code */
    uint16_t rank;  /* of that in by_code */
} lengths[CODE_BITS_MAX + 1];
static uint16_t by_code[SYMBOLS]; /* symbols in the order of their codes */

/* Canonical: ordered by length, then by symbol, each code is the one before plus one. */
static void codes_build(void)
{
    uint32_t code = 0;
    uint16_t rank = 0;
    for (unsigned bits = SHORTEST_BITS; bits <= CODE_BITS_MAX; bits++) {
        code <<= 1;
        lengths[bits].first = code << (32 - bits);
        lengths[bits].rank = rank;
        for (unsigned s = 0; s < SYMBOLS; s++) {
            if (code_bits[s] != bits)
                continue;
            codes[s].code = code++;
            codes[s].bits = bits;
            by_code[rank++] = (uint16_t)s;
        }
        lengths[bits].end = code << (32 - bits);
    }
    ASSERT(rank == SYMBOLS && lengths[CODE_BITS_MAX].end == 0); /* the code is complete */
}

/* The symbol that the leftmost bits are the code of. Not inline: it is rare. */
static __attribute__((noinline)) unsigned symbol_at(uint32_t window)
{
    unsigned bits = SHORTEST_BITS;
    while (bits < CODE_BITS_MAX && window >= lengths[bits].end)
        bits++;
    return by_code[lengths[bits].rank + ((window - lengths[bits].first) >> (32 - bits))];
}

static void step_build(struct step *s, uint32_t window)
{
    unsigned first = symbol_at(window), taken = codes[first].bits;
    if (taken > STEP_BITS)
        return;
    *s = (struct step){(uint8_t)taken, 1, {(uint8_t)first}};
    unsigned second = symbol_at(window << taken);
    if (taken + codes[second].bits > STEP_BITS)
        return;
    *s = (struct step){(uint8_t)(taken + codes[second].bits), 2, {(uint8_t)first, (uint8_t)second}};
}

static void build(void)
{
    codes_build();
    for (uint32_t i = 0; i < COUNT_OF(steps); i++)
        step_build(&steps[i], i << (32 - STEP_BITS));
}

void hpack_huffman_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, build);
}

/* All that takes a `struct bits *` is always inline: its fields stay in registers, where no store
 * of text can change them. That saves a sixth of the instructions. */
#define INLINE static inline __attribute__((always_inline))

struct bits {
    const uint8_t *at, *end;
    uint64_t window; /* the next bits at the left; behind them zeros or what follows */
    unsigned count;  /* those that are taken from `at` already */
};

INLINE void bits_drop(struct bits *b, unsigned count)
{
    b->window <<= count;
    b->count -= count;
}

static inline uint32_t load_be32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return be32toh(v);
}

/* Up to seven bytes at the left of a word, by loads that overlap. */
static inline uint64_t load_few(const uint8_t *at, size_t len)
{
    if (len >= 4)
        return (uint64_t)load_be32(at) << 32 | (uint64_t)load_be32(at + len - 4) << (64 - 8 * len);
    if (len == 0)
        return 0;
    return (uint64_t)at[0] << 56 | (uint64_t)at[len / 2] << (56 - 8 * (len / 2)) |
           (uint64_t)at[len - 1] << (64 - 8 * len);
}

/* At least 56 bits; eight bytes are left. */
INLINE void bits_fill(struct bits *b)
{
    uint64_t word;
    memcpy(&word, b->at, sizeof word);
    b->window |= be64toh(word) >> b->count;
    b->at += (63 - b->count) >> 3;
    b->count |= 56;
}

/* The same for the end: less when there is no more. */
INLINE void bits_fill_end(struct bits *b)
{
    size_t left = (size_t)(b->end - b->at), take = (63 - b->count) >> 3;
    if (take > left)
        take = left;
    b->window |= load_few(b->at, left) >> b->count;
    b->at += take;
    b->count += 8 * (unsigned)take;
}

/* One symbol by its length. False at an EOS and when the rest is less than a symbol. */
INLINE bool take_symbol(struct bits *b, char **to)
{
    unsigned symbol = symbol_at((uint32_t)(b->window >> 32));
    if (symbol == EOS || codes[symbol].bits > b->count)
        return false;
    *(*to)++ = (char)symbol;
    bits_drop(b, codes[symbol].bits);
    return true;
}

/* A struct step as one word, so that it costs one load: bits, count << 8, text << 16. */
INLINE uint32_t step_at(const struct bits *b)
{
    uint32_t word;
    memcpy(&word, &steps[b->window >> (64 - STEP_BITS)], sizeof word);
    return le32toh(word);
}

/* Does it have text, within the bits that there are? */
INLINE bool step_fits(const struct bits *b, uint32_t step)
{
    return step & 0xff00 && (step & 0xff) <= b->count;
}

/* Two bytes are stored whatever counts. */
INLINE void take_step(struct bits *b, char **to, uint32_t step)
{
    uint16_t text = htole16((uint16_t)(step >> 16));
    memcpy(*to, &text, sizeof text);
    *to += step >> 8 & 0xff;
    b->window <<= step & 0x3f;
    b->count -= step & 0xff;
}

/* While there are eight bytes: no step needs a look at how many bits are left. False at an EOS. */
INLINE bool take_words(struct bits *b, char **to)
{
    enum { STEPS = 56 / STEP_BITS };
    while (b->end - b->at >= 8) {
        bits_fill(b);
        uint32_t step = step_at(b);
        if (!(step & 0xff00) && !take_symbol(b, to))
            return false;
#pragma GCC unroll 5
        for (int i = 0; i < STEPS && step & 0xff00; i++, step = step_at(b))
            take_step(b, to, step);
    }
    return true;
}

/* Less than a byte is left, and all of it ones: the padding (5.2). No symbol looks like that. */
INLINE bool is_padding(const struct bits *b)
{
    return b->count <= 7 && ~b->window >> 57 >> (7 - b->count) == 0;
}

INLINE void take_end(struct bits *b, char **to)
{
    bool more = true;
    while (more) {
        bits_fill_end(b);
        while (more && (b->count >= CODE_BITS_MAX || b->at == b->end)) {
            uint32_t step = step_at(b);
            if (step_fits(b, step))
                take_step(b, to, step);
            else
                more = !is_padding(b) && take_symbol(b, to);
        }
    }
}

enum err hpack_huffman_decode(char *to, struct slice code, size_t *len)
{
    char *at = to;
    struct bits b = {(const uint8_t *)code.at, (const uint8_t *)code.at + code.len, 0, 0};
    if (!take_words(&b, &at))
        return ERR_H2_COMPRESSION;
    take_end(&b, &at);
    if (!is_padding(&b))
        return ERR_H2_COMPRESSION;
    *len = (size_t)(at - to);
    return ERR_OK;
}

static inline void store_be32(char *to, uint32_t v)
{
    v = htobe32(v);
    memcpy(to, &v, sizeof v);
}

/* The last bits, filled up with ones. */
static char *flush(char *to, uint64_t window, unsigned bits)
{
    window = window << 32 | 0xffffffff;
    store_be32(to, (uint32_t)(window >> bits));
    return to + (bits + 7) / 8;
}

size_t hpack_huffman_encode(char *to, struct slice s)
{
    char *at = to;
    uint64_t window = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        window = window << codes[c].bits | codes[c].code;
        bits += codes[c].bits;
        if (bits < 32)
            continue;
        if (at + 4 >= to + s.len)
            return s.len; /* it does not get shorter */
        bits -= 32;
        store_be32(at, (uint32_t)(window >> bits));
        at += 4;
    }
    if ((size_t)(at - to) + (bits + 7) / 8 >= s.len)
        return s.len;
    at = flush(at, window, bits);
    return (size_t)(at - to);
}
