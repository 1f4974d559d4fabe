/* cors.c - the filter behind `cors`: which pages of other sites may read answers (Fetch, "CORS
 * protocol").
 *
 * Preflights are answered here, before anybody asks for credentials, which they never have. On the
 * way out the server's own Access-Control fields give way to those of the configuration. That is
 * after the cache, whose answers are the same for all pages therefore; Vary tells caches behind. A
 * page that may not read an answer gets it all the same, and its browser keeps it away: to refuse
 * requests is what `csrf` is for. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "http/recode.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/web_origins.h"

struct cors_conf {
    const struct conf_node *node;
    struct web_origins origins;
    struct slice methods, headers, expose; /* as configured, then as sent; empty: the default */
    bool any_method, any_header, any_expose;
    bool credentials, private_network;
    int64_t max_age_ms;
    struct slice max_age; /* in seconds */
};

struct cors_state {
    bool looked, preflight;
    bool allowed;        /* a page of this origin may read the answer */
    struct slice origin; /* the one line of it; .at NULL: none, or several */
};

#define FIELD(name) offsetof(struct cors_conf, name)

/* --- the directive ---------------------------------------------------------------------------- */

static const struct directive cors_options[] = {
    {.name = "methods",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(methods),
     .usage = "METHOD,...",
     .text = "What pages may ask for with a preflight; `*`: anything. Without it GET, HEAD and "
             "POST, and where origins are named PUT, PATCH and DELETE, too."},
    {.name = "headers",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(headers),
     .usage = "NAME,...",
     .text = "Which fields pages may set in requests. Without it, and with `*`, any."},
    {.name = "expose",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(expose),
     .usage = "NAME,...",
     .text = "Which fields of responses pages may read besides the harmless ones; `*` (without "
             "`credentials`): all."},
    {.name = "credentials",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(credentials),
     .usage = "",
     .text = "Pages may send cookies and read what comes back. Every page of these origins then "
             "acts as the user: the origins must be named."},
    {.name = "max_age",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(max_age_ms),
     .min = 0,
     .max = (int64_t)24 * 3600 * 1000,
     .def = "10m",
     .usage = "TIME",
     .text = "How long browsers remember the answer to a preflight."},
    {.name = "private_network",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(private_network),
     .usage = "",
     .text = "Pages from the public internet may ask although this host is in a private network."},
    {0},
};

static void cors_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct cors_conf *c = scope;
    *c = (struct cors_conf){.node = n};
    conf_options(b, n, c);
}

/* "GET,PUT" becomes "GET, PUT". False: not a list of tokens. */
static bool list_read(struct conf_build *b, const char *name, const struct cors_conf *c,
                      struct slice *list, bool *any)
{
    struct slice rest = *list, member, out = SLICE("");
    *any = slice_eq(*list, SLICE("*"));
    while (!*any && field_list_next(&rest, &member)) {
        if (!field_is_token(member) || slice_eq(member, SLICE("*"))) {
            diag_error(b->diag, c->node->pos, "%s: '%.*s' is not a name", name, SLICE_ARG(member));
            return false;
        }
        out = arena_printf(b->arena, "%.*s%s%.*s", SLICE_ARG(out), out.len ? ", " : "",
                           SLICE_ARG(member));
    }
    *list = out;
    return true;
}

static bool lists_read(struct conf_build *b, struct cors_conf *c)
{
    if (!list_read(b, "methods", c, &c->methods, &c->any_method) ||
        !list_read(b, "headers", c, &c->headers, &c->any_header) ||
        !list_read(b, "expose", c, &c->expose, &c->any_expose))
        return false;
    c->any_header |= c->headers.len == 0;
    if (c->methods.len == 0)
        c->methods = c->origins.any ? SLICE("GET, HEAD, POST")
                                    : SLICE("GET, HEAD, POST, PUT, PATCH, DELETE");
    if (c->any_expose)
        c->expose = SLICE("*");
    return true;
}

/* Below a name without a dot ("com") is about anybody. */
static bool has_wide_origin(const struct web_origins *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct slice name = slice_from(o->list[i].host, 1);
        if (o->list[i].below && slice_find(name, '.') == name.len)
            return true;
    }
    return false;
}

static void check_credentials(struct conf_build *b, const struct cors_conf *c)
{
    if (!c->credentials)
        return;
    if (c->origins.any || c->origins.null_ || has_wide_origin(&c->origins)) {
        diag_error(b->diag, c->node->pos, "with credentials the origins must be named%s",
                   c->origins.null_ ? ": anybody's pages can be of origin null" : "");
        diag_hint(b->diag, "write 'cors https://app.example.com credentials'");
    }
    if (c->any_expose)
        diag_error(b->diag, c->node->pos, "with credentials the fields to expose must be named");
}

