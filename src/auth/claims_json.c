/* claims_json.c - claims out of a JSON object, flattened.
 *
 * A name with a dot in it can not be told from a nested one. That is the issuer's own affair: both
 * are its words. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/claims.h"
#include <jansson.h>

enum { NUMBER_MAX_BYTES = 40, REAL_DIGITS = 15 };

struct flattening {
    struct arena *arena;
    struct claim *first;
    const struct claim **end; /* where the next is linked in */
    unsigned count;
};

static bool add(struct flattening *f, struct slice name, struct slice value)
{
    struct claim *c = f->count < CLAIMS_MAX ? ARENA_NEW(f->arena, struct claim) : NULL;
    if (!c || !(value = arena_dup(f->arena, value)).at)
        return false;
    f->count++;
    *c = (struct claim){name, value, NULL};
    *f->end = c;
    f->end = &c->next;
    return true;
}

static bool add_number(struct flattening *f, struct slice name, const json_t *v)
{
    char text[NUMBER_MAX_BYTES];
    size_t len =
        json_dumpb(v, text, sizeof text, JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));
    return len <= sizeof text && add(f, name, (struct slice){text, len});
}

static bool flatten(struct flattening *f, struct slice name, const json_t *v, int depth);

static bool flatten_object(struct flattening *f, struct slice name, const json_t *v, int depth)
{
    const char *key;
    size_t len;
    json_t *member;
    if (depth == CLAIM_DEPTH_MAX)
        return true;
    json_object_keylen_foreach((json_t *)v, key, len, member)
    {
        struct slice last = {key, len};
        struct slice whole =
            depth == 0 ? arena_dup(f->arena, last) : ARENA_CONCAT(f->arena, name, SLICE("."), last);
        if (!whole.at || !flatten(f, whole, member, depth + 1))
            return false;
    }
    return true;
}

static bool flatten_array(struct flattening *f, struct slice name, const json_t *v, int depth)
{
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        bool deeper = json_is_array(item); /* a list in a list says nothing that can be named */
        if (!deeper && !flatten(f, name, item, depth))
            return false;
    }
    return true;
}

static bool flatten(struct flattening *f, struct slice name, const json_t *v, int depth)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return flatten_object(f, name, v, depth);
    case JSON_ARRAY: return flatten_array(f, name, v, depth);
    case JSON_STRING:
        return add(f, name, (struct slice){json_string_value(v), json_string_length(v)});
    case JSON_INTEGER:
    case JSON_REAL: return add_number(f, name, v);
    case JSON_TRUE: return add(f, name, SLICE("true"));
    case JSON_FALSE: return add(f, name, SLICE("false"));
    case JSON_NULL: return true;
    }
    return true;
}

bool claims_from_json(const struct claim **first, const struct json_t *object, struct arena *a)
{
    const struct claim *begin = NULL;
    struct flattening f = {.arena = a, .end = &begin};
    if (!flatten_object(&f, SLICE_NONE, object, 0))
        return false;
    *first = begin;
    return true;
}
