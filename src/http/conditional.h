/* conditional.h - conditional requests (RFC 9110 13), for whoever has a representation: static
 * files and the cache. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

#define MODIFIED_UNKNOWN INT64_MIN

/* Of the representation that would be sent. */
struct validators {
    struct slice etag;  /* with its quotes and W/; empty: none */
    int64_t modified_s; /* Last-Modified; MODIFIED_UNKNOWN: none */
};

/* The fields of a request, several lines joined; .at NULL: absent. */
struct conditions {
    struct slice if_match, if_none_match, if_modified_since, if_unmodified_since, if_range;
};

enum precondition {
    CONDITION_PASSES,
    CONDITION_NOT_MODIFIED, /* 304 */
    CONDITION_FAILS,        /* 412 */
};

/* Slices point into `h` or the arena. ERR_OVER_BUDGET. */
enum err conditions_read(const struct headers *h, struct arena *a,
                         struct conditions *out) MUST_CHECK;
/* In the order of RFC 9110 13.2.2; If-Range is not part of it. `now_s` for dates of two digits. */
enum precondition conditions_evaluate(const struct conditions *c, enum method m,
                                      const struct validators *v, int64_t now_s);
/* May the Range of the request be obeyed? True without If-Range. */
bool if_range_holds(const struct conditions *c, const struct validators *v, int64_t now_s);

/* Does a list of entity tags, or "*", name `etag`? The weak comparison ignores W/. A malformed rest
 * of the list names nothing. */
enum etag_comparison { ETAG_STRONG, ETAG_WEAK };
bool etag_list_has(struct slice list, struct slice etag, enum etag_comparison how);
