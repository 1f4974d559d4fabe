/* build.c - from the checked block tree to listeners, sites and routes.
 *
 * Top level first (its settings are the defaults of everything), then listeners, then each site
 * with its routes, then which site answers where. Names and paths go straight into the tables in
 * which requests look them up, so a name or path that is there twice shows as it is put in. */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri.h"
#include "proxy/access_log.h"
#include "proxy/build_priv.h"
#include "proxy/pattern.h"
#include "proxy/tls_build_priv.h"

enum {
    HEAD_BYTES = 32 * 1024,
    LINE_BYTES = 16 * 1024,
    HEADER_COUNT = 100,
    TRAILER_BYTES = 8 * 1024,
    CHUNK_EXT_BYTES = 1024,
    LINGER_MS = 2000,
    ORIGIN_HEAD_BYTES = 64 * 1024,
    ORIGIN_HEADER_COUNT = 200,
    HTTP_PORT = 80,
    HTTPS_PORT = 443,
};

static const char *path_of(struct conf_pos pos)
{
    return pos.file ? pos.file->path : "(default)";
}

static void first_hint(struct builder *bu, struct conf_pos first)
{
    diag_hint(bu->b->diag, "first in %s:%u", path_of(first), first.line);
}

/* --- routes ------------------------------------------------------------------------------------*/

static bool is_bare(const struct conf_word *w, const char *text)
{
    return w->quote == CONF_BARE && slice_eq(w->text, slice_of(text));
}

static bool route_words(struct builder *bu, const struct conf_node *n, struct route *r,
                        const struct conf_word **path)
{
    bool two = n->arg_count == 2;
    *path = &n->args[n->arg_count - 1];
    r->kind = two ? ROUTE_EXACT : ROUTE_PREFIX;
    if (two && is_bare(&n->args[0], "~")) {
        r->kind = ROUTE_PATTERN;
    } else if (two && !is_bare(&n->args[0], "=")) {
        diag_error(bu->b->diag, n->args[0].pos,
                   "PREFIX, '= PATH' or '~ REGEX' is due after 'route'");
        diag_hint(bu->b->diag, "each prefix has a route of its own");
        return false;
    }
    r->strip = n->option_count > 0;
    if (!r->strip || r->kind == ROUTE_PREFIX)
        return true;
    diag_error(bu->b->diag, n->options[0].value.pos, "only a prefix can be stripped");
    diag_hint(bu->b->diag, "'rewrite' can change any path");
    return false;
}

/* The form in which requests are looked up: as normalised as theirs. */
static bool route_path(struct builder *bu, const struct conf_word *w, struct slice *key)
{
    struct uri uri = {0};
    if (w->text.len == 0 || w->text.at[0] != '/') {
        diag_error(bu->b->diag, w->pos, "a path begins with '/'");
        if (w->text.len > 0 && (w->text.at[0] == '^' || w->text.at[0] == '='))
            diag_hint(bu->b->diag,
                      "a space is due before the path: 'route = /x', 'route ~ \"^/x\"'");
        return false;
    }
    if (uri_parse(w->text, &uri) != ERR_OK || uri.has_query ||
        uri_normalize_path(bu->b->arena, uri.raw_path, 0, key) != ERR_OK) {
        diag_error(bu->b->diag, w->pos, "'%.*s' is not a path that a request can have",
                   SLICE_ARG(w->text));
        diag_hint(bu->b->diag, uri.has_query ? "test a query with 'when query.NAME == VALUE'"
                                             : "other characters are written like %%20");
        return false;
    }
    return true;
}

static void pattern_add(struct builder *bu, struct site *s, struct route *r,
                        const struct conf_word *w)
{
    r->regex = pattern_compile(bu->b, w);
    if (r->regex)
        s->patterns[s->pattern_count++] = r;
}

