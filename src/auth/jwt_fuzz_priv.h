/* jwt_fuzz_priv.h - what holds for any token; run by the fuzzer on made-up bytes and by a unit test
 * on the corpus.
 *
 * The bytes before the first line's end are header, the rest claims: they are encoded and signed,
 * so that changes reach what base64url and the signature hide. Without a line's end they are the
 * token itself. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwt.h"
#include "auth/jwt_rig_test.h"

static const char JWT_FUZZ_SECRET[] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static inline void fuzz_jwt_facts(const struct jwt *jwt)
{
    unsigned count = 0;
    ASSERT(jwt->alg == JWK_HS256 || jwt->alg == JWK_HS384 || jwt->alg == JWK_HS512);
    for (const struct claim *c = jwt->claims; c; c = c->next, count++)
        ASSERT(c->name.at && c->value.at && strlen(c->value.at) == c->value.len);
    ASSERT(count <= CLAIMS_MAX && jwt->expires_s > 1000 - 60);
}

/* A token that is good with HS256 as its header says; the rig signs with nothing else. */
static inline void fuzz_jwt_make(struct text *to, struct slice bytes)
{
    struct rig_signer s = {.secret = slice_of(JWT_FUZZ_SECRET)};
    struct slice header, rest = bytes;
    slice_cut(&rest, '\n', &header);
    if (!rest.at || bytes.len > 10 << 10) {
        text_add(to, bytes);
        return;
    }
    s.alg = memmem(header.at, header.len, "HS512", 5) ? JWK_HS512 : JWK_HS256;
    rig_token(to, &s, header, rest);
}

/* Whether it is good. */
static inline size_t fuzz_jwt(const void *at, size_t len)
{
    static struct jwk_set *keys;
    static const struct jwt_rules rules = {.leeway_s = 60};
    struct arena arena;
    struct text token = {0}, why = {0};
    struct jwt jwt;
    if (!keys)
        keys = jwk_set_of_secret(slice_of(JWT_FUZZ_SECRET), &why);
    text_add(&token, SLICE("")); /* .at is not NULL */
    fuzz_jwt_make(&token, (struct slice){at, len});
    arena_init(&arena, 256 << 10);
    enum jwt_verdict v = jwt_verify(&jwt, text_slice(&token), keys, &rules, 1000, &arena);
    ASSERT(v < JWT_VERDICTS && jwt_verdict_row(v)->name);
    if (v == JWT_GOOD)
        fuzz_jwt_facts(&jwt);
    arena_release(&arena);
    text_release(&token);
    return v == JWT_GOOD;
}
