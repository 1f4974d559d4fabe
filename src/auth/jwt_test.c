/* jwt_test.c - the tokens of the RFCs, every algorithm, every attack that RFC 8725 names, and each
 * rule at its limit. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jws_priv.h"
#include "auth/jwt.h"
#include "auth/jwt_fuzz_priv.h"
#include "auth/jwt_rig_test.h"
#include "tests/corpus.h"

enum { NOW_S = 1000000, ARENA_BYTES = 256 << 10 };

#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct arena arena;
static struct jwt jwt;

static enum jwt_verdict verdict_at(struct slice token, const struct jwk_set *keys,
                                   const struct jwt_rules *rules, int64_t now_s)
{
    static const struct jwt_rules plain = {.without_expiry = true};
    arena_release(&arena);
    arena_init(&arena, ARENA_BYTES);
    return jwt_verify(&jwt, token, keys, rules ? rules : &plain, now_s, &arena);
}

static int done(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static void assert_verdict(struct slice token, const struct jwk_set *keys,
                           const struct jwt_rules *rules, enum jwt_verdict expected)
{
    enum jwt_verdict v = verdict_at(token, keys, rules, NOW_S);
    if (v != expected)
        fail_msg("%s instead of %s: %.*s", jwt_verdict_row(v)->name,
                 jwt_verdict_row(expected)->name, SLICE_ARG(token));
}

static struct jwk_set *keys_of(const char *json)
{
    struct text why = {0};
    struct jwk_set *s = jwk_set_parse(slice_of(json), JWK_OWN, &why);
    if (!s)
        fail_msg("%s", why.at);
    return s;
}

static struct jwk_set *keys_of_pkey(const EVP_PKEY *pkey, const char *more)
{
    struct text t = {0};
    rig_jwk(&t, pkey, more);
    struct jwk_set *s = keys_of(t.at);
    text_release(&t);
    return s;
}

static struct jwk_set *secret_keys(void)
{
    struct text why = {0};
    return jwk_set_of_secret(SLICE(SECRET), &why);
}

static const struct rig_signer SECRET_SIGNER = {.secret = SLICE_INIT(SECRET), .alg = JWK_HS256};

/* ---- the RFCs' own ---- */

#define RFC7515_A1_KEY \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC7515_CLAIMS                                                                            \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnV" \
    "lfQ"
#define RFC7515_A2_N                                                                               \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4" \
    "d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5re" \
    "xMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxX" \
    "FvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RFC7515_A2_SIG                                                                             \
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5" \
    "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb" \
    "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO" \
    "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RFC7515_A4_X \
    "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk"
#define RFC7515_A4_Y \
    "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"
#define RFC7515_A4_SIG                                                                             \
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8G" \
    "aSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"

/* Those whose payload is no JSON are malformed only once their signature is found to be good. */
static const struct {
    const char *keys, *token;
    enum jwt_verdict v;
    enum jwk_alg alg;
} RFC_TOKENS[] = {
    {"{\"kty\":\"oct\",\"k\":\"" RFC7515_A1_KEY "\"}",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC7515_CLAIMS
     ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
     JWT_GOOD, JWK_HS256},
    {"{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\",\"e\":\"AQAB\"}",
     "eyJhbGciOiJSUzI1NiJ9." RFC7515_CLAIMS "." RFC7515_A2_SIG, JWT_GOOD, JWK_RS256},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     "eyJhbGciOiJFUzI1NiJ9." RFC7515_CLAIMS
     ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
     JWT_GOOD, JWK_ES256},
    {"{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"" RFC7515_A4_X "\",\"y\":\"" RFC7515_A4_Y "\"}",
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA." RFC7515_A4_SIG, JWT_MALFORMED, JWK_ES512},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvM"
     "g3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
     JWT_MALFORMED, JWK_EDDSA},
};

static void tokens_of_the_rfcs(void **state)
{
    static const struct jwt_rules rules = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(RFC_TOKENS); i++) {
        struct jwk_set *keys = keys_of(RFC_TOKENS[i].keys);
        struct slice token = slice_of(RFC_TOKENS[i].token);
        enum jwt_verdict v = verdict_at(token, keys, &rules, 1300819379);
        if (v != RFC_TOKENS[i].v)
            fail_msg("%zu: %s", i, jwt_verdict_row(v)->name);
        if (v == JWT_GOOD) {
            assert_int_equal(jwt.alg, RFC_TOKENS[i].alg);
            assert_int_equal(jwt.expires_s, 1300819380);
            assert_true(slice_eq(claim_find(jwt.claims, SLICE("iss"))->value, SLICE("joe")));
            assert_int_equal(verdict_at(token, keys, &rules, 1300819380), JWT_EXPIRED);
        }
        jwk_set_drop(keys);
    }
}

