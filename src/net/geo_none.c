/* geo_none.c - geo.h without libmaxminddb: nothing opens, so nothing is ever asked. */
// SPDX-License-Identifier: Apache-2.0
#include "net/geo.h"

struct geo *geo_take(struct slice bytes, const char **why)
{
    (void)bytes;
    *why = "this weir was built without libmaxminddb";
    return NULL;
}

void geo_drop(struct geo *g)
{
    (void)g;
}

void geo_look_up(const struct geo *g, const struct addr *a, struct geo_facts *f)
{
    (void)g, (void)a, (void)f;
}
