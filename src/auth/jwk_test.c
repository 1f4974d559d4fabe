/* jwk_test.c - which keys are taken out of a document or PEM, which are not, and the limits. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwk.h"
#include "auth/jwk_fuzz_priv.h"
#include "auth/jwt_rig_test.h"
#include "tests/corpus.h"
#include <openssl/x509.h>

#define ED_X      "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define P256_X    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED_KEY    "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\""
#define EC_KEY    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\""
#define SECRET_32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ALG(a)    (1u << JWK_##a)
#define RSA_ALGS  (ALG(RS256) | ALG(RS384) | ALG(RS512) | ALG(PS256) | ALG(PS384) | ALG(PS512))

static struct jwk_set *parse(const char *json)
{
    struct text why = {0};
    struct jwk_set *s = jwk_set_parse(slice_of(json), JWK_OWN, &why);
    assert_int_equal(s == NULL, why.len > 0);
    text_release(&why);
    return s;
}

/* A document with one key: 0 when that is not usable, else what it is for. */
static uint32_t algs_of(const char *key)
{
    struct text t = {0};
    text_addf(&t, "{\"keys\":[{%s},{" ED_KEY ",\"kid\":\"other\"}]}", key);
    struct jwk_set *s = parse(t.at);
    assert_non_null(s);
    assert_int_equal(s->count + s->skipped, 2);
    uint32_t algs = s->count == 2 ? s->keys[0].algs : 0;
    jwk_set_drop(s);
    text_release(&t);
    return algs;
}

