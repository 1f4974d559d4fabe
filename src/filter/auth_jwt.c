/* auth_jwt.c - `auth jwt`: somebody shows a token that an issuer has signed (RFC 7519, RFC 6750).
 *
 * What the token says becomes claims, its subject the user. Keys come from files and issuers
 * (auth_jwt_keys.c); each source is asked until one of its keys fits. A token that is not good is
 * refused with a challenge that says why in a few words; its text goes nowhere. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_jwt_priv.h"

enum { REALM_MAX_BYTES = 128, LEEWAY_MAX_MS = 3600 * 1000 };

#define AGE_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

/* The options, as written. */
struct jwt_terms {
    int64_t leeway, max_age;
    struct slice secret, issuer, audience, algorithms, type, claims, user_claim, realm;
    struct slice header, cookie, query;
    bool strip, expiry;
};

struct jwt_conf {
    struct jwt_source sources[JWT_SOURCES_MAX + 1]; /* and a secret */
    uint32_t source_count;
    struct jwt_rules rules;
    struct token_places places;
    struct slice user_claim, realm;
    bool strip, remote; /* one of the sources is */
};

struct jwt_state {
    const char *refusal; /* for people; NULL: nothing was refused */
    bool several;
    struct document_wait wait;
    uint32_t renewed; /* bit per source that was asked anew for this token */
};

/* --- the directive ------------------------------------------------------------------------------
 */

#define FIELD(field) offsetof(struct jwt_terms, field)

static const struct directive jwt_options[] = {
    {.name = "secret",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .secret = 1,
     .offset = FIELD(secret),
     .usage = "TEXT",
     .text =
         "A secret of at least 32 bytes that the issuer signs with, too (HS256; 48 for HS384, 64 "
         "for HS512). `secret=${file:/etc/weir/jwt.secret}` keeps it out of this file."},
    {.name = "issuer",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(issuer),
     .usage = "TEXT[,TEXT...]",
     .text = "The claim `iss` has to be this, or one of these. Without it tokens of any issuer "
             "whose keys are here are good."},
    {.name = "audience",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(audience),
     .usage = "TEXT[,TEXT...]",
     .text =
         "The claim `aud` has to be, or to list, one of these. Without it a token that was made "
         "for another service is good here, too."},
    {.name = "algorithms",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(algorithms),
     .usage = "NAME[,NAME...]",
     .text = "Only these, of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
             "ES384, ES512, EdDSA, Ed25519 and Ed448. In any case a key is used for nothing but "
             "what its kind is for, and `none` never."},
    {.name = "type",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(type),
     .usage = "TEXT",
     .text = "What `typ` in the token's header has to be: `at+jwt` keeps ID tokens out."},
    {.name = "claims",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(claims),
     .usage = "NAME[,NAME...]",
     .text = "Claims that have to be there, nested ones as `realm_access.roles`."},
    {.name = "leeway",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(leeway),
     .min = 0,
     .max = LEEWAY_MAX_MS,
     .def = "60s",
     .usage = "TIME",
     .text = "By so much the issuer's clock may differ: `exp`, `nbf` and `iat` count with it."},
    {.name = "max_age",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(max_age),
     .min = 1000,
     .max = AGE_MAX_MS,
     .usage = "TIME",
     .text = "No token is good for longer after its `iat`, whatever its `exp` says."},
    {.name = "expiry",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(expiry),
     .def = "on",
     .usage = "on|off",
     .text = "A token has to have an `exp`. With `off` one without is good for ever."},
    {.name = "user_claim",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(user_claim),
     .def = "sub",
     .usage = "NAME",
     .text = "The claim that is `$user`."},
    {.name = "header",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(header),
     .usage = "NAME",
     .text = "The token stands in this request header: after `Bearer` in Authorization, which is "
             "where it is looked for when no place is named, alone in any other."},
    {.name = "cookie",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(cookie),
     .usage = "NAME",
     .text = "The token stands in this cookie."},
    {.name = "query",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(query),
     .usage = "NAME",
     .text =
         "The token stands in this parameter of the query, where it gets into logs and "
         "histories: only for clients that have no other way, as WebSockets of browsers. Several "
         "places may be named; a request with two tokens is refused."},
    {.name = "strip",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(strip),
     .def = "off",
     .usage = "on|off",
     .text = "The token does not go on to the server."},
    {.name = "realm",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(realm),
     .def = "weir",
     .usage = "TEXT",
     .text = "Named to clients in WWW-Authenticate."},
    {0},
};

