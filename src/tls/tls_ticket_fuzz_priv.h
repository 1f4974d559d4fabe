/* tls_ticket_fuzz_priv.h - what holds for whatever a client shows as its ticket: the handshake ends
 * well, and a session is resumed by nothing but a ticket of ours as it was given. Run by the fuzzer
 * on made-up bytes and by a unit test on the corpus.
 *
 * The first byte of the input chooses the version (bit 0) and what the rest is (bits 1 and 2): the
 * ticket itself, pairs of place and mask that change a good one, or the same behind a good one's
 * first bytes, so many as the second byte says. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/tls_pair_priv.h"
#include <string.h>

enum { FORGED_BYTES_MAX = 2048, FORGED_SESSION_MAX = 8192 };

static inline const uint8_t *forged_find(const uint8_t *in, size_t in_len, const void *at,
                                         size_t len)
{
    const uint8_t *found = memmem(in, in_len, at, len);
    ASSERT(found);
    return found;
}

/* DER: tag and length, always of three bytes (X.690 8.1.3.5). */
static inline uint8_t *forged_head(uint8_t *to, uint8_t tag, size_t len)
{
    to[0] = tag;
    to[1] = 0x82;
    to[2] = (uint8_t)(len >> 8);
    to[3] = (uint8_t)len;
    return to + 4;
}

/* How many bytes the head has that ends before `content`. */
static inline size_t forged_head_bytes(size_t content_len)
{
    return content_len < 128 ? 2 : content_len < 256 ? 3 : 4;
}

/* The same session with another ticket. OpenSSL has no call for it, so its DER form is rewritten:
 * SEQUENCE { ..., [10] { OCTET STRING ticket }, ... }. */
static inline SSL_SESSION *forged_session(SSL_SESSION *s, const uint8_t *ticket, size_t len)
{
    static uint8_t der[FORGED_SESSION_MAX], to[FORGED_SESSION_MAX + FORGED_BYTES_MAX + 16];
    const unsigned char *old;
    size_t old_len;
    unsigned char *at = der;
    SSL_SESSION_get0_ticket(s, &old, &old_len);
    ASSERT(i2d_SSL_SESSION(s, NULL) <= FORGED_SESSION_MAX);
    size_t whole = (size_t)i2d_SSL_SESSION(s, &at);
    const uint8_t *content = forged_find(der, whole, old, old_len), *rest = content + old_len;
    size_t inner = forged_head_bytes(old_len);
    const uint8_t *head = content - inner - forged_head_bytes(old_len + inner);
    const uint8_t *first = der + (der[1] < 0x80 ? 2 : 2 + (der[1] & 0x7f));
    ASSERT(head[0] == 0xaa);
    size_t before = (size_t)(head - first), after = (size_t)(der + whole - rest);
    uint8_t *out = forged_head(to, 0x30, before + 8 + len + after);
    out = mempcpy(out, first, before);
    out = forged_head(out, 0xaa, len + 4);
    out = forged_head(out, 0x04, len);
    out = mempcpy(out, ticket, len);
    out = mempcpy(out, rest, after);
    const unsigned char *from = to;
    return d2i_SSL_SESSION(NULL, &from, out - to);
}

/* A handshake that shows this ticket for a session; false: it failed. *resumed: the server took it.
 */
static inline bool forged_shake(struct pair *p, const struct tls_identity *id, SSL_SESSION *s,
                                struct slice ticket, bool *resumed)
{
    SSL_SESSION *forged = forged_session(s, (const uint8_t *)ticket.at, ticket.len);
    ASSERT(forged);
    pair_begin(p, id, SSL_SESSION_get_protocol_version(s));
    SSL_set_session(p->client, forged);
    bool ok = pair_shake(p);
    *resumed = ok && SSL_session_reused(p->ssl);
    pair_end(p);
    SSL_SESSION_free(forged);
    return ok;
}

/* A session that began just now, the caller's. */
static inline SSL_SESSION *forged_from(struct pair *p, const struct tls_identity *id, int version)
{
    pair_begin(p, id, version);
    bool ok = pair_shake(p);
    ASSERT(ok && p->session);
    pair_end(p);
    SSL_SESSION *s = p->session;
    p->session = NULL;
    return s;
}

static inline struct slice forged_ticket(SSL_SESSION *s)
{
    const unsigned char *at;
    size_t len;
    SSL_SESSION_get0_ticket(s, &at, &len);
    ASSERT(len > 100 && len < FORGED_BYTES_MAX);
    return (struct slice){(const char *)at, len};
}

/* Writes the ticket that the input stands for. */
static inline size_t forged_make(const uint8_t *at, size_t len, const uint8_t *good,
                                 size_t good_len, uint8_t *to)
{
    uint8_t how = len ? at[0] >> 1 & 3 : 0;
    size_t n = 0;
    at += len > 0;
    len -= len > 0;
    if (how == 1) {
        memcpy(to, good, good_len);
        for (; len >= 2; at += 2, len -= 2)
            to[at[0] % good_len] ^= at[1];
        return good_len;
    }
    if (how > 1 && len) {
        n = at[0] < good_len ? at[0] : good_len;
        memcpy(to, good, n);
        at++;
        len--;
    }
    len = len < FORGED_BYTES_MAX - n ? len : FORGED_BYTES_MAX - n;
    memcpy(to + n, at, len);
    return n + len;
}

/* `sessions`: one of each version, the older first. */
static inline bool ticket_fuzz(struct pair *p, const struct tls_identity *id,
                               SSL_SESSION *const sessions[2], const uint8_t *at, size_t len)
{
    uint8_t bytes[FORGED_BYTES_MAX];
    SSL_SESSION *s = sessions[len && at[0] & 1];
    struct slice good = forged_ticket(s);
    size_t n = forged_make(at, len, (const uint8_t *)good.at, good.len, bytes);
    struct slice ticket = {(char *)bytes, n};
    bool resumed, ok = forged_shake(p, id, s, ticket, &resumed);
    ASSERT(ok && resumed == slice_eq(ticket, good));
    return resumed;
}
