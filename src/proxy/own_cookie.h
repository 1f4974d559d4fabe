/* own_cookie.h - cookies that are weir's own: servers do not get them, caches do not keep them, and
 * nobody else can make or read them.
 *
 * Those of choice.h (which server, which part of a split) and of logins (filter/auth_oidc*.c). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "conf/directive.h"

struct exchange;

enum { OWN_COOKIE_KEY_BYTES = 32, OWN_COOKIE_SECRET_MIN = 16 };

/* A key for one purpose: of `secret` (.at NULL: of the random one that weir makes once and keeps
 * beside its local CA). False after an error at `pos`. */
bool own_cookie_key(struct conf_build *b, struct conf_pos pos, struct slice secret,
                    struct slice purpose, uint8_t key[OWN_COOKIE_KEY_BYTES]);

/* The first cookie of that name in the request, .at NULL: there is none. */
struct slice own_cookie_get(const struct exchange *x, struct slice name);
/* Takes those of that name out of the request. */
enum err own_cookie_strip(struct exchange *x, struct slice name) MUST_CHECK;
/* Puts a Set-Cookie line into x->res. Caches that serve many must not keep that answer, so it
 * becomes `private` unless it is already, or must not be stored at all. */
enum err own_cookie_set(struct exchange *x, struct slice line) MUST_CHECK;
