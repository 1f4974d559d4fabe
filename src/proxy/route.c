/* route.c - from listener, host and path to a site and a route.
 *
 * Exact names and paths are hash lookups, wildcards one lookup per label, prefixes a walk down a
 * radix tree: the time depends on the lengths of host and path only. Patterns are the exception:
 * they are tried one after the other, in file order, because their order is their meaning. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/route.h"
#include "proxy/condition.h"
#include "proxy/pattern.h"

struct listen_conf *listen_find(const struct proxy_conf *p, struct slice key)
{
    for (uint32_t i = 0; i < p->listen_count; i++) {
        if (slice_eq(p->listens[i]->key, key))
            return p->listens[i];
    }
    return NULL;
}

/* The nearest wildcard: for "a.b.example.com" first "*.b.example.com", then "*.example.com". */
static struct site *wildcard_find(const struct listen_conf *l, struct slice host)
{
    if (l->wildcards.count == 0)
        return NULL;
    struct slice rest = host;
    for (size_t dot = slice_find(rest, '.'); dot < rest.len; dot = slice_find(rest, '.')) {
        rest = slice_from(rest, dot + 1);
        struct site *s = hash_map_find(&l->wildcards, rest);
        if (s)
            return s;
    }
    return NULL;
}

struct site *site_lookup(const struct listen_conf *l, struct slice host, enum site_match *how)
{
    struct site *s = l->exact.count > 0 ? hash_map_find(&l->exact, host) : NULL;
    *how = SITE_EXACT;
    if (!s) {
        s = wildcard_find(l, host);
        *how = SITE_WILDCARD;
    }
    if (!s) {
        s = l->fallback;
        *how = s ? SITE_DEFAULT : SITE_NONE;
    }
    return s;
}

/* A prefix covers whole path segments: "/a" covers "/a" and "/a/b", not "/ab". */
static bool ends_at_segment(struct slice path, size_t len)
{
    return len == path.len || path.at[len] == '/' || (len > 0 && path.at[len - 1] == '/');
}

struct prefix_search {
    struct slice path;
    const struct route *best;
    size_t len;
};

static void prefix_each(void *ctx, size_t len, void *value)
{
    struct prefix_search *p = ctx;
    if (!ends_at_segment(p->path, len))
        return;
    p->best = value;
    p->len = len;
}

static const struct route *prefix_find(const struct site *s, struct slice path, size_t *len)
{
    const struct route *r = radix_longest(&s->prefixes, path, len);
    if (!r || ends_at_segment(path, *len))
        return r;
    struct prefix_search p = {.path = path};
    radix_prefixes(&s->prefixes, path, prefix_each, &p);
    *len = p.len;
    return p.best;
}

static const struct route *pattern_find(const struct site *s, struct slice path)
{
    for (uint32_t i = 0; i < s->pattern_count; i++) {
        if (pattern_match(s->patterns[i]->regex, path, NULL))
            return s->patterns[i];
    }
    return NULL;
}

const struct route *route_lookup(const struct site *s, struct slice path, size_t *matched_len)
{
    *matched_len = 0;
    const struct route *r = s->exact.count > 0 ? hash_map_find(&s->exact, path) : NULL;
    if (!r)
        r = pattern_find(s, path);
    if (!r)
        r = prefix_find(s, path, matched_len);
    if (r)
        return r;
    *matched_len = 0;
    return s->own;
}

uint64_t whens_eval(const struct route *r, struct exchange *x)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < r->when_count; i++) {
        if (condition_eval(r->whens[i]->cond, x))
            bits |= (uint64_t)1 << i;
    }
    return bits;
}
