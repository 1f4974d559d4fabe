/* to_https.c - what plain listeners answer for a site that stands on one with TLS: go there.
 *
 * The site has a twin there, with the same names, whose only target is this local origin; so the
 * path of every other request knows nothing of it. 308 keeps method and body; 301 is what old
 * clients know, and for GET and HEAD it means the same. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange.h"
#include "proxy/target.h"
#include "proxy/tls_build_priv.h"

enum { HTTPS_PORT = 443 };

struct to_https_conf {
    uint16_t port;
    struct slice name; /* for a client that names no host; empty: the site has no name of its own */
};

static enum err to_https_serve(struct exchange *x, const void *conf)
{
    const struct to_https_conf *c = conf;
    struct slice host = x->host.len > 0 ? x->host : c->name;
    if (host.len == 0)
        return ERR_BAD_HOST;
    bool v6 = slice_find(host, ':') < host.len && host.at[0] != '[';
    struct slice port = c->port == HTTPS_PORT ? SLICE("") : arena_printf(&x->arena, ":%u", c->port);
    struct slice uri = slice_starts(x->raw_target, SLICE("/")) ? x->raw_target : SLICE("/");
    struct slice to = ARENA_CONCAT(&x->arena, v6 ? SLICE("https://[") : SLICE("https://"), host,
                                   v6 ? SLICE("]") : SLICE(""), port, uri);
    if (!to.at || !port.at)
        return ERR_OVER_BUDGET;
    bool safe = x->req.method == METHOD_GET || x->req.method == METHOD_HEAD;
    TRY(exchange_respond(x, safe ? 301 : 308, SLICE(""), SLICE("")));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_LOCATION, to);
}

static void to_https_explain(const void *conf, struct text *out)
{
    text_addf(out, "to https, port %u", ((const struct to_https_conf *)conf)->port);
}

static const struct local_origin to_https_origin = {"redirect", to_https_serve, to_https_explain};

static struct slice plain_name(const struct site *s)
{
    for (uint32_t i = 0; i < s->name_count; i++)
        if (slice_find(s->names[i].text, '*') == s->names[i].text.len)
            return s->names[i].text;
    return SLICE("");
}

static struct target *target_make(struct builder *bu, const struct site *s,
                                  const struct listen_conf *secure)
{
    struct target *t = BUILD_NEW(bu->b, struct target);
    struct to_https_conf *c = BUILD_NEW(bu->b, struct to_https_conf);
    *c = (struct to_https_conf){(uint16_t)addr_port(&secure->addr), plain_name(s)};
    *t = (struct target){
        .kind = TARGET_LOCAL, .pos = secure->pos, .local = &to_https_origin, .local_conf = c};
    return t;
}

struct site *redirect_twin(struct builder *bu, struct site *s, const struct listen_conf *secure)
{
    struct site *twin = BUILD_NEW(bu->b, struct site);
    *twin = (struct site){.names = s->names,
                          .name_count = s->name_count,
                          .pos = s->pos,
                          .node = s->node,
                          .redirects = true};
    hash_map_init(&twin->exact);
    radix_init(&twin->prefixes, bu->b->arena);
    twin->own = BUILD_NEW(bu->b, struct route);
    *twin->own = (struct route){.kind = ROUTE_SITE,
                                .pattern = SLICE("/"),
                                .pos = s->pos,
                                .site = twin,
                                .settings = s->own->settings};
    twin->own->settings.target = target_make(bu, s, secure);
    twin->own->settings.buffer_request = CONF_OFF;
    twin->routes = BUILD_ARRAY(bu->b, struct route *, 1);
    twin->routes[0] = twin->own;
    twin->route_count = 1;
    return twin;
}
