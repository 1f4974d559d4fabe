/* cache_control_fuzz_priv.h - what holds for every Cache-Control, targeted field and Age; run by
 * the fuzzer on made-up bytes and by a unit test on the corpus. Newlines part lines of a field. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/cache_control.h"

enum { FUZZ_LINES_MAX = 8 };

static inline void fuzz_headers(struct slice bytes, enum field_id id, struct headers *h,
                                struct header at[FUZZ_LINES_MAX])
{
    struct slice line;
    *h = (struct headers){.at = at, .cap = FUZZ_LINES_MAX};
    while (h->count < FUZZ_LINES_MAX && slice_cut(&bytes, '\n', &line))
        headers_push(h, id, field_row(id)->usual, slice_trim(line));
}

static inline void fuzz_seconds(int64_t s)
{
    ASSERT(s >= -1 && s <= DELTA_MAX_S);
}

static inline void fuzz_control(const struct cache_control *c)
{
    fuzz_seconds(c->max_age);
    fuzz_seconds(c->s_maxage);
    fuzz_seconds(c->min_fresh);
    fuzz_seconds(c->stale_while_revalidate);
    fuzz_seconds(c->stale_if_error);
    if (c->max_stale != INT64_MAX)
        fuzz_seconds(c->max_stale);
    ASSERT(c->directives < 2 * CC_ONLY_IF_CACHED);
    ASSERT(!c->no_cache_fields.at || c->no_cache_fields.len > 0);
    ASSERT(!c->private_fields.at || c->private_fields.len > 0);
}

/* True: it is a targeted field that governs. */
static inline bool fuzz_cache_control(const void *bytes, size_t len)
{
    struct header at[FUZZ_LINES_MAX];
    struct headers h;
    struct cache_control c;
    fuzz_headers((struct slice){bytes, len}, FIELD_CACHE_CONTROL, &h, at);
    cache_control_read(&h, &c);
    fuzz_control(&c);
    bool governs = targeted_control_read(&h, SLICE("cache-control"), &c);
    if (governs)
        fuzz_control(&c);
    fuzz_headers((struct slice){bytes, len}, FIELD_AGE, &h, at);
    ASSERT(age_read(&h) >= 0 && age_read(&h) <= DELTA_MAX_S);
    return governs;
}
