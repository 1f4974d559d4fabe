/* auth_signed_url.c - `auth signed`: a URL that somebody who has the secret made for a while.
 *
 * What is signed is written as the server gets it: the path in its normal form, so that no other
 * spelling of it is another resource, and the query as it came. By default all of the query is
 * signed. With `params` the rest is free, and then has to be such that no server finds a signed
 * parameter in it: plain names, no semicolon (which some read as '&'). */
// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"
#include "filter/auth_signed_priv.h"
#include "http/query.h"

enum { NAMES_MAX = 16 };

struct url_terms {
    struct slice signature, expires, key, params, methods;
    int64_t max;
    bool host, strip;
};

struct url_conf {
    const struct jwk_set *keys;
    struct slice signature, expires, key; /* names of parameters; key.at NULL: none */
    struct slice params[NAMES_MAX], methods[NAMES_MAX];
    uint32_t param_count, method_count;
    int64_t ahead_max_s; /* 0: any */
    bool some;           /* only params are signed */
    bool host, strip;
};

#define FIELD(field) offsetof(struct url_terms, field)

static const struct directive url_options[] = {
    {.name = "signature",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(signature),
     .def = "signature",
     .usage = "NAME",
     .text = "The parameter with the signature."},
    {.name = "expires",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(expires),
     .def = "expires",
     .usage = "NAME",
     .text = "The parameter with the time, in unix seconds, from which on the URL is good no more. "
             "It has to be there, and is always signed."},
    {.name = "key",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(key),
     .usage = "NAME",
     .text =
         "A parameter that names the key, which is tried alone then. Without it each is tried."},
    {.name = "params",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(params),
     .usage = "NAME[,NAME...]",
     .text = "Of the query only these parameters are signed; others may be added, changed and left "
             "out by anybody. Without it all of the query is signed."},
    {.name = "methods",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(methods),
     .def = "GET,HEAD",
     .usage = "NAME[,NAME...]",
     .text = "What the URL may be used with."},
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(max),
     .min = 1000,
     .max = INT64_C(10) * 366 * 24 * 3600 * 1000,
     .usage = "TIME",
     .text = "URLs that are good for longer than this are refused."},
    {.name = "host",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(host),
     .def = "off",
     .usage = "on|off",
     .text = "The host is signed, too: of use where several sites have the same secret."},
    {.name = "strip",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(strip),
     .def = "off",
     .usage = "on|off",
     .text =
         "The parameters of the signature (signature, expires, key) do not go on to the server."},
    {0},
};

/* Letters, digits, '-' and '_': nothing that some server reads otherwise. */
static bool is_plain(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (base64_value(name.at[i], BASE64_URL) < 0)
            return false;
    return true;
}

/* "a,b" into names[]; 0 after an error. */
static uint32_t names_read(struct conf_build *b, const struct conf_node *n, struct slice text,
                           struct slice names[NAMES_MAX])
{
    uint32_t count = 0;
    struct slice part, rest = text;
    while (text.at && slice_cut(&rest, ',', &part)) {
        part = slice_trim(part);
        if (count == NAMES_MAX || part.len == 0 || !is_plain(part)) {
            diag_error(b->diag, n->pos, "'%.*s' is no list of at most %d names", SLICE_ARG(text),
                       NAMES_MAX);
            return 0;
        }
        names[count++] = part;
    }
    return count;
}

static void names_check(struct conf_build *b, const struct conf_node *n, const struct url_conf *c)
{
    const struct slice own[] = {c->signature, c->expires, c->key};
    for (int i = 0; i < 3; i++)
        if (own[i].at && (own[i].len == 0 || !is_plain(own[i])))
            diag_error(b->diag, n->pos, "'%.*s' is no name of a parameter", SLICE_ARG(own[i]));
    if (slice_eq(c->signature, c->expires) || slice_eq(c->signature, c->key) ||
        slice_eq(c->expires, c->key))
        diag_error(b->diag, n->pos, "signature, expires and key are parameters of their own");
}

static void url_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct url_conf *c = conf;
    struct url_terms t = {0};
    conf_options(b, n, &t);
    c->keys = signed_keys_read(b, n);
    c->signature = t.signature;
    c->expires = t.expires;
    c->key = t.key;
    c->some = t.params.at;
    c->ahead_max_s = t.max / 1000;
    c->host = t.host;
    c->strip = t.strip;
    c->param_count = names_read(b, n, t.params, c->params);
    c->method_count = names_read(b, n, t.methods, c->methods);
    names_check(b, n, c);
}

/* --- what is signed -----------------------------------------------------------------------------
 */

/* False: it is there more than once, or in another spelling. *value stays when it is not there. */
static bool one_member(struct slice query, struct slice name, struct slice *value)
{
    struct query_member m;
    uint32_t count = query_find(query, name, &m);
    if (count == 1)
        *value = m.value;
    return count == 0 || (count == 1 && slice_eq(m.name, name));
}

static bool is_signed(const struct url_conf *c, struct slice name)
{
    for (uint32_t i = 0; i < c->param_count; i++)
        if (slice_eq(name, c->params[i]))
            return true;
    return slice_eq(name, c->expires) || (c->key.at && slice_eq(name, c->key));
}

/* Servers also take "A", "a[]", "a.b" and "+a" for a parameter of theirs. */
static bool is_free(const struct url_conf *c, const struct query_member *m)
{
    for (uint32_t i = 0; i < c->param_count; i++)
        if (slice_eq_nocase(m->name, c->params[i]))
            return false;
    return is_plain(m->name) && slice_find(m->value, ';') == m->value.len &&
           !slice_eq_nocase(m->name, c->expires) && !slice_eq_nocase(m->name, c->signature) &&
           !(c->key.at && slice_eq_nocase(m->name, c->key));
}

