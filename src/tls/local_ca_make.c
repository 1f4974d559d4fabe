/* local_ca_make.c - makes the certificates of the local authority: its own, and leaves.
 *
 * ECDSA on P-256 throughout. An hour of grace before now is for clients whose clocks are behind.
 *
 * Source: RFC 5280 4.2 (which extensions, which critical). */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "tls/local_ca_priv.h"
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

enum { GRACE_S = 3600, DAY_S = 86400, CN_BYTES_MAX = 64, SERIAL_BYTES = 16 };

static bool set_serial(X509 *x)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, always 16 bytes */
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
    BN_free(n);
    return ok;
}

static bool add_name(X509_NAME *name, const char *field, const char *value)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                      -1, 0);
}

static bool add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    return ok;
}

static bool set_life(X509 *x, int64_t from, int64_t to)
{
    return ASN1_TIME_set(X509_getm_notBefore(x), from) && ASN1_TIME_set(X509_getm_notAfter(x), to);
}

static bool begin(X509 *x, EVP_PKEY *key)
{
    return x && key && X509_set_version(x, X509_VERSION_3) && set_serial(x) &&
           X509_set_pubkey(x, key);
}

static bool fill_root(X509 *x, EVP_PKEY *key, int64_t now)
{
    char host[HOST_NAME_MAX + 1] = "", cn[CN_BYTES_MAX + 1], day[DATE_ISO_BYTES];
    gethostname(host, sizeof host - 1);
    date_write_iso(day, now * 1000);
    snprintf(cn, sizeof cn, "weir local CA %.32s %.10s", host, day);
    X509_NAME *name = X509_get_subject_name(x);
    return add_name(name, "O", "weir local CA") && add_name(name, "CN", cn) &&
           X509_set_issuer_name(x, name) &&
           set_life(x, now - GRACE_S, now + (int64_t)LOCAL_CA_DAYS * DAY_S) &&
           add_ext(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add_ext(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           add_ext(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256());
}

static bool fill_leaf(X509 *x, const struct tls_cert *root, const char *cn, const char *san,
                      int64_t now)
{
    int64_t to = now + (int64_t)LOCAL_CA_LEAF_DAYS * DAY_S;
    if (to > root->not_after)
        to = root->not_after;
    X509_NAME *name = X509_get_subject_name(x);
    return add_name(name, "O", "weir local CA") &&
           (strlen(cn) > CN_BYTES_MAX || add_name(name, "CN", cn)) &&
           X509_set_issuer_name(x, X509_get_subject_name(root->leaf)) &&
           set_life(x, now - GRACE_S, to) &&
           add_ext(x, root->leaf, NID_basic_constraints, "critical,CA:FALSE") &&
           add_ext(x, root->leaf, NID_key_usage, "critical,digitalSignature") &&
           add_ext(x, root->leaf, NID_ext_key_usage, "serverAuth") &&
           add_ext(x, root->leaf, NID_subject_key_identifier, "hash") &&
           add_ext(x, root->leaf, NID_authority_key_identifier, "keyid:always") &&
           add_ext(x, root->leaf, NID_subject_alt_name, san) &&
           X509_sign(x, root->key, EVP_sha256());
}

/* The BIO's memory is wiped by OpenSSL when it is freed. */
static bool add_pem(X509 *x, EVP_PKEY *key, struct text *to)
{
    char *at;
    BIO *b = BIO_new(BIO_s_secmem());
    bool ok = b && (x ? PEM_write_bio_X509(b, x)
                      : PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL));
    long len = ok ? BIO_get_mem_data(b, &at) : 0;
    if (len > 0)
        text_add(to, (struct slice){at, (size_t)len});
    BIO_free(b);
    return len > 0;
}

static bool finish(bool filled, X509 *x, EVP_PKEY *key, struct text *cert_pem, struct text *key_pem,
                   struct text *why)
{
    bool ok = filled && add_pem(x, NULL, cert_pem) && add_pem(NULL, key, key_pem);
    if (!ok)
        text_addf(why, "OpenSSL could not make a certificate: %s",
                  ERR_reason_error_string(ERR_peek_error()));
    ERR_clear_error();
    X509_free(x);
    EVP_PKEY_free(key);
    return ok;
}

bool ca_make_root(int64_t now, struct text *cert_pem, struct text *key_pem, struct text *why)
{
    X509 *x = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    bool filled = begin(x, key) && fill_root(x, key, now);
    return finish(filled, x, key, cert_pem, key_pem, why);
}

bool ca_make_leaf(const struct tls_cert *root, const char *cn, const char *san, int64_t now,
                  struct text *cert_pem, struct text *key_pem, struct text *why)
{
    X509 *x = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    bool filled = begin(x, key) && fill_leaf(x, root, cn, san, now);
    return finish(filled, x, key, cert_pem, key_pem, why);
}
