/* hello_test.c - ClientHellos made to measure: facts, limits, malformed ones, fingerprints. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "tests/unit.h"
#include "tls/hello.h"
#include <stdio.h>
#include <stdlib.h>

static struct text body, exts, bytes;
static char scratch[HELLO_BYTES_MAX];
static struct hello hello;

static int tear_down(void **state)
{
    (void)state;
    text_release(&body);
    text_release(&exts);
    text_release(&bytes);
    return 0;
}

static void add_number(struct text *t, size_t width, size_t n)
{
    char be[3] = {(char)(n >> 16), (char)(n >> 8), (char)n};
    text_add(t, (struct slice){be + 3 - width, width});
}

static void add_vector(struct text *t, size_t width, struct slice s)
{
    add_number(t, width, s.len);
    text_add(t, s);
}

static void add_ext(unsigned type, struct slice value)
{
    add_number(&exts, 2, type);
    add_vector(&exts, 2, value);
}

static void begin(unsigned version, struct slice ciphers)
{
    static const char random[32];
    text_clear(&body);
    text_clear(&exts);
    add_number(&body, 2, version);
    text_add(&body, (struct slice){random, sizeof random});
    add_vector(&body, 1, SLICE("session"));
    add_vector(&body, 2, ciphers);
    add_vector(&body, 1, SLICE("\0"));
}

/* The message in records of at most `piece` bytes. */
static void finish(size_t piece)
{
    struct text message = {0};
    if (exts.len > 0)
        add_vector(&body, 2, text_slice(&exts));
    add_number(&message, 1, 1);
    add_vector(&message, 3, text_slice(&body));
    text_clear(&bytes);
    for (struct slice rest = text_slice(&message); rest.len > 0; rest = slice_from(rest, piece)) {
        text_add(&bytes, SLICE("\x16\x03\x01"));
        add_vector(&bytes, 2, slice_head(rest, piece));
    }
    text_release(&message);
}

static enum hello_result parse(void)
{
    return hello_parse(text_slice(&bytes), scratch, &hello);
}

static void plain(void)
{
    begin(0x303, SLICE("\x13\x01\xc0\x2b"));
}

static void facts_are_read(void **state)
{
    (void)state;
    struct slice rest, name;
    plain();
    add_ext(0, SLICE("\0\x0c\0\0\x09"
                     "a.Example"));
    add_ext(16, SLICE("\0\x0c\x02h2\x08http/1.1"));
    add_ext(43, SLICE("\x04\x03\x04\x03\x03"));
    add_ext(13, SLICE("\0\x04\x04\x03\x08\x04"));
    finish(9999);
    text_add(&bytes, SLICE("what follows"));
    assert_int_equal(parse(), HELLO_OK);
    assert_int_equal(hello.version, 0x303);
    assert_true(hello.has_sni);
    assert_true(slice_eq(hello.sni, SLICE("a.Example")));
    assert_int_equal(hello.ciphers.len, 4);
    assert_int_equal(hello.versions.len, 4);
    assert_int_equal(hello.sigalgs.len, 4);
    assert_int_equal(hello.extension_count, 4);
    rest = hello.alpn;
    assert_true(hello_next_alpn(&rest, &name) && slice_eq(name, SLICE("h2")));
    assert_true(hello_next_alpn(&rest, &name) && slice_eq(name, SLICE("http/1.1")));
    assert_false(hello_next_alpn(&rest, &name));
}

static void a_hello_without_extensions(void **state)
{
    (void)state;
    begin(0x301, SLICE("\0\x2f"));
    finish(9999);
    assert_int_equal(parse(), HELLO_OK);
    assert_false(hello.has_sni);
    assert_int_equal(hello.extension_count, 0);
}

static void records_are_put_together(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 60; piece++) {
        plain();
        add_ext(0, SLICE("\0\x0c\0\0\x09"
                         "a.example"));
        finish(piece);
        assert_int_equal(parse(), HELLO_OK);
        assert_true(slice_eq(hello.sni, SLICE("a.example")));
        for (size_t cut = 0; cut < bytes.len; cut++)
            assert_int_equal(hello_parse((struct slice){bytes.at, cut}, scratch, &hello),
                             HELLO_MORE);
    }
}