/* Into the table for its kind; a path that is there already is an error. */
static void route_add(struct builder *bu, struct site *s, struct route *r,
                      const struct conf_word *w)
{
    struct slice key;
    void *old = NULL;
    r->pattern = w->text;
    if (r->kind == ROUTE_PATTERN) {
        pattern_add(bu, s, r, w);
        return;
    }
    if (!route_path(bu, w, &key))
        return;
    if (r->kind == ROUTE_EXACT) {
        old = hash_map_find(&s->exact, key);
        if (!old)
            hash_map_put(&s->exact, key, r);
    } else {
        enum err e = radix_add(&s->prefixes, key, r, &old);
        mem_must(e == ERR_OK ? s : NULL, key.len);
    }
    if (!old)
        return;
    diag_error(bu->b->diag, w->pos, "this site has a route for '%.*s' already", SLICE_ARG(w->text));
    first_hint(bu, ((struct route *)old)->pos);
}

static void route_policies(struct route *r, const struct policy *p)
{
    r->settings = p->settings;
    memcpy(r->chains, p->chains, sizeof(r->chains));
    r->filter_count = p->use_count;
    r->state_bytes = p->state_bytes;
    r->whens = p->whens;
    r->when_count = p->when_count;
}

static void route_build(struct builder *bu, struct site *s, const struct policy *site_policy,
                        const struct conf_node *n)
{
    struct policy p;
    const struct conf_word *path;
    struct route *r = BUILD_NEW(bu->b, struct route);
    r->site = s;
    r->pos = n->pos;
    s->routes[s->route_count++] = r;
    if (route_words(bu, n, r, &path))
        route_add(bu, s, r, path);
    policy_derive(bu, site_policy, n, &p);
    route_policies(r, &p);
    if (policy_has_target(&p))
        return;
    diag_warn(bu->b->diag, n->pos, "requests to this route are answered with 404");
    diag_hint(bu->b->diag, "'proxy', 'respond' or 'redirect' is due, here or in the site");
}

/* --- sites -------------------------------------------------------------------------------------*/

static uint8_t site_name_scheme(struct slice text, struct slice *name)
{
    struct slice http = SLICE("http://"), https = SLICE("https://");
    *name = text;
    if (slice_starts(text, https)) {
        *name = slice_from(text, https.len);
        return SITE_HTTPS;
    }
    if (!slice_starts(text, http))
        return SITE_ANY_SCHEME;
    *name = slice_from(text, http.len);
    return SITE_HTTP;
}

/* In lower case, checked; "*" and "*.name" as they are. */
static bool site_name_parse(struct builder *bu, const struct conf_word *w, struct site_name *to)
{
    struct slice name, host;
    uint16_t port = 0;
    to->scheme = site_name_scheme(w->text, &name);
    to->pos = w->pos;
    to->text = name;
    if (slice_eq(name, SLICE("*")))
        return true;
    bool wild = slice_starts(name, SLICE("*."));
    struct slice rest = slice_from(name, wild ? 2 : 0);
    bool valid = slice_find(rest, '*') == rest.len &&
                 uri_host_parse(bu->b->arena, rest, &host, &port) == ERR_OK;
    if (!valid || port != 0) {
        diag_error(bu->b->diag, w->pos, "'%.*s' is not a host name", SLICE_ARG(w->text));
        diag_hint(bu->b->diag, port ? "ports are a matter of 'listen'"
                                    : "app.example.com, *.example.com or * is due");
        return false;
    }
    to->text = wild ? arena_printf(bu->b->arena, "*.%.*s", SLICE_ARG(host)) : host;
    return to->text.at != NULL;
}

static void site_names(struct builder *bu, struct site *s, const struct conf_node *n)
{
    struct site_name *names = BUILD_ARRAY(bu->b, struct site_name, n->arg_count);
    s->names = names;
    for (uint32_t i = 0; i < n->arg_count; i++)
        if (site_name_parse(bu, &n->args[i], &names[s->name_count]))
            s->name_count++;
}

static uint32_t children_named(const struct conf_node *block, const char *name)
{
    uint32_t count = 0;
    CONF_NODE_EACH(n, block)
    count += n->row && node_is(n, name);
    return count;
}

