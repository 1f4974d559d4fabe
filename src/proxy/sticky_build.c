/* sticky_build.c - the directive `sticky`: its options, and what they come to once all servers of
 * an upstream are known. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/text.h"
#include "conf/snapshot.h"
#include "proxy/build_priv.h"
#include "proxy/sticky.h"
#include "proxy/sticky_table.h"
#include "proxy/target.h"
#include "upstream/upstream.h"
#include <stdlib.h>

enum { SESSIONS_MAX = 10 * 1000 * 1000 };

struct sticky_terms {
    struct choice_terms cookie;
    struct slice learn_cookie, learn_header;
    int64_t size;
    bool strict;
};

const struct directive sticky_options[] = {
    CHOICE_OPTIONS(struct sticky_terms, cookie, "weir_srv"),
    {.name = "cookie",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct sticky_terms, learn_cookie),
     .usage = "NAME",
     .text =
         "`learn`: the cookie of the application that names the session, such as `JSESSIONID`."},
    {.name = "header",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct sticky_terms, learn_header),
     .usage = "NAME",
     .text = "`learn`: the header field that names the session, in answers and in requests."},
    {.name = "size",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct sticky_terms, size),
     .min = 1,
     .max = SESSIONS_MAX,
     .def = "100000",
     .usage = "N",
     .text = "`learn` and `ip`: at most so many sessions are remembered, of 40 bytes each. The one "
             "that was idle the longest makes room."},
    {.name = "strict",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = offsetof(struct sticky_terms, strict),
     .usage = "",
     .text = "While the session's server is configured no other one takes its requests: they wait "
             "while it is full, and end with an error while it cannot serve."},
    {0}};

enum { TABLE_TTL_MS = 30 * 60 * 1000 };

static bool option_given(const struct conf_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->option_count; i++)
        if (strcmp(n->options[i].row->name, name) == 0)
            return true;
    return false;
}

/* Options that mean nothing to this kind are mistakes. */
static bool options_fit(struct conf_build *b, const struct conf_node *n, const char *const *unfit,
                        const char *kind)
{
    for (; *unfit; unfit++) {
        if (!option_given(n, *unfit))
            continue;
        diag_error(b->diag, n->pos, "'sticky %s' has no use for '%s'", kind, *unfit);
        return false;
    }
    return true;
}

static const char *const unfit_cookie[] = {"cookie", "header", "size", NULL};
static const char *const unfit_learn[] = {"name",   "path",   "domain", "samesite",
                                          "secure", "secret", NULL};
static const char *const unfit_ip[] = {"name",   "path",   "domain", "samesite", "secure",
                                       "secret", "cookie", "header", NULL};

static bool cookie_terms(struct conf_build *b, const struct conf_node *n,
                         const struct sticky_terms *t, struct sticky_conf *s)
{
    return options_fit(b, n, unfit_cookie, "cookie") &&
           choice_cookie_init(b, n->pos, &t->cookie, SLICE("weir sticky"), &s->cookie);
}

static bool learn_terms(struct conf_build *b, const struct conf_node *n,
                        const struct sticky_terms *t, struct sticky_conf *s)
{
    bool by_header = t->learn_header.len > 0;
    s->kind = by_header ? STICKY_LEARN_HEADER : STICKY_LEARN_COOKIE;
    s->name = by_header ? t->learn_header : t->learn_cookie;
    if (!options_fit(b, n, unfit_learn, "learn"))
        return false;
    if (by_header != (t->learn_cookie.len > 0) && field_is_token(s->name))
        return true;
    diag_error(b->diag, n->pos, "'sticky learn' needs the name of a cookie or of a header");
    diag_hint(b->diag, "write 'sticky learn cookie=JSESSIONID'");
    return false;
}

static bool kind_terms(struct conf_build *b, const struct conf_node *n,
                       const struct sticky_terms *t, struct sticky_conf *s)
{
    static const struct slice kinds[] = {SLICE_INIT("cookie"), SLICE_INIT("learn"),
                                         SLICE_INIT("ip")};
    struct slice kind = n->args[0].text;
    if (slice_eq(kind, kinds[0]))
        return cookie_terms(b, n, t, s);
    if (slice_eq(kind, kinds[1]))
        return learn_terms(b, n, t, s);
    s->kind = STICKY_IP;
    if (slice_eq(kind, kinds[2]))
        return options_fit(b, n, unfit_ip, "ip");
    diag_error(b->diag, n->args[0].pos, "'cookie', 'learn' or 'ip' is due after 'sticky'");
    diag_nearest(b->diag, kind, kinds, COUNT_OF(kinds));
    return false;
}

