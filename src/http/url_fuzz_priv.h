/* url_fuzz_priv.h - what holds for every URL that is taken; run by the fuzzer on made-up bytes and
 * by a unit test on the corpus. A line end separates a URL from a reference to it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/url.h"

static inline void fuzz_url_bytes(struct slice s, bool blanks)
{
    for (size_t i = 0; i < s.len; i++)
        ASSERT(s.at[i] > (blanks ? 0x1f : 0x20) && s.at[i] < 0x7f);
}

/* Reading it again gives the same: nobody after us can take it for something else. */
static inline void fuzz_url_taken(struct arena *a, const struct url *u)
{
    struct url again;
    struct slice text = url_write(a, u);
    fuzz_url_bytes(text, false);
    ASSERT(slice_find(u->host, '@') == u->host.len && slice_find(u->host, '\\') == u->host.len);
    ASSERT(slice_find(u->authority, '/') == u->authority.len && u->port > 0);
    ASSERT(u->host.len > 0 && u->target.len > 0 && u->target.at[0] == '/');
    ASSERT(slice_find(u->target, '#') == u->target.len);
    if (text.len > URL_MAX_BYTES)
        return;
    ASSERT(url_parse(a, text, &again) == ERR_OK);
    ASSERT(url_same_origin(u, &again) && slice_eq(u->target, again.target));
}

static inline void fuzz_url(const void *at, size_t len)
{
    struct slice all = {at, len}, text = slice_head(all, slice_find(all, '\n'));
    struct arena a;
    struct url u, next;
    arena_init(&a, 256 * 1024);
    if (url_parse(&a, text, &u) == ERR_OK) {
        fuzz_url_taken(&a, &u);
        if (url_resolve(&a, &u, slice_from(all, text.len + 1), &next) == ERR_OK)
            fuzz_url_taken(&a, &next);
    }
    arena_release(&a);
}
