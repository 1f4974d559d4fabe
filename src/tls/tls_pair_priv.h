/* tls_pair_priv.h - a server's SSL as a worker makes it and a client of OpenSSL's, joined in
 * memory: for what clients can say that our own client does not, such as forged tickets. No loop
 * runs; its clock stands still. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "io/loop.h"
#include "tls/cert_make_priv.h"
#include "tls/tls_conn_priv.h"
#include <openssl/err.h>
#include <stdlib.h>
#include <time.h>

/* An identity for as long as the process lives. */
static inline struct tls_identity *pair_identity(const struct made_spec *spec)
{
    struct tls_identity *id = calloc(1, sizeof *id);
    struct text cert = {0}, key = {0}, why = {0};
    struct tls_cert *c = NULL;
    struct made m = made_new(spec);
    made_cert_pem(&m, &cert);
    made_key_pem(&m, NULL, &key);
    enum err e = tls_cert_load(&c, text_slice(&cert), text_slice(&key), &why);
    bool sealed = id && tls_policy_seal(&id->policy, &why);
    ASSERT(e == ERR_OK && sealed);
    id->certs[c->kind] = c;
    made_free(&m);
    text_release(&cert);
    text_release(&key);
    text_release(&why);
    return id;
}

struct pair {
    struct loop loop; /* lends its clock */
    struct tls_tickets *tickets;
    struct tls_worker *worker;
    SSL_CTX *client_ctx;
    struct tls_server server;
    struct tls_handshake hs;
    struct tls_conn conn; /* the server's side of the handshake that runs */
    SSL *client, *ssl;
    SSL_SESSION *session; /* what the server gave last, owned */
};

static inline int pair_keep(SSL *ssl, SSL_SESSION *session)
{
    struct pair *p = SSL_get_app_data(ssl);
    SSL_SESSION_free(p->session);
    p->session = session;
    return 1;
}

static inline void pair_init(struct pair *p)
{
    *p = (struct pair){.tickets = tls_tickets_new()};
    p->loop.unix_ms = (int64_t)time(NULL) * 1000;
    p->worker = tls_worker_new(&p->loop, p->tickets);
    p->client_ctx = SSL_CTX_new(TLS_client_method());
    ASSERT(p->worker && p->client_ctx);
    SSL_CTX_set_session_cache_mode(p->client_ctx,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(p->client_ctx, pair_keep);
}

/* The next handshake's ends; whoever wants to sets more in p->client before pair_shake(). */
static inline void pair_begin(struct pair *p, const struct tls_identity *id, int version)
{
    BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
    SSL_CTX *ctx = tls_context_get(p->worker, id);
    ASSERT(up && down && ctx);
    p->client = SSL_new(p->client_ctx);
    p->ssl = SSL_new(ctx);
    ASSERT(p->client && p->ssl);
    p->hs = (struct tls_handshake){.t = &p->conn, .server = &p->server, .identity = id};
    p->conn =
        (struct tls_conn){.worker = p->worker, .ssl = p->ssl, .hs = &p->hs, .is_server = true};
    SSL_set_app_data(p->ssl, &p->conn);
    SSL_set_app_data(p->client, p);
    SSL_set_max_proto_version(p->client, version);
    BIO_up_ref(up);
    BIO_up_ref(down);
    SSL_set_bio(p->client, down, up);
    SSL_set_bio(p->ssl, up, down);
    SSL_set_connect_state(p->client);
    SSL_set_accept_state(p->ssl);
}

/* False: one of them gave up. Reads on the client, so that it sees its ticket. */
static inline bool pair_shake(struct pair *p)
{
    char byte;
    bool up = false, down = false;
    for (int i = 0; i < 10 && !(up && down); i++) {
        up = SSL_do_handshake(p->client) == 1;
        down = SSL_do_handshake(p->ssl) == 1;
    }
    if (up && down)
        (void)SSL_read(p->client, &byte, 1);
    ERR_clear_error();
    return up && down;
}

static inline void pair_end(struct pair *p)
{
    free(p->conn.why);
    SSL_free(p->client);
    SSL_free(p->ssl);
    p->client = p->ssl = NULL;
}

static inline void pair_release(struct pair *p)
{
    SSL_SESSION_free(p->session);
    SSL_CTX_free(p->client_ctx);
    tls_worker_free(p->worker);
    tls_tickets_free(p->tickets);
}
