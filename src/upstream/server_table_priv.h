/* server_table_priv.h - what the main thread keeps about servers, found by the id of their shared
 * state: one look however many servers there are. The entries are the user's. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/mem.h"
#include "upstream/upstream.h"
#include <stdlib.h>

/* Zeroed: empty. */
struct server_table {
    void **by_id;
    uint32_t count;
};

static inline void *server_table_get(const struct server_table *t, const struct server_shared *s)
{
    return s->id < t->count ? t->by_id[s->id] : NULL;
}

/* NULL takes the entry out. */
static inline void server_table_set(struct server_table *t, const struct server_shared *s,
                                    void *entry)
{
    if (s->id >= t->count) {
        uint32_t count = (s->id + 1) * 2;
        t->by_id = mem_grow(t->by_id, count * sizeof *t->by_id);
        memset(t->by_id + t->count, 0, (count - t->count) * sizeof *t->by_id);
        t->count = count;
    }
    t->by_id[s->id] = entry;
}

static inline void server_table_release(struct server_table *t)
{
    free(t->by_id);
    *t = (struct server_table){0};
}
