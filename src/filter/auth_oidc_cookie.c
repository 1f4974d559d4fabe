/* auth_oidc_cookie.c - the cookies of logins and sessions.
 *
 * A session may be too long for one cookie (browsers take 4 KB): it is cut into NAME, NAME.1, ...
 * A login has a cookie of its own, named after its state, so that several tabs may log in at once.
 */
// SPDX-License-Identifier: Apache-2.0
#include "auth/seal.h"
#include "filter/auth_oidc_priv.h"

enum {
    PART_CHARS = 3600,
    PARTS_MAX = 4,
    LOGIN_S = 600,
    LOGIN_NAME_CHARS = 8,    /* of the state, in the name of its cookie */
    TARGET_MAX_BYTES = 2000, /* a cookie has to have room for it */
};

static const struct slice SESSION = SLICE_INIT("session"), LOGIN = SLICE_INIT("login");

static bool is_tls(const struct exchange *x)
{
    return slice_eq(x->client_scheme, SLICE("https"));
}

/* "__Host-": browsers take it over TLS alone, for this host alone. */
static struct slice prefix(const struct exchange *x)
{
    return is_tls(x) ? SLICE("__Host-") : SLICE("");
}

static struct slice part_name(const struct oidc_conf *c, struct exchange *x, int part)
{
    struct slice p = prefix(x);
    if (part == 0)
        return arena_printf(&x->arena, "%.*s%.*s", SLICE_ARG(p), SLICE_ARG(c->cookie));
    return arena_printf(&x->arena, "%.*s%.*s.%d", SLICE_ARG(p), SLICE_ARG(c->cookie), part);
}

static struct slice login_name(const struct oidc_conf *c, struct exchange *x, struct slice state)
{
    struct slice p = prefix(x);
    struct slice head =
        slice_head(state, state.len < LOGIN_NAME_CHARS ? state.len : LOGIN_NAME_CHARS);
    return arena_printf(&x->arena, "%.*s%.*s-%.*s", SLICE_ARG(p), SLICE_ARG(c->cookie),
                        SLICE_ARG(head));
}

/* --- in ----------------------------------------------------------------------------------------
 */

static bool sealed_get(const struct oidc_conf *c, struct oidc_state *s, struct text *sealed)
{
    for (; s->parts < PARTS_MAX; s->parts++) {
        struct slice name = part_name(c, s->x, s->parts);
        struct slice value = name.at ? own_cookie_get(s->x, name) : SLICE_NONE;
        if (!value.at)
            break;
        text_add(sealed, value);
    }
    return sealed->len > 0;
}

bool oidc_session_open(struct oidc_state *s, struct slice text)
{
    int64_t now_s = s->x->worker->loop.unix_ms / 1000;
    if (oidc_session_read(text, &s->session, &s->x->arena) && now_s < s->session.ends_s)
        return true;
    s->session = (struct oidc_session){0};
    return false;
}

bool oidc_session_get(const struct oidc_conf *c, struct oidc_state *s)
{
    struct text sealed, open;
    text_init(&sealed);
    text_init(&open);
    bool good = sealed_get(c, s, &sealed) &&
                seal_open(&open, text_slice(&sealed), c->key, SESSION) &&
                oidc_session_open(s, text_slice(&open));
    text_release(&sealed);
    text_release(&open);
    return good;
}

bool oidc_login_get(const struct oidc_conf *c, struct oidc_state *s, struct slice state)
{
    struct exchange *x = s->x;
    struct slice name = login_name(c, x, state);
    struct slice value = name.at ? own_cookie_get(x, name) : SLICE_NONE;
    struct text open;
    text_init(&open);
    bool good = value.at && seal_open(&open, value, c->key, LOGIN) &&
                oidc_login_read(text_slice(&open), &s->login, &x->arena) &&
                slice_eq(s->login.state, state) && x->worker->loop.unix_ms / 1000 < s->login.ends_s;
    text_release(&open);
    return good;
}