/* Every character of a token but the last bits counts: change each, in turn. */
static void every_changed_token_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(RFC_TOKENS); i++) {
        struct jwk_set *keys = keys_of(RFC_TOKENS[i].keys);
        struct text t = {0};
        text_add(&t, slice_of(RFC_TOKENS[i].token));
        for (size_t at = 0; at < t.len; at += i == 0 ? 1 : 7) {
            char was = t.at[at];
            t.at[at] = was == 'A' ? 'B' : 'A';
            enum jwt_verdict v = verdict_at(text_slice(&t), keys, NULL, NOW_S);
            assert_true(v == JWT_MALFORMED || v == JWT_ALG_REFUSED || v == JWT_BAD_SIGNATURE);
            t.at[at] = was;
        }
        text_release(&t);
        jwk_set_drop(keys);
    }
}

/* ---- each algorithm, signed by OpenSSL ---- */

static enum jwk_kind kind_for(enum jwk_alg alg)
{
    for (enum jwk_kind k = JWK_SECRET; k <= JWK_ED448; k++)
        if (jwk_algs[alg].kinds >> k & 1)
            return k;
    return JWK_SECRET;
}

static void every_algorithm_is_checked(void **state)
{
    EVP_PKEY *pkeys[JWK_ED448 + 1] = {NULL};
    struct jwk_set *sets[JWK_ED448 + 1] = {secret_keys()};
    (void)state;
    for (enum jwk_kind k = JWK_RSA; k <= JWK_ED448; k++)
        sets[k] = keys_of_pkey(pkeys[k] = rig_key(k), "");
    for (int round = 0; round < 2; round++) /* with contexts that are new, and kept */
        for (enum jwk_alg alg = 0; alg < JWK_ALGS; alg++) {
            struct text t = {0};
            enum jwk_kind kind = kind_for(alg);
            struct rig_signer s = {.pkey = pkeys[kind], .secret = SLICE(SECRET), .alg = alg};
            rig_plain(&t, &s, "{}");
            for (enum jwk_kind k = JWK_SECRET; k <= JWK_ED448; k++)
                assert_verdict(text_slice(&t), sets[k], NULL,
                               k == kind                            ? JWT_GOOD
                               : alg == JWK_EDDSA && k == JWK_ED448 ? JWT_BAD_SIGNATURE
                                                                    : JWT_ALG_REFUSED);
            assert_verdict(text_slice(&t), sets[kind],
                           &(struct jwt_rules){.algs = ~(1u << alg), .without_expiry = true},
                           JWT_ALG_REFUSED);
            text_release(&t);
        }
    for (enum jwk_kind k = JWK_SECRET; k <= JWK_ED448; k++) {
        jwk_set_drop(sets[k]);
        EVP_PKEY_free(pkeys[k]);
    }
}

/* A signature of another algorithm that the same key is for. */
static void algorithms_are_not_mixed_up(void **state)
{
    EVP_PKEY *rsa = rig_key(JWK_RSA);
    struct jwk_set *keys = keys_of_pkey(rsa, ""), *only = keys_of_pkey(rsa, ",\"alg\":\"PS256\"");
    struct text t = {0};
    struct rig_signer s = {.pkey = rsa, .alg = JWK_PS256};
    (void)state;
    rig_token(&t, &s, SLICE("{\"alg\":\"RS256\"}"), SLICE("{}"));
    assert_verdict(text_slice(&t), keys, NULL, JWT_BAD_SIGNATURE);
    assert_verdict(text_slice(&t), only, NULL, JWT_ALG_REFUSED);
    text_clear(&t);
    rig_token(&t, &s, SLICE("{\"alg\":\"PS512\"}"), SLICE("{}"));
    assert_verdict(text_slice(&t), keys, NULL, JWT_BAD_SIGNATURE);
    text_clear(&t);
    rig_plain(&t, &s, "{}");
    assert_verdict(text_slice(&t), only, NULL, JWT_GOOD);
    text_clear(&t);
    s.no_salt = true;
    rig_plain(&t, &s, "{}");
    assert_verdict(text_slice(&t), only, NULL, JWT_BAD_SIGNATURE);
    text_release(&t);
    jwk_set_drop(keys);
    jwk_set_drop(only);
    EVP_PKEY_free(rsa);
}

/* ---- attacks ---- */

