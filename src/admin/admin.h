/* admin.h - the admin API as local origins: /metrics, /status, /config, and for those who may,
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

struct admin_token;
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

/* What somebody may do; each may what those before may. */
enum admin_role {
    ADMIN_NOBODY,
    ADMIN_METRICS, /* /metrics */
    ADMIN_READ,    /* all that changes nothing */
    ADMIN_FULL,
};

/* An `admin` line: where it listens, and who may do what there. In the snapshot's arena. */
struct admin_listen {
    struct admin_listen *next;
    const struct conf_node *node; /* NULL: the one that is there without a line */
    struct conf_pos pos;
    struct addr addr;
    const struct admin_token *tokens;
    int64_t cert_role; /* of whom a client certificate lets in; ADMIN_NOBODY: none is required */
    const struct slice *names; /* by which it may be asked, besides addresses and localhost */
    uint32_t name_count;
    bool insecure;
    struct slice group; /* of a unix socket; empty: the user's own */
    uint16_t mode;      /* its permission bits */
};

/* All of them. */
struct admin_listens {
    struct admin_listen *first, *last;
    uint32_t count;
    bool off;
};

extern const struct directive admin_rows[]; /* scope: struct admin_listens */

/* Where the admin API is when nothing is configured: a unix socket beside the control socket. */
#define ADMIN_SOCKET_NAME "admin.sock"
enum { ADMIN_PORT_DEFAULT = 9180, ADMIN_LISTENS_MAX = 4 };

/* Owner: the process; lives as long as any snapshot. Called on the main thread only. */
struct admin_source {
    void *ctx;
    int64_t started_unix_ms;
    const struct counters_shared *const *pages; /* one per worker thread */
    uint32_t page_count;
    const struct counters_shared *main_page; /* the main thread's: its background work */
    uint32_t worker_count;
    const struct addr *control; /* of the control socket; NULL: none */
    int64_t owner_uid;          /* the user that started weir */
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
 * called. Without a line, and with a control socket, the default one is added to `lines`. */
void admin_build(struct conf_build *b, struct conf *c, const struct admin_source *source,
                 struct admin_listens *lines);
