/* auth_place.c - where a token or a key stands in a request: a header, a cookie, a parameter of the
 * query.
 *
 * One token in one place, or none: whoever sends two could have this one checked here and the other
 * one used behind. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_priv.h"
#include "http/query.h"

struct finding {
    struct slice token;
    uint32_t count;
};

static void found(struct finding *f, struct slice token)
{
    if (f->count++ == 0)
        f->token = token;
}

/* RFC 6750 2.1; another scheme is somebody else's. */
static void bearer_find(struct slice value, struct finding *f)
{
    static const struct slice SCHEME = SLICE_INIT("Bearer");
    size_t end = slice_find(value, ' ');
    if (slice_eq_nocase(slice_head(value, end), SCHEME))
        found(f, slice_trim(slice_from(value, end)));
}

/* A second Authorization makes two, whatever its scheme: who knows which one a server takes. */
static void header_find(const struct exchange *x, const struct token_places *p, struct finding *f)
{
    const struct header *h = headers_find_name(&x->req.headers, p->header);
    uint32_t lines = 0;
    struct finding here = {0};
    for (; h; h = headers_next(&x->req.headers, h), lines++) {
        if (p->bearer)
            bearer_find(h->value, &here);
        else
            found(&here, h->value);
    }
    if (here.count > 0) {
        found(f, here.token);
        f->count += lines > 1;
    }
}

/* The next member of a Cookie field, and what it is called; both trimmed. */
static bool cookie_next(struct slice *rest, struct slice *whole, struct slice *name)
{
    if (!slice_cut(rest, ';', whole))
        return false;
    *whole = slice_trim(*whole);
    *name = slice_trim(slice_head(*whole, slice_find(*whole, '=')));
    return true;
}

/* HTTP/2 may send them in several lines (RFC 9113 8.2.3). */
static void cookie_find(const struct exchange *x, struct slice wanted, struct finding *f)
{
    const struct header *h = headers_find(&x->req.headers, FIELD_COOKIE);
    for (; h; h = headers_next(&x->req.headers, h)) {
        struct slice rest = h->value, whole, name;
        while (cookie_next(&rest, &whole, &name))
            if (slice_eq(name, wanted))
                found(f, slice_trim(slice_from(whole, slice_find(whole, '=') + 1)));
    }
}

static void query_find_token(const struct exchange *x, struct slice name, struct finding *f)
{
    struct query_member m;
    uint32_t count = x->uri.has_query ? query_find(x->uri.query, name, &m) : 0;
    if (count > 0)
        found(f, m.value);
    f->count += count > 1;
}

enum token_found token_find(struct exchange *x, const struct token_places *p, struct slice *token)
{
    struct finding f = {0};
    if (p->header.at)
        header_find(x, p, &f);
    if (p->cookie.at)
        cookie_find(x, p->cookie, &f);
    if (p->query.at)
        query_find_token(x, p->query, &f);
    *token = f.token;
    return f.count == 0 ? TOKEN_FOUND_NONE : f.count == 1 ? TOKEN_FOUND_ONE : TOKEN_FOUND_SEVERAL;
}

/* ---- taking it out ---- */

/* The other cookies of one line; .at NULL when memory is spent, empty when none is left. */
static struct slice cookies_without(struct arena *a, struct slice value, struct slice gone)
{
    struct slice whole, name, rest = value;
    char *to = arena_alloc(a, value.len + 2), *at = to;
    while (to && cookie_next(&rest, &whole, &name)) {
        if (slice_eq(name, gone) || whole.len == 0)
            continue;
        if (at > to) {
            *at++ = ';';
            *at++ = ' ';
        }
        memcpy(at, whole.at, whole.len);
        at += whole.len;
    }
    return (struct slice){to, (size_t)(at - to)};
}

static bool has_cookie(struct slice value, struct slice wanted)
{
    struct slice whole, name;
    while (cookie_next(&value, &whole, &name))
        if (slice_eq(name, wanted))
            return true;
    return false;
}

static enum err cookie_strip(struct exchange *x, struct slice gone)
{
    struct header *h = headers_find(&x->req.headers, FIELD_COOKIE);
    for (; h; h = headers_next(&x->req.headers, h)) {
        if (!has_cookie(h->value, gone))
            continue;
        struct slice left = cookies_without(&x->arena, h->value, gone);
        if (!left.at)
            return ERR_OVER_BUDGET;
        h->value = left;
        h->dead = left.len == 0;
    }
    return ERR_OK;
}

enum err token_strip(struct exchange *x, const struct token_places *p)
{
    if (p->header.at)
        headers_del(&x->req.headers, p->header);
    if (p->cookie.at)
        TRY(cookie_strip(x, p->cookie));
    if (p->query.at && x->forward_has_query) {
        TRY(query_without(&x->arena, x->forward_query, p->query, &x->forward_query));
        x->forward_has_query = x->forward_query.len > 0;
    }
    return ERR_OK;
}
