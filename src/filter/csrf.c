/* csrf.c - the filter behind `csrf`: pages of other sites can not make a browser change anything
 * here in its user's name (cross-site request forgery).
 *
 * A request that may change something has to come from a page of this very site, or of a named one:
 * browsers tell in Sec-Fetch-Site, else in Origin, else in Referer, and pages can not change that.
 * GET counts, too, when it asks for a WebSocket, or to be taken for another method. What says
 * nothing of its page and brings nothing that browsers send by themselves is no browser's. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "cache/suspicion.h"
#include "http/uri.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/web_origins.h"

enum { MISSING_REFUSE, MISSING_ALLOW };

struct csrf_conf {
    const struct conf_node *node;
    struct web_origins origins;
    int64_t missing;
    bool dry_run;
};

#define FIELD(name) offsetof(struct csrf_conf, name)

static const struct conf_choice missing_choices[] = {
    {"refuse", MISSING_REFUSE, "the request is refused"},
    {"allow", MISSING_ALLOW, "the request passes"},
    {0},
};

static const struct directive csrf_options[] = {
    {.name = "missing",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .offset = FIELD(missing),
     .choices = missing_choices,
     .def = "refuse",
     .usage = "refuse|allow",
     .text = "What becomes of requests with cookies that tell nothing of their page: very old "
             "browsers, and programs that play one."},
    {.name = "dry_run",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(dry_run),
     .usage = "",
     .text = "Refuses nothing: `$csrf_status` and metrics tell what it would refuse."},
    {0},
};

static void csrf_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct csrf_conf *c = scope;
    *c = (struct csrf_conf){.node = n};
    conf_options(b, n, c);
}

static void csrf_ready(struct conf_build *b, void *conf)
{
    struct csrf_conf *c = conf;
    if (c->node && web_origins_read(b, c->node, &c->origins) && c->origins.any)
        diag_error(b->diag, c->node->pos, "'*' would refuse nothing: write 'no csrf'");
}

/* --- what may change something ---------------------------------------------------------------- */

/* "_method" as frameworks read it: decoded, in any letter case, and PHP makes the underscore out of
 * what its variables can not have. */
static bool is_method_name(struct slice name)
{
    const struct slice want = SLICE("_method");
    if (name.len != want.len || !slice_eq_nocase(slice_from(name, 1), slice_from(want, 1)))
        return false;
    return strchr("_. +[", name.at[0]) && name.at[0];
}

static struct slice without_blanks(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '+'))
        s = slice_from(s, 1);
    return s;
}

static bool pair_overrides(struct exchange *x, struct slice pair)
{
    struct slice name = slice_head(pair, slice_find(pair, '='));
    if (slice_find(name, '%') < name.len)
        name = uri_decode(&x->arena, name);
    if (!name.at) /* a '%' that escapes nothing stays one for those who take it */
        return false;
    return is_method_name(name) || is_method_name(without_blanks(name));
}

/* Some servers take ';' for '&'. */
static bool query_overrides(struct exchange *x)
{
    struct slice rest = x->uri.query, pair;
    if (!x->uri.has_query)
        return false;
    for (size_t i = 0, from = 0; i <= rest.len; i++) {
        if (i < rest.len && rest.at[i] != '&' && rest.at[i] != ';')
            continue;
        pair = (struct slice){rest.at + from, i - from};
        if (pair_overrides(x, pair))
            return true;
        from = i + 1;
    }
    return false;
}

static bool is_overriding(struct exchange *x)
{
    return suspicion_overrides(&x->req.headers) || query_overrides(x);
}

/* --- where it comes from ---------------------------------------------------------------------- */

static bool is_known(struct exchange *x, const struct csrf_conf *c, struct slice origin)
{
    return web_origins_have(&c->origins, origin) || web_origin_is_own(x, origin);
}

/* Fields that stand there more than once are no browser's, and who of several readers is right is
 * nobody's guess. */
static struct slice only(const struct exchange *x, struct header *first)
{
    return headers_next(&x->req.headers, first) ? SLICE("") : first->value;
}

