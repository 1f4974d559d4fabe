/* auth_oidc.c - `auth oidc`: people who log in at a service that speaks OpenID Connect.
 *
 * A request takes one of these ways:
 *
 *     begin -> has a session                         granted
 *     begin -> renew      its session is due         granted, with a new cookie
 *     begin -> login      a browser without one      to the provider
 *     begin -> callback   it comes back              to what it wanted, with a session
 *     begin -> logout                                out
 *     begin -> end        not a browser's navigation 401
 *
 * Each step may wait for the provider and is then called again. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "filter/auth_oidc_priv.h"
#include "http/query.h"
#include "proxy/navigation.h"

enum { OTHERS_MS = 25, GRACE_S = 300 };

/* --- what is asked for -------------------------------------------------------------------------
 */

static struct slice field_of(const struct exchange *x, const char *name)
{
    const struct header *h = headers_find_name(&x->req.headers, slice_of(name));
    return h ? h->value : SLICE_NONE;
}

static enum auth_verdict go_to(struct oidc_state *s, enum oidc_step step)
{
    s->step = (uint8_t)step;
    return AUTH_UNASKED;
}

static enum auth_verdict say(struct oidc_state *s, enum oidc_say what, enum auth_verdict v)
{
    s->say = (uint8_t)what;
    s->step = OIDC_END;
    return v;
}

static enum auth_verdict granted(struct oidc_state *s)
{
    enum err e = identity_add(s->x, "oidc", s->session.user, s->session.claims);
    s->step = OIDC_END;
    if (e == ERR_OK)
        return AUTH_GRANTED;
    s->x->err = e;
    return AUTH_FAILED;
}

/* --- steps -------------------------------------------------------------------------------------
 */

typedef enum auth_verdict step_fn(const struct oidc_conf *c, struct oidc_state *s);

static enum auth_verdict step_begin(const struct oidc_conf *c, struct oidc_state *s)
{
    struct exchange *x = s->x;
    int64_t now_s = x->worker->loop.unix_ms / 1000;
    bool has = oidc_session_get(c, s);
    if (slice_eq(x->path, c->callback_path))
        return go_to(s, OIDC_CALLBACK);
    if (slice_eq(x->path, c->logout_path))
        return go_to(s, OIDC_LOGOUT);
    if (has && now_s < s->session.fresh_until_s)
        return granted(s);
    if (has && s->session.refresh_token.at)
        return go_to(s, OIDC_RENEW);
    return request_opens_page(x) ? go_to(s, OIDC_LOGIN) : say(s, OIDC_NOTHING, AUTH_NONE);
}

static enum auth_verdict step_login(const struct oidc_conf *c, struct oidc_state *s)
{
    enum auth_verdict v = oidc_provider_need(c, s);
    return v == AUTH_GRANTED ? say(s, OIDC_GO_LOG_IN, AUTH_NONE) : v;
}

static enum auth_verdict not_logged_in(struct oidc_state *s, const char *why)
{
    s->why = why;
    return say(s, OIDC_NOT_LOGGED_IN, AUTH_REFUSED);
}

/* A parameter of the provider's answer, which may be there once. */
static struct slice param(struct exchange *x, const char *name)
{
    struct query_member m;
    if (!x->uri.has_query || query_find(x->uri.query, slice_of(name), &m) != 1)
        return SLICE_NONE;
    return uri_decode(&x->arena, m.value);
}

/* Only who began this login has its cookie: nobody is logged in by a link (RFC 6749 10.12). */
static const char *callback_wrong(const struct oidc_conf *c, struct oidc_state *s)
{
    struct slice state = param(s->x, "state"), iss = param(s->x, "iss");
    if (!state.at || !oidc_login_get(c, s, state))
        return "it took too long, or began in another browser";
    if (param(s->x, "error").at)
        return "the login service refused it";
    if (iss.at ? !slice_eq(iss, s->provider->issuer) : s->provider->names_issuer)
        return "the answer is from another login service"; /* RFC 9207 2.4 */
    s->code = param(s->x, "code");
    return s->code.len > 0 ? NULL : "the login service gave no code";
}

static enum auth_verdict step_callback(const struct oidc_conf *c, struct oidc_state *s)
{
    enum auth_verdict v = oidc_provider_need(c, s);
    if (v != AUTH_GRANTED)
        return v;
    if (!s->code.at) {
        s->session = (struct oidc_session){0}; /* a new one, whatever there was */
        const char *wrong = callback_wrong(c, s);
        if (wrong)
            return not_logged_in(s, wrong);
    }
    v = oidc_code_redeem(c, s);
    if (v == AUTH_GRANTED)
        return say(s, OIDC_GO_ON, AUTH_NONE);
    return v == AUTH_REFUSED ? not_logged_in(s, s->why) : v;
}

static void wake(struct timer *t)
{
    exchange_wake(CONTAINER_OF(t, struct oidc_state, timer)->x);
}

static enum auth_verdict wait_for_others(struct oidc_state *s)
{
    struct loop *l = &s->x->worker->loop;
    if (!s->timer_made)
        timer_init(&s->timer, wake);
    s->timer_made = true;
    timer_set(&l->timers, &s->timer, l->now_ms + OTHERS_MS);
    return AUTH_WAIT;
}

