/* auth_oidc_conf.c - the directive `oidc` of `auth`. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/snapshot.h"
#include "filter/auth_oidc_priv.h"

static const char *const claims_usual[] = {
    "name", "preferred_username", "email", "email_verified", "groups", "roles",
};

/* --- URLs --------------------------------------------------------------------------------------
 */

/* "https://host:port", without what follows. */
static struct slice origin_of(struct slice url)
{
    size_t from = slice_starts(url, SLICE("https://"))  ? 8
                  : slice_starts(url, SLICE("http://")) ? 7
                                                        : 0;
    return slice_head(url, from + slice_find(slice_from(url, from), '/'));
}

static struct slice without_slash(struct slice s)
{
    return slice_ends(s, SLICE("/")) ? slice_head(s, s.len - 1) : s;
}

bool oidc_source_of(const struct oidc_conf *c, struct slice url, struct document_source *out)
{
    struct slice origin = origin_of(url);
    for (uint32_t i = 0; i < c->endpoint_count; i++) {
        if (!slice_eq_nocase(c->endpoints[i].origin, origin))
            continue;
        out->upstream = c->endpoints[i].url.upstream;
        out->host = c->endpoints[i].url.host;
        out->path = slice_from(url, origin.len);
        if (out->path.len == 0)
            out->path = SLICE("/");
        return true;
    }
    return false;
}

static bool endpoint_add(struct conf_build *b, struct oidc_conf *c, const struct conf_word *w)
{
    struct oidc_endpoint *e = &c->endpoints[c->endpoint_count];
    struct slice url = w->text;
    if (c->endpoint_count == OIDC_ENDPOINTS_MAX ||
        (!slice_starts(url, SLICE("https://")) && !slice_starts(url, SLICE("http://")))) {
        diag_error(b->diag, w->pos, "a URL is due: https://login.example.com");
        return false;
    }
    e->origin = origin_of(url);
    struct conf_word origin = *w;
    origin.text = e->origin;
    c->endpoint_count++;
    return ask_url_read(b, &origin, &e->url);
}

/* --- options -----------------------------------------------------------------------------------
 */

#define FIELD(name) offsetof(struct oidc_conf, name)

static const struct directive oidc_options[] = {
    {.name = "client_id",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(client_id),
     .usage = "ID",
     .text = "What the provider calls this site."},
    {.name = "client_secret",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .secret = true,
     .offset = FIELD(client_secret),
     .usage = "TEXT",
     .text = "The site's password there; better in a file: `${file:/etc/weir/oidc.secret}`. "
             "Without it the site is a public client, which PKCE alone protects."},
    {.name = "scopes",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(scopes),
     .def = "\"openid profile email\"",
     .usage = "TEXT",
     .text = "What is asked for. Many providers give a refresh token with `offline_access` only."},
    {.name = "claims",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .repeat = true,
     .usage = "NAME",
     .text = "A claim that the session keeps, beside name, preferred_username, email, "
             "email_verified, groups and roles; nested ones by a dot: `realm_access.roles`. May be "
             "given several times. The session lies in cookies: it has room for 12 KB."},
    {.name = "user",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(user_claim),
     .def = "sub",
     .usage = "CLAIM",
     .text = "Which claim becomes `$user`. `sub` alone never changes hands; an email may."},
    {.name = "session",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(session_ms),
     .min = 60 * 1000,
     .max = 400LL * 24 * 3600 * 1000,
     .def = "8h",
     .usage = "TIME",
     .text = "After that somebody has to log in again, whatever the provider says."},
    {.name = "path",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(path),
     .def = "/.weir/login",
     .usage = "PATH",
     .text = "Where the provider sends browsers back to: the redirect URI to be registered there "
             "is this path of the site. `PATH/out` logs out."},
    {.name = "cookie",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(cookie),
     .def = "weir_session",
     .usage = "NAME",
     .text = "Name of the session's cookie; over TLS it begins with `__Host-`."},
    {.name = "secret",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .secret = true,
     .offset = FIELD(secret),
     .usage = "TEXT",
     .text = "What sessions are encrypted with. Several weirs behind one address need the same; "
             "without it, a random one that weir makes once and keeps beside its local CA."},
    {.name = "endpoint",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .repeat = true,
     .usage = "URL",
     .text = "Another host where the provider has its token endpoint or its keys. For Google: "
             "`endpoint=https://oauth2.googleapis.com endpoint=https://www.googleapis.com`."},
    {.name = "via",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .usage = "UPSTREAM",
     .text = "The upstream that leads to the issuer, where it needs a `ca` of its own, or is "
             "reached by another way than its name."},
    {0},
};

static bool option_is(const struct conf_option *o, const char *name)
{
    return strcmp(o->row->name, name) == 0;
}

static void kept_claim_add(struct conf_build *b, struct oidc_conf *c, struct slice name,
                           struct conf_pos pos)
{
    if (c->claim_count < OIDC_CLAIMS_MAX)
        c->claims[c->claim_count++] = name;
    else
        diag_error(b->diag, pos, "more than %d claims", OIDC_CLAIMS_MAX);
}