void sticky_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    struct sticky_terms t = {0};
    conf_options(b, n, &t);
    struct sticky_conf *s = BUILD_NEW(b, struct sticky_conf);
    s->pos = n->pos;
    s->strict = t.strict;
    s->size = t.size;
    s->ttl_ms = t.cookie.ttl_ms > 0 ? t.cookie.ttl_ms : TABLE_TTL_MS;
    if (kind_terms(b, n, &t, s))
        up->sticky = s;
}

/* --- once servers are known -------------------------------------------------------------------*/

static void table_drop(void *ctx)
{
    sticky_table_drop(ctx);
}

static int by_id(const void *a, const void *b)
{
    const struct sticky_server *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Upstream and kind are the identity: what one kind has learned means nothing to another. */
static void table_find(struct conf_build *b, struct conf *c, const struct upstream *up,
                       struct sticky_conf *s)
{
    struct sticky_server *list = BUILD_ARRAY(b, struct sticky_server, up->server_count);
    for (uint32_t i = 0; i < up->server_count; i++)
        list[i] = (struct sticky_server){hash_fast(up->servers[i].name, 0), i};
    qsort(list, up->server_count, sizeof *list, by_id);
    s->servers = list;
    s->server_count = up->server_count;
    struct slice identity =
        arena_printf(b->arena, "%d %.*s %.*s", s->kind, SLICE_ARG(s->name), SLICE_ARG(up->name));
    s->table = sticky_table_take(identity, (uint32_t)s->size);
    conf_on_free(c, table_drop, s->table);
}

static void cookie_names(struct conf_build *b, const struct upstream *up, struct sticky_conf *s)
{
    struct slice *names = BUILD_ARRAY(b, struct slice, up->server_count);
    for (uint32_t i = 0; i < up->server_count; i++)
        names[i] = up->servers[i].name;
    choice_cookie_names(b, &s->cookie, names, up->server_count);
}

/* --- cookies of one name ----------------------------------------------------------------------*/

enum { COOKIES_COMPARED = 32 };

static const struct upstream *cookie_upstream(const struct route *r)
{
    const struct target *t = r->settings.target;
    const struct upstream *up = t && t->kind == TARGET_UPSTREAM ? t->upstream : NULL;
    return up && up->sticky && up->sticky->kind == STICKY_COOKIE ? up : NULL;
}

static bool is_one_cookie(const struct upstream *a, const struct upstream *b)
{
    const struct choice_cookie *x = &a->sticky->cookie, *y = &b->sticky->cookie;
    return a != b && slice_eq(x->name, y->name) && slice_eq(x->attributes, y->attributes);
}

static void cookies_compare(struct conf_build *b, const struct site *s)
{
    const struct upstream *seen[COOKIES_COMPARED];
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->route_count && count < COOKIES_COMPARED; i++) {
        const struct upstream *up = cookie_upstream(s->routes[i]);
        bool new = up != NULL;
        for (uint32_t k = 0; up && k < count; k++) {
            new &= seen[k] != up;
            if (!is_one_cookie(seen[k], up))
                continue;
            diag_warn(b->diag, up->sticky->pos,
                      "upstreams of one site give the same cookie '%.*s', and take it from each "
                      "other",
                      SLICE_ARG(up->sticky->cookie.name));
            diag_hint(b->diag, "give one of them another name= or path=");
            return;
        }
        if (new)
            seen[count++] = up;
    }
}

void proxy_servers_known(struct conf_build *b, struct conf *c)
{
    for (uint32_t i = 0; i < c->upstreams->count; i++) {
        const struct upstream *up = c->upstreams->list[i];
        if (up->sticky && up->sticky->kind == STICKY_COOKIE)
            cookie_names(b, up, up->sticky);
        else if (up->sticky)
            table_find(b, c, up, up->sticky);
    }
    for (uint32_t i = 0; i < c->proxy->site_count; i++)
        cookies_compare(b, c->proxy->sites[i]);
}

void sticky_describe(const struct sticky_conf *s, struct text *out)
{
    static const char *const by[] = {[STICKY_COOKIE] = "cookie ",
                                     [STICKY_LEARN_COOKIE] = "learned cookie ",
                                     [STICKY_LEARN_HEADER] = "learned header ",
                                     [STICKY_IP] = "client address"};
    struct slice name = s->kind == STICKY_COOKIE ? s->cookie.name : s->name;
    text_addf(out, "by %s%.*s%s", by[s->kind], SLICE_ARG(name), s->strict ? ", strict" : "");
}
