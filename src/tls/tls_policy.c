/* tls_policy.c - versions, ciphers, groups and client certificates: checked, digested, applied.
 *
 * The profiles are Mozilla's (Server Side TLS 5.7): intermediate is TLS 1.2 with forward secrecy
 * and AEAD ciphers, and 1.3; modern is 1.3 alone. X25519 comes first, since its exchange is the
 * cheapest by far. Finite-field Diffie-Hellman is left out of intermediate: no client needs it that
 * knows the other ciphers. Compression, renegotiation and early data are off, whatever is
 * configured. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_conn_priv.h"
#include <openssl/err.h>
#include <openssl/pem.h>

#define CIPHERS_INTERMEDIATE                                                                   \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"

/* ---- what a text may say ---- */

static bool cipher_known(SSL_CTX *ctx, struct slice name)
{
    char one[128];
    if (name.len == 0 || name.len >= sizeof one)
        return false;
    memcpy(one, name.at, name.len);
    one[name.len] = 0;
    return SSL_CTX_set_cipher_list(ctx, one) == 1;
}

/* OpenSSL ignores words that it does not know as long as it knows one of them. */
static bool ciphers_known(SSL_CTX *ctx, const char *list)
{
    struct slice rest = slice_of(list), name;
    while (slice_cut(&rest, ':', &name)) {
        bool is_rule = name.len && memchr("!-+@", name.at[0], 4);
        if (!is_rule && !cipher_known(ctx, name))
            return false;
    }
    return true;
}

bool tls_limits_apply(SSL_CTX *ctx, const struct tls_limits_text *l, const char **what)
{
    *what = "versions";
    if (!SSL_CTX_set_min_proto_version(ctx, l->version_min) ||
        !SSL_CTX_set_max_proto_version(ctx, l->version_max) || l->version_min > l->version_max)
        return false;
    *what = "ciphers";
    if (!SSL_CTX_set_cipher_list(ctx, l->ciphers))
        return false;
    *what = "ciphersuites";
    if (l->ciphersuites && !SSL_CTX_set_ciphersuites(ctx, l->ciphersuites))
        return false;
    *what = "groups";
    return SSL_CTX_set1_groups_list(ctx, l->groups) == 1;
}

struct tls_limits_text tls_limits(uint16_t version_min, uint16_t version_max, const char *ciphers,
                                  const char *ciphersuites, const char *groups)
{
    return (struct tls_limits_text){
        version_min ? version_min : TLS1_2_VERSION, version_max ? version_max : TLS1_3_VERSION,
        ciphers ? ciphers : CIPHERS_INTERMEDIATE, ciphersuites, groups ? groups : GROUPS};
}

static struct tls_limits_text limits_of(const struct tls_policy *p)
{
    uint16_t least = p->profile == TLS_PROFILE_MODERN ? TLS1_3_VERSION : TLS1_2_VERSION;
    return tls_limits(p->version_min ? p->version_min : least, p->version_max, p->ciphers,
                      p->ciphersuites, p->groups);
}

bool tls_limits_check(const struct tls_limits_text *l, struct text *why)
{
    const char *what = "ciphers";
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    bool ok = ctx && ciphers_known(ctx, l->ciphers) && tls_limits_apply(ctx, l, &what);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    if (!ok)
        text_addf(why, "OpenSSL does not accept these %s", what);
    return ok;
}

/* ---- authorities ---- */

static bool add_item(X509_STORE *store, const X509_INFO *item, STACK_OF(X509_NAME) * names,
                     int *certs, bool *has_crl)
{
    if (item->crl) { /* OpenSSL puts one that follows a certificate into the same item */
        *has_crl = true;
        if (X509_STORE_add_crl(store, item->crl) != 1)
            return false;
    }
    if (!item->x509)
        return true;
    ++*certs;
    X509_NAME *name = names ? X509_NAME_dup(X509_get_subject_name(item->x509)) : NULL;
    if (name && !sk_X509_NAME_push(names, name))
        X509_NAME_free(name);
    return X509_STORE_add_cert(store, item->x509) == 1;
}

int tls_store_add(X509_STORE *store, OSSL_LIB_CTX *lib, struct slice pem,
                  STACK_OF(X509_NAME) * names, bool *has_crl)
{
    int certs = 0;
    *has_crl = false;
    if (pem.len == 0)
        return 0;
    BIO *b = BIO_new_mem_buf(pem.at, (int)pem.len);
    STACK_OF(X509_INFO) *items =
        b ? PEM_X509_INFO_read_bio_ex(b, NULL, NULL, NULL, lib, NULL) : NULL;
    bool ok = items != NULL;
    for (int i = 0; ok && i < sk_X509_INFO_num(items); i++)
        ok = add_item(store, sk_X509_INFO_value(items, i), names, &certs, has_crl);
    sk_X509_INFO_pop_free(items, X509_INFO_free);
    BIO_free(b);
    ERR_clear_error();
    return ok ? certs : -1;
}