static bool options_read(struct conf_build *b, struct oidc_conf *c, const struct conf_node *n)
{
    for (size_t i = 0; i < sizeof claims_usual / sizeof *claims_usual; i++)
        kept_claim_add(b, c, slice_of(claims_usual[i]), n->pos);
    for (uint32_t i = 0; i < n->option_count; i++) {
        const struct conf_option *o = &n->options[i];
        if (option_is(o, "claims"))
            kept_claim_add(b, c, o->value.text, o->value.pos);
        else if (option_is(o, "endpoint") && !endpoint_add(b, c, &o->value))
            return false;
        else if (option_is(o, "via") && !ask_url_read(b, &o->value, &c->endpoints[0].url))
            return false;
    }
    return true;
}

/* Behind `via` the issuer is still who is asked. */
static void issuer_host_set(struct oidc_conf *c)
{
    struct slice origin = c->endpoints[0].origin;
    size_t from = slice_starts(origin, SLICE("https://")) ? 8 : 7;
    c->endpoints[0].url.host = slice_from(origin, from);
}

static bool terms_check(struct conf_build *b, const struct oidc_conf *c, const struct conf_node *n)
{
    if (c->client_id.len == 0)
        diag_error(b->diag, n->pos, "oidc needs client_id=");
    else if (!slice_starts(c->path, SLICE("/")) || slice_ends(c->path, SLICE("/")))
        diag_error(b->diag, n->pos, "path= begins with a '/' and does not end with one");
    else if (!field_is_token(c->cookie))
        diag_error(b->diag, n->pos, "'%.*s' is no name of a cookie", SLICE_ARG(c->cookie));
    else if (c->secret.at && c->secret.len < OWN_COOKIE_SECRET_MIN)
        diag_error(b->diag, n->pos, "secret= has %zu characters; at least %d are due",
                   c->secret.len, OWN_COOKIE_SECRET_MIN);
    else
        return true;
    return false;
}

/* --- documents ---------------------------------------------------------------------------------
 */

static void *provider_read(struct slice text, struct text *why)
{
    return oidc_provider_read(text, why);
}

static void *provider_take(void *p)
{
    return oidc_provider_take(p);
}

static void provider_drop(void *p)
{
    oidc_provider_drop(p);
}

static void *keys_read(struct slice text, struct text *why)
{
    return jwk_set_parse(text, JWK_PUBLISHED, why);
}

static void *keys_take(void *p)
{
    return jwk_set_take(p);
}

static void keys_drop(void *p)
{
    jwk_set_drop(p);
}

static const struct document_kind provider_kind = {provider_read, provider_take, provider_drop};
static const struct document_kind keys_kind = {keys_read, keys_take, keys_drop};

static void document_let_go(void *d)
{
    document_drop(d);
}

static struct document_shared *document_make(struct conf_build *b, const char *what,
                                             const struct oidc_conf *c,
                                             const struct document_kind *kind)
{
    struct slice name = arena_printf(b->arena, "%s%.*s", what, SLICE_ARG(c->issuer));
    struct document_shared *d = document_take(name, kind);
    conf_on_free(b->app, document_let_go, d);
    return d;
}

void auth_oidc_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct oidc_conf *c = conf;
    conf_options(b, n, c);
    c->issuer = without_slash(n->args[0].text);
    if (!endpoint_add(b, c, &n->args[0]) || !options_read(b, c, n) || !terms_check(b, c, n))
        return;
    issuer_host_set(c);
    /* Who it is by one claim may look like somebody else by another. */
    struct slice purpose = arena_printf(b->arena, "oidc %.*s %.*s %.*s", SLICE_ARG(c->issuer),
                                        SLICE_ARG(c->client_id), SLICE_ARG(c->user_claim));
    if (!own_cookie_key(b, n->pos, c->secret, purpose, c->key))
        return;
    c->callback_path = c->path;
    c->logout_path = arena_printf(b->arena, "%.*s/out", SLICE_ARG(c->path));
    c->discovery_path = arena_printf(b->arena, "%.*s/.well-known/openid-configuration",
                                     SLICE_ARG(slice_from(c->issuer, c->endpoints[0].origin.len)));
    c->discovery = document_make(b, "the login service ", c, &provider_kind);
    c->keys = document_make(b, "the keys of the login service ", c, &keys_kind);
}

const struct directive auth_oidc_rows[] = {
    {.name = "oidc",
     .where = IN_AUTH,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .options = oidc_options,
     .apply = auth_method_apply,
     .usage = "ISSUER client_id=ID [client_secret=TEXT] [OPTION=VALUE...]",
     .text =
         "Logs people in at a login service that speaks OpenID Connect (Keycloak, Authelia, Entra, "
         "Google ...): browsers without a session are sent there, and come back with one, which "
         "lies encrypted in a cookie. Other requests without a session get 401. `$user` and "
         "`${claim.NAME}` tell servers who it is. See [login](../login.md).",
     .example = "oidc https://login.example.com client_id=weir client_secret=${env.SECRET:-x}"},
    {0},
};