static const struct {
    const char *key;
    uint32_t algs;
} KEYS[] = {
    {ED_KEY, ALG(EDDSA) | ALG(ALG_ED25519)},
    {EC_KEY, ALG(ES256)},
    {EC_KEY ",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"x\"", ALG(ES256)},
    {EC_KEY ",\"key_ops\":[\"sign\",\"verify\"]", ALG(ES256)},
    {EC_KEY ",\"d\":\"AAAA\",\"x5u\":\"http://e.example/\",\"x5c\":[\"AAAA\"]", ALG(ES256)},
    {EC_KEY ",\"use\":\"enc\"", 0},
    {EC_KEY ",\"use\":7", 0},
    {EC_KEY ",\"use\":null", 0},
    {EC_KEY ",\"key_ops\":[\"sign\"]", 0},
    {EC_KEY ",\"key_ops\":[]", 0},
    {EC_KEY ",\"key_ops\":\"verify\"", 0},
    {EC_KEY ",\"alg\":\"ES384\"", 0},
    {EC_KEY ",\"alg\":\"HS256\"", 0},
    {EC_KEY ",\"alg\":\"none\"", 0},
    {EC_KEY ",\"alg\":\"es256\"", 0},
    {EC_KEY ",\"alg\":[\"ES256\"]", 0},
    {EC_KEY ",\"kid\":7", 0},
    {"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_X "\"", 0},
    {"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\"", 0},
    {"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "=\",\"y\":\"" P256_Y "\"", 0},
    {"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "AA\",\"y\":\"" P256_Y "\"", 0},
    {"\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"", 0},
    {"\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"", 0},
    {"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" SECRET_32 "\",\"y\":\"" SECRET_32 "\"", 0},
    {"\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X "\"", 0},
    {"\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"" ED_X "\"", 0},
    {"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":7", 0},
    {"\"kty\":\"oct\",\"k\":\"" SECRET_32 "\"", ALG(HS256)},
    {"\"kty\":\"oct\",\"k\":\"" SECRET_32 "\",\"alg\":\"RS256\"", 0},
    {"\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", 0}, /* 31 bytes */
    {"\"kty\":\"oct\",\"k\":\"" SECRET_32 "AAAAAAAAAAAAAAAAAAAAA\"", ALG(HS256) | ALG(HS384)},
    {"\"kty\":\"oct\",\"k\":\"" SECRET_32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
     ALG(HS256) | ALG(HS384) | ALG(HS512)},
    {"\"kty\":\"oct\"", 0},
    {"\"kty\":\"rsa\",\"n\":\"AQAB\",\"e\":\"AQAB\"", 0},
    {"\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"", 0},
    {"\"kty\":\"new\"", 0},
    {"\"kid\":\"x\"", 0},
};

static void keys_are_for_what_they_are_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(KEYS); i++) {
        uint32_t algs = algs_of(KEYS[i].key);
        if (algs != KEYS[i].algs)
            fail_msg("%s: %x", KEYS[i].key, algs);
    }
}

/* A modulus needs no primes to be looked at. */
static uint32_t rsa_algs(int bits, const char *e)
{
    uint8_t n[1200];
    struct text t = {0};
    memset(n, 0xff, sizeof n);
    n[0] = (uint8_t)(0xff >> ((8 - bits % 8) % 8));
    text_add(&t, SLICE("\"kty\":\"RSA\""));
    rig_member(&t, "n", n, (size_t)(bits + 7) / 8);
    text_addf(&t, ",\"e\":\"%s\"", e);
    uint32_t algs = algs_of(t.at);
    text_release(&t);
    return algs;
}

static void rsa_has_limits(void **state)
{
    (void)state;
    assert_int_equal(rsa_algs(2048, "AQAB"), RSA_ALGS);
    assert_int_equal(rsa_algs(2047, "AQAB"), 0);
    assert_int_equal(rsa_algs(8192, "AQAB"), RSA_ALGS);
    assert_int_equal(rsa_algs(8193, "AQAB"), 0);
    assert_int_equal(rsa_algs(2048, "Aw"), RSA_ALGS);     /* 3 */
    assert_int_equal(rsa_algs(2048, "AQ"), 0);            /* 1: anything is a signature */
    assert_int_equal(rsa_algs(2048, "AQAA"), 0);          /* even */
    assert_int_equal(rsa_algs(2048, "_____w"), RSA_ALGS); /* 32 bits */
    assert_int_equal(rsa_algs(2048, "Af____8"), 0);       /* 33 bits */
}

static void documents_are_refused_whole(void **state)
{
    static const char *const BAD[] = {
        "",
        "x",
        "[]",
        "7",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":7}",
        "{\"keys\":[]}",
        "{\"keys\":[7,null,[]]}",
        "{\"keys\":[{" ED_KEY "}]} x",
        "{\"keys\":[{" ED_KEY "}]",
        "{\"keys\":[{" ED_KEY "}],\"keys\":[]}",
        "{\"keys\":[{" ED_KEY ",\"kty\":\"OKP\"}]}", /* a name twice */
        "{\"keys\":[{" ED_KEY ",\"ki\\u0064\":\"a\",\"kid\":\"b\"}]}",
        "{\"keys\":[{" ED_KEY ",\"kid\":\"\\u0000\"}]}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(BAD); i++)
        if (parse(BAD[i]))
            fail_msg("taken: %s", BAD[i]);
    struct jwk_set *one = parse(" {" ED_KEY "}");
    assert_int_equal(one->count, 1);
    jwk_set_drop(one);
}

static void a_secret_that_is_published_is_none(void **state)
{
    struct text why = {0};
    struct slice both =
        SLICE("{\"keys\":[{\"kty\":\"oct\",\"k\":\"" SECRET_32 "\"},{" ED_KEY "}]}");
    (void)state;
    struct jwk_set *s = jwk_set_parse(both, JWK_PUBLISHED, &why);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->skipped, 1);
    assert_int_equal(s->keys[0].kind, JWK_ED25519);
    jwk_set_drop(s);
    s = jwk_set_parse(both, JWK_OWN, &why);
    assert_int_equal(s->count, 2);
    jwk_set_drop(s);
}

static void many(struct text *t, int keys)
{
    text_add(t, SLICE("{\"keys\":["));
    for (int i = 0; i < keys; i++)
        text_addf(t, "%s{" ED_KEY "}", i ? "," : "");
    text_add(t, SLICE("]}"));
}

static void sets_have_limits(void **state)
{
    struct text most = {0}, more = {0}, large = {0}, kid = {0};
    (void)state;
    many(&most, JWK_SET_MAX);
    many(&more, JWK_SET_MAX + 1);
    struct jwk_set *s = parse(most.at);
    assert_int_equal(s->count, JWK_SET_MAX);
    jwk_set_drop(s);
    assert_null(parse(more.at));
    text_addf(&large, "{" ED_KEY "%*s}", JWK_DOCUMENT_MAX_BYTES - (int)strlen(ED_KEY) - 2, "");
    assert_int_equal(large.len, JWK_DOCUMENT_MAX_BYTES);
    jwk_set_drop(s = parse(large.at));
    assert_non_null(s);
    text_add(&large, SLICE(" "));
    assert_null(parse(large.at));
    for (int len = JWK_KID_MAX_BYTES; len <= JWK_KID_MAX_BYTES + 1; len++) {
        text_clear(&kid);
        text_addf(&kid, ED_KEY ",\"kid\":\"%0*d\"", len, 7);
        assert_int_equal(algs_of(kid.at) != 0, len == JWK_KID_MAX_BYTES);
    }
    text_release(&most);
    text_release(&more);
    text_release(&large);
    text_release(&kid);
}

static void every_kind_is_read_as_it_was_made(void **state)
{
    (void)state;
    for (enum jwk_kind kind = JWK_RSA; kind <= JWK_ED448; kind++) {
        struct text t = {0};
        EVP_PKEY *pkey = rig_key(kind);
        rig_jwk(&t, pkey, ",\"kid\":\"k\"");
        struct jwk_set *s = parse(t.at);
        assert_int_equal(s->keys[0].kind, kind);
        assert_int_equal(EVP_PKEY_eq(s->keys[0].pkey, pkey), 1);
        assert_true(slice_eq(s->keys[0].kid, SLICE("k")));
        jwk_set_drop(s);
        EVP_PKEY_free(pkey);
        text_release(&t);
    }
}

static void secrets_have_limits(void **state)
{
    char bytes[JWK_SECRET_MAX_BYTES + 1];
    static const struct {
        size_t len;
        bool good;
    } ROWS[] = {{0, false}, {31, false}, {32, true}, {4096, true}, {4097, false}};
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct text why = {0};
        struct jwk_set *s = jwk_set_of_secret((struct slice){bytes, ROWS[i].len}, &why);
        assert_int_equal(s != NULL, ROWS[i].good);
        assert_int_equal(why.len == 0, ROWS[i].good);
        jwk_set_drop(s);
        text_release(&why);
    }
}

/* ---- PEM ---- */

static void flush(BIO *b, struct text *to)
{
    char *at;
    long len = BIO_get_mem_data(b, &at);
    text_add(to, (struct slice){at, (size_t)len});
    BIO_free(b);
}

static void pem_public(struct text *to, EVP_PKEY *pkey)
{
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(b, pkey);
    flush(b, to);
}

static void pem_certificate(struct text *to, EVP_PKEY *pkey)
{
    BIO *b = BIO_new(BIO_s_mem());
    X509 *x = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(x), -200);
    X509_gmtime_adj(X509_getm_notAfter(x), -100);
    X509_set_pubkey(x, pkey);
    X509_sign(x, pkey, EVP_sha256());
    PEM_write_bio_X509(b, x);
    X509_free(x);
    flush(b, to);
}

