/* tls_context.c - a worker's OpenSSL: its library context, and one SSL_CTX for each identity it has
 * shown.
 *
 * Nothing of OpenSSL is shared by workers: threads that use one context cost each other about a
 * tenth. So certificates and keys are copied into the worker's library context when they are first
 * needed. A context is found by policy and certificates; it counts the certificates, so that their
 * addresses name them. What was not used for long makes room. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "tls/cert_priv.h"
#include "tls/staple.h"
#include "tls/tls_conn_priv.h"
#include "tls/tls_mem.h"
#include <openssl/err.h>
#include <stdlib.h>

/* One takes 24 KB and half a millisecond to make: who asks for a name after the other must not have
 * them made anew each time. */
enum { CONTEXTS_MAX = 4096 };

/* 112 bits, as Debian builds OpenSSL; its own default was 1 up to 3.1, with which peers'
 * certificates may have SHA-1 and RSA keys of 1024 bits. */
enum { SECURITY_LEVEL = 2 };

struct context_key {
    uint8_t policy_id[TLS_POLICY_ID_BYTES];
    const struct tls_cert *certs[TLS_KEY_KINDS];
};

struct context {
    struct list link; /* worker->contexts */
    struct context_key key;
    SSL_CTX *ctx;
    struct tls_cert *certs[TLS_KEY_KINDS]; /* counted */
};

/* ---- copies for this worker ---- */

static X509 *copy_x509(OSSL_LIB_CTX *lib, X509 *x)
{
    unsigned char *der = NULL;
    int len = i2d_X509(x, &der);
    const unsigned char *at = der;
    X509 *copy = len > 0 ? X509_new_ex(lib, NULL) : NULL;
    if (copy && !d2i_X509(&copy, &at, len))
        copy = NULL; /* d2i has freed it */
    OPENSSL_free(der);
    return copy;
}

static EVP_PKEY *copy_key(OSSL_LIB_CTX *lib, EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PrivateKey(key, &der);
    const char *type = EVP_PKEY_get0_type_name(key);
    struct slice s = {(const char *)der, len > 0 ? (size_t)len : 0};
    EVP_PKEY *copy = s.len ? tls_key_decode(lib, s, NULL, type) : NULL;
    if (len > 0)
        OPENSSL_clear_free(der, (size_t)len);
    return copy;
}

static bool use_chain(SSL_CTX *ctx, OSSL_LIB_CTX *lib, const struct tls_cert *c)
{
    for (int i = 0; i < sk_X509_num(c->chain); i++) {
        X509 *x = copy_x509(lib, sk_X509_value(c->chain, i));
        if (!x)
            return false;
        if (!SSL_CTX_add0_chain_cert(ctx, x)) {
            X509_free(x);
            return false;
        }
    }
    return true;
}

bool tls_context_use(SSL_CTX *ctx, OSSL_LIB_CTX *lib, const struct tls_cert *c)
{
    X509 *x = copy_x509(lib, c->leaf);
    EVP_PKEY *key = copy_key(lib, c->key);
    bool ok = x && key && SSL_CTX_use_certificate(ctx, x) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, key) == 1 && use_chain(ctx, lib, c);
    X509_free(x);
    EVP_PKEY_free(key);
    return ok;
}

/* ---- what both sides have in common ---- */

/* With the first context: a worker that never speaks TLS pays nothing for it. */
static bool open_library(struct tls_worker *w)
{
    if (!tls_bio_init())
        return false;
    if (!w->lib)
        w->lib = OSSL_LIB_CTX_new();
    if (w->lib && !w->ticket_cipher)
        w->ticket_cipher = EVP_CIPHER_fetch(w->lib, "AES-256-CBC", NULL);
    if (w->ticket_cipher)
        return true;
    /* What began without memory never works (its providers stay missing): the next one tries anew.
     */
    OSSL_LIB_CTX_free(w->lib);
    w->lib = NULL;
    return false;
}

SSL_CTX *tls_context_new(struct tls_worker *w)
{
    SSL_CTX *ctx = open_library(w) ? SSL_CTX_new_ex(w->lib, NULL, TLS_method()) : NULL;
    if (!ctx)
        return NULL;
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TLS_SESSION_S);
    return ctx;
}

/* ---- an identity's context ---- */

/* RFC 9113 9.2.2: under TLS 1.2 HTTP/2 takes an ephemeral key exchange and an AEAD cipher, which a
 * list of the user's own may lack. The cipher is agreed on before this is asked. */
