/* challenge_token.c - the two texts of a challenge that only weir can make, and how they are read.
 *
 *     ask:    base64url( bits, 1 byte | time, 4 bytes | random, 9 bytes | mac, 16 bytes )
 *     answer: ask "." digits, so that SHA-256(ask digits) begins with `bits` zeros
 *     pass:   base64url( bits, 1 byte | time, 4 bytes | mac, 16 bytes )
 *
 * The mac is HMAC-SHA256(key, what stands before it, and whom it is for), cut off. So nothing has
 * to be remembered between question and answer. A pass has the time of its question: who answers
 * one question twice gets no more time by it. Checking costs one HMAC, and of an answer one hash.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"
#include "filter/challenge_priv.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

enum { HEAD_BYTES = 1 + 4, AGENT_BYTES_MAX = 256, SITE_BYTES_MAX = 255 };

_Static_assert(CHALLENGE_ASK_BYTES % 3 == 0 && CHALLENGE_PASS_BYTES % 3 == 0, "no padding");
_Static_assert(CHALLENGE_ASK_CHARS + CHALLENGE_DIGITS_MAX <= 55, "one block");

/* --- what both have --------------------------------------------------------------------------- */

static void head_write(uint8_t to[HEAD_BYTES], const struct challenge_proof *p)
{
    to[0] = p->bits;
    for (int i = 0; i < 4; i++)
        to[1 + i] = (uint8_t)(p->at_s >> (24 - 8 * i));
}

static struct challenge_proof head_read(const uint8_t from[HEAD_BYTES])
{
    struct challenge_proof p = {.bits = from[0]};
    for (int i = 0; i < 4; i++)
        p.at_s = p.at_s << 8 | from[1 + i];
    return p;
}

static size_t put(uint8_t *to, const void *from, size_t len)
{
    memcpy(to, from, len);
    return len;
}

/* Of `len` bytes, and whom they are for. Every part but the last tells its length. */
static void mac_write(const challenge_key key, const struct challenge_client *c,
                      const uint8_t *bytes, size_t len, uint8_t to[CHALLENGE_MAC_BYTES])
{
    uint8_t text[1 + CHALLENGE_ASK_BYTES + 18 + SITE_BYTES_MAX + AGENT_BYTES_MAX];
    uint8_t mac[EVP_MAX_MD_SIZE];
    struct slice site = slice_head(c->site, SITE_BYTES_MAX);
    struct slice agent = slice_head(c->agent, AGENT_BYTES_MAX);
    size_t n = 0;
    text[n++] = (uint8_t)len; /* tells the two texts apart */
    n += put(text + n, bytes, len);
    n += put(text + n, c->who.bytes, sizeof c->who.bytes);
    text[n++] = c->who.bits;
    text[n++] = (uint8_t)site.len;
    n += put(text + n, site.at, site.len);
    n += put(text + n, agent.at, agent.len);
    unsigned char *done = HMAC(EVP_sha256(), key, OWN_COOKIE_KEY_BYTES, text, n, mac, NULL);
    ASSERT(done);
    memcpy(to, mac, CHALLENGE_MAC_BYTES);
}

/* Into `len` bytes, when they are ours. */
static enum challenge_fault read(const challenge_key key, const struct challenge_client *c,
                                 struct slice s, uint8_t *bytes, size_t len)
{
    uint8_t mac[CHALLENGE_MAC_BYTES];
    size_t got;
    if (s.len != len / 3 * 4 || !base64_read(bytes, &got, s, BASE64_URL) || got != len)
        return CHALLENGE_MALFORMED;
    mac_write(key, c, bytes, len - CHALLENGE_MAC_BYTES, mac);
    bool ours = CRYPTO_memcmp(mac, bytes + len - CHALLENGE_MAC_BYTES, sizeof mac) == 0;
    return ours ? CHALLENGE_GOOD : CHALLENGE_FORGED;
}

