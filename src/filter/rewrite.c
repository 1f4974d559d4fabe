/* rewrite.c - the filter behind `rewrite`: another path for the origin. Routes are matched before
 * and are not looked up again, so a rewrite can not open another route's door. */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/pattern.h"
#include "proxy/template.h"

struct rewrite {
    struct rewrite *next;
    struct pattern *from; /* NULL: always */
    struct slice from_text, to_text;
    const struct template *to;
    struct conf_pos pos;
};

struct rewrite_conf {
    struct rewrite *first, *last;
};

static bool words_read(struct conf_build *b, const struct conf_node *n, struct rewrite *r)
{
    bool has_pattern = n->arg_count == 3;
    if (has_pattern) {
        if (!slice_eq(n->args[0].text, SLICE("~"))) {
            diag_error(b->diag, n->args[0].pos, "expected '~' before the pattern");
            return false;
        }
        r->from_text = n->args[1].text;
        r->from = pattern_compile(b, &n->args[1]);
        if (!r->from)
            return false;
    }
    r->to_text = n->args[n->arg_count - 1].text;
    r->to = template_compile(b, &n->args[n->arg_count - 1], has_pattern);
    return r->to != NULL;
}

static void rewrite_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct rewrite_conf *conf = scope;
    if (n->arg_count == 2) {
        diag_error(b->diag, n->pos, "expected 'rewrite TO' or 'rewrite ~ PATTERN TO'");
        return;
    }
    struct rewrite *r = ARENA_NEW(b->arena, struct rewrite);
    r->pos = n->pos;
    if (!words_read(b, n, r))
        return;
    *(conf->last ? &conf->last->next : &conf->first) = r;
    conf->last = r;
}

/* "path" or "path?query"; without a query the client's stays. */
static enum err target_set(struct exchange *x, struct slice to)
{
    size_t mark = slice_find(to, '?');
    struct slice path = slice_head(to, mark);
    if (path.len == 0 || path.at[0] != '/')
        path = arena_printf(&x->arena, "/%.*s", SLICE_ARG(path));
    if (!path.at)
        return ERR_OVER_BUDGET;
    TRY(uri_normalize_path(&x->arena, path, 0, &x->forward_path));
    if (mark < to.len) {
        x->forward_query = slice_from(to, mark + 1);
        x->forward_has_query = true;
    }
    struct uri check; /* variables may have brought in anything */
    struct slice whole = x->forward_has_query
                             ? arena_printf(&x->arena, "%.*s?%.*s", SLICE_ARG(x->forward_path),
                                            SLICE_ARG(x->forward_query))
                             : x->forward_path;
    return whole.at ? uri_parse(whole, &check) : ERR_OVER_BUDGET;
}

static enum err rewrite_one(const struct rewrite *r, struct exchange *x)
{
    struct slice captures[PATTERN_CAPTURES] = {0};
    if (r->from && !pattern_match(r->from, x->forward_path, captures))
        return ERR_OK;
    struct slice to = template_eval(r->to, x, captures);
    return to.at ? target_set(x, to) : ERR_OVER_BUDGET;
}

static enum verdict rewrite_run(struct exchange *x, const void *conf, void *state)
{
    (void)state;
    const struct rewrite_conf *c = conf;
    for (const struct rewrite *r = c->first; r; r = r->next) {
        enum err e = rewrite_one(r, x);
        if (e != ERR_OK) {
            x->err = e;
            return FAILED;
        }
    }
    return PASS;
}

static void rewrite_explain(const void *conf, struct explain *e)
{
    const struct rewrite_conf *c = conf;
    for (const struct rewrite *r = c->first; r; r = r->next)
        explain_line(e, "rewrite", r->pos, "%s%.*s%s%.*s", r->from ? "~ " : "",
                     SLICE_ARG(r->from_text), r->from ? " " : "", SLICE_ARG(r->to_text));
}

static const struct directive rewrite_rows[] = {
    {.name = "rewrite",
     .where = IN_POLICY,
     .repeat = true,
     .args_min = 1,
     .args_max = 3,
     .key_args = 2,
     .apply = rewrite_apply,
     .usage = "TO | ~ PATTERN TO",
     .text = "Changes the path that the origin is asked for (after `strip`). TO is a path, or a "
             "path and a query; it may hold variables and, with a pattern, `$1` to `$9`. Without a "
             "query in TO the client's stays. Rewrites run in the order in which they are written; "
             "routes are not looked up again.",
     .example = "rewrite ~ \"^/old/(.*)$\" /new/$1"},
    {0},
};

const struct filter_type filter_rewrite = {
    .name = "rewrite",
    .stage = STAGE_SHAPE,
    .directives = rewrite_rows,
    .conf_bytes = sizeof(struct rewrite_conf),
    .on_request = rewrite_run,
    .explain = rewrite_explain,
};
