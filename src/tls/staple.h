/* staple.h - the OCSP answer that a certificate shows in its handshakes (RFC 6066 8).
 *
 * Owner: counted (atomic); its bytes never change. The main thread puts a new one in place while
 * workers' handshakes take it: a lock in the certificate is held for the few instructions of
 * either, once a handshake. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/cert.h"

struct tls_staple {
    uint32_t refs;
    uint32_t len;
    int64_t this_update, next_update; /* unix seconds; it is shown until next_update */
    uint8_t der[];                    /* OCSPResponse */
};

struct tls_staple *tls_staple_new(struct slice der, int64_t this_update, int64_t next_update);
void tls_staple_drop(struct tls_staple *s); /* NULL: nothing */

/* Puts it in place of the one there was; takes over the caller's count. NULL: none from now on. */
void tls_cert_set_staple(struct tls_cert *c, struct tls_staple *s);
/* What is to be shown now, counted; NULL: none, or it has run out. Any thread. */
struct tls_staple *tls_cert_take_staple(struct tls_cert *c, int64_t now_unix_s);
