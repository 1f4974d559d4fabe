/* cert_fuzz_priv.h - what holds for any text that is named as a certificate and key; run by the
 * fuzzer on made-up bytes and by a unit test on the corpus.
 *
 * The input is a PEM text that stands for both files; or, when it begins with 'D', a DER
 * certificate, its length in two bytes before it, and a DER key: so that changes reach what PEM's
 * base64 hides. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "tls/cert.h"
#include "tls/staple.h"
#include <openssl/err.h>
#include <openssl/pem.h>

enum { CERT_FUZZ_NOW_S = 1767225600 }; /* 2026-01-01: within the corpus's dates */

static inline void cert_fuzz_facts(const struct tls_cert *c)
{
    struct text why = {0};
    struct slice hosts[] = {SLICE("a.example"), SLICE("127.0.0.1"), SLICE("::1"), SLICE("."),
                            SLICE_NONE};
    ASSERT(c->refs == 1 && c->leaf && c->key && c->kind < TLS_KEY_KINDS && !c->staple);
    ASSERT(c->not_before <= CERT_FUZZ_NOW_S && CERT_FUZZ_NOW_S <= c->not_after);
    ASSERT(sk_X509_num(c->chain) <= TLS_CHAIN_MAX && X509_check_private_key(c->leaf, c->key) == 1);
    for (uint32_t i = 0; i < c->name_count; i++) {
        ASSERT(c->names[i].len > 0 && !memchr(c->names[i].at, 0, c->names[i].len));
        for (size_t k = 0; k < c->names[i].len; k++)
            ASSERT(c->names[i].at[k] < 'A' || c->names[i].at[k] > 'Z');
    }
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        tls_cert_covers(c, hosts[i]);
    ASSERT(!tls_cert_covers(c, SLICE_NONE));
    bool warned = tls_cert_warnings(c, hosts, 2, CERT_FUZZ_NOW_S, &why);
    ASSERT(warned == (why.len > 0) && (!warned || why.at[why.len - 1] == '\n'));
    text_release(&why);
}

static inline bool cert_fuzz_load(struct slice cert, struct slice key)
{
    struct tls_cert *c = NULL;
    struct text why = {0};
    enum err e = tls_cert_load_at(&c, cert, key, CERT_FUZZ_NOW_S, &why);
    ASSERT((e == ERR_OK) == (c != NULL) && (e == ERR_OK) == (why.len == 0));
    ASSERT(ERR_peek_error() == 0); /* nothing is left for whoever looks next */
    if (c)
        cert_fuzz_facts(c);
    tls_cert_drop(c);
    text_release(&why);
    return e == ERR_OK;
}

static inline void cert_fuzz_pem(struct text *to, const char *name, struct slice der)
{
    char *at;
    BIO *b = BIO_new(BIO_s_mem());
    int ok = PEM_write_bio(b, name, "", (const unsigned char *)der.at, (long)der.len);
    long len = BIO_get_mem_data(b, &at);
    ASSERT(ok > 0 || der.len == 0);
    text_add(to, (struct slice){at, (size_t)len});
    BIO_free(b);
    ERR_clear_error();
}

static inline bool cert_fuzz_der(const uint8_t *at, size_t len)
{
    struct text cert = {0}, key = {0};
    size_t n = len >= 2 ? (size_t)at[0] << 8 | at[1] : 0;
    at += len >= 2 ? 2 : len;
    len -= len >= 2 ? 2 : len;
    n = n < len ? n : len;
    cert_fuzz_pem(&cert, "CERTIFICATE", (struct slice){(const char *)at, n});
    cert_fuzz_pem(&key, "PRIVATE KEY", (struct slice){(const char *)at + n, len - n});
    bool ok = cert_fuzz_load(text_slice(&cert), text_slice(&key));
    text_release(&cert);
    tls_text_wipe(&key);
    return ok;
}

static inline bool cert_fuzz(const uint8_t *at, size_t len)
{
    if (len && at[0] == 'D')
        return cert_fuzz_der(at + 1, len - 1);
    struct slice both = {(const char *)at, len};
    return cert_fuzz_load(both, both);
}
