/* structured_fuzz_priv.h - what holds for every dictionary of structured fields; run by the fuzzer
 * on made-up bytes and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/structured.h"

static inline void fuzz_inside(struct slice inner, struct slice outer)
{
    if (inner.at)
        ASSERT(inner.at >= outer.at && inner.at + inner.len <= outer.at + outer.len);
}

/* True: it is one, read to its end. */
static inline bool fuzz_structured(const void *at, size_t len)
{
    struct slice all = {at, len}, rest = all, before = rest;
    struct structured_member m;
    enum structured_next next;
    while ((next = structured_dictionary_next(&rest, &m)) == STRUCTURED_MEMBER) {
        ASSERT(rest.len < before.len && m.key.len > 0);
        ASSERT(m.value.type <= STRUCTURED_INNER_LIST);
        ASSERT(m.value.number < (int64_t)1000000000000000);
        ASSERT(m.value.number > -(int64_t)1000000000000000);
        fuzz_inside(m.key, before);
        fuzz_inside(m.value.text, before);
        fuzz_inside(m.params, before);
        before = rest;
    }
    if (next == STRUCTURED_END)
        ASSERT(rest.len == 0);
    return next == STRUCTURED_END;
}
