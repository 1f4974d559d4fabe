/* admin.c - the admin API as sites of its own: a table of pages, served by one local origin.
 *
 * Internal listeners are added to every snapshot: those of `admin` lines and the control socket.
 * Their sites have one route whose target is the local origin here. Who may do what is gate.c's to
 * say. Pages can be larger than an exchange's arena, so their text is on the heap; a filter that
 * only has a finish hook frees it. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin.h"
#include "admin/admin_priv.h"
#include "base/mem.h"
#include "limit/meters.h"
#include "proxy/access_log.h"
#include "proxy/exchange.h"
#include "proxy/target.h"
#include "proxy/tls_build.h"
#include <stdio.h>

enum { FAILURE_KEYS = 10000 };

/* ---- pages ---- */

static int index_write(const struct admin_page *p);

static int reload_run(const struct admin_page *p)
{
    if (p->source->installing(p->source->ctx)) {
        text_add(p->out, SLICE("the last change is still being installed; try again\n"));
        return 409;
    }
    return p->source->reload(p->source->ctx, p->out) ? 200 : 422;
}

static int stop_run(const struct admin_page *p)
{
    p->source->stop(p->source->ctx);
    text_add(p->out, SLICE("stopping\n"));
    return 200;
}

static int upgrade_run(const struct admin_page *p)
{
    if (!p->source->upgrade(p->source->ctx, p->out))
        return 409;
    text_add(p->out, SLICE("upgrading\n"));
    return 202;
}

#define PLAIN "text/plain; charset=utf-8"

static const struct page {
    const char *path, *type;
    enum admin_role role; /* ADMIN_FULL: it changes something, by POST */
    int (*write)(const struct admin_page *p);
    const char *text;
} pages[] = {
    {"/", PLAIN, ADMIN_METRICS, index_write, "this list"},
    {"/status", "application/json", ADMIN_READ, status_write, "what weir does now, as JSON"},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", ADMIN_METRICS, metrics_write,
     "counters for Prometheus"},
    {"/config", "application/json", ADMIN_READ, config_write,
     "the configuration in force, as JSON"},
    {"/bans", "application/json", ADMIN_READ, bans_write, "who is banned, as JSON"},
    {"/ban", PLAIN, ADMIN_FULL, ban_run, "bans an address"},
    {"/unban", PLAIN, ADMIN_FULL, unban_run, "lifts bans"},
    {"/server", PLAIN, ADMIN_FULL, server_change_run, "changes a server while weir runs"},
    {"/cache/purge", PLAIN, ADMIN_FULL, purge_run, "forgets stored responses"},
    {"/cache/purged", PLAIN, ADMIN_FULL, purged_run,
     "whether that is through, and how many there were"},
    {"/reload", PLAIN, ADMIN_FULL, reload_run, "installs the changed configuration"},
    {"/stop", PLAIN, ADMIN_FULL, stop_run, "stops gracefully"},
    {"/upgrade", PLAIN, ADMIN_FULL, upgrade_run, "lets the binary at weir's path take over"},
};

static bool changes(const struct page *page)
{
    return page->role == ADMIN_FULL;
}

static int index_write(const struct admin_page *p)
{
    text_addf(p->out, "weir %s, admin listener\n\n", WEIR_VERSION);
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (pages[i].role <= p->role)
            text_addf(p->out, "%-4s %-13s %s\n", changes(&pages[i]) ? "POST" : "GET", pages[i].path,
                      pages[i].text);
    return 200;
}

static const struct page *page_find(struct slice path)
{
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (slice_eq(path, slice_of(pages[i].path)))
            return &pages[i];
    return NULL;
}

/* ---- serving ---- */

static struct text *page_text(struct exchange *x)
{
    return (struct text *)x->filter_states; /* of body_filter, the only one here */
}

static bool method_ok(const struct exchange *x, const struct page *page)
{
    if (changes(page))
        return x->req.method == METHOD_POST;
    return x->req.method == METHOD_GET || x->req.method == METHOD_HEAD;
}

static enum err say(struct exchange *x, uint16_t status, const char *text)
{
    TRY(exchange_respond(x, status, SLICE(PLAIN), slice_of(text)));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_CACHE_CONTROL, SLICE("no-store"));
}

static enum err refuse_method(struct exchange *x, const struct page *page)
{
    TRY(say(x, 405, "method not allowed\n"));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_ALLOW,
                          changes(page) ? SLICE("POST") : SLICE("GET, HEAD"));
}

/* Forms of web pages have one of three types, and need nobody's leave for it. */
static bool type_ok(const struct exchange *x)
{
    const struct headers *h = &x->req.headers;
    struct header *type = headers_find(h, FIELD_CONTENT_TYPE);
    return !type ||
           (!headers_next(h, type) &&
            slice_eq_nocase(slice_trim(slice_head(type->value, slice_find(type->value, ';'))),
                            SLICE("application/json")));
}

