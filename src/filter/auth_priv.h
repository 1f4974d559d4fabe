/* auth_priv.h - a method of auth: how somebody is recognised, or what is demanded of them. One file
 * auth_NAME.c each, with its row; auth.c has the list and puts the words of all together.
 *
 * A request asks the demands of its route in order. check() may be called again after AUTH_WAIT;
 * any other verdict of it stands for this request. A demand that was not met may have its say in
 * the answer: challenge() adds to the 401, answer() makes one of its own. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/identity.h"

enum auth_verdict {
    AUTH_UNASKED,   /* not looked at yet; never told */
    AUTH_GRANTED,   /* whoever was recognised stands in x->identity (identity_add()) */
    AUTH_NONE,      /* no credentials of its kind were given */
    AUTH_REFUSED,   /* those that were given are not good */
    AUTH_FORBIDDEN, /* it is clear who asks: they may not */
    AUTH_FAILED,    /* it could not be found out: x->err is set */
    AUTH_WAIT,      /* exchange_wake() comes later */
};

struct auth_method {
    const char *word;   /* of its row */
    size_t conf_bytes;  /* in the snapshot's arena, zeroed */
    size_t state_bytes; /* per exchange, zeroed, in its arena */
    void (*apply)(struct conf_build *b, void *conf, const struct conf_node *n);
    /* With x->dry (tests, explain) nothing may be waited for: AUTH_NONE, then. */
    enum auth_verdict (*check)(struct exchange *x, const void *conf, void *state);
    /* May be NULL, as all below. All is decided, and it had a part in letting them in: now it may
     * change what the server gets. (A branch of `any` may be granted, and fail in the end.) */
    enum err (*settle)(struct exchange *x, const void *conf, void *state);
    /* They were let in, by whatever it was: what servers never get is taken out. */
    enum err (*hide)(struct exchange *x, const void *conf);
    /* Adds one value for WWW-Authenticate, or nothing. */
    void (*challenge)(struct exchange *x, const void *conf, void *state, struct text *out);
    /* Makes the response in the place of a 401 or 403. False: it has none. After an error x->err is
     * set. */
    bool (*answer)(struct exchange *x, const void *conf, void *state);
    /* Any response is about to go out, also after refusals; ERR_OK or why not. */
    enum err (*on_response)(struct exchange *x, const void *conf, void *state);
    /* The exchange ends: what was waited for is called off. */
    void (*on_finish)(struct exchange *x, const void *conf, void *state);
    /* Adds what stands behind the word in `weir explain`, with a blank before it. */
    void (*explain)(const void *conf, struct text *t);
};

/* --- where a token or a key stands: auth_place.c --- */

/* Each .at NULL: not there. */
struct token_places {
    struct slice header, cookie, query; /* names */
    bool bearer;                        /* the header is Authorization, with its scheme */
};

enum token_found { TOKEN_FOUND_NONE, TOKEN_FOUND_ONE, TOKEN_FOUND_SEVERAL };

enum token_found token_find(struct exchange *x, const struct token_places *p, struct slice *token);
/* Takes it out of the request, wherever it may be. */
enum err token_strip(struct exchange *x, const struct token_places *p) MUST_CHECK;

/* Each auth_NAME.c has a method auth_NAME, and its row in auth_NAME_rows, with where = IN_AUTH and
 * apply = auth_method_apply, which calls the method's own. */
conf_apply_fn auth_method_apply;

#define AUTH_METHODS(METHOD) \
    METHOD(basic)            \
    METHOD(cert)             \
    METHOD(forward) METHOD(hmac) METHOD(jwt) METHOD(key) METHOD(oidc) METHOD(require) METHOD(signed)

#define AUTH_METHOD_DECLARE(name)                \
    extern const struct auth_method auth_##name; \
    extern const struct directive auth_##name##_rows[];
AUTH_METHODS(AUTH_METHOD_DECLARE)