static struct jwk_set *load(const struct text *t, const char *expected)
{
    struct text why = {0};
    struct jwk_set *s = jwk_set_load(text_slice(t), &why);
    assert_int_equal(s == NULL, expected != NULL);
    if (expected && !strstr(why.at, expected))
        fail_msg("%s", why.at);
    text_release(&why);
    return s;
}

static void pem_holds_keys_and_certificates(void **state)
{
    struct text t = {0};
    EVP_PKEY *ec = rig_key(JWK_P384), *ed = rig_key(JWK_ED25519), *small = EVP_RSA_gen(1024);
    (void)state;
    text_add(&t, SLICE("the first:\n"));
    pem_public(&t, ed);
    pem_certificate(&t, ec);
    pem_public(&t, small);
    struct jwk_set *s = load(&t, NULL);
    assert_int_equal(s->count, 2);
    assert_int_equal(s->skipped, 1);
    assert_int_equal(s->keys[0].kind, JWK_ED25519);
    assert_int_equal(s->keys[1].kind, JWK_P384);
    assert_int_equal(EVP_PKEY_eq(s->keys[1].pkey, ec), 1);
    assert_null(s->keys[0].kid.at);
    jwk_set_drop(s);
    text_clear(&t);
    pem_public(&t, small);
    load(&t, "none of the 1 keys");
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ed);
    EVP_PKEY_free(small);
    text_release(&t);
}

