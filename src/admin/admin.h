/* admin.h - the admin API as local origins: /metrics, /status, /config, and on the control socket
 * POST /reload, /server and /stop.
 *
 * It is served by the main thread's worker over the same exchanges as everything else. What the
 * process knows comes in through struct admin_source, filled in by main; the configuration is the
 * exchange's own view. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/counters.h"
#include "conf/directive.h"
#include "net/addr.h"

struct cache_shared;
struct conf;
struct json_t;
struct server_changes;
struct server_order;
struct text;

/* What the worker process knows about the one that started it. */
struct admin_supervisor {
    int64_t pid;
    int64_t started_unix_ms;
    int64_t restarts; /* of the worker process, since then */
    int64_t restarted_unix_ms;
    const char *reason;        /* of the last; NULL: none */
    const char *upgrade_error; /* why the last upgrade failed; NULL: it did not */
    bool upgrading;
};

/* Owner: the process; lives as long as any snapshot. Called on the main thread only. */
struct admin_source {
    void *ctx;
    int64_t started_unix_ms;
    const struct counters_shared *const *pages; /* one per worker thread */
    uint32_t page_count;
    const struct counters_shared *main_page; /* the main thread's: its background work */
    uint32_t worker_count;
    const struct addr *control; /* of the control socket; NULL: none */
    uint32_t (*snapshots_alive)(void *ctx);
    bool (*stopping)(void *ctx);
    bool (*installing)(void *ctx); /* a newer snapshot is on its way to the workers */
    bool (*listening)(void *ctx, struct slice key); /* is this listener of the snapshot open? */
    /* False with the errors in *report. */
    bool (*reload)(void *ctx, struct text *report);
    /* Changes a server at run time; false with the reason in *why. */
    bool (*change)(void *ctx, const struct server_order *o, struct text *why);
    const struct server_changes *changes; /* that hold */
    struct cache_shared *cache;           /* NULL: none */
    void (*stop)(void *ctx);
    bool (*upgrade)(void *ctx, struct text *why); /* false: it cannot be begun now */
    const struct admin_supervisor *supervisor;    /* NULL: none */
    struct json_t *(*sandbox)(void *ctx);         /* what holds; NULL: not known */
};

/* Adds the internal listeners of the snapshot that is being built. `b->app` is c; proxy_build() was
 * called. `admin` NULL: no admin listener; `pos`: where it is configured. */
void admin_build(struct conf_build *b, struct conf *c, const struct admin_source *source,
                 const struct addr *admin, struct conf_pos pos);
