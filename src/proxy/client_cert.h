/* client_cert.h - the certificate that a client showed in the handshake, and that was verified: for
 * filters, which know no TLS. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>

struct exchange;

enum cert_name { CERT_CN, CERT_EMAIL, CERT_DNS, CERT_URI };
enum cert_fact { CERT_SUBJECT, CERT_FINGERPRINT, CERT_SERIAL };

/* Calls it with each name by itself, as it stands in the certificate. False: there is none that was
 * verified. */
typedef void cert_name_fn(void *ctx, enum cert_name kind, struct slice name);
bool client_cert_names(const struct exchange *x, cert_name_fn *found, void *ctx);
/* In the exchange's arena; .at NULL: there is none, or memory is spent. */
struct slice client_cert_fact(struct exchange *x, enum cert_fact which);
