/* worker.h - what one worker thread has: its loop, its view of the configuration, its pools.
 *
 * Owner: the process (main/workers.c). No other thread touches it; others reach it by its mailbox
 * and read its counters page. The main thread has one too, for the admin listener. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/counters.h"
#include "base/text.h"
#include "conf/snapshot.h"
#include "http/stream.h"
#include "io/loop.h"
#include "proxy/guests.h"
#include "proxy/shed.h"
#include "upstream/upstream.h"

struct cache_shared;
struct exchange;
struct names;
struct listen_conf;
struct password_checks_shared;
struct tls_worker;

/* What a client session was accepted on (the `listener` of h1_client_start()): finds the listener's
 * part of the configuration that is in force. Embedded in main's listener, which outlives its
 * sessions. After its address was removed it keeps the last view that had it. */
struct listen_point {
    struct list link;
    struct slice key;               /* of struct listen_conf; borrowed from the owner */
    struct conf_view *view;         /* counted */
    const struct listen_conf *conf; /* in `view` */
    bool left;                      /* its address was removed: connections are to go elsewhere */
};

/* How much of what FastCGI servers say is logged (said.c). */
struct said_gate {
    int64_t began_ms; /* of the second that is counted */
    uint32_t count, left_out;
};

struct worker {
    struct loop loop;
    struct stream_acceptor acceptor;
    struct conf_view *view; /* of the newest configuration installed here */
    struct origin_pools pools;
    struct tls_worker *tls;                     /* main's wiring; NULL: dry, or a test */
    const struct origin_engine *engine;         /* h1 */
    const struct origin_engine *shared_engine;  /* on connections that are shared (h2); or NULL */
    const struct origin_engine *fastcgi_engine; /* or NULL: a test without FastCGI */
    struct said_gate said;
    struct names *names;             /* that requests bring; NULL: none yet */
    struct list points;              /* struct listen_point.link */
    struct list documents;           /* that are being fetched, document.c */
    struct list asks;                /* questions of weir's own to upstreams, ask.c */
    uint32_t mirror_count;           /* requests to shadow upstreams */
    uint32_t headless_count;         /* exchanges without a client, headless.c */
    struct list exchanges;           /* running: struct exchange.link */
    struct exchange *free_exchanges; /* cache, so that a steady state allocates nothing */
    uint32_t free_count;
    uint32_t files_open;           /* static files that are being sent */
    struct file_cache *file_cache; /* those that are kept open (files_open.c); NULL: none yet */
    uint32_t index;
    uint64_t request_seq; /* for $request_id */
    struct text scratch;  /* for one value at a time: its memory stays */
    struct shed shed;
    struct guests guests;
    struct cache_shared *cache;               /* main's wiring, of all workers; NULL: none */
    struct password_checks_shared *passwords; /* the same */
    struct counters_shared *counters;
};

/* The loop, the acceptor's upcalls and the pools; `backend_arg` as for loop_init(). False: the
 * kernel refused. */
bool worker_init(struct worker *w, uint32_t index, const struct io_backend *backend,
                 void *backend_arg, const struct origin_engine *engine,
                 struct counters_shared *counters, size_t buffer_cap_bytes);
/* Looks up names that requests bring, with the name servers of the view in force. NULL: it can
 * not. */
struct names *worker_names(struct worker *w);
void worker_install(struct worker *w, struct conf *c); /* a new view; takes a count on c */
/* Binds a point to the view in force; `key` must be one of its listeners. */
void worker_point_add(struct worker *w, struct listen_point *p, struct slice key);
void worker_point_remove(struct worker *w,
                         struct listen_point *p); /* no session uses it any more */
/* Its address was removed: each of its connections is told, and serves what comes before it knows.
 */
void worker_point_leave(struct worker *w, struct listen_point *p);
/* Nothing new is accepted or begun. Who is idle is told, and may still send what is on its way. */
void worker_leave(struct worker *w);
/* Nothing new is accepted or begun; idle connections close, others after their request. */
void worker_drain(struct worker *w);
void worker_abort(struct worker *w);      /* closes every session now */
bool worker_idle(const struct worker *w); /* no session is open */
/* After it was idle: ends what nobody waits for, mirrored requests and idle connections. */
void worker_settle(struct worker *w);
void worker_release(struct worker *w);
