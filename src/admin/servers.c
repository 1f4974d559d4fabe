/* servers.c - POST /server?do=ACTION&upstream=NAME&server=ADDRESS[&weight=N][&max_conns=N]: changes
 * a server while weir runs (upstream/changes.h). The answer to a mistake is a line that says it. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "base/num.h"
#include "http/uri.h"
#include "upstream/changes.h"

static struct slice parameter(const struct admin_page *p, const char *name)
{
    struct slice raw = uri_query_get(p->query, slice_of(name));
    return raw.at ? uri_decode(p->arena, raw) : SLICE("");
}

static bool number(const struct admin_page *p, const char *name, int64_t *out)
{
    struct slice text = parameter(p, name);
    uint64_t n = 0;
    if (text.len > 0 && (num_parse_u64(text, &n) != ERR_OK || n == 0 || n > INT32_MAX)) {
        text_addf(p->out, "not a number: %s=%.*s\n", name, SLICE_ARG(text));
        return false;
    }
    *out = (int64_t)n;
    return true;
}

int server_change_run(const struct admin_page *p)
{
    struct server_order o = {.action = parameter(p, "do"),
                             .upstream = parameter(p, "upstream"),
                             .server = parameter(p, "server")};
    if (!number(p, "weight", &o.weight) || !number(p, "max_conns", &o.max_conns))
        return 422;
    if (!o.action.at || !o.upstream.len || !o.server.len) {
        text_add(p->out, SLICE("expected ?do=ACTION&upstream=NAME&server=ADDRESS\n"));
        return 422;
    }
    if (p->source->installing(p->source->ctx)) {
        text_add(p->out, SLICE("the last change is still being installed; try again\n"));
        return 409;
    }
    return p->source->change(p->source->ctx, &o, p->out) ? 200 : 422;
}
