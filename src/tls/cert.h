/* cert.h - a certificate with its chain and its private key, as a configuration names them.
 *
 * Owner: counted (atomic), immutable after loading but for the stapled answer: the snapshots whose
 * sites use it and the workers' contexts share one. Keys stay inside OpenSSL's objects; the text
 * they came from is wiped once it is read, and nothing here writes a key anywhere. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "base/text.h"
#include <openssl/x509.h>
#include <pthread.h>

enum tls_key_kind { TLS_KEY_RSA, TLS_KEY_ECDSA, TLS_KEY_KINDS }; /* Ed25519 counts as ECDSA */

enum {
    TLS_CHAIN_MAX = 10,             /* certificates above the leaf */
    TLS_FINGERPRINT_BYTES = 32,     /* SHA-256 of the leaf's DER form */
    CERT_TEXT_ID_BYTES = 32,        /* SHA-256 of the texts */
    TLS_STAPLE_BYTES_MAX = 16384,   /* an OCSP answer that is longer is not stapled */
    TLS_EXPIRES_SOON_S = 14 * 86400 /* tls_cert_check() warns from here on */
};

struct tls_staple; /* staple.h: the answer that is stapled now, counted */

struct tls_cert {
    uint32_t refs;
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf; may be empty */
    EVP_PKEY *key;
    enum tls_key_kind kind;
    uint8_t fingerprint[TLS_FINGERPRINT_BYTES];
    int64_t not_before, not_after; /* unix seconds */
    bool must_staple;              /* RFC 7633 */
    struct slice *names;           /* DNS names and addresses of the leaf, lower case */
    uint32_t name_count;
    struct slice ocsp_url;     /* empty: none is named */
    struct tls_staple *staple; /* NULL: none. Under staple_lock; see staple.h */
    pthread_mutex_t staple_lock;
    uint8_t text_id[CERT_TEXT_ID_BYTES]; /* cert_known.c finds it by that, when `known` */
    bool known;
};

/* Reads PEM texts: the leaf first, then its chain in order; `key` unencrypted. They may be one and
 * the same text. On an error *why says in words what does not fit (which certificate, which key,
 * and since when it has expired), for a diagnostic at the line that names the file. Texts of which
 * the process has a certificate already give that one; only its times are looked at again. */
enum err tls_cert_load(struct tls_cert **out, struct slice cert_pem, struct slice key_pem,
                       struct text *why) MUST_CHECK;
/* The same with a clock of the caller's. */
enum err tls_cert_load_at(struct tls_cert **out, struct slice cert_pem, struct slice key_pem,
                          int64_t now_unix_s, struct text *why) MUST_CHECK;
/* What a process has to know that only collects files for another one: names, kind of key and
 * times of the leaf. No key, no chain: never for a handshake. It takes a fourth of the time. */
enum err tls_cert_skim_at(struct tls_cert **out, struct slice cert_pem, int64_t now_unix_s,
                          struct text *why) MUST_CHECK;
struct tls_cert *tls_cert_take(struct tls_cert *c);
void tls_cert_drop(struct tls_cert *c); /* NULL: nothing */

/* A private key in DER, of a type that is known ("EC", "RSA", ...). OpenSSL tries some twenty
 * decoders when it is not, which takes 470 us instead of 125. NULL: it is none; the error queue
 * says why. */
EVP_PKEY *tls_key_decode(OSSL_LIB_CTX *lib, struct slice der, const char *structure,
                         const char *type);

/* What is not wrong but worth a warning: expires soon, no chain up to an authority, a name of
 * `names` (may be empty) that it does not cover. Appends one line each to *why. False: nothing. */
bool tls_cert_warnings(const struct tls_cert *c, const struct slice *names, uint32_t name_count,
                       int64_t now_unix_s, struct text *why);

/* Does it stand for this host (RFC 9525: exact, or one label by a wildcard)? */
bool tls_cert_covers(const struct tls_cert *c, struct slice host);

/* Overwrites a text that held a key, then releases it. A text that grew has left copies behind:
 * text_reserve() the file's size before it is read. */
void tls_text_wipe(struct text *t);
