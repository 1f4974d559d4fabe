/* scan_test.c - every byte value at every place, in every length around a block, both ways. */
// SPDX-License-Identifier: Apache-2.0
#include "base/scan.h"
#include "tests/unit.h"
#include <stdlib.h>

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

static void masks_agree_with_bytes(void **state)
{
    (void)state;
    char block[SCAN_BYTES];
    for (unsigned c = 0; c < 256; c++) {
        for (int at = 0; at < SCAN_BYTES; at++) {
            memset(block, 'a' + (c == 'a'), sizeof block);
            block[at] = (char)c;
            unsigned bit = 1u << at, control = is_control((unsigned char)c) ? bit : 0;
            assert_int_equal(scan_eq(block, (char)c), bit);
            assert_int_equal(scan_control(block), control);
            assert_int_equal(scan_high(block), c < 0x80 ? 0 : bit);
            assert_int_equal(scan_word_eq(block, (char)c) | scan_word_eq(block + 8, (char)c) << 8,
                             bit);
            assert_int_equal(scan_word_control(block) | scan_word_control(block + 8) << 8, control);
        }
    }
}

/* Neighbours whose sums carry or borrow are where bit tricks go wrong. */
static void masks_agree_on_noise(void **state)
{
    (void)state;
    unsigned seed = 1;
    char block[SCAN_BYTES];
    for (int round = 0; round < 20000; round++) {
        unsigned lf = 0, control = 0;
        for (int i = 0; i < SCAN_BYTES; i++) {
            static const char edges[] = "\x00\x1f\x20\x7e\x7f\x80\x9f\xff\n\r\t";
            int r = rand_r(&seed);
            block[i] = r & 64 ? edges[r % 11] : (char)(r >> 8);
            lf |= (unsigned)(block[i] == '\n') << i;
            control |= (unsigned)is_control((unsigned char)block[i]) << i;
        }
        assert_int_equal(scan_eq(block, '\n'), lf);
        assert_int_equal(scan_control(block), control);
        assert_int_equal(scan_word_eq(block, '\n') | scan_word_eq(block + 8, '\n') << 8, lf);
        assert_int_equal(scan_word_control(block) | scan_word_control(block + 8) << 8, control);
    }
}

/* In memory that ends where the text ends, so that ASan sees a byte too much. */
static void finds_within_the_length(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 50; len++) {
        char *text = malloc(len ? len : 1);
        memset(text, 'x', len);
        const char *end = text + len;
        assert_ptr_equal(scan_find(text, end, ':'), end);
        assert_ptr_equal(scan_find_bad(text, end), end);
        for (size_t at = 0; at < len; at++) {
            text[at] = ':';
            assert_ptr_equal(scan_find(text, end, ':'), text + at);
            assert_ptr_equal(scan_find(text, text + at, ':'), text + at);
            text[at] = '\t';
            assert_ptr_equal(scan_find_control(text, end), text + at);
            assert_ptr_equal(scan_find_bad(text, end), end);
            text[len - 1] = '\n';
            assert_ptr_equal(scan_find_bad(text, end), end - 1);
            assert_ptr_equal(scan_find_bad(text, end - 1), end - 1);
            text[at] = text[len - 1] = 'x';
        }
        free(text);
    }
}

UNIT_SUITE(base_scan, cmocka_unit_test(masks_agree_with_bytes),
           cmocka_unit_test(masks_agree_on_noise), cmocka_unit_test(finds_within_the_length));
