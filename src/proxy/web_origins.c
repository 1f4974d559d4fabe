/* web_origins.c - the origins that a directive names, and that of the site itself. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/web_origins.h"
#include "proxy/build.h"
#include "proxy/exchange.h"

static bool word_read(struct conf_build *b, const struct conf_word *w, struct web_origin *o)
{
    enum err e = web_origin_parse(b->arena, w->text, o);
    if (e == ERR_OK)
        return true;
    diag_error(b->diag, w->pos, "'%.*s' is not an origin of web pages", SLICE_ARG(w->text));
    diag_hint(b->diag, "https://app.example.com, https://*.example.org or http://localhost:* is "
                       "due: scheme and host, no path");
    return false;
}

bool web_origins_read(struct conf_build *b, const struct conf_node *n, struct web_origins *out)
{
    struct web_origin *list = arena_alloc(b->arena, (n->arg_count + 1) * sizeof *list);
    bool good = list != NULL;
    *out = (struct web_origins){.list = list};
    for (uint32_t i = 0; good && i < n->arg_count; i++) {
        const struct conf_word *w = &n->args[i];
        if (slice_eq(w->text, SLICE("*")))
            out->any = true;
        else if (slice_eq(w->text, SLICE("null")))
            out->null_ = true;
        else if (word_read(b, w, &list[out->count]))
            out->count++;
        else
            good = false;
    }
    return good;
}

bool web_origins_have(const struct web_origins *o, struct slice origin)
{
    if (slice_eq(origin, SLICE("null")))
        return o->null_;
    for (uint32_t i = 0; i < o->count; i++)
        if (web_origin_matches(&o->list[i], origin))
            return true;
    return false;
}

bool web_origin_is_own(struct exchange *x, struct slice origin)
{
    struct slice host = x->host;
    uint16_t port = x->forwarded_port ? x->forwarded_port : x->host_port;
    if (x->forwarded_host.len > 0) {
        if (uri_host_parse(&x->arena, x->forwarded_host, &host, &port) != ERR_OK)
            return false;
        port = port ? port : x->forwarded_port;
    }
    return web_origin_is(origin, x->client_scheme, host, port);
}
