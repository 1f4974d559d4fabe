/* outbound_build.c - reads the directive `relay` and what stands in its block. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "conf/source.h"
#include "proxy/build_priv.h"
#include "proxy/outbound_priv.h"
#include "proxy/target.h"

enum { PEM_BYTES_MAX = 4 << 20 };

#define OUTBOUND(field) offsetof(struct outbound_conf, field)

const struct directive outbound_options[] = {
    {.name = "query",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = OUTBOUND(query),
     .def = "url",
     .usage = "NAME",
     .text = "The query parameter with the URL, percent-encoded once."},
    {.name = "path",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = OUTBOUND(path),
     .def = "on",
     .usage = "on|off",
     .text = "Whether the path may be the URL, too: `/https://api.example.com/v1?q=1`. The query "
             "is the target's then."},
    {.name = "redirects",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = OUTBOUND(redirects),
     .min = 1,
     .max = 20,
     .off_ok = true,
     .def = "5",
     .usage = "N|off",
     .text = "So many redirects of a target are followed, each under the same rules as the first "
             "URL. One more, or one that would need the request's body again, is answered 502."},
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .offset = OUTBOUND(max_bytes),
     .min = 1,
     .max = (int64_t)1 << 50,
     .off_ok = true,
     .def = "100M",
     .usage = "SIZE|off",
     .text = "Largest body of an answer. One that is said to be larger is refused, one that turns "
             "out to be is broken off."},
    {.name = "ca",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = OUTBOUND(ca),
     .usage = "FILE",
     .text = "PEM file with the authorities that are believed, instead of the system's. "
             "Certificates of targets are always verified."},
    {0}};

/* ---- methods ---- */

static const struct slice DEFAULT_METHODS = SLICE_INIT("GET, HEAD");
enum { DEFAULT_METHOD_BITS = 1 << METHOD_GET | 1 << METHOD_HEAD };

static void methods_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct outbound_conf *c = scope;
    c->methods = 0;
    c->methods_text = SLICE("");
    for (uint32_t i = 0; i < n->arg_count; i++) {
        enum method m = method_find(n->args[i].text);
        if (m == METHOD_OTHER || m == METHOD_CONNECT || m == METHOD_TRACE) {
            diag_error(b->diag, n->args[i].pos, "'%.*s' can not be relayed",
                       SLICE_ARG(n->args[i].text));
            diag_hint(b->diag, "GET HEAD POST PUT PATCH DELETE OPTIONS");
            return;
        }
        c->methods |= 1u << m;
        c->methods_text =
            ARENA_CONCAT(b->arena, c->methods_text, i ? SLICE(", ") : SLICE(""), n->args[i].text);
    }
}

/* ---- ports ---- */

static void ports_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct outbound_conf *c = scope;
    c->port_count = 0;
    for (uint32_t i = 0; i < n->arg_count; i++) {
        uint64_t port = 0;
        bool ok = num_parse_u64(n->args[i].text, &port) == ERR_OK && port > 0 && port <= 65535;
        if (!ok || c->port_count == OUTBOUND_PORTS_MAX) {
            diag_error(b->diag, n->args[i].pos,
                       ok ? "at most %d ports" : "ports are numbers from 1 to 65535",
                       OUTBOUND_PORTS_MAX);
            return;
        }
        c->ports[c->port_count++] = (uint16_t)port;
    }
}

/* ---- addresses ---- */

static void prefixes_read(struct conf_build *b, struct outbound_prefixes *p,
                          const struct conf_node *n)
{
    *p = (struct outbound_prefixes){.at = BUILD_ARRAY(b, struct addr_prefix, n->arg_count)};
    for (uint32_t i = 0; i < n->arg_count; i++) {
        if (addr_prefix_parse(n->args[i].text, &p->at[p->count]) == ERR_OK)
            p->count++;
        else
            diag_error(b->diag, n->args[i].pos, "an address or prefix is due: 10.0.0.0/8");
    }
}

static void private_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct outbound_conf *c = scope;
    if (n->arg_count != 1 || !slice_eq(n->args[0].text, SLICE("off")))
        prefixes_read(b, &c->private, n);
}

static void deny_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    prefixes_read(b, &((struct outbound_conf *)scope)->denied, n);
}

/* ---- fields and origins ---- */

static struct slice *word_add(struct conf_build *b, struct outbound_words *w,
                              const struct conf_node *n)
{
    if (!w->at)
        w->at = BUILD_ARRAY(b, struct slice, n->arg_count);
    return &w->at[w->count++];
}

static void pass_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct outbound_conf *c = scope;
    for (uint32_t i = 0; i < n->arg_count; i++) {
        struct slice name = n->args[i].text;
        if (!field_is_token(name) || field_is_hop(field_find(name)) ||
            field_find(name) == FIELD_HOST || field_find(name) == FIELD_EXPECT) {
            diag_error(b->diag, n->args[i].pos, "no field that could go to a target: '%.*s'",
                       SLICE_ARG(name));
            return;
        }
        *word_add(b, &c->pass, n) = name;
    }
}

static void origins_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct outbound_conf *c = scope;
    if (web_origins_read(b, n, &c->origins))
        c->origins_named = !c->origins.any;
}

