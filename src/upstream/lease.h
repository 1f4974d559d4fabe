/* lease.h - the use of one origin connection by one exchange: choose a server, take an idle
 * connection or open one, wait for room, and give it back with a verdict.
 *
 * Owner: the exchange (embedded). Worker thread only. The caller sets deadlines itself. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn.h"
#include "upstream/balancer.h"

struct mux;
struct origin_pool;

enum { PRIORITY_MAX = 7, PRIORITY_DEFAULT = 3 };

enum lease_state { LEASE_IDLE, LEASE_QUEUED, LEASE_CONNECTING, LEASE_READY };

struct lease {
    struct upstream_view *view;
    struct origin_pools *pools;
    struct origin_pool *pool;    /* of the chosen server */
    const struct server *server; /* chosen; NULL before */
    struct conn *conn;           /* LEASE_READY: the caller's until lease_give() */
    struct mux *mux;             /* LEASE_READY: `conn` is shared; NULL: it is not */
    struct task *waiter;
    struct list link;  /* in a queue, or among those who wait for a connection to share */
    uint64_t tried[4]; /* bit per server tried, by index modulo 256 */
    uint64_t key;
    int32_t pin;          /* set before lease_take(): server index to take when it can be used, also
                             when it is draining; PIN_NONE, as lease_init() leaves it */
    uint8_t priority;     /* 0..PRIORITY_MAX, set before lease_take(): higher ones leave the queue
                             first; PRIORITY_DEFAULT */
    int64_t deadline_ms;  /* set before lease_take(): loop time at which nobody waits for the answer
                             any more; 0: none */
    int64_t idle_max_ms;  /* set before lease_take(): take none that was idle longer; 0: any */
    uint8_t state;        /* enum lease_state */
    bool reused;          /* conn served before */
    bool fresh_only;      /* after a stale connection: do not take an idle one */
    bool alone;           /* set before lease_take(): shares none, though the upstream might */
    bool granted;         /* LEASE_QUEUED: `server` has a place for it */
    bool limited;         /* counts against the upstream's limit */
    bool trial;           /* finds out whether the server serves again after its ejection */
    bool joined;          /* LEASE_CONNECTING: waits for a connection that another opens */
    uint8_t addr;         /* LEASE_CONNECTING: the address being tried */
    uint16_t addrs_tried; /* bit per address of the server */
    enum err err;         /* what happened since the last call */
    int64_t asked_ms;     /* since when the server owes an answer; 0: it does not */
    int64_t began_ms, connect_began_ms, queue_until_ms;
    struct timer queue_timer;
};

enum lease_verdict {
    LEASE_KEEP,   /* the server did well and the connection may serve again */
    LEASE_CLOSE,  /* the server did well, the connection is used up */
    LEASE_FAILED, /* the server failed (reset, time-out, bad answer): counts against it */
    LEASE_UNUSED, /* says nothing about the server (client went away, request unsent) */
};

void lease_init(struct lease *l, struct upstream_view *v, struct origin_pools *p, uint64_t key,
                struct task *waiter);

/* Chooses a server that was not tried yet and gets a connection to it. ERR_OK: l->conn is ready.
 * ERR_HOLD: the waiter is woken, then call lease_poll(). ERR_NO_SERVERS, ERR_UNRESOLVED,
 * ERR_OVER_LIMIT (queue full), ERR_CONNECT_*, ERR_NO_DESCRIPTORS, ERR_NO_MEMORY. After an error the
 * failure is counted already and the lease is idle: call again to try another server. */
enum err lease_take(struct lease *l) MUST_CHECK;
/* After a wake: ERR_HOLD when it must wait on, else as lease_take(). ERR_QUEUE_TIMEOUT,
 * ERR_DEADLINE (of lease_take(), too): it can not be answered in time any more. */
enum err lease_poll(struct lease *l) MUST_CHECK;
/* When one that the queue refused might try again: seconds, at least 1. */
uint32_t lease_retry_after_s(const struct lease *l);

/* Ends the use in any state (also while queued or connecting); the connection goes back to the pool
 * or is closed, so its session must have let go of it. LEASE_FAILED with `why` counts toward
 * ejection, but ERR_ORIGIN_STALE and ERR_ORIGIN_UNPROCESSED do not: after them, and after
 * LEASE_UNUSED, the same server may be taken again, stale: over a fresh connection. */
void lease_give(struct lease *l, enum lease_verdict v, enum err why);

/* LEASE_READY: the whole request is with the server, which owes an answer from now on; again: no
 * effect. */
void lease_asked(struct lease *l);
/* The answer has begun, `us` after that, or after the connection was ready if that is longer. It
 * counts in the comparison of servers (outliers.h), and no longer against the upstream's limit. How
 * soon it came feeds the estimate of the server's latency, as a wait that is given up does; not so
 * for an error, which is what says something bad of the server, such as a status of 5xx. */
enum lease_answer { LEASE_ANSWER_GOOD, LEASE_ANSWER_ERROR };
void lease_answered(struct lease *l, enum lease_answer a, int64_t us);

/* Is there a server that was not tried yet, and has an address? It may be ejected or full. */
bool lease_has_more(const struct lease *l);

/* The server of the lease as others see it. */
struct slice lease_server_name(const struct lease *l);
