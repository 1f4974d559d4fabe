/* cache_control.h - the grammar of Cache-Control (RFC 9111 5.2) and of its targeted siblings (RFC
 * 9213), which are dictionaries of structured fields (RFC 9651). Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

#define DELTA_MAX_S ((int64_t)1 << 31)

enum cc_directive {
    CC_NO_STORE = 1,
    CC_NO_CACHE = 2,
    CC_PRIVATE = 4,
    CC_PUBLIC = 8,
    CC_MUST_REVALIDATE = 16,
    CC_PROXY_REVALIDATE = 32,
    CC_MUST_UNDERSTAND = 64,
    CC_NO_TRANSFORM = 128,
    CC_IMMUTABLE = 256,
    CC_ONLY_IF_CACHED = 512,
};

/* Seconds; -1: absent. A value that is no number counts as 0. */
struct cache_control {
    uint32_t directives; /* enum cc_directive; NO_CACHE and PRIVATE only without field names */
    struct slice no_cache_fields, private_fields; /* lists of names; .at NULL: none */
    int64_t max_age, s_maxage, min_fresh, max_stale /* INT64_MAX: without a value */;
    int64_t stale_while_revalidate, stale_if_error;
};

/* All lines of the field. What does not look like a directive is ignored; of numbers given twice
 * the first counts. */
void cache_control_read(const struct headers *h, struct cache_control *out);
/* A targeted field by its name. False: absent, empty, or not a dictionary: it says nothing. */
bool targeted_control_read(const struct headers *h, struct slice name, struct cache_control *out);

/* First member of the first line of Age, seconds; 0 when it is none. */
int64_t age_read(const struct headers *h);
