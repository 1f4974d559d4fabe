/* purge.c - POST /cache/purge?url=URL | prefix=URL | tag=TAG | all=1 [&soft=1]: makes the cache
 * forget; and GET-like POST /cache/purged?id=N: has everything gone by now? */
// SPDX-License-Identifier: Apache-2.0
#include "cache/purge.h"
#include "admin/admin_priv.h"
#include "base/assert.h"
#include "base/num.h"
#include "http/uri.h"

static struct slice parameter(const struct admin_page *p, const char *name)
{
    struct slice raw = uri_query_get(p->query, slice_of(name));
    return raw.at ? uri_decode(p->arena, raw) : SLICE_NONE;
}

static const struct {
    const char *name;
    enum purge_kind kind;
} KINDS[] = {{"url", PURGE_URL}, {"prefix", PURGE_PREFIX}, {"tag", PURGE_TAG}, {"all", PURGE_ALL}};

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

/* As keys of the cache have it: scheme and host in small letters, without the usual port; the path
 * of a URL as requests are normalised, that of a prefix as it stands. */
static bool url_normalize(const struct admin_page *p, struct purge_order *o)
{
    struct uri u;
    struct slice host, path;
    uint16_t port;
    if (uri_parse(o->text, &u) != ERR_OK || u.form != URI_ABSOLUTE)
        return false;
    bool https = slice_eq_nocase(u.scheme, SLICE("https"));
    if ((!https && !slice_eq_nocase(u.scheme, SLICE("http"))) ||
        uri_host_parse(p->arena, u.authority, &host, &port) != ERR_OK)
        return false;
    path = u.raw_path;
    if (o->kind == PURGE_URL && uri_normalize_path(p->arena, u.raw_path, 0, &path) != ERR_OK)
        return false;
    bool usual = port == 0 || port == (https ? HTTPS_PORT : HTTP_PORT);
    struct slice where = usual ? SLICE("") : arena_printf(p->arena, ":%u", port);
    o->text = ARENA_CONCAT(p->arena, https ? SLICE("https://") : SLICE("http://"), host, where,
                           path, u.has_query ? SLICE("?") : SLICE(""), u.query);
    return o->text.at != NULL;
}

static bool order_read(const struct admin_page *p, struct purge_order *o)
{
    unsigned found = 0;
    for (size_t i = 0; i < COUNT_OF(KINDS); i++) {
        struct slice value = parameter(p, KINDS[i].name);
        if (!value.at)
            continue;
        o->kind = KINDS[i].kind;
        o->text = o->kind == PURGE_ALL ? SLICE("") : value;
        found++;
    }
    o->how = parameter(p, "soft").at ? PURGE_SOFT : PURGE_HARD;
    bool names_url = o->kind == PURGE_URL || o->kind == PURGE_PREFIX;
    if (found == 1 && names_url && o->text.len > 0 && !url_normalize(p, o)) {
        text_add(p->out, SLICE("a URL has a scheme and a host: http://www.example.com/path\n"));
        return false;
    }
    if (found == 1 && (o->text.len > 0 || o->kind == PURGE_ALL))
        return true;
    text_add(p->out, SLICE("expected one of ?url=URL, ?prefix=URL, ?tag=TAG, ?all=1\n"));
    return false;
}

int purge_run(const struct admin_page *p)
{
    struct purge_order o;
    uint64_t id;
    if (!order_read(p, &o))
        return 422;
    if (o.text.len > PURGE_TEXT_MAX) {
        text_addf(p->out, "longer than %d bytes\n", PURGE_TEXT_MAX);
        return 422;
    }
    if (purge_add(p->source->cache, &o, &id) != ERR_OK) {
        text_add(p->out, SLICE("too many purges are under way; try again\n"));
        return 409;
    }
    text_addf(p->out, "%llu\n", (unsigned long long)id);
    return 200;
}

int purged_run(const struct admin_page *p)
{
    uint64_t id = 0, count = 0;
    struct slice text = parameter(p, "id");
    if (!text.at || num_parse_u64(text, &id) != ERR_OK) {
        text_add(p->out, SLICE("expected ?id=NUMBER\n"));
        return 422;
    }
    if (!purge_result(p->source->cache, id, &count))
        return 202; /* under way */
    text_addf(p->out, "%llu\n", (unsigned long long)count);
    return 200;
}
