/* upstream.c - builds upstreams from the configuration and binds them to their shared state.
 *
 * Building only reads words; upstreams_bind() takes the shared state of every server by identity,
 * sets the addresses that need no resolver, lets balancers build their tables, and leaves a cleanup
 * with the snapshot that gives the state back. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "conf/snapshot.h"
#include "tls/tls.h"
#include "upstream/check.h"
#include "upstream/shared_priv.h"
#include "upstream/tls_priv.h"
#include "upstream/upstream_priv.h"

enum { DEFAULT_PORT = 80, DEFAULT_PORT_TLS = 443, DEFAULT_PORT_FASTCGI = 9000 };

static void no_memory(struct conf_build *b, struct conf_pos pos)
{
    diag_error(b->diag, pos, "no memory for the configuration");
}

/* Room for one more in an array of `count` that doubles at powers of two. */
static void *array_room(struct conf_build *b, void *old, uint32_t count, size_t size)
{
    if (count & (count - 1))
        return old; /* there is room up to the next power of two */
    size_t cap = count ? (size_t)count * 2 : 1;
    void *to = arena_zalloc(b->arena, cap * size);
    if (to && count > 0)
        memcpy(to, old, count * size);
    return to;
}

static void radix_ready(struct radix *t, struct arena *a)
{
    if (!t->arena)
        radix_init(t, a);
}

struct upstream *upstream_new(struct conf_build *b, struct upstreams_conf *u, struct conf_pos pos)
{
    radix_ready(&u->named, b->arena);
    radix_ready(&u->inlined, b->arena);
    struct upstream *up = ARENA_NEW(b->arena, struct upstream);
    struct upstream **list = array_room(b, u->list, u->count, sizeof *list);
    if (!up || !list) {
        no_memory(b, pos);
        return NULL;
    }
    up->pos = pos;
    up->index = u->count;
    list[u->count++] = up;
    u->list = list;
    upstream_defaults(up);
    upstream_balancer_set(b, up, balancer_find(SLICE(BALANCER_DEFAULT)));
    return up;
}

void upstream_balancer_set(struct conf_build *b, struct upstream *up, const struct balancer_type *t)
{
    up->balancer = t;
    up->balancer_conf = arena_zalloc(b->arena, t->conf_bytes + 1);
    if (!up->balancer_conf)
        no_memory(b, up->pos);
    else if (t->options)
        conf_defaults(t->options, IN_OPTIONS, up->balancer_conf);
}

static bool is_host_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return false;
    }
    return s.len > 0 && s.len <= 255;
}

static bool scheme_refused(struct conf_build *b, const struct conf_word *w)
{
    struct slice text = w->text;
    size_t at = slice_find(text, ':');
    if (!slice_starts(slice_from(text, at), SLICE("://")))
        return false;
    struct slice rest = slice_from(text, at + 3);
    diag_error(b->diag, w->pos, "a server is an address, not a URL: '%.*s'", SLICE_ARG(text));
    diag_hint(b->diag, "write '%.*s'", SLICE_ARG(slice_head(rest, slice_find(rest, '/'))));
    return true;
}

static bool server_spec_parse(struct conf_build *b, const struct conf_word *w,
                              struct addr_spec *out)
{
    if (scheme_refused(b, w))
        return false;
    bool good = addr_spec_parse(w->text, out) == ERR_OK;
    if (good && out->host.len == 0) {
        diag_error(b->diag, w->pos, "a server needs a host before the port");
        diag_hint(b->diag, "write 'localhost%.*s'", SLICE_ARG(w->text));
        return false;
    }
    if (!good || (!out->is_unix && !out->is_literal && !is_host_name(out->host))) {
        diag_error(b->diag, w->pos, "not the address of a server: '%.*s'", SLICE_ARG(w->text));
        diag_hint(b->diag, "such as 10.0.0.1:8080, [2001:db8::1]:8080, app.internal:8080 or "
                           "unix:/run/app.sock");
        return false;
    }
    return true;
}

