/* sha1.c - SHA-1 by the book (FIPS 180-4 6.1.2): a block at a time, eighty rounds each. The words
 * of the schedule are kept in a ring of sixteen. Speed does not matter: one block or two for each
 * WebSocket. */
// SPDX-License-Identifier: Apache-2.0
#include "base/sha1.h"

enum { BLOCK_BYTES = 64, LENGTH_BYTES = 8 };

static uint32_t rotated(uint32_t v, int by)
{
    return v << by | v >> (32 - by);
}

static uint32_t mixed(int round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static uint32_t scheduled(uint32_t w[16], int round)
{
    uint32_t *at = &w[round % 16];
    if (round >= 16)
        *at = rotated(w[(round + 13) % 16] ^ w[(round + 8) % 16] ^ w[(round + 2) % 16] ^ *at, 1);
    return *at;
}

static void block_add(uint32_t h[5], const uint8_t *at)
{
    uint32_t w[16], v[5];
    for (int i = 0; i < 16; i++, at += 4)
        w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 80; i++) {
        uint32_t t = rotated(v[0], 5) + mixed(i, v[1], v[2], v[3]) + v[4] + scheduled(w, i);
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotated(v[1], 30);
        v[1] = v[0];
        v[0] = t;
    }
    for (int i = 0; i < 5; i++)
        h[i] += v[i];
}

/* What is left of the text, the mark behind it, and its length in bits at the end of a block. */
static void rest_add(uint32_t h[5], struct slice rest, uint64_t bits)
{
    uint8_t block[2 * BLOCK_BYTES] = {0};
    size_t len = rest.len + 1 + LENGTH_BYTES > BLOCK_BYTES ? 2 * BLOCK_BYTES : BLOCK_BYTES;
    if (rest.len)
        memcpy(block, rest.at, rest.len);
    block[rest.len] = 0x80;
    for (int i = 1; i <= LENGTH_BYTES; i++, bits >>= 8)
        block[len - (size_t)i] = (uint8_t)bits;
    for (size_t at = 0; at < len; at += BLOCK_BYTES)
        block_add(h, block + at);
}

void sha1_of(struct slice s, uint8_t to[SHA1_BYTES])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint64_t bits = (uint64_t)s.len * 8;
    for (; s.len >= BLOCK_BYTES; s = slice_from(s, BLOCK_BYTES))
        block_add(h, (const uint8_t *)s.at);
    rest_add(h, s, bits);
    for (int i = 0; i < SHA1_BYTES; i++)
        to[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}
