/* signed.c - see signed.h. Comparison takes the same time wherever two signatures differ (jws.c).
 *
 * A signature has two spellings, but each is read strictly: whoever remembers those that were seen
 * has to remember the bytes. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/signed.h"
#include "auth/jws_priv.h"
#include "base/base64.h"
#include "base/num.h"

enum {
    HEX_CHARS = 2 * SIGNED_MAC_BYTES,
    BASE64_LEN = 43,
    TIME_DIGITS_MAX = 12, /* until the year 33658 */
};

static const struct signed_verdict_row rows[] = {
#define SIGNED_VERDICT(id, name, text) {name, text},
#include "auth/signed_verdict.def"
#undef SIGNED_VERDICT
};

const struct signed_verdict_row *signed_verdict_row(enum signed_verdict v)
{
    return &rows[v < SIGNED_VERDICTS ? v : SIGNED_MALFORMED];
}

/* ---- keys ---- */

static bool id_is_fit(struct slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (base64_value(id.at[i], BASE64_URL) < 0 && id.at[i] != '.')
            return false;
    return id.len > 0 && id.len <= SIGNED_KEY_ID_MAX_BYTES;
}

/* False, with *why: the word is no key. */
static bool key_add(struct jwk_set *s, struct slice word, struct text *why)
{
    size_t colon = slice_find(word, ':');
    bool named = colon < word.len;
    struct jwk template = {.algs = 1u << JWK_HS256,
                           .kid = named ? slice_head(word, colon) : SLICE_NONE};
    struct slice secret = named ? slice_from(word, colon + 1) : word;
    if (named && !id_is_fit(template.kid)) {
        text_addf(why, "the id of a key has letters, digits, '.', '-' and '_' alone, at most %d",
                  SIGNED_KEY_ID_MAX_BYTES);
        return false;
    }
    uint32_t before = s->count;
    jwk_set_add_secret(s, secret, &template);
    if (s->count > before)
        return true;
    text_addf(why, "a secret has %zu bytes: it must have %d to %d", secret.len,
              JWK_SECRET_MIN_BYTES, JWK_SECRET_MAX_BYTES);
    return false;
}

struct jwk_set *signed_keys(const struct slice *words, uint32_t count, struct text *why)
{
    struct jwk_set *s = jwk_set_new();
    bool good = count <= SIGNED_KEYS_MAX;
    if (!good)
        text_addf(why, "there are more than %d keys", SIGNED_KEYS_MAX);
    for (uint32_t i = 0; i < count && good; i++)
        good = key_add(s, words[i], why);
    if (good)
        return jwk_set_done(s, why);
    jwk_set_drop(s);
    return NULL;
}

/* ---- signatures ---- */

static bool hex_read(struct slice text, uint8_t mac[SIGNED_MAC_BYTES])
{
    for (size_t i = 0; i < SIGNED_MAC_BYTES; i++) {
        char a = text.at[2 * i], b = text.at[2 * i + 1];
        int high = num_hex_digit(a), low = num_hex_digit(b);
        if (high < 0 || low < 0 || (a >= 'A' && a <= 'F') || (b >= 'A' && b <= 'F'))
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool signed_mac_read(struct slice text, uint8_t mac[SIGNED_MAC_BYTES])
{
    uint8_t bytes[BASE64_BYTES(BASE64_LEN)];
    size_t len;
    if (text.len == HEX_CHARS)
        return hex_read(text, mac);
    if (text.len != BASE64_LEN || !base64_read(bytes, &len, text, BASE64_URL))
        return false;
    memcpy(mac, bytes, SIGNED_MAC_BYTES);
    return true;
}

enum signed_verdict signed_check(const struct jwk_set *keys, struct slice id, struct slice text,
                                 const uint8_t mac[SIGNED_MAC_BYTES], const struct jwk **key)
{
    struct slice sig = {(const char *)mac, SIGNED_MAC_BYTES};
    enum signed_verdict v = SIGNED_UNKNOWN_KEY;
    uint32_t at = 0;
    for (const struct jwk *k; (k = jwk_set_next(keys, JWK_HS256, id, &at));) {
        v = SIGNED_BAD_SIGNATURE;
        if (jws_check(k, JWK_HS256, text, sig)) {
            *key = k;
            return SIGNED_GOOD;
        }
    }
    return v;
}

/* ---- times ---- */

/* Digits alone, without zeros in front: a time has one spelling. */
static bool time_read(struct slice digits, int64_t *out)
{
    uint64_t v;
    if (digits.len == 0 || digits.len > TIME_DIGITS_MAX || digits.at[0] == '0' ||
        num_parse_u64(digits, &v) != ERR_OK)
        return false;
    *out = (int64_t)v;
    return true;
}

enum signed_verdict signed_expiry_check(struct slice digits, int64_t now_s, int64_t ahead_max_s)
{
    int64_t t;
    if (!time_read(digits, &t))
        return SIGNED_MALFORMED;
    if (now_s >= t)
        return SIGNED_EXPIRED;
    return ahead_max_s > 0 && t - now_s > ahead_max_s ? SIGNED_TOO_FAR : SIGNED_GOOD;
}

enum signed_verdict signed_time_check(struct slice digits, int64_t now_s, int64_t window_s)
{
    int64_t t;
    if (!time_read(digits, &t))
        return SIGNED_MALFORMED;
    if (now_s - t > window_s)
        return SIGNED_EXPIRED;
    return t - now_s > window_s ? SIGNED_TOO_FAR : SIGNED_GOOD;
}
