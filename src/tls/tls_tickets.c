/* tls_tickets.c - the keys that seal session tickets (RFC 5077 4, RFC 8446 4.6.1).
 *
 * The newest key seals, the older ones still open, until every ticket that they sealed has run out.
 * Keys are random, live in memory alone and change by time, so that one that leaks opens a few
 * hours of recorded TLS 1.2 sessions at most (1.3 sessions have a key exchange of their own, even
 * when resumed). All workers use the same ones: a lock is held while a key is copied, once a
 * handshake. The key of another worker process comes and goes as bytes, by way of the supervisor.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/rand.h"
#include "tls/key_heap.h"
#include "tls/tls_conn_priv.h"
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { NAME_BYTES = 16, KEY_BYTES = 32, KEYS = 3 };

struct key {
    uint8_t name[NAME_BYTES], cipher[KEY_BYTES], mac[KEY_BYTES];
    int64_t made_s; /* unix; 0: none */
};

_Static_assert(1 + KEYS * sizeof(struct key) == TLS_TICKETS_BYTES, "");
_Static_assert((KEYS - 1) * TLS_TICKET_ROTATE_S >= TLS_SESSION_S, "a key opens what it sealed");

struct tls_tickets {
    pthread_mutex_t lock;
    struct key keys[KEYS]; /* the newest first */
};

/* By the system, not by OpenSSL: keys are made in processes that never speak TLS, too. */
static void make_key(struct key *k, int64_t now_s)
{
    k->made_s = now_s;
    rand_secret(k->name, NAME_BYTES);
    rand_secret(k->cipher, KEY_BYTES);
    rand_secret(k->mac, KEY_BYTES);
}

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t = key_heap_take(sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void tls_tickets_free(struct tls_tickets *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    key_heap_wipe(t, sizeof *t);
}

/* ---- choosing a key ---- */

static bool is_due(const struct tls_tickets *t, int64_t now_s)
{
    int64_t age_s = now_s - t->keys[0].made_s;
    return t->keys[0].made_s == 0 || age_s >= TLS_TICKET_ROTATE_S || age_s < -60;
}

static void rotate(struct tls_tickets *t, int64_t now_s)
{
    if (!is_due(t, now_s))
        return;
    memmove(t->keys + 1, t->keys, (KEYS - 1) * sizeof(struct key));
    make_key(&t->keys[0], now_s);
}

void tls_tickets_rotate(struct tls_tickets *t, int64_t now_unix_s)
{
    pthread_mutex_lock(&t->lock);
    rotate(t, now_unix_s);
    pthread_mutex_unlock(&t->lock);
}

static void key_to_seal(struct tls_tickets *t, int64_t now_s, struct key *out)
{
    pthread_mutex_lock(&t->lock);
    rotate(t, now_s);
    *out = t->keys[0];
    pthread_mutex_unlock(&t->lock);
}

/* Its place: 0 is the newest. -1: it is none of ours any more. */
static int key_to_open(struct tls_tickets *t, const uint8_t *name, struct key *out)
{
    int found = -1;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < KEYS && found < 0; i++)
        if (t->keys[i].made_s && memcmp(t->keys[i].name, name, NAME_BYTES) == 0)
            found = i;
    if (found >= 0)
        *out = t->keys[found];
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* ---- OpenSSL's callback ---- */

static bool set_mac(EVP_MAC_CTX *mac, struct key *k)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, KEY_BYTES),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(struct tls_worker *w, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
                EVP_MAC_CTX *mac)
{
    struct key k;
    key_to_seal(w->tickets, w->loop->unix_ms / 1000, &k);
    bool ok = RAND_bytes_ex(w->lib, iv, EVP_CIPHER_get_iv_length(w->ticket_cipher), 0) == 1 &&
              EVP_EncryptInit_ex2(c, w->ticket_cipher, k.cipher, iv, NULL) && set_mac(mac, &k);
    if (ok)
        memcpy(name, k.name, NAME_BYTES);
    explicit_bzero(&k, sizeof k);
    return ok ? 1 : -1;
}

/* 2: opened, and the client is to have a new one: for the sake of a newer key, or of TLS 1.3, where
 * each is used once. */
static int open_sealed(struct tls_conn *t, const unsigned char *name, const unsigned char *iv,
                       EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac)
{
    struct key k;
    struct tls_worker *w = t->worker;
    int at = key_to_open(w->tickets, name, &k);
    if (at < 0)
        return 0;
    bool ok = EVP_DecryptInit_ex2(c, w->ticket_cipher, k.cipher, iv, NULL) && set_mac(mac, &k);
    explicit_bzero(&k, sizeof k);
    return !ok ? -1 : at > 0 || SSL_version(t->ssl) >= TLS1_3_VERSION ? 2 : 1;
}

int tls_tickets_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int enc)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    return enc ? seal(t->worker, name, iv, cipher, mac) : open_sealed(t, name, iv, cipher, mac);
}

/* ---- as bytes ---- */

void tls_tickets_export(struct tls_tickets *t, uint8_t to[TLS_TICKETS_BYTES])
{
    to[0] = 1; /* the format */
    pthread_mutex_lock(&t->lock);
    /* Tickets that are given out from now on must be those that the next process knows. */
    if (!t->keys[0].made_s)
        make_key(&t->keys[0], time(NULL));
    memcpy(to + 1, t->keys, sizeof t->keys);
    pthread_mutex_unlock(&t->lock);
}

bool tls_tickets_import(struct tls_tickets *t, const uint8_t *from, size_t len)
{
    if (len != TLS_TICKETS_BYTES || from[0] != 1)
        return false;
    pthread_mutex_lock(&t->lock);
    memcpy(t->keys, from + 1, sizeof t->keys);
    pthread_mutex_unlock(&t->lock);
    return true;
}
