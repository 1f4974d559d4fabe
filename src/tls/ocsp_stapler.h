/* ocsp_stapler.h - keeps the stapled answers of all certificates fresh, in the background.
 *
 * One per process, on the main thread's loop. It asks for one certificate at a time, at half of an
 * answer's life, and after failures ever more seldom; an answer that still counts is shown until
 * it runs out. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/loop.h"
#include "net/dns.h"
#include "tls/cert.h"

struct ocsp_stapler;

/* `failed`: a line for the log, without its certificate's answer; may be NULL. From a tick, or
 * from ocsp_stapler_set(). */
struct ocsp_stapler *ocsp_stapler_new(struct loop *l, struct dns *dns,
                                      void (*failed)(void *ctx, const char *line), void *ctx);
void ocsp_stapler_free(struct ocsp_stapler *s); /* NULL: nothing */

/* These are in use from now on (takes counts). What is known of a certificate that was there
 * before stays, its answer too when it was loaded anew from the same file. Certificates that name
 * no responder are passed over; when they demand a staple nevertheless, that is told. */
void ocsp_stapler_set(struct ocsp_stapler *s, struct tls_cert *const *certs, size_t count);

/* How many demand a staple (RFC 7633) but have no answer now: clients refuse those. */
size_t ocsp_stapler_missing(const struct ocsp_stapler *s);
