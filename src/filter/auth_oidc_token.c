/* auth_oidc_token.c - what is asked of the provider behind the browser's back: its description, its
 * keys, and a session for a code (Core 1.0 3.1.3) or for a refresh token (12).
 *
 * The ID token is what counts, checked as 3.1.3.7 says; the access token is not used. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwt.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "filter/auth_oidc_priv.h"

enum { TIMEOUT_MS = 10 * 1000, LEEWAY_S = 60, FRESH_MIN_S = 30 };

static enum auth_verdict failed(struct oidc_state *s)
{
    s->x->err = ERR_AUTH_UNAVAILABLE;
    return AUTH_FAILED;
}

static enum auth_verdict refused(struct oidc_state *s, const char *why)
{
    s->why = why;
    return AUTH_REFUSED;
}

/* --- documents ---------------------------------------------------------------------------------
 */

static enum auth_verdict document_need(struct oidc_state *s, const struct document_source *from,
                                       enum document_want want, void **made)
{
    enum err e = document_get(from, want, &s->wait, s->x, made);
    if (e == ERR_HOLD)
        return AUTH_WAIT;
    return e == ERR_OK ? AUTH_GRANTED : failed(s);
}

/* A document of somebody else is none (Discovery 1.0 4.3). */
static bool is_issuer(const struct oidc_conf *c, struct slice name)
{
    return slice_starts(name, c->issuer) &&
           (name.len == c->issuer.len || slice_eq(slice_from(name, c->issuer.len), SLICE("/")));
}

enum auth_verdict oidc_provider_need(const struct oidc_conf *c, struct oidc_state *s)
{
    const struct ask_url *u = &c->endpoints[0].url;
    struct document_source from = {c->discovery, u->upstream, u->host, c->discovery_path};
    void *made = NULL;
    if (s->provider)
        return AUTH_GRANTED;
    enum auth_verdict v = document_need(s, &from, DOCUMENT_ANY, &made);
    if (v != AUTH_GRANTED)
        return v;
    s->provider = made;
    if (is_issuer(c, s->provider->issuer))
        return AUTH_GRANTED;
    log_write(LOG_ERROR_, "the login service %.*s calls itself %.*s", SLICE_ARG(c->issuer),
              SLICE_ARG(s->provider->issuer));
    return failed(s);
}

static enum auth_verdict source_missing(const struct oidc_conf *c, struct oidc_state *s,
                                        struct slice url)
{
    log_write(LOG_ERROR_, "the login service %.*s names %.*s: write endpoint= with its host",
              SLICE_ARG(c->issuer), SLICE_ARG(url));
    return failed(s);
}

static enum auth_verdict keys_need(const struct oidc_conf *c, struct oidc_state *s,
                                   enum document_want want)
{
    struct document_source from = {.document = c->keys};
    void *made = NULL;
    if (!oidc_source_of(c, s->provider->jwks_uri, &from))
        return source_missing(c, s, s->provider->jwks_uri);
    enum auth_verdict v = document_need(s, &from, want, &made);
    if (v == AUTH_GRANTED) {
        jwk_set_drop(s->keys);
        s->keys = made;
    }
    return v;
}

/* --- the token endpoint ------------------------------------------------------------------------
 */

static void on_answer(void *ctx, const struct ask_answer *a)
{
    struct oidc_state *s = ctx;
    s->ask = NULL;
    s->answered = true;
    s->status = a->status;
    s->answer = a->err == ERR_OK ? arena_dup(&s->x->arena, a->body) : SLICE_NONE;
    s->unreachable = !s->answer.at || a->cut || a->status >= 500;
    exchange_wake(s->x);
}

static void form_add(struct text *t, const char *name, struct slice value)
{
    text_addf(t, "%s%s=", t->len > 0 ? "&" : "", name);
    oidc_add_encoded(t, value);
}