static void an_rsa_key_is_no_secret(void **state)
{
    EVP_PKEY *rsa = rig_key(JWK_RSA);
    struct text t = {0}, why = {0};
    char *at;
    BIO *b = BIO_new(BIO_s_mem());
    (void)state;
    PEM_write_bio_PUBKEY(b, rsa);
    struct slice pem = {NULL, (size_t)BIO_get_mem_data(b, &at)};
    pem.at = at;
    struct jwk_set *keys = jwk_set_parse_pem(pem, &why);
    rig_plain(&t, &(struct rig_signer){.secret = pem, .alg = JWK_HS256}, "{}");
    assert_verdict(text_slice(&t), keys, NULL, JWT_ALG_REFUSED);
    text_clear(&t);
    /* the same beside a secret, and with the key's own name */
    struct jwk_set *named = keys_of_pkey(rsa, ",\"kid\":\"k\"");
    rig_token(&t, &(struct rig_signer){.secret = pem, .alg = JWK_HS256},
              SLICE("{\"alg\":\"HS256\",\"kid\":\"k\"}"), SLICE("{}"));
    assert_verdict(text_slice(&t), named, NULL, JWT_ALG_REFUSED);
    jwk_set_drop(keys);
    jwk_set_drop(named);
    BIO_free(b);
    EVP_PKEY_free(rsa);
    text_release(&t);
}

static void nobody_is_no_signer(void **state)
{
    static const char *const NONE[] = {"none", "None",  "NONE",   "nOnE",
                                       "",     "hs256", "HS256 ", "A128KW"};
    struct jwk_set *keys = secret_keys();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(NONE); i++) {
        struct text header = {0}, t = {0};
        text_addf(&header, "{\"alg\":\"%s\"}", NONE[i]);
        rig_token(&t, &SECRET_SIGNER, text_slice(&header), SLICE("{}"));
        assert_verdict(text_slice(&t), keys, NULL, JWT_ALG_REFUSED);
        size_t dot = (size_t)(strrchr(t.at, '.') - t.at);
        assert_verdict(slice_head(text_slice(&t), dot + 1), keys, NULL, JWT_ALG_REFUSED);
        assert_verdict(slice_head(text_slice(&t), dot), keys, NULL, JWT_MALFORMED);
        text_release(&header);
        text_release(&t);
    }
    jwk_set_drop(keys);
}

#define ES_KEY                                                                                \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""

static const struct {
    const char *header;
    enum jwt_verdict v;
} HEADERS[] = {
    {"{\"alg\":\"HS256\"}", JWT_GOOD},
    {" {\r\n\"typ\":\"JWT\", \"alg\" : \"HS256\"}\n", JWT_GOOD},
    {"{\"alg\":\"HS256\",\"kid\":\"x\"}", JWT_GOOD}, /* a secret of ours has no name */
    {"{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", JWT_GOOD},
    {"{\"alg\":\"HS256\",\"jwk\":{" ES_KEY "},\"jku\":\"http://e.example/\"}", JWT_GOOD},
    {"{\"alg\":\"HS256\",\"x5u\":\"http://e.example/\",\"x5c\":[\"AAAA\"],\"b64\":false}",
     JWT_GOOD},
    {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", JWT_CRITICAL},
    {"{\"alg\":\"HS256\",\"crit\":[]}", JWT_CRITICAL},
    {"{\"alg\":\"HS256\",\"crit\":null}", JWT_CRITICAL},
    {"{\"alg\":\"HS256\",\"kid\":7}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"kid\":null}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"alg\":\"none\"}", JWT_MALFORMED},
    {"{\"alg\":\"none\",\"alg\":\"HS256\"}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\"} {}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\"", JWT_MALFORMED},
    {"{\"alg\":[\"HS256\"]}", JWT_MALFORMED},
    {"{\"alg\":null}", JWT_MALFORMED},
    {"{\"ALG\":\"HS256\"}", JWT_MALFORMED},
    {"{}", JWT_MALFORMED},
    {"[]", JWT_MALFORMED},
    {"\"HS256\"", JWT_MALFORMED},
    {"", JWT_MALFORMED},
    {"\xef\xbb\xbf{\"alg\":\"HS256\"}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"x\":\"\xff\"}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"x\":1e999}", JWT_MALFORMED},
};

static void headers(void **state)
{
    struct jwk_set *keys = secret_keys();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(HEADERS); i++) {
        struct text t = {0};
        rig_token(&t, &SECRET_SIGNER, slice_of(HEADERS[i].header), SLICE("{}"));
        assert_verdict(text_slice(&t), keys, NULL, HEADERS[i].v);
        text_release(&t);
    }
    jwk_set_drop(keys);
}

