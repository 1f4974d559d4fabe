/* basic_test.c - Authorization fields that are read, and those that nobody should. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/basic.h"
#include "auth/basic_fuzz_priv.h"
#include "tests/corpus.h"
#include "tests/unit.h"

static const struct {
    const char *pair; /* encoded; NULL: `value` is the whole field */
    size_t len;
    const char *value;
    enum basic_verdict verdict;
    const char *user, *password;
} ROWS[] = {
    {"alice:open sesame", 17, NULL, BASIC_READ, "alice", "open sesame"},
    {"a:b:c", 5, NULL, BASIC_READ, "a", "b:c"},
    {"a:", 2, NULL, BASIC_READ, "a", ""},
    {"j\xc3\xb6rg:p\xc3\xa4ss", 11, NULL, BASIC_READ, "j\xc3\xb6rg", "p\xc3\xa4ss"},
    {":secret", 7, NULL, BASIC_BAD, NULL, NULL},
    {"nocolon", 7, NULL, BASIC_BAD, NULL, NULL},
    {"a:b\0c", 5, NULL, BASIC_BAD, NULL, NULL},
    {"a\0:b", 4, NULL, BASIC_BAD, NULL, NULL},
    {"a:b\n", 4, NULL, BASIC_BAD, NULL, NULL},
    {"a\t:b", 4, NULL, BASIC_BAD, NULL, NULL},
    {"a:\x7f", 3, NULL, BASIC_BAD, NULL, NULL},
    {NULL, 0, "basic YTpi", BASIC_READ, "a", "b"},
    {NULL, 0, "BASIC   YTpi", BASIC_READ, "a", "b"},
    {NULL, 0, "Basic\tYTpi", BASIC_NONE, NULL, NULL},
    {NULL, 0, "BasicYTpi", BASIC_NONE, NULL, NULL},
    {NULL, 0, "Basic, YTpi", BASIC_NONE, NULL, NULL},
    {NULL, 0, "Bearer YTpi", BASIC_NONE, NULL, NULL},
    {NULL, 0, "", BASIC_NONE, NULL, NULL},
    {NULL, 0, "Basic", BASIC_BAD, NULL, NULL},
    {NULL, 0, "Basic ", BASIC_BAD, NULL, NULL},
    {NULL, 0, "Basic YTpi=", BASIC_BAD, NULL, NULL},
    {NULL, 0, "Basic YTpi YTpi", BASIC_BAD, NULL, NULL},
    {NULL, 0, "Basic YTpi, Bearer x", BASIC_BAD, NULL, NULL},
    {NULL, 0, "Basic YTpiYw=", BASIC_BAD, NULL, NULL},  /* one '=' is missing */
    {NULL, 0, "Basic YTpiYx==", BASIC_BAD, NULL, NULL}, /* bits beyond the last byte */
    {NULL, 0, "Basic YTr_", BASIC_BAD, NULL, NULL},     /* base64url */
    {NULL, 0, "Basic =YTpi", BASIC_BAD, NULL, NULL},
    {NULL, 0, "Basic YTpi\xc2\xa0", BASIC_BAD, NULL, NULL},
};

static struct slice field(char *to, const char *pair, size_t len)
{
    memcpy(to, "Basic ", 6);
    return (struct slice){to, 6 + base64_write(to + 6, (const uint8_t *)pair, len, BASE64)};
}

static void one_reading_or_none(void **state)
{
    char bytes[BASIC_BYTES], text[200];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct basic_pair p;
        struct slice value =
            ROWS[i].pair ? field(text, ROWS[i].pair, ROWS[i].len) : slice_of(ROWS[i].value);
        enum basic_verdict v = basic_read(value, bytes, &p);
        if (v != ROWS[i].verdict)
            fail_msg("row %zu '%.*s': %d", i, SLICE_ARG(value), v);
        if (v != BASIC_READ)
            continue;
        assert_true(slice_eq(p.user, slice_of(ROWS[i].user)));
        assert_true(slice_eq(p.password, slice_of(ROWS[i].password)));
    }
}

static enum basic_verdict of_lengths(size_t user, size_t password)
{
    char pair[2000], text[4000], bytes[BASIC_BYTES];
    struct basic_pair p;
    memset(pair, 'x', sizeof pair);
    pair[user] = ':';
    return basic_read(field(text, pair, user + 1 + password), bytes, &p);
}

static void lengths(void **state)
{
    (void)state;
    assert_int_equal(of_lengths(BASIC_USER_MAX, 1), BASIC_READ);
    assert_int_equal(of_lengths(BASIC_USER_MAX + 1, 1), BASIC_BAD);
    assert_int_equal(of_lengths(1, PASSWORD_MAX), BASIC_READ);
    assert_int_equal(of_lengths(1, PASSWORD_MAX + 1), BASIC_BAD);
    assert_int_equal(of_lengths(BASIC_USER_MAX, PASSWORD_MAX), BASIC_READ);
    assert_int_equal(of_lengths(BASIC_USER_MAX, 1000), BASIC_BAD);
}

static size_t replay(char *bytes, size_t len)
{
    fuzz_basic(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/basic/*", 5, replay);
}

UNIT_SUITE(auth_basic, cmocka_unit_test(one_reading_or_none), cmocka_unit_test(lengths),
           cmocka_unit_test(corpus_holds));
