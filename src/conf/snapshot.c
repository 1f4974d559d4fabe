/* snapshot.c - counting of configurations in force and of the views that workers have of them.
 *
 * The count of a snapshot is atomic and touched once per worker and reload; requests count on
 * their worker's view, which is plain memory. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/snapshot.h"
#include "base/assert.h"
#include "base/mem.h"
#include "conf/conf_mem_priv.h"
#include <stdlib.h>

static const size_t SNAPSHOT_MAX_BYTES = (size_t)4 << 30;

struct conf *conf_new(uint64_t generation)
{
    struct conf *c = MEM_NEW(struct conf);
    arena_init(&c->arena, SNAPSHOT_MAX_BYTES);
    c->arena.must = true;
    c->generation = generation;
    c->refs_shared = 1;
    return c;
}

struct conf *conf_take(struct conf *c)
{
    __atomic_fetch_add(&c->refs_shared, 1, __ATOMIC_RELAXED);
    return c;
}

void conf_drop(struct conf *c)
{
    uint32_t before = __atomic_fetch_sub(&c->refs_shared, 1, __ATOMIC_ACQ_REL);
    ASSERT(before > 0);
    if (before > 1)
        return;
    if (c->unused)
        c->unused(c);
    else
        conf_free(c);
}

void conf_free(struct conf *c)
{
    for (struct conf_cleanup *it = c->cleanups; it; it = it->next)
        it->run(it->ctx);
    arena_release(&c->arena);
    free(c);
}

void conf_on_free(struct conf *c, void (*run)(void *ctx), void *ctx)
{
    struct conf_cleanup *it = conf_alloc(&c->arena, sizeof(*it));
    *it = (struct conf_cleanup){.next = c->cleanups, .run = run, .ctx = ctx};
    c->cleanups = it;
}

struct conf_view *view_new(struct conf *c)
{
    struct conf_view *v = MEM_NEW(struct conf_view);
    v->conf = conf_take(c);
    return v;
}

static void view_free(struct conf_view *v)
{
    if (v->release)
        v->release(v);
    conf_drop(v->conf);
    free(v);
}

void view_drop(struct conf_view *v)
{
    ASSERT(v->refs > 0);
    if (--v->refs == 0 && v->replaced)
        view_free(v);
}

void view_replace(struct conf_view *old)
{
    ASSERT(!old->replaced);
    old->replaced = true;
    if (old->refs == 0)
        view_free(old);
}
