/* cert.c - reading a certificate, its chain and its key from PEM; counting who uses it.
 *
 * The texts are looked at for what is missing before OpenSSL reads them, because its own words
 * ("no start line") help nobody. What was read is checked as a whole in cert_check.c. Nothing of
 * the key's text is kept: OpenSSL's objects hold the key and wipe it when they are freed. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/cert.h"
#include "base/mem.h"
#include "tls/cert_priv.h"
#include "tls/staple.h"
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TLS_FEATURE_STATUS_REQUEST = 5, PEM_BYTES_MAX = 1 << 20 };

/* ---- texts ---- */

static bool has(struct slice text, const char *words)
{
    return memmem(text.at, text.len, words, strlen(words)) != NULL;
}

/* Says what a text is that has no PEM block of the kind that is due. */
static void say_missing(struct slice text, const char *what, const char *command, struct text *why)
{
    bool is_der = text.len > 2 && (uint8_t)text.at[0] == 0x30 && (uint8_t)text.at[1] >= 0x80;
    if (text.len == 0)
        text_addf(why, "no %s: the file is empty", what);
    else if (is_der)
        text_addf(why, "not PEM but DER: '%s -inform DER' makes PEM of it", command);
    else if (!has(text, "-----BEGIN "))
        text_addf(why, "not PEM: there is no '-----BEGIN ...-----' in it");
    else
        text_addf(why, "no %s among its PEM blocks", what);
}

/* Asked only when the key is encrypted, which is thereby known. */
static int refuse_password(char *to, int size, int writing, void *asked)
{
    (void)to, (void)size, (void)writing;
    *(bool *)asked = true;
    return -1;
}

EVP_PKEY *tls_key_decode(OSSL_LIB_CTX *lib, struct slice der, const char *structure,
                         const char *type)
{
    EVP_PKEY *key = NULL;
    const unsigned char *at = (const unsigned char *)der.at;
    size_t len = der.len;
    OSSL_DECODER_CTX *d =
        OSSL_DECODER_CTX_new_for_pkey(&key, "DER", structure, type, EVP_PKEY_KEYPAIR, lib, NULL);
    if (d)
        (void)OSSL_DECODER_from_data(d, &at, &len);
    OSSL_DECODER_CTX_free(d);
    return key;
}

/* The usual form, of the certificate's type. NULL: it is another one, or wrong. */
static EVP_PKEY *read_pkcs8(struct slice pem, const char *type)
{
    unsigned char *der = NULL;
    long len = 0;
    BIO *in = mem_must(BIO_new_mem_buf(pem.at, (int)pem.len), 0);
    bool found = type && PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_PKCS8INF, in,
                                            refuse_password, &(bool){false});
    EVP_PKEY *key = found ? tls_key_decode(NULL, (struct slice){(const char *)der, (size_t)len},
                                           "PrivateKeyInfo", type)
                          : NULL;
    if (found)
        OPENSSL_clear_free(der, (size_t)len);
    BIO_free(in);
    ERR_clear_error();
    return key;
}

static EVP_PKEY *read_key(struct slice pem, const char *type, struct text *why)
{
    bool encrypted = false;
    EVP_PKEY *key;
    if (!has(pem, "PRIVATE KEY-----")) {
        say_missing(pem, "private key", "openssl pkey", why);
        return NULL;
    }
    if ((key = read_pkcs8(pem, type)))
        return key;
    BIO *in = mem_must(BIO_new_mem_buf(pem.at, (int)pem.len), 0);
    key = PEM_read_bio_PrivateKey(in, NULL, refuse_password, &encrypted);
    BIO_free(in);
    if (!key && encrypted)
        text_add(why, SLICE("the private key is encrypted; weir asks for no password: 'openssl "
                            "pkey -in FILE -out NEW' takes the encryption off"));
    else if (!key)
        text_add(why, SLICE("the private key cannot be read: its PEM block is damaged or of an "
                            "unknown kind"));
    ERR_clear_error();
    return key;
}

static bool at_end(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

/* At most `most` certificates of the text; one more than may be is a mistake. */
static bool read_all(BIO *in, struct tls_cert *c, int most, struct text *why)
{
    for (int number = 1; number <= most; number++) {
        X509 *x = PEM_read_bio_X509(in, NULL, refuse_password, &(bool){false});
        if (!x && at_end())
            return true;
        if (!x) {
            text_addf(why, "certificate %d cannot be read: its PEM block is damaged", number);
            return false;
        }
        if (number > TLS_CHAIN_MAX + 1) {
            text_addf(why, "more than %d certificates above the first", TLS_CHAIN_MAX);
            X509_free(x);
            return false;
        }
        if (number == 1)
            c->leaf = x;
        else
            mem_must(sk_X509_push(c->chain, x) ? x : NULL, 0);
    }
    return true;
}

static bool read_certs(struct slice pem, struct tls_cert *c, int most, struct text *why)
{
    if (!has(pem, "CERTIFICATE-----")) {
        say_missing(pem, "certificate", "openssl x509", why);
        return false;
    }
    BIO *in = mem_must(BIO_new_mem_buf(pem.at, (int)pem.len), 0);
    bool ok = read_all(in, c, most, why);
    BIO_free(in);
    ERR_clear_error();
    if (ok && !c->leaf)
        text_add(why, SLICE("no certificate among its PEM blocks"));
    return ok && c->leaf;
}

/* ---- facts ---- */

static bool wants_staple(X509 *x)
{
    TLS_FEATURE *features = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLS_FEATURE_STATUS_REQUEST;
    sk_ASN1_INTEGER_pop_free(features, ASN1_INTEGER_free);
    return found;
}

static struct slice ocsp_url_of(X509 *x)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(x);
    struct slice url = SLICE_NONE;
    for (int i = 0; i < sk_OPENSSL_STRING_num(urls) && url.len == 0; i++) {
        const char *at = sk_OPENSSL_STRING_value(urls, i);
        if (strncmp(at, "http://", 7) == 0)
            url = (struct slice){mem_dup(at, strlen(at)), strlen(at)};
    }
    X509_email_free(urls);
    return url;
}

