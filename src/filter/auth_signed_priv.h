/* auth_signed_priv.h - what signed URLs and signed requests share: keys, and what a verdict means.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/signed.h"
#include "filter/auth_priv.h"

/* The keys that are the words of the directive; counted by the snapshot. NULL after an error. */
struct jwk_set *signed_keys_read(struct conf_build *b, const struct conf_node *n);

/* Counts it, and notes its word for the log. */
enum auth_verdict signed_refuse(struct exchange *x, enum signed_verdict v);
/* Whoever signed is known by the id of the key. */
enum auth_verdict signed_grant(struct exchange *x, const char *method, const struct jwk *key);
