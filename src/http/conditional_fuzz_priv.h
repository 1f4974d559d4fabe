/* conditional_fuzz_priv.h - what holds for every value of a conditional field; run by the fuzzer on
 * made-up bytes and by a unit test on the corpus. The first byte says which field it is. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/conditional.h"

static inline void fuzz_conditional(const void *at, size_t len)
{
    if (len == 0)
        return;
    struct slice value = slice_from((struct slice){at, len}, 1);
    struct conditions c = {0};
    struct slice *fields[] = {&c.if_match, &c.if_none_match, &c.if_modified_since,
                              &c.if_unmodified_since, &c.if_range};
    *fields[*(const unsigned char *)at % 5] = value.at ? value : SLICE("");
    struct validators known = {SLICE("\"a\""), 784111777}, weak = {SLICE("W/\"a\""), 0};
    struct validators none = {SLICE(""), MODIFIED_UNKNOWN};
    if (c.if_match.at && conditions_evaluate(&c, METHOD_GET, &weak, 0) == CONDITION_PASSES)
        ASSERT(slice_eq(slice_trim(c.if_match), SLICE("*")));
    if (conditions_evaluate(&c, METHOD_GET, &known, 1764115200) == CONDITION_NOT_MODIFIED)
        ASSERT(!c.if_match.at && !c.if_unmodified_since.at);
    ASSERT(conditions_evaluate(&c, METHOD_PUT, &known, 0) != CONDITION_NOT_MODIFIED);
    if (c.if_range.at)
        ASSERT(!if_range_holds(&c, &none, 1764115200) && !if_range_holds(&c, &weak, 0));
    if (etag_list_has(value, known.etag, ETAG_STRONG))
        ASSERT(etag_list_has(value, known.etag, ETAG_WEAK));
}
