/* tls_origin.c - the client's side of a handshake: what an origin must prove, sessions for the next
 * time.
 *
 * A worker has one context for each tls_origin that it has used, found by its digest, so that an
 * unchanged one survives reloads. Sessions are kept by that digest and the host: one each, given to
 * the next connection. Those of TLS 1.3 are used once (RFC 8446 C.4). A resumed session was
 * verified when it began, by the same rules and for the same name. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "tls/tls_conn_priv.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { ORIGINS_MAX = 1024, SESSIONS_MAX = 1024 };

struct origin_context {
    struct list link; /* worker->origins */
    uint64_t id;
    SSL_CTX *ctx;
};

struct session_slot {
    struct list link; /* worker->session_slots */
    SSL_SESSION *session;
    struct slice key; /* points behind it */
};

/* ---- sealing ---- */

static struct tls_limits_text limits_of(const struct tls_origin *o)
{
    return tls_limits(o->version_min, o->version_max, o->ciphers, o->ciphersuites, o->groups);
}

static bool ca_check(const struct tls_origin *o, struct text *why)
{
    bool has_crl;
    if (o->ca.len == 0)
        return true;
    X509_STORE *store = X509_STORE_new();
    int certs = store ? tls_store_add(store, NULL, o->ca, NULL, &has_crl) : -1;
    X509_STORE_free(store);
    if (certs <= 0)
        text_addf(why, certs < 0 ? "a certificate of the authorities is malformed"
                                 : "there is no certificate among the authorities");
    return certs > 0;
}

static bool set_id(struct tls_origin *o, const struct tls_limits_text *l)
{
    uint8_t sum[EVP_MAX_MD_SIZE], verify = o->verify;
    EVP_MD_CTX *d = EVP_MD_CTX_new();
    bool ok = d && EVP_DigestInit_ex(d, EVP_sha256(), NULL);
    if (ok) {
        tls_limits_digest(d, l);
        tls_slice_digest(d, (struct slice){(const char *)&verify, 1});
        tls_slice_digest(d, o->ca);
        tls_slice_digest(d, o->name);
        for (uint32_t i = 0; i < o->alpn_count; i++)
            tls_slice_digest(d, o->alpn[i]);
        if (o->cert)
            tls_slice_digest(
                d, (struct slice){(const char *)o->cert->fingerprint, TLS_FINGERPRINT_BYTES});
        ok = EVP_DigestFinal_ex(d, sum, NULL);
    }
    EVP_MD_CTX_free(d);
    if (ok)
        memcpy(&o->id, sum, sizeof o->id);
    return ok;
}

bool tls_origin_seal(struct tls_origin *o, struct text *why)
{
    struct tls_limits_text l = limits_of(o);
    return tls_limits_check(&l, why) && ca_check(o, why) && set_id(o, &l);
}

/* ---- sessions ---- */

static void slot_free(struct tls_worker *w, struct session_slot *s)
{
    hash_map_remove(&w->sessions, s->key);
    list_remove(&s->link);
    w->session_count--;
    SSL_SESSION_free(s->session);
    free(s);
}

static struct session_slot *slot_new(struct tls_worker *w, struct slice key)
{
    struct session_slot *s = hash_map_reserve(&w->sessions) ? malloc(sizeof *s + key.len) : NULL;
    if (!s)
        return NULL;
    if (w->session_count == SESSIONS_MAX)
        slot_free(w, LIST_ENTRY(w->session_slots.next, struct session_slot, link));
    memcpy(s + 1, key.at, key.len);
    s->key = (struct slice){(const char *)(s + 1), key.len};
    s->session = NULL;
    list_init(&s->link);
    hash_map_put(&w->sessions, s->key, s);
    w->session_count++;
    return s;
}

/* 1: the session is ours now. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    struct tls_worker *w = t->worker;
    if (!t->session_key.len)
        return 0;
    struct session_slot *s = hash_map_find(&w->sessions, t->session_key);
    if (!s)
        s = slot_new(w, t->session_key);
    if (!s)
        return 0;
    SSL_SESSION_free(s->session);
    s->session = session;
    list_remove(&s->link);
    list_push(&w->session_slots, &s->link);
    return 1;
}

static void reuse_session(struct tls_conn *t)
{
    struct session_slot *s = hash_map_find(&t->worker->sessions, t->session_key);
    if (!s || !s->session)
        return;
    if (SSL_SESSION_is_resumable(s->session))
        SSL_set_session(t->ssl, s->session);
    if (SSL_SESSION_get_protocol_version(s->session) >= TLS1_3_VERSION) {
        SSL_SESSION_free(s->session);
        s->session = NULL;
    }
}

/* ---- contexts ---- */

/* The system's authorities, looked up one by one when they are needed. */
static X509_STORE *system_store(struct tls_worker *w)
{
    if (w->system_store)
        return w->system_store;
    X509_STORE *s = X509_STORE_new();
    if (s && X509_STORE_set_default_paths_ex(s, w->lib, NULL) != 1) {
        X509_STORE_free(s);
        s = NULL;
    }
    return w->system_store = s;
}

static bool set_authorities(SSL_CTX *ctx, struct tls_worker *w, const struct tls_origin *o)
{
    bool has_crl;
    if (o->ca.len)
        return tls_store_add(SSL_CTX_get_cert_store(ctx), w->lib, o->ca, NULL, &has_crl) > 0;
    X509_STORE *s = system_store(w);
    if (s)
        SSL_CTX_set1_cert_store(ctx, s);
    return s != NULL;
}

