/* cache_status.c - Cache-Status (RFC 9211): a member of its own behind those of other caches. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/cache_priv.h"

static struct slice served_make(struct exchange *x, const struct cache_state *s)
{
    long long ttl = (long long)(s->left_ms / 1000);
    if (s->forward_status)
        return arena_printf(&x->arena, "weir; fwd=%s; fwd-status=%u; ttl=%lld", s->forward,
                            s->forward_status, ttl);
    return arena_printf(&x->arena, "weir; hit; ttl=%lld", ttl);
}

static struct slice forwarded_make(struct exchange *x, const struct cache_state *s)
{
    return arena_printf(&x->arena, "weir; fwd=%s%s", s->forward ? s->forward : "bypass",
                        s->stored ? "; stored" : "");
}

enum err cache_status_add(struct exchange *x, const struct cache_state *s)
{
    struct slice value = s->role == ROLE_SERVED ? served_make(x, s) : forwarded_make(x, s);
    return value.at ? headers_add(&x->res.headers, &x->arena, SLICE("Cache-Status"), value)
                    : ERR_OVER_BUDGET;
}
