/* h2_priority.c - extensible priorities (RFC 9218 4): "u=1, i" of a Priority field or a
 * PRIORITY_UPDATE frame. Of the dictionary's syntax (RFC 8941 3.2) only what the two members need
 * is read; whatever else is there does not count, nor does a member that is malformed. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_core.h"

static void read_member(struct slice m, uint8_t *urgency, bool *incremental)
{
    m = slice_head(m, slice_find(m, ';')); /* parameters mean nothing */
    m = slice_trim(m);
    if (m.len == 3 && m.at[0] == 'u' && m.at[1] == '=' && m.at[2] >= '0' && m.at[2] <= '7')
        *urgency = (uint8_t)(m.at[2] - '0');
    else if (slice_eq(m, SLICE("i")) || slice_eq(m, SLICE("i=?1")))
        *incremental = true;
    else if (slice_eq(m, SLICE("i=?0")))
        *incremental = false;
}

void h2_priority_read(struct slice value, uint8_t *urgency, bool *incremental)
{
    struct slice member;
    if (!value.at)
        return;
    while (slice_cut(&value, ',', &member))
        read_member(member, urgency, incremental);
}
