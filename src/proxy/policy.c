/* policy.c - which policies are in force in a block: inherited, overridden, taken back, added.
 *
 * A block derives from the one around it. Scalar policies are merged (settings.h). Of a filter's
 * directives the inherited ones come first, but those whose key a nearer one repeats are left out;
 * one conf is made of the rest. A `when` block gets confs of its own, used while it holds. What a
 * block does not touch it shares with its parent, down to the compiled chains: ten thousand routes
 * that set nothing cost ten thousand structs and nothing more. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/apply_priv.h"
#include "proxy/build_priv.h"
#include "proxy/fastcgi.h"

/* What is being derived. */
struct derivation {
    struct builder *bu;
    const struct policy *parent;
    const struct conf_node *block;
    struct policy *out;
    struct settings own;                 /* what this block sets */
    const struct conf_node *target_node; /* that set own.target */
    uint64_t touched;                    /* bit per filter: its nodes are this block's own array */
    uint32_t inherited[FILTERS_MAX]; /* of a touched filter: how many nodes came from the parent */
    uint32_t whens_cap;              /* 0: the parent's array */
};

/* --- which filter a directive belongs to -------------------------------------------------------*/

enum { NO_FILTER = -1 };

static int filter_of(const struct builder *bu, const struct directive *row)
{
    for (uint32_t i = 0; i < bu->filter_count; i++) {
        for (const struct directive *r = bu->filters[i]->directives; r && r->name; r++) {
            if (r == row)
                return (int)i;
        }
    }
    return NO_FILTER;
}

static bool is_block_word(const struct conf_node *n)
{
    return node_is(n, "route") || node_is(n, "when") || node_is(n, "no") || node_is(n, "test") ||
           node_is(n, "listen") || node_is(n, "tls");
}

/* Policies only: neither options written in the block nor blocks of their own. */
static bool is_policy(const struct conf_node *n)
{
    return n->row && !(n->row->where & IN_OPTIONS) && !is_block_word(n);
}

/* --- scalar policies ---------------------------------------------------------------------------*/

/* Two of proxy, split, relay, respond, redirect in one block: which one counts would be a guess. */
static void check_one_target(struct derivation *d, const struct settings *before,
                             const struct settings *after, const struct conf_node *n,
                             const struct conf_node **target_node)
{
    if (before->target == after->target)
        return;
    if (*target_node && !fastcgi_combines(*target_node, n)) {
        diag_error(d->bu->b->diag, n->pos, "this block has a '%s' already",
                   (*target_node)->row->name);
        diag_hint(d->bu->b->diag, "first in %s:%u", (*target_node)->pos.file->path,
                  (*target_node)->pos.line);
    }
    *target_node = n;
}

static void setting_add(struct derivation *d, const struct conf_node *n, struct settings *own,
                        const struct conf_node **target_node)
{
    struct settings before = *own;
    if (is_request_buffer(n))
        request_buffer_apply(d->bu->b, own, n);
    else
        conf_apply(d->bu->b, own, n);
    check_one_target(d, &before, own, n, target_node);
    fastcgi_combine(own, before.target);
}

/* --- directives of filters ---------------------------------------------------------------------*/

static bool same_key(const struct conf_node *a, const struct conf_node *b)
{
    if (a->row != b->row || a->row->adds)
        return false;
    for (uint32_t i = 0; i < a->row->key_args; i++) {
        bool in_a = i < a->arg_count, in_b = i < b->arg_count;
        if (in_a != in_b)
            return false;
        if (!in_a)
            return true;
        if (!slice_eq_nocase(a->args[i].text, b->args[i].text))
            return false;
    }
    return true;
}

static uint32_t own_count(const struct derivation *d, int filter)
{
    uint32_t count = 0;
    CONF_NODE_EACH(n, d->block)
    {
        if (is_policy(n) && !is_request_buffer(n) && filter_of(d->bu, n->row) == filter)
            count++;
    }
    return count;
}

