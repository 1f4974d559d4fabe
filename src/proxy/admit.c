/* admit.c - the steps "start" and "route": is the head sane, who asks, and for what.
 *
 * The target is normalised once here; routes, conditions and the origin all see that one form, so
 * they can not disagree about what was asked for. Only empty segments may differ: see path_read().
 */
// SPDX-License-Identifier: Apache-2.0
#include "conf/directive.h"
#include "limit/bans.h"
#include "proxy/exchange_priv.h"
#include "proxy/identity.h"
#include "proxy/tls_build.h"

static enum err method_check(const struct exchange *x)
{
    if (x->req.method == METHOD_CONNECT || x->req.method == METHOD_TRACE)
        return ERR_METHOD_UNSUPPORTED; /* TRACE would echo secrets back (RFC 9110 9.3.8) */
    return ERR_OK;
}

void named_hops_drop(struct headers *h)
{
    if (!h->hops_named)
        return;
    HEADER_EACH (it, h)
        it->dead = it->hop && !(field_row((enum field_id)it->id)->traits & FIELD_HOP);
}

/* Path and query as they came, whatever form the target has. */
static enum err raw_target_read(struct exchange *x)
{
    const struct uri *u = &x->uri;
    x->raw_target = x->req.target;
    if (u->form != URI_ABSOLUTE)
        return ERR_OK;
    x->raw_target =
        u->has_query ? ARENA_CONCAT(&x->arena, u->raw_path, SLICE("?"), u->query) : u->raw_path;
    return x->raw_target.at ? ERR_OK : ERR_OVER_BUDGET;
}

/* Several slashes in a row become one. */
static enum err slashes_merge(struct arena *a, struct slice path, struct slice *out)
{
    char *to = arena_alloc(a, path.len);
    size_t len = 0;
    if (!to)
        return ERR_OVER_BUDGET;
    for (size_t i = 0; i < path.len; i++) {
        if (path.at[i] != '/' || len == 0 || to[len - 1] != '/')
            to[len++] = path.at[i];
    }
    *out = (struct slice){to, len};
    return ERR_OK;
}

/* By default empty segments count for nothing where weir decides ("//admin" is "/admin") and still
 * reach the origin, which may need them ("/fetch/https://a"). Dot segments are taken out before
 * slashes are merged, or "/a//../b" would be one path here and another one there. */
static enum err path_read(struct exchange *x)
{
    struct slice raw = x->uri.raw_path;
    int64_t merge = x->settings->merge_slashes;
    unsigned flags = merge == CONF_OFF ? 0 : URI_MERGE_SLASHES;
    TRY(uri_normalize_path(&x->arena, raw, flags, &x->path));
    x->spelled_path = x->path;
    if (x->path.at == raw.at || merge != MERGE_IN_ROUTES)
        return ERR_OK; /* clean, nearly always */
    TRY(uri_normalize_path(&x->arena, raw, 0, &x->spelled_path));
    return slashes_merge(&x->arena, x->spelled_path, &x->path);
}

struct slice origin_path(const struct exchange *x)
{
    bool changed = x->forward_path.at != x->path.at || x->forward_path.len != x->path.len;
    return changed ? x->forward_path : x->spelled_path;
}

static enum err target_read(struct exchange *x)
{
    if (slice_starts(x->req.target, SLICE("/")) && !x->dry)
        uri_origin_split(x->req.target, &x->uri);
    else
        TRY(uri_parse(x->req.target, &x->uri));
    TRY(raw_target_read(x));
    if (x->uri.form == URI_ASTERISK)
        x->path = x->spelled_path = x->uri.raw_path = SLICE("*");
    else
        TRY(path_read(x));
    x->forward_path = x->path;
    x->forward_query = x->uri.query;
    x->forward_has_query = x->uri.has_query;
    return ERR_OK;
}

static enum err host_read(struct exchange *x)
{
    if (x->req.authority.len == 0) /* HTTP/1.0 without Host: the default site may take it */
        return ERR_OK;
    if (!x->dry) {
        uri_authority_split(x->req.authority, &x->host, &x->host_port);
        return ERR_OK;
    }
    return uri_host_parse(&x->arena, x->req.authority, &x->host, &x->host_port);
}

static enum err head_admit(struct exchange *x)
{
    named_hops_drop(&x->req.headers);
    identity_strip(x, &x->req.headers);
    TRY(method_check(x));
    TRY(target_read(x));
    TRY(host_read(x));
    forwarded_read(x);
    return ERR_OK;
}

/* Whoever is banned keeps no connection either. The admin API stays open to lift bans by. */
static enum err ban_check(struct exchange *x)
{
    if (x->dry || x->listen->internal || !bans_has(&x->client_addr, x->worker->loop.now_ms))
        return ERR_OK;
    x->client->closing = true;
    counter_add(x->worker->counters, METRIC_BANNED_REQUESTS, 1);
    return ERR_BANNED;
}