static void other_spellings_are_refused(void **state)
{
    static const char *const CHANGES[] = {"=", "==", " ", "\n", "%3D", ".", ".x", "\t"};
    struct jwk_set *keys = secret_keys();
    struct text t = {0}, u = {0};
    (void)state;
    rig_plain(&t, &SECRET_SIGNER, "{\"a\":1}");
    struct slice good = text_slice(&t);
    assert_verdict(good, keys, NULL, JWT_GOOD);
    for (size_t i = 0; i < COUNT_OF(CHANGES); i++) {
        text_clear(&u);
        text_addf(&u, "%s%s", t.at, CHANGES[i]);
        assert_verdict(text_slice(&u), keys, NULL, JWT_MALFORMED);
        text_clear(&u);
        text_addf(&u, "%s%s", CHANGES[i], t.at);
        assert_verdict(text_slice(&u), keys, NULL, JWT_MALFORMED);
    }
    /* 32 bytes leave two bits of the last character unused */
    t.at[t.len - 1]++;
    assert_verdict(good, keys, NULL, JWT_MALFORMED);
    text_release(&t);
    text_release(&u);
    jwk_set_drop(keys);
}

static void shapes_are_refused(void **state)
{
    static const char *const BAD[] = {"", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "..a"};
    struct jwk_set *keys = secret_keys();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(BAD); i++)
        assert_verdict(slice_of(BAD[i]), keys, NULL, JWT_MALFORMED);
    assert_verdict(SLICE_NONE, keys, NULL, JWT_MALFORMED);
    jwk_set_drop(keys);
}

static void ecdsa_signatures_have_one_form(void **state)
{
    static const uint8_t zeros[64];
    EVP_PKEY *pkey = rig_key(JWK_P256);
    struct jwk_set *keys = keys_of_pkey(pkey, "");
    struct text t = {0};
    uint8_t der[JWS_DER_MAX_BYTES], raw[64], wide[800] = {0};
    struct rig_signer s = {.pkey = pkey, .alg = JWK_ES256};
    (void)state;
    rig_plain(&t, &s, "{}");
    size_t head = (size_t)(strrchr(t.at, '.') - t.at), raw_len;
    assert_true(base64_read(raw, &raw_len, slice_from(text_slice(&t), head + 1), BASE64_URL));
    assert_int_equal(raw_len, 64);
    size_t len = jws_der_of(der, (struct slice){(char *)raw, 64});
    t.len = head + 1;
    rig_base64(&t, der, len);
    assert_verdict(text_slice(&t), keys, NULL, JWT_BAD_SIGNATURE);
    t.len = head + 1;
    rig_base64(&t, zeros, sizeof zeros); /* r = s = 0 */
    assert_verdict(text_slice(&t), keys, NULL, JWT_BAD_SIGNATURE);
    t.len = head + 1;
    rig_base64(&t, raw, 63);
    assert_verdict(text_slice(&t), keys, NULL, JWT_BAD_SIGNATURE);
    t.len = head + 1;
    memcpy(wide + 1, raw, 32);
    memcpy(wide + 34, raw + 32, 32);
    rig_base64(&t, wide, 66); /* the same numbers with a zero in front */
    assert_verdict(text_slice(&t), keys, NULL, JWT_BAD_SIGNATURE);
    t.len = head + 1;
    rig_base64(&t, wide, sizeof wide);
    assert_verdict(text_slice(&t), keys, NULL, JWT_BAD_SIGNATURE);
    t.len = head + 1;
    rig_base64(&t, raw, 64);
    assert_verdict(text_slice(&t), keys, NULL, JWT_GOOD);
    text_release(&t);
    jwk_set_drop(keys);
    EVP_PKEY_free(pkey);
}

static void der_is_what_openssl_reads(void **state)
{
    static const uint8_t FIRST[] = {0, 1, 0x7f, 0x80, 0xff};
    (void)state;
    for (size_t half = 32; half <= 66; half += 17)
        for (size_t i = 0; i < sizeof FIRST; i++) {
            uint8_t raw[132], der[JWS_DER_MAX_BYTES], back[132];
            for (size_t k = 0; k < 2 * half; k++)
                raw[k] = (uint8_t)(k % half == 0 ? FIRST[i] : k % half < 3 && i == 0 ? 0 : k * 7);
            size_t len = jws_der_of(der, (struct slice){(char *)raw, 2 * half});
            assert_true(len <= sizeof der);
            const uint8_t *at = der;
            ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)len);
            assert_non_null(s);
            assert_int_equal(at - der, len);
            BN_bn2binpad(ECDSA_SIG_get0_r(s), back, (int)half);
            BN_bn2binpad(ECDSA_SIG_get0_s(s), back + half, (int)half);
            assert_memory_equal(back, raw, 2 * half);
            ECDSA_SIG_free(s);
        }
}

