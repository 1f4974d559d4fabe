/* outbound_url.c - which URL a request wants relayed: `?url=` or the path.
 *
 *     /?url=https%3A%2F%2Fa.test%2Fx%3Fy      the parameter, percent-decoded exactly once
 *     /https://a.test/x?y                     path and query as they are
 *
 * A path that begins like a URL is one, whatever its query says: that belongs to the target. */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri.h"
#include "proxy/outbound_priv.h"

/* Slashes after the scheme: `strip` works on paths in which several are one. Empty: it is none. */
static struct slice scheme_of(struct slice path)
{
    static const struct slice schemes[] = {SLICE_INIT("http:/"), SLICE_INIT("https:/")};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (slice_eq_nocase(slice_head(path, schemes[i].len), schemes[i]))
            return schemes[i];
    return SLICE("");
}

static struct slice path_form(struct exchange *x)
{
    struct slice path = slice_from(origin_path(x), 1), scheme = scheme_of(path);
    struct slice rest = slice_from(path, scheme.len);
    if (slice_starts(rest, SLICE("/")))
        rest = slice_from(rest, 1);
    return ARENA_CONCAT(&x->arena, scheme, SLICE("/"), rest,
                        x->forward_has_query ? SLICE("?") : SLICE(""), x->forward_query);
}

/* Which of two would count is a guess. */
static bool is_given_twice(struct slice query, struct slice name)
{
    struct slice pair;
    unsigned times = 0;
    while (slice_cut(&query, '&', &pair))
        times += slice_eq(slice_head(pair, slice_find(pair, '=')), name);
    return times > 1;
}

static enum err query_form(struct exchange *x, const struct outbound_conf *c, struct slice *text)
{
    struct slice query = x->forward_has_query ? x->forward_query : SLICE("");
    struct slice value = uri_query_get(query, c->query);
    if (!value.at || is_given_twice(query, c->query))
        return ERR_RELAY_BAD_URL;
    *text = uri_decode(&x->arena, value);
    return text->at ? ERR_OK : ERR_RELAY_BAD_URL;
}

enum err outbound_url_read(struct exchange *x, const struct outbound_conf *c, struct url *out)
{
    struct slice text;
    if (c->path && scheme_of(slice_from(origin_path(x), 1)).len > 0) {
        text = path_form(x);
        if (!text.at)
            return ERR_OVER_BUDGET;
    } else {
        TRY(query_form(x, c, &text));
    }
    enum err e = url_parse(&x->arena, text, out);
    return e == ERR_OK || e == ERR_OVER_BUDGET ? e : ERR_RELAY_BAD_URL;
}