/* The signed members in their order, .at NULL: out of memory. False: one of the others might be
 * taken for one of them. */
static bool some_members(struct exchange *x, const struct url_conf *c, struct slice *out)
{
    struct query_member m;
    struct slice rest = x->uri.query;
    char *to = arena_alloc(&x->arena, rest.len + 1), *at = to;
    *out = (struct slice){to, 0};
    while (to && query_next(&rest, &m)) {
        if (slice_eq(m.name, c->signature))
            continue;
        if (!is_signed(c, m.name) && !is_free(c, &m))
            return false;
        if (!is_signed(c, m.name))
            continue;
        memcpy(at, m.whole.at, m.whole.len);
        at += m.whole.len;
        *at++ = '&';
    }
    out->len = at > to ? (size_t)(at - to) - 1 : 0;
    return true;
}

/* ERR_BAD_TARGET: the query is not to be trusted in this shape. */
static enum err text_make(struct exchange *x, const struct url_conf *c, struct slice *out)
{
    struct slice query;
    if (!c->some)
        TRY(query_without(&x->arena, x->uri.query, c->signature, &query));
    else if (!some_members(x, c, &query))
        return ERR_BAD_TARGET;
    else if (!query.at)
        return ERR_OVER_BUDGET;
    *out = ARENA_CONCAT(&x->arena, SLICE("url\n"), c->host ? x->host : SLICE(""), SLICE("\n"),
                        x->spelled_path, SLICE("\n"), query);
    return out->at ? ERR_OK : ERR_OVER_BUDGET;
}

/* --- asking -------------------------------------------------------------------------------------
 */

struct url_facts {
    struct slice signature, expires, key;
};

static bool method_is_fit(const struct exchange *x, const struct url_conf *c)
{
    for (uint32_t i = 0; i < c->method_count; i++)
        if (slice_eq(x->req.method_text, c->methods[i]))
            return true;
    return false;
}

/* ERR_OVER_BUDGET; a query that can not be signed is a verdict. */
static enum err verify(struct exchange *x, const struct url_conf *c, const struct url_facts *f,
                       const struct jwk **key, enum signed_verdict *out)
{
    uint8_t mac[SIGNED_MAC_BYTES];
    struct slice text;
    *out = SIGNED_MALFORMED;
    if (!signed_mac_read(f->signature, mac))
        return ERR_OK;
    enum err e = text_make(x, c, &text);
    if (e != ERR_OK)
        return e == ERR_BAD_TARGET ? ERR_OK : e;
    *out = signed_check(c->keys, f->key, text, mac, key);
    if (*out == SIGNED_GOOD)
        *out = signed_expiry_check(f->expires, x->worker->loop.unix_ms / 1000, c->ahead_max_s);
    if (*out == SIGNED_GOOD && !method_is_fit(x, c))
        *out = SIGNED_METHOD;
    return ERR_OK;
}

static enum err url_settle(struct exchange *x, const void *conf, void *state)
{
    const struct url_conf *c = conf;
    (void)state;
    const struct slice names[] = {c->signature, c->expires, c->key};
    for (int i = 0; i < 3 && c->strip && x->forward_has_query; i++) {
        if (!names[i].at)
            continue;
        TRY(query_without(&x->arena, x->forward_query, names[i], &x->forward_query));
        x->forward_has_query = x->forward_query.len > 0;
    }
    return ERR_OK;
}

static enum auth_verdict url_check(struct exchange *x, const void *conf, void *state)
{
    const struct url_conf *c = conf;
    struct url_facts f = {0};
    struct slice query = x->uri.has_query ? x->uri.query : SLICE("");
    const struct jwk *key = NULL;
    (void)state;
    if (query_find(query, c->signature, &(struct query_member){0}) == 0)
        return AUTH_NONE;
    if (!one_member(query, c->signature, &f.signature) ||
        !one_member(query, c->expires, &f.expires) ||
        (c->key.at && !one_member(query, c->key, &f.key)))
        return signed_refuse(x, SIGNED_MALFORMED);
    enum signed_verdict v;
    enum err e = verify(x, c, &f, &key, &v);
    if (e == ERR_OK && v != SIGNED_GOOD)
        return signed_refuse(x, v);
    if (e == ERR_OK)
        return signed_grant(x, "signed", key);
    x->err = e;
    return AUTH_FAILED;
}

const struct directive auth_signed_rows[] = {
    {.name = "signed",
     .where = IN_AUTH,
     .repeat = true,
     .args_min = 1,
     .args_max = SIGNED_KEYS_MAX,
     .secret = 1,
     .options = url_options,
     .apply = auth_method_apply,
     .usage = "[ID:]SECRET... [params=NAME,...] [max=TIME] [strip=on] ...",
     .text =
         "Lets in whoever has a URL that was signed with one of the secrets (at least 32 bytes "
         "each) and is not over: HMAC-SHA256 of path, query and time of expiry. Put secrets into "
         "files: `signed k1:${file:/etc/weir/url.secret}`. The id of the key is `$user`. What has "
         "to be signed stands in [signed URLs](../signed-urls.md), with an example for the shell.",
     .example = "signed k1:0123456789abcdef0123456789abcdef max=7d strip=on"},
    {0},
};

const struct auth_method auth_signed = {
    .word = "signed",
    .conf_bytes = sizeof(struct url_conf),
    .apply = url_apply,
    .check = url_check,
    .settle = url_settle,
};
