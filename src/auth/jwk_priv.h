/* jwk_priv.h - how sets of keys are made, and what is known of each algorithm. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwk.h"

enum jwk_hash { JWK_SHA256, JWK_SHA384, JWK_SHA512, JWK_HASHES, JWK_NO_HASH = JWK_HASHES };

struct jwk_alg_row {
    const char *name;
    uint32_t kinds; /* bit 1 << enum jwk_kind */
    enum jwk_hash hash;
    uint16_t secret_min_bytes;
    bool pss;
};

extern const struct jwk_alg_row jwk_algs[JWK_ALGS];

/* An empty one with room for JWK_SET_MAX keys and one count. */
struct jwk_set *jwk_set_new(void);
/* The set when there is a key in it, else NULL with *why. */
struct jwk_set *jwk_set_done(struct jwk_set *s, struct text *why);

/* Each adds a key, or counts one that was skipped. `template` says kid, and in algs what may be at
 * all. The pkey is consumed; NULL is one that could not be read. */
void jwk_set_add_pkey(struct jwk_set *s, EVP_PKEY *pkey, const struct jwk *template);
void jwk_set_add_secret(struct jwk_set *s, struct slice secret, const struct jwk *template);