/* "a,b" as a list in the snapshot. False after an error. */
static bool list_read(struct conf_build *b, const struct conf_node *n, struct slice text,
                      struct jwt_list *out)
{
    struct slice part, rest = text;
    struct slice *at = ARENA_ARRAY(b->arena, struct slice, JWT_LIST_MAX);
    *out = (struct jwt_list){at, 0};
    while (text.at && slice_cut(&rest, ',', &part)) {
        part = slice_trim(part);
        if (out->count == JWT_LIST_MAX || part.len == 0) {
            diag_error(b->diag, n->pos, "'%.*s' is no list of at most %d names", SLICE_ARG(text),
                       JWT_LIST_MAX);
            return false;
        }
        at[out->count++] = part;
    }
    return true;
}

static void algorithms_read(struct conf_build *b, const struct conf_node *n, struct slice text,
                            uint32_t *out)
{
    struct jwt_list names;
    enum jwk_alg alg;
    if (!list_read(b, n, text, &names))
        return;
    for (uint32_t i = 0; i < names.count; i++)
        if (jwk_alg_find(names.at[i], &alg))
            *out |= 1u << alg;
        else
            diag_error(b->diag, n->pos, "'%.*s' is no algorithm of signed tokens",
                       SLICE_ARG(names.at[i]));
}

static void rules_read(struct conf_build *b, const struct conf_node *n, const struct jwt_terms *t,
                       struct jwt_rules *out)
{
    *out = (struct jwt_rules){.type = t->type,
                              .leeway_s = (uint32_t)(t->leeway / 1000),
                              .age_max_s = (uint32_t)(t->max_age / 1000),
                              .without_expiry = !t->expiry};
    list_read(b, n, t->issuer, &out->issuers);
    list_read(b, n, t->audience, &out->audiences);
    list_read(b, n, t->claims, &out->required);
    algorithms_read(b, n, t->algorithms, &out->algs);
}

/* A name that can not stand there would never be found: nobody would come in, or see why. */
static void place_check(struct conf_build *b, const struct conf_node *n, struct slice name)
{
    if (name.at && !field_is_token(name))
        diag_error(b->diag, n->pos, "'%.*s' is no name of a header, cookie or parameter",
                   SLICE_ARG(name));
}

static void places_read(struct conf_build *b, const struct conf_node *n, const struct jwt_terms *t,
                        struct token_places *out)
{
    *out = (struct token_places){.header = t->header, .cookie = t->cookie, .query = t->query};
    if (!t->header.at && !t->cookie.at && !t->query.at)
        out->header = SLICE("Authorization");
    out->bearer = slice_eq_nocase(out->header, SLICE("Authorization"));
    place_check(b, n, out->header);
    place_check(b, n, out->cookie);
    place_check(b, n, out->query);
}

static bool realm_is_fit(struct slice s)
{
    return s.len <= REALM_MAX_BYTES && field_value_valid(s) && slice_find(s, '"') == s.len &&
           slice_find(s, '\\') == s.len;
}

