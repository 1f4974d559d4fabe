/* uri_fuzz_priv.h - what holds for every target, path and host; run by the fuzzer on made-up bytes
 * and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/uri.h"

static inline bool fuzz_is_inside(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

static inline void fuzz_no_dot_segments(struct slice path)
{
    struct slice segment;
    while (slice_cut(&path, '/', &segment))
        ASSERT(!slice_eq(segment, SLICE(".")) && !slice_eq(segment, SLICE("..")));
}

static inline bool fuzz_has_double_slash(struct slice path)
{
    for (size_t i = 1; i < path.len; i++)
        if (path.at[i] == '/' && path.at[i - 1] == '/')
            return true;
    return false;
}

/* A normalised path has one reading only: it is its own normal form. */
static inline void fuzz_path(struct arena *a, struct slice path, unsigned flags)
{
    struct slice once, twice;
    if (uri_normalize_path(a, path, flags, &once))
        return;
    ASSERT(once.len > 0 && once.at[0] == '/');
    fuzz_no_dot_segments(once);
    ASSERT(!(flags & URI_MERGE_SLASHES) || !fuzz_has_double_slash(once));
    ASSERT(uri_normalize_path(a, once, flags, &twice) == ERR_OK);
    ASSERT(slice_eq(once, twice));
    for (size_t i = 0; i < once.len; i++)
        ASSERT((unsigned char)once.at[i] > 0x20 && (unsigned char)once.at[i] < 0x7f);
}

static inline void fuzz_host(struct arena *a, struct slice text)
{
    struct slice host, again;
    uint16_t port, port_again;
    if (uri_host_parse(a, text, &host, &port))
        return;
    ASSERT(host.len > 0 && host.len <= text.len);
    if (uri_host_parse(a, host, &again, &port_again)) /* only its last dot may have made it valid */
        ASSERT(host.at[host.len - 1] == '.');
    else
        ASSERT(slice_eq(host, again) && port_again == 0);
}

static inline void fuzz_uri(const void *at, size_t len)
{
    struct slice text = {at, len};
    struct arena a;
    struct uri u;
    arena_init(&a, 1 << 20);
    if (uri_parse(text, &u) == ERR_OK) {
        ASSERT(fuzz_is_inside(u.query, text) && fuzz_is_inside(u.authority, text));
        fuzz_path(&a, u.raw_path, 0);
        fuzz_path(&a, u.raw_path, URI_MERGE_SLASHES);
        (void)uri_query_get(u.query, SLICE("a"));
        ASSERT(uri_decode(&a, u.query).len <= u.query.len);
    }
    fuzz_path(&a, text, 0);
    fuzz_host(&a, text);
    arena_release(&a);
}
