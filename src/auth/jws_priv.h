/* jws_priv.h - one signature against one key (RFC 7515 5.2). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwk_priv.h"

/* The digests are fetched, and JSON's hashes get a secret, once; without memory the process ends.
 * Before any jws_check(). */
void jws_prepare(void);
/* `key` must be one that may verify `alg`. What a check needs is kept with its thread. */
bool jws_check(const struct jwk *key, enum jwk_alg alg, struct slice text, struct slice sig);
/* The same for a key of a set. A thread remembers which signatures it has found to be good: clients
 * show a token again and again, and a check of ECDSA costs as much as everything else of a request.
 * A set that takes the place of another begins anew. */
bool jws_check_of_set(const struct jwk_set *set, const struct jwk *key, enum jwk_alg alg,
                      struct slice text, struct slice sig);

enum { JWS_DER_MAX_BYTES = 3 + 2 * (2 + 1 + 66) };
/* The r and s of RFC 7518 3.4, each half of `sig`, as the ECDSA-Sig-Value of X.509. Returns the
 * length; sig has an even number of bytes, at most 132. */
size_t jws_der_of(uint8_t to[JWS_DER_MAX_BYTES], struct slice sig);