static enum challenge_fault judge(const struct challenge_proof *p, int64_t unix_s, int64_t valid_s,
                                  uint8_t least_bits)
{
    int64_t age_s = unix_s - (int64_t)p->at_s;
    if (age_s >= valid_s || age_s < -CHALLENGE_AHEAD_S)
        return CHALLENGE_LATE;
    return p->bits < least_bits ? CHALLENGE_EASY : CHALLENGE_GOOD;
}

/* --- ask and answer --------------------------------------------------------------------------- */

void challenge_ask_write(const challenge_key key, const struct challenge_client *c,
                         const struct challenge_proof *p,
                         const uint8_t random[CHALLENGE_RANDOM_BYTES], char to[CHALLENGE_ASK_CHARS])
{
    uint8_t bytes[CHALLENGE_ASK_BYTES];
    size_t len = HEAD_BYTES + CHALLENGE_RANDOM_BYTES;
    head_write(bytes, p);
    memcpy(bytes + HEAD_BYTES, random, CHALLENGE_RANDOM_BYTES);
    mac_write(key, c, bytes, len, bytes + len);
    base64_write(to, bytes, sizeof bytes, BASE64_URL);
}

static bool is_digits(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    return s.len > 0 && s.len <= CHALLENGE_DIGITS_MAX;
}

static bool begins_with_zeros(const uint8_t hash[SHA256_DIGEST_LENGTH], uint8_t bits)
{
    for (uint8_t i = 0; i < bits / 8; i++)
        if (hash[i])
            return false;
    return hash[bits / 8] >> (8 - bits % 8) == 0;
}

static bool is_solution(struct slice ask, struct slice digits, uint8_t bits)
{
    unsigned char text[CHALLENGE_ASK_CHARS + CHALLENGE_DIGITS_MAX];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    memcpy(text, ask.at, ask.len);
    memcpy(text + ask.len, digits.at, digits.len);
    SHA256(text, ask.len + digits.len, hash);
    return bits <= CHALLENGE_BITS_MAX && begins_with_zeros(hash, bits);
}

enum challenge_fault challenge_answer_read(const challenge_key key,
                                           const struct challenge_client *c, struct slice answer,
                                           int64_t unix_s, uint8_t least_bits,
                                           struct challenge_proof *out)
{
    uint8_t bytes[BASE64_BYTES(CHALLENGE_ASK_CHARS)];
    size_t dot = slice_find(answer, '.');
    struct slice ask = slice_head(answer, dot), digits = slice_from(answer, dot + 1);
    if (!is_digits(digits))
        return CHALLENGE_MALFORMED;
    enum challenge_fault f = read(key, c, ask, bytes, CHALLENGE_ASK_BYTES);
    if (f != CHALLENGE_GOOD)
        return f;
    struct challenge_proof p = head_read(bytes);
    f = judge(&p, unix_s, CHALLENGE_ANSWER_S, least_bits);
    if (f == CHALLENGE_GOOD && !is_solution(ask, digits, p.bits))
        f = CHALLENGE_WRONG;
    if (f == CHALLENGE_GOOD)
        *out = p;
    return f;
}

/* --- pass ------------------------------------------------------------------------------------- */

void challenge_pass_write(const challenge_key key, const struct challenge_client *c,
                          const struct challenge_proof *p, char to[CHALLENGE_PASS_CHARS])
{
    uint8_t bytes[CHALLENGE_PASS_BYTES];
    head_write(bytes, p);
    mac_write(key, c, bytes, HEAD_BYTES, bytes + HEAD_BYTES);
    base64_write(to, bytes, sizeof bytes, BASE64_URL);
}

enum challenge_fault challenge_pass_read(const challenge_key key, const struct challenge_client *c,
                                         struct slice pass, int64_t unix_s, int64_t valid_s,
                                         uint8_t least_bits, struct challenge_proof *out)
{
    uint8_t bytes[BASE64_BYTES(CHALLENGE_PASS_CHARS)];
    enum challenge_fault f = read(key, c, pass, bytes, CHALLENGE_PASS_BYTES);
    if (f != CHALLENGE_GOOD)
        return f;
    struct challenge_proof p = head_read(bytes);
    f = judge(&p, unix_s, valid_s, least_bits);
    if (f == CHALLENGE_GOOD)
        *out = p;
    return f;
}