static enum err page_serve(struct exchange *x, const struct admin_conf *c, const struct page *page,
                           enum admin_role role)
{
    struct text *out = page_text(x);
    struct admin_page p = {.source = c->source,
                           .conf = x->view->conf,
                           .role = role,
                           .now_ms = x->worker->loop.now_ms,
                           .unix_ms = x->worker->loop.unix_ms,
                           .query = x->uri.query,
                           .arena = &x->arena,
                           .out = out};
    if (changes(page) && c->line)
        gate_changed(x);
    int status = page->write(&p);
    TRY(exchange_respond(x, (uint16_t)status, slice_of(page->type), text_slice(out)));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_CACHE_CONTROL, SLICE("no-store"));
}

static enum err refuse_page(struct exchange *x)
{
    gate_refused(x, METRIC_ADMIN_PAGES, "a web page may have made the request");
    return say(x, 403,
               "refused: ask by an IP address, localhost or a name of this listener, and without "
               "what browsers add for web pages (Origin)\n");
}

static enum err refuse_stranger(struct exchange *x, int64_t retry_s)
{
    if (retry_s > 0) {
        struct slice after = arena_printf(&x->arena, "%lld", (long long)retry_s);
        gate_refused(x, METRIC_ADMIN_LIMITED, "too many wrong tokens");
        TRY(say(x, 429, "too many wrong tokens came from your address\n"));
        return after.at ? headers_add_id(&x->res.headers, &x->arena, FIELD_RETRY_AFTER, after)
                        : ERR_OVER_BUDGET;
    }
    gate_refused(x, METRIC_ADMIN_UNAUTHENTICATED, "no token that is known");
    TRY(say(x, 401, "a token is due: Authorization: Bearer TOKEN\n"));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_WWW_AUTHENTICATE,
                          SLICE("Bearer realm=\"weir\""));
}

static enum err admin_serve(struct exchange *x, const void *conf)
{
    const struct admin_conf *c = conf;
    int64_t retry_s;
    if (guard_page_made(x, c->line))
        return refuse_page(x);
    enum admin_role role = gate_role(x, c, &retry_s);
    if (role == ADMIN_NOBODY)
        return refuse_stranger(x, retry_s);
    const struct page *page = page_find(x->path);
    if (!page)
        return say(x, 404, "not found; see /\n");
    if (page->role > role) {
        gate_refused(x, METRIC_ADMIN_FORBIDDEN, "its role does not allow that");
        return say(x, 403, "refused: your role does not allow that\n");
    }
    if (!method_ok(x, page))
        return refuse_method(x, page);
    if (changes(page) && !type_ok(x))
        return say(x, 415, "no body is due, or application/json\n");
    return page_serve(x, c, page, role);
}

static const struct local_origin admin_origin = {"admin", admin_serve, NULL};

/* ---- the text's owner ---- */

static void body_free(struct exchange *x, const void *conf, void *state)
{
    (void)conf;
    body_release(&x->res_body); /* what a broken connection has left points into the text */
    text_release(state);
}

static const struct filter_type body_filter = {
    .name = "admin_body", .state_bytes = sizeof(struct text), .on_finish = body_free};

/* A zeroed struct text must be an empty one: filter states are only zeroed. */
static const struct filter_use body_use = {.type = &body_filter};

/* ---- building ---- */

static void *part_new(struct arena *a, size_t size)
{
    return mem_must(arena_zalloc(a, size), size);
}

static void failures_let_go(void *ctx)
{
    meters_drop(ctx);
}

static struct admin_conf *conf_make(struct conf *c, const struct admin_source *source,
                                    const struct admin_listen *line)
{
    struct admin_conf *ac = part_new(&c->arena, sizeof *ac);
    *ac = (struct admin_conf){.source = source, .line = line};
    if (!line || !line->tokens)
        return ac;
    ac->failures = meters_take(SLICE("admin tokens"), FAILURE_KEYS);
    conf_on_free(c, failures_let_go, ac->failures);
    return ac;
}

static void route_build(struct conf *c, struct site *s, struct route *r,
                        const struct admin_conf *ac)
{
    struct target *t = part_new(&c->arena, sizeof *t);
    *t = (struct target){.kind = TARGET_LOCAL, .local = &admin_origin, .local_conf = ac};
    r->kind = ROUTE_SITE;
    r->pattern = SLICE("/");
    r->site = s;
    r->settings = c->proxy->defaults;
    r->settings.target = t;
    r->settings.log = &access_log_off;
    r->settings.buffer_request = 0;
    r->chains[HOOK_FINISH] = (struct filter_chain){&body_use, 1};
    r->filter_count = 1;
    r->state_bytes = sizeof(struct text);
}

