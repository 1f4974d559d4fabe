/* base64_test.c - the examples of RFC 4648 10, both alphabets, every character, and what is not
 * read. */
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

static bool reads(const char *text, enum base64_alphabet a, uint8_t *to, size_t *len)
{
    return base64_read(to, len, slice_of(text), a);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    uint8_t bytes[256], back[BASE64_BYTES(BASE64_CHARS(256))];
    char text[BASE64_CHARS(256)];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 151 + 7);
    for (int a = BASE64; a <= BASE64_URL; a++)
        for (size_t n = 0; n <= sizeof bytes; n++) {
            size_t len = 0, chars = base64_write(text, bytes, n, a);
            assert_true(BASE64_BYTES(chars) >= n);
            assert_true(base64_read(back, &len, (struct slice){text, chars}, a));
            assert_int_equal(len, n);
            assert_memory_equal(back, bytes, n);
        }
}

static void other_spellings_are_refused(void **state)
{
    static const struct {
        const char *text;
        bool padded, url;
    } ROWS[] = {
        {"Zg==", true, false},    {"Zg", false, true},        {"Zh==", false, false},
        {"Zh", false, false},     {"Zg=", false, false},      {"Zg===", false, false},
        {"Z===", false, false},   {"Z", false, false},        {"=", false, false},
        {"====", false, false},   {"Zm9=", false, false},     {"Zm8=", true, false},
        {"Zm8", false, true},     {"Zm9", false, false},      {"Zm9v", true, true},
        {"Zm9vZ", false, false},  {"Zm9v====", false, false}, {"Zm9v Zg==", false, false},
        {"Zm9v\n", false, false}, {" Zm9v", false, false},    {"Zg==Zg==", false, false},
        {"+/8=", true, false},    {"-_8", false, true},       {"-_8=", false, false},
        {"+/8", false, false},    {"Zm.v", false, false},     {"", true, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t to[16];
        size_t len = 99;
        assert_int_equal(reads(ROWS[i].text, BASE64, to, &len), ROWS[i].padded);
        assert_true(ROWS[i].padded || len == 99);
        assert_int_equal(reads(ROWS[i].text, BASE64_URL, to, &len), ROWS[i].url);
    }
}

UNIT_SUITE(base_base64, cmocka_unit_test(what_was_written_is_read),
           cmocka_unit_test(other_spellings_are_refused), cmocka_unit_test(examples_of_the_rfc),
           cmocka_unit_test(url_has_its_own_last_two_and_no_padding),
           cmocka_unit_test(values_are_those_of_the_alphabet));