/* From here on the filter's list is this block's own. */
static struct filter_nodes *filter_touch(struct derivation *d, int filter)
{
    uint64_t bit = (uint64_t)1 << filter;
    struct filter_nodes *all = d->out->filters;
    if (d->touched == 0) {
        all = BUILD_ARRAY(d->bu->b, struct filter_nodes, d->bu->filter_count);
        memcpy(all, d->parent->filters, d->bu->filter_count * sizeof(*all));
        d->out->filters = all;
    }
    if (d->touched & bit)
        return &all[filter];
    d->touched |= bit;
    const struct filter_nodes *from = &d->parent->filters[filter];
    const struct conf_node **nodes =
        BUILD_ARRAY(d->bu->b, const struct conf_node *, from->count + own_count(d, filter));
    if (from->count > 0)
        memcpy(nodes, from->nodes, from->count * sizeof(*nodes));
    all[filter] = (struct filter_nodes){.nodes = nodes, .count = from->count};
    d->inherited[filter] = from->count;
    return &all[filter];
}

static void inherited_remove(struct derivation *d, int filter, uint32_t at)
{
    struct filter_nodes *f = &d->out->filters[filter];
    memmove(&f->nodes[at], &f->nodes[at + 1], (f->count - at - 1) * sizeof(*f->nodes));
    f->count--;
    d->inherited[filter]--;
}

static void filter_add(struct derivation *d, int filter, const struct conf_node *n)
{
    struct filter_nodes *f = filter_touch(d, filter);
    for (uint32_t i = d->inherited[filter]; i > 0; i--) {
        if (same_key(f->nodes[i - 1], n))
            inherited_remove(d, filter, i - 1);
    }
    f->nodes[f->count++] = n;
}

static const void *conf_make(struct builder *bu, int filter, const struct conf_node *const *nodes,
                             uint32_t count)
{
    const struct filter_type *type = bu->filters[filter];
    if (count == 0)
        return NULL;
    void *conf = build_alloc(bu->b, type->conf_bytes);
    conf_defaults(type->directives, IN_POLICY, conf);
    for (uint32_t i = 0; i < count; i++)
        conf_apply(bu->b, conf, nodes[i]);
    if (type->ready)
        type->ready(bu->b, conf);
    return conf;
}

/* --- no ----------------------------------------------------------------------------------------*/

/* The fields that a directive sets. */
static const struct {
    const char *name;
    struct settings_span span;
} spans[] = {
#define SPAN(first, last)                                                 \
    {                                                                     \
        offsetof(struct settings, first), offsetof(struct settings, last) \
    }
    {"timeout", SPAN(client_header_ms, half_close_ms)},
    {"body", SPAN(body_max_bytes, body_queue_bytes)},
    {"buffer", SPAN(buffer_request, buffer_memory_bytes)},
    {"retry", SPAN(retry_tries, retry_statuses)},
    {"priority", SPAN(priority, priority)},
    {"deadline", SPAN(deadline, deadline)},
    {"log", SPAN(log, log)},
    {"proxy", SPAN(target, target)},
    {"respond", SPAN(target, target)},
    {"redirect", SPAN(target, target)},
    {"split", SPAN(target, target)},
    {"files", SPAN(target, target)},
    {"fastcgi", SPAN(target, target)},
    {"relay", SPAN(target, target)},
    {"mirror", SPAN(mirror, mirror)},
#undef SPAN
};

static bool settings_take_back(struct derivation *d, struct slice name)
{
    for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++) {
        if (!slice_eq(slice_of(spans[i].name), name))
            continue;
        settings_copy_span(&d->out->settings, &d->bu->proxy->defaults, spans[i].span);
        return true;
    }
    return false;
}

static bool filter_take_back(struct derivation *d, struct slice name)
{
    const struct directive *row = conf_row_find(d->bu->b->schema, IN_POLICY, name);
    int filter = row ? filter_of(d->bu, row) : NO_FILTER;
    if (filter == NO_FILTER)
        return false;
    if (d->parent->filters[filter].count == 0)
        return true;
    struct filter_nodes *f = filter_touch(d, filter);
    for (uint32_t i = d->inherited[filter]; i > 0; i--) {
        if (f->nodes[i - 1]->row == row)
            inherited_remove(d, filter, i - 1);
    }
    return true;
}

static void nearest_policy(struct derivation *d, struct slice name)
{
    enum { MOST = 128 };
    struct slice names[MOST];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++)
        names[count++] = slice_of(spans[i].name);
    for (uint32_t i = 0; i < d->bu->filter_count; i++) {
        for (const struct directive *r = d->bu->filters[i]->directives; r && r->name; r++) {
            if (count < MOST)
                names[count++] = slice_of(r->name);
        }
    }
    diag_nearest(d->bu->b->diag, name, names, count);
}

