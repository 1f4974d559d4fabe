/* cert_check.c - is a certificate with chain and key fit to be shown, and what is worth a warning.
 *
 * Every check says in words what does not fit and where, because a certificate that "does not work"
 * costs its owner an evening. The order is from the plain mistake (wrong file) to the subtle one.
 * Signatures along the chain are verified; trust in its end is not judged, that is the client's.
 *
 * Sources: RFC 5280 6.1 (paths), RFC 8446 4.4.2 (order on the wire). */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "tls/cert_priv.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <time.h>

enum { RSA_BITS_MIN = 2048, DAY_S = 86400, SUBJECT_BYTES_MAX = 200 };

/* ---- words ---- */

void cert_say(struct text *to, int number, X509 *x)
{
    char subject[SUBJECT_BYTES_MAX] = "";
    BIO *out = BIO_new(BIO_s_mem());
    if (out && X509_NAME_print_ex(out, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) > 0)
        subject[BIO_read(out, subject, sizeof subject - 1)] = '\0';
    BIO_free(out);
    text_addf(to, "certificate %d (\"%s\")", number, subject);
}

void cert_say_day(struct text *to, int64_t unix_s)
{
    char iso[DATE_ISO_BYTES];
    date_write_iso(iso, unix_s * 1000);
    text_add(to, (struct slice){iso, 10});
}

int64_t cert_unix_s(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static int cert_count(const struct tls_cert *c)
{
    return 1 + sk_X509_num(c->chain);
}

static X509 *cert_at(const struct tls_cert *c, int i) /* 0: the leaf */
{
    return i == 0 ? c->leaf : sk_X509_value(c->chain, i - 1);
}

static bool is_self_signed(X509 *x)
{
    return X509_check_issued(x, x) == X509_V_OK;
}

/* ---- key ---- */

static bool is_known_curve(const EVP_PKEY *key)
{
    char name[32];
    if (!EVP_PKEY_get_group_name(key, name, sizeof name, NULL))
        return false;
    int nid = OBJ_sn2nid(name);
    return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1;
}

enum tls_key_kind tls_key_kind_of(const EVP_PKEY *key)
{
    int id = EVP_PKEY_get_base_id(key);
    return id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS ? TLS_KEY_RSA : TLS_KEY_ECDSA;
}

static bool check_kind(struct tls_cert *c, struct text *why)
{
    int id = EVP_PKEY_get_base_id(c->key);
    c->kind = tls_key_kind_of(c->key);
    if (c->kind == TLS_KEY_RSA || id == EVP_PKEY_ED25519 ||
        (id == EVP_PKEY_EC && is_known_curve(c->key)))
        return true;
    const char *name = EVP_PKEY_get0_type_name(c->key);
    text_addf(why,
              "keys of this kind (%s%s) are not supported: RSA, ECDSA on P-256, P-384 or "
              "P-521, and Ed25519 are",
              name ? name : "unknown", id == EVP_PKEY_EC ? " on this curve" : "");
    return false;
}

static bool check_size(struct tls_cert *c, struct text *why)
{
    int bits = EVP_PKEY_get_bits(c->key);
    if (c->kind != TLS_KEY_RSA || bits >= RSA_BITS_MIN)
        return true;
    text_addf(why, "the key is too small: RSA with %d bits, at least %d are needed", bits,
              RSA_BITS_MIN);
    return false;
}

static bool key_fits(const struct tls_cert *c, X509 *x)
{
    bool fits = X509_check_private_key(x, c->key) == 1;
    ERR_clear_error();
    return fits;
}

static bool check_fits(struct tls_cert *c, struct text *why)
{
    if (key_fits(c, c->leaf))
        return true;
    for (int i = 1; i < cert_count(c); i++) {
        if (!key_fits(c, cert_at(c, i)))
            continue;
        text_add(why, SLICE("the certificate of the key must be first, but it is "));
        cert_say(why, i + 1, cert_at(c, i));
        return false;
    }
    text_add(why, SLICE("the private key does not belong to "));
    cert_say(why, 1, c->leaf);
    return false;
}

/* ---- time ---- */

static void say_ago(struct text *why, int64_t seconds)
{
    int64_t days = seconds / DAY_S;
    if (days == 0)
        text_add(why, SLICE(", today"));
    else
        text_addf(why, ", %lld day%s ago", (long long)days, days == 1 ? "" : "s");
}

static bool check_time(X509 *x, int number, int64_t now, struct text *why)
{
    int64_t from = cert_unix_s(X509_get0_notBefore(x)), to = cert_unix_s(X509_get0_notAfter(x));
    if (now >= from && now <= to)
        return true;
    cert_say(why, number, x);
    text_add(why, now > to ? SLICE(" expired on ") : SLICE(" is not valid before "));
    cert_say_day(why, now > to ? to : from);
    if (now > to)
        say_ago(why, now - to);
    else
        text_add(why, SLICE("; if that is past, the clock of this machine is wrong"));
    return false;
}

bool cert_check_times(struct tls_cert *c, int64_t now, struct text *why)
{
    for (int i = 0; i < cert_count(c); i++)
        if (!check_time(cert_at(c, i), i + 1, now, why))
            return false;
    return true;
}

/* ---- chain ---- */

static bool issued(X509 *issuer, X509 *subject)
{
    bool yes = X509_check_issued(issuer, subject) == X509_V_OK &&
               X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return yes;
}

/* The position of the one that issued number `i`; -1: not among them. */
static int issuer_of(const struct tls_cert *c, int i)
{
    for (int j = 0; j < cert_count(c); j++)
        if (j != i && issued(cert_at(c, j), cert_at(c, i)))
            return j;
    return -1;
}

static void say_broken(const struct tls_cert *c, int i, struct text *why)
{
    int real = issuer_of(c, i);
    text_add(why, real >= 0 ? SLICE("the chain is out of order: ")
                            : SLICE("the chain does not belong together: "));
    cert_say(why, i + 2, cert_at(c, i + 1));
    text_add(why, SLICE(" did not issue "));
    cert_say(why, i + 1, cert_at(c, i));
    if (real >= 0)
        text_addf(why, "; number %d did and must follow it", real + 1);
}

static bool check_chain(struct tls_cert *c, struct text *why)
{
    for (int i = 0; i + 1 < cert_count(c); i++) {
        if (issued(cert_at(c, i + 1), cert_at(c, i)))
            continue;
        say_broken(c, i, why);
        return false;
    }
    return true;
}

/* Clients refuse SHA-1 and keys below 112 bits of strength, and so does OpenSSL at its usual
 * security level: better said here than in a handshake. A self-signed end is trusted or not,
 * whatever its signature. */
static bool check_strength(X509 *x, int number, struct text *why)
{
    int bits = 0, md = 0;
    if (is_self_signed(x) || !X509_get_signature_info(x, &md, NULL, &bits, NULL) || bits >= 112)
        return true;
    cert_say(why, number, x);
    text_addf(why, " is signed with %s, which is too weak for today's clients", OBJ_nid2sn(md));
    return false;
}

static bool check_strengths(struct tls_cert *c, struct text *why)
{
    for (int i = 0; i < cert_count(c); i++) {
        if (!check_strength(cert_at(c, i), i + 1, why))
            return false;
        EVP_PKEY *key = X509_get0_pubkey(cert_at(c, i));
        if (!key || EVP_PKEY_get_security_bits(key) < 112) {
            cert_say(why, i + 1, cert_at(c, i));
            text_add(why, SLICE(" has a key that is too small or of an unknown kind"));
            return false;
        }
    }
    return true;
}

bool cert_check(struct tls_cert *c, int64_t now_unix_s, struct text *why)
{
    return check_kind(c, why) && check_size(c, why) && check_fits(c, why) &&
           cert_check_times(c, now_unix_s, why) && check_chain(c, why) && check_strengths(c, why);
}

/* ---- warnings ---- */

static void warn_expires(const struct tls_cert *c, int64_t now, struct text *why)
{
    for (int i = 0; i < cert_count(c); i++) {
        int64_t to = cert_unix_s(X509_get0_notAfter(cert_at(c, i)));
        if (to - now >= TLS_EXPIRES_SOON_S)
            continue;
        cert_say(why, i + 1, cert_at(c, i));
        text_add(why, to < now ? SLICE(" expired on ") : SLICE(" expires soon: on "));
        cert_say_day(why, to);
        text_add(why, SLICE("\n"));
    }
}

/* Is its issuer one of the system's roots? Looks for the one file with the issuer's hash: reading
 * the bundle would take some 50 ms. */
static bool issuer_is_root(X509 *x)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_LOOKUP *dir = store ? X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir()) : NULL;
    X509 *issuer = NULL;
    bool found = dir && ctx && X509_LOOKUP_add_dir(dir, NULL, X509_FILETYPE_DEFAULT) &&
                 X509_STORE_CTX_init(ctx, store, x, NULL) &&
                 X509_STORE_CTX_get1_issuer(&issuer, ctx, x) == 1;
    X509_free(issuer);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
    return found;
}

