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
