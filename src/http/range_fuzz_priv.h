/* range_fuzz_priv.h - what holds for every Range field; run by the fuzzer on made-up bytes and by a
 * unit test on the corpus. The first byte is the length that it is resolved against. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/range.h"

static inline void fuzz_range(const void *at, size_t len)
{
    if (len == 0)
        return;
    uint64_t length = *(const unsigned char *)at, sum = 0;
    if (length == 255)
        length = UINT64_MAX;
    struct ranges rs;
    enum range_kind kind = ranges_parse(slice_from((struct slice){at, len}, 1), length, &rs);
    ASSERT(rs.count <= RANGES_MAX);
    if (kind == RANGE_UNSATISFIABLE)
        ASSERT(rs.count == 0 && length > 0);
    if (kind != RANGE_PARTS)
        return;
    ASSERT(rs.count > 0);
    for (unsigned i = 0; i < rs.count; i++) {
        ASSERT(rs.at[i].first <= rs.at[i].last && rs.at[i].last < length);
        sum += rs.at[i].last - rs.at[i].first + 1;
    }
    ASSERT(sum <= length);
}
