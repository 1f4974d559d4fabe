/* admin.c - the admin API as sites of its own: a table of pages, served by one local origin.
 *
 * Two internal listeners are added to every snapshot: the admin address (GET and HEAD only) and the
 * control socket (also POST /reload, /server, /stop and /upgrade). Their site has one route whose
 * target is the local origin here. Pages can be larger than an exchange's arena, so their text is
 * on the heap; a filter that only has a finish hook frees it. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin.h"
#include "admin/admin_priv.h"
#include "base/mem.h"
#include "proxy/access_log.h"
#include "proxy/exchange.h"
#include "proxy/target.h"

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
    bool changes; /* POST, on the control socket only */
    int (*write)(const struct admin_page *p);
    const char *text;
} pages[] = {
    {"/", PLAIN, false, index_write, "this list"},
    {"/status", "application/json", false, status_write, "what weir does now, as JSON"},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", false, metrics_write,
     "counters for Prometheus"},
    {"/config", "application/json", false, config_write, "the configuration in force, as JSON"},
    {"/bans", "application/json", false, bans_write, "who is banned, as JSON"},
    {"/ban", PLAIN, true, ban_run, "bans an address"},
    {"/unban", PLAIN, true, unban_run, "lifts bans"},
    {"/server", PLAIN, true, server_change_run, "changes a server while weir runs"},
    {"/cache/purge", PLAIN, true, purge_run, "forgets stored responses"},
    {"/cache/purged", PLAIN, true, purged_run, "whether that is through, and how many there were"},
    {"/reload", PLAIN, true, reload_run, "installs the changed configuration"},
    {"/stop", PLAIN, true, stop_run, "stops gracefully"},
    {"/upgrade", PLAIN, true, upgrade_run, "lets the binary at weir's path take over"},
};

static int index_write(const struct admin_page *p)
{
    text_addf(p->out, "weir %s, admin listener\n\n", WEIR_VERSION);
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (!pages[i].changes)
            text_addf(p->out, "%-10s %s\n", pages[i].path, pages[i].text);
    return 200;
}

static const struct page *page_find(struct slice path, bool control)
{
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (slice_eq(path, slice_of(pages[i].path)) && (control || !pages[i].changes))
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
    if (page->changes)
        return x->req.method == METHOD_POST;
    return x->req.method == METHOD_GET || x->req.method == METHOD_HEAD;
}

static enum err refuse_method(struct exchange *x, const struct page *page)
{
    struct slice allow = page->changes ? SLICE("POST") : SLICE("GET, HEAD");
    TRY(exchange_respond(x, 405, SLICE(PLAIN), SLICE("method not allowed\n")));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_ALLOW, allow);
}

static bool is_trusted(struct exchange *x)
{
    return guard_host_ok(x->host) && !headers_find(&x->req.headers, FIELD_ORIGIN);
}

static enum err page_serve(struct exchange *x, const struct admin_conf *c, const struct page *page)
{
    struct text *out = page_text(x);
    struct admin_page p = {.source = c->source,
                           .conf = x->view->conf,
                           .now_ms = x->worker->loop.now_ms,
                           .unix_ms = x->worker->loop.unix_ms,
                           .query = x->uri.query,
                           .arena = &x->arena,
                           .out = out};
    int status = page->write(&p);
    TRY(exchange_respond(x, (uint16_t)status, slice_of(page->type), text_slice(out)));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_CACHE_CONTROL, SLICE("no-store"));
}

static enum err admin_serve(struct exchange *x, const void *conf)
{
    const struct admin_conf *c = conf;
    if (!is_trusted(x))
        return exchange_respond(x, 403, SLICE(PLAIN),
                                SLICE("refused: ask by an IP address or localhost, without an "
                                      "Origin field\n"));
    const struct page *page = page_find(x->path, c->control);
    if (!page)
        return exchange_respond(x, 404, SLICE(PLAIN), SLICE("not found; see /\n"));
    return method_ok(x, page) ? page_serve(x, c, page) : refuse_method(x, page);
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

static void route_build(struct conf *c, struct site *s, struct route *r,
                        const struct admin_source *source, bool control)
{
    struct admin_conf *ac = part_new(&c->arena, sizeof *ac);
    struct target *t = part_new(&c->arena, sizeof *t);
    *ac = (struct admin_conf){source, control};
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

static struct site *site_build(struct conf *c, const struct admin_source *source, bool control)
{
    struct site *s = part_new(&c->arena, sizeof *s);
    struct route *r = part_new(&c->arena, sizeof *r);
    struct route **routes = part_new(&c->arena, sizeof *routes);
    route_build(c, s, r, source, control);
    routes[0] = r;
    radix_init(&s->prefixes, &c->arena);
    s->own = r;
    s->routes = routes;
    s->route_count = 1;
    return s;
}

static struct listen_conf *listen_build(struct conf *c, const struct addr *a,
                                        const struct admin_source *source, bool control)
{
    char addr[ADDR_TEXT_BYTES];
    struct listen_conf *l = part_new(&c->arena, sizeof *l);
    l->key = arena_printf(&c->arena, "%s %.*s", control ? "control" : "admin",
                          (int)addr_write(addr, a), addr);
    l->addr = *a;
    l->internal = true;
    l->h1 = true;
    l->limits = c->proxy->limits;
    l->fallback = site_build(c, source, control);
    return l;
}

void admin_build(struct conf_build *b, struct conf *c, const struct admin_source *source,
                 const struct addr *admin, struct conf_pos pos)
{
    struct proxy_conf *p = c->proxy;
    struct listen_conf **listens = part_new(b->arena, (p->listen_count + 2) * sizeof *listens);
    if (p->listen_count)
        memcpy(listens, p->listens, p->listen_count * sizeof(struct listen_conf *));
    if (admin) {
        listens[p->listen_count] = listen_build(c, admin, source, false);
        listens[p->listen_count++]->pos = pos;
    }
    if (source->control)
        listens[p->listen_count++] = listen_build(c, source->control, source, true);
    p->listens = listens;
}

/* Of the main thread's numbers only these count: asking for numbers must not change them. */
static bool is_of_main(enum metric m)
{
    return m == METRIC_OCSP_FETCHES || m == METRIC_OCSP_ERRORS || m == METRIC_OCSP_MISSING;
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