static void take_back(struct derivation *d, const struct conf_node *n)
{
    for (uint32_t i = 0; i < n->arg_count; i++) {
        struct slice name = n->args[i].text;
        if (settings_take_back(d, name) || filter_take_back(d, name))
            continue;
        diag_error(d->bu->b->diag, n->args[i].pos, "'%.*s' is not a policy that can be inherited",
                   SLICE_ARG(name));
        nearest_policy(d, name);
    }
}

/* --- when --------------------------------------------------------------------------------------*/

static const void *when_conf(struct derivation *d, const struct conf_node *block, int filter)
{
    uint32_t count = 0, cap = 0;
    CONF_NODE_EACH(n, block)
    cap++;
    const struct conf_node **nodes = BUILD_ARRAY(d->bu->b, const struct conf_node *, cap);
    CONF_NODE_EACH(n, block)
    {
        if (is_policy(n) && !is_request_buffer(n) && filter_of(d->bu, n->row) == filter)
            nodes[count++] = n;
    }
    return conf_make(d->bu, filter, nodes, count);
}

static void when_policies(struct derivation *d, struct policy_when *w,
                          const struct conf_node *block)
{
    const struct conf_node *target_node = NULL;
    CONF_NODE_EACH(n, block)
    {
        int filter = is_policy(n) && !is_request_buffer(n) ? filter_of(d->bu, n->row) : NO_FILTER;
        if (!is_policy(n))
            continue;
        if (filter == NO_FILTER)
            setting_add(d, n, &w->when.settings, &target_node);
        else if (!w->confs[filter])
            w->confs[filter] = when_conf(d, block, filter);
    }
    w->when.has_settings = !settings_empty(&w->when.settings);
}

static uint32_t when_blocks(const struct conf_node *block)
{
    uint32_t count = 0;
    CONF_NODE_EACH(n, block)
    count += n->row && node_is(n, "when");
    return count;
}

static void whens_push(struct derivation *d, const struct when *w)
{
    struct policy *out = d->out;
    if (d->whens_cap == 0) {
        d->whens_cap = out->when_count + when_blocks(d->block);
        const struct when **own = BUILD_ARRAY(d->bu->b, const struct when *, d->whens_cap);
        if (out->when_count > 0)
            memcpy(own, out->whens, out->when_count * sizeof(*own));
        out->whens = own;
    }
    out->whens[out->when_count++] = w;
}

static void when_add(struct derivation *d, const struct conf_node *n)
{
    if (d->out->when_count == WHENS_MAX) {
        diag_error(d->bu->b->diag, n->pos, "more than %d 'when' blocks apply to one route",
                   WHENS_MAX);
        return;
    }
    struct policy_when *w = BUILD_NEW(d->bu->b, struct policy_when);
    w->confs = BUILD_ARRAY(d->bu->b, const void *, d->bu->filter_count);
    w->node = n;
    w->when.pos = n->pos;
    w->when.cond = condition_compile(d->bu->b, n->args, n->arg_count);
    settings_unset(&w->when.settings);
    when_policies(d, w, n);
    if (w->when.cond)
        whens_push(d, &w->when);
}

/* --- chains ------------------------------------------------------------------------------------*/

static bool hooked(const struct filter_type *t, enum filter_hook hook)
{
    return hook == HOOK_RESPONSE ? t->on_response != NULL : t->on_finish != NULL;
}

static struct filter_chain chain_make(struct builder *bu, const struct filter_use *uses,
                                      uint32_t count, enum filter_hook hook)
{
    struct filter_use *to = count > 0 ? BUILD_ARRAY(bu->b, struct filter_use, count) : NULL;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct filter_use *u = &uses[hook == HOOK_RESPONSE ? count - 1 - i : i];
        if (hooked(u->type, hook))
            to[used++] = *u;
    }
    return (struct filter_chain){to, used};
}

static void run_add(struct filter_chain *to, struct filter_use *at, const struct filter_use *u,
                    filter_fn *run)
{
    if (!run)
        return;
    at[to->count] = *u;
    at[to->count++].run = run;
}

static bool knows_who(const struct filter_use *u)
{
    return u->type->stage > STAGE_AUTH;
}