static bool page_is_known(struct exchange *x, const struct csrf_conf *c)
{
    const struct headers *h = &x->req.headers;
    struct header *site = headers_find_name(h, SLICE("sec-fetch-site"));
    struct header *origin = headers_find(h, FIELD_ORIGIN);
    struct header *referer = headers_find(h, FIELD_REFERER);
    struct slice told = site ? only(x, site) : SLICE_NONE;
    if (slice_eq(told, SLICE("same-origin")) || slice_eq(told, SLICE("none")))
        return true;
    if (!origin && !referer)
        return false;
    struct slice from = origin ? only(x, origin) : web_origin_of_url(only(x, referer));
    /* Redirects may have led from here to another site and back. */
    return site ? web_origins_have(&c->origins, from) : is_known(x, c, from);
}

static bool tells_page(const struct exchange *x)
{
    const struct headers *h = &x->req.headers;
    return headers_find(h, FIELD_ORIGIN) || headers_find(h, FIELD_REFERER) ||
           headers_find_name(h, SLICE("sec-fetch-site"));
}

/* Browsers send cookies by themselves, and passwords. Only without an Origin may the latter be a
 * program's: browsers tell it with every POST. */
static bool brings_credentials(const struct exchange *x)
{
    const struct headers *h = &x->req.headers;
    if (headers_find(h, FIELD_COOKIE))
        return true;
    return method_safe((enum method)x->req.method) && headers_find(h, FIELD_AUTHORIZATION);
}

static bool may_pass(struct exchange *x, const struct csrf_conf *c)
{
    if (tells_page(x))
        return page_is_known(x, c);
    return !brings_credentials(x) || c->missing == MISSING_ALLOW;
}

static void count(const struct exchange *x, enum metric m)
{
    if (!x->dry)
        counter_add(x->worker->counters, m, 1);
}

static enum verdict csrf_request(struct exchange *x, const void *conf, void *state)
{
    const struct csrf_conf *c = conf;
    (void)state;
    if (method_safe((enum method)x->req.method) && !x->req.upgrade && !is_overriding(x))
        return PASS;
    if (may_pass(x, c)) {
        x->csrf_word = "passed";
        return PASS;
    }
    x->csrf_word = c->dry_run ? "would_refuse" : "refused";
    count(x, c->dry_run ? METRIC_CSRF_WOULD_REFUSE : METRIC_CSRF_REFUSED);
    if (c->dry_run)
        return PASS;
    x->err = ERR_CSRF_REFUSED;
    return FAILED;
}

static void csrf_explain(const void *conf, struct explain *e)
{
    const struct csrf_conf *c = conf;
    struct text named;
    text_init(&named);
    for (uint32_t i = 0; i < c->node->arg_count && named.len < 200; i++)
        text_addf(&named, " %.*s", SLICE_ARG(c->node->args[i].text));
    explain_line(e, "csrf", c->node->pos, "changes from pages of this site%s%s only%s",
                 named.len ? " and" : "", named.len ? named.at : "",
                 c->dry_run ? " (dry run)" : "");
    text_release(&named);
}

static const struct directive csrf_rows[] = {
    {.name = "csrf",
     .where = IN_POLICY,
     .args_min = 0,
     .args_max = 255,
     .options = csrf_options,
     .apply = csrf_apply,
     .usage = "[ORIGIN...] [missing=refuse|allow] [dry_run]",
     .text =
         "Refuses requests that may change something (all but GET, HEAD and OPTIONS, those with "
         "`X-HTTP-Method-Override` or `_method`, and WebSockets) when a page of another site made "
         "them: 403. Pages of this very site and of the named origins may. What comes from "
         "programs passes: they tell no page and have no cookies. See "
         "[browsers](../browser-security.md).",
     .example = "csrf https://admin.example.com"},
    {0},
};

const struct filter_type filter_csrf = {
    .name = "csrf",
    .stage = STAGE_EARLY,
    .directives = csrf_rows,
    .conf_bytes = sizeof(struct csrf_conf),
    .ready = csrf_ready,
    .on_request = csrf_request,
    .explain = csrf_explain,
};