/* What was good once is remembered, and only that: not with another set, alg or split. */
static void good_signatures_are_remembered(void **state)
{
    static const char header[] = "{\"alg\":\"EdDSA\",\"kid\":\"k\"}";
    EVP_PKEY *pkey = rig_key(JWK_ED25519), *other = rig_key(JWK_ED25519);
    struct jwk_set *keys = keys_of_pkey(pkey, ",\"kid\":\"k\"");
    struct jwk_set *after = keys_of_pkey(other, ",\"kid\":\"k\"");
    struct rig_signer s = {.pkey = pkey, .alg = JWK_EDDSA};
    struct text t = {0};
    uint8_t sig[256];
    (void)state;
    rig_token(&t, &s, slice_of(header), SLICE("{}"));
    for (int i = 0; i < 3; i++)
        assert_verdict(text_slice(&t), keys, NULL, JWT_GOOD);
    assert_verdict(text_slice(&t), after, NULL, JWT_BAD_SIGNATURE);
    struct slice whole = SLICE("some text");
    size_t len = rig_sign(&s, whole, sig, sizeof sig);
    struct slice good = {(char *)sig, len};
    assert_true(jws_check_of_set(keys, &keys->keys[0], JWK_EDDSA, whole, good));
    assert_true(jws_check_of_set(keys, &keys->keys[0], JWK_EDDSA, whole, good));
    memmove(sig + whole.len, sig, len); /* the same bytes, divided otherwise */
    memcpy(sig, whole.at, whole.len);
    struct slice joined = {(char *)sig, whole.len + len};
    for (size_t cut = whole.len - 1; cut <= whole.len + 1; cut++)
        assert_int_equal(jws_check_of_set(keys, &keys->keys[0], JWK_EDDSA, slice_head(joined, cut),
                                          slice_from(joined, cut)),
                         cut == whole.len);
    jwk_set_drop(keys);
    jwk_set_drop(after);
    EVP_PKEY_free(pkey);
    EVP_PKEY_free(other);
    text_release(&t);
}

/* ---- which key ---- */

static void keys_are_found_by_name(void **state)
{
    EVP_PKEY *a = rig_key(JWK_ED25519), *b = rig_key(JWK_ED25519);
    struct text json = {0}, t = {0};
    struct rig_signer signer = {.pkey = b, .alg = JWK_EDDSA};
    static const struct {
        const char *header;
        enum jwt_verdict v;
    } ROWS[] = {
        {"{\"alg\":\"EdDSA\",\"kid\":\"b\"}", JWT_GOOD},
        {"{\"alg\":\"EdDSA\"}", JWT_GOOD},
        {"{\"alg\":\"EdDSA\",\"kid\":\"a\"}", JWT_BAD_SIGNATURE}, /* only the one that it names */
        {"{\"alg\":\"EdDSA\",\"kid\":\"c\"}", JWT_UNKNOWN_KEY},
        {"{\"alg\":\"EdDSA\",\"kid\":\"\"}", JWT_UNKNOWN_KEY},
        {"{\"alg\":\"EdDSA\",\"kid\":\"B\"}", JWT_UNKNOWN_KEY},
        {"{\"alg\":\"ES256\",\"kid\":\"b\"}", JWT_ALG_REFUSED},
        {"{\"alg\":\"ES256\",\"kid\":\"c\"}", JWT_UNKNOWN_KEY},
    };
    (void)state;
    text_add(&json, SLICE("{\"keys\":["));
    rig_jwk(&json, a, ",\"kid\":\"a\"");
    text_add(&json, SLICE(","));
    rig_jwk(&json, b, ",\"kid\":\"b\"");
    text_add(&json, SLICE("]}"));
    struct jwk_set *keys = keys_of(json.at);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        text_clear(&t);
        rig_token(&t, &signer, slice_of(ROWS[i].header), SLICE("{}"));
        assert_verdict(text_slice(&t), keys, NULL, ROWS[i].v);
    }
    jwk_set_drop(keys);
    text_release(&json);
    text_release(&t);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
}

static void few_keys_are_tried(void **state)
{
    EVP_PKEY *good = rig_key(JWK_ED25519);
    struct text t = {0};
    (void)state;
    rig_plain(&t, &(struct rig_signer){.pkey = good, .alg = JWK_EDDSA}, "{}");
    for (int before = JWT_KEYS_TRIED - 1; before <= JWT_KEYS_TRIED; before++) {
        struct text json = {0};
        text_add(&json, SLICE("{\"keys\":["));
        for (int i = 0; i < before; i++) {
            EVP_PKEY *other = rig_key(JWK_ED25519);
            rig_jwk(&json, other, "");
            text_add(&json, SLICE(","));
            EVP_PKEY_free(other);
        }
        rig_jwk(&json, good, "");
        text_add(&json, SLICE("]}"));
        struct jwk_set *keys = keys_of(json.at);
        assert_verdict(text_slice(&t), keys, NULL,
                       before < JWT_KEYS_TRIED ? JWT_GOOD : JWT_BAD_SIGNATURE);
        jwk_set_drop(keys);
        text_release(&json);
    }
    text_release(&t);
    EVP_PKEY_free(good);
}

