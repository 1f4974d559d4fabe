/* jwk_parse.c - keys of a JWKS document (RFC 7517, 7518 section 6, RFC 8037).
 *
 * A key with something in it that is wrong or not for signatures is skipped, as RFC 7517 5 wants
 * it: issuers publish keys of tomorrow. Private members are not looked at. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwk.h"
#include "auth/jwk_priv.h"
#include "auth/jws_priv.h"
#include "base/base64.h"
#include "base/mem.h"
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

/* A member that is longer is none. */
enum {
    MEMBER_MAX_BYTES = JWK_SECRET_MAX_BYTES,
    POINT_MAX_BYTES = 1 + 2 * 66,
    POINT_UNCOMPRESSED = 4, /* SEC 1 2.3.3: x and y follow */
};

struct bytes {
    uint8_t at[BASE64_BYTES(BASE64_CHARS(MEMBER_MAX_BYTES))];
    size_t len;
};

static struct slice string_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return (struct slice){json_string_value(v), json_string_length(v)};
}

static bool bytes_of(const json_t *object, const char *name, struct bytes *out)
{
    struct slice s = string_of(object, name);
    return s.at && s.len > 0 && s.len <= BASE64_CHARS(MEMBER_MAX_BYTES) &&
           base64_read(out->at, &out->len, s, BASE64_URL);
}

/* ---- kinds ---- */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *rsa_of(const struct bytes *n, const struct bytes *e)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    BIGNUM *bn_n = BN_bin2bn(n->at, (int)n->len, NULL), *bn_e = BN_bin2bn(e->at, (int)e->len, NULL);
    if (b && bn_n && bn_e && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn_n) &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, bn_e) &&
        (params = OSSL_PARAM_BLD_to_param(b)))
        pkey = from_params("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_free(bn_n);
    BN_free(bn_e);
    return pkey;
}

static EVP_PKEY *parse_rsa(const json_t *o)
{
    struct bytes n, e;
    bool there = bytes_of(o, "n", &n) && bytes_of(o, "e", &e);
    return there && n.len <= JWK_RSA_MAX_BITS / 8 + 1 && e.len <= 8 ? rsa_of(&n, &e) : NULL;
}

static const struct curve {
    const char *crv, *group;
    size_t bytes; /* of a coordinate: exactly so many, RFC 7518 6.2.1.2 */
} CURVES[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}};

static const struct curve *curve_find(struct slice crv)
{
    for (size_t i = 0; i < sizeof CURVES / sizeof *CURVES; i++)
        if (slice_eq(crv, slice_of(CURVES[i].crv)))
            return &CURVES[i];
    return NULL;
}

/* OpenSSL refuses a point that is not on the curve; the quick check adds the one at infinity. */
static EVP_PKEY *point_of(const struct curve *c, uint8_t *point)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)c->group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * c->bytes),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *pkey = from_params("EC", params);
    EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL) : NULL;
    bool good = ctx && EVP_PKEY_public_check_quick(ctx) > 0;
    EVP_PKEY_CTX_free(ctx);
    if (good)
        return pkey;
    EVP_PKEY_free(pkey);
    return NULL;
}

static EVP_PKEY *parse_ec(const json_t *o)
{
    struct bytes x, y;
    uint8_t point[POINT_MAX_BYTES] = {POINT_UNCOMPRESSED};
    const struct curve *c = curve_find(string_of(o, "crv"));
    if (!c || !bytes_of(o, "x", &x) || !bytes_of(o, "y", &y) || x.len != c->bytes ||
        y.len != c->bytes)
        return NULL;
    memcpy(point + 1, x.at, x.len);
    memcpy(point + 1 + x.len, y.at, y.len);
    return point_of(c, point);
}

static EVP_PKEY *parse_okp(const json_t *o)
{
    struct bytes x;
    struct slice crv = string_of(o, "crv");
    bool known = slice_eq(crv, SLICE("Ed25519")) || slice_eq(crv, SLICE("Ed448"));
    if (!known || !bytes_of(o, "x", &x))
        return NULL;
    return EVP_PKEY_new_raw_public_key_ex(NULL, crv.at, NULL, x.at, x.len);
}

