/* cache_purge.c - the method PURGE: an allowed address makes the cache forget the URL. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/purge.h"
#include "filter/cache_priv.h"

static bool is_allowed(const struct exchange *x, const struct cache_conf *c)
{
    for (uint32_t i = 0; i < c->purger_count; i++)
        if (addr_prefix_match(&c->purgers[i], &x->client_addr))
            return true;
    return false;
}

static bool is_soft(const struct exchange *x)
{
    const struct header *h = headers_find_name(&x->req.headers, SLICE("Soft-Purge"));
    return h && slice_eq(h->value, SLICE("1"));
}

static enum err purge(struct exchange *x, const struct cache_conf *c)
{
    struct cache_key key;
    uint64_t id;
    TRY(cache_key_make(x, c, &key));
    struct purge_order order = {PURGE_URL, is_soft(x) ? PURGE_SOFT : PURGE_HARD,
                                cache_key_url(&key)};
    if (order.text.len > PURGE_TEXT_MAX)
        return ERR_URI_TOO_LONG;
    return purge_add(cache_of(x), &order, &id);
}

static enum err answer(struct exchange *x, const struct cache_conf *c)
{
    struct slice text = SLICE("text/plain; charset=utf-8");
    if (!is_allowed(x, c))
        return exchange_respond(x, 403, text, SLICE("PURGE is not for this address\n"));
    TRY(purge(x, c));
    return exchange_respond(x, 200, text, SLICE("purged\n"));
}

enum verdict cache_purge(struct exchange *x, const struct cache_conf *c)
{
    enum err e = answer(x, c);
    x->cache_word = "purge";
    if (e == ERR_OK)
        return ANSWERED;
    x->err = e;
    return FAILED;
}
