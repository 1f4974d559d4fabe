/* tls_conn_priv.h - a TLS connection's layer, its handshake and its worker, shared by the files of
 * this folder.
 *
 * Bytes of the wire wait in two windows: `in`, what was received and OpenSSL has not taken yet, and
 * `out`, what it has written and the kernel has not. Both buffers go back as soon as they are used
 * up: an idle connection holds none. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn_layer.h"
#include "tls/tls.h"
#include <openssl/ssl.h>

enum {
    TLS_RECORD_BYTES = 16384,     /* RFC 8446 5.1: of plaintext, at most */
    TLS_RECORD_EXTRA_BYTES = 256, /* header, nonce, padding and tag of any suite take less */
    TLS_WHY_BYTES = 256,
    TLS_SESSION_S = 7200, /* a session may be resumed for so long */
    TLS_TICKET_ROTATE_S = 4 * 3600,
    TLS_JA4_BYTES = 40
};

struct tls_handshake;

struct tls_conn {
    struct conn *conn;
    struct tls_worker *worker;
    SSL *ssl; /* NULL: no whole ClientHello yet */
    struct buf *in;
    const char *in_at; /* what OpenSSL has not taken of `in` */
    size_t in_len;
    struct buf *out;
    uint32_t out_from, out_len; /* of `out`: unsent from, filled to */
    uint32_t barren_bytes;      /* received in a row that held nothing for the user */
    struct iovec iov;           /* of the send in flight */
    struct task task;           /* tells the user of what is in hand */
    struct tls_handshake *hs;   /* NULL: it is over */
    char *why;                  /* NULL: nothing went wrong */
    struct slice session_key;   /* client's side, owned: origin's id and host, NUL-terminated */
    uint8_t policy_id[TLS_POLICY_ID_BYTES];
    bool is_server;
    bool fin;        /* the wire has ended */
    bool unread;     /* decrypted bytes or whole records may be left */
    bool ended;      /* the peer's output is over, as `end_err` says */
    bool goodbye;    /* our close_notify is on its way, or none is due */
    uint8_t end_err; /* enum err; ERR_OK: close_notify */
    char ja4[TLS_JA4_BYTES];
};

/* Alive from the start to the end of a handshake; the server's side is among those that are counted
 * and may be dropped. */
struct tls_handshake {
    struct list link;  /* server's side: worker->handshakes, the oldest first */
    struct list ready; /* worker->ready: has bytes, waits for its turn */
    struct timer deadline;
    struct tls_conn *t;
    const struct tls_server *server; /* NULL: the client's side */
    const struct tls_identity *identity;
    tls_done *done;
    void *user;
    enum err doom; /* it was dropped (worker->doomed); its done() follows */
};

struct tls_worker {
    struct loop *loop;
    struct tls_tickets *tickets;
    OSSL_LIB_CTX *lib; /* NULL until the first context is made */
    EVP_CIPHER *ticket_cipher;
    X509_STORE *system_store; /* NULL: nobody needed it yet */
    struct list handshakes, doomed;
    uint32_t handshake_count;
    struct list ready;
    struct task turn;              /* one of `ready` goes on */
    struct flush turn_on;          /* the tick ends: the next one may bear another step */
    bool stepped;                  /* this tick had its costly step */
    struct list contexts, origins; /* the least recently used first */
    uint32_t context_count, origin_count;
    struct hash_map context_map;
    struct hash_map sessions; /* origin id and host -> struct session_slot */
    struct list session_slots;
    uint32_t session_count;
    char record[TLS_RECORD_BYTES]; /* small spans become one record here */
};

/* ---- tls_bio.c ---- */

BIO *tls_bio_new(struct tls_conn *t); /* NULL: no memory */
bool tls_bio_init(void);              /* once per process, any thread. False: no memory */
/* Room for `bytes` at once in `out`; a buffer is taken. */
bool tls_out_reserve(struct tls_conn *t, size_t bytes);

/* ---- tls_conn.c ---- */

extern const struct conn_ops tls_conn_ops;
struct tls_conn *tls_conn_new(struct tls_worker *w, struct conn *c); /* sets the layer */
/* Makes its SSL of a context. False: no memory. */
bool tls_conn_start(struct tls_conn *t, SSL_CTX *ctx);
void tls_conn_send(struct tls_conn *t); /* what is in `out`, unless a send is on its way */
void tls_conn_last_words(struct tls_conn *t);
void tls_conn_say(struct tls_conn *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct tls_conn *tls_of(const struct conn *c)
{
    return c->layer && c->ops == &tls_conn_ops ? c->layer : NULL;
}

/* ---- tls_handshake.c ---- */

void tls_handshake_init(struct tls_worker *w);
struct tls_handshake *tls_handshake_new(struct tls_conn *t);
void tls_handshake_free(struct tls_handshake *h);
/* Bytes came, or the end. Called by the layer while t->hs is set. */
void tls_handshake_received(struct tls_conn *t, int res);
/* It goes on when its turn comes: soon, or in a later tick. */
void tls_handshake_queue(struct tls_handshake *h);
void tls_handshake_fail(struct tls_handshake *h, enum err e);

/* The connection ends at once; done() is told in a later tick. */
void tls_handshake_drop(struct tls_handshake *h, enum err e);

/* ---- tls_server.c ---- */

/* Looks whether there is a whole ClientHello now, and queues the handshake or ends it. */
void tls_server_hello(struct tls_handshake *h);
/* Makes the SSL by what the ClientHello asks for. */
enum err tls_server_begin(struct tls_handshake *h) MUST_CHECK;

/* ---- tls_policy.c ---- */

struct tls_limits_text { /* what a policy and an origin have in common, defaults filled in */
    uint16_t version_min, version_max;
    const char *ciphers, *ciphersuites, *groups;
};
struct tls_limits_text tls_limits(uint16_t version_min, uint16_t version_max, const char *ciphers,
                                  const char *ciphersuites, const char *groups);
/* *what: the one that OpenSSL does not take. */
bool tls_limits_apply(SSL_CTX *ctx, const struct tls_limits_text *l, const char **what);
bool tls_limits_check(const struct tls_limits_text *l, struct text *why);
void tls_limits_digest(EVP_MD_CTX *d, const struct tls_limits_text *l);
void tls_slice_digest(EVP_MD_CTX *d, struct slice s);
bool tls_policy_apply(SSL_CTX *ctx, OSSL_LIB_CTX *lib, const struct tls_policy *p);
int tls_verify_say(int ok, X509_STORE_CTX *ctx);
/* Adds the certificates and CRLs of a PEM text; how many certificates, -1: one is malformed. */
int tls_store_add(X509_STORE *store, OSSL_LIB_CTX *lib, struct slice pem,
                  STACK_OF(X509_NAME) * names, bool *has_crl);

/* ---- tls_context.c ---- */

SSL_CTX *tls_context_new(struct tls_worker *w);
/* The worker's context of an identity, until the next call. NULL: no memory. */
SSL_CTX *tls_context_get(struct tls_worker *w, const struct tls_identity *id);
bool tls_context_use(SSL_CTX *ctx, OSSL_LIB_CTX *lib, const struct tls_cert *c);

/* ---- tls_origin.c ---- */

void tls_origins_release(struct tls_worker *w);
const char *tls_conn_host(const struct tls_conn *t); /* what is verified */

/* ---- tls_tickets.c ---- */

int tls_tickets_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int enc);