static const struct server *server_find(const struct upstream *up, struct slice name)
{
    for (uint32_t i = 0; i < up->server_count; i++)
        if (slice_eq(up->servers[i].name, name))
            return &up->servers[i];
    return NULL;
}

struct server *upstream_server_add(struct conf_build *b, struct upstream *up,
                                   const struct conf_word *address, const struct server *options)
{
    struct addr_spec spec = {0};
    if (!server_spec_parse(b, address, &spec))
        return NULL;
    if (server_find(up, address->text)) {
        diag_error(b->diag, address->pos,
                   "server '%.*s' is there already; use weight=N to give it more",
                   SLICE_ARG(address->text));
        return NULL;
    }
    if (up->server_count == SERVERS_MAX) {
        diag_error(b->diag, address->pos, "more than %d servers in one upstream", SERVERS_MAX);
        return NULL;
    }
    struct server *list = array_room(b, up->servers, up->server_count, sizeof *list);
    if (!list) {
        no_memory(b, address->pos);
        return NULL;
    }
    up->servers = list;
    struct server *srv = &list[up->server_count];
    *srv = *options;
    srv->name = address->text;
    srv->spec = spec;
    srv->pos = address->pos;
    srv->index = up->server_count++;
    return srv;
}

/* The names of the servers with blanks between them. */
static struct slice joined(struct arena *a, struct slice (*name)(const void *list, uint32_t i),
                           const void *list, uint32_t count)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++)
        len += name(list, i).len + 1;
    char *to = arena_alloc(a, len + 1);
    if (!to)
        return SLICE("(unnamed)");
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slice s = name(list, i);
        if (i > 0)
            to[at++] = ' ';
        memcpy(to + at, s.at, s.len);
        at += s.len;
    }
    return (struct slice){to, at};
}

static struct slice name_of_server(const void *list, uint32_t i)
{
    return ((const struct server *)list)[i].name;
}

static struct slice name_of_word(const void *list, uint32_t i)
{
    return ((const struct conf_word *)list)[i].text;
}

static uint16_t port_usual(const struct upstream *up)
{
    if (up->fastcgi)
        return DEFAULT_PORT_FASTCGI;
    return up->tls ? DEFAULT_PORT_TLS : DEFAULT_PORT;
}

/* `tls` and `proto` may stand below the servers. */
void upstream_ports_finish(struct upstream *up)
{
    for (uint32_t i = 0; i < up->server_count; i++) {
        struct addr_spec *spec = &up->servers[i].spec;
        if (spec->port == 0 && !spec->is_unix)
            spec->port = port_usual(up);
    }
}

void upstream_finish(struct conf_build *b, struct upstream *up)
{
    upstream_proto_finish(b, up);
    upstream_ports_finish(up);
    upstream_tls_finish(b, up);
    check_finish(b, up);
    upstream_hedge_finish(b, up);
    if (up->name.len == 0)
        up->name = joined(b->arena, name_of_server, up->servers, up->server_count);
    if (up->server_count == 0 && !diag_failed(b->diag)) {
        diag_error(b->diag, up->pos, "no server in this upstream");
        diag_hint(b->diag, "add a line such as: server 10.0.0.1:8080");
    }
}

struct upstream *upstream_find(const struct upstreams_conf *u, struct slice name)
{
    return u->named.arena ? radix_find(&u->named, name) : NULL;
}

static struct upstream *inline_build(struct conf_build *b, struct upstreams_conf *u,
                                     const struct conf_word *targets, uint32_t count,
                                     const struct conf_node *block, enum upstream_scheme scheme)
{
    struct conf_pos pos = count > 0 ? targets[0].pos : block->pos;
    struct upstream *up = upstream_new(b, u, pos);
    if (!up)
        return NULL;
    struct server options = {0};
    server_defaults(&options);
    if (scheme == UPSTREAM_TLS)
        upstream_tls_begin(b, up);
    up->fastcgi = scheme == UPSTREAM_FASTCGI;
    for (uint32_t i = 0; i < count; i++)
        upstream_server_add(b, up, &targets[i], &options);
    if (block && block->has_block)
        conf_apply_block(b, up, block);
    upstream_finish(b, up);
    return up;
}

