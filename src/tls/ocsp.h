/* ocsp.h - asking whether a certificate still stands, and judging the answer (RFC 6960, 5019).
 *
 * Pure but for OpenSSL's random numbers: bytes in and out, time as an argument. The answer is for
 * stapling, so what counts is that a client will accept it: signed by the issuer or by somebody it
 * delegated, "good", of today. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/staple.h"

enum {
    OCSP_SKEW_S = 300,        /* a responder's clock may be that far ahead */
    OCSP_NO_NEXT_S = 3600,    /* how long an answer without nextUpdate is shown */
    OCSP_REFRESH_MIN_S = 300, /* not more often than that, whatever the answer says */
    OCSP_RETRY_FIRST_S = 60,  /* doubled with each failure ... */
    OCSP_RETRY_MAX_S = 3600   /* ... up to here */
};

/* Appends the DER of a request for its leaf. False with *why: the chain has no issuer. */
bool ocsp_request(const struct tls_cert *c, struct text *der, struct text *why);

/* The answer as a staple, whose count is the caller's. ERR_BAD_CONFIG with *why. */
enum err ocsp_check(const struct tls_cert *c, struct slice der, int64_t now_unix_s,
                    struct tls_staple **out, struct text *why) MUST_CHECK;

int64_t ocsp_half_s(const struct tls_staple *s); /* when half of its life is over */
/* When to ask again: after half of the answer's life; spread by `random` so that many certificates
 * do not ask at once. */
int64_t ocsp_refresh_s(const struct tls_staple *s, int64_t now_unix_s, uint32_t random);
/* ... after `failures` in a row (1 and on). */
int64_t ocsp_retry_s(int64_t now_unix_s, uint32_t failures, uint32_t random);
