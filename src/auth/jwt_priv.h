/* jwt_priv.h - what the claims of a token have to say, once its signature holds. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwt.h"
#include <jansson.h>

/* `claims` is an object; `flat` are the same. *expires_s is written in any case. */
enum jwt_verdict jwt_claims_check(const json_t *claims, const struct claim *flat,
                                  const struct jwt_rules *rules, int64_t now_s, int64_t *expires_s);
