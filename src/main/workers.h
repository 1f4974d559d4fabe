/* workers.h - the worker threads, and how the main thread gives them configurations, listeners and
 * the order to stop.
 *
 * Owner: the process. A struct worker_thread is touched by its own thread once that runs; the main
 * thread reaches it by mail only. The main thread has one, too, without a thread of its own: it
 * serves the internal listeners. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "main/listeners.h"
#include "proxy/worker.h"
#include <pthread.h>

struct tls_tickets;
struct workers;

struct worker_thread {
    struct worker worker;
    struct workers *set;
    struct list listens;    /* struct worker_listen */
    struct timer sweep;     /* frees listeners that were closed, after their last session */
    struct timer drain_by;  /* the end of patience with idle connections, see workers_leave() */
    struct timer settle_by; /* the end of waiting for connections that only have to drain */
    pthread_t thread;
    struct mail drain, abort, ended; /* each is posted once */
    bool is_main;
    uint8_t extra_timers; /* of the main thread: that do not count as unfinished work */
    uint8_t stage;        /* enum worker_stage */
};

enum worker_stage {
    WORKER_RUNNING,
    WORKER_DRAINING, /* no new connections; ends when idle */
    WORKER_SETTLING, /* no session is left; output that is queued still goes out */
    WORKER_ENDED,
};

/* The main thread's worker installs last, when every thread has said that it did: what it shows
 * (/status) is in force everywhere. */
struct workers {
    struct worker_thread **all;     /* count + 1: the main thread's is the last */
    uint32_t count;                 /* of threads */
    uint32_t running;               /* threads that have not ended; main thread's */
    struct counters_shared **pages; /* as `all` */
    int64_t idle_ms;                /* set by workers_leave() */
    uint32_t installing;            /* snapshots that are on their way; main thread's */
    void (*on_installed)(void *ctx, const struct conf *c); /* main thread; may be NULL */
    void *ctx;
    struct tls_tickets *tickets; /* borrowed */
};

/* Makes every worker; no thread runs yet. `tickets` are shared by them and outlive them. False: the
 * kernel refused (errno). */
bool workers_init(struct workers *w, uint32_t count, size_t buffer_cap_bytes,
                  struct tls_tickets *tickets);
bool workers_start(struct workers *w); /* starts the threads; errno */

struct worker_thread *workers_main(const struct workers *w);

/* Posts the snapshot, with the sockets that listeners_open() has bound, to every worker;
 * w->on_installed() tells when it is in force everywhere. */
void workers_install(struct workers *w, struct conf *c, struct listeners *l);

/* Instead of workers_drain(), and also closes the admin and control listeners at once. Connections
 * without a request may send one more within `idle_ms`, whose answer says that it was the last: who
 * sends while the connection is being closed gets no answer at all. */
void workers_leave(struct workers *w, int64_t idle_ms);
void workers_drain(struct workers *w);      /* the threads; w->running tells when they ended */
void workers_drain_main(struct workers *w); /* then the main thread's */
void workers_abort(struct workers *w);      /* closes every connection of every worker now */
/* Runs one tick of the main thread's worker; false when it has ended. */
bool worker_tick(struct worker_thread *t);

/* Joins the threads, which must have ended, and frees everything. */
void workers_release(struct workers *w);
