/* sha1_test.c - the examples of FIPS 180-4 and RFC 6455, and lengths around a block's end. */
// SPDX-License-Identifier: Apache-2.0
#include "base/sha1.h"
#include "tests/unit.h"
#include <stdio.h>

static void expect(struct slice s, const char *hex)
{
    uint8_t got[SHA1_BYTES];
    char text[2 * SHA1_BYTES + 1];
    sha1_of(s, got);
    for (int i = 0; i < SHA1_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", got[i]);
    assert_string_equal(text, hex);
}

static void known_digests(void **state)
{
    (void)state;
    expect(SLICE(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect(SLICE("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect(SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    expect(SLICE("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
           "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
}

static void ends_of_a_block(void **state)
{
    (void)state;
    char text[128];
    memset(text, 'a', sizeof text);
    expect((struct slice){text, 55}, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    expect((struct slice){text, 56}, "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    expect((struct slice){text, 64}, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    expect((struct slice){text, 119}, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56");
}

UNIT_SUITE(base_sha1, cmocka_unit_test(known_digests), cmocka_unit_test(ends_of_a_block));
