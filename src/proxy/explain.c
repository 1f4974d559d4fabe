/* explain.c - `weir explain`: what becomes of one request, and which lines say so.
 *
 * A dry exchange takes the real steps; what it met on its way is printed, one aligned line each,
 * with file and line at the right. Filters add their own lines by explain_line(). */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "conf/secrets.h"
#include "proxy/access_log.h"
#include "proxy/build_priv.h"
#include "proxy/client_geo.h"
#include "proxy/dry_request_priv.h"
#include "proxy/exchange_priv.h"
#include "proxy/fastcgi.h"
#include "proxy/mirror.h"
#include "proxy/outbound.h"
#include "proxy/split.h"
#include "proxy/target.h"
#include "proxy/tls_build_priv.h"
#include "upstream/balancer.h"
#include <stdio.h>

enum { LINES_MAX = 256, LINE_TEXT_BYTES = 512, LABEL_WIDTH = 11, ALIGN_MAX = 72 };

struct explain_entry {
    const char *label;
    char text[LINE_TEXT_BYTES];
    struct conf_pos pos;
};

struct explain {
    struct explain_entry *entries; /* LINES_MAX */
    uint32_t count;
    const struct conf_secret *secrets; /* *** is shown for them */
};

static void hide_secrets(const struct explain *e, struct explain_entry *of)
{
    struct text shown;
    text_init(&shown);
    conf_secrets_write(&shown, slice_of(of->text), e->secrets);
    snprintf(of->text, sizeof(of->text), "%.*s", (int)shown.len, shown.len ? shown.at : "");
    text_release(&shown);
}

__attribute__((format(printf, 4, 0))) static void line_add(struct explain *e, const char *label,
                                                           struct conf_pos pos, const char *fmt,
                                                           va_list args)
{
    if (e->count == LINES_MAX)
        return;
    struct explain_entry *to = &e->entries[e->count++];
    to->label = label;
    to->pos = pos;
    vsnprintf(to->text, sizeof(to->text), fmt, args);
    if (e->secrets)
        hide_secrets(e, to);
}

void explain_line(struct explain *e, const char *label, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    line_add(e, label, pos, fmt, args);
    va_end(args);
}

static size_t align_width(const struct explain *e)
{
    size_t width = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        size_t len = strlen(e->entries[i].text);
        if (e->entries[i].pos.file && len > width)
            width = len;
    }
    return width < ALIGN_MAX ? width : ALIGN_MAX;
}

static void lines_print(const struct explain *e, struct text *out)
{
    int width = (int)align_width(e);
    for (uint32_t i = 0; i < e->count; i++) {
        const struct explain_entry *it = &e->entries[i];
        if (it->pos.file)
            text_addf(out, "%-*s%-*s  %s:%u\n", LABEL_WIDTH, it->label, width, it->text,
                      it->pos.file->path, it->pos.line);
        else
            text_addf(out, "%-*s%s\n", LABEL_WIDTH, it->label, it->text);
    }
}

/* --- listener, site, route ---------------------------------------------------------------------*/

static const struct conf_pos NOWHERE = {0};

static const char *bound_write(char to[24], int64_t n)
{
    if (n > 0)
        snprintf(to, 24, "%lld", (long long)n);
    else
        snprintf(to, 24, "%s", n < 0 ? "any number" : "the default");
    return to;
}

/* Only what is configured: the defaults depend on the process that serves. */
static void explain_connections(struct explain *e, const struct conns_bounds *b)
{
    char max[24], own[24];
    if (b->max || b->per_address)
        explain_line(e, "clients", NOWHERE, "connections: %s of one address, %s in sum",
                     bound_write(own, b->per_address), bound_write(max, b->max));
}

static void explain_listen(struct explain *e, const struct listen_conf *l)
{
    bool told = l->tls || !l->h1 || !l->h2; /* a plain listener that takes both is the usual one */
    explain_line(e, "listen", l->pos, "%.*s%s%s%s", SLICE_ARG(l->key), l->tls ? " tls" : "",
                 told && l->h1 ? " h1" : "", told && l->h2 ? " h2" : "");
}