/* AUTH_GRANTED: it is ours to renew. */
static enum auth_verdict renewal_take(struct oidc_state *s)
{
    struct text known;
    uint64_t number = s->session.number;
    text_init(&known);
    enum renewal r = renewal_begin(number, s->x->worker->loop.now_ms, &known);
    bool good = r == RENEWAL_DONE && oidc_session_open(s, text_slice(&known));
    text_release(&known);
    s->renewing = r == RENEWAL_MINE;
    s->tell_session = good;
    if (r == RENEWAL_OTHERS)
        return wait_for_others(s);
    if (r == RENEWAL_MINE)
        return AUTH_GRANTED;
    return good ? granted(s) : AUTH_REFUSED;
}

static void renewal_tell(struct oidc_state *s, bool good)
{
    struct text t;
    text_init(&t);
    if (good)
        oidc_session_write(&s->session, &t);
    if (s->renewing)
        renewal_end(s->session.number, s->x->worker->loop.now_ms,
                    good ? text_slice(&t) : SLICE_NONE);
    s->renewing = false;
    text_release(&t);
}

/* A provider that is down for a moment ends nobody's session. */
static enum auth_verdict unrenewed(struct oidc_state *s)
{
    int64_t now_s = s->x->worker->loop.unix_ms / 1000;
    return now_s < s->session.fresh_until_s + GRACE_S ? granted(s) : AUTH_FAILED;
}

static enum auth_verdict step_renew(const struct oidc_conf *c, struct oidc_state *s)
{
    if (!s->renewing) {
        enum auth_verdict v = renewal_take(s);
        if (!s->renewing)
            return v == AUTH_REFUSED ? go_to(s, OIDC_LOGIN) : v;
    }
    enum auth_verdict v = oidc_provider_need(c, s);
    if (v == AUTH_GRANTED)
        v = oidc_session_renew(c, s);
    if (v == AUTH_WAIT)
        return v;
    renewal_tell(s, v == AUTH_GRANTED);
    s->tell_session = v == AUTH_GRANTED;
    if (v == AUTH_GRANTED)
        return granted(s);
    if (v == AUTH_FAILED)
        return unrenewed(s);
    return request_opens_page(s->x) ? go_to(s, OIDC_LOGIN) : say(s, OIDC_NOTHING, AUTH_REFUSED);
}

/* Another site may not log anybody out; without the provider at least the session is over. */
static enum auth_verdict step_logout(const struct oidc_conf *c, struct oidc_state *s)
{
    if (slice_eq(field_of(s->x, "Sec-Fetch-Site"), SLICE("cross-site")))
        return say(s, OIDC_NOTHING, AUTH_FORBIDDEN);
    enum auth_verdict v = oidc_provider_need(c, s);
    return v == AUTH_WAIT ? v : say(s, OIDC_GO_OUT, AUTH_NONE);
}

static step_fn *const steps[] = {
    [OIDC_BEGIN] = step_begin, [OIDC_LOGIN] = step_login,   [OIDC_CALLBACK] = step_callback,
    [OIDC_RENEW] = step_renew, [OIDC_LOGOUT] = step_logout,
};

/* --- the method --------------------------------------------------------------------------------
 */

static enum auth_verdict oidc_check(struct exchange *x, const void *conf, void *state)
{
    struct oidc_state *s = state;
    enum auth_verdict v = AUTH_UNASKED;
    if (x->dry)
        return AUTH_NONE;
    s->x = x;
    while (v == AUTH_UNASKED)
        v = steps[s->step](conf, s);
    return v;
}

static void oidc_tell(struct exchange *x, const void *conf, void *state, struct text *out)
{
    const struct oidc_conf *c = conf;
    (void)x;
    (void)state;
    text_addf(out, "OpenIDConnect realm=\"%.*s\"", SLICE_ARG(c->issuer));
}

static enum err oidc_hide(struct exchange *x, const void *conf)
{
    return oidc_cookies_strip(conf, x);
}

static enum err oidc_response(struct exchange *x, const void *conf, void *state)
{
    struct oidc_state *s = state;
    (void)x;
    return s->tell_session ? oidc_session_set(conf, s) : ERR_OK;
}

static void oidc_finish(struct exchange *x, const void *conf, void *state)
{
    struct oidc_state *s = state;
    (void)conf;
    if (s->ask)
        ask_cancel(s->ask);
    document_wait_end(&s->wait);
    if (s->timer_made)
        timer_stop(&x->worker->loop.timers, &s->timer);
    if (s->renewing)
        renewal_tell(s, false);
    oidc_provider_drop(s->provider);
    jwk_set_drop(s->keys);
}

static void oidc_explain(const void *conf, struct text *t)
{
    const struct oidc_conf *c = conf;
    text_addf(t, " %.*s, session %lld s", SLICE_ARG(c->issuer), (long long)(c->session_ms / 1000));
}

const struct auth_method auth_oidc = {
    .word = "oidc",
    .conf_bytes = sizeof(struct oidc_conf),
    .state_bytes = sizeof(struct oidc_state),
    .apply = auth_oidc_apply,
    .check = oidc_check,
    .hide = oidc_hide,
    .challenge = oidc_tell,
    .answer = auth_oidc_answer,
    .on_response = oidc_response,
    .on_finish = oidc_finish,
    .explain = oidc_explain,
};