enum outcome step_start(struct exchange *x)
{
    if (!x->dry) {
        if (x->client->head_state != STREAM_HEAD_FINAL && x->client->err == ERR_OK)
            return HOLD;
        x->times.head_us = exchange_now_us(x) - x->times.began_us;
        if (x->client->err != ERR_OK)
            return exchange_fail(x, x->client->err);
    }
    enum err e = head_admit(x);
    if (e == ERR_OK)
        e = ban_check(x);
    return e == ERR_OK ? NEXT : exchange_fail(x, e);
}

/* Settings of `when` blocks lie over the route's; only then a copy is made. */
static enum err settings_bind(struct exchange *x)
{
    x->settings = &x->route->settings;
    if (x->route->when_count == 0)
        return ERR_OK;
    x->whens = whens_eval(x->route, x);
    struct settings *own = NULL;
    for (uint32_t i = 0; i < x->route->when_count; i++) {
        const struct when *w = x->route->whens[i];
        if (!w->has_settings || !(x->whens & (1ull << i)))
            continue;
        if (!own) {
            own = arena_alloc(&x->arena, sizeof *own);
            if (!own)
                return ERR_OVER_BUDGET;
            *own = x->route->settings;
            x->settings = own;
        }
        settings_merge(own, &w->settings);
    }
    return ERR_OK;
}

static enum err body_limit(struct exchange *x)
{
    int64_t max = x->settings->body_max_bytes;
    x->req_body.limit_bytes = x->res_body.limit_bytes = (size_t)x->settings->body_queue_bytes;
    x->req_body.max_bytes = max > 0 ? (uint64_t)max : 0;
    if (max < 0 || x->dry)
        return ERR_OK;
    bool known_too_long = x->req.length == LENGTH_KNOWN && x->req.content_length > (uint64_t)max;
    bool came_too_long = x->req_body.pushed_bytes > (uint64_t)max;
    /* The body itself has no word for "nothing at all". */
    bool may_get_too_long = max == 0 && x->req.length == LENGTH_UNKNOWN && !x->req_body.ended;
    return known_too_long || came_too_long || may_get_too_long ? ERR_BODY_TOO_LARGE : ERR_OK;
}

static enum err filter_states_make(struct exchange *x)
{
    if (x->route->state_bytes == 0)
        return ERR_OK;
    x->filter_states = arena_zalloc(&x->arena, x->route->state_bytes);
    return x->filter_states ? ERR_OK : ERR_OVER_BUDGET;
}

/* `strip` cuts the prefix off, leaving a path that begins with a slash. */
static enum err path_strip(struct exchange *x, size_t prefix_len)
{
    struct slice rest = slice_from(x->path, prefix_len);
    if (rest.len > 0 && rest.at[0] == '/') {
        x->forward_path = rest;
        return ERR_OK;
    }
    if (prefix_len > 0 && x->path.at[prefix_len - 1] == '/') {
        x->forward_path = slice_from(x->path, prefix_len - 1);
        return ERR_OK;
    }
    x->forward_path = ARENA_CONCAT(&x->arena, SLICE("/"), rest);
    return x->forward_path.at ? ERR_OK : ERR_OVER_BUDGET;
}

/* Was the handshake one that this site would have made? A connection, or a resumed session, of a
 * site that asks for no client certificate must not lead to one that does (RFC 9110 7.4, 15.5.20).
 */
static bool is_misdirected(const struct exchange *x)
{
    if (!x->listen->tls || x->dry)
        return false;
    const uint8_t *id = tls_policy_id(x->client->conn);
    return !id || !x->site->tls || memcmp(id, x->site->tls->policy.id, TLS_POLICY_ID_BYTES) != 0;
}

static enum err route_bind(struct exchange *x)
{
    size_t matched = 0;
    x->site = site_lookup(x->listen, x->host, &x->site_match);
    if (!x->site)
        return ERR_NO_SITE;
    if (is_misdirected(x))
        return ERR_MISDIRECTED;
    x->route = route_lookup(x->site, x->path, &matched);
    TRY(settings_bind(x));
    TRY(filter_states_make(x)); /* before anything refuses: filters see refusals, too */
    TRY(body_limit(x));
    TRY(forwarded_write(x));
    if (x->route->strip)
        TRY(path_strip(x, matched));
    return ERR_OK;
}

enum outcome step_route(struct exchange *x)
{
    enum err e = route_bind(x);
    if (e != ERR_OK)
        return exchange_fail(x, e);
    total_begin(x);
    return NEXT;
}
