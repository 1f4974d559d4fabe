/* places.c - see places.h. A list without order: there are as many as there are folders and logs.
 */
// SPDX-License-Identifier: Apache-2.0
#include "conf/places.h"
#include "conf/conf_mem_priv.h"

void conf_place_add(struct conf_build *b, struct conf_pos pos, const char *path,
                    enum conf_access access)
{
    if (!b->places || !path || !*path)
        return;
    struct conf_place *p = conf_alloc(b->arena, sizeof(*p));
    *p = (struct conf_place){.next = *b->places, .path = path, .pos = pos, .access = access};
    *b->places = p;
}
