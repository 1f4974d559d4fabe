/* cert_known.c - the certificates that this process has, found again by the texts they were read
 * from.
 *
 * A reload reads the same files again; parsing a pair takes 100 times as long as hashing it, and
 * whoever finds the same object keeps what hangs on it: the workers' contexts and the stapled
 * answer. Nothing is kept alive here: the last count takes a certificate out and frees it, so that
 * a key that nobody uses is gone at once. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "tls/cert_priv.h"
#include <openssl/evp.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hash_map known; /* text_id -> struct tls_cert */

static struct slice id_slice(const uint8_t id[CERT_TEXT_ID_BYTES])
{
    return (struct slice){(const char *)id, CERT_TEXT_ID_BYTES};
}

void cert_text_id(struct slice cert_pem, struct slice key_pem, uint8_t id[CERT_TEXT_ID_BYTES])
{
    uint64_t len = cert_pem.len;
    EVP_MD_CTX *d = mem_must(EVP_MD_CTX_new(), 0);
    bool ok = EVP_DigestInit_ex(d, EVP_sha256(), NULL) && EVP_DigestUpdate(d, &len, sizeof len) &&
              EVP_DigestUpdate(d, cert_pem.at, cert_pem.len) &&
              EVP_DigestUpdate(d, key_pem.at, key_pem.len) && EVP_DigestFinal_ex(d, id, NULL);
    mem_must(ok ? d : NULL, 0);
    EVP_MD_CTX_free(d);
}

struct tls_cert *cert_known_take(const uint8_t id[CERT_TEXT_ID_BYTES])
{
    pthread_mutex_lock(&lock);
    struct tls_cert *c = hash_map_find(&known, id_slice(id));
    if (c)
        tls_cert_take(c);
    pthread_mutex_unlock(&lock);
    return c;
}

void cert_known_add(struct tls_cert *c)
{
    pthread_mutex_lock(&lock);
    c->known = !hash_map_find(&known, id_slice(c->text_id));
    if (c->known)
        hash_map_put(&known, id_slice(c->text_id), c);
    pthread_mutex_unlock(&lock);
}

static void take_out(struct tls_cert *c)
{
    hash_map_remove(&known, id_slice(c->text_id));
    if (known.count > 0)
        return;
    hash_map_release(&known);
    hash_map_init(&known);
}

/* Under the lock, lest somebody finds what is being freed. */
bool cert_known_drop(struct tls_cert *c)
{
    pthread_mutex_lock(&lock);
    bool last = __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last && c->known)
        take_out(c);
    pthread_mutex_unlock(&lock);
    return last;
}