static void other_bytes_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        struct slice bytes;
        enum hello_result due;
    } rows[] = {
        {SLICE_INIT(""), HELLO_MORE},
        {SLICE_INIT("G"), HELLO_NOT_TLS},
        {SLICE_INIT("\x16"), HELLO_MORE},
        {SLICE_INIT("\x16\x02"), HELLO_NOT_TLS},
        {SLICE_INIT("\x80\x2e\x01"), HELLO_NOT_TLS},
        {SLICE_INIT("\x15\x03\x01\0\x02\x02\x28"), HELLO_NOT_TLS},
        {SLICE_INIT("\x16\x03\x01\0"), HELLO_MORE},
        {SLICE_INIT("\x16\x03\x01\0\0"), HELLO_BAD},
        {SLICE_INIT("\x16\x03\x01\x40\x00"), HELLO_MORE},
        {SLICE_INIT("\x16\x03\x01\x40\x01"), HELLO_BAD},
        {SLICE_INIT("\x16\x03\x01\x40\x00\x02"), HELLO_BAD},
        {SLICE_INIT("\x16\x03\x01\x00\x01\x01G"), HELLO_BAD},
        {SLICE_INIT("\x16\x03\x01\x00\x01\x01\x16\x03\x01"), HELLO_MORE},
        {SLICE_INIT("\x16\x03\x01\x00\x04\x01\x00\x3f\xfc"), HELLO_MORE},
        {SLICE_INIT("\x16\x03\x01\x00\x04\x01\x00\x3f\xfd"), HELLO_BAD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (hello_parse(rows[i].bytes, scratch, &hello) != rows[i].due)
            fail_msg("row %zu", i);
}

/* An extension that makes the message `len` bytes long. */
static void pad_to(size_t len)
{
    size_t pad = len - 4 - body.len - 2 - exts.len - 4;
    char *zeros = calloc(1, pad);
    add_ext(21, (struct slice){zeros, pad});
    free(zeros);
}

static void the_size_has_a_limit(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        plain();
        pad_to(HELLO_BYTES_MAX + (size_t)over);
        finish(5000);
        assert_int_equal(parse(), over ? HELLO_BAD : HELLO_OK);
    }
    plain();
    pad_to(HELLO_BYTES_MAX);
    finish(16384);
    assert_int_equal(parse(), HELLO_OK);
}

static void extensions_have_a_limit(void **state)
{
    (void)state;
    for (unsigned count = HELLO_EXTENSIONS_MAX; count <= HELLO_EXTENSIONS_MAX + 1; count++) {
        plain();
        for (unsigned i = 0; i < count; i++)
            add_ext(1000 + i, SLICE(""));
        finish(9999);
        assert_int_equal(parse(), count > HELLO_EXTENSIONS_MAX ? HELLO_BAD : HELLO_OK);
    }
}

static void bad_extensions_are_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned type;
        struct slice value;
    } rows[] = {
        {0, SLICE_INIT("")},
        {0, SLICE_INIT("\0\0")},
        {0, SLICE_INIT("\0\x03\0\0\0")}, /* an empty name */
        {0, SLICE_INIT("\0\x04\0\0\x02"
                       "a")}, /* longer than the list */
        {0, SLICE_INIT("\0\x05\0\0\x02"
                       "ab"
                       "x")}, /* trailing byte */
        {0, SLICE_INIT("\0\x06\0\0\x03"
                       "a\0b")}, /* NUL */
        {0, SLICE_INIT("\0\x06\0\0\x03"
                       "a b")}, /* space */
        {0, SLICE_INIT("\0\x06\0\0\x03"
                       "a\xc3\xa4")}, /* not ASCII */
        {0, SLICE_INIT("\0\x08\0\0\x01"
                       "a"
                       "\0\0\x01"
                       "b")}, /* two names */
        {16, SLICE_INIT("\0\0")},
        {16, SLICE_INIT("\0\x01\0")},
        {16, SLICE_INIT("\0\x03\x03h2")},
        {16, SLICE_INIT("\0\x03\x02h2x")},
        {13, SLICE_INIT("\0\x03\x04\x03\x08")},
        {13, SLICE_INIT("\0\0")},
        {43, SLICE_INIT("\x03\x03\x04\x03")},
        {43, SLICE_INIT("\0")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        plain();
        add_ext(rows[i].type, rows[i].value);
        finish(9999);
        if (parse() != HELLO_BAD)
            fail_msg("row %zu", i);
    }
}

static void names_have_a_limit(void **state)
{
    (void)state;
    for (size_t len = 255; len <= 256; len++) {
        char name[256];
        struct text list = {0}, entry = {0};
        memset(name, 'a', sizeof name);
        add_number(&entry, 1, 0);
        add_vector(&entry, 2, (struct slice){name, len});
        add_vector(&list, 2, text_slice(&entry));
        plain();
        add_ext(0, text_slice(&list));
        finish(9999);
        assert_int_equal(parse(), len > 255 ? HELLO_BAD : HELLO_OK);
        text_release(&list);
        text_release(&entry);
    }
}

static void bad_bodies_are_refused(void **state)
{
    (void)state;
    plain();
    add_ext(23, SLICE(""));
    add_ext(23, SLICE(""));
    finish(9999);
    assert_int_equal(parse(), HELLO_BAD); /* twice the same */
    begin(0x303, SLICE(""));
    finish(9999);
    assert_int_equal(parse(), HELLO_BAD); /* no ciphers */
    begin(0x303, SLICE("\x13\x01\x13"));
    finish(9999);
    assert_int_equal(parse(), HELLO_BAD);
    begin(0x203, SLICE("\x13\x01"));
    finish(9999);
    assert_int_equal(parse(), HELLO_BAD);
    plain();
    text_add(&body, SLICE("\0"));
    finish(9999);
    assert_int_equal(parse(), HELLO_BAD); /* half a length */
    for (size_t cut = 1; cut < 46; cut++) {
        plain();
        body.len -= cut;
        finish(9999);
        assert_int_equal(parse(), HELLO_BAD);
    }
}