/* ---- claims against rules ---- */

#define LIST(...)                                                              \
    {                                                                          \
        (const struct slice[]){__VA_ARGS__},                                   \
            sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice) \
    }

static const struct jwt_rules NEVER_OVER = {.without_expiry = true};
static const struct jwt_rules DATES = {.leeway_s = 60};
static const struct jwt_rules AGE = {.leeway_s = 10, .age_max_s = 100, .without_expiry = true};
static const struct jwt_rules ISSUER = {
    .issuers = LIST(SLICE_INIT("https://a.example"), SLICE_INIT("b")), .without_expiry = true};
static const struct jwt_rules AUDIENCE = {.audiences = LIST(SLICE_INIT("api"), SLICE_INIT("web")),
                                          .without_expiry = true};
static const struct jwt_rules SUBJECT = {.subject = SLICE_INIT("ann"), .without_expiry = true};
static const struct jwt_rules REQUIRED = {
    .required = LIST(SLICE_INIT("scope"), SLICE_INIT("realm.roles")), .without_expiry = true};
static const struct jwt_rules TYPED = {.type = SLICE_INIT("at+jwt"), .without_expiry = true};

/* It is 1000000. */
static const struct {
    const struct jwt_rules *rules;
    const char *claims;
    enum jwt_verdict v;
} CLAIMS[] = {
    {&NEVER_OVER, "{}", JWT_GOOD},
    {&NEVER_OVER, "{\"exp\":1000001}", JWT_GOOD},
    {&NEVER_OVER, "{\"exp\":1000000}", JWT_EXPIRED},
    {&NEVER_OVER, "{\"exp\":1000000.5}", JWT_GOOD},
    {&NEVER_OVER, "{\"exp\":\"1000001\"}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":null}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":true}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":-1}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":9007199254740992}", JWT_GOOD},
    {&NEVER_OVER, "{\"exp\":9007199254740994}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":1e300}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":99999999999999999999}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":1,\"exp\":9000000}", JWT_MALFORMED},
    {&NEVER_OVER, "{\"exp\":1,\"ex\\u0070\":9000000}", JWT_MALFORMED},
    {&NEVER_OVER, "[{}]", JWT_MALFORMED},
    {&NEVER_OVER, "{} ", JWT_GOOD},
    {&NEVER_OVER, "{}x", JWT_MALFORMED},
    {&NEVER_OVER, "", JWT_MALFORMED},
    {&NEVER_OVER, "{\"a\":\"\\u0000\"}", JWT_MALFORMED},
    {&DATES, "{}", JWT_MISSING_CLAIM},
    {&DATES, "{\"exp\":999941}", JWT_GOOD},
    {&DATES, "{\"exp\":999940}", JWT_EXPIRED},
    {&DATES, "{\"exp\":1000001,\"nbf\":1000060}", JWT_GOOD},
    {&DATES, "{\"exp\":1000001,\"nbf\":1000061}", JWT_NOT_YET},
    {&DATES, "{\"exp\":1000001,\"nbf\":\"1\"}", JWT_MALFORMED},
    {&DATES, "{\"exp\":1000001,\"iat\":1000060}", JWT_GOOD},
    {&DATES, "{\"exp\":1000001,\"iat\":1000061}", JWT_NOT_YET},
    {&DATES, "{\"exp\":1000001,\"iat\":{}}", JWT_MALFORMED},
    {&AGE, "{\"iat\":999891}", JWT_GOOD},
    {&AGE, "{\"iat\":999890}", JWT_EXPIRED},
    {&AGE, "{\"iat\":999999,\"exp\":999990}", JWT_EXPIRED},
    {&AGE, "{\"exp\":1000500}", JWT_MISSING_CLAIM},
    {&ISSUER, "{\"iss\":\"https://a.example\"}", JWT_GOOD},
    {&ISSUER, "{\"iss\":\"b\"}", JWT_GOOD},
    {&ISSUER, "{\"iss\":\"https://a.example/\"}", JWT_WRONG_ISSUER},
    {&ISSUER, "{\"iss\":\"https://A.example\"}", JWT_WRONG_ISSUER},
    {&ISSUER, "{\"iss\":\"\"}", JWT_WRONG_ISSUER},
    {&ISSUER, "{\"iss\":[\"b\"]}", JWT_WRONG_ISSUER},
    {&ISSUER, "{}", JWT_MISSING_CLAIM},
    {&AUDIENCE, "{\"aud\":\"api\"}", JWT_GOOD},
    {&AUDIENCE, "{\"aud\":[\"other\",\"web\"]}", JWT_GOOD},
    {&AUDIENCE, "{\"aud\":\"other\"}", JWT_WRONG_AUDIENCE},
    {&AUDIENCE, "{\"aud\":\"api web\"}", JWT_WRONG_AUDIENCE},
    {&AUDIENCE, "{\"aud\":[]}", JWT_WRONG_AUDIENCE},
    {&AUDIENCE, "{\"aud\":[[\"api\"],7]}", JWT_WRONG_AUDIENCE},
    {&AUDIENCE, "{\"aud\":{\"api\":1}}", JWT_WRONG_AUDIENCE},
    {&AUDIENCE, "{}", JWT_MISSING_CLAIM},
    {&SUBJECT, "{\"sub\":\"ann\"}", JWT_GOOD},
    {&SUBJECT, "{\"sub\":\"Ann\"}", JWT_WRONG_SUBJECT},
    {&SUBJECT, "{}", JWT_MISSING_CLAIM},
    {&REQUIRED, "{\"scope\":\"\",\"realm\":{\"roles\":[\"a\"]}}", JWT_GOOD},
    {&REQUIRED, "{\"scope\":\"\",\"realm\":{\"roles\":[]}}", JWT_MISSING_CLAIM},
    {&REQUIRED, "{\"scope\":null,\"realm\":{\"roles\":[\"a\"]}}", JWT_MISSING_CLAIM},
    {&REQUIRED, "{\"realm\":{\"roles\":[\"a\"]}}", JWT_MISSING_CLAIM},
};