/* ---- sealing ---- */

static bool client_ca_check(const struct tls_policy *p, struct text *why)
{
    bool has_crl = false;
    if (p->client_cert == TLS_CLIENT_CERT_OFF)
        return true;
    X509_STORE *store = X509_STORE_new();
    int certs = store ? tls_store_add(store, NULL, p->client_ca, NULL, &has_crl) : -1;
    X509_STORE_free(store);
    if (certs < 0)
        text_addf(why, "a certificate or CRL of the client authorities is malformed");
    else if (certs == 0)
        text_addf(why, "there is no certificate among the client authorities");
    else if (p->check_crl && !has_crl)
        text_addf(why, "revocation is to be checked, but there is no CRL");
    else
        return true;
    return false;
}

static void digest_bytes(EVP_MD_CTX *d, const void *at, size_t len)
{
    uint64_t n = len;
    EVP_DigestUpdate(d, &n, sizeof n);
    EVP_DigestUpdate(d, at, len);
}

static void digest_text(EVP_MD_CTX *d, const char *text)
{
    digest_bytes(d, text ? text : "\1", text ? strlen(text) : 1);
}

void tls_limits_digest(EVP_MD_CTX *d, const struct tls_limits_text *l)
{
    digest_bytes(d, &l->version_min, sizeof l->version_min);
    digest_bytes(d, &l->version_max, sizeof l->version_max);
    digest_text(d, l->ciphers);
    digest_text(d, l->ciphersuites);
    digest_text(d, l->groups);
}

void tls_slice_digest(EVP_MD_CTX *d, struct slice s)
{
    digest_bytes(d, s.at ? s.at : "", s.len);
}

static bool set_id(struct tls_policy *p, const struct tls_limits_text *l)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    int rest[] = {p->client_cert, p->check_crl, p->verify_depth};
    EVP_MD_CTX *d = EVP_MD_CTX_new();
    bool ok = d && EVP_DigestInit_ex(d, EVP_sha256(), NULL);
    if (ok) {
        tls_limits_digest(d, l);
        digest_bytes(d, rest, sizeof rest);
        tls_slice_digest(d, p->client_cert == TLS_CLIENT_CERT_OFF ? SLICE_NONE : p->client_ca);
        ok = EVP_DigestFinal_ex(d, sum, NULL);
    }
    EVP_MD_CTX_free(d);
    memcpy(p->id, sum, ok ? TLS_POLICY_ID_BYTES : 0);
    return ok;
}

bool tls_policy_seal(struct tls_policy *p, struct text *why)
{
    struct tls_limits_text l = limits_of(p);
    return tls_limits_check(&l, why) && client_ca_check(p, why) && set_id(p, &l);
}

/* ---- applying ---- */

static bool is_name_error(int error)
{
    return error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

/* Says which certificate of the chain is to blame. Never changes the verdict. */
int tls_verify_say(int ok, X509_STORE_CTX *ctx)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *x = X509_STORE_CTX_get_current_cert(ctx);
    char name[128] = "unnamed";
    if (ok || !ssl)
        return ok;
    struct tls_conn *t = SSL_get_app_data(ssl);
    int error = X509_STORE_CTX_get_error(ctx);
    if (x)
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof name);
    if (is_name_error(error))
        tls_conn_say(t, "the certificate (CN=%s) is not for %s", name, tls_conn_host(t));
    else
        tls_conn_say(t, "%s (CN=%s)", X509_verify_cert_error_string(error), name);
    return 0;
}

static bool apply_client_ca(SSL_CTX *ctx, OSSL_LIB_CTX *lib, const struct tls_policy *p)
{
    bool has_crl, required = p->client_cert == TLS_CLIENT_CERT_REQUIRED;
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    X509_STORE *store = X509_STORE_new();
    bool ok = names && store && tls_store_add(store, lib, p->client_ca, names, &has_crl) > 0;
    if (ok && p->check_crl)
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (!ok) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        X509_STORE_free(store);
        return false;
    }
    SSL_CTX_set_cert_store(ctx, store);
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify_depth(ctx, p->verify_depth);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       tls_verify_say);
    return true;
}

bool tls_policy_apply(SSL_CTX *ctx, OSSL_LIB_CTX *lib, const struct tls_policy *p)
{
    const char *what;
    struct tls_limits_text l = limits_of(p);
    if (!tls_limits_apply(ctx, &l, &what) ||
        !SSL_CTX_set_session_id_context(ctx, p->id, TLS_POLICY_ID_BYTES))
        return false;
    return p->client_cert == TLS_CLIENT_CERT_OFF || apply_client_ca(ctx, lib, p);
}
