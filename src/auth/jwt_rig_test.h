/* jwt_rig_test.h - an issuer for tests: makes keys, writes them as JWKS, signs tokens, good ones
 * and whatever else a test wants. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwk_priv.h"
#include "base/assert.h"
#include "base/base64.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static inline void rig_base64(struct text *to, const void *at, size_t len)
{
    char chars[BASE64_CHARS(20 << 10)];
    ASSERT(len <= 20 << 10);
    text_add(to, (struct slice){chars, base64_write(chars, at, len, BASE64_URL)});
}

static inline EVP_PKEY *rig_key(enum jwk_kind kind)
{
    switch (kind) {
    case JWK_RSA: return EVP_RSA_gen(2048);
    case JWK_P256: return EVP_EC_gen("P-256");
    case JWK_P384: return EVP_EC_gen("P-384");
    case JWK_P521: return EVP_EC_gen("P-521");
    case JWK_ED448: return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    default: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
}

/* ---- JWK ---- */

static inline void rig_member(struct text *to, const char *name, const void *at, size_t len)
{
    text_addf(to, ",\"%s\":\"", name);
    rig_base64(to, at, len);
    text_add(to, SLICE("\""));
}

static inline void rig_bn(struct text *to, const EVP_PKEY *pkey, const char *param,
                          const char *name, int width)
{
    uint8_t bytes[2048];
    BIGNUM *n = NULL;
    ASSERT(EVP_PKEY_get_bn_param(pkey, param, &n));
    int len = width ? BN_bn2binpad(n, bytes, width) : BN_bn2bin(n, bytes);
    rig_member(to, name, bytes, (size_t)len);
    BN_free(n);
}

/* {"kty":...}, with `more` (`,"kid":"a"`) at its end. */
static inline void rig_jwk(struct text *to, const EVP_PKEY *pkey, const char *more)
{
    uint8_t raw[64];
    size_t len = sizeof raw;
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        text_add(to, SLICE("{\"kty\":\"RSA\""));
        rig_bn(to, pkey, OSSL_PKEY_PARAM_RSA_N, "n", 0);
        rig_bn(to, pkey, OSSL_PKEY_PARAM_RSA_E, "e", 0);
    } else if (EVP_PKEY_is_a(pkey, "EC")) {
        int width = (EVP_PKEY_get_bits(pkey) + 7) / 8;
        text_addf(to, "{\"kty\":\"EC\",\"crv\":\"P-%d\"", EVP_PKEY_get_bits(pkey));
        rig_bn(to, pkey, OSSL_PKEY_PARAM_EC_PUB_X, "x", width);
        rig_bn(to, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, "y", width);
    } else {
        ASSERT(EVP_PKEY_get_raw_public_key(pkey, raw, &len));
        text_addf(to, "{\"kty\":\"OKP\",\"crv\":\"%s\"", len == 32 ? "Ed25519" : "Ed448");
        rig_member(to, "x", raw, len);
    }
    text_addf(to, "%s}", more);
}

/* ---- signing ---- */

struct rig_signer {
    EVP_PKEY *pkey; /* NULL: the secret */
    struct slice secret;
    enum jwk_alg alg;
    bool no_salt; /* PSS with another salt than RFC 7518 3.5 wants */
};

/* The raw form of RFC 7518 3.4 out of OpenSSL's. */
static inline size_t rig_raw_ecdsa(uint8_t *sig, size_t len, int width)
{
    const uint8_t *at = sig;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)len);
    ASSERT(s && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, width) == width);
    ASSERT(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + width, width) == width);
    ECDSA_SIG_free(s);
    return (size_t)width * 2;
}

static inline size_t rig_sign(const struct rig_signer *s, struct slice text, uint8_t *sig,
                              size_t room)
{
    static const char *const HASHES[] = {"SHA256", "SHA384", "SHA512", NULL};
    const struct jwk_alg_row *row = &jwk_algs[s->alg];
    EVP_PKEY_CTX *p = NULL;
    size_t len = room;
    if (!s->pkey)
        return ASSERT(EVP_Q_mac(NULL, "HMAC", NULL, HASHES[row->hash], NULL, s->secret.at,
                                s->secret.len, (const uint8_t *)text.at, text.len, sig, room,
                                &len)),
               len;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ASSERT(EVP_DigestSignInit_ex(c, &p, HASHES[row->hash], NULL, NULL, s->pkey, NULL) > 0);
    if (row->pss)
        ASSERT(EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(p, s->no_salt ? 0 : RSA_PSS_SALTLEN_DIGEST) > 0);
    ASSERT(EVP_DigestSign(c, sig, &len, (const uint8_t *)text.at, text.len) > 0);
    EVP_MD_CTX_free(c);
    if (EVP_PKEY_is_a(s->pkey, "EC"))
        len = rig_raw_ecdsa(sig, len, (EVP_PKEY_get_bits(s->pkey) + 7) / 8);
    return len;
}

/* Signs what is given, whatever it says, and puts the token at the end of `to`. */
static inline void rig_token(struct text *to, const struct rig_signer *s, struct slice header,
                             struct slice claims)
{
    uint8_t sig[1024];
    size_t begin = to->len;
    rig_base64(to, header.at, header.len);
    text_add(to, SLICE("."));
    rig_base64(to, claims.at, claims.len);
    size_t len = rig_sign(s, slice_from(text_slice(to), begin), sig, sizeof sig);
    text_add(to, SLICE("."));
    rig_base64(to, sig, len);
}

/* One with the plain header. */
static inline void rig_plain(struct text *to, const struct rig_signer *s, const char *claims)
{
    char header[64];
    int len = snprintf(header, sizeof header, "{\"alg\":\"%s\"}", jwk_alg_name(s->alg));
    rig_token(to, s, (struct slice){header, (size_t)len}, slice_of(claims));
}
