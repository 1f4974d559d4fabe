/* jws.c - signatures, checked with OpenSSL's EVP.
 *
 * To prepare a check costs some microseconds (looking up the algorithm, copying the key to its
 * provider). So a thread keeps the contexts of the keys that it used last, each with a count on its
 * key, and one per digest; what OpenSSL lets nobody reuse is prepared again. The digests are
 * fetched once. A thread's contexts are freed with it.
 *
 * A signature that is checked against an algorithm the key is not for is a bug of the caller. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jws_priv.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/rand.h"
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdlib.h>

enum { KEPT = 8, KNOWN = 1024, NAME_BYTES = 32 };

/* Ready to check signatures of one key in one algorithm. */
struct checker {
    EVP_PKEY *pkey; /* counted; NULL: free */
    enum jwk_alg alg;
    EVP_PKEY_CTX *ctx; /* RSA, ECDSA: gets a digest */
    EVP_MD_CTX *whole; /* EdDSA: gets the text */
};

/* A signature that was found to be good, by the SHA-256 of all that it was checked with. */
struct known {
    uint8_t name[NAME_BYTES];
};

struct thread {
    struct checker kept[KEPT];
    struct known *known; /* KNOWN places by name; NULL: none yet */
    unsigned next;       /* to give way */
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *macs[JWK_HASHES];
};

static const char *const HASH_NAMES[JWK_HASHES] = {"SHA256", "SHA384", "SHA512"};
static EVP_MD *hashes[JWK_HASHES];
static EVP_MAC *hmac;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static _Thread_local struct thread *mine;

/* ---- what a thread keeps ---- */

static void checker_release(struct checker *c)
{
    EVP_PKEY_CTX_free(c->ctx);
    EVP_MD_CTX_free(c->whole);
    EVP_PKEY_free(c->pkey);
    *c = (struct checker){0};
}

static void thread_free(void *at)
{
    struct thread *t = at;
    for (unsigned i = 0; i < KEPT; i++)
        checker_release(&t->kept[i]);
    for (unsigned i = 0; i < JWK_HASHES; i++)
        EVP_MAC_CTX_free(t->macs[i]);
    EVP_MD_CTX_free(t->digest);
    free(t->known);
    free(t);
    mine = NULL;
}

/* jansson would look for /dev/urandom, which a confined process may not have. */
static void json_prepare(void)
{
    size_t seed;
    rand_secret(&seed, sizeof seed);
    json_object_seed(seed | 1); /* 0 would be none */
}

static void prepare(void)
{
    json_prepare();
    for (unsigned i = 0; i < JWK_HASHES; i++)
        hashes[i] = mem_must(EVP_MD_fetch(NULL, HASH_NAMES[i], NULL), 0);
    hmac = mem_must(EVP_MAC_fetch(NULL, "HMAC", NULL), 0);
    ASSERT(pthread_key_create(&thread_key, thread_free) == 0);
}

void jws_prepare(void)
{
    pthread_once(&once, prepare);
}

/* NULL: there is no memory, so nothing can be checked. */
static struct thread *thread_get(void)
{
    if (!mine && (mine = calloc(1, sizeof *mine)))
        pthread_setspecific(thread_key, mine);
    return mine;
}

/* ---- HMAC ---- */

static EVP_MAC_CTX *mac_find(struct thread *t, enum jwk_hash hash)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)HASH_NAMES[hash], 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC_CTX *ctx = t->macs[hash];
    if (ctx || !(ctx = EVP_MAC_CTX_new(hmac)))
        return ctx;
    if (EVP_MAC_CTX_set_params(ctx, params))
        return t->macs[hash] = ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

static bool check_mac(struct thread *t, const struct jwk *key, enum jwk_hash hash,
                      struct slice text, struct slice sig)
{
    uint8_t out[EVP_MAX_MD_SIZE];
    size_t len = 0;
    EVP_MAC_CTX *ctx = mac_find(t, hash);
    return ctx && EVP_MAC_init(ctx, (const uint8_t *)key->secret.at, key->secret.len, NULL) &&
           EVP_MAC_update(ctx, (const uint8_t *)text.at, text.len) &&
           EVP_MAC_final(ctx, out, &len, sizeof out) && sig.len == len &&
           CRYPTO_memcmp(out, sig.at, len) == 0;
}

/* ---- keys in pairs ---- */

static bool set_up(struct checker *c)
{
    const struct jwk_alg_row *row = &jwk_algs[c->alg];
    if (row->hash == JWK_NO_HASH)
        return (c->whole = EVP_MD_CTX_new()) &&
               EVP_DigestVerifyInit(c->whole, NULL, NULL, NULL, c->pkey) > 0;
    if (!(c->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, c->pkey, NULL)) ||
        EVP_PKEY_verify_init(c->ctx) <= 0)
        return false;
    /* The salt is as long as the digest: RFC 7518 3.5. */
    if (row->pss && (EVP_PKEY_CTX_set_rsa_padding(c->ctx, RSA_PKCS1_PSS_PADDING) <= 0 ||
                     EVP_PKEY_CTX_set_rsa_pss_saltlen(c->ctx, RSA_PSS_SALTLEN_DIGEST) <= 0))
        return false;
    return EVP_PKEY_CTX_set_signature_md(c->ctx, hashes[row->hash]) > 0;
}

static struct checker *checker_find(struct thread *t, const struct jwk *key, enum jwk_alg alg)
{
    for (unsigned i = 0; i < KEPT; i++)
        if (t->kept[i].pkey == key->pkey && t->kept[i].alg == alg)
            return &t->kept[i];
    struct checker *c = &t->kept[t->next++ % KEPT];
    checker_release(c);
    if (!EVP_PKEY_up_ref(key->pkey))
        return NULL;
    *c = (struct checker){.pkey = key->pkey, .alg = alg};
    if (set_up(c))
        return c;
    checker_release(c);
    return NULL;
}

