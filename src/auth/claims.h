/* claims.h - what is said of somebody who was recognised, flat: pairs of a name and a text.
 *
 * Claims of JSON (RFC 7519) are written out: {"realm": {"roles": ["a", "b"]}} is two claims named
 * "realm.roles". Numbers and booleans are their JSON text, null is left out. All of it lives in the
 * arena that the maker was given; the list is in the order of its source. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

enum { CLAIMS_MAX = 256, CLAIM_DEPTH_MAX = 4 };

struct claim {
    struct slice name, value;
    const struct claim *next;
};

/* The first with that name, exactly; NULL: there is none. */
const struct claim *claim_find(const struct claim *first, struct slice name);
/* The next one with the name of c. */
const struct claim *claim_next(const struct claim *c);

/* A list that is being made; zeroed: empty. */
struct claim_list {
    struct claim *first, *last;
};

/* At its end; the texts are borrowed. False: the arena is spent. */
bool claim_add(struct claim_list *to, struct arena *a, struct slice name, struct slice value);

struct json_t; /* of jansson */
/* The claims of a JSON object. What is nested deeper than CLAIM_DEPTH_MAX names is left out. False:
 * there are more than CLAIMS_MAX, or the arena is spent; *first is untouched then. */
bool claims_from_json(const struct claim **first, const struct json_t *object, struct arena *a);