/* Which certificate a client gets that asks for this host, and what is asked of it. */
static void explain_tls(struct explain *e, const struct exchange *x)
{
    static const char *const client[] = {"", ", client certificate optional",
                                         ", client certificate required"};
    const struct tls_identity *id =
        x->listen->server ? tls_server_find(x->listen->server, x->host) : NULL;
    for (const struct proxy_cert *c = x->view->conf->proxy->certs; id && c; c = c->next) {
        if (c->cert != id->certs[c->cert->kind])
            continue;
        int64_t left_s = c->cert->not_after - x->view->conf->loaded_unix_ms / 1000;
        explain_line(e, "tls", c->pos, "%s, %.*s, %lld days left%s",
                     c->cert->kind == TLS_KEY_RSA ? "RSA" : "ECDSA", SLICE_ARG(c->label),
                     (long long)left_s / 86400, client[id->policy.client_cert]);
    }
}

static const struct site_name *site_name_of(const struct exchange *x)
{
    const struct site *s = x->site;
    for (uint32_t i = 0; i < s->name_count; i++) {
        struct slice name = s->names[i].text;
        bool wild = slice_starts(name, SLICE("*.")) && slice_ends(x->host, slice_from(name, 1));
        bool matches = x->site_match == SITE_EXACT      ? slice_eq(name, x->host)
                       : x->site_match == SITE_WILDCARD ? wild
                                                        : slice_eq(name, SLICE("*"));
        if (matches)
            return &s->names[i];
    }
    return NULL;
}

static void explain_site(struct explain *e, const struct exchange *x)
{
    static const char *const how[] = {"", "exact", "wildcard", "default"};
    const struct site_name *name = x->site ? site_name_of(x) : NULL;
    if (!name) {
        explain_line(e, "site", NOWHERE, "none answers to '%.*s'", SLICE_ARG(x->host));
        return;
    }
    explain_line(e, "site", name->pos, "%.*s (%s)", SLICE_ARG(name->text), how[x->site_match]);
}

static void also_matched(void *ctx, size_t len, void *value)
{
    (void)len;
    struct text *out = ctx;
    const struct route *r = value;
    text_addf(out, "%s%.*s", out->len > 0 ? " " : "", SLICE_ARG(r->pattern));
}

/* Shorter prefixes; the chosen one is the last of them. */
static void explain_prefix(struct explain *e, const struct exchange *x)
{
    const struct route *r = x->route;
    struct text all;
    text_init(&all);
    radix_prefixes(&x->site->prefixes, x->path, also_matched, &all);
    struct slice others = text_slice(&all);
    others.len = others.len > r->pattern.len ? others.len - r->pattern.len - 1 : 0;
    explain_line(e, "route", r->pos, "%.*s%s (longest prefix%s%.*s)", SLICE_ARG(r->pattern),
                 r->strip ? " strip" : "", others.len > 0 ? "; also matched: " : "",
                 (int)others.len, others.len > 0 ? others.at : "");
    text_release(&all);
}

static void explain_route(struct explain *e, const struct exchange *x)
{
    const struct route *r = x->route;
    switch (r->kind) {
    case ROUTE_PREFIX: explain_prefix(e, x); break;
    case ROUTE_EXACT:
        explain_line(e, "route", r->pos, "= %.*s (exact)", SLICE_ARG(r->pattern));
        break;
    case ROUTE_PATTERN:
        explain_line(e, "route", r->pos, "~ %.*s (first pattern that matches)",
                     SLICE_ARG(r->pattern));
        break;
    case ROUTE_SITE: explain_line(e, "route", r->pos, "none matches: the site itself"); break;
    }
}

