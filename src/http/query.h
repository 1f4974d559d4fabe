/* query.h - the members of a query, `name=value` with `&` between, as forms write them (WHATWG URL
 * 5.1); found by what their names mean, however those are escaped. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

struct query_member {
    struct slice whole, name, value; /* raw; value: empty without '=' */
};

/* The next member, empty ones too. False at the end; start with *rest = the query, .at not NULL. */
bool query_next(struct slice *rest, struct query_member *out);
/* Does the raw name mean this one? "%6eame" is "name"; '+' is a blank. */
bool query_name_is(struct slice raw, struct slice name);
/* How many members are called so. *out: the first. */
uint32_t query_find(struct slice query, struct slice name, struct query_member *out);
/* The query without the members of that name: a copy, or the same bytes when there are none. The
 * order of the others stays. *out is empty when nothing is left. ERR_OVER_BUDGET. */
enum err query_without(struct arena *a, struct slice query, struct slice name,
                       struct slice *out) MUST_CHECK;