static void cors_ready(struct conf_build *b, void *conf)
{
    struct cors_conf *c = conf;
    if (!c->node || !web_origins_read(b, c->node, &c->origins))
        return;
    c->origins.any |= c->node->arg_count == 0;
    if (c->origins.any && c->node->arg_count > 1)
        diag_error(b->diag, c->node->pos, "'*' is every origin: name no others beside it");
    if (lists_read(b, c))
        check_credentials(b, c);
    c->max_age = arena_printf(b->arena, "%lld", (long long)(c->max_age_ms / 1000));
}

/* --- requests --------------------------------------------------------------------------------- */

/* The value of a field that may stand there once; .at NULL: it does not, or more than once. */
static struct slice only(const struct headers *h, struct header *first)
{
    return first && !headers_next(h, first) ? first->value : SLICE_NONE;
}

static struct slice only_named(const struct exchange *x, struct slice name)
{
    const struct headers *h = &x->req.headers;
    return only(h, headers_find_name(h, name));
}

static void look(struct exchange *x, const struct cors_conf *c, struct cors_state *s)
{
    struct header *first = headers_find(&x->req.headers, FIELD_ORIGIN);
    s->looked = true;
    s->origin = only(&x->req.headers, first);
    s->allowed = c->origins.any || (s->origin.at && web_origins_have(&c->origins, s->origin));
    if (first)
        x->cors_word = s->allowed ? "allowed" : "unknown";
}

static bool is_preflight(const struct exchange *x)
{
    return x->req.method == METHOD_OPTIONS && headers_find(&x->req.headers, FIELD_ORIGIN) &&
           headers_find_name(&x->req.headers, SLICE("access-control-request-method"));
}

/* Methods are told apart by letter case. */
static bool method_is_allowed(const struct cors_conf *c, struct slice method)
{
    struct slice rest = c->methods, member;
    if (c->any_method)
        return field_is_token(method);
    while (field_list_next(&rest, &member))
        if (slice_eq(member, method))
            return true;
    return false;
}

static bool fields_are_allowed(const struct cors_conf *c, struct slice asked)
{
    struct slice member;
    if (!asked.at)
        return false;
    while (field_list_next(&asked, &member))
        if (!field_is_token(member) || !(c->any_header || field_list_has(c->headers, member)))
            return false;
    return true;
}

/* NULL: nothing is wrong. */
static const char *preflight_fault(struct exchange *x, const struct cors_conf *c,
                                   const struct cors_state *s)
{
    struct slice fields = SLICE("access-control-request-headers");
    struct slice method = only_named(x, SLICE("access-control-request-method"));
    if (!s->origin.at || !s->allowed)
        return "its origin is not named";
    if (!method.at || !method_is_allowed(c, method))
        return "its method is not named";
    if (headers_find_name(&x->req.headers, fields) && !fields_are_allowed(c, only_named(x, fields)))
        return "a field that it wants to set is not named";
    return NULL;
}

static void count(const struct exchange *x, enum metric m)
{
    if (!x->dry)
        counter_add(x->worker->counters, m, 1);
}

static enum verdict failed(struct exchange *x, enum err e)
{
    x->err = e;
    return FAILED;
}

static enum verdict cors_request(struct exchange *x, const void *conf, void *state)
{
    const struct cors_conf *c = conf;
    struct cors_state *s = state;
    look(x, c, s);
    if (!is_preflight(x))
        return PASS;
    const char *fault = preflight_fault(x, c, s);
    if (fault) {
        x->cors_word = "refused";
        x->why = slice_of(fault);
        count(x, METRIC_CORS_REFUSED);
        return failed(x, ERR_CORS_REFUSED);
    }
    s->preflight = true;
    x->cors_word = "preflight";
    count(x, METRIC_CORS_PREFLIGHTS);
    enum err e = exchange_respond(x, 204, SLICE(""), SLICE(""));
    return e == ERR_OK ? ANSWERED : failed(x, e);
}

/* --- responses -------------------------------------------------------------------------------- */

/* All that the server sent of it. */
static void fields_drop(struct headers *h)
{
    const struct slice front = SLICE("access-control-");
    HEADER_EACH (it, h)
        if (slice_eq_nocase(slice_head(it->name, front.len), front))
            it->dead = true;
}