static void explain_whens(struct explain *e, const struct exchange *x)
{
    struct text line;
    text_init(&line);
    for (uint32_t i = 0; i < x->route->when_count; i++) {
        const struct conf_node *n = policy_when_of(x->route->whens[i])->node;
        line.len = 0;
        for (uint32_t w = 0; w < n->arg_count; w++)
            text_addf(&line, "%s%.*s", w > 0 ? " " : "", SLICE_ARG(n->args[w].text));
        explain_line(e, "when", n->pos, "%s: %s", line.at,
                     (x->whens >> i) & 1 ? "holds" : "does not hold");
    }
    text_release(&line);
}

/* --- policies ----------------------------------------------------------------------------------*/

static void explain_filters(struct explain *e, const struct exchange *x, enum filter_hook hook)
{
    const struct filter_chain *c = &x->route->chains[hook];
    for (uint32_t i = 0; i < c->count; i++) {
        const struct filter_use *u = &c->uses[i];
        bool shown_before =
            hook == HOOK_RESPONSE ? u->type->on_request != NULL : u->run != u->type->on_request;
        if (u->type->explain && !shown_before && (u->when == 0 || (x->whens & u->when)))
            u->type->explain(u->conf, e);
    }
}

static void explain_path(struct explain *e, const struct exchange *x)
{
    struct slice to = origin_path(x);
    if (slice_eq(x->path, to))
        explain_line(e, "path", NOWHERE, "%.*s", SLICE_ARG(x->path));
    else
        explain_line(e, "path", NOWHERE, "%.*s -> %.*s", SLICE_ARG(x->path), SLICE_ARG(to));
}