/* RFC 6749 2.3.1: both are form-encoded before they become Basic. */
static enum err client_header(const struct oidc_conf *c, struct exchange *x, struct headers *h)
{
    struct text pair;
    text_init(&pair);
    oidc_add_encoded(&pair, c->client_id);
    text_add(&pair, SLICE(":"));
    oidc_add_encoded(&pair, c->client_secret);
    char *chars = arena_alloc(&x->arena, BASE64_CHARS(pair.len));
    size_t len = chars ? base64_write(chars, (const uint8_t *)pair.at, pair.len, BASE64) : 0;
    explicit_bzero(pair.at, pair.len);
    text_release(&pair);
    if (!chars)
        return ERR_OVER_BUDGET;
    struct slice value = ARENA_CONCAT(&x->arena, SLICE("Basic "), (struct slice){chars, len});
    return value.at ? headers_add_id(h, &x->arena, FIELD_AUTHORIZATION, value) : ERR_OVER_BUDGET;
}

static enum err headers_make(const struct oidc_conf *c, struct oidc_state *s, struct headers *h)
{
    struct arena *a = &s->x->arena;
    TRY(headers_add(h, a, SLICE("Content-Type"), SLICE("application/x-www-form-urlencoded")));
    TRY(headers_add(h, a, SLICE("Accept"), SLICE("application/json")));
    if (c->client_secret.at && !s->provider->secret_in_body)
        return client_header(c, s->x, h);
    return ERR_OK;
}

static void client_add(const struct oidc_conf *c, const struct oidc_state *s, struct text *form)
{
    if (!c->client_secret.at || s->provider->secret_in_body)
        form_add(form, "client_id", c->client_id);
    if (c->client_secret.at && s->provider->secret_in_body)
        form_add(form, "client_secret", c->client_secret);
}

static bool token_ask(const struct oidc_conf *c, struct oidc_state *s, struct text *form)
{
    struct exchange *x = s->x;
    struct document_source to = {0};
    struct headers headers = {0};
    client_add(c, s, form);
    struct slice body = arena_dup(&x->arena, text_slice(form));
    if (!oidc_source_of(c, s->provider->token_endpoint, &to)) {
        source_missing(c, s, s->provider->token_endpoint);
        return false;
    }
    struct ask_terms t = {.upstream = to.upstream,
                          .method = SLICE("POST"),
                          .path = to.path,
                          .host = to.host,
                          .headers = &headers,
                          .body = body,
                          .has_body = true,
                          .body_max_bytes = ASK_BODY_MAX_BYTES / 4,
                          .timeout_ms = TIMEOUT_MS,
                          .done = on_answer,
                          .ctx = s};
    if (body.at && headers_make(c, s, &headers) == ERR_OK)
        s->ask = ask_begin(x->worker, x->view, &t);
    return s->ask != NULL;
}

/* --- the ID token ------------------------------------------------------------------------------
 */

static bool claim_is(const struct claim *all, const char *name, struct slice value)
{
    const struct claim *c = claim_find(all, slice_of(name));
    return c && slice_eq(c->value, value);
}

/* Meant for this client, and for this login. */
static const char *claims_wrong(const struct oidc_conf *c, const struct oidc_state *s,
                                const struct claim *all)
{
    const struct claim *azp = claim_find(all, SLICE("azp"));
    if (azp && !slice_eq(azp->value, c->client_id))
        return "the token is for another client";
    if (s->step == OIDC_CALLBACK && !claim_is(all, "nonce", s->login.nonce))
        return "the token belongs to another login";
    if (s->step == OIDC_RENEW && !claim_is(all, "sub", s->session.subject))
        return "the token is about somebody else";
    return NULL;
}

static bool is_kept(const struct oidc_conf *c, struct slice name)
{
    for (uint32_t i = 0; i < c->claim_count; i++)
        if (slice_eq(c->claims[i], name))
            return true;
    return slice_eq(name, SLICE("sub")) || slice_eq(name, c->user_claim);
}

static bool claims_keep(const struct oidc_conf *c, struct oidc_state *s, const struct claim *all)
{
    struct claim_list kept = {0};
    for (; all; all = all->next)
        if (is_kept(c, all->name) && !claim_add(&kept, &s->x->arena, all->name, all->value))
            return false;
    s->session.claims = kept.first;
    const struct claim *sub = claim_find(s->session.claims, SLICE("sub"));
    const struct claim *user = claim_find(s->session.claims, c->user_claim);
    if (!sub || !user)
        return false;
    s->session.subject = sub->value;
    s->session.user = user->value;
    return true;
}

