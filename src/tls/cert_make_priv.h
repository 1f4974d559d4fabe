/* cert_make_priv.h - certificates for tests: made to measure, good or wrong in one way. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "base/text.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum made_kind { MADE_P256, MADE_RSA, MADE_RSA_SMALL, MADE_ED25519, MADE_BAD_CURVE };

struct made {
    X509 *x;
    EVP_PKEY *key;
};

struct made_spec {
    const char *cn;
    const char *san;           /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
    const struct made *issuer; /* NULL: signs itself */
    enum made_kind kind;
    int64_t from, to; /* unix seconds; 0: a day ago, in 90 days */
    int64_t now;      /* 0: the clock */
    const char *ocsp; /* responder */
    bool ca, must_staple, sha1;
    const char *usage; /* extended key usage */
};

static inline EVP_PKEY *made_key(enum made_kind kind)
{
    switch (kind) {
    case MADE_RSA: return EVP_RSA_gen(2048);
    case MADE_RSA_SMALL: return EVP_RSA_gen(1024);
    case MADE_ED25519: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case MADE_BAD_CURVE: return EVP_EC_gen("secp256k1");
    default: return EVP_EC_gen("P-256");
    }
}

static inline void made_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ASSERT(ext);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
}

static inline void made_exts(X509 *x, X509 *issuer, const struct made_spec *s)
{
    char access[256];
    made_ext(x, issuer, NID_basic_constraints, s->ca ? "critical,CA:TRUE" : "CA:FALSE");
    made_ext(x, issuer, NID_subject_key_identifier, "hash");
    if (issuer != x)
        made_ext(x, issuer, NID_authority_key_identifier, "keyid");
    if (s->san)
        made_ext(x, issuer, NID_subject_alt_name, s->san);
    if (s->must_staple)
        made_ext(x, issuer, NID_tlsfeature, "status_request");
    if (s->usage)
        made_ext(x, issuer, NID_ext_key_usage, s->usage);
    if (s->ocsp) {
        snprintf(access, sizeof access, "OCSP;URI:%s", s->ocsp);
        made_ext(x, issuer, NID_info_access, access);
    }
}

static inline struct made made_new(const struct made_spec *s)
{
    static long serial = 100;
    struct made m = {X509_new(), made_key(s->kind)};
    int64_t now = s->now ? s->now : time(NULL);
    X509_NAME *name = X509_get_subject_name(m.x);
    ASSERT(m.key);
    X509_set_version(m.x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(m.x), ++serial);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)s->cn, -1, -1, 0);
    X509_set_issuer_name(m.x, s->issuer ? X509_get_subject_name(s->issuer->x) : name);
    X509_set_pubkey(m.x, m.key);
    ASN1_TIME_set(X509_getm_notBefore(m.x), s->from ? s->from : now - 86400);
    ASN1_TIME_set(X509_getm_notAfter(m.x), s->to ? s->to : now + 90 * 86400);
    made_exts(m.x, s->issuer ? s->issuer->x : m.x, s);
    EVP_PKEY *signer = s->issuer ? s->issuer->key : m.key;
    bool no_digest = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519;
    const EVP_MD *md = s->sha1 ? EVP_sha1() : EVP_sha256();
    ASSERT(X509_sign(m.x, signer, no_digest ? NULL : md) > 0);
    return m;
}

static inline void made_free(struct made *m)
{
    X509_free(m->x);
    EVP_PKEY_free(m->key);
}

static inline void made_flush(BIO *b, struct text *to)
{
    char *at;
    long len = BIO_get_mem_data(b, &at);
    text_add(to, (struct slice){at, (size_t)len});
    BIO_free(b);
}

static inline void made_cert_pem(const struct made *m, struct text *to)
{
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, m->x);
    made_flush(b, to);
}

static inline void made_key_pem(const struct made *m, const char *password, struct text *to)
{
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(b, m->key, password ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
                             (void *)(uintptr_t)password);
    made_flush(b, to);
}