static void ja4_is(const char *due)
{
    char ja4[HELLO_JA4_BYTES + 1];
    finish(9999);
    assert_int_equal(parse(), HELLO_OK);
    hello_ja4(&hello, ja4);
    assert_string_equal(ja4, due);
}

/* The example of the specification: Chrome, with GREASE at its usual places. */
static void ja4_of_the_specification(void **state)
{
    (void)state;
    static const uint16_t others[] = {0x001b, 0x0033, 0x4469, 0x0017, 0x002d, 0x0005, 0x0023,
                                      0x0012, 0xff01, 0x000b, 0x000a, 0x0015, 0xdada};
    begin(0x303, SLICE("\x2a\x2a\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\xcc\xa9"
                       "\xcc\xa8\xc0\x13\xc0\x14\x00\x9c\x00\x9d\x00\x2f\x00\x35"));
    add_ext(0x1a1a, SLICE(""));
    add_ext(0, SLICE("\0\x0c\0\0\x09"
                     "a.example"));
    add_ext(16, SLICE("\0\x0c\x02h2\x08http/1.1"));
    add_ext(43, SLICE("\x06\xba\xba\x03\x04\x03\x03"));
    add_ext(13, SLICE("\0\x10\x04\x03\x08\x04\x04\x01\x05\x03\x08\x05\x05\x01\x08\x06\x06\x01"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        add_ext(others[i], SLICE(""));
    ja4_is("t13d1516h2_8daaf6152771_e5627efa2ab1");
}

static void ja4_of_odd_ones(void **state)
{
    (void)state;
    begin(0x301, SLICE("\x0a\x0a")); /* nothing but GREASE */
    ja4_is("t10i000000_000000000000_000000000000");
    begin(0x300, SLICE("\0\x2f"));
    add_ext(0, SLICE("\0\x04\0\0\x01"
                     "a"));
    ja4_is("ts3d010100_ba72b8082249_000000000000");
    begin(0x309, SLICE("\0\x2f"));
    add_ext(43, SLICE("\x02\x7f\x1c"));
    ja4_is("t00i010100_ba72b8082249_b9a491fefe05");
}

static void ja4_of_an_alpn(struct slice value, const char *due)
{
    char ja4[HELLO_JA4_BYTES + 1];
    plain();
    add_ext(16, value);
    finish(9999);
    assert_int_equal(parse(), HELLO_OK);
    hello_ja4(&hello, ja4);
    if (strncmp(ja4 + 8, due, 2) != 0)
        fail_msg("%.2s, not %s", ja4 + 8, due);
}

static void ja4_names_the_protocol(void **state)
{
    (void)state;
    ja4_of_an_alpn(SLICE("\0\x09\x08http/1.1"), "h1");
    ja4_of_an_alpn(SLICE("\0\x02\x01q"), "qq");
    ja4_of_an_alpn(SLICE("\0\x02\x01\xab"), "ab");
    ja4_of_an_alpn(SLICE("\0\x03\x02\xab\xcd"), "ad");
    ja4_of_an_alpn(SLICE("\0\x03\x02"
                         "0\xab"),
                   "3b");
    ja4_of_an_alpn(SLICE("\0\x05\x04"
                         "0\xab\xcd"
                         "1"),
                   "01");
}

static void ja4_counts_to_99(void **state)
{
    (void)state;
    struct text ciphers = {0};
    char ja4[HELLO_JA4_BYTES + 1];
    for (unsigned i = 0; i < HELLO_JA4_ITEMS_MAX + 50; i++)
        add_number(&ciphers, 2, 0x1000 + i);
    begin(0x303, text_slice(&ciphers));
    for (unsigned i = 0; i < 100; i++)
        add_ext(1000 + i, SLICE(""));
    finish(9999);
    assert_int_equal(parse(), HELLO_OK);
    hello_ja4(&hello, ja4);
    assert_memory_equal(ja4, "t12i999900_", 11);
    text_release(&ciphers);
}

UNIT_SUITE(tls_hello, cmocka_unit_test_teardown(facts_are_read, tear_down),
           cmocka_unit_test_teardown(a_hello_without_extensions, tear_down),
           cmocka_unit_test_teardown(records_are_put_together, tear_down),
           cmocka_unit_test(other_bytes_are_told_apart),
           cmocka_unit_test_teardown(the_size_has_a_limit, tear_down),
           cmocka_unit_test_teardown(extensions_have_a_limit, tear_down),
           cmocka_unit_test_teardown(bad_extensions_are_refused, tear_down),
           cmocka_unit_test_teardown(names_have_a_limit, tear_down),
           cmocka_unit_test_teardown(bad_bodies_are_refused, tear_down),
           cmocka_unit_test_teardown(ja4_of_the_specification, tear_down),
           cmocka_unit_test_teardown(ja4_of_odd_ones, tear_down),
           cmocka_unit_test_teardown(ja4_names_the_protocol, tear_down),
           cmocka_unit_test_teardown(ja4_counts_to_99, tear_down));