static void jwt_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct jwt_conf *c = conf;
    struct jwt_terms t = {0};
    conf_options(b, n, &t);
    for (uint32_t i = 0; i < n->arg_count; i++)
        jwt_source_read(b, &n->args[i], &c->sources[c->source_count++]);
    for (uint32_t i = 0; i < c->source_count; i++)
        c->remote |= !c->sources[i].set;
    if (t.secret.at)
        jwt_source_secret(b, n, t.secret, &c->sources[c->source_count++]);
    if (c->source_count == 0)
        diag_error(b->diag, n->pos, "whose tokens? Keys are due: a file, a URL or secret=");
    rules_read(b, n, &t, &c->rules);
    places_read(b, n, &t, &c->places);
    if (!realm_is_fit(t.realm))
        diag_error(b->diag, n->pos, "a realm has neither quotes nor control characters");
    c->user_claim = t.user_claim;
    c->realm = t.realm;
    c->strip = t.strip;
}

/* --- asking -------------------------------------------------------------------------------------
 */

static enum auth_verdict refused(struct exchange *x, struct jwt_state *s, const char *word,
                                 const char *text)
{
    s->refusal = text;
    x->auth_word = word;
    if (!x->dry)
        counter_add(x->worker->counters, METRIC_JWT_REFUSED, 1);
    return AUTH_REFUSED;
}

static enum auth_verdict granted(struct exchange *x, const struct jwt_conf *c,
                                 const struct jwt *jwt)
{
    const struct claim *user = claim_find(jwt->claims, c->user_claim);
    enum err e = identity_add(x, "jwt", user ? user->value : SLICE_NONE, jwt->claims);
    if (e == ERR_OK)
        return AUTH_GRANTED;
    x->err = e; /* only then: another demand may have failed before, which has to be told */
    return AUTH_FAILED;
}

/* Another source may have the key. */
static bool is_about_keys(enum jwt_verdict v)
{
    return v == JWT_UNKNOWN_KEY || v == JWT_BAD_SIGNATURE || v == JWT_ALG_REFUSED;
}

/* What is asked of all sources. */
struct question {
    struct exchange *x;
    const struct jwt_conf *conf;
    struct jwt_state *state;
    struct slice token;
    struct jwt jwt;
};

static enum err verify_with(struct question *q, uint32_t i, enum document_want want,
                            enum jwt_verdict *out)
{
    struct jwk_set *set;
    struct exchange *x = q->x;
    TRY(jwt_source_get(&q->conf->sources[i], want, &q->state->wait, x, &set));
    *out = jwt_verify(&q->jwt, q->token, set, &q->conf->rules, x->worker->loop.unix_ms / 1000,
                      &x->arena);
    jwk_set_drop(set);
    return ERR_OK;
}

/* An issuer that knows no such key may have a new one: it is asked anew, once for a token. */
static enum err ask_source(struct question *q, uint32_t i, enum jwt_verdict *out)
{
    struct jwt_state *s = q->state;
    TRY(verify_with(q, i, DOCUMENT_ANY, out));
    if (*out != JWT_UNKNOWN_KEY || q->conf->sources[i].set || s->renewed >> i & 1)
        return ERR_OK;
    s->renewed |= 1u << i;
    enum err e = verify_with(q, i, DOCUMENT_NEWER, out);
    return e == ERR_HOLD ? e : ERR_OK; /* not yet again, or not to be had: what is known stands */
}

/* *out: the verdict of the source that knew most of the token's key. ERR_AUTH_UNAVAILABLE: nobody
 * knew it, and somebody could not be asked. */
static enum err ask_sources(struct question *q, enum jwt_verdict *out)
{
    enum err worst = ERR_OK;
    *out = JWT_UNKNOWN_KEY;
    for (uint32_t i = 0; i < q->conf->source_count; i++) {
        enum jwt_verdict v = JWT_UNKNOWN_KEY;
        enum err e = ask_source(q, i, &v);
        if (e == ERR_HOLD)
            return e;
        if (e == ERR_OK && !is_about_keys(v)) {
            *out = v;
            return ERR_OK;
        }
        worst = e != ERR_OK ? e : worst;
        *out = *out == JWT_BAD_SIGNATURE || e != ERR_OK ? *out : v;
    }
    return worst;
}