static struct site *site_build(struct builder *bu, const struct policy *top,
                               const struct conf_node *n)
{
    struct policy p;
    struct site *s = BUILD_NEW(bu->b, struct site);
    uint32_t routes = children_named(n, "route");
    s->pos = n->pos;
    s->node = n;
    s->patterns = BUILD_ARRAY(bu->b, struct route *, routes);
    s->routes = BUILD_ARRAY(bu->b, struct route *, routes + 1);
    s->own = BUILD_NEW(bu->b, struct route);
    *s->own = (struct route){.kind = ROUTE_SITE, .pattern = SLICE("/"), .pos = n->pos, .site = s};
    hash_map_init(&s->exact);
    radix_init(&s->prefixes, bu->b->arena);
    site_names(bu, s, n);
    policy_derive(bu, top, n, &p);
    route_policies(s->own, &p);
    CONF_NODE_EACH(child, n)
    {
        if (child->row && node_is(child, "route"))
            route_build(bu, s, &p, child);
    }
    s->routes[s->route_count++] = s->own;
    if (routes == 0 && !policy_has_target(&p)) {
        diag_warn(bu->b->diag, n->pos, "requests to this site are answered with 404");
        diag_hint(bu->b->diag, "'proxy', 'respond' or 'redirect' is due");
    }
    return s;
}

/* --- listeners ---------------------------------------------------------------------------------*/

static bool listen_spec(struct builder *bu, const struct conf_word *w, struct addr *out)
{
    struct addr_spec spec;
    if (addr_spec_parse(w->text, &spec) != ERR_OK) {
        diag_error(bu->b->diag, w->pos, "an address is due: :8080, 127.0.0.1:8080 or unix:/PATH");
        return false;
    }
    if (!spec.is_unix && spec.port == 0) {
        diag_error(bu->b->diag, w->pos, "a port is due: %.*s:80", SLICE_ARG(w->text));
        return false;
    }
    if (slice_eq(spec.host, SLICE("localhost")))
        spec =
            (struct addr_spec){.host = SLICE("127.0.0.1"), .port = spec.port, .is_literal = true};
    if (addr_from_spec(&spec, out) == ERR_OK)
        return true;
    diag_error(bu->b->diag, w->pos, "'%.*s' is not an IP address or unix socket",
               SLICE_ARG(spec.host));
    diag_hint(bu->b->diag, "which names weir answers to is a matter of 'site'");
    return false;
}

static struct listen_conf *listen_add(struct builder *bu, const struct addr *a, bool tls,
                                      struct conf_pos pos)
{
    char text[ADDR_TEXT_BYTES];
    struct proxy_conf *p = bu->proxy;
    struct listen_conf *l = BUILD_NEW(bu->b, struct listen_conf);
    l->key = arena_dup(bu->b->arena, (struct slice){text, addr_write(text, a)});
    l->addr = *a;
    l->tls = tls;
    l->h1 = l->h2 = true;
    l->pos = pos;
    hash_map_init(&l->exact);
    hash_map_init(&l->wildcards);
    struct listen_conf **list = BUILD_ARRAY(bu->b, struct listen_conf *, p->listen_count + 1);
    if (p->listen_count > 0)
        memcpy(list, p->listens, p->listen_count * sizeof(*list));
    list[p->listen_count++] = l;
    p->listens = list;
    return l;
}

static bool listen_marked(const struct conf_node *n, const char *mark)
{
    for (uint32_t i = 0; i < n->option_count; i++)
        if (strcmp(n->options[i].row->name, mark) == 0)
            return true;
    return false;
}

/* Naming a protocol leaves out those that are not named. */
static void listen_protocols(struct listen_conf *l, const struct conf_node *n)
{
    bool h1 = listen_marked(n, "h1"), h2 = listen_marked(n, "h2");
    l->h1 = h1 || !h2;
    l->h2 = h2 || !h1;
}

/* Makes the listener of a directive or finds the one of that address. NULL after an error. */
static struct listen_conf *listen_build(struct builder *bu, const struct conf_node *n, bool *found)
{
    struct addr a;
    char text[ADDR_TEXT_BYTES];
    bool tls = listen_marked(n, "tls");
    if (!listen_spec(bu, &n->args[0], &a))
        return NULL;
    struct slice key = {text, addr_write(text, &a)};
    struct listen_conf *l = listen_find(bu->proxy, key);
    *found = l != NULL;
    if (l && l->tls != tls) {
        diag_error(bu->b->diag, n->pos, "'%.*s' is listened on %s TLS already",
                   SLICE_ARG(n->args[0].text), l->tls ? "with" : "without");
        first_hint(bu, l->pos);
        return NULL;
    }
    if (!l)
        l = listen_add(bu, &a, tls, n->pos);
    listen_protocols(l, n);
    return l;
}

