/* fastcgi_params.c - what a script is told of its request beside the fields (RFC 3875 4.1, and what
 * PHP and its frameworks read).
 *
 * Nothing here is the client's to choose but path, query and Host: SERVER_NAME is a name of the
 * site, REMOTE_ADDR and HTTPS are believed from proxies in `trust` alone. `param` replaces what has
 * the same name. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "http/cgi.h"
#include "net/conn.h"
#include "proxy/fastcgi_priv.h"
#include "proxy/template.h"

enum { STANDARD_MAX = 24, HTTP_PORT = 80, HTTPS_PORT = 443, PORT_BYTES = 8 };

struct params {
    struct exchange *x;
    const struct fastcgi_use *use;
    struct cgi_params *to;
    bool spent; /* the budget of memory */
};

static bool is_given(const struct fastcgi_conf *c, struct slice name)
{
    for (uint32_t i = 0; i < c->param_count; i++)
        if (slice_eq(c->params[i].name, name))
            return true;
    return false;
}

static void put(struct params *p, struct slice name, struct slice value)
{
    p->spent |= value.at == NULL;
    if (p->use->conf->param_count > 0 && is_given(p->use->conf, name))
        return;
    p->to->at[p->to->count++] = (struct cgi_param){name, value};
}

static struct slice port_text(struct exchange *x, uint16_t port)
{
    char text[NUM_U64_MAX_BYTES];
    return arena_dup(&x->arena, (struct slice){text, num_write_u64(text, port)});
}

static struct slice ip_text(struct exchange *x, const struct addr *a)
{
    char text[ADDR_TEXT_BYTES];
    return arena_dup(&x->arena, (struct slice){text, addr_write_ip(text, a)});
}

/* --- addresses -------------------------------------------------------------------------------- */

static void local_addr(const struct exchange *x, struct addr *to)
{
    to->len = 0;
    if (!x->dry && x->client && x->client->conn)
        conn_local(x->client->conn, to);
    if (to->len == 0)
        *to = x->listen->addr;
}

/* What the client asked for where the site has that name; `site *` takes any Host, so there it is
 * another name of the site, or the address. */
static struct slice server_name(const struct exchange *x, struct slice ip)
{
    if (x->site_match == SITE_EXACT || x->site_match == SITE_WILDCARD)
        return x->host;
    for (uint32_t i = 0; i < x->site->name_count; i++)
        if (!slice_starts(x->site->names[i].text, SLICE("*")))
            return x->site->names[i].text;
    return ip;
}

static uint16_t server_port(const struct exchange *x, bool https)
{
    if (x->client_trusted && x->forwarded_port)
        return x->forwarded_port;
    uint16_t port = addr_port(&x->listen->addr);
    return port ? port : https ? HTTPS_PORT : HTTP_PORT;
}

static void put_addresses(struct params *p)
{
    struct exchange *x = p->x;
    bool https = slice_eq(x->client_scheme, SLICE("https"));
    struct addr local;
    local_addr(x, &local);
    struct slice ip = ip_text(x, &local);
    put(p, SLICE("SERVER_NAME"), server_name(x, ip));
    put(p, SLICE("SERVER_ADDR"), ip);
    put(p, SLICE("SERVER_PORT"), port_text(x, server_port(x, https)));
    put(p, SLICE("REMOTE_ADDR"), ip_text(x, &x->client_addr));
    put(p, SLICE("REMOTE_PORT"), port_text(x, addr_port(&x->client_addr)));
    put(p, SLICE("REQUEST_SCHEME"), x->client_scheme);
    if (https)
        put(p, SLICE("HTTPS"), SLICE("on"));
}

/* --- the script ------------------------------------------------------------------------------- */

/* What `strip` took off belongs to the URL of the script. */
static struct slice stripped(const struct exchange *x)
{
    if (!x->route->strip || !slice_ends(x->path, x->forward_path))
        return SLICE("");
    return slice_head(x->path, x->path.len - x->forward_path.len);
}

static void put_script(struct params *p)
{
    struct arena *a = &p->x->arena;
    const struct fastcgi_use *u = p->use;
    struct slice root = u->conf->root, prefix = uri_decode(a, stripped(p->x));
    if (!prefix.at) {
        p->spent = true;
        return;
    }
    put(p, SLICE("SCRIPT_NAME"), ARENA_CONCAT(a, prefix, u->script));
    put(p, SLICE("DOCUMENT_URI"), ARENA_CONCAT(a, prefix, u->script, u->path_info));
    if (root.len > 0)
        put(p, SLICE("DOCUMENT_ROOT"), root);
    if (u->script.len > 0)
        put(p, SLICE("SCRIPT_FILENAME"), ARENA_CONCAT(a, root, u->script));
    if (u->path_info.len == 0)
        return;
    put(p, SLICE("PATH_INFO"), u->path_info);
    if (root.len > 0)
        put(p, SLICE("PATH_TRANSLATED"), ARENA_CONCAT(a, root, u->path_info));
}

static void put_request(struct params *p)
{
    struct exchange *x = p->x;
    put(p, SLICE("SERVER_SOFTWARE"), SLICE("weir/" WEIR_VERSION));
    put(p, SLICE("SERVER_PROTOCOL"), message_proto(&x->req));
    put(p, SLICE("REQUEST_URI"), x->raw_target.at ? x->raw_target : x->req.target);
    put(p, SLICE("QUERY_STRING"), x->forward_has_query ? x->forward_query : SLICE(""));
    put(p, SLICE("REDIRECT_STATUS"), SLICE("200")); /* PHP with cgi.force_redirect wants it */
}

/* --- of the configuration --------------------------------------------------------------------- */

static void put_given(struct params *p)
{
    const struct fastcgi_conf *c = p->use->conf;
    for (uint32_t i = 0; i < c->param_count; i++) {
        struct slice value = template_eval(c->params[i].value, p->x, NULL);
        p->spent |= value.at == NULL;
        p->to->at[p->to->count++] = (struct cgi_param){c->params[i].name, value};
    }
}

enum err fastcgi_params_make(struct exchange *x)
{
    struct params p = {.x = x, .use = x->fastcgi};
    if (x->req.cgi)
        return ERR_OK; /* another try */
    p.to = ARENA_NEW(&x->arena, struct cgi_params);
    if (!p.to)
        return ERR_OVER_BUDGET;
    p.to->at = ARENA_ARRAY(&x->arena, struct cgi_param, STANDARD_MAX + p.use->conf->param_count);
    if (!p.to->at)
        return ERR_OVER_BUDGET;
    p.to->names_fields = p.use->conf->params_name_fields;
    p.to->keep_conn = x->lease.view->up->keepalive_count > 0;
    put_request(&p);
    put_script(&p);
    put_addresses(&p);
    put_given(&p);
    x->req.cgi = p.to;
    return p.spent ? ERR_OVER_BUDGET : ERR_OK;
}