/* By its beginning: logins that were begun and not ended are among them. */
static bool is_ours(const struct oidc_conf *c, struct slice name)
{
    struct slice host = SLICE("__Host-");
    struct slice bare = slice_starts(name, host) ? slice_from(name, host.len) : name;
    if (!slice_starts(bare, c->cookie))
        return false;
    struct slice rest = slice_from(bare, c->cookie.len);
    return rest.len == 0 || rest.at[0] == '.' || rest.at[0] == '-';
}

enum err oidc_cookies_strip(const struct oidc_conf *c, struct exchange *x)
{
    HEADER_EACH (h, &x->req.headers) {
        struct slice rest = h->value, pair;
        if (h->id != FIELD_COOKIE)
            continue;
        while (slice_cut(&rest, ';', &pair)) {
            struct slice bare = slice_trim(pair);
            struct slice name = slice_head(bare, slice_find(bare, '='));
            if (is_ours(c, name))
                TRY(own_cookie_strip(x, name));
        }
    }
    return ERR_OK;
}

/* --- out ---------------------------------------------------------------------------------------
 */

static enum err cookie_set(struct exchange *x, struct slice name, struct slice value, int64_t age_s)
{
    struct slice line = arena_printf(
        &x->arena, "%.*s=%.*s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Lax%s", SLICE_ARG(name),
        SLICE_ARG(value), (long long)age_s, is_tls(x) ? "; Secure" : "");
    return name.at && line.at ? own_cookie_set(x, line) : ERR_OVER_BUDGET;
}

/* Parts that the browser has beyond these are taken back. */
static enum err parts_set(const struct oidc_conf *c, struct oidc_state *s, struct slice sealed,
                          int64_t age_s)
{
    int part = 0;
    for (; sealed.len > 0 && part < PARTS_MAX; part++) {
        size_t len = sealed.len < PART_CHARS ? sealed.len : PART_CHARS;
        TRY(cookie_set(s->x, part_name(c, s->x, part), slice_head(sealed, len), age_s));
        sealed = slice_from(sealed, len);
    }
    for (; part < s->parts; part++)
        TRY(cookie_set(s->x, part_name(c, s->x, part), SLICE(""), 0));
    return sealed.len == 0 ? ERR_OK : ERR_OVER_BUDGET;
}

enum err oidc_session_set(const struct oidc_conf *c, struct oidc_state *s)
{
    struct text plain, sealed;
    int64_t age_s = s->session.ends_s - s->x->worker->loop.unix_ms / 1000;
    text_init(&plain);
    text_init(&sealed);
    oidc_session_write(&s->session, &plain);
    enum err e = seal_close(&sealed, text_slice(&plain), c->key, SESSION)
                     ? parts_set(c, s, text_slice(&sealed), age_s > 0 ? age_s : 0)
                     : ERR_NO_MEMORY;
    text_release(&plain);
    text_release(&sealed);
    return e;
}

enum err oidc_session_end(const struct oidc_conf *c, struct oidc_state *s)
{
    return parts_set(c, s, SLICE(""), 0);
}

enum err oidc_login_set(const struct oidc_conf *c, struct oidc_state *s)
{
    struct exchange *x = s->x;
    struct text plain, sealed;
    text_init(&plain);
    text_init(&sealed);
    int64_t now_s = x->worker->loop.unix_ms / 1000;
    struct slice target = x->raw_target.len <= TARGET_MAX_BYTES ? x->raw_target : SLICE("/");
    enum err e =
        oidc_login_new(&s->login, target, now_s + LOGIN_S, &x->arena) ? ERR_OK : ERR_OVER_BUDGET;
    if (e == ERR_OK) {
        oidc_login_write(&s->login, &plain);
        e = seal_close(&sealed, text_slice(&plain), c->key, LOGIN) ? ERR_OK : ERR_NO_MEMORY;
    }
    if (e == ERR_OK)
        e = cookie_set(x, login_name(c, x, s->login.state), text_slice(&sealed), LOGIN_S);
    text_release(&plain);
    text_release(&sealed);
    return e;
}

enum err oidc_login_end(const struct oidc_conf *c, struct oidc_state *s)
{
    if (!s->login.state.at)
        return ERR_OK;
    return cookie_set(s->x, login_name(c, s->x, s->login.state), SLICE(""), 0);
}