/* What sites stand on when there is no `listen`. */
static struct listen_conf *listen_default(struct builder *bu, uint16_t port)
{
    struct addr any;
    char text[ADDR_TEXT_BYTES];
    enum err e = addr_from_spec(&(struct addr_spec){.port = port}, &any);
    ASSERT(e == ERR_OK);
    struct listen_conf *l = listen_find(bu->proxy, (struct slice){text, addr_write(text, &any)});
    return l ? l : listen_add(bu, &any, port == HTTPS_PORT, (struct conf_pos){0});
}

static void listens_top(struct builder *bu)
{
    CONF_NODE_EACH(n, &bu->conf->tree->root)
    {
        bool found = false;
        struct listen_conf *l = n->row && node_is(n, "listen") ? listen_build(bu, n, &found) : NULL;
        if (!l || !found)
            continue;
        diag_error(bu->b->diag, n->args[0].pos, "'%.*s' is listened on already",
                   SLICE_ARG(n->args[0].text));
        first_hint(bu, l->pos);
    }
}

/* --- which site answers where ------------------------------------------------------------------*/

static struct site *name_put(struct listen_conf *l, struct slice name, struct site *s)
{
    struct site *old = l->fallback;
    if (slice_eq(name, SLICE("*"))) {
        l->fallback = old ? old : s;
        return old;
    }
    bool wild = slice_starts(name, SLICE("*."));
    struct hash_map *map = wild ? &l->wildcards : &l->exact;
    struct slice key = wild ? slice_from(name, 2) : name;
    old = hash_map_find(map, key);
    if (!old)
        hash_map_put(map, key, s);
    return old;
}

/* The listeners that a site stands on. */
struct places {
    struct listen_conf **all;
    uint32_t count;
};

static bool name_stands(const struct site_name *n, const struct listen_conf *l)
{
    return n->scheme == SITE_ANY_SCHEME || (n->scheme == SITE_HTTPS) == l->tls;
}

static void site_name_on(struct builder *bu, struct listen_conf *l, struct site *s,
                         const struct site_name *name)
{
    const struct site *old = name_put(l, name->text, s);
    if (old) {
        diag_error(bu->b->diag, name->pos, "'%.*s' is claimed twice on %.*s", SLICE_ARG(name->text),
                   SLICE_ARG(l->key));
        first_hint(bu, old->pos);
    } else if (l->tls) {
        site_tls_need(bu, s);
        listen_tls_name(bu, l, s, name->text);
    }
}

/* Off is the longest. */
static int64_t age_of(const struct settings *s)
{
    return s->client_age_ms == CONF_OFF ? INT64_MAX : s->client_age_ms;
}

/* `twin` stands for the site where it sends its clients to `https`; NULL: it does not. */
static void site_on(struct builder *bu, struct listen_conf *l, struct site *s, struct site *twin)
{
    const struct settings *set = &s->own->settings;
    for (uint32_t i = 0; i < s->name_count; i++) {
        const struct site_name *name = &s->names[i];
        bool sent_on = twin && !l->tls && name->scheme == SITE_ANY_SCHEME;
        if (name_stands(name, l))
            site_name_on(bu, l, sent_on ? twin : s, name);
    }
    if (l->limits.header_ms < set->client_header_ms)
        l->limits.header_ms = set->client_header_ms;
    if (l->limits.keepalive_ms < set->keepalive_ms)
        l->limits.keepalive_ms = set->keepalive_ms;
    if (l->limits.age_ms < age_of(set))
        l->limits.age_ms = age_of(set);
}

static bool has_scheme(const struct site *s, enum site_scheme scheme)
{
    for (uint32_t i = 0; i < s->name_count; i++)
        if (s->names[i].scheme == scheme)
            return true;
    return false;
}

static bool is_listened(const struct places *p, bool tls)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->all[i]->tls == tls)
            return true;
    return false;
}

