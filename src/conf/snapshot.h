/* snapshot.h - a configuration in force: immutable, counted; and a worker's view of one.
 *
 * Owner: counted (atomic): one count for main and one per view. The last drop hands it to main's
 * thread, which runs the cleanups and frees the arena. A view belongs to one worker and is counted
 * by plain increments: a request holds the view it began with until it ends. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "conf/tree.h"

struct conf_place;
struct main_conf;
struct proxy_conf;
struct upstreams_conf;

struct conf_cleanup {
    struct conf_cleanup *next;
    void (*run)(void *ctx);
    void *ctx;
};

struct conf {
    struct arena arena; /* owns all below */
    uint64_t generation;
    int64_t loaded_unix_ms;
    uint32_t refs_shared; /* atomic */
    struct conf_tree *tree;
    struct conf_cleanup *cleanups;
    struct conf_place *places;      /* that requests lead to (places.h) */
    void (*unused)(struct conf *c); /* last count is gone; any thread; hands it to main's thread */
    void *unused_ctx;               /* what unused() needs, since it must not need memory */
    /* one object per section, in the arena */
    struct main_conf *main;
    struct proxy_conf *proxy;
    struct upstreams_conf *upstreams;
};

struct conf *conf_new(uint64_t generation); /* one count, the caller's */
struct conf *conf_take(struct conf *c);
void conf_drop(struct conf *c);
void conf_free(struct conf *c); /* main thread: cleanups, then the arena */
void conf_on_free(struct conf *c, void (*run)(void *ctx), void *ctx); /* last added runs first */

struct conf_view {
    struct conf *conf;
    uint32_t refs; /* plain: exchanges of this worker that use it */
    bool replaced; /* a newer one is installed: dies with its last user */
    void **locals; /* per upstream of the conf: struct upstream_view, made when first used */
    void (*release)(struct conf_view *v); /* frees the locals; set by the installer */
};

struct conf_view *view_new(struct conf *c); /* takes a count on c */
static inline struct conf_view *view_take(struct conf_view *v)
{
    v->refs++;
    return v;
}
void view_drop(struct conf_view *v);
void view_replace(struct conf_view *old); /* frees it now when nobody uses it */