struct upstream *upstream_inline(struct conf_build *b, struct upstreams_conf *u,
                                 const struct conf_word *targets, uint32_t count,
                                 const struct conf_node *block, enum upstream_scheme scheme)
{
    if (block && block->has_block)
        return inline_build(b, u, targets, count, block, scheme);
    ASSERT(count > 0);
    struct slice key =
        count == 1 ? targets[0].text : joined(b->arena, name_of_word, targets, count);
    if (scheme == UPSTREAM_TLS)
        key = arena_printf(b->arena, "https://%.*s", SLICE_ARG(key));
    if (scheme == UPSTREAM_FASTCGI)
        key = arena_printf(b->arena, "fastcgi://%.*s", SLICE_ARG(key));
    struct upstream *up = u->inlined.arena ? radix_find(&u->inlined, key) : NULL;
    if (up)
        return up;
    up = inline_build(b, u, targets, count, NULL, scheme);
    void *old;
    if (up && radix_add(&u->inlined, key, up, &old) != ERR_OK)
        no_memory(b, targets[0].pos);
    return up;
}

static void upstreams_unbind(void *ctx)
{
    const struct upstreams_conf *u = ctx;
    for (uint32_t i = 0; i < u->count; i++) {
        struct upstream *up = u->list[i];
        for (uint32_t k = 0; k < up->server_count; k++)
            server_shared_drop(up->servers[k].shared);
        upstream_shared_drop(up->shared);
    }
}

static bool is_localhost(const struct server *srv)
{
    return slice_eq_nocase(srv->spec.host, SLICE("localhost"));
}

bool server_needs_resolver(const struct server *srv)
{
    return !srv->spec.is_unix && !srv->spec.is_literal && !is_localhost(srv);
}

/* RFC 6761 6.3: localhost is the loopback interface, whatever a name server says. Applications
 * listen on either family, so both are tried. */
static void localhost_set(const struct server *srv)
{
    struct addr a[2];
    if (addr_parse_ip(SLICE("127.0.0.1"), &a[0]) != ERR_OK ||
        addr_parse_ip(SLICE("::1"), &a[1]) != ERR_OK)
        return;
    addr_set_port(&a[0], srv->spec.port);
    addr_set_port(&a[1], srv->spec.port);
    server_addrs_set(srv->shared, a, 2);
}

enum { FASTCGI_VARIANT = 16 }; /* beside enum upstream_proto */

static void server_bind(const struct upstream *up, struct server *srv)
{
    uint64_t variant =
        (up->tls ? up->tls->id : 0) + up->proto + (up->fastcgi ? FASTCGI_VARIANT : 0);
    srv->shared = server_shared_take(up->name, srv->name, variant);
    ramp_on_bind(srv, !up->shared->conf_seen);
    struct addr a;
    if (is_localhost(srv))
        localhost_set(srv);
    else if (!server_needs_resolver(srv) && addr_from_spec(&srv->spec, &a) == ERR_OK)
        server_addrs_set(srv->shared, &a, 1);
}

void upstreams_bind(struct conf_build *b, struct conf *c)
{
    struct upstreams_conf *u = c->upstreams;
    for (uint32_t i = 0; i < u->count; i++) {
        struct upstream *up = u->list[i];
        up->shared = upstream_shared_take(up->name);
        for (uint32_t k = 0; k < up->server_count; k++)
            server_bind(up, &up->servers[k]);
        up->shared->conf_seen = true;
        upstream_tiers_set(up);
        if (up->balancer->build && up->balancer_conf)
            up->balancer->build(up->balancer_conf, up, b->arena);
    }
    conf_on_free(c, upstreams_unbind, u);
}