static void claims_are_held_against_rules(void **state)
{
    struct jwk_set *keys = secret_keys();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CLAIMS); i++) {
        struct text t = {0};
        rig_plain(&t, &SECRET_SIGNER, CLAIMS[i].claims);
        enum jwt_verdict v = verdict_at(text_slice(&t), keys, CLAIMS[i].rules, NOW_S);
        if (v != CLAIMS[i].v)
            fail_msg("%s: %s", CLAIMS[i].claims, jwt_verdict_row(v)->name);
        text_release(&t);
    }
    jwk_set_drop(keys);
}

static void types_are_compared(void **state)
{
    static const struct {
        const char *header;
        enum jwt_verdict v;
    } ROWS[] = {
        {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", JWT_GOOD},
        {"{\"alg\":\"HS256\",\"typ\":\"application/AT+JWT\"}", JWT_GOOD},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", JWT_WRONG_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":\"application/\"}", JWT_WRONG_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":7}", JWT_WRONG_TYPE},
        {"{\"alg\":\"HS256\"}", JWT_WRONG_TYPE},
    };
    struct jwk_set *keys = secret_keys();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct text t = {0};
        rig_token(&t, &SECRET_SIGNER, slice_of(ROWS[i].header), SLICE("{}"));
        assert_verdict(text_slice(&t), keys, &TYPED, ROWS[i].v);
        text_release(&t);
    }
    jwk_set_drop(keys);
}

/* Of a token that nobody signed, not even that it is expired is told. */
static void signatures_come_before_claims(void **state)
{
    struct jwk_set *keys = secret_keys();
    struct text t = {0};
    struct rig_signer other = {.secret = SLICE(SECRET "x"), .alg = JWK_HS256};
    (void)state;
    rig_plain(&t, &other, "{\"exp\":1}");
    assert_verdict(text_slice(&t), keys, &DATES, JWT_BAD_SIGNATURE);
    text_release(&t);
    jwk_set_drop(keys);
}

/* ---- limits ---- */

static void tokens_have_limits(void **state)
{
    struct jwk_set *keys = secret_keys();
    struct text t = {0}, claims = {0}, header = {0};
    (void)state;
    for (int past = 0; past <= 1; past++) { /* 20 characters of header, 43 of signature */
        text_clear(&t);
        text_clear(&claims);
        text_addf(&claims, "{%*s}", 12239 - 2 + past, "");
        rig_plain(&t, &SECRET_SIGNER, claims.at);
        assert_int_equal(t.len, JWT_MAX_BYTES + past);
        assert_verdict(text_slice(&t), keys, NULL, past ? JWT_TOO_LARGE : JWT_GOOD);
    }
    for (int past = 0; past <= 1; past++) {
        text_clear(&t);
        text_clear(&header);
        text_addf(&header, "{\"alg\":\"HS256\"%*s}", JWT_HEADER_MAX_BYTES / 4 * 3 - 15 + past, "");
        rig_token(&t, &SECRET_SIGNER, text_slice(&header), SLICE("{}"));
        assert_int_equal(strchr(t.at, '.') - t.at > JWT_HEADER_MAX_BYTES, past);
        assert_verdict(text_slice(&t), keys, NULL, past ? JWT_TOO_LARGE : JWT_GOOD);
    }
    text_release(&t);
    text_release(&claims);
    text_release(&header);
    jwk_set_drop(keys);
}