/* One of EdDSA checks once; told to begin again it keeps its key. */
static bool check_whole(struct checker *c, struct slice text, struct slice sig)
{
    return EVP_DigestVerifyInit(c->whole, NULL, NULL, NULL, NULL) > 0 &&
           EVP_DigestVerify(c->whole, (const uint8_t *)sig.at, sig.len, (const uint8_t *)text.at,
                            text.len) == 1;
}

static bool check_digest(struct thread *t, struct checker *c, struct slice text, struct slice sig)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len;
    const EVP_MD *md = hashes[jwk_algs[c->alg].hash];
    return EVP_DigestInit_ex(t->digest, md, NULL) &&
           EVP_DigestUpdate(t->digest, text.at, text.len) &&
           EVP_DigestFinal_ex(t->digest, digest, &len) &&
           EVP_PKEY_verify(c->ctx, (const uint8_t *)sig.at, sig.len, digest, len) == 1;
}

/* ---- ECDSA ---- */

/* An INTEGER: no zeros in front but the one that keeps it positive. */
static uint8_t *write_integer(uint8_t *to, struct slice s)
{
    while (s.len > 1 && s.at[0] == 0)
        s = slice_from(s, 1);
    bool negative = (uint8_t)s.at[0] & 0x80;
    *to++ = 0x02;
    *to++ = (uint8_t)(s.len + negative);
    if (negative)
        *to++ = 0;
    memcpy(to, s.at, s.len);
    return to + s.len;
}

size_t jws_der_of(uint8_t to[JWS_DER_MAX_BYTES], struct slice sig)
{
    uint8_t body[JWS_DER_MAX_BYTES], *at = to;
    uint8_t *end = write_integer(body, slice_head(sig, sig.len / 2));
    end = write_integer(end, slice_from(sig, sig.len / 2));
    size_t len = (size_t)(end - body);
    *at++ = 0x30;
    if (len >= 0x80)
        *at++ = 0x81;
    *at++ = (uint8_t)len;
    memcpy(at, body, len);
    return (size_t)(at - to) + len;
}

/* Bytes of r and s together; 0: the kind signs otherwise. */
static size_t ecdsa_bytes(enum jwk_kind kind)
{
    switch (kind) {
    case JWK_P256: return 2 * 32;
    case JWK_P384: return 2 * 48;
    case JWK_P521: return 2 * 66;
    default: return 0;
    }
}

static bool check_pair(struct thread *t, const struct jwk *key, enum jwk_alg alg, struct slice text,
                       struct slice sig)
{
    uint8_t der[JWS_DER_MAX_BYTES];
    size_t ecdsa = ecdsa_bytes(key->kind);
    struct checker *c = checker_find(t, key, alg);
    if (!c || (ecdsa && sig.len != ecdsa))
        return false;
    if (c->whole)
        return check_whole(c, text, sig);
    if (ecdsa)
        sig = (struct slice){(char *)der, jws_der_of(der, sig)};
    return check_digest(t, c, text, sig);
}

bool jws_check(const struct jwk *key, enum jwk_alg alg, struct slice text, struct slice sig)
{
    struct thread *t = thread_get();
    ASSERT(key->algs >> alg & 1 && jwk_algs[alg].kinds >> key->kind & 1);
    if (!t || (!t->digest && !(t->digest = EVP_MD_CTX_new())))
        return false;
    bool good = key->pkey ? check_pair(t, key, alg, text, sig)
                          : check_mac(t, key, jwk_algs[alg].hash, text, sig);
    if (!good)
        ERR_clear_error();
    return good;
}

/* ---- signatures that were good before ---- */

/* What goes before text and signature into a name. The length keeps bytes of the one from being
 * taken for the other's. */
struct circumstances {
    uint64_t serial, text_len;
    uint32_t index, alg;
};

static bool name_make(struct thread *t, const struct circumstances *c, struct slice text,
                      struct slice sig, uint8_t name[NAME_BYTES])
{
    unsigned len;
    return EVP_DigestInit_ex(t->digest, hashes[JWK_SHA256], NULL) &&
           EVP_DigestUpdate(t->digest, c, sizeof *c) &&
           EVP_DigestUpdate(t->digest, text.at, text.len) &&
           EVP_DigestUpdate(t->digest, sig.at, sig.len) &&
           EVP_DigestFinal_ex(t->digest, name, &len);
}

/* NULL: there is no memory, so it is checked each time. */
static struct known *place_find(struct thread *t, const uint8_t name[NAME_BYTES])
{
    uint32_t at;
    if (!t->known && !(t->known = calloc(KNOWN, sizeof *t->known)))
        return NULL;
    memcpy(&at, name, sizeof at);
    return &t->known[at % KNOWN];
}

bool jws_check_of_set(const struct jwk_set *set, const struct jwk *key, enum jwk_alg alg,
                      struct slice text, struct slice sig)
{
    struct thread *t = thread_get();
    const struct circumstances c = {set->serial, text.len, (uint32_t)(key - set->keys), alg};
    uint8_t name[NAME_BYTES];
    struct known *k = NULL;
    if (!key->pkey || !t || (!t->digest && !(t->digest = EVP_MD_CTX_new())))
        return jws_check(key, alg, text, sig); /* an HMAC is as fast as this */
    if (name_make(t, &c, text, sig, name))
        k = place_find(t, name);
    if (k && memcmp(k->name, name, sizeof name) == 0)
        return true;
    bool good = jws_check(key, alg, text, sig);
    if (good && k)
        memcpy(k->name, name, sizeof name);
    return good;
}
