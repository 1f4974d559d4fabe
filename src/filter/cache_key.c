/* cache_key.c - what a request is looked up by: the URL that its client sees, byte for byte but for
 * what normalisation made the same already, then whatever else may change the answer.
 *
 * The path is the one that goes on to the server, so that two spellings which the server may tell
 * apart never share a response. `when` blocks that hold may send the request elsewhere: they tell
 * apart, too. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "filter/cache_priv.h"
#include "proxy/template.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

static uint16_t usual_port(const struct exchange *x)
{
    return slice_eq(x->client_scheme, SLICE("https")) ? HTTPS_PORT : HTTP_PORT;
}

/* ":8443", or nothing. */
static struct slice port_make(const struct exchange *x, char room[NUM_U64_MAX_BYTES + 1])
{
    if (x->host_port == 0 || x->host_port == usual_port(x))
        return SLICE("");
    room[0] = ':';
    return (struct slice){room, 1 + num_write_u64(room + 1, x->host_port)};
}

static struct slice param_name(struct slice param)
{
    const char *end = param.len ? memchr(param.at, '=', param.len) : NULL;
    return end ? slice_head(param, (size_t)(end - param.at)) : param;
}

/* The parameters that count, in the order in which they came. */
static struct slice query_select(struct exchange *x, const struct cache_conf *c)
{
    struct slice rest = x->uri.query;
    char *to = arena_alloc(&x->arena, rest.len + 1);
    size_t len = 0;
    if (!to)
        return SLICE_NONE;
    while (rest.len > 0) {
        const char *and = memchr(rest.at, '&', rest.len);
        struct slice param = and? slice_head(rest, (size_t)(and-rest.at)) : rest;
        rest = slice_from(rest, and? param.len + 1 : param.len);
        if (!field_list_has(c->query_words, param_name(param)))
            continue;
        if (len > 0)
            to[len++] = '&';
        memcpy(to + len, param.at, param.len);
        len += param.len;
    }
    return (struct slice){to, len};
}

/* Empty: none. .at NULL: out of budget. */
static struct slice query_make(struct exchange *x, const struct cache_conf *c)
{
    if (!x->uri.has_query || c->ignore_query)
        return SLICE("");
    return c->has_query_names ? query_select(x, c) : x->uri.query;
}

/* "/a?" is another URL than "/a", but not where parameters are chosen, and none is left. */
static bool has_mark(const struct exchange *x, const struct cache_conf *c, struct slice query)
{
    return x->uri.has_query && !c->ignore_query && (query.len > 0 || !c->has_query_names);
}

/* After the URL, a line each. */
static struct slice rest_make(struct exchange *x, const struct cache_conf *c)
{
    struct slice rest = SLICE("");
    if (x->whens)
        rest = arena_printf(&x->arena, "\nwhen %llx", (unsigned long long)x->whens);
    if (!c->key || !rest.at)
        return rest;
    struct slice own = template_eval(c->key, x, NULL);
    return own.at ? ARENA_CONCAT(&x->arena, rest, SLICE("\nkey "), own) : SLICE_NONE;
}

enum err cache_key_make(struct exchange *x, const struct cache_conf *c, struct cache_key *out)
{
    char room[NUM_U64_MAX_BYTES + 1];
    struct slice port = port_make(x, room), query = query_make(x, c), rest = rest_make(x, c);
    if (!query.at || !rest.at)
        return ERR_OVER_BUDGET;
    struct slice mark = has_mark(x, c, query) ? SLICE("?") : SLICE("");
    struct slice text = ARENA_CONCAT(&x->arena, x->client_scheme, SLICE("://"), x->host, port,
                                     x->spelled_path, mark, query, rest);
    if (!text.at)
        return ERR_OVER_BUDGET;
    cache_key_init(out, text);
    return ERR_OK;
}

/* --- references ------------------------------------------------------------------------------- */

/* Without the path: as far as the first slash after "://". */
static struct slice origin_of(struct slice url)
{
    const char *host = memmem(url.at, url.len, "://", 3);
    const char *slash = host ? memchr(host + 3, '/', (size_t)(url.at + url.len - host - 3)) : NULL;
    return slash ? slice_head(url, (size_t)(slash - url.at)) : url;
}

/* Of a path with its query: up to the last slash of the path. */
static struct slice folder_of(struct slice target)
{
    struct slice path = slice_head(target, slice_find(target, '?'));
    const char *slash = path.len ? memrchr(path.at, '/', path.len) : NULL;
    return slice_head(path, slash ? (size_t)(slash - path.at) + 1 : 0);
}

static bool has_scheme(struct slice reference)
{
    size_t colon = slice_find(reference, ':');
    return colon < reference.len && slice_find(reference, '/') > colon &&
           slice_find(reference, '?') > colon;
}

/* *target: what follows scheme and authority. False: of another origin. */
static bool same_origin(struct exchange *x, struct slice reference, struct slice *target)
{
    struct uri u;
    struct slice host;
    uint16_t port;
    if (uri_parse(reference, &u) != ERR_OK || u.form != URI_ABSOLUTE ||
        !slice_eq_nocase(u.scheme, x->client_scheme) ||
        uri_host_parse(&x->arena, u.authority, &host, &port) != ERR_OK)
        return false;
    uint16_t usual = usual_port(x), ours = x->host_port ? x->host_port : usual;
    *target = u.has_query ? ARENA_CONCAT(&x->arena, u.raw_path, SLICE("?"), u.query) : u.raw_path;
    return target->at && slice_eq(host, x->host) && (port ? port : usual) == ours;
}

/* RFC 3986 5.2.2 for what is within an origin, whose target is `base`. */
static struct slice target_resolve(struct exchange *x, struct slice base, struct slice reference)
{
    if (reference.at[0] == '/')
        return reference;
    if (reference.at[0] == '?')
        return ARENA_CONCAT(&x->arena, slice_head(base, slice_find(base, '?')), reference);
    return ARENA_CONCAT(&x->arena, folder_of(base), reference);
}

/* As requests for it are: normalised as the exchange does it. */
static struct slice target_normalize(struct exchange *x, struct slice target)
{
    size_t mark = slice_find(target, '?');
    struct slice path;
    if (uri_normalize_path(&x->arena, slice_head(target, mark), 0, &path) != ERR_OK)
        return SLICE_NONE;
    return ARENA_CONCAT(&x->arena, path, slice_from(target, mark));
}

struct slice cache_url_resolve(struct exchange *x, const struct cache_key *base,
                               struct slice reference)
{
    struct slice url = cache_key_url(base), origin = origin_of(url);
    struct slice target = slice_head(reference, slice_find(reference, '#'));
    if (slice_starts(target, SLICE("//")))
        target = ARENA_CONCAT(&x->arena, x->client_scheme, SLICE(":"), target);
    if (target.len == 0 || (has_scheme(target) && !same_origin(x, target, &target)))
        return SLICE_NONE;
    target = target_resolve(x, slice_from(url, origin.len), target);
    if (target.at)
        target = target_normalize(x, target);
    return target.at ? ARENA_CONCAT(&x->arena, origin, target) : SLICE_NONE;
}
