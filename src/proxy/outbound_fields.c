/* outbound_fields.c - what of a request goes to a target, and of its answer to the client.
 *
 * Requests: credentials and traces of the client are meant for this site and stay here, unless
 * `pass` names them. CDN-Loop (RFC 8586) tells the next relay that one has been there already.
 *
 * Answers: a target speaks under this site's name, so nothing passes that would speak for the site:
 * cookies, policies, prompts for passwords. A sandbox takes its pages their scripts and the site's
 * origin. Sources of the rest: the Fetch standard (CORS, redirects), RFC 9110 15.4. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/filter.h"
#include "proxy/outbound_priv.h"
#include "proxy/target.h"

static const struct slice LOOP_FIELD = SLICE_INIT("CDN-Loop"), LOOP_MARK = SLICE_INIT("weir");
static const struct slice FINAL_URL = SLICE_INIT("X-Final-Url");

static bool is_among(struct slice name, const struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq_nocase(name, names[i]))
            return true;
    return false;
}

static bool begins_with_any(struct slice name, const struct slice *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq_nocase(slice_head(name, prefixes[i].len), prefixes[i]))
            return true;
    return false;
}

/* ---- the request ---- */

/* Of the connection, or written anew. */
static bool is_never_sent(const struct header *h)
{
    switch (h->id) {
    case FIELD_HOST:
    case FIELD_EXPECT:
    case FIELD_CONTENT_LENGTH:
    case FIELD_MAX_FORWARDS: return true;
    default: return h->hop || slice_eq_nocase(h->name, LOOP_FIELD);
    }
}

/* Meant for this site, or tells of the client. */
static bool stays_here(struct slice name)
{
    static const struct slice names[] = {
        SLICE_INIT("cookie"),
        SLICE_INIT("authorization"),
        SLICE_INIT("x-api-key"),
        SLICE_INIT("origin"),
        SLICE_INIT("referer"),
        SLICE_INIT("forwarded"),
        SLICE_INIT("x-real-ip"),
        SLICE_INIT("x-request-id"),
        SLICE_INIT("x-client-ip"),
        SLICE_INIT("true-client-ip"),
        SLICE_INIT("remote-user"),
        SLICE_INIT("x-remote-user"),
        SLICE_INIT("x-user"),
        SLICE_INIT("from"),
        SLICE_INIT("dnt"),
        /* Another method or path than was allowed, to servers that heed them. */
        SLICE_INIT("x-http-method-override"),
        SLICE_INIT("x-http-method"),
        SLICE_INIT("x-method-override"),
        SLICE_INIT("x-original-method"),
        SLICE_INIT("x-original-url"),
        SLICE_INIT("x-rewrite-url"),
    };
    static const struct slice prefixes[] = {SLICE_INIT("x-forwarded-"), SLICE_INIT("x-auth-"),
                                            SLICE_INIT("proxy-"), SLICE_INIT("sec-"),
                                            SLICE_INIT("access-control-request-")};
    return is_among(name, names, COUNT_OF(names)) ||
           begins_with_any(name, prefixes, COUNT_OF(prefixes));
}

static bool is_of_body(const struct header *h)
{
    return h->id == FIELD_CONTENT_TYPE || h->id == FIELD_CONTENT_ENCODING ||
           h->id == FIELD_CONTENT_LANGUAGE || h->id == FIELD_CONTENT_LOCATION;
}

/* Who the client is to this site, by `auth`. */
static bool is_identity(const struct exchange *x, struct slice name)
{
    const struct identity_fields *f = &x->view->conf->proxy->identity_fields;
    return is_among(name, f->names, f->count);
}

static bool is_sent(const struct exchange *x, const struct outbound *ob, const struct header *h)
{
    if (is_never_sent(h) || (ob->drops_body && is_of_body(h)))
        return false;
    if (!stays_here(h->name) && !is_identity(x, h->name))
        return true;
    return !ob->origin_left && is_among(h->name, ob->conf->pass.at, ob->conf->pass.count);
}

bool outbound_loops(const struct exchange *x)
{
    const struct header *h = headers_find_name(&x->req.headers, LOOP_FIELD);
    for (; h; h = headers_next(&x->req.headers, h)) {
        struct slice rest = h->value, member;
        while (field_list_next(&rest, &member))
            if (slice_eq_nocase(slice_trim(slice_head(member, slice_find(member, ';'))), LOOP_MARK))
                return true;
    }
    return false;
}