static void claims_have_limits(void **state)
{
    struct jwk_set *keys = secret_keys();
    (void)state;
    for (int count = CLAIMS_MAX; count <= CLAIMS_MAX + 1; count++) {
        struct text t = {0}, claims = {0};
        text_add(&claims, SLICE("{\"a\":["));
        for (int i = 0; i < count; i++)
            text_addf(&claims, "%s%d", i ? "," : "", i);
        text_add(&claims, SLICE("]}"));
        rig_plain(&t, &SECRET_SIGNER, claims.at);
        assert_verdict(text_slice(&t), keys, NULL,
                       count == CLAIMS_MAX ? JWT_GOOD : JWT_TOO_MANY_CLAIMS);
        text_release(&t);
        text_release(&claims);
    }
    jwk_set_drop(keys);
}

static void deep_json_is_survived(void **state)
{
    struct jwk_set *keys = secret_keys();
    struct text t = {0}, deep = {0};
    (void)state;
    text_add(&deep, SLICE("{\"alg\":\"HS256\",\"x\":"));
    for (int i = 0; i < 2900; i++)
        text_add(&deep, SLICE("["));
    rig_token(&t, &SECRET_SIGNER, text_slice(&deep), SLICE("{}"));
    assert_verdict(text_slice(&t), keys, NULL, JWT_MALFORMED);
    text_release(&t);
    text_release(&deep);
    jwk_set_drop(keys);
}

static void a_spent_arena_is_told(void **state)
{
    struct jwk_set *keys = secret_keys();
    struct text t = {0}, claims = {0};
    (void)state;
    text_addf(&claims, "{\"a\":\"%6000d\"}", 1);
    rig_plain(&t, &SECRET_SIGNER, claims.at);
    for (size_t budget = 0; budget < 40000; budget += 1000) {
        struct arena a;
        arena_init(&a, budget);
        enum jwt_verdict v = jwt_verify(&jwt, text_slice(&t), keys, &NEVER_OVER, NOW_S, &a);
        assert_true(v == JWT_NO_MEMORY || v == JWT_TOO_MANY_CLAIMS || v == JWT_GOOD);
        assert_true(budget >= 8000 || v != JWT_GOOD);
        assert_true(budget < 30000 || v == JWT_GOOD);
        arena_release(&a);
    }
    text_release(&t);
    text_release(&claims);
    jwk_set_drop(keys);
}

static void verdicts_have_rows(void **state)
{
    (void)state;
    for (enum jwt_verdict v = 0; v < JWT_VERDICTS; v++) {
        assert_true(strlen(jwt_verdict_row(v)->name) > 0);
        for (enum jwt_verdict w = 0; w < v; w++)
            assert_string_not_equal(jwt_verdict_row(v)->name, jwt_verdict_row(w)->name);
    }
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_jwt(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/jwt/*", 10, replay) >= 4);
}

UNIT_SUITE(auth_jwt, cmocka_unit_test_teardown(tokens_of_the_rfcs, done),
           cmocka_unit_test_teardown(every_changed_token_is_refused, done),
           cmocka_unit_test_teardown(every_algorithm_is_checked, done),
           cmocka_unit_test_teardown(algorithms_are_not_mixed_up, done),
           cmocka_unit_test_teardown(an_rsa_key_is_no_secret, done),
           cmocka_unit_test_teardown(nobody_is_no_signer, done),
           cmocka_unit_test_teardown(headers, done),
           cmocka_unit_test_teardown(other_spellings_are_refused, done),
           cmocka_unit_test_teardown(shapes_are_refused, done),
           cmocka_unit_test_teardown(ecdsa_signatures_have_one_form, done),
           cmocka_unit_test(der_is_what_openssl_reads),
           cmocka_unit_test_teardown(good_signatures_are_remembered, done),
           cmocka_unit_test_teardown(keys_are_found_by_name, done),
           cmocka_unit_test_teardown(few_keys_are_tried, done),
           cmocka_unit_test_teardown(claims_are_held_against_rules, done),
           cmocka_unit_test_teardown(types_are_compared, done),
           cmocka_unit_test_teardown(signatures_come_before_claims, done),
           cmocka_unit_test_teardown(tokens_have_limits, done),
           cmocka_unit_test_teardown(claims_have_limits, done),
           cmocka_unit_test_teardown(deep_json_is_survived, done),
           cmocka_unit_test(a_spent_arena_is_told), cmocka_unit_test(verdicts_have_rows),
           cmocka_unit_test(corpus_holds));
