/* hsts.c - the filter behind `hsts`: tells browsers to come over HTTPS only (RFC 6797).
 *
 * The field goes out over HTTPS alone (7.2): over plain HTTP anybody could set it. What the server
 * sent of it is replaced. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"

enum { YEAR_S = 365 * 86400 };

struct hsts_conf {
    int64_t max_age_ms;
    bool subdomains, preload;
    struct slice value;
    struct conf_pos pos;
};

#define FIELD(name) offsetof(struct hsts_conf, name)

static const struct directive hsts_options[] = {
    {.name = "subdomains",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(subdomains),
     .usage = "",
     .text = "For every host below this one, too."},
    {.name = "preload",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(preload),
     .usage = "",
     .text =
         "Allows browsers to carry the host in their own list, which is hard to take back. Their "
         "makers ask for `subdomains` and at least a year."},
    {0},
};

static void hsts_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct hsts_conf *c = scope;
    c->subdomains = c->preload = false;
    if (n->arg_count > 0)
        conf_set(b->diag, n->row, &n->args[0], c);
    for (uint32_t i = 0; i < n->option_count; i++)
        conf_set(b->diag, n->options[i].row, &n->options[i].value, c);
    c->pos = n->pos;
    if (c->preload && (!c->subdomains || c->max_age_ms / 1000 < YEAR_S))
        diag_warn(b->diag, n->pos,
                  "lists of browsers take hosts with 'subdomains' and 1 year only");
}

static void hsts_ready(struct conf_build *b, void *conf)
{
    struct hsts_conf *c = conf;
    c->value =
        arena_printf(b->arena, "max-age=%lld%s%s", (long long)(c->max_age_ms / 1000),
                     c->subdomains ? "; includeSubDomains" : "", c->preload ? "; preload" : "");
}

static enum verdict hsts_run(struct exchange *x, const void *conf, void *state)
{
    const struct hsts_conf *c = conf;
    (void)state;
    if (!slice_eq(x->client_scheme, SLICE("https")))
        return PASS;
    enum err e =
        headers_set(&x->res.headers, &x->arena, SLICE("Strict-Transport-Security"), c->value);
    if (e == ERR_OK)
        return PASS; /* x->err stays: the answer may be that of an error */
    x->err = e;
    return FAILED;
}

static void hsts_explain(const void *conf, struct explain *e)
{
    const struct hsts_conf *c = conf;
    explain_line(e, "hsts", c->pos, "%.*s", SLICE_ARG(c->value));
}

static const struct directive hsts_rows[] = {
    {.name = "hsts",
     .where = IN_POLICY,
     .type = CONF_TIME,
     .offset = FIELD(max_age_ms),
     .min = 0,
     .max = 10LL * YEAR_S * 1000,
     .def = "365d",
     .args_min = 0,
     .args_max = 1,
     .options = hsts_options,
     .apply = hsts_apply,
     .usage = "[TIME] [subdomains] [preload]",
     .text =
         "Tells browsers to use HTTPS only for this host from now on, for TIME. It is sent over "
         "HTTPS alone. `hsts 0s` takes it back.",
     .example = "hsts 365d subdomains"},
    {0},
};

const struct filter_type filter_hsts = {
    .name = "hsts",
    .stage = STAGE_EARLY,
    .directives = hsts_rows,
    .conf_bytes = sizeof(struct hsts_conf),
    .ready = hsts_ready,
    .on_response = hsts_run,
    .explain = hsts_explain,
};
