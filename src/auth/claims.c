/* claims.c - see claims.h. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/claims.h"

const struct claim *claim_find(const struct claim *first, struct slice name)
{
    for (const struct claim *c = first; c; c = c->next)
        if (slice_eq(c->name, name))
            return c;
    return NULL;
}

const struct claim *claim_next(const struct claim *c)
{
    return claim_find(c->next, c->name);
}

bool claim_add(struct claim_list *to, struct arena *a, struct slice name, struct slice value)
{
    struct claim *c = ARENA_NEW(a, struct claim);
    if (!c)
        return false;
    *c = (struct claim){.name = name, .value = value};
    if (to->last)
        to->last->next = c;
    else
        to->first = c;
    to->last = c;
    return true;
}
