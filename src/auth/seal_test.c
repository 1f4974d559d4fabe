/* seal_test.c - what was sealed opens, for its key and purpose alone, and unchanged alone. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/seal.h"
#include "base/base64.h"
#include "tests/unit.h"

static const uint8_t KEY[SEAL_KEY_BYTES] = {1, 2, 3}, OTHER[SEAL_KEY_BYTES] = {1, 2, 4};
static const struct slice PURPOSE = SLICE_INIT("login"), ELSE = SLICE_INIT("session");

static void opens_what_was_closed(void **state)
{
    (void)state;
    char large[SEAL_MAX_BYTES + 1];
    memset(large, 'x', sizeof large);
    struct slice texts[] = {SLICE(""), SLICE("a"), SLICE("a\0b"), {large, SEAL_MAX_BYTES}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct text sealed, open;
        text_init(&sealed);
        text_init(&open);
        assert_true(seal_close(&sealed, texts[i], KEY, PURPOSE));
        assert_true(seal_open(&open, text_slice(&sealed), KEY, PURPOSE));
        assert_true(slice_eq(text_slice(&open), texts[i]));
        text_release(&sealed);
        text_release(&open);
    }
    struct text out;
    text_init(&out);
    assert_false(seal_close(&out, (struct slice){large, sizeof large}, KEY, PURPOSE));
    text_release(&out);
}

static void no_two_are_alike(void **state)
{
    (void)state;
    struct text a, b;
    text_init(&a);
    text_init(&b);
    assert_true(seal_close(&a, SLICE("same"), KEY, PURPOSE));
    assert_true(seal_close(&b, SLICE("same"), KEY, PURPOSE));
    assert_false(slice_eq(text_slice(&a), text_slice(&b)));
    text_release(&a);
    text_release(&b);
}

static void opens_nothing_else(void **state)
{
    (void)state;
    struct text sealed, open;
    text_init(&sealed);
    text_init(&open);
    assert_true(seal_close(&sealed, SLICE("who I am"), KEY, PURPOSE));
    struct slice s = text_slice(&sealed);
    assert_false(seal_open(&open, s, OTHER, PURPOSE));
    assert_false(seal_open(&open, s, KEY, ELSE));
    for (size_t len = 0; len < s.len; len++)
        assert_false(seal_open(&open, slice_head(s, len), KEY, PURPOSE));
    for (size_t i = 0; i < s.len; i++) {
        char was = sealed.at[i];
        sealed.at[i] = was == 'A' ? 'B' : 'A';
        assert_false(seal_open(&open, s, KEY, PURPOSE));
        sealed.at[i] = was;
    }
    assert_int_equal(open.len, 0);
    assert_true(seal_open(&open, s, KEY, PURPOSE));
    text_release(&sealed);
    text_release(&open);
}

UNIT_SUITE(auth_seal, cmocka_unit_test(opens_what_was_closed), cmocka_unit_test(no_two_are_alike),
           cmocka_unit_test(opens_nothing_else));