static void schemes_check(struct builder *bu, const struct site *s, const struct places *p)
{
    for (uint32_t i = 0; i < s->name_count; i++) {
        const struct site_name *n = &s->names[i];
        bool tls = n->scheme == SITE_HTTPS;
        if (n->scheme == SITE_ANY_SCHEME || is_listened(p, tls))
            continue;
        diag_error(bu->b->diag, n->pos, "no listener of this site is %s TLS",
                   tls ? "with" : "without");
        diag_hint(bu->b->diag, tls ? "listen :443 tls" : "listen :80");
    }
}

/* Does this listener without TLS send the site's clients to the one with it? */
static bool sends_on(const struct site *s, const struct listen_conf *l)
{
    if (l->tls || !s->tls)
        return false;
    if (s->tls_redirect == TLS_REDIRECT_AUTO)
        return s->tls->local || s->tls->policy.client_cert == TLS_CLIENT_CERT_REQUIRED ||
               addr_port(&l->addr) == HTTP_PORT;
    return s->tls_redirect == TLS_REDIRECT_ON;
}

/* Is it served, not only sent on, where clients come without TLS? */
static bool is_plain(const struct site *s, const struct places *p)
{
    if (has_scheme(s, SITE_HTTP))
        return is_listened(p, false);
    for (uint32_t i = 0; i < p->count; i++)
        if (!p->all[i]->tls && !sends_on(s, p->all[i]))
            return has_scheme(s, SITE_ANY_SCHEME);
    return false;
}

/* Listeners with TLS come first: with them the site's `tls` lines are read. */
static void site_place(struct builder *bu, struct site *s, const struct places *p)
{
    struct site *twin = NULL;
    const struct listen_conf *secure = NULL;
    schemes_check(bu, s, p);
    for (uint32_t i = 0; i < p->count; i++) {
        if (!p->all[i]->tls)
            continue;
        site_on(bu, p->all[i], s, NULL);
        secure = secure ? secure : p->all[i];
    }
    if (secure && is_listened(p, false))
        twin = redirect_twin(bu, s, secure);
    for (uint32_t i = 0; i < p->count; i++)
        if (!p->all[i]->tls)
            site_on(bu, p->all[i], s, sends_on(s, p->all[i]) ? twin : NULL);
    site_plain_check(bu, s, is_plain(s, p) ? SITE_PLAIN : SITE_NOT_PLAIN);
}

static void site_place_own(struct builder *bu, struct site *s)
{
    struct places p = {0};
    p.all = BUILD_ARRAY(bu->b, struct listen_conf *, children_named(s->node, "listen"));
    CONF_NODE_EACH(n, s->node)
    {
        bool found;
        struct listen_conf *l = n->row && node_is(n, "listen") ? listen_build(bu, n, &found) : NULL;
        if (l)
            p.all[p.count++] = l;
    }
    site_place(bu, s, &p);
}

/* No name, no certificate: `site *` stands on :80 alone. */
static bool wants_https(const struct site *s)
{
    for (uint32_t i = 0; i < s->name_count; i++)
        if (s->names[i].scheme == SITE_HTTPS ||
            (s->names[i].scheme == SITE_ANY_SCHEME && !slice_eq(s->names[i].text, SLICE("*"))))
            return true;
    return false;
}

static void site_place_default(struct builder *bu, struct site *s)
{
    struct listen_conf *all[2];
    struct places p = {.all = all};
    if (has_scheme(s, SITE_ANY_SCHEME) || has_scheme(s, SITE_HTTP))
        all[p.count++] = listen_default(bu, HTTP_PORT);
    if (wants_https(s))
        all[p.count++] = listen_default(bu, HTTPS_PORT);
    site_place(bu, s, &p);
}

/* Sites without a `listen` of their own stand on the top-level ones, or on :80 and :443. */
static void sites_place(struct builder *bu)
{
    struct proxy_conf *p = bu->proxy;
    struct places top = {.all = p->listens, .count = p->listen_count};
    tls_terms_defaults(&bu->tls_top);
    tls_terms_read(bu, &bu->conf->tree->root, &bu->tls_top);
    for (uint32_t i = 0; i < p->site_count; i++) {
        struct site *s = p->sites[i];
        if (children_named(s->node, "listen") > 0)
            site_place_own(bu, s);
        else if (top.count == 0)
            site_place_default(bu, s);
        else
            site_place(bu, s, &top);
    }
    for (uint32_t i = 0; i < p->listen_count; i++)
        listen_tls_finish(p->listens[i]);
}

