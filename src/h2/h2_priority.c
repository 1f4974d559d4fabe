/* h2_priority.c - extensible priorities (RFC 9218 4): "u=1, i" of a Priority field or a
 * PRIORITY_UPDATE frame. Of the dictionary's syntax (RFC 8941 3.2) only what the two members need
 * is read; whatever else is there does not count, nor does a member that is malformed.
 *
 * Of streams that have not begun the last few updates are kept, the oldest going first. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_core_priv.h"

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

/* Where it is kept: the place that it has, or the oldest one. */
static struct h2_early *early_place(struct h2_core *c, uint32_t id)
{
    for (unsigned i = 0; i < H2_EARLY_KEPT; i++)
        if (c->early[i].id == id)
            return &c->early[i];
    return &c->early[c->early_at++ % H2_EARLY_KEPT];
}

void h2_priority_update(struct h2_core *c, uint32_t id, struct slice value)
{
    struct h2_early all = {.id = id, .urgency = H2_URGENCY_DEFAULT};
    struct h2_stream *s = h2_core_find(c, id);
    h2_priority_read(value, &all.urgency, &all.incremental);
    if (s) {
        s->urgency = all.urgency;
        s->incremental = all.incremental;
    } else if (h2_is_idle(c, id)) {
        *early_place(c, id) = all;
    }
}

void h2_priority_begin(const struct h2_core *c, struct h2_stream *s)
{
    for (unsigned i = 0; i < H2_EARLY_KEPT; i++) {
        if (c->early[i].id != s->id)
            continue;
        s->urgency = c->early[i].urgency;
        s->incremental = c->early[i].incremental;
    }
}