static bool set_alpn(SSL_CTX *ctx, const struct tls_origin *o)
{
    unsigned char wire[TLS_ALPN_MAX * 256];
    unsigned int len = 0;
    for (uint32_t i = 0; i < o->alpn_count; i++) {
        size_t n = o->alpn[i].len & 0xff;
        wire[len++] = (unsigned char)n;
        memcpy(wire + len, o->alpn[i].at, n);
        len += (unsigned int)n;
    }
    return len == 0 || SSL_CTX_set_alpn_protos(ctx, wire, len) == 0; /* 0 is success */
}

static bool set_up(SSL_CTX *ctx, struct tls_worker *w, const struct tls_origin *o)
{
    const char *what;
    struct tls_limits_text l = limits_of(o);
    if (!tls_limits_apply(ctx, &l, &what) || !set_alpn(ctx, o))
        return false;
    if (o->cert && !tls_context_use(ctx, w->lib, o->cert))
        return false;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    if (!o->verify)
        return true;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, tls_verify_say);
    return set_authorities(ctx, w, o);
}

static void origin_free(struct tls_worker *w, struct origin_context *c)
{
    list_remove(&c->link);
    w->origin_count--;
    SSL_CTX_free(c->ctx);
    free(c);
}

static struct origin_context *origin_make(struct tls_worker *w, const struct tls_origin *o)
{
    struct origin_context *c = calloc(1, sizeof *c);
    SSL_CTX *ctx = c ? tls_context_new(w) : NULL;
    if (!ctx || !set_up(ctx, w, o)) {
        SSL_CTX_free(ctx);
        free(c);
        ERR_clear_error();
        return NULL;
    }
    if (w->origin_count == ORIGINS_MAX)
        origin_free(w, LIST_ENTRY(w->origins.prev, struct origin_context, link));
    c->id = o->id;
    c->ctx = ctx;
    list_init(&c->link);
    w->origin_count++;
    return c;
}

/* The one that was used last is the first: there are few. */
static SSL_CTX *origin_get(struct tls_worker *w, const struct tls_origin *o)
{
    struct list *at = w->origins.next;
    while (at != &w->origins && LIST_ENTRY(at, struct origin_context, link)->id != o->id)
        at = at->next;
    struct origin_context *c =
        at != &w->origins ? LIST_ENTRY(at, struct origin_context, link) : origin_make(w, o);
    if (!c)
        return NULL;
    list_remove(&c->link);
    list_push_front(&w->origins, &c->link);
    return c->ctx;
}

void tls_origins_release(struct tls_worker *w)
{
    while (!list_empty(&w->origins))
        origin_free(w, LIST_ENTRY(w->origins.next, struct origin_context, link));
    while (!list_empty(&w->session_slots))
        slot_free(w, LIST_ENTRY(w->session_slots.next, struct session_slot, link));
    X509_STORE_free(w->system_store);
    w->system_store = NULL;
}

/* ---- connecting ---- */

static bool is_ip(const char *host)
{
    struct addr a;
    return addr_parse_ip(slice_of(host), &a) == ERR_OK;
}

/* RFC 6066 3: an address is never sent as a name. */
static bool set_name(SSL *ssl, const struct tls_origin *o, const char *host)
{
    bool ip = is_ip(host);
    if (o->verify && !*host)
        return false; /* to OpenSSL no name means any */
    if (!ip && !SSL_set_tlsext_host_name(ssl, host))
        return false;
    if (!o->verify)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
              : SSL_set1_host(ssl, host) == 1;
}

static bool set_session_key(struct tls_conn *t, const struct tls_origin *o, struct slice host)
{
    if (host.len > 1 && host.at[host.len - 1] == '.')
        host.len--; /* of the root: neither SNI (RFC 6066 3) nor certificates have it */
    char *key = malloc(sizeof o->id + host.len + 1);
    if (!key)
        return false;
    memcpy(key, &o->id, sizeof o->id);
    memcpy(key + sizeof o->id, host.at, host.len);
    key[sizeof o->id + host.len] = 0;
    t->session_key = (struct slice){key, sizeof o->id + host.len};
    return true;
}

const char *tls_conn_host(const struct tls_conn *t)
{
    return t->session_key.len ? t->session_key.at + sizeof(uint64_t) : "";
}

static enum err begin(struct tls_conn *t, const struct tls_origin *o)
{
    SSL_CTX *ctx = origin_get(t->worker, o);
    if (!ctx || !tls_conn_start(t, ctx))
        return ERR_NO_MEMORY;
    if (!set_name(t->ssl, o, tls_conn_host(t)))
        return ERR_TLS_HANDSHAKE;
    reuse_session(t);
    ERR_clear_error();
    int res = SSL_do_handshake(t->ssl);
    if (SSL_get_error(t->ssl, res) != SSL_ERROR_WANT_READ)
        return ERR_TLS_HANDSHAKE;
    tls_conn_send(t);
    if (!t->conn->recv_op.armed)
        conn_layer_recv(t->conn);
    return ERR_OK;
}

enum err tls_connect(struct tls_worker *w, struct conn *c, const struct tls_origin *o,
                     struct slice host)
{
    struct tls_conn *t = tls_conn_new(w, c);
    if (!t)
        return ERR_NO_MEMORY;
    if (!set_session_key(t, o, o->name.len ? o->name : host) || !tls_handshake_new(t))
        return ERR_NO_MEMORY;
    return begin(t, o);
}
