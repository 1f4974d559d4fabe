/* oidc.h - the texts of logins by OpenID Connect: what a provider says of itself (Discovery 1.0),
 * what it answers for a code or a refresh token (Core 1.0, RFC 6749), and what weir itself keeps
 * in cookies between a login's two halves, and of a session.
 *
 * All of it is JSON. Slices live in the arena that was given, or in the provider. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/claims.h"
#include "base/arena.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

/* Counted; never changes. */
struct oidc_provider {
    uint32_t refs; /* atomic */
    struct slice issuer, authorization_endpoint, token_endpoint, jwks_uri;
    struct slice end_session_endpoint; /* .at NULL: there is none */
    bool secret_in_body;               /* it takes client_secret_post, and no client_secret_basic */
    bool names_issuer;                 /* in answers to logins (RFC 9207) */
    struct arena arena;
};

/* NULL: *why got half a sentence. One count. */
struct oidc_provider *oidc_provider_read(struct slice json, struct text *why);
struct oidc_provider *oidc_provider_take(struct oidc_provider *p);
void oidc_provider_drop(struct oidc_provider *p); /* NULL is fine */

/* An answer of the token endpoint. */
struct oidc_tokens {
    struct slice id_token;      /* .at NULL: none */
    struct slice refresh_token; /* .at NULL: none */
    int64_t expires_in_s;       /* of the access token; 0: not said */
};

/* False: it is none; *error gets the code of RFC 6749 5.2 when it has one (.at NULL: not). */
bool oidc_tokens_read(struct slice json, struct oidc_tokens *out, struct slice *error,
                      struct arena *a);

/* Between the way to the provider and the way back. */
struct oidc_login {
    struct slice state, nonce, verifier; /* verifier: of PKCE (RFC 7636) */
    struct slice target;                 /* where it is to end: path and query */
    int64_t ends_s;
};

/* Three random values of 32 bytes, as base64url. False: the arena is spent. */
bool oidc_login_new(struct oidc_login *l, struct slice target, int64_t ends_s, struct arena *a);
void oidc_login_write(const struct oidc_login *l, struct text *out);
bool oidc_login_read(struct slice text, struct oidc_login *l, struct arena *a);
/* base64url(SHA-256(verifier)): the code_challenge of S256; 43 characters. */
enum { OIDC_CHALLENGE_CHARS = 43 };
void oidc_challenge(struct slice verifier, char to[OIDC_CHALLENGE_CHARS]);

/* Somebody who logged in. */
struct oidc_session {
    uint64_t number;       /* random; of this session */
    int64_t ends_s;        /* at the latest */
    int64_t fresh_until_s; /* then it has to be renewed; INT64_MAX: never */
    struct slice subject, user;
    struct slice refresh_token; /* .at NULL: none */
    const struct claim *claims;
};

void oidc_session_write(const struct oidc_session *s, struct text *out);
bool oidc_session_read(struct slice text, struct oidc_session *s, struct arena *a);
