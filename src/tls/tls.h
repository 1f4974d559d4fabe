/* tls.h - TLS on connections: what a listener shows, how an origin is verified, the handshakes.
 *
 * The configuration makes a tls_server per listener and a tls_origin per upstream (immutable,
 * shared by the workers). Each worker has one tls_worker: its own OpenSSL library context and one
 * SSL_CTX for each identity it has used, because contexts that threads share cost about a tenth
 * more. A TLS connection is a `struct conn` (net/conn.h) with other conn_ops: whoever uses it after
 * the handshake does not notice.
 *
 * Sources: RFC 8446, 5246, 6066 (SNI), 7301 (ALPN), 5077 and 8446 4.6.1 (tickets), 7633. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "net/conn.h"
#include "tls/cert.h"

struct ssl_st;

/* ---- what a site shows and asks for ---- */

enum tls_client_cert { TLS_CLIENT_CERT_OFF, TLS_CLIENT_CERT_OPTIONAL, TLS_CLIENT_CERT_REQUIRED };

/* Mozilla's terms; see tls_policy.c for what they stand for. */
enum tls_profile { TLS_PROFILE_INTERMEDIATE, TLS_PROFILE_MODERN };

enum { TLS_POLICY_ID_BYTES = 16 };

struct tls_policy {
    enum tls_profile profile;
    uint16_t version_min, version_max; /* as on the wire: 0x0303, 0x0304; 0: the profile's */
    const char *ciphers;               /* TLS 1.2, OpenSSL's list; NULL: the profile's */
    const char *ciphersuites;          /* TLS 1.3 */
    const char *groups;
    enum tls_client_cert client_cert;
    struct slice client_ca; /* PEM, with the CRLs among it if any; empty: none */
    bool check_crl;
    int verify_depth; /* certificates between a client's and its authority, at most */
    /* Set by tls_policy_seal(): a digest of all of the above. Two sites whose ids differ do not
     * share handshakes or sessions: a request for one over the other's connection gets 421. */
    uint8_t id[TLS_POLICY_ID_BYTES];
};

/* Checks it (unknown ciphers, no certificate in client_ca) and sets the id. False with *why. */
bool tls_policy_seal(struct tls_policy *p, struct text *why);

/* What a client gets that asks for a name: at most one certificate of each kind. */
struct tls_identity {
    struct tls_policy policy;
    struct tls_cert *certs[TLS_KEY_KINDS]; /* counted; NULL: none of that kind */
};

/* ---- what a listener shows (tls_server.c) ---- */

enum { TLS_ALPN_MAX = 4 };

struct tls_server {
    struct hash_map exact;           /* host -> struct tls_identity */
    struct hash_map wildcards;       /* "example.com" of "*.example.com" -> struct tls_identity */
    struct tls_identity *fallback;   /* no or an unknown name; NULL: unrecognized_name */
    struct slice alpn[TLS_ALPN_MAX]; /* in our order of preference */
    uint32_t alpn_count;
    int64_t handshake_ms;    /* from accept to its end */
    uint32_t handshakes_max; /* of one worker; the oldest is dropped for a new one */
};

/* `host` in lower case; looks as site_lookup() does: exact, wildcard, fallback. */
const struct tls_identity *tls_server_find(const struct tls_server *s, struct slice host);

/* ---- how origins are reached (tls_origin.c) ---- */

struct tls_origin {
    bool verify;           /* off only when somebody wrote so */
    struct slice ca;       /* PEM; empty: the system's bundle */
    struct slice name;     /* verified and sent as SNI; empty: the host of the server line */
    struct tls_cert *cert; /* shown when asked; NULL: none. Counted */
    uint16_t version_min, version_max;
    const char *ciphers, *ciphersuites, *groups;
    struct slice alpn[TLS_ALPN_MAX];
    uint32_t alpn_count;
    uint64_t id; /* digest of all above: sessions and contexts are found by it */
};

bool tls_origin_seal(struct tls_origin *o, struct text *why); /* checks it and sets the id */

/* ---- what is shared by all workers ---- */

/* Keys that seal session tickets: made in memory, rotated by time, never written to a disk. They
 * survive reloads, and worker processes by way of the supervisor (tls_tickets_export()). */
