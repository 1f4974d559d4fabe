/* pool_priv.h - a worker's idle connections to one server.
 *
 * Owner: the worker's origin_pools; lives while a view, a lease or a connection needs it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn.h"
#include "upstream/upstream.h"

enum {
    POOL_IDLE_FLOOR = 16,        /* kept whatever the use was */
    POOL_IDLE_MAX = 8192,        /* hard limit, whatever is configured */
    POOL_PEAK_MS = 30 * 1000,    /* "recently" is this window and the one before it */
    POOL_FINISH_MS = 5000,       /* for the last bytes to a server that takes none of them */
    POOL_BAD_ADDR_MS = 10 * 1000 /* an address that failed is tried last for so long */
};

struct origin_pool {
    struct origin_pools *all;
    struct server_shared *shared; /* counted */
    struct list idle;             /* struct idle_conn, newest first */
    uint32_t idle_count;
    uint32_t in_use;            /* leases, also while they connect */
    uint32_t views;             /* that point here */
    uint32_t peak, peak_before; /* most in use at once, in this window and the one before */
    int64_t peak_began_ms;
    int64_t keepalive_count, keepalive_ms; /* as the newest view says */
    struct timer idle_timer;
    uint32_t addr_next; /* where the next connect starts among the addresses */
    uint16_t bad_addrs; /* bit per address that failed lately */
    int64_t bad_until_ms;
    /* connections that are shared (mux.c) */
    struct list muxes;    /* struct mux */
    struct list joiners;  /* leases that wait for one, in order */
    struct lease *opener; /* the lease that opens the next one */
    uint32_t mux_count;
    uint32_t uses_max; /* of one connection at once, as the newest view says */
    bool shares_none;  /* the server was asked and does not share */
};

/* The worker's pool for the server, made when there is none, with the limits of `up`. Counts as
 * used by one view more. NULL: no memory. */
struct origin_pool *pool_get(struct origin_pools *all, const struct upstream *up,
                             const struct server *srv);
void pool_view_drop(struct origin_pool *p);

void pool_use_begin(struct origin_pool *p);
void pool_use_end(struct origin_pool *p); /* may free the pool */
void pool_free_unused(struct origin_pool *p);

/* The newest idle connection; NULL when there is none, or none that was idle for at most
 * `idle_max_ms` (0: any). The caller sets its user at once. */
struct conn *pool_conn_take(struct origin_pool *p, int64_t idle_max_ms);
/* Keeps an open connection for later, or closes it when it may not serve again or there are enough.
 */
void pool_conn_put(struct origin_pool *p, struct conn *c);
void pool_conn_opened(struct origin_pool *p);                /* counts */
void pool_conn_close(struct origin_pool *p, struct conn *c); /* one that was opened */
/* The same after what is queued was sent: the end of a tunnel, for example. */
void pool_conn_finish(struct origin_pool *p, struct conn *c);

/* The next address to try; false when all were (`tried`: bit per address). */
bool pool_addr_pick(struct origin_pool *p, uint16_t tried, uint8_t *index);
void pool_addr_failed(struct origin_pool *p, uint8_t index);
