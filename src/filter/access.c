/* access.c - the filter behind `allow` and `deny`: who may come, by address.
 *
 * The lines of the nearest block that has any are in force, in their order, and the first that
 * names the address decides. Lines are put together from the outside in, so a line of another block
 * than the one before begins anew. The address is the client's, which only proxies in `trust` may
 * tell. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "conf/source.h"
#include "limit/prefix_set.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"

enum { LIST_BYTES_MAX = 128 << 20 };

struct access_rule {
    struct access_rule *next;
    const struct conf_node *node;
    bool allows, all;
    struct prefix_set set;
};

struct access_conf {
    const struct conf_node *block;
    struct access_rule *first, *last;
    bool denies; /* one of them is a deny: who is in none may come */
};

static bool is_allow(const struct conf_node *n)
{
    return slice_eq(n->words[0].text, SLICE("allow"));
}

/* Only noted: of the blocks outside the lists need not be read again. */
static void access_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct access_conf *c = scope;
    struct access_rule *r = ARENA_NEW(b->arena, struct access_rule);
    if (c->block != n->parent)
        *c = (struct access_conf){.block = n->parent};
    *r = (struct access_rule){.node = n, .allows = is_allow(n)};
    *(c->last ? &c->last->next : &c->first) = r;
    c->last = r;
    c->denies |= !r->allows;
}

static bool list_read(struct conf_build *b, const struct conf_word *w, struct prefix_gather *g)
{
    struct text list;
    uint32_t line = 0;
    const char *path = conf_file_path(b, w->pos, slice_from(w->text, strlen("file:")));
    text_init(&list);
    bool read = conf_need_file(b, w->pos, path, LIST_BYTES_MAX, &list);
    bool good = read && prefix_gather_read(g, text_slice(&list), &line);
    if (read && !good)
        diag_error(b->diag, w->pos, "%s:%u: an address or a prefix is due", path, line);
    text_release(&list);
    return good;
}

static bool word_read(struct conf_build *b, const struct conf_word *w, struct access_rule *r,
                      struct prefix_gather *g)
{
    struct addr_prefix p;
    if (slice_eq(w->text, SLICE("all"))) {
        r->all = true;
        return true;
    }
    if (slice_starts(w->text, SLICE("file:")))
        return list_read(b, w, g);
    if (addr_prefix_parse(w->text, &p) == ERR_OK)
        return prefix_gather_add(g, &p);
    diag_error(b->diag, w->pos, "'%.*s' is not an address", SLICE_ARG(w->text));
    diag_hint(b->diag, "10.0.0.0/8, 2001:db8::1, file:/etc/weir/bad.txt or all is due");
    return false;
}

static void access_ready(struct conf_build *b, void *conf)
{
    struct access_conf *c = conf;
    for (struct access_rule *r = c->first; r; r = r->next) {
        struct prefix_gather g = {0};
        bool good = true;
        for (uint32_t i = 0; i < r->node->arg_count && good; i++)
            good = word_read(b, &r->node->args[i], r, &g);
        r->set = prefix_gather_finish(&g, b->arena);
    }
}

static bool may_come(const struct access_conf *c, const struct addr *a)
{
    for (const struct access_rule *r = c->first; r; r = r->next)
        if (r->all || prefix_set_has(&r->set, a))
            return r->allows;
    return c->denies;
}

static enum verdict access_run(struct exchange *x, const void *conf, void *state)
{
    (void)state;
    if (may_come(conf, &x->client_addr))
        return PASS;
    if (!x->dry)
        counter_add(x->worker->counters, METRIC_ACCESS_DENIED, 1);
    x->err = ERR_ADDRESS_DENIED;
    return FAILED;
}

static void access_explain(const void *conf, struct explain *e)
{
    const struct access_conf *c = conf;
    for (const struct access_rule *r = c->first; r; r = r->next)
        explain_line(e, r->allows ? "allow" : "deny", r->node->pos, "%.*s%s (%u ranges)",
                     SLICE_ARG(r->node->args[0].text), r->node->arg_count > 1 ? " ..." : "",
                     r->set.count);
    if (c->first)
        explain_line(e, "access", c->first->node->pos, "who is in none of them %s",
                     c->denies ? "may come" : "is refused");
}

static const struct directive access_rows[] = {
    {.name = "allow",
     .where = IN_POLICY,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .apply = access_apply,
     .usage = "PREFIX|file:PATH|all...",
     .text =
         "Lets clients with these addresses in. `allow` and `deny` lines are looked at in their "
         "order, and the first that names the client's address decides. Who is in none may come, "
         "unless all lines are `allow`. Lines of the nearest block that has any are in force, not "
         "those of blocks around it; a `when` block's are asked besides. A file holds one address "
         "or prefix a line, `#` begins a comment; when it changes it is read again. IPv4 prefixes "
         "also hold the IPv4-mapped addresses of IPv6.",
     .example = "allow 10.0.0.0/8 192.168.0.0/16"},
    {.name = "deny",
     .where = IN_POLICY,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .apply = access_apply,
     .usage = "PREFIX|file:PATH|all...",
     .text = "Refuses clients with these addresses: 403. See allow.",
     .example = "deny 203.0.113.0/24 2001:db8::/32"},
    {0},
};

const struct filter_type filter_access = {
    .name = "access",
    .stage = STAGE_EARLY,
    .directives = access_rows,
    .conf_bytes = sizeof(struct access_conf),
    .ready = access_ready,
    .on_request = access_run,
    .explain = access_explain,
};
