/* base64_test.c - the examples of RFC 4648 10, both alphabets, and every character. */
// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"
#include "tests/unit.h"
#include <string.h>

static void assert_written(const char *bytes, enum base64_alphabet a, const char *want)
{
    char to[BASE64_CHARS(8) + 1];
    size_t n = base64_write(to, (const uint8_t *)bytes, strlen(bytes), a);
    to[n] = '\0';
    assert_string_equal(to, want);
}

static void examples_of_the_rfc(void **state)
{
    (void)state;
    assert_written("", BASE64, "");
    assert_written("f", BASE64, "Zg==");
    assert_written("fo", BASE64, "Zm8=");
    assert_written("foo", BASE64, "Zm9v");
    assert_written("foob", BASE64, "Zm9vYg==");
    assert_written("fooba", BASE64, "Zm9vYmE=");
    assert_written("foobar", BASE64, "Zm9vYmFy");
}

static void url_has_its_own_last_two_and_no_padding(void **state)
{
    (void)state;
    assert_written("\xfb\xff", BASE64, "+/8=");
    assert_written("\xfb\xff", BASE64_URL, "-_8");
    assert_written("f", BASE64_URL, "Zg");
}

static void values_are_those_of_the_alphabet(void **state)
{
    (void)state;
    for (int a = BASE64; a <= BASE64_URL; a++) {
        int known = 0;
        for (int c = 0; c < 256; c++)
            known += base64_value((char)c, a) >= 0;
        assert_int_equal(known, 64);
        for (uint8_t v = 0; v < 64; v++) {
            uint8_t byte = (uint8_t)(v << 2);
            char to[BASE64_CHARS(1)];
            base64_write(to, &byte, 1, a);
            assert_int_equal(base64_value(to[0], a), v);
        }
    }
    assert_int_equal(base64_value('=', BASE64), -1);
    assert_int_equal(base64_value('-', BASE64), -1);
    assert_int_equal(base64_value('+', BASE64_URL), -1);
}

UNIT_SUITE(base_base64, cmocka_unit_test(examples_of_the_rfc),
           cmocka_unit_test(url_has_its_own_last_two_and_no_padding),
           cmocka_unit_test(values_are_those_of_the_alphabet));
