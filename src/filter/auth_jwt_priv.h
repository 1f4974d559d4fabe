/* auth_jwt_priv.h - `auth jwt` in parts: whose keys there are, the method. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwt.h"
#include "filter/auth_priv.h"
#include "proxy/document.h"

enum { JWT_SOURCES_MAX = 4, JWT_LIST_MAX = 16 };

/* --- whose keys: auth_jwt_keys.c --- */

/* A file's or a secret, read with the configuration; or an issuer's, fetched from its URL. */
struct jwt_source {
    struct jwk_set *set;           /* counted by the snapshot; NULL: remote */
    struct document_source remote; /* its document is counted by the snapshot */
};

/* Adds what the word names. */
void jwt_source_read(struct conf_build *b, const struct conf_word *w, struct jwt_source *out);
void jwt_source_secret(struct conf_build *b, const struct conf_node *n, struct slice secret,
                       struct jwt_source *out);
/* *set gets a count, the caller's. Errors as document_get(), never for what is no issuer's. */
enum err jwt_source_get(const struct jwt_source *s, enum document_want want,
                        struct document_wait *w, struct exchange *x,
                        struct jwk_set **set) MUST_CHECK;