static enum err loop_mark(struct exchange *x, struct headers *to)
{
    const struct header *h = headers_find_name(&x->req.headers, LOOP_FIELD);
    for (; h; h = headers_next(&x->req.headers, h))
        TRY(headers_add(to, &x->arena, LOOP_FIELD, h->value));
    return headers_add(to, &x->arena, LOOP_FIELD, LOOP_MARK);
}

static void body_describe(struct exchange *x, const struct outbound *ob, struct message *m)
{
    if (ob->drops_body)
        return;
    m->length = x->spool ? LENGTH_KNOWN : x->req.length;
    m->content_length = x->spool ? spool_bytes(x) : x->req.content_length;
}

enum err outbound_request(struct exchange *x, struct outbound *ob)
{
    struct message *m = &ob->req;
    message_init(m);
    m->method = ob->drops_body ? METHOD_GET : x->req.method;
    m->method_text = ob->drops_body ? SLICE("GET") : x->req.method_text;
    m->target = ob->url.target;
    m->authority = ob->url.authority;
    m->version_major = m->version_minor = 1;
    body_describe(x, ob, m);
    TRY(headers_add_id(&m->headers, &x->arena, FIELD_HOST, ob->url.authority));
    HEADER_EACH (h, &x->req.headers)
        if (is_sent(x, ob, h))
            TRY(headers_append(&m->headers, &x->arena, (enum field_id)h->id, h->name, h->value));
    return loop_mark(x, &m->headers);
}

/* ---- the answer ---- */

static bool is_kept_back(const struct header *h)
{
    static const struct slice names[] = {
        SLICE_INIT("set-cookie"),
        SLICE_INIT("set-cookie2"),
        SLICE_INIT("www-authenticate"),
        SLICE_INIT("authentication-info"),
        SLICE_INIT("clear-site-data"),
        SLICE_INIT("strict-transport-security"),
        SLICE_INIT("alt-svc"),
        SLICE_INIT("service-worker-allowed"),
        SLICE_INIT("expect-ct"),
        SLICE_INIT("report-to"),
        SLICE_INIT("nel"),
        SLICE_INIT("reporting-endpoints"),
        SLICE_INIT("refresh"),
        SLICE_INIT("origin-agent-cluster"),
        SLICE_INIT("permissions-policy"),
        SLICE_INIT("feature-policy"),
        SLICE_INIT("document-policy"),
        SLICE_INIT("timing-allow-origin"),
        SLICE_INIT("x-frame-options"),
        SLICE_INIT("x-content-type-options"),
        SLICE_INIT("x-final-url"),
        SLICE_INIT("accept-ch"),
        SLICE_INIT("critical-ch"),
        SLICE_INIT("set-login"),
        SLICE_INIT("supports-loading-mode"),
        SLICE_INIT("document-isolation-policy"),
        SLICE_INIT("integrity-policy"),
        SLICE_INIT("integrity-policy-report-only"),
        SLICE_INIT("origin-trial"),
        SLICE_INIT("activate-storage-access"),
        SLICE_INIT("speculation-rules"),
        /* These two speak of other URLs of the site: of those of all other targets. */
        SLICE_INIT("no-vary-search"),
        SLICE_INIT("use-as-dictionary"),
    };
    static const struct slice prefixes[] = {
        SLICE_INIT("access-control-"),
        SLICE_INIT("content-security-policy"),
        SLICE_INIT("cross-origin-"),
        SLICE_INIT("public-key-pins"),
        SLICE_INIT("proxy-"),
        SLICE_INIT("x-accel-"),
        SLICE_INIT("sec-"),
    };
    return is_among(h->name, names, COUNT_OF(names)) ||
           begins_with_any(h->name, prefixes, COUNT_OF(prefixes));
}

static bool is_lifetime(struct slice member)
{
    static const struct slice names[] = {SLICE_INIT("max-age"), SLICE_INIT("s-maxage")};
    return is_among(slice_head(member, slice_find(member, '=')), names, COUNT_OF(names));
}

static bool tells_lifetime(const struct headers *h)
{
    const struct header *it = headers_find(h, FIELD_CACHE_CONTROL);
    for (; it; it = headers_next(h, it)) {
        struct slice rest = it->value, member;
        while (field_list_next(&rest, &member))
            if (is_lifetime(member))
                return true;
    }
    return headers_find(h, FIELD_EXPIRES) != NULL;
}

/* A cache gives what came with a cookie to nobody else, unless its lifetime is told: it is made for
 * one client. It must know that although the cookie stays here. */
static enum err cookie_note(struct exchange *x)
{
    struct headers *h = &x->res.headers;
    if (!headers_find(h, FIELD_SET_COOKIE) || tells_lifetime(h))
        return ERR_OK;
    return headers_add_id(h, &x->arena, FIELD_CACHE_CONTROL, SLICE("private"));
}

