/* auth_oidc_answer.c - where browsers are sent: to the provider, back to what they wanted, out. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "filter/auth_oidc_priv.h"

void oidc_add_encoded(struct text *t, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.at[i];
        bool plain = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
                     b == '-' || b == '.' || b == '_' || b == '~';
        text_addf(t, plain ? "%c" : "%%%02X", b);
    }
}

struct slice oidc_site_url(struct exchange *x, struct slice path)
{
    struct slice host = x->forwarded_host.len > 0 ? x->forwarded_host : x->req.authority;
    return ARENA_CONCAT(&x->arena, x->client_scheme, SLICE("://"), host, path);
}

static enum err go(struct exchange *x, struct slice to)
{
    if (!to.at)
        return ERR_OVER_BUDGET;
    TRY(exchange_respond(x, 302, SLICE(""), SLICE("")));
    TRY(headers_set(&x->res.headers, &x->arena, SLICE("Cache-Control"), SLICE("no-store")));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_LOCATION, to);
}

static void query_add(struct text *t, const char *name, struct slice value)
{
    bool first = slice_find(text_slice(t), '?') == t->len;
    text_addf(t, "%s%s=", first ? "?" : "&", name);
    oidc_add_encoded(t, value);
}

/* Core 1.0 3.1.2.1, with PKCE (RFC 7636). */
static enum err go_log_in(const struct oidc_conf *c, struct oidc_state *s, struct text *to)
{
    char challenge[OIDC_CHALLENGE_CHARS];
    struct exchange *x = s->x;
    struct text *t = to;
    TRY(go(x, SLICE("/"))); /* cookies are set on what it made */
    TRY(oidc_login_set(c, s));
    oidc_challenge(s->login.verifier, challenge);
    text_add(t, s->provider->authorization_endpoint);
    query_add(t, "response_type", SLICE("code"));
    query_add(t, "client_id", c->client_id);
    query_add(t, "redirect_uri", oidc_site_url(x, c->callback_path));
    query_add(t, "scope", c->scopes);
    query_add(t, "state", s->login.state);
    query_add(t, "nonce", s->login.nonce);
    query_add(t, "code_challenge", (struct slice){challenge, sizeof challenge});
    query_add(t, "code_challenge_method", SLICE("S256"));
    struct slice url = arena_dup(&x->arena, text_slice(t));
    return url.at ? headers_set(&x->res.headers, &x->arena, SLICE("Location"), url)
                  : ERR_OVER_BUDGET;
}

/* The target is a path of this site: with scheme and host before it "//elsewhere" is one, too. */
static enum err go_on(const struct oidc_conf *c, struct oidc_state *s)
{
    TRY(go(s->x, oidc_site_url(s->x, s->login.target)));
    TRY(oidc_session_set(c, s));
    return oidc_login_end(c, s);
}

/* RP-Initiated Logout 1.0, where the provider has it. */
static enum err go_out(const struct oidc_conf *c, struct oidc_state *s, struct text *to)
{
    struct slice home = oidc_site_url(s->x, SLICE("/"));
    if (s->provider && s->provider->end_session_endpoint.at) {
        text_add(to, s->provider->end_session_endpoint);
        query_add(to, "client_id", c->client_id);
        query_add(to, "post_logout_redirect_uri", home);
        home = arena_dup(&s->x->arena, text_slice(to));
    }
    TRY(go(s->x, home));
    return oidc_session_end(c, s);
}

static enum err not_logged_in(const struct oidc_conf *c, struct oidc_state *s)
{
    struct exchange *x = s->x;
    struct slice text = arena_printf(&x->arena, "Logging in did not work: %s.\n", s->why);
    if (!text.at)
        return ERR_OVER_BUDGET;
    log_write(LOG_NOTICE_, "login at %.*s: %s id=%s", SLICE_ARG(c->issuer), s->why, x->id);
    TRY(exchange_respond(x, 403, SLICE("text/plain; charset=utf-8"), text));
    TRY(headers_set(&x->res.headers, &x->arena, SLICE("Cache-Control"), SLICE("no-store")));
    return oidc_login_end(c, s);
}

bool auth_oidc_answer(struct exchange *x, const void *conf, void *state)
{
    struct oidc_state *s = state;
    struct text to;
    enum err e = ERR_OK;
    text_init(&to);
    switch ((enum oidc_say)s->say) {
    case OIDC_NOTHING: break;
    case OIDC_GO_LOG_IN: e = go_log_in(conf, s, &to); break;
    case OIDC_GO_ON: e = go_on(conf, s); break;
    case OIDC_GO_OUT: e = go_out(conf, s, &to); break;
    case OIDC_NOT_LOGGED_IN: e = not_logged_in(conf, s); break;
    }
    text_release(&to);
    x->err = e;
    return s->say != OIDC_NOTHING;
}