/* In the middle those that are asked again once it is known who asks. */
static struct filter_chain request_chain_make(struct builder *bu, const struct filter_use *uses,
                                              uint32_t count)
{
    struct filter_use *at = count > 0 ? BUILD_ARRAY(bu->b, struct filter_use, 2 * count) : NULL;
    struct filter_chain chain = {.uses = at};
    uint32_t i = 0;
    for (; i < count && !knows_who(&uses[i]); i++)
        run_add(&chain, at, &uses[i], uses[i].type->on_request);
    for (uint32_t k = 0; k < count; k++)
        run_add(&chain, at, &uses[k], uses[k].type->on_known);
    for (; i < count; i++)
        run_add(&chain, at, &uses[i], uses[i].type->on_request);
    return chain;
}

static void use_add(struct policy *p, struct filter_use *uses, const struct filter_type *type,
                    const void *conf, uint64_t when)
{
    uses[p->use_count] = (struct filter_use){.type = type,
                                             .conf = conf,
                                             .slot = p->use_count,
                                             .state_offset = (uint32_t)p->state_bytes,
                                             .when = when};
    p->use_count++;
    p->state_bytes += (type->state_bytes + 15) & ~(size_t)15;
}

static void chains_make(struct builder *bu, struct policy *p)
{
    size_t most = (size_t)bu->filter_count * (1 + p->when_count);
    struct filter_use *uses = BUILD_ARRAY(bu->b, struct filter_use, most);
    p->use_count = 0;
    p->state_bytes = 0;
    for (uint32_t i = 0; i < bu->filter_count; i++) {
        if (p->filters[i].conf)
            use_add(p, uses, bu->filters[i], p->filters[i].conf, 0);
        for (uint32_t w = 0; w < p->when_count; w++) {
            const void *conf = policy_when_of(p->whens[w])->confs[i];
            if (conf)
                use_add(p, uses, bu->filters[i], conf, (uint64_t)1 << w);
        }
    }
    p->chains[HOOK_REQUEST] = request_chain_make(bu, uses, p->use_count);
    p->chains[HOOK_RESPONSE] = chain_make(bu, uses, p->use_count, HOOK_RESPONSE);
    p->chains[HOOK_FINISH] = chain_make(bu, uses, p->use_count, HOOK_FINISH);
}

/* --- derivation --------------------------------------------------------------------------------*/

void policy_init(struct builder *bu, struct policy *p)
{
    *p = (struct policy){.settings = bu->proxy->defaults};
    p->filters = BUILD_ARRAY(bu->b, struct filter_nodes, bu->filter_count);
}

static void block_node(struct derivation *d, const struct conf_node *n)
{
    int filter = is_request_buffer(n) ? NO_FILTER : filter_of(d->bu, n->row);
    if (filter == NO_FILTER)
        setting_add(d, n, &d->own, &d->target_node);
    else
        filter_add(d, filter, n);
}

static void filters_finish(struct derivation *d)
{
    for (uint32_t i = 0; i < d->bu->filter_count; i++) {
        struct filter_nodes *f = &d->out->filters[i];
        if (d->touched & ((uint64_t)1 << i))
            f->conf = conf_make(d->bu, (int)i, f->nodes, f->count);
    }
}

/* The block around a `when` is known now. */
static void when_finish(struct derivation *d, const struct when *w)
{
    fastcgi_finish(d->bu->b, &((struct policy_when *)policy_when_of(w))->when.settings,
                   &d->out->settings);
}

void policy_derive(struct builder *bu, const struct policy *parent, const struct conf_node *block,
                   struct policy *out)
{
    struct derivation d = {.bu = bu, .parent = parent, .block = block, .out = out};
    *out = *parent;
    settings_unset(&d.own);
    CONF_NODE_EACH(n, block)
    {
        if (n->row && node_is(n, "no"))
            take_back(&d, n);
    }
    CONF_NODE_EACH(n, block)
    {
        if (is_policy(n))
            block_node(&d, n);
        else if (n->row && node_is(n, "when"))
            when_add(&d, n);
    }
    fastcgi_finish(bu->b, &d.own, &parent->settings);
    settings_merge(&out->settings, &d.own);
    for (uint32_t i = parent->when_count; i < out->when_count; i++)
        when_finish(&d, out->whens[i]);
    if (d.touched)
        filters_finish(&d);
    if (d.touched || d.whens_cap > 0)
        chains_make(bu, out);
}

bool policy_has_target(const struct policy *p)
{
    if (p->settings.target)
        return true;
    for (uint32_t i = 0; i < p->when_count; i++) {
        if (settings_pointer_is_set(p->whens[i]->settings.target) && p->whens[i]->settings.target)
            return true;
    }
    return false;
}