static enum err put(struct exchange *x, struct slice name, struct slice value)
{
    return headers_add(&x->res.headers, &x->arena, name, value);
}

/* Of a preflight that was found good. */
static enum err preflight_write(struct exchange *x, const struct cors_conf *c)
{
    struct slice method = only_named(x, SLICE("access-control-request-method"));
    struct slice fields = only_named(x, SLICE("access-control-request-headers"));
    TRY(put(x, SLICE("Access-Control-Allow-Methods"), c->any_method ? method : c->methods));
    if (fields.len > 0)
        TRY(put(x, SLICE("Access-Control-Allow-Headers"), c->any_header ? fields : c->headers));
    TRY(put(x, SLICE("Access-Control-Max-Age"), c->max_age));
    if (c->private_network &&
        slice_eq(only_named(x, SLICE("access-control-request-private-network")), SLICE("true")))
        TRY(put(x, SLICE("Access-Control-Allow-Private-Network"), SLICE("true")));
    return ERR_OK;
}

static enum err vary_write(struct exchange *x, const struct cors_conf *c,
                           const struct cors_state *s)
{
    static const struct slice names[] = {SLICE_INIT("Origin"),
                                         SLICE_INIT("Access-Control-Request-Method"),
                                         SLICE_INIT("Access-Control-Request-Headers")};
    for (size_t i = c->origins.any ? 1 : 0; i < (s->preflight ? COUNT_OF(names) : 1); i++)
        TRY(vary_add(&x->res.headers, &x->arena, names[i]));
    return ERR_OK;
}

/* For requests without Origin, too: a cache may keep their answer for a page of whatever origin. */
static enum err write(struct exchange *x, const struct cors_conf *c, const struct cors_state *s)
{
    fields_drop(&x->res.headers);
    TRY(vary_write(x, c, s));
    if (!s->allowed)
        return ERR_OK;
    TRY(put(x, SLICE("Access-Control-Allow-Origin"), c->origins.any ? SLICE("*") : s->origin));
    if (c->credentials)
        TRY(put(x, SLICE("Access-Control-Allow-Credentials"), SLICE("true")));
    if (s->preflight)
        return preflight_write(x, c);
    return c->expose.len ? put(x, SLICE("Access-Control-Expose-Headers"), c->expose) : ERR_OK;
}

static enum verdict cors_response(struct exchange *x, const void *conf, void *state)
{
    struct cors_state *s = state;
    if (!s->looked) /* somebody before us refused it */
        look(x, conf, s);
    enum err e = write(x, conf, s);
    return e == ERR_OK ? PASS : failed(x, e);
}

static void cors_explain(const void *conf, struct explain *e)
{
    const struct cors_conf *c = conf;
    struct text who;
    text_init(&who);
    for (uint32_t i = 0; i < c->node->arg_count && who.len < 200; i++)
        text_addf(&who, "%s%.*s", i ? " " : "", SLICE_ARG(c->node->args[i].text));
    explain_line(e, "cors", c->node->pos, "%s, %s credentials; %.*s",
                 c->origins.any ? "any origin" : who.at, c->credentials ? "with" : "without",
                 SLICE_ARG(c->any_method ? SLICE("any method") : c->methods));
    text_release(&who);
}

static const struct directive cors_rows[] = {
    {.name = "cors",
     .where = IN_POLICY,
     .args_min = 0,
     .args_max = 255,
     .options = cors_options,
     .apply = cors_apply,
     .usage = "[ORIGIN...] [methods=] [headers=] [expose=] [credentials] [max_age=TIME]",
     .text = "Lets pages of other sites read the answers. Without ORIGIN those of all sites, "
             "without cookies; else those named: `https://app.example.com`, "
             "`https://*.example.org` (all names below), `http://localhost:*` (any port), `null`. "
             "Preflights are answered by weir: 204, or 403 when origin, method or fields are not "
             "allowed. The server's own Access-Control fields are replaced, and `Vary: Origin` is "
             "set where it matters. See [browsers](../browser-security.md).",
     .example = "cors https://app.example.com credentials"},
    {0},
};

const struct filter_type filter_cors = {
    .name = "cors",
    .stage = STAGE_EARLY,
    .directives = cors_rows,
    .conf_bytes = sizeof(struct cors_conf),
    .state_bytes = sizeof(struct cors_state),
    .ready = cors_ready,
    .on_request = cors_request,
    .on_response = cors_response,
    .explain = cors_explain,
};