static void read_facts(struct tls_cert *c)
{
    unsigned len = sizeof c->fingerprint;
    mem_must(X509_digest(c->leaf, EVP_sha256(), c->fingerprint, &len) ? c : NULL, 0);
    c->not_before = cert_unix_s(X509_get0_notBefore(c->leaf));
    c->not_after = cert_unix_s(X509_get0_notAfter(c->leaf));
    c->must_staple = wants_staple(c->leaf);
    c->ocsp_url = ocsp_url_of(c->leaf);
    cert_names_read(c);
    ERR_clear_error();
}

/* ---- as a whole ---- */

static bool load(struct tls_cert *c, struct slice cert_pem, struct slice key_pem, int64_t now,
                 struct text *why)
{
    if (cert_pem.len > PEM_BYTES_MAX || key_pem.len > PEM_BYTES_MAX) {
        text_addf(why, "longer than %d bytes", PEM_BYTES_MAX);
        return false;
    }
    if (!read_certs(cert_pem, c, TLS_CHAIN_MAX + 2, why))
        return false;
    EVP_PKEY *public = X509_get0_pubkey(c->leaf);
    c->key = read_key(key_pem, public ? EVP_PKEY_get0_type_name(public) : NULL, why);
    return c->key && cert_check(c, now, why);
}

static struct tls_cert *cert_new(void)
{
    struct tls_cert *c = MEM_NEW(struct tls_cert);
    c->refs = 1;
    c->chain = mem_must(sk_X509_new_null(), 0);
    pthread_mutex_init(&c->staple_lock, NULL);
    return c;
}

/* It was good when it was read, but may have expired since. */
static enum err load_known(struct tls_cert **out, struct tls_cert *c, int64_t now_unix_s,
                           struct text *why)
{
    if (!cert_check_times(c, now_unix_s, why)) {
        tls_cert_drop(c);
        return ERR_BAD_CONFIG;
    }
    *out = c;
    return ERR_OK;
}

enum err tls_cert_load_at(struct tls_cert **out, struct slice cert_pem, struct slice key_pem,
                          int64_t now_unix_s, struct text *why)
{
    uint8_t id[CERT_TEXT_ID_BYTES];
    cert_text_id(cert_pem, key_pem, id);
    struct tls_cert *c = cert_known_take(id);
    if (c)
        return load_known(out, c, now_unix_s, why);
    c = cert_new();
    memcpy(c->text_id, id, sizeof id);
    if (!load(c, cert_pem, key_pem, now_unix_s, why)) {
        ERR_clear_error();
        tls_cert_drop(c);
        return ERR_BAD_CONFIG;
    }
    read_facts(c);
    cert_known_add(c);
    *out = c;
    return ERR_OK;
}

enum err tls_cert_skim_at(struct tls_cert **out, struct slice cert_pem, int64_t now_unix_s,
                          struct text *why)
{
    struct tls_cert *c = cert_new();
    if (!read_certs(cert_pem, c, 1, why) || !cert_check_times(c, now_unix_s, why)) {
        ERR_clear_error();
        tls_cert_drop(c);
        return ERR_BAD_CONFIG;
    }
    EVP_PKEY *public = X509_get0_pubkey(c->leaf);
    c->kind = public ? tls_key_kind_of(public) : TLS_KEY_ECDSA;
    read_facts(c);
    *out = c;
    return ERR_OK;
}

enum err tls_cert_load(struct tls_cert **out, struct slice cert_pem, struct slice key_pem,
                       struct text *why)
{
    return tls_cert_load_at(out, cert_pem, key_pem, time(NULL), why);
}

struct tls_cert *tls_cert_take(struct tls_cert *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void tls_cert_drop(struct tls_cert *c)
{
    if (!c || !cert_known_drop(c))
        return;
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    cert_names_release(c);
    free((char *)c->ocsp_url.at);
    tls_staple_drop(c->staple);
    pthread_mutex_destroy(&c->staple_lock);
    free(c);
}

void tls_text_wipe(struct text *t)
{
    if (t->at)
        OPENSSL_cleanse(t->at, t->cap);
    text_release(t);
}
