/* ocsp_fetch.h - one question to an OCSP responder over a loop: name, connection, POST, answer.
 *
 * Owner: whoever started it, until done() or ocsp_fetch_cancel(). Nothing blocks; everything
 * together ends by the deadline. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn.h"
#include "net/dns.h"

enum { OCSP_FETCH_MS = 10000 /* the deadline */, OCSP_FETCH_ADDRS_MAX = 4 };

struct ocsp_fetch;

/* Once, from a tick. `body` is empty when it failed: *why says so. Both live until it returns; the
 * fetch is gone then. */
typedef void ocsp_fetched(void *ctx, struct slice body, const char *why);

/* `url` and `request_der` are copied. NULL: the URL is none that weir asks. */
struct ocsp_fetch *ocsp_fetch_start(struct loop *l, struct dns *dns, struct slice url,
                                    struct slice request_der, ocsp_fetched *done, void *ctx);
void ocsp_fetch_set_deadline(struct ocsp_fetch *f, int64_t at_ms); /* loop time */
void ocsp_fetch_cancel(struct ocsp_fetch *f);                      /* no done() */