enum err outbound_response(struct exchange *x, const struct outbound *ob)
{
    struct headers *h = &x->res.headers;
    struct slice url = url_write(&x->arena, &ob->url);
    if (!url.at)
        return ERR_OVER_BUDGET;
    TRY(cookie_note(x));
    HEADER_EACH (it, h)
        it->dead = is_kept_back(it);
    TRY(headers_add(h, &x->arena, SLICE("Content-Security-Policy"), SLICE("sandbox")));
    TRY(headers_add(h, &x->arena, SLICE("X-Content-Type-Options"), SLICE("nosniff")));
    TRY(headers_add(h, &x->arena, SLICE("Cross-Origin-Resource-Policy"), SLICE("cross-origin")));
    return headers_add(h, &x->arena, FINAL_URL, url);
}

/* ---- CORS ---- */

bool outbound_origin_allowed(const struct exchange *x, const struct outbound_conf *c)
{
    const struct header *h = headers_find(&x->req.headers, FIELD_ORIGIN);
    for (; h && c->origins_named; h = headers_next(&x->req.headers, h))
        if (!web_origins_have(&c->origins, h->value))
            return false;
    return true;
}

bool outbound_is_preflight(const struct exchange *x)
{
    return x->req.method == METHOD_OPTIONS && headers_find(&x->req.headers, FIELD_ORIGIN) &&
           headers_find_name(&x->req.headers, SLICE("Access-Control-Request-Method"));
}

static bool are_tokens(struct slice list)
{
    struct slice member;
    while (field_list_next(&list, &member))
        if (!field_is_token(member))
            return false;
    return true;
}

/* What a page wants to send: all of it may be sent, so all of it is named; a star would not cover
 * Authorization. */
enum err outbound_preflight(struct exchange *x, const struct outbound_conf *c)
{
    const struct header *asked =
        headers_find_name(&x->req.headers, SLICE("Access-Control-Request-Headers"));
    struct slice fields = asked && are_tokens(asked->value) ? asked->value : SLICE("");
    TRY(exchange_respond(x, 204, SLICE(""), SLICE("")));
    struct headers *h = &x->res.headers;
    TRY(headers_add(h, &x->arena, SLICE("Access-Control-Allow-Methods"), c->methods_text));
    if (fields.len > 0)
        TRY(headers_add(h, &x->arena, SLICE("Access-Control-Allow-Headers"), fields));
    TRY(headers_add_id(h, &x->arena, FIELD_VARY,
                       SLICE("Access-Control-Request-Method, Access-Control-Request-Headers")));
    return headers_add(h, &x->arena, SLICE("Access-Control-Max-Age"), SLICE("7200"));
}

/* A `cors` that holds for this request makes the fields itself. */
static bool has_cors_filter(const struct exchange *x)
{
    const struct filter_chain *chain = x->route ? &x->route->chains[HOOK_RESPONSE] : NULL;
    for (uint32_t i = 0; chain && i < chain->count; i++) {
        const struct filter_use *f = &chain->uses[i];
        if (strcmp(f->type->name, "cors") == 0 && (f->when == 0 || (x->whens & f->when) != 0))
            return true;
    }
    return false;
}

static const struct outbound_conf *conf_of(const struct exchange *x)
{
    const struct target *t = x->settings->target;
    return t && settings_pointer_is_set(t) && t->kind == TARGET_OUTBOUND ? t->outbound : NULL;
}

static enum err share(struct exchange *x, const struct outbound_conf *c)
{
    struct headers *h = &x->res.headers;
    struct slice origin = headers_get(&x->req.headers, FIELD_ORIGIN);
    struct slice who = c->origins_named ? origin : SLICE("*");
    if (x->err == ERR_RELAY_METHOD) /* RFC 9110 15.5.6 */
        TRY(headers_add_id(h, &x->arena, FIELD_ALLOW, c->methods_text));
    if (c->origins_named)
        TRY(headers_add_id(h, &x->arena, FIELD_VARY, SLICE("Origin")));
    if (!who.at || !outbound_origin_allowed(x, c))
        return ERR_OK;
    TRY(headers_set(h, &x->arena, SLICE("Access-Control-Allow-Origin"), who));
    return headers_set(h, &x->arena, SLICE("Access-Control-Expose-Headers"), SLICE("*"));
}

void outbound_share(struct exchange *x)
{
    const struct outbound_conf *c = conf_of(x);
    if (c && !has_cors_filter(x))
        (void)!share(x, c); /* without memory the page can not read it; that is all */
}
