/* tls_facts.c - what is known of an open TLS connection, as texts for variables and log fields.
 *
 * Looked up when somebody asks. What a client's certificate says of itself is text of a stranger:
 * control characters and what is no ASCII become '?'. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_conn_priv.h"
#include <arpa/inet.h>
#include <openssl/x509v3.h>

bool conn_is_tls(const struct conn *c)
{
    return tls_of(c) != NULL;
}

const uint8_t *tls_policy_id(const struct conn *c)
{
    const struct tls_conn *t = tls_of(c);
    return t && t->is_server ? t->policy_id : NULL;
}

const char *tls_why(const struct conn *c)
{
    const struct tls_conn *t = tls_of(c);
    return t && t->why ? t->why : "";
}

static void add_clean(struct text *to, const char *at, size_t len)
{
    text_reserve(to, len);
    for (size_t i = 0; i < len; i++) {
        bool plain = at[i] >= 0x20 && at[i] < 0x7f;
        text_add(to, (struct slice){plain ? &at[i] : "?", 1});
    }
}

static void add_text(struct text *to, const char *text)
{
    if (text)
        add_clean(to, text, strlen(text));
}

static void add_alpn(SSL *ssl, struct text *to)
{
    const unsigned char *at;
    unsigned int len;
    SSL_get0_alpn_selected(ssl, &at, &len);
    if (len)
        add_clean(to, (const char *)at, len);
}

/* ---- the client's certificate ---- */

static void add_subject(X509 *x, struct text *to)
{
    char *at;
    BIO *b = BIO_new(BIO_s_mem());
    if (b && X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(b, &at);
        add_clean(to, at, len > 0 ? (size_t)len : 0);
    }
    BIO_free(b);
}

static void add_ip(struct text *to, const ASN1_STRING *ip)
{
    char at[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(ip);
    const void *raw = ASN1_STRING_get0_data(ip);
    if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, raw, at, sizeof at))
        text_addf(to, "IP:%s", at);
}

static void add_name(struct text *to, const GENERAL_NAME *g)
{
    int type;
    const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &type);
    const char *word = type == GEN_DNS     ? "DNS:"
                       : type == GEN_EMAIL ? "email:"
                       : type == GEN_URI   ? "URI:"
                                           : NULL;
    if (type == GEN_IPADD) {
        add_ip(to, s);
    } else if (word) {
        text_addf(to, "%s", word);
        add_clean(to, (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
    }
}

static void add_names(X509 *x, struct text *to)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        size_t before = to->len;
        if (i)
            text_addf(to, ", ");
        size_t from = to->len;
        add_name(to, sk_GENERAL_NAME_value(names, i));
        if (to->len == from)
            to->len = before; /* of a kind that is not told */
    }
    GENERAL_NAMES_free(names);
}

static void add_hex(struct text *to, const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text_addf(to, "%02x", at[i]);
}

static void add_fingerprint(X509 *x, struct text *to)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned int len;
    if (X509_digest(x, EVP_sha256(), sum, &len))
        add_hex(to, sum, len);
}

static void add_serial(X509 *x, struct text *to)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    add_hex(to, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

static void add_client(X509 *x, enum tls_fact which, struct text *to)
{
    switch (which) {
    case TLS_FACT_CLIENT_SUBJECT: add_subject(x, to); break;
    case TLS_FACT_CLIENT_SAN: add_names(x, to); break;
    case TLS_FACT_CLIENT_SERIAL: add_serial(x, to); break;
    case TLS_FACT_CLIENT_FINGERPRINT: add_fingerprint(x, to); break;
    default: break;
    }
}

/* ---- its names, one by one ---- */

struct names_told {
    tls_client_name_fn *found;
    void *ctx;
};

/* A text that could be read in two ways (a NUL, a line's end) is nobody's name. */
static void tell(const struct names_told *t, enum tls_client_name kind, const ASN1_STRING *s)
{
    struct slice name = {(const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < 0x20 || name.at[i] == 0x7f)
            return;
    if (name.len > 0)
        t->found(t->ctx, kind, name);
}

static void tell_common_names(const struct names_told *t, X509 *x)
{
    const X509_NAME *subject = X509_get_subject_name(x);
    int at = -1;
    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        tell(t, TLS_CLIENT_CN, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static void tell_alternatives(const struct names_told *t, X509 *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *s = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_EMAIL)
            tell(t, TLS_CLIENT_EMAIL, s);
        else if (type == GEN_DNS)
            tell(t, TLS_CLIENT_DNS, s);
        else if (type == GEN_URI)
            tell(t, TLS_CLIENT_URI, s);
    }
    GENERAL_NAMES_free(names);
}

bool tls_client_names(const struct conn *c, tls_client_name_fn *found, void *ctx)
{
    const struct tls_conn *t = tls_of(c);
    X509 *x = t && t->ssl && t->is_server ? SSL_get0_peer_certificate(t->ssl) : NULL;
    struct names_told told = {found, ctx};
    if (!x || SSL_get_verify_result(t->ssl) != X509_V_OK)
        return false;
    tell_common_names(&told, x);
    tell_alternatives(&told, x);
    return true;
}

void tls_fact_write(const struct conn *c, enum tls_fact which, struct text *to)
{
    const struct tls_conn *t = tls_of(c);
    if (!t || !t->ssl)
        return;
    X509 *x;
    switch (which) {
    case TLS_FACT_VERSION: add_text(to, SSL_get_version(t->ssl)); break;
    case TLS_FACT_CIPHER: add_text(to, SSL_get_cipher_name(t->ssl)); break;
    case TLS_FACT_SNI: add_text(to, SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name)); break;
    case TLS_FACT_ALPN: add_alpn(t->ssl, to); break;
    case TLS_FACT_RESUMED: add_text(to, SSL_session_reused(t->ssl) ? "yes" : "no"); break;
    case TLS_FACT_JA4: add_text(to, t->ja4); break;
    default:
        x = t->is_server ? SSL_get0_peer_certificate(t->ssl) : NULL;
        if (x)
            add_client(x, which, to);
    }
}

struct slice tls_alpn(const struct conn *c)
{
    const struct tls_conn *t = tls_of(c);
    const unsigned char *name = NULL;
    unsigned int len = 0;
    if (t && t->ssl)
        SSL_get0_alpn_selected(t->ssl, &name, &len);
    return (struct slice){(const char *)name, len};
}
