/* web_origin_fuzz_priv.h - what holds for every origin that somebody sends; run by the fuzzer on
 * made-up bytes and by a unit test on the corpus. The first line is what was configured. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/uri.h"
#include "http/web_origin.h"

static inline bool fuzz_host_is(const struct web_origin *o, struct slice host)
{
    return o->below ? slice_ends(host, o->host) && host.len > o->host.len : slice_eq(host, o->host);
}

/* Whatever matches is an origin of the very scheme and host for those who parse it. */
static inline void fuzz_match(struct arena *a, const struct web_origin *o, struct slice origin)
{
    struct slice host;
    uint16_t port = 0;
    ASSERT(slice_starts(origin, o->scheme));
    ASSERT(slice_eq(slice_head(slice_from(origin, o->scheme.len), 3), SLICE("://")));
    enum err e = uri_host_parse(a, slice_from(origin, o->scheme.len + 3), &host, &port);
    ASSERT(e == ERR_OK ? fuzz_host_is(o, host) : o->any_port || o->below);
    if (e == ERR_OK)
        ASSERT(web_origin_is(origin, o->scheme, host, port));
    ASSERT(slice_eq(web_origin_of_url(origin), origin));
}

/* True: it matched. */
static inline bool fuzz_web_origin(const void *at, size_t len)
{
    struct slice rest = {at, len}, configured = SLICE_NONE;
    struct web_origin o;
    struct arena a;
    bool matched = false;
    arena_init(&a, 1 << 20);
    if (slice_cut(&rest, '\n', &configured) && web_origin_parse(&a, configured, &o) == ERR_OK) {
        struct slice self = ARENA_CONCAT(&a, o.scheme, SLICE("://"),
                                         o.below ? SLICE("x") : SLICE(""), o.host, o.port);
        ASSERT(web_origin_matches(&o, self));
        matched = web_origin_matches(&o, rest);
        if (matched)
            fuzz_match(&a, &o, rest);
    }
    (void)web_origin_is(web_origin_of_url(rest), SLICE("https"), SLICE("a.test"), 0);
    arena_release(&a);
    return matched;
}