static struct site *site_build(struct conf *c, const struct admin_conf *ac)
{
    struct site *s = part_new(&c->arena, sizeof *s);
    struct route *r = part_new(&c->arena, sizeof *r);
    struct route **routes = part_new(&c->arena, sizeof *routes);
    route_build(c, s, r, ac);
    routes[0] = r;
    radix_init(&s->prefixes, &c->arena);
    s->own = r;
    s->routes = routes;
    s->route_count = 1;
    return s;
}

static struct listen_conf *listen_build(struct conf *c, const struct addr *a,
                                        const struct admin_conf *ac)
{
    char addr[ADDR_TEXT_BYTES];
    struct listen_conf *l = part_new(&c->arena, sizeof *l);
    l->key = arena_printf(&c->arena, "%s %.*s", ac->line ? "admin" : "control",
                          (int)addr_write(addr, a), addr);
    l->addr = *a;
    l->internal = true;
    l->h1 = true;
    l->limits = c->proxy->limits;
    l->fallback = site_build(c, ac);
    return l;
}

/* `tls` lines in the block of an `admin` are those of a site that has its names. */
static void tls_add(struct conf_build *b, struct conf *c, struct listen_conf *l,
                    const struct admin_listen *line)
{
    struct site *s = l->fallback;
    struct site_name *names = part_new(&c->arena, (line->name_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < line->name_count; i++)
        names[i] = (struct site_name){.text = line->names[i], .pos = line->pos};
    s->names = names;
    s->name_count = line->name_count;
    s->node = line->node;
    s->pos = line->pos;
    listen_tls_alone(b, c, l, s);
}

static bool has_tls(const struct admin_listen *line)
{
    if (!line->node)
        return false;
    CONF_NODE_EACH(n, line->node)
    {
        if (n->row && slice_eq(n->words[0].text, SLICE("tls")))
            return true;
    }
    return false;
}

/* Beside the control socket, which is in a folder that only its user enters. */
static void default_add(struct conf *c, const struct addr *control, struct admin_listens *lines)
{
    struct admin_listen *line = part_new(&c->arena, sizeof *line);
    struct slice path = slice_of(control->un.sun_path);
    struct addr_spec spec = {.is_unix = true};
    while (path.len > 0 && path.at[path.len - 1] != '/')
        path.len--;
    spec.host = ARENA_CONCAT(&c->arena, path, SLICE(ADMIN_SOCKET_NAME));
    if (path.len > 0 && spec.host.at && addr_from_spec(&spec, &line->addr) == ERR_OK)
        lines->first = lines->last = line;
}

void admin_build(struct conf_build *b, struct conf *c, const struct admin_source *source,
                 struct admin_listens *lines)
{
    struct proxy_conf *p = c->proxy;
    uint32_t most = p->listen_count + lines->count + 2;
    struct listen_conf **listens = part_new(b->arena, most * sizeof *listens);
    if (p->listen_count)
        memcpy(listens, p->listens, p->listen_count * sizeof(struct listen_conf *));
    p->listens = listens;
    if (!lines->first && !lines->off && source->control)
        default_add(c, source->control, lines);
    for (const struct admin_listen *line = lines->first; line; line = line->next) {
        struct listen_conf *l = listen_build(c, &line->addr, conf_make(c, source, line));
        listens[p->listen_count++] = l;
        l->pos = line->pos;
        if (has_tls(line))
            tls_add(b, c, l, line);
    }
    if (source->control)
        listens[p->listen_count++] = listen_build(c, source->control, conf_make(c, source, NULL));
}

/* Of the main thread's numbers only these count: asking for numbers must not change them. */
static bool is_of_main(enum metric m)
{
    return m == METRIC_OCSP_FETCHES || m == METRIC_OCSP_ERRORS || m == METRIC_OCSP_MISSING ||
           (m >= METRIC_ADMIN_UNAUTHENTICATED && m <= METRIC_ADMIN_LIMITED);
}

int64_t admin_metric(const struct admin_source *s, enum metric m)
{
    int64_t sum = is_of_main(m) && s->main_page ? counter_get(s->main_page, m) : 0;
    for (uint32_t i = 0; i < s->page_count; i++)
        sum += counter_get(s->pages[i], m);
    return sum;
}

int64_t admin_error_count(const struct admin_source *s, enum err e)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < s->page_count; i++)
        sum += __atomic_load_n(&s->pages[i]->errors[e], __ATOMIC_RELAXED);
    return sum;
}