static bool may_select(const SSL *ssl, struct slice protocol)
{
    const SSL_CIPHER *c = SSL_get_pending_cipher(ssl);
    if (!slice_eq(protocol, SLICE("h2")) || SSL_version(ssl) >= TLS1_3_VERSION || !c)
        return true;
    int exchange = SSL_CIPHER_get_kx_nid(c);
    return SSL_CIPHER_is_aead(c) && (exchange == NID_kx_ecdhe || exchange == NID_kx_dhe);
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    const struct tls_server *s = t->hs->server;
    (void)arg;
    for (uint32_t i = 0; i < s->alpn_count; i++) {
        struct slice ours = s->alpn[i];
        if (!may_select(ssl, ours))
            continue;
        for (unsigned int at = 0; at < in_len; at += 1u + in[at]) {
            if (in[at] != ours.len || memcmp(in + at + 1, ours.at, ours.len) != 0)
                continue;
            *out = in + at + 1;
            *out_len = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return s->alpn_count ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

/* The name was acted upon before (tls_server.c); this has OpenSSL say so and keep it. */
static int accept_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

/* The certificate is chosen by now: its answer of the moment, from the snapshot's object. */
static int staple(SSL *ssl, void *arg)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    X509 *x = SSL_get_certificate(ssl);
    EVP_PKEY *key = x ? X509_get0_pubkey(x) : NULL;
    struct tls_cert *c = t->hs && key ? t->hs->identity->certs[tls_key_kind_of(key)] : NULL;
    struct tls_staple *s = c ? tls_cert_take_staple(c, t->worker->loop->unix_ms / 1000) : NULL;
    unsigned char *der = s ? OPENSSL_memdup(s->der, s->len) : NULL;
    (void)arg;
    if (der && !SSL_set_tlsext_status_ocsp_resp(ssl, der, s->len)) {
        OPENSSL_free(der);
        der = NULL;
    }
    tls_staple_drop(s);
    return der ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static bool set_up(SSL_CTX *ctx, struct tls_worker *w, const struct tls_identity *id)
{
    if (!tls_policy_apply(ctx, w->lib, &id->policy))
        return false;
    for (int k = 0; k < TLS_KEY_KINDS; k++)
        if (id->certs[k] && !tls_context_use(ctx, w->lib, id->certs[k]))
            return false;
    SSL_CTX_set_num_tickets(ctx, 1); /* each costs a tenth of a handshake */
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_tickets_key);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, accept_name);
    SSL_CTX_set_tlsext_status_cb(ctx, staple);
    return true;
}

static struct slice key_slice(const struct context_key *k)
{
    return (struct slice){(const char *)k, sizeof *k};
}

static void context_free(struct tls_worker *w, struct context *c)
{
    hash_map_remove(&w->context_map, key_slice(&c->key));
    list_remove(&c->link);
    w->context_count--;
    SSL_CTX_free(c->ctx);
    for (int k = 0; k < TLS_KEY_KINDS; k++)
        tls_cert_drop(c->certs[k]);
    free(c);
}

static struct context *context_make(struct tls_worker *w, const struct tls_identity *id,
                                    const struct context_key *key)
{
    struct context *c = hash_map_reserve(&w->context_map) ? calloc(1, sizeof *c) : NULL;
    SSL_CTX *ctx = c ? tls_context_new(w) : NULL;
    if (!ctx || !set_up(ctx, w, id)) {
        SSL_CTX_free(ctx);
        free(c);
        ERR_clear_error();
        return NULL;
    }
    c->key = *key;
    c->ctx = ctx;
    for (int k = 0; k < TLS_KEY_KINDS; k++)
        c->certs[k] = id->certs[k] ? tls_cert_take(id->certs[k]) : NULL;
    if (w->context_count == CONTEXTS_MAX)
        context_free(w, LIST_ENTRY(w->contexts.next, struct context, link));
    hash_map_put(&w->context_map, key_slice(&c->key), c);
    list_init(&c->link);
    list_push(&w->contexts, &c->link);
    w->context_count++;
    return c;
}

SSL_CTX *tls_context_get(struct tls_worker *w, const struct tls_identity *id)
{
    struct context_key key = {.certs = {id->certs[0], id->certs[1]}};
    memcpy(key.policy_id, id->policy.id, TLS_POLICY_ID_BYTES);
    struct context *c = hash_map_find(&w->context_map, key_slice(&key));
    if (!c)
        c = context_make(w, id, &key);
    if (!c)
        return NULL;
    list_remove(&c->link);
    list_push(&w->contexts, &c->link);
    return c->ctx;
}

/* ---- the worker ---- */

struct tls_worker *tls_worker_new(struct loop *l, struct tls_tickets *tickets)
{
    struct tls_worker *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->loop = l;
    w->tickets = tickets;
    list_init(&w->contexts);
    list_init(&w->origins);
    list_init(&w->session_slots);
    hash_map_init(&w->context_map);
    hash_map_init(&w->sessions);
    tls_handshake_init(w);
    return w;
}

void tls_worker_free(struct tls_worker *w)
{
    if (!w)
        return;
    ASSERT(list_empty(&w->handshakes));
    while (!list_empty(&w->contexts))
        context_free(w, LIST_ENTRY(w->contexts.next, struct context, link));
    tls_origins_release(w);
    hash_map_release(&w->context_map);
    hash_map_release(&w->sessions);
    EVP_CIPHER_free(w->ticket_cipher);
    OSSL_LIB_CTX_free(w->lib);
    tls_mem_trim();
    free(w);
}