static void pem_is_refused(void **state)
{
    struct text t = {0};
    EVP_PKEY *ec = rig_key(JWK_P256);
    BIO *b = BIO_new(BIO_s_mem());
    (void)state;
    PEM_write_bio_PrivateKey(b, ec, NULL, NULL, 0, NULL, NULL);
    pem_public(&t, ec);
    flush(b, &t);
    load(&t, "private key");
    text_clear(&t);
    pem_public(&t, ec);
    t.at[40] = '!';
    load(&t, "damaged");
    text_clear(&t);
    text_add(&t, SLICE("a secret of more than thirty two bytes!"));
    load(&t, "neither");
    text_clear(&t);
    for (int i = 0; i <= JWK_SET_MAX; i++)
        pem_public(&t, ec);
    load(&t, "too many");
    EVP_PKEY_free(ec);
    text_release(&t);
}

/* ---- which one ---- */

static unsigned found(const struct jwk_set *s, enum jwk_alg alg, struct slice kid)
{
    uint32_t at = 0;
    unsigned keys = 0; /* by position */
    for (const struct jwk *k; (k = jwk_set_next(s, alg, kid, &at));)
        keys |= 1u << (k - s->keys);
    return keys;
}

static void keys_are_found_by_name_and_kind(void **state)
{
    (void)state;
    struct jwk_set *s =
        parse("{\"keys\":[{" ED_KEY ",\"kid\":\"a\"},{" ED_KEY ",\"kid\":\"b\"},{" EC_KEY
              ",\"kid\":\"a\"},{" ED_KEY ",\"kid\":\"a\"},{" ED_KEY "}]}");
    assert_int_equal(s->count, 5);
    assert_int_equal(found(s, JWK_EDDSA, SLICE_NONE), 0x1b);
    assert_int_equal(found(s, JWK_EDDSA, SLICE("a")), 0x09);
    assert_int_equal(found(s, JWK_ES256, SLICE("a")), 0x04);
    assert_int_equal(found(s, JWK_EDDSA, SLICE("c")), 0x10); /* the one without a name */
    assert_int_equal(found(s, JWK_EDDSA, SLICE("A")), 0x10);
    assert_int_equal(found(s, JWK_ES256, SLICE("b")), 0);
    assert_int_equal(found(s, JWK_HS256, SLICE_NONE), 0);
    assert_int_equal(found(s, JWK_ALG_ED448, SLICE("a")), 0);
    jwk_set_drop(s);
}

static void a_set_is_counted(void **state)
{
    (void)state;
    struct jwk_set *s = parse("{" ED_KEY "}");
    assert_ptr_equal(jwk_set_take(s), s);
    jwk_set_drop(s);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->refs, 1);
    jwk_set_drop(s);
    jwk_set_drop(NULL);
}

static void algorithms_have_their_names(void **state)
{
    enum jwk_alg alg;
    (void)state;
    for (enum jwk_alg i = 0; i < JWK_ALGS; i++) {
        assert_true(jwk_alg_find(slice_of(jwk_alg_name(i)), &alg));
        assert_int_equal(alg, i);
    }
    assert_false(jwk_alg_find(SLICE("none"), &alg));
    assert_false(jwk_alg_find(SLICE("hs256"), &alg));
    assert_false(jwk_alg_find(SLICE(""), &alg));
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_jwk(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/jwk/*", 10, replay) >= 5);
}

UNIT_SUITE(auth_jwk, cmocka_unit_test(keys_are_for_what_they_are_for),
           cmocka_unit_test(rsa_has_limits), cmocka_unit_test(documents_are_refused_whole),
           cmocka_unit_test(a_secret_that_is_published_is_none), cmocka_unit_test(sets_have_limits),
           cmocka_unit_test(every_kind_is_read_as_it_was_made),
           cmocka_unit_test(secrets_have_limits), cmocka_unit_test(pem_holds_keys_and_certificates),
           cmocka_unit_test(pem_is_refused), cmocka_unit_test(keys_are_found_by_name_and_kind),
           cmocka_unit_test(a_set_is_counted), cmocka_unit_test(algorithms_have_their_names),
           cmocka_unit_test(corpus_holds));
