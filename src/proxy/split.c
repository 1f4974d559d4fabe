/* split.c - see split.h. A part whose share is 0% gets nobody, not even those who had it: that is
 * how a canary is taken back. Other changes of shares leave clients where they are. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/split.h"
#include "base/hash.h"
#include "proxy/apply_priv.h"
#include "proxy/build_priv.h"
#include "proxy/exchange.h"
#include "proxy/template.h"
#include "upstream/upstream.h"

struct split_terms {
    struct choice_terms cookie;
    struct slice by;
    bool sticky;
};

const struct directive split_options[] = {
    {.name = "sticky",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = offsetof(struct split_terms, sticky),
     .usage = "",
     .text = "A client stays with its part, by a signed cookie."},
    {.name = "by",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct split_terms, by),
     .usage = "KEY",
     .text = "Variables that decide instead of chance, such as `$ip` or `${header.X-User}`: the "
             "same key to the same part, on every weir."},
    CHOICE_OPTIONS(struct split_terms, cookie, "weir_split"),
    {0}};

/* --- from words -------------------------------------------------------------------------------*/

static const struct conf_option *option_of(const struct conf_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->option_count; i++)
        if (strcmp(n->options[i].row->name, name) == 0)
            return &n->options[i];
    return NULL;
}

static bool parts_read(struct conf_build *b, const struct conf_node *n, struct split_part *parts)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < n->arg_count; i += 2) {
        struct split_part *p = &parts[i / 2];
        p->target = (struct target){.kind = TARGET_UPSTREAM, .pos = n->args[i].pos};
        if (!share_read(b, &n->args[i + 1], &p->share) ||
            !upstream_target(b, &n->args[i], &p->target))
            return false;
        for (const struct split_part *q = parts; q < p; q++)
            if (q->target.upstream == p->target.upstream) {
                diag_error(b->diag, n->args[i].pos, "'%.*s' stands twice in this split",
                           SLICE_ARG(n->args[i].text));
                return false;
            }
        sum += p->share;
    }
    if (sum == SHARE_WHOLE)
        return true;
    diag_error(b->diag, n->args[n->arg_count - 1].pos, "the shares make %lld.%02lld%%, not 100%%",
               (long long)sum / 100, (long long)sum % 100);
    return false;
}

static bool count_check(struct conf_build *b, const struct conf_node *n)
{
    if (n->arg_count % 2 == 0 && n->arg_count <= 2 * SPLIT_PARTS_MAX)
        return true;
    diag_error(b->diag, n->args[n->arg_count - 1].pos,
               n->arg_count % 2 ? "a share such as 5%% is due after '%.*s'"
                                : "'%.*s': more parts than a split may have",
               SLICE_ARG(n->args[n->arg_count - 1].text));
    return false;
}

static bool cookie_build(struct conf_build *b, const struct conf_node *n,
                         const struct split_terms *t, struct split *s)
{
    struct slice names[SPLIT_PARTS_MAX];
    for (uint32_t i = 0; i < n->option_count && !t->sticky; i++) {
        if (strcmp(n->options[i].row->name, "by") == 0)
            continue;
        diag_error(b->diag, n->options[i].value.pos, "'%s' is for the cookie of 'split ... sticky'",
                   n->options[i].row->name);
        return false;
    }
    s->sticky = t->sticky;
    if (!t->sticky)
        return true;
    for (uint32_t i = 0; i < s->count; i++)
        names[i] = s->parts[i].target.upstream->name;
    if (!choice_cookie_init(b, n->pos, &t->cookie, SLICE("weir split"), &s->cookie))
        return false;
    choice_cookie_names(b, &s->cookie, names, s->count);
    return true;
}

void split_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *settings = scope;
    struct split_terms t = {0};
    struct split *s = BUILD_NEW(b, struct split);
    conf_options(b, n, &t);
    if (!count_check(b, n))
        return;
    struct split_part *parts = BUILD_ARRAY(b, struct split_part, n->arg_count / 2);
    s->parts = parts;
    s->count = n->arg_count / 2;
    if (!parts_read(b, n, parts) || !cookie_build(b, n, &t, s))
        return;
    const struct conf_option *by = option_of(n, "by");
    if (by)
        s->by = template_compile(b, &by->value, false);
    struct target *target = BUILD_NEW(b, struct target);
    *target = (struct target){.kind = TARGET_SPLIT, .pos = n->pos, .split = s};
    settings->target = target;
}

/* --- for requests -----------------------------------------------------------------------------*/

static uint32_t part_at(const struct split *s, int64_t point)
{
    uint32_t i = 0;
    while (i + 1 < s->count && point >= s->parts[i].share) {
        point -= s->parts[i].share;
        i++;
    }
    return i;
}

/* `test` and `explain` show the same every time: the part that most get. */
static uint32_t part_largest(const struct split *s)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < s->count; i++)
        if (s->parts[i].share > s->parts[best].share)
            best = i;
    return best;
}

static enum err part_by_key(struct exchange *x, const struct split *s, uint32_t *part)
{
    struct slice key = template_eval(s->by, x, NULL);
    if (!key.at)
        return ERR_OVER_BUDGET;
    *part = part_at(s, (int64_t)(hash_fast(key, 0) % SHARE_WHOLE));
    return ERR_OK;
}

static bool part_of_cookie(struct exchange *x, const struct split *s, uint32_t *part)
{
    int32_t i = choice_of_request(&s->cookie, x, &x->split_stale);
    if (i == CHOICE_NONE || s->parts[i].share == 0)
        return false;
    *part = (uint32_t)i;
    return true;
}

enum err split_choose(struct exchange *x, const struct split *s, const struct target **to)
{
    uint32_t part = 0;
    bool known = s->sticky && part_of_cookie(x, s, &part);
    if (s->sticky)
        TRY(choice_strip(&s->cookie, x));
    if (!known && s->by)
        TRY(part_by_key(x, s, &part));
    else if (!known && x->dry)
        part = part_largest(s);
    else if (!known)
        part = part_at(s, rand_below(&x->worker->loop.rand, SHARE_WHOLE));
    if (s->sticky && (!known || x->split_stale)) {
        x->split = s;
        x->split_part = part;
    }
    *to = &s->parts[part].target;
    return ERR_OK;
}

enum err split_answered(struct exchange *x)
{
    return choice_tell(&x->split->cookie, x, x->split_part);
}
