/* auth_forward_ask.c - what the service of `auth forward` is told of a request.
 *
 * The client's fields, but for those that speak of the way here, of a body, or of conditions: they
 * are weir's to say. Names are compared with '_' as '-', because programs that read fields as
 * variables do. The path is the normalised one, which routes are chosen by: what the service lets
 * pass under one spelling it has seen in that one. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_forward_priv.h"
#include "net/addr.h"

static const struct slice never[] = {
    SLICE_INIT("host"),
    SLICE_INIT("forwarded"),
    SLICE_INIT("via"),
    SLICE_INIT("x-real-ip"),
    SLICE_INIT("x-rewrite-url"),
    SLICE_INIT("x-http-method"),
    SLICE_INIT("x-http-method-override"),
    SLICE_INIT("x-method-override"),
    SLICE_INIT("accept-encoding"),
    SLICE_INIT("expect"),
    SLICE_INIT("range"),
    SLICE_INIT("priority"),
    SLICE_INIT("trailer"),
};

static const struct slice families[] = {
    SLICE_INIT("x-forwarded-"),
    SLICE_INIT("x-original-"),
    SLICE_INIT("content-"),
    SLICE_INIT("if-"),
};

static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 'a' - 'A');
    return c == '_' ? '-' : c;
}

static bool begins(struct slice name, struct slice with)
{
    if (name.len < with.len)
        return false;
    for (size_t i = 0; i < with.len; i++)
        if (folded(name.at[i]) != with.at[i])
            return false;
    return true;
}

static bool is_weirs(const struct header *h)
{
    if (h->hop)
        return true;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (h->name.len == never[i].len && begins(h->name, never[i]))
            return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (begins(h->name, families[i]))
            return true;
    return false;
}

static enum err add(struct exchange *x, struct headers *to, struct slice name, struct slice value)
{
    return value.at ? headers_add(to, &x->arena, name, value) : ERR_OVER_BUDGET;
}

static struct slice client_ip(struct exchange *x)
{
    char at[ADDR_TEXT_BYTES];
    size_t len = x->client_addr.len > 0 ? addr_write_ip(at, &x->client_addr) : 0;
    return arena_dup(&x->arena, (struct slice){at, len});
}

static enum err add_facts(struct exchange *x, struct headers *to)
{
    struct slice host = x->forwarded_host.len > 0 ? x->forwarded_host : x->req.authority;
    struct slice uri = ARENA_CONCAT(&x->arena, x->path, x->uri.has_query ? SLICE("?") : SLICE(""),
                                    x->uri.has_query ? x->uri.query : SLICE(""));
    struct slice url =
        uri.at ? ARENA_CONCAT(&x->arena, x->client_scheme, SLICE("://"), host, uri) : SLICE_NONE;
    TRY(add(x, to, SLICE("X-Forwarded-Method"), x->req.method_text));
    TRY(add(x, to, SLICE("X-Forwarded-Proto"), x->client_scheme));
    TRY(add(x, to, SLICE("X-Forwarded-Host"), host));
    TRY(add(x, to, SLICE("X-Forwarded-Uri"), uri));
    TRY(add(x, to, SLICE("X-Forwarded-For"), client_ip(x)));
    TRY(add(x, to, SLICE("X-Original-Method"), x->req.method_text));
    return add(x, to, SLICE("X-Original-URL"), url);
}

static enum err fields_make(struct exchange *x, struct headers *to)
{
    HEADER_EACH (h, &x->req.headers)
        if (!is_weirs(h))
            TRY(headers_add(to, &x->arena, h->name, h->value));
    return add_facts(x, to);
}

enum err forward_ask(struct exchange *x, const struct forward_conf *c, struct forward_state *s,
                     void (*told)(void *ctx, const struct ask_answer *a))
{
    struct headers fields = {0};
    TRY(fields_make(x, &fields));
    struct ask_terms t = {.upstream = c->url.upstream,
                          .method = SLICE("GET"),
                          .path = c->url.path,
                          .host = c->url.host,
                          .headers = &fields,
                          .body_max_bytes = FORWARD_BODY_MAX_BYTES,
                          .timeout_ms = c->timeout_ms,
                          .done = told,
                          .ctx = s};
    s->ask = ask_begin(x->worker, x->view, &t);
    return s->ask ? ERR_OK : ERR_AUTH_UNAVAILABLE;
}