static struct stream_limits limits_of(uint32_t head_bytes, uint32_t header_count)
{
    return (struct stream_limits){.head_bytes = head_bytes,
                                  .line_bytes = LINE_BYTES,
                                  .header_count = header_count,
                                  .trailer_bytes = TRAILER_BYTES,
                                  .chunk_ext_bytes = CHUNK_EXT_BYTES,
                                  .linger_ms = LINGER_MS};
}

/* A listener without any site still speaks HTTP: it says 421. */
static void limits_finish(struct proxy_conf *p)
{
    for (uint32_t i = 0; i < p->listen_count; i++) {
        struct stream_limits *to = &p->listens[i]->limits;
        int64_t header_ms = to->header_ms, keepalive_ms = to->keepalive_ms, age_ms = to->age_ms;
        *to = limits_of(HEAD_BYTES, HEADER_COUNT);
        to->header_ms = header_ms > 0 ? header_ms : p->defaults.client_header_ms;
        to->keepalive_ms = keepalive_ms > 0 ? keepalive_ms : p->defaults.keepalive_ms;
        to->age_ms = age_ms > 0 ? age_ms : age_of(&p->defaults);
    }
    p->limits = limits_of(ORIGIN_HEAD_BYTES, ORIGIN_HEADER_COUNT);
    p->limits.header_ms = p->defaults.client_header_ms;
    p->limits.keepalive_ms = p->defaults.keepalive_ms;
}

/* --- top level ---------------------------------------------------------------------------------*/

static bool row_is_ours(const struct directive *row)
{
    for (const struct directive *r = proxy_rows; r->name; r++) {
        if (r == row)
            return true;
    }
    return false;
}

static void defaults_build(struct builder *bu)
{
    struct settings own;
    settings_defaults(bu->b, &bu->proxy->defaults);
    settings_unset(&own);
    bu->proxy->error_log = (struct error_log_conf){.level = LOG_NOTICE_, .target = LOG_TO_STDERR};
    CONF_NODE_EACH(n, &bu->conf->tree->root)
    {
        if (n->row && row_is_ours(n->row))
            conf_apply(bu->b, &own, n);
    }
    settings_merge(&bu->proxy->defaults, &own);
    if (!bu->proxy->defaults.log)
        bu->proxy->defaults.log = access_log_default(bu->b);
}

static void filters_sort(struct builder *bu)
{
    for (int stage = STAGE_EARLY; stage <= STAGE_SHAPE; stage++) {
        for (const struct filter_type *const *f = filters_all; *f; f++) {
            if ((int)(*f)->stage != stage)
                continue;
            ASSERT(bu->filter_count < FILTERS_MAX);
            bu->filters[bu->filter_count++] = *f;
        }
    }
}

static void sites_build(struct builder *bu)
{
    struct policy top;
    struct proxy_conf *p = bu->proxy;
    policy_init(bu, &top);
    p->sites = BUILD_ARRAY(bu->b, struct site *, children_named(&bu->conf->tree->root, "site"));
    CONF_NODE_EACH(n, &bu->conf->tree->root)
    {
        if (n->row && node_is(n, "site"))
            p->sites[p->site_count++] = site_build(bu, &top, n);
    }
}

/* The tables that are not in the arena. */
static void proxy_release(void *ctx)
{
    struct proxy_conf *p = ctx;
    for (uint32_t i = 0; i < p->listen_count; i++) {
        hash_map_release(&p->listens[i]->exact);
        hash_map_release(&p->listens[i]->wildcards);
    }
    for (uint32_t i = 0; i < p->site_count; i++)
        hash_map_release(&p->sites[i]->exact);
    proxy_tls_release(p);
}

void proxy_build(struct conf_build *b, struct conf *c)
{
    struct builder bu = {.b = b, .conf = c};
    bu.proxy = c->proxy = BUILD_NEW(b, struct proxy_conf);
    conf_on_free(c, proxy_release, c->proxy);
    filters_sort(&bu);
    defaults_build(&bu);
    listens_top(&bu);
    sites_build(&bu);
    sites_place(&bu);
    limits_finish(c->proxy);
    client_geo_check(b);
}
