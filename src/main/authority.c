/* authority.c - see authority.h. Main threads and the reader only: the reason of a failure stands
 * in one place for the whole process. */
// SPDX-License-Identifier: Apache-2.0
#include "main/authority.h"
#include "base/rand.h"
#include "tls/kept_secret.h"
#include "tls/local_ca.h"
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WHY_BYTES = 512, PRETEND_S = LOCAL_CA_LEAF_DAYS * 86400 };

static char reason[WHY_BYTES];

static const char *reason_set(const struct text *why)
{
    struct slice s = slice_trim(text_slice(why));
    snprintf(reason, sizeof reason, "%.*s", SLICE_ARG(s));
    return reason;
}

bool authority_dir(struct text *dir, struct text *why)
{
    const char *set = getenv("WEIR_CA_DIR"), *state = getenv("STATE_DIRECTORY");
    if (set && *set)
        text_add(dir, slice_of(set));
    else if (state && *state)
        text_addf(dir, "%s/ca", state);
    else
        return local_ca_default_dir(dir, why);
    return true;
}

const char *authority_issue(const struct conf_source *s, const struct slice *names, uint32_t count,
                            struct text *cert, struct text *key)
{
    static struct local_ca *ca; /* stays open for as long as the process */
    struct text dir, why;
    (void)s;
    text_init(&dir);
    text_init(&why);
    int64_t now = time(NULL);
    bool ok = (ca || (authority_dir(&dir, &why) && local_ca_open(dir.at, now, &ca, &why))) &&
              local_ca_issue(ca, names, count, now, cert, key, &why);
    const char *failed = ok ? NULL : reason_set(&why);
    text_release(&dir);
    text_release(&why);
    return failed;
}

_Static_assert((int)CONF_SECRET_BYTES == (int)KEPT_SECRET_BYTES, "one is kept for the other");

const char *authority_secret(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES])
{
    struct text dir, why;
    (void)s;
    text_init(&dir);
    text_init(&why);
    bool ok = authority_dir(&dir, &why) && kept_secret(dir.at, "cookies.key", out, &why);
    const char *failed = ok ? NULL : reason_set(&why);
    text_release(&dir);
    text_release(&why);
    return failed;
}

/* ---- for nobody ---- */

const char *authority_pretend_secret(const struct conf_source *s, uint8_t out[CONF_SECRET_BYTES])
{
    (void)s;
    rand_secret(out, CONF_SECRET_BYTES);
    return NULL;
}

static bool name_set(X509 *x)
{
    X509_NAME *name = X509_get_subject_name(x);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"nobody", -1,
                                      -1, 0) &&
           X509_set_issuer_name(x, name);
}

static bool pretend_make(X509 *x, EVP_PKEY *key, BIO *cert_out, BIO *key_out)
{
    return X509_set_version(x, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
           X509_gmtime_adj(X509_getm_notBefore(x), 0) &&
           X509_gmtime_adj(X509_getm_notAfter(x), PRETEND_S) && name_set(x) &&
           X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()) > 0 &&
           PEM_write_bio_X509(cert_out, x) &&
           PEM_write_bio_PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL);
}

static void bio_take(BIO *b, struct text *to)
{
    char *at;
    long len = BIO_get_mem_data(b, &at);
    text_add(to, (struct slice){at, len > 0 ? (size_t)len : 0});
}

const char *authority_pretend(const struct conf_source *s, const struct slice *names,
                              uint32_t count, struct text *cert, struct text *key)
{
    (void)s, (void)names, (void)count;
    X509 *x = X509_new();
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    BIO *cert_out = BIO_new(BIO_s_mem()), *key_out = BIO_new(BIO_s_mem());
    bool ok = x && pair && cert_out && key_out && pretend_make(x, pair, cert_out, key_out);
    if (ok) {
        bio_take(cert_out, cert);
        bio_take(key_out, key);
    }
    BIO_free(cert_out);
    BIO_free(key_out);
    EVP_PKEY_free(pair);
    X509_free(x);
    return ok ? NULL : "OpenSSL cannot make a key";
}