/* ---- one key ---- */

static bool may_verify(const json_t *ops)
{
    size_t i;
    const json_t *op;
    bool found = !ops;
    json_array_foreach((json_t *)ops, i, op)
    {
        found |= json_is_string(op) && strcmp(json_string_value(op), "verify") == 0;
    }
    return found;
}

/* What the document says of the key beside itself. False: it is not for us. */
static bool parse_purpose(const json_t *o, struct jwk *out)
{
    enum jwk_alg alg;
    const json_t *use = json_object_get(o, "use"), *kid = json_object_get(o, "kid");
    out->algs = UINT32_MAX;
    out->kid = string_of(o, "kid");
    if (json_object_get(o, "alg")) {
        if (!jwk_alg_find(string_of(o, "alg"), &alg))
            return false;
        out->algs = 1u << alg;
    }
    return (!use || slice_eq(string_of(o, "use"), SLICE("sig"))) &&
           may_verify(json_object_get(o, "key_ops")) && (!kid || out->kid.at) &&
           out->kid.len <= JWK_KID_MAX_BYTES;
}

static void parse_secret(struct jwk_set *s, const json_t *o, const struct jwk *template)
{
    struct bytes k;
    bool there = bytes_of(o, "k", &k);
    jwk_set_add_secret(s, there ? (struct slice){(char *)k.at, k.len} : SLICE_NONE, template);
    OPENSSL_cleanse(&k, sizeof k);
}

static void parse_key(struct jwk_set *s, const json_t *o, enum jwk_source from)
{
    struct jwk template = {0};
    struct slice kty = string_of(o, "kty");
    bool fit = json_is_object(o) && parse_purpose(o, &template);
    if (fit && slice_eq(kty, SLICE("RSA")))
        jwk_set_add_pkey(s, parse_rsa(o), &template);
    else if (fit && slice_eq(kty, SLICE("EC")))
        jwk_set_add_pkey(s, parse_ec(o), &template);
    else if (fit && slice_eq(kty, SLICE("OKP")))
        jwk_set_add_pkey(s, parse_okp(o), &template);
    else if (fit && from == JWK_OWN && slice_eq(kty, SLICE("oct")))
        parse_secret(s, o, &template);
    else
        s->skipped++;
}

/* ---- the document ---- */

static struct jwk_set *parse_document(const json_t *doc, enum jwk_source from, struct text *why)
{
    const json_t *keys = json_object_get(doc, "keys");
    size_t count = json_array_size(keys);
    bool single = !keys && json_object_get(doc, "kty");
    if (!json_is_array(keys) && !single) {
        text_add(why, SLICE("it is no JWKS document: there is no list \"keys\" in it"));
        return NULL;
    }
    if (count > JWK_SET_MAX) {
        text_addf(why, "there are %zu keys in it: more than %d", count, JWK_SET_MAX);
        return NULL;
    }
    struct jwk_set *s = jwk_set_new();
    for (size_t i = 0; i < count; i++)
        parse_key(s, json_array_get(keys, i), from);
    if (single)
        parse_key(s, doc, from);
    return jwk_set_done(s, why);
}

struct jwk_set *jwk_set_parse(struct slice json, enum jwk_source from, struct text *why)
{
    json_error_t error;
    jws_prepare();
    if (json.len > JWK_DOCUMENT_MAX_BYTES) {
        text_addf(why, "it is larger than %d bytes", JWK_DOCUMENT_MAX_BYTES);
        return NULL;
    }
    json_t *doc = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, &error);
    if (!doc) { /* jansson's words would quote what may be a secret */
        text_addf(why, "it is no JSON, or has a name twice: line %d, column %d", error.line,
                  error.column);
        return NULL;
    }
    struct jwk_set *s = parse_document(doc, from, why);
    json_decref(doc);
    return s;
}
