/* jwk_fuzz_priv.h - what holds for any document of keys; run by the fuzzer on made-up bytes and by
 * a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwk_priv.h"
#include "base/assert.h"
#include <openssl/err.h>

static inline void fuzz_jwk_facts(const struct jwk_set *s)
{
    ASSERT(s->refs == 1 && s->count > 0 && s->count <= JWK_SET_MAX);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct jwk *k = &s->keys[i];
        ASSERT(k->algs != 0 && (k->kind == JWK_SECRET) == (k->pkey == NULL));
        ASSERT(k->kid.len <= JWK_KID_MAX_BYTES);
        for (enum jwk_alg alg = 0; alg < JWK_ALGS; alg++)
            if (k->algs >> alg & 1)
                ASSERT(jwk_algs[alg].kinds >> k->kind & 1 &&
                       k->secret.len >= jwk_algs[alg].secret_min_bytes);
    }
}

/* How many keys are usable. */
static inline size_t fuzz_jwk(const void *at, size_t len)
{
    struct text why = {0};
    struct jwk_set *s = jwk_set_load((struct slice){at, len}, &why);
    size_t count = s ? s->count : 0;
    ASSERT((s == NULL) == (why.len > 0));
    ASSERT(ERR_peek_error() == 0);
    if (s)
        fuzz_jwk_facts(s);
    jwk_set_drop(s);
    text_release(&why);
    return count;
}