static enum auth_verdict check_token(struct question *q)
{
    enum jwt_verdict v;
    struct exchange *x = q->x;
    enum err e = ask_sources(q, &v);
    if (e == ERR_HOLD)
        return AUTH_WAIT;
    if (e == ERR_OK && v == JWT_GOOD)
        return granted(x, q->conf, &q->jwt);
    if (e == ERR_OK && v != JWT_NO_MEMORY)
        return refused(x, q->state, jwt_verdict_row(v)->name, jwt_verdict_row(v)->text);
    x->err = e == ERR_OK ? ERR_OVER_BUDGET : e;
    return AUTH_FAILED;
}

static enum auth_verdict jwt_check(struct exchange *x, const void *conf, void *state)
{
    const struct jwt_conf *c = conf;
    struct question q = {.x = x, .conf = c, .state = state};
    enum token_found found = token_find(x, &c->places, &q.token);
    if (found == TOKEN_FOUND_NONE || (x->dry && c->remote))
        return AUTH_NONE;
    if (found == TOKEN_FOUND_ONE)
        return check_token(&q);
    q.state->several = true;
    return refused(x, state, "several_tokens", "there is more than one token");
}

static enum err jwt_settle(struct exchange *x, const void *conf, void *state)
{
    const struct jwt_conf *c = conf;
    (void)state;
    return c->strip ? token_strip(x, &c->places) : ERR_OK;
}

static void jwt_finish(struct exchange *x, const void *conf, void *state)
{
    struct jwt_state *s = state;
    (void)x;
    (void)conf;
    document_wait_end(&s->wait);
}

/* RFC 6750 3: without a token nothing is said of an error. */
static void jwt_challenge(struct exchange *x, const void *conf, void *state, struct text *out)
{
    const struct jwt_conf *c = conf;
    const struct jwt_state *s = state;
    (void)x;
    text_addf(out, "Bearer realm=\"%.*s\"", SLICE_ARG(c->realm));
    if (s->refusal)
        text_addf(out, ", error=\"%s\", error_description=\"%s\"",
                  s->several ? "invalid_request" : "invalid_token", s->refusal);
}

const struct directive auth_jwt_rows[] = {
    {.name = "jwt",
     .where = IN_AUTH,
     .repeat = true,
     .args_max = JWT_SOURCES_MAX,
     .options = jwt_options,
     .apply = auth_method_apply,
     .usage = "[FILE|URL...] [issuer=TEXT] [audience=TEXT] [secret=TEXT] ...",
     .text =
         "Demands a signed token (JWT). FILE has the issuer's keys: a JWKS document, or public "
         "keys or certificates as PEM; when it changes it is read again. What the token says is "
         "`${claim.NAME}`, its `sub` is `$user`. See [tokens](../jwt.md).",
     .example = "jwt secret=0123456789abcdef0123456789abcdef issuer=https://login.example "
                "audience=api"},
    {0},
};

static void jwt_explain(const void *conf, struct text *t)
{
    const struct jwt_conf *c = conf;
    text_addf(t, " (%u source%s of keys", c->source_count, c->source_count == 1 ? "" : "s");
    for (uint32_t i = 0; i < c->rules.issuers.count; i++)
        text_addf(t, ", issuer %.*s", SLICE_ARG(c->rules.issuers.at[i]));
    text_add(t, SLICE(")"));
}

const struct auth_method auth_jwt = {
    .word = "jwt",
    .conf_bytes = sizeof(struct jwt_conf),
    .state_bytes = sizeof(struct jwt_state),
    .apply = jwt_apply,
    .check = jwt_check,
    .settle = jwt_settle,
    .challenge = jwt_challenge,
    .on_finish = jwt_finish,
    .explain = jwt_explain,
};
