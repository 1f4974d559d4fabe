/* num_test.c - parsing at the largest number and one past, and junk; writing and reading back. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "tests/unit.h"

static void parses_decimal(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_int_equal(num_parse_u64(SLICE("0"), &v), ERR_OK);
    assert_int_equal(v, 0);
    assert_int_equal(num_parse_u64(SLICE("00042"), &v), ERR_OK);
    assert_int_equal(v, 42);
    assert_int_equal(num_parse_u64(SLICE("18446744073709551615"), &v), ERR_OK);
    assert_true(v == UINT64_MAX);
}

static void refuses_decimal_junk(void **state)
{
    (void)state;
    static const char *const junk[] = {"",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1a",
                                       "0x1",
                                       "1.0",
                                       "\xb1",
                                       "1,2",
                                       "/",
                                       ":",
                                       "18446744073709551616",
                                       "99999999999999999999"};
    uint64_t v = 7;
    for (size_t i = 0; i < sizeof(junk) / sizeof(*junk); i++)
        assert_int_equal(num_parse_u64(slice_of(junk[i]), &v), ERR_BAD_NUMBER);
    assert_int_equal(num_parse_u64(SLICE_NONE, &v), ERR_BAD_NUMBER);
    assert_int_equal(num_parse_u64(SLICE("1\0"), &v), ERR_BAD_NUMBER);
    assert_int_equal(v, 7); /* no output without success */
}

static void parses_hex(void **state)
{
    (void)state;
    uint64_t v = 0;
    assert_int_equal(num_parse_hex(SLICE("0aF"), &v), ERR_OK);
    assert_int_equal(v, 0xaf);
    assert_int_equal(num_parse_hex(SLICE("ffffffffffffffff"), &v), ERR_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(num_parse_hex(SLICE("00ffffffffffffffff"), &v), ERR_OK);
    assert_int_equal(num_parse_hex(SLICE("10000000000000000"), &v), ERR_BAD_NUMBER);
    assert_int_equal(num_parse_hex(SLICE("g"), &v), ERR_BAD_NUMBER);
    assert_int_equal(num_parse_hex(SLICE("0x1"), &v), ERR_BAD_NUMBER);
    assert_int_equal(num_parse_hex(SLICE(""), &v), ERR_BAD_NUMBER);
}

static void knows_every_hex_digit(void **state)
{
    (void)state;
    for (int c = -128; c < 128; c++) {
        int due = -1;
        if (c >= '0' && c <= '9')
            due = c - '0';
        else if (c >= 'a' && c <= 'f')
            due = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            due = c - 'A' + 10;
        assert_int_equal(num_hex_digit((char)c), due);
    }
}

static void writes_what_it_parses(void **state)
{
    (void)state;
    char to[NUM_U64_MAX_BYTES];
    for (int bit = 0; bit <= 64; bit++) {
        uint64_t power = bit < 64 ? (uint64_t)1 << bit : 0, v = 0;
        for (uint64_t n = power - 1; n != power + 2; n++) {
            assert_int_equal(num_parse_u64((struct slice){to, num_write_u64(to, n)}, &v), ERR_OK);
            assert_true(v == n);
            assert_int_equal(num_parse_hex((struct slice){to, num_write_hex(to, n)}, &v), ERR_OK);
            assert_true(v == n);
        }
    }
}

static void writes_no_leading_zeros(void **state)
{
    (void)state;
    char to[NUM_U64_MAX_BYTES];
    assert_int_equal(num_write_u64(to, 0), 1);
    assert_int_equal(num_write_u64(to, UINT64_MAX), NUM_U64_MAX_BYTES);
    assert_int_equal(num_write_hex(to, 0), 1);
    assert_int_equal(num_write_hex(to, 0xf), 1);
    assert_int_equal(num_write_hex(to, 0x10), 2);
    assert_int_equal(num_write_hex(to, UINT64_MAX), 16);
    assert_memory_equal(to, "ffffffffffffffff", 16);
    num_write_hex16(to, 0x0123456789abcdef);
    assert_memory_equal(to, "0123456789abcdef", 16);
    num_write_hex16(to, 0xfedcba9800000009);
    assert_memory_equal(to, "fedcba9800000009", 16);
}

UNIT_SUITE(base_num, cmocka_unit_test(parses_decimal), cmocka_unit_test(refuses_decimal_junk),
           cmocka_unit_test(parses_hex), cmocka_unit_test(knows_every_hex_digit),
           cmocka_unit_test(writes_what_it_parses), cmocka_unit_test(writes_no_leading_zeros));
