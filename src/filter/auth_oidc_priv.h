/* auth_oidc_priv.h - what the parts of `auth oidc` share: the terms, and how far a request has
 * come.
 *
 * auth_oidc.c has the order of things, auth_oidc_conf.c the directive, auth_oidc_cookie.c the
 * cookies of logins and sessions, auth_oidc_token.c what is asked of the provider,
 * auth_oidc_answer.c the answers to browsers. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwk.h"
#include "auth/oidc.h"
#include "auth/renewals.h"
#include "filter/auth_priv.h"
#include "proxy/document.h"
#include "proxy/own_cookie.h"

enum { OIDC_ENDPOINTS_MAX = 8, OIDC_CLAIMS_MAX = 32 };

/* A host of the provider, and the way there. */
struct oidc_endpoint {
    struct slice origin; /* "https://login.example.com" */
    struct ask_url url;
};

struct oidc_conf {
    struct slice issuer; /* as it is written, without a slash at its end */
    struct slice client_id, client_secret, scopes, path, cookie, user_claim;
    struct slice callback_path, logout_path;
    struct slice secret;
    int64_t session_ms;
    struct slice claims[OIDC_CLAIMS_MAX]; /* that the session keeps */
    uint32_t claim_count;
    struct oidc_endpoint endpoints[OIDC_ENDPOINTS_MAX]; /* the issuer's first */
    uint32_t endpoint_count;
    struct slice discovery_path;
    struct document_shared *discovery, *keys;
    uint8_t key[OWN_COOKIE_KEY_BYTES];
};

enum oidc_step { OIDC_BEGIN, OIDC_LOGIN, OIDC_CALLBACK, OIDC_RENEW, OIDC_LOGOUT, OIDC_END };

/* What the browser is told instead of an answer of the site. */
enum oidc_say { OIDC_NOTHING, OIDC_GO_LOG_IN, OIDC_GO_ON, OIDC_GO_OUT, OIDC_NOT_LOGGED_IN };

struct oidc_state {
    struct exchange *x;
    uint8_t step;                   /* enum oidc_step */
    uint8_t say;                    /* enum oidc_say */
    struct oidc_provider *provider; /* counted */
    struct jwk_set *keys;           /* counted */
    bool keys_renewed;
    struct document_wait wait;
    struct timer timer; /* of the wait for another request's renewal */
    bool timer_made;
    /* of what is asked at the token endpoint */
    struct ask *ask;
    bool answered, unreachable;
    uint16_t status;
    struct slice answer;
    struct oidc_login login;
    struct slice code;
    struct oidc_session session; /* number 0: none */
    bool renewing;               /* the others wait for us */
    uint8_t parts;               /* cookies that the session came in */
    bool tell_session;           /* its cookie has to be given */
    const char *why;             /* not logged in */
};

/* Steps: AUTH_UNASKED goes on with s->step. */

/* auth_oidc_conf.c */
void auth_oidc_apply(struct conf_build *b, void *conf, const struct conf_node *n);
/* The way to a URL that the provider tells. False: it is at a host that the directive does not
 * name. */
bool oidc_source_of(const struct oidc_conf *c, struct slice url, struct document_source *out);

/* auth_oidc_cookie.c */
bool oidc_session_get(const struct oidc_conf *c, struct oidc_state *s);
bool oidc_session_open(struct oidc_state *s, struct slice text); /* the text of a session */
enum err oidc_session_set(const struct oidc_conf *c, struct oidc_state *s) MUST_CHECK;
enum err oidc_session_end(const struct oidc_conf *c, struct oidc_state *s) MUST_CHECK;
bool oidc_login_get(const struct oidc_conf *c, struct oidc_state *s, struct slice state);
enum err oidc_login_set(const struct oidc_conf *c, struct oidc_state *s) MUST_CHECK;
enum err oidc_login_end(const struct oidc_conf *c, struct oidc_state *s) MUST_CHECK;
/* Servers get none of them. */
enum err oidc_cookies_strip(const struct oidc_conf *c, struct exchange *x) MUST_CHECK;

/* auth_oidc_token.c */
enum auth_verdict oidc_provider_need(const struct oidc_conf *c, struct oidc_state *s);
/* The code or the refresh token is given away for a session: AUTH_GRANTED, s->session is it;
 * AUTH_REFUSED with s->why; AUTH_FAILED: the provider can not be reached; AUTH_WAIT. */
enum auth_verdict oidc_code_redeem(const struct oidc_conf *c, struct oidc_state *s);
enum auth_verdict oidc_session_renew(const struct oidc_conf *c, struct oidc_state *s);

/* auth_oidc_answer.c */
bool auth_oidc_answer(struct exchange *x, const void *conf, void *state);
struct slice oidc_site_url(struct exchange *x, struct slice path); /* .at NULL: no memory */
void oidc_add_encoded(struct text *t, struct slice s);             /* for forms and queries */
