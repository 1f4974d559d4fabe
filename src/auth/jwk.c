/* jwk.c - the algorithms, and sets of keys: made, looked through, counted.
 *
 * What a key may be used with is decided once, when it is added: the rows below say which kinds an
 * algorithm goes with, so that an RSA key can never be taken for the secret of an HMAC. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwk.h"
#include "auth/jwk_priv.h"
#include "auth/jws_priv.h"
#include "base/assert.h"
#include "base/mem.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { SET_BUDGET_BYTES = 4 << 20, GROUP_NAME_MAX = 64 };

#define KIND(k) (1u << JWK_##k)

const struct jwk_alg_row jwk_algs[JWK_ALGS] = {
    [JWK_HS256] = {"HS256", KIND(SECRET), JWK_SHA256, 32, false},
    [JWK_HS384] = {"HS384", KIND(SECRET), JWK_SHA384, 48, false},
    [JWK_HS512] = {"HS512", KIND(SECRET), JWK_SHA512, 64, false},
    [JWK_RS256] = {"RS256", KIND(RSA), JWK_SHA256, 0, false},
    [JWK_RS384] = {"RS384", KIND(RSA), JWK_SHA384, 0, false},
    [JWK_RS512] = {"RS512", KIND(RSA), JWK_SHA512, 0, false},
    [JWK_PS256] = {"PS256", KIND(RSA), JWK_SHA256, 0, true},
    [JWK_PS384] = {"PS384", KIND(RSA), JWK_SHA384, 0, true},
    [JWK_PS512] = {"PS512", KIND(RSA), JWK_SHA512, 0, true},
    [JWK_ES256] = {"ES256", KIND(P256), JWK_SHA256, 0, false},
    [JWK_ES384] = {"ES384", KIND(P384), JWK_SHA384, 0, false},
    [JWK_ES512] = {"ES512", KIND(P521), JWK_SHA512, 0, false},
    [JWK_EDDSA] = {"EdDSA", KIND(ED25519) | KIND(ED448), JWK_NO_HASH, 0, false},
    [JWK_ALG_ED25519] = {"Ed25519", KIND(ED25519), JWK_NO_HASH, 0, false},
    [JWK_ALG_ED448] = {"Ed448", KIND(ED448), JWK_NO_HASH, 0, false},
};

bool jwk_alg_find(struct slice name, enum jwk_alg *out)
{
    for (enum jwk_alg i = 0; i < JWK_ALGS; i++)
        if (slice_eq(name, slice_of(jwk_algs[i].name))) {
            *out = i;
            return true;
        }
    return false;
}

const char *jwk_alg_name(enum jwk_alg alg)
{
    return jwk_algs[alg].name;
}

/* ---- sets ---- */

struct jwk_set *jwk_set_new(void)
{
    static uint64_t serials; /* atomic */
    struct jwk_set *s = MEM_NEW(struct jwk_set);
    s->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
    jws_prepare();
    arena_init(&s->arena, SET_BUDGET_BYTES);
    s->keys = mem_must(ARENA_ARRAY(&s->arena, struct jwk, JWK_SET_MAX), 0);
    s->refs = 1;
    return s;
}

struct jwk_set *jwk_set_done(struct jwk_set *s, struct text *why)
{
    ERR_clear_error();
    if (s->count > 0)
        return s;
    if (s->skipped > 0)
        text_addf(why, "none of the %u keys in it can verify signatures", s->skipped);
    else
        text_add(why, SLICE("there is no key in it"));
    jwk_set_drop(s);
    return NULL;
}

struct jwk_set *jwk_set_take(struct jwk_set *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void jwk_set_drop(struct jwk_set *s)
{
    if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < s->count; i++) {
        EVP_PKEY_free(s->keys[i].pkey);
        OPENSSL_cleanse((char *)s->keys[i].secret.at, s->keys[i].secret.len);
    }
    arena_release(&s->arena);
    free(s);
}

struct jwk_set *jwk_set_load(struct slice bytes, struct text *why)
{
    if (memmem(bytes.at, bytes.len, "-----BEGIN ", 11))
        return jwk_set_parse_pem(bytes, why);
    while (bytes.len > 0 && strchr(" \t\r\n", bytes.at[0]))
        bytes = slice_from(bytes, 1);
    if (bytes.len > 0 && bytes.at[0] == '{')
        return jwk_set_parse(bytes, JWK_OWN, why);
    text_add(why, SLICE("it is neither a JWKS document nor PEM"));
    return NULL;
}

/* ---- what a key is good for ---- */