static const char *time_text(char *to, size_t cap, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    if (ms < 0)
        return "off";
    while (ms % units[i].ms != 0 || ms == 0) {
        if (++i == sizeof(units) / sizeof(*units) - 1)
            break;
    }
    snprintf(to, cap, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
    return to;
}

static const char *size_text(char *to, size_t cap, int64_t bytes)
{
    static const char units[] = "BKMG";
    int unit = 0;
    if (bytes < 0)
        return "off";
    for (; unit < 3 && bytes > 0 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    snprintf(to, cap, "%lld%c", (long long)bytes, units[unit]);
    return to;
}

static void explain_body(struct explain *e, const struct exchange *x)
{
    char max[32], memory[32];
    const struct settings *s = x->settings;
    size_text(memory, sizeof(memory), s->buffer_memory_bytes);
    explain_line(e, "body", NOWHERE, "max=%s%s%s", size_text(max, sizeof(max), s->body_max_bytes),
                 s->buffer_request == 1 ? ", buffered, memory=" : "",
                 s->buffer_request == 1 ? memory : "");
}

static void explain_log(struct explain *e, const struct exchange *x)
{
    struct text line;
    text_init(&line);
    struct conf_pos pos = access_log_describe(x->settings->log, &line);
    explain_line(e, "log", pos, "%.*s", (int)line.len, line.at);
    text_release(&line);
}

static void explain_timeouts(struct explain *e, const struct exchange *x)
{
    char connect[32], first[32], read[32];
    const struct settings *s = x->settings;
    explain_line(e, "timeout", NOWHERE, "connect=%s first_byte=%s read=%s",
                 time_text(connect, sizeof(connect), s->connect_ms),
                 time_text(first, sizeof(first), s->first_byte_ms),
                 time_text(read, sizeof(read), s->read_ms));
}

enum { SERVERS_SHOWN = 8 };

/* "app: 10.0.0.1:80 10.0.0.2:80, two_choices"; an unnamed one is called like its servers. */
static void explain_upstream(struct explain *e, const struct target *t)
{
    const struct upstream *u = t->upstream;
    struct text servers;
    text_init(&servers);
    for (uint32_t i = 0; i < u->server_count && i < SERVERS_SHOWN; i++)
        text_addf(&servers, "%s%.*s", i > 0 ? " " : "", SLICE_ARG(u->servers[i].name));
    bool named = !slice_eq(text_slice(&servers), u->name);
    if (u->server_count > SERVERS_SHOWN)
        text_addf(&servers, " and %u more", u->server_count - SERVERS_SHOWN);
    bool choice = u->server_count > 1 && u->balancer;
    explain_line(e, "upstream", t->pos, "%.*s%s%.*s%s%s", named ? (int)u->name.len : 0, u->name.at,
                 named ? ": " : "", (int)servers.len, servers.at ? servers.at : "",
                 choice ? ", " : "", choice ? u->balancer->name : "");
    text_release(&servers);
}

/* The part that is shown after it is the one for this request, or that most requests get. */
static void explain_split(struct explain *e, const struct target *t)
{
    const struct split *s = t->split;
    struct text line;
    text_init(&line);
    for (uint32_t i = 0; i < s->count; i++)
        text_addf(&line, "%s%.*s %g%%", i > 0 ? ", " : "",
                  SLICE_ARG(s->parts[i].target.upstream->name), (double)s->parts[i].share / 100);
    explain_line(e, "split", t->pos, "%s%s", line.at, s->sticky ? ", sticky" : "");
    text_release(&line);
}

static void explain_sticky(struct explain *e, const struct upstream *u)
{
    struct text line;
    if (!u->sticky)
        return;
    text_init(&line);
    sticky_describe(u->sticky, &line);
    explain_line(e, "sticky", u->sticky->pos, "%s", line.at);
    text_release(&line);
}

static void explain_fastcgi(struct explain *e, const struct target *t)
{
    struct text line;
    if (!t->fastcgi)
        return;
    text_init(&line);
    fastcgi_explain(t, &line);
    explain_line(e, "fastcgi", t->pos, "%.*s", (int)line.len, line.at ? line.at : "");
    text_release(&line);
}

static void explain_mirror(struct explain *e, const struct mirror_conf *m)
{
    if (m)
        explain_line(e, "mirror", m->target.pos, "%.*s %g%%", SLICE_ARG(m->target.upstream->name),
                     (double)m->share / 100);
}

/* What may be relayed, and what this request asks for. */
static void explain_relay(struct explain *e, struct exchange *x, const struct target *t)
{
    struct text line;
    struct slice url = outbound_url(x);
    text_init(&line);
    outbound_explain(t, &line);
    explain_line(e, "relay", t->pos, "%.*s", (int)line.len, line.at ? line.at : "");
    if (url.at)
        explain_line(e, "target", NOWHERE, "%.*s", SLICE_ARG(url));
    text_release(&line);
}

static void explain_target(struct explain *e, struct exchange *x)
{
    const struct target *t = x->settings->target;
    if (!t)
        return; /* the outcome says so */
    if (t->kind == TARGET_SPLIT)
        explain_split(e, t);
    if (t->kind == TARGET_SPLIT && x->target)
        t = x->target;
    if (t->kind == TARGET_UPSTREAM) {
        explain_timeouts(e, x);
        explain_upstream(e, t);
        explain_fastcgi(e, t);
        explain_sticky(e, t->upstream);
    }
    if (t->kind == TARGET_OUTBOUND)
        explain_relay(e, x, t);
    if (t->kind != TARGET_LOCAL) {
        explain_mirror(e, x->settings->mirror);
        return;
    }
    struct text line;
    text_init(&line);
    t->local->explain(t->local_conf, &line);
    explain_line(e, t->local->name, t->pos, "%.*s", (int)line.len, line.at ? line.at : "");
    text_release(&line);
}

static void explain_outcome(struct explain *e, const struct exchange *x)
{
    if (x->err != ERR_OK)
        explain_line(e, "answer", NOWHERE, "%u: %s (step %s)", x->res.status, err_row(x->err)->text,
                     step_name(x->err_step));
}

/* Where the client is; only where a database might know. */
static void explain_client(struct explain *e, struct exchange *x)
{
    const struct geo_facts *f = client_geo(x);
    struct text line;
    if (!x->view->conf->proxy->geo.named)
        return;
    text_init(&line);
    struct slice country = f->country.at ? f->country : SLICE("unknown");
    text_addf(&line, "country %.*s", SLICE_ARG(country));
    if (f->city.at)
        text_addf(&line, ", city %.*s", SLICE_ARG(f->city));
    if (f->asn)
        text_addf(&line, ", asn %u %.*s", f->asn, SLICE_ARG(f->as_org));
    explain_line(e, "client", NOWHERE, "%.*s", (int)line.len, line.at);
    text_release(&line);
}

static void explain_exchange(struct explain *e, struct exchange *x)
{
    explain_listen(e, x->listen);
    explain_connections(e, &x->view->conf->proxy->conns);
    explain_tls(e, x);
    explain_client(e, x);
    explain_site(e, x);
    if (x->route) {
        explain_route(e, x);
        explain_whens(e, x);
        explain_filters(e, x, HOOK_REQUEST);
        explain_path(e, x);
        explain_body(e, x);
        explain_target(e, x);
        explain_filters(e, x, HOOK_RESPONSE);
        explain_log(e, x);
    }
    explain_outcome(e, x);
}

/* --- the request -------------------------------------------------------------------------------*/

static bool headers_put(struct exchange *x, const struct explain_request *r, struct text *out)
{
    for (uint32_t i = 0; i < r->header_count; i++) {
        struct slice line = r->headers[i];
        size_t colon = slice_find(line, ':');
        const char *wrong = colon == line.len
                                ? "a header is written 'Name: value'"
                                : dry_header_put(x, slice_head(line, colon),
                                                 slice_trim(slice_from(line, colon + 1)));
        if (!wrong)
            continue;
        text_addf(out, "%.*s: %s", SLICE_ARG(line), wrong);
        return false;
    }
    return true;
}

static void no_listener(const struct proxy_conf *p, uint16_t port, struct text *out)
{
    text_addf(out, "nothing listens on port %u; there is:", port);
    for (uint32_t i = 0; i < p->listen_count; i++)
        text_addf(out, " %.*s", SLICE_ARG(p->listens[i]->key));
}

/* The request and the listener that it comes in on. False with the reason in *out. */
static bool request_read(struct conf *c, const struct explain_request *r, struct arena *a,
                         struct dry_request *to, const struct listen_conf **l, struct text *out)
{
    struct slice host, from = r->from.len > 0 ? r->from : SLICE("127.0.0.1");
    uint16_t port;
    to->method = r->method;
    if (!dry_url_parse(r->url, to) || uri_host_parse(a, to->authority, &host, &port) != ERR_OK) {
        text_addf(out, "'%.*s' is not a URL such as http://host/path", SLICE_ARG(r->url));
        return false;
    }
    if (addr_parse_ip(from, &to->from) != ERR_OK) {
        text_addf(out, "'%.*s' is not an IP address", SLICE_ARG(from));
        return false;
    }
    *l = dry_listen_of_url(c->proxy, to, host, port);
    if (!*l)
        no_listener(c->proxy, port, out);
    return *l != NULL;
}

static bool explain_run(struct worker *w, const struct listen_conf *l, const struct dry_request *d,
                        const struct explain_request *r, struct text *out)
{
    struct explain_entry entries[LINES_MAX];
    struct explain e = {.entries = entries};
    struct exchange *x = exchange_dry_new(w, l);
    e.secrets = x->view->conf->tree->secrets;
    bool ok = dry_request_put(x, d) == ERR_OK && headers_put(x, r, out);
    if (ok) {
        exchange_dry_run(x, STEP_RELAY);
        explain_exchange(&e, x);
        lines_print(&e, out);
    }
    exchange_dry_free(x);
    return ok;
}

bool proxy_explain(struct conf *c, const struct explain_request *r, struct text *out)
{
    struct arena scratch;
    struct dry_request d;
    const struct listen_conf *l;
    struct worker *w;
    arena_init(&scratch, 64 * 1024);
    bool ok = request_read(c, r, &scratch, &d, &l, out);
    if (ok && !(w = dry_worker_new(c))) {
        text_addf(out, "no event loop");
        ok = false;
    }
    if (ok) {
        ok = explain_run(w, l, &d, r, out);
        dry_worker_free(w);
    }
    arena_release(&scratch);
    return ok;
}
