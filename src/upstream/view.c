/* view.c - a worker's local side of the upstreams of one snapshot, made when first used. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/snapshot.h"
#include "upstream/balancer.h"
#include "upstream/pool_priv.h"
#include <stdlib.h>

static void upstream_view_free(struct upstream_view *v)
{
    for (uint32_t i = 0; v->pools && i < v->up->server_count; i++)
        if (v->pools[i])
            pool_view_drop(v->pools[i]);
    free(v->pools);
    free(v->balancer_state);
    free(v->spill);
    free(v);
}

static bool balancer_init(struct upstream_view *v)
{
    const struct balancer_type *b = v->up->balancer;
    size_t bytes = b->state_bytes ? b->state_bytes(v->up) : 0;
    if (bytes > 0) {
        v->balancer_state = calloc(1, bytes);
        if (!v->balancer_state)
            return false;
    }
    if (b->init)
        b->init(v->balancer_state, v->up);
    return true;
}

static struct upstream_view *upstream_view_new(const struct upstream *up, struct origin_pools *p)
{
    struct upstream_view *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->up = up;
    v->all = p;
    v->spill = calloc(1, sizeof *v->spill);
    v->pools = calloc(up->server_count ? up->server_count : 1, sizeof(struct origin_pool *));
    if (!v->pools || !v->spill || !balancer_init(v)) {
        upstream_view_free(v);
        return NULL;
    }
    return v;
}

struct upstream_view *upstream_view_get(struct conf_view *v, struct origin_pools *p,
                                        uint32_t upstream_index)
{
    const struct upstreams_conf *u = v->conf->upstreams;
    ASSERT(upstream_index < u->count);
    if (!v->locals)
        v->locals = calloc(u->count, sizeof *v->locals);
    if (!v->locals)
        return NULL;
    void **slot = &v->locals[upstream_index];
    if (!*slot)
        *slot = upstream_view_new(u->list[upstream_index], p);
    return *slot;
}

void upstream_views_release(struct conf_view *v)
{
    for (uint32_t i = 0; v->locals && i < v->conf->upstreams->count; i++)
        if (v->locals[i])
            upstream_view_free(v->locals[i]);
    free(v->locals);
    v->locals = NULL;
}