static bool rsa_is_fit(const EVP_PKEY *pkey)
{
    BIGNUM *e = NULL;
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < JWK_RSA_MIN_BITS || bits > JWK_RSA_MAX_BITS ||
        !EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e))
        return false;
    bool fit = BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= JWK_RSA_E_MAX_BITS;
    BN_free(e);
    return fit;
}

static bool curve_of(const EVP_PKEY *pkey, enum jwk_kind *kind)
{
    static const char *const GROUPS[] = {
        [JWK_P256] = "prime256v1", [JWK_P384] = "secp384r1", [JWK_P521] = "secp521r1"};
    char group[GROUP_NAME_MAX];
    if (!EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL))
        return false;
    for (enum jwk_kind k = JWK_P256; k <= JWK_P521; k++)
        if (strcmp(group, GROUPS[k]) == 0) {
            *kind = k;
            return true;
        }
    return false;
}

/* False: no kind of key that is known here, or one that is not fit. */
static bool kind_of(const EVP_PKEY *pkey, enum jwk_kind *kind)
{
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *kind = JWK_RSA;
        return rsa_is_fit(pkey);
    }
    if (EVP_PKEY_is_a(pkey, "EC"))
        return curve_of(pkey, kind);
    *kind = EVP_PKEY_is_a(pkey, "ED448") ? JWK_ED448 : JWK_ED25519;
    return *kind == JWK_ED448 || EVP_PKEY_is_a(pkey, "ED25519");
}

static uint32_t algs_of(enum jwk_kind kind, size_t secret_bytes)
{
    uint32_t algs = 0;
    for (enum jwk_alg i = 0; i < JWK_ALGS; i++)
        if (jwk_algs[i].kinds >> kind & 1 && secret_bytes >= jwk_algs[i].secret_min_bytes)
            algs |= 1u << i;
    return algs;
}

/* Takes the key in when it is good for something. */
static bool add(struct jwk_set *s, struct jwk key, const struct jwk *template)
{
    key.algs = algs_of(key.kind, key.secret.len) & template->algs;
    key.kid = template->kid.at ? arena_dup(&s->arena, template->kid) : SLICE_NONE;
    if (key.algs == 0 || s->count == JWK_SET_MAX || (template->kid.at && !key.kid.at)) {
        s->skipped++;
        return false;
    }
    s->keys[s->count++] = key;
    return true;
}

void jwk_set_add_pkey(struct jwk_set *s, EVP_PKEY *pkey, const struct jwk *template)
{
    struct jwk key = {.pkey = pkey};
    if (!pkey || !kind_of(pkey, &key.kind))
        s->skipped++;
    else if (add(s, key, template))
        return;
    EVP_PKEY_free(pkey);
}

void jwk_set_add_secret(struct jwk_set *s, struct slice secret, const struct jwk *template)
{
    struct jwk key = {.kind = JWK_SECRET};
    if (secret.len < JWK_SECRET_MIN_BYTES || secret.len > JWK_SECRET_MAX_BYTES)
        s->skipped++;
    else if ((key.secret = arena_dup(&s->arena, secret)).at && !add(s, key, template))
        OPENSSL_cleanse((char *)key.secret.at, key.secret.len);
}

struct jwk_set *jwk_set_of_secret(struct slice secret, struct text *why)
{
    if (secret.len < JWK_SECRET_MIN_BYTES || secret.len > JWK_SECRET_MAX_BYTES) {
        text_addf(why, "the secret has %zu bytes: it must have %d to %d", secret.len,
                  JWK_SECRET_MIN_BYTES, JWK_SECRET_MAX_BYTES);
        return NULL;
    }
    struct jwk_set *s = jwk_set_new();
    jwk_set_add_secret(s, secret, &(struct jwk){.algs = UINT32_MAX});
    return jwk_set_done(s, why);
}

/* ---- which one ---- */

static bool is_named(const struct jwk *k, enum jwk_alg alg, struct slice kid)
{
    return k->algs >> alg & 1 && k->kid.at && slice_eq(k->kid, kid);
}

static bool any_is_named(const struct jwk_set *s, enum jwk_alg alg, struct slice kid)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (is_named(&s->keys[i], alg, kid))
            return true;
    return false;
}

const struct jwk *jwk_set_next(const struct jwk_set *s, enum jwk_alg alg, struct slice kid,
                               uint32_t *at)
{
    bool named = kid.at && any_is_named(s, alg, kid);
    while (*at < s->count) {
        const struct jwk *k = &s->keys[(*at)++];
        bool fits = named ? is_named(k, alg, kid) : !kid.at || !k->kid.at;
        if (fits && k->algs >> alg & 1)
            return k;
    }
    return NULL;
}