static void warn_chain(const struct tls_cert *c, struct text *why)
{
    if (cert_count(c) > 1 || is_self_signed(c->leaf) || issuer_is_root(c->leaf))
        return;
    cert_say(why, 1, c->leaf);
    text_add(why, SLICE(" comes without its chain: many clients will not trust it; use the file "
                        "with the intermediate certificates (often fullchain.pem)\n"));
}

static void warn_names(const struct tls_cert *c, const struct slice *names, uint32_t name_count,
                       struct text *why)
{
    if (c->name_count == 0) {
        cert_say(why, 1, c->leaf);
        text_add(why, SLICE(" has no subject alternative names: clients accept it for no host\n"));
        return;
    }
    for (uint32_t i = 0; i < name_count; i++)
        if (!tls_cert_covers(c, names[i]))
            text_addf(why, "the certificate does not cover %.*s\n", SLICE_ARG(names[i]));
}

static void warn_usage(const struct tls_cert *c, struct text *why)
{
    if (X509_check_purpose(c->leaf, X509_PURPOSE_SSL_SERVER, 0) == 1)
        return;
    cert_say(why, 1, c->leaf);
    text_add(why, SLICE(" is not meant for servers (extended key usage)\n"));
}

bool tls_cert_warnings(const struct tls_cert *c, const struct slice *names, uint32_t name_count,
                       int64_t now_unix_s, struct text *why)
{
    size_t before = why->len;
    warn_expires(c, now_unix_s, why);
    warn_chain(c, why);
    warn_names(c, names, name_count, why);
    warn_usage(c, why);
    return why->len > before;
}
