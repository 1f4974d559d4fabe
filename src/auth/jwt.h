/* jwt.h - signed tokens: JWS in compact form (RFC 7515) with claims in it (RFC 7519), checked as
 * RFC 8725 says.
 *
 * The keys and the rules decide; the token's header only names the algorithm and the key it means.
 * `none`, `crit` and whatever a key is not for are refused; keys that a header brings along (`jwk`,
 * `jku`, `x5c`, `x5u`) are never looked at. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/claims.h"
#include "auth/jwk.h"
#include <stdint.h>

enum {
    JWT_MAX_BYTES = 16 << 10,
    JWT_HEADER_MAX_BYTES = 4 << 10, /* as it stands in the token */
    JWT_KEYS_TRIED = 8,             /* for one token */
};

/* One row per verdict (jwt_verdict.def): id, name, text. */
enum jwt_verdict {
#define JWT_VERDICT(id, name, text) JWT_##id,
#include "auth/jwt_verdict.def"
#undef JWT_VERDICT
    JWT_VERDICTS
};

struct jwt_verdict_row {
    const char *name; /* stable: logs and metrics print it */
    const char *text; /* for people; tells nothing of the token */
};

const struct jwt_verdict_row *jwt_verdict_row(enum jwt_verdict v);

struct jwt_list {
    const struct slice *at;
    uint32_t count;
};

/* All zero: every algorithm that keys are for, an expiry must be there, nothing else. */
struct jwt_rules {
    uint32_t algs;                      /* bit 1 << enum jwk_alg; 0: all */
    struct jwt_list issuers, audiences; /* one of them must be `iss`, be in `aud`; none: any */
    struct jwt_list required;           /* names of claims, flat, that must be there */
    struct slice subject;               /* .at NULL: any */
    struct slice type;                  /* what `typ` must be, "at+jwt"; .at NULL: anything */
    uint32_t leeway_s;                  /* clocks may differ by so much */
    uint32_t age_max_s;                 /* since `iat`, which must be there then; 0: any */
    bool without_expiry;                /* a token without `exp` is good for ever */
};

struct jwt {
    const struct claim *claims;
    enum jwk_alg alg;
    int64_t expires_s; /* unix seconds; INT64_MAX: never */
};

/* *out, which lives in the arena as nothing of the token does, is written with JWT_GOOD only.
 * Signatures come before claims: of a token that nobody signed, nothing is told. */
enum jwt_verdict jwt_verify(struct jwt *out, struct slice token, const struct jwk_set *keys,
                            const struct jwt_rules *rules, int64_t now_s, struct arena *a);
