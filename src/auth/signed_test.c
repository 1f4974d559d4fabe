/* signed_test.c - signatures in both spellings, keys by id, times at their limits. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/signed.h"
#include "base/assert.h"
#include "base/base64.h"
#include "tests/unit.h"
#include <openssl/evp.h>
#include <stdio.h>

#define SECRET_A "0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210"

static void mac_of(const char *secret, struct slice text, uint8_t mac[SIGNED_MAC_BYTES])
{
    size_t len;
    ASSERT(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, strlen(secret),
                     (const uint8_t *)text.at, text.len, mac, SIGNED_MAC_BYTES, &len));
}

static struct jwk_set *keys_of(const struct slice *words, uint32_t count, bool good)
{
    struct text why = {0};
    struct jwk_set *s = signed_keys(words, count, &why);
    assert_int_equal(s != NULL, good);
    assert_int_equal(why.len == 0, good);
    assert_true(good || !strstr(why.at, "0123"));
    text_release(&why);
    return s;
}

static void a_signature_has_two_spellings(void **state)
{
    uint8_t mac[SIGNED_MAC_BYTES], got[SIGNED_MAC_BYTES];
    char hex[2 * SIGNED_MAC_BYTES + 1], b64[BASE64_CHARS(SIGNED_MAC_BYTES) + 1] = {0};
    (void)state;
    mac_of(SECRET_A, SLICE("text"), mac);
    for (size_t i = 0; i < sizeof mac; i++)
        snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    base64_write(b64, mac, sizeof mac, BASE64_URL);
    assert_true(signed_mac_read(slice_of(hex), got));
    assert_memory_equal(mac, got, sizeof mac);
    assert_true(signed_mac_read(slice_of(b64), got));
    assert_memory_equal(mac, got, sizeof mac);
    assert_false(signed_mac_read(slice_head(slice_of(hex), 63), got));
    assert_false(signed_mac_read(slice_head(slice_of(b64), 42), got));
    assert_false(signed_mac_read(SLICE(""), got));
    b64[42]++; /* bits beyond the last byte */
    assert_false(signed_mac_read(slice_of(b64), got));
    memset(hex, 'A', 2); /* upper case */
    assert_false(signed_mac_read(slice_of(hex), got));
    memset(hex, 'g', 2);
    assert_false(signed_mac_read(slice_of(hex), got));
}

static void keys_have_limits(void **state)
{
    struct slice many[SIGNED_KEYS_MAX + 1];
    static const struct {
        const char *word;
        bool good;
    } ROWS[] = {
        {SECRET_A, true},
        {"a:" SECRET_A, true},
        {"a.b-c_1:" SECRET_A, true},
        {":" SECRET_A, false},
        {"a b:" SECRET_A, false},
        {"0123456789abcdef0123456789abcde", false},
        {"a:0123456789abcdef", false},
        {"", false},
        {"0123456789012345678901234567890123456789012345678901234567890123:" SECRET_A, true},
        {"01234567890123456789012345678901234567890123456789012345678901234:" SECRET_A, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        jwk_set_drop(keys_of((struct slice[]){slice_of(ROWS[i].word)}, 1, ROWS[i].good));
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = SLICE(SECRET_A);
    jwk_set_drop(keys_of(many, SIGNED_KEYS_MAX, true));
    keys_of(many, SIGNED_KEYS_MAX + 1, false);
    keys_of(many, 0, false);
}

static void keys_are_found_by_id(void **state)
{
    const struct slice words[] = {SLICE("a:" SECRET_A), SLICE("b:" SECRET_B)};
    struct jwk_set *keys = keys_of(words, 2, true);
    const struct jwk *key = NULL;
    uint8_t mac[SIGNED_MAC_BYTES];
    (void)state;
    mac_of(SECRET_B, SLICE("text"), mac);
    assert_int_equal(signed_check(keys, SLICE("b"), SLICE("text"), mac, &key), SIGNED_GOOD);
    assert_true(slice_eq(key->kid, SLICE("b")));
    assert_int_equal(signed_check(keys, SLICE_NONE, SLICE("text"), mac, &key), SIGNED_GOOD);
    assert_int_equal(signed_check(keys, SLICE("a"), SLICE("text"), mac, &key),
                     SIGNED_BAD_SIGNATURE);
    assert_int_equal(signed_check(keys, SLICE("c"), SLICE("text"), mac, &key), SIGNED_UNKNOWN_KEY);
    assert_int_equal(signed_check(keys, SLICE("b"), SLICE("tex"), mac, &key), SIGNED_BAD_SIGNATURE);
    mac[31] ^= 1;
    assert_int_equal(signed_check(keys, SLICE("b"), SLICE("text"), mac, &key),
                     SIGNED_BAD_SIGNATURE);
    jwk_set_drop(keys);
}

static void times_are_checked_at_their_limits(void **state)
{
    (void)state;
    assert_int_equal(signed_expiry_check(SLICE("1001"), 1000, 0), SIGNED_GOOD);
    assert_int_equal(signed_expiry_check(SLICE("1000"), 1000, 0), SIGNED_EXPIRED);
    assert_int_equal(signed_expiry_check(SLICE("1060"), 1000, 60), SIGNED_GOOD);
    assert_int_equal(signed_expiry_check(SLICE("1061"), 1000, 60), SIGNED_TOO_FAR);
    assert_int_equal(signed_expiry_check(SLICE("999999999999"), 1000, 0), SIGNED_GOOD);
    static const char *const BAD[] = {"",      "x",    "-1",  "+1",     " 1001", "1001 ",
                                      "01001", "0x10", "1e9", "1001.5", "0",     "9999999999999"};
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        assert_int_equal(signed_expiry_check(slice_of(BAD[i]), 1000, 0), SIGNED_MALFORMED);
        assert_int_equal(signed_time_check(slice_of(BAD[i]), 1000, 60), SIGNED_MALFORMED);
    }
    assert_int_equal(signed_time_check(SLICE("940"), 1000, 60), SIGNED_GOOD);
    assert_int_equal(signed_time_check(SLICE("939"), 1000, 60), SIGNED_EXPIRED);
    assert_int_equal(signed_time_check(SLICE("1060"), 1000, 60), SIGNED_GOOD);
    assert_int_equal(signed_time_check(SLICE("1061"), 1000, 60), SIGNED_TOO_FAR);
}

static void verdicts_have_rows(void **state)
{
    (void)state;
    for (enum signed_verdict v = 0; v < SIGNED_VERDICTS; v++)
        assert_true(strlen(signed_verdict_row(v)->name) > 0 &&
                    strlen(signed_verdict_row(v)->text) > 0);
}

UNIT_SUITE(auth_signed, cmocka_unit_test(a_signature_has_two_spellings),
           cmocka_unit_test(keys_have_limits), cmocka_unit_test(keys_are_found_by_id),
           cmocka_unit_test(times_are_checked_at_their_limits),
           cmocka_unit_test(verdicts_have_rows));