struct tls_tickets;
enum { TLS_TICKETS_BYTES = 1 + 3 * 88 };
struct tls_tickets *tls_tickets_new(void);
void tls_tickets_free(struct tls_tickets *t);
/* Keys go when they are due. Handshakes see to that, too; this is for when there are none. */
void tls_tickets_rotate(struct tls_tickets *t, int64_t now_unix_s);
/* The keys as bytes that the next worker process imports: secret, wipe them. */
void tls_tickets_export(struct tls_tickets *t, uint8_t to[TLS_TICKETS_BYTES]);
/* Takes them in place of its own. False: they are no such bytes; nothing has changed. */
bool tls_tickets_import(struct tls_tickets *t, const uint8_t *from, size_t len);

/* ---- a worker's side ---- */

struct tls_worker;
struct tls_worker *tls_worker_new(struct loop *l, struct tls_tickets *t); /* NULL: no memory */
/* Drops the handshakes that clients have begun, for a worker that takes on nothing new; those with
 * servers go on. done() with ERR_SHUTTING_DOWN follows from the loop. */
void tls_worker_drain(struct tls_worker *w);
/* Ends the handshakes that clients have begun, done() with ERR_SHUTTING_DOWN. When the worker is
 * through with its sessions; loop_release() and tls_worker_free() follow in this order. */
void tls_worker_stop(struct tls_worker *w);
void tls_worker_free(struct tls_worker *w); /* after its last connection */

/* How a handshake went. Called once, from the loop; never from inside tls_accept(). On ERR_OK the
 * connection is open and belongs to the callee (conn_set_user()); otherwise it is closed by the
 * caller already, counted and logged, and `c` is NULL. */
typedef void tls_done(void *user, struct conn *c, enum err e);

/* Begins the server's side of a handshake on an accepted descriptor, which it owns from here on.
 * `s` and `user` must live until done(). False: no memory; the descriptor is closed, no done(). */
bool tls_accept(struct tls_worker *w, const struct tls_server *s, int fd, tls_done *done,
                void *user) MUST_CHECK;
/* The same on a connection that was made of one, whose user is to be replaced. */
bool tls_accept_conn(struct tls_worker *w, const struct tls_server *s, struct conn *c,
                     tls_done *done, void *user) MUST_CHECK;
/* Ends the connection now, for `e`, if such a handshake is going on; done() follows from the loop.
 * False: none is, and nothing was done. */
bool tls_accept_drop(struct conn *c, enum err e);

/* Begins the client's side on a connection that was just opened; on_open() of its user is called
 * (again) when the handshake ended: ERR_OK or ERR_TLS_*. `host` is what the server line names. */
enum err tls_connect(struct tls_worker *w, struct conn *c, const struct tls_origin *o,
                     struct slice host) MUST_CHECK;

/* ---- facts about an open TLS connection ---- */

bool conn_is_tls(const struct conn *c);

enum tls_fact {
    TLS_FACT_VERSION, /* "TLSv1.3" */
    TLS_FACT_CIPHER,
    TLS_FACT_SNI,
    TLS_FACT_ALPN,
    TLS_FACT_RESUMED, /* "yes", "no" */
    TLS_FACT_JA4,
    TLS_FACT_CLIENT_SUBJECT, /* RFC 2253 */
    TLS_FACT_CLIENT_SAN,
    TLS_FACT_CLIENT_SERIAL,      /* hexadecimal */
    TLS_FACT_CLIENT_FINGERPRINT, /* SHA-256, hexadecimal */
    TLS_FACT_COUNT
};

/* Each name of the client's certificate by itself, as it stands there; those with control
 * characters are left out. False: there is no certificate, or it was not verified. */
enum tls_client_name { TLS_CLIENT_CN, TLS_CLIENT_EMAIL, TLS_CLIENT_DNS, TLS_CLIENT_URI };
typedef void tls_client_name_fn(void *ctx, enum tls_client_name kind, struct slice name);
bool tls_client_names(const struct conn *c, tls_client_name_fn *found, void *ctx);
/* Writes it to `to`; nothing when there is none or the connection is plain. */
void tls_fact_write(const struct conn *c, enum tls_fact which, struct text *to);
/* What both sides agreed on by ALPN, borrowed; empty: nothing, or plain. Allocates nothing. */
struct slice tls_alpn(const struct conn *c);
/* The policy its handshake was made by; NULL: plain. For 421. */
const uint8_t *tls_policy_id(const struct conn *c);
/* Why the last handshake or verification with this origin failed, in words; "" when it did not. */
const char *tls_why(const struct conn *c);