const struct directive outbound_rows[] = {
    {.name = "methods",
     .where = IN_RELAY,
     .apply = methods_apply,
     .args_min = 1,
     .args_max = 8,
     .usage = "METHOD...",
     .text = "The methods that are relayed; without it GET and HEAD.",
     .example = "methods GET HEAD POST"},
    {.name = "ports",
     .where = IN_RELAY,
     .apply = ports_apply,
     .args_min = 1,
     .args_max = 255,
     .usage = "PORT...",
     .text = "Ports of targets that name none in the list, beside 80 for http and 443 for https.",
     .example = "ports 8080 8443"},
    {.name = "private",
     .where = IN_RELAY,
     .apply = private_apply,
     .args_min = 1,
     .args_max = 255,
     .usage = "PREFIX...|off",
     .text = "Addresses that may be reached although they are not public. Without it none: "
             "loopback, private use, link-local (where clouds keep their metadata), carriers' "
             "shared ranges, multicast, documentation and all else that the registries set aside, "
             "also inside IPv6. This machine itself is reached only when its address stands here "
             "alone (`private 10.1.0.5`), or as loopback.",
     .example = "private 10.1.0.0/16"},
    {.name = "deny",
     .where = IN_RELAY,
     .apply = deny_apply,
     .args_min = 1,
     .args_max = 255,
     .usage = "PREFIX...",
     .text = "Addresses that are not reached in any case, such as one's own public ones.",
     .example = "deny 198.51.100.0/24"},
    {.name = "pass",
     .where = IN_RELAY,
     .apply = pass_apply,
     .args_min = 1,
     .args_max = 255,
     .usage = "FIELD...",
     .text = "Fields of requests that go to targets although they are left out otherwise: Cookie, "
             "Authorization, X-Api-Key, Origin, Referer, and what begins with `X-Forwarded-`, "
             "`X-Auth-`, `Proxy-` or `Sec-`. They are meant for this site; a target gets what "
             "clients send to "
             "it. A redirect to another origin never gets any of these.",
     .example = "pass Authorization"},
    {.name = "origins",
     .where = IN_RELAY,
     .apply = origins_apply,
     .args_min = 1,
     .args_max = 255,
     .usage = "ORIGIN...",
     .text = "The origins whose pages may read answers; requests of others get 403. Without it "
             "any. `https://*.example.com` stands for all below it. Programs that are no browsers "
             "send no Origin, or whichever they like: to keep "
             "them out takes keys.",
     .example = "origins https://app.example.com http://localhost:*"},
    {0}};

/* ---- the directive ---- */

static bool rules_read(struct conf_build *b, const struct conf_node *n, struct outbound_conf *c)
{
    c->rules = BUILD_ARRAY(b, struct outbound_rule, n->arg_count);
    for (uint32_t i = 0; i < n->arg_count; i++) {
        struct outbound_rule *r = &c->rules[c->rule_count];
        if (!outbound_rule_read(b, &n->args[i], r))
            return false;
        c->rule_count++;
        if (!r->anything || n->arg_count == 1)
            continue;
        diag_error(b->diag, n->args[i].pos, "'any' takes in every other target: it stands alone");
        return false;
    }
    return true;
}

static void ca_read(struct conf_build *b, const struct conf_node *n, struct outbound_conf *c)
{
    struct text pem;
    if (c->ca.len == 0)
        return;
    text_init(&pem);
    if (conf_need_file(b, n->pos, conf_file_path(b, n->pos, c->ca), PEM_BYTES_MAX, &pem))
        c->tls.ca = arena_dup(b->arena, text_slice(&pem));
    text_release(&pem);
}

/* HTTP/1.1 alone is spoken: a connection carries one request. */
static void tls_ready(struct conf_build *b, const struct conf_node *n, struct outbound_conf *c)
{
    struct text why;
    ca_read(b, n, c);
    if (diag_failed(b->diag))
        return;
    c->tls.verify = true;
    c->tls.alpn[c->tls.alpn_count++] = SLICE("http/1.1");
    text_init(&why);
    if (!tls_origin_seal(&c->tls, &why))
        diag_error(b->diag, n->pos, "ca: %.*s", SLICE_ARG(slice_trim(text_slice(&why))));
    text_release(&why);
}

void outbound_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *s = scope;
    struct outbound_conf *c = BUILD_NEW(b, struct outbound_conf);
    c->methods = DEFAULT_METHOD_BITS;
    c->methods_text = DEFAULT_METHODS;
    conf_options(b, n, c);
    if (c->redirects == CONF_OFF)
        c->redirects = 0;
    if (!rules_read(b, n, c))
        return;
    conf_apply_block(b, c, n);
    tls_ready(b, n, c);
    struct target *t = BUILD_NEW(b, struct target);
    *t = (struct target){.kind = TARGET_OUTBOUND, .pos = n->pos, .outbound = c};
    s->target = t;
}

/* ---- explain ---- */

static void rule_write(const struct outbound_rule *r, struct text *out)
{
    if (r->anything) {
        text_addf(out, "any");
        return;
    }
    bool v6 = slice_find(r->host, ':') < r->host.len;
    text_addf(out, "%s%s%s%.*s%s",
              r->http && r->https ? ""
              : r->http           ? "http://"
                                  : "https://",
              r->below ? "*." : "", v6 ? "[" : "", SLICE_ARG(r->host), v6 ? "]" : "");
    if (r->port == OUTBOUND_ANY_PORT)
        text_addf(out, ":*");
    else if (r->port != OUTBOUND_USUAL_PORT)
        text_addf(out, ":%d", (int)r->port);
}

void outbound_explain(const struct target *t, struct text *out)
{
    const struct outbound_conf *c = t->outbound;
    for (uint32_t i = 0; i < c->rule_count; i++) {
        text_addf(out, "%s", i ? " " : "");
        rule_write(&c->rules[i], out);
    }
    text_addf(out, ", %.*s, redirects=%lld", SLICE_ARG(c->methods_text), (long long)c->redirects);
    if (c->private.count > 0)
        text_addf(out, ", %u private prefix%s", c->private.count, c->private.count > 1 ? "es" : "");
}