static enum auth_verdict id_token_check(const struct oidc_conf *c, struct oidc_state *s,
                                        struct slice token)
{
    struct exchange *x = s->x;
    struct slice required[] = {SLICE("sub"), SLICE("iat")};
    struct jwt_rules rules = {.issuers = {&s->provider->issuer, 1},
                              .audiences = {&c->client_id, 1},
                              .required = {required, 2},
                              .leeway_s = LEEWAY_S};
    struct jwt jwt;
    if (!s->keys) {
        enum auth_verdict v = keys_need(c, s, DOCUMENT_ANY);
        if (v != AUTH_GRANTED)
            return v;
    }
    enum jwt_verdict v =
        jwt_verify(&jwt, token, s->keys, &rules, x->worker->loop.unix_ms / 1000, &x->arena);
    if (v == JWT_UNKNOWN_KEY && !s->keys_renewed) {
        enum auth_verdict again = keys_need(c, s, DOCUMENT_NEWER);
        if (again == AUTH_WAIT) {
            s->keys_renewed = true;
            jwk_set_drop(s->keys);
            s->keys = NULL;
            return again;
        }
    }
    if (v != JWT_GOOD)
        return refused(s, jwt_verdict_row(v)->text);
    const char *wrong = claims_wrong(c, s, jwt.claims);
    if (wrong)
        return refused(s, wrong);
    return claims_keep(c, s, jwt.claims) ? AUTH_GRANTED
                                         : refused(s, "the token has no claim for the user");
}

/* --- sessions ----------------------------------------------------------------------------------
 */

/* Without a refresh token nothing can be renewed: the session lasts as long as it may. */
static void session_time(const struct oidc_conf *c, struct oidc_state *s,
                         const struct oidc_tokens *t)
{
    int64_t now_s = s->x->worker->loop.unix_ms / 1000;
    if (s->session.number == 0) {
        do
            rand_secret(&s->session.number, sizeof s->session.number);
        while (s->session.number == 0);
        s->session.ends_s = now_s + c->session_ms / 1000;
    }
    if (t->refresh_token.at)
        s->session.refresh_token = t->refresh_token;
    int64_t fresh_s = t->expires_in_s > FRESH_MIN_S ? t->expires_in_s : FRESH_MIN_S;
    s->session.fresh_until_s =
        s->session.refresh_token.at && t->expires_in_s > 0 ? now_s + fresh_s : INT64_MAX;
}

static enum auth_verdict answer_read(const struct oidc_conf *c, struct oidc_state *s)
{
    struct oidc_tokens tokens;
    struct slice error;
    if (s->unreachable)
        return failed(s);
    if (!oidc_tokens_read(s->answer, &tokens, &error, &s->x->arena))
        return refused(s, slice_eq(error, SLICE("invalid_client"))
                              ? "the login service does not accept this site's client_id or secret"
                              : "the login service does not accept it");
    if (tokens.id_token.at) {
        enum auth_verdict v = id_token_check(c, s, tokens.id_token);
        if (v != AUTH_GRANTED)
            return v;
    } else if (s->step == OIDC_CALLBACK) {
        return refused(s, "the login service gave no ID token");
    }
    session_time(c, s, &tokens);
    return AUTH_GRANTED;
}

enum auth_verdict oidc_code_redeem(const struct oidc_conf *c, struct oidc_state *s)
{
    if (s->answered)
        return answer_read(c, s);
    if (s->ask)
        return AUTH_WAIT;
    struct text form;
    text_init(&form);
    form_add(&form, "grant_type", SLICE("authorization_code"));
    form_add(&form, "code", s->code);
    form_add(&form, "redirect_uri", oidc_site_url(s->x, c->callback_path));
    form_add(&form, "code_verifier", s->login.verifier);
    bool asked = token_ask(c, s, &form);
    text_release(&form);
    return asked ? AUTH_WAIT : failed(s);
}

enum auth_verdict oidc_session_renew(const struct oidc_conf *c, struct oidc_state *s)
{
    if (s->answered)
        return answer_read(c, s);
    if (s->ask)
        return AUTH_WAIT;
    struct text form;
    text_init(&form);
    form_add(&form, "grant_type", SLICE("refresh_token"));
    form_add(&form, "refresh_token", s->session.refresh_token);
    bool asked = token_ask(c, s, &form);
    text_release(&form);
    return asked ? AUTH_WAIT : failed(s);
}
