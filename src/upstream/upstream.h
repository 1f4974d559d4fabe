/* upstream.h - named groups of servers: the configured side (in the snapshot, read-only), the
 * shared side (health, in-flight; found again by identity after a reload) and a worker's view.
 *
 * Knows no HTTP: layer 4 uses all of it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/counters.h"
#include "base/list.h"
#include "base/radix.h"
#include "conf/directive.h"
#include "io/loop.h"
#include "net/addr.h"
#include "upstream/limit.h"
#include "upstream/pressure.h"
#include <pthread.h>

struct balancer_type;
struct check_conf;
struct conf;
struct conf_view;
struct dns;
struct mux_engine;
struct sticky_conf;
struct tls_origin;
struct tls_worker;

enum { SERVER_ADDRS_MAX = 16, SERVERS_MAX = 4096, SERVER_TLS_ERROR_BYTES = 160 };
enum { SERVER_CHECK_ERROR_BYTES = 192, SERVER_OUTLIER_BYTES = 128 };

enum server_eject { SERVER_EJECT_FAILURES, SERVER_EJECT_OUTLIER };

/* What active checks say of a server. */
enum server_check { SERVER_UNCHECKED, SERVER_CHECK_UNKNOWN, SERVER_CHECK_UP, SERVER_CHECK_DOWN };

enum server_conf_state { SERVER_CONF_NONE, SERVER_CONF_OFF, SERVER_CONF_ON };

/* State of one server by identity (upstream name and server name), over all workers and reloads.
 * Owner: counted. Atomics, but for the addresses, which are read only to connect. */
struct server_shared {
    uint32_t refs;
    uint32_t id; /* small and dense: a worker finds its pool by it */
    /* atomics, relaxed; what a pick reads stands first */
    uint32_t addr_count;      /* 0: not resolved yet */
    uint32_t check_down;      /* 1: its checks fail (checker.h) */
    int64_t ejected_until_ms; /* loop time (monotonic); 0: not ejected */
    int64_t in_flight;        /* requests being served, all workers */
    int64_t conns;            /* connections in use (not idle), all workers; against max_conns */
    int64_t latency_ewma_us, latency_at_ms; /* first byte; at: loop time of the last sample */
    int64_t unanswered;      /* requests that were sent and whose answer has not begun */
    int64_t silent_since_ms; /* while there are: the last answer, or the first of them */
    int64_t back_at_ms;      /* loop time when it came back; 0: no ramp (see slow_start) */
    int64_t fails_in_a_row;
    int64_t eject_count; /* in a row: the back-off doubles with it */
    int64_t trial;       /* 1: after an ejection one request finds out whether it serves again */
    int64_t requests_total, failures_total, connects_total;
    /* what outliers.c compares: answers that began, those that say of an error, and the sum of
     * outlier_log() of the time to the first byte of the good ones */
    int64_t answers_total, errors_total, latency_log_sum;
    int64_t eject_why, ejections_total; /* why: enum server_eject, of the last ejection */
    int64_t last_error;                 /* enum err of the last failure */
    int64_t last_error_unix_ms;
    int64_t check_state;                               /* enum server_check */
    int64_t check_since_unix_ms, check_failed_unix_ms; /* of the state; of the last failure */
    int64_t checks_total, checks_failed_total;
    char *name, *upstream_name;
    uint8_t conf_state;  /* enum server_conf_state: what the last configuration said; main thread */
    size_t identity_len; /* of upstream_name, name and what else tells it from others */
    pthread_mutex_t addrs_lock;
    struct addr addrs[SERVER_ADDRS_MAX];
    char check_error[SERVER_CHECK_ERROR_BYTES]; /* of the last check that failed; likewise */
    char
        outlier[SERVER_OUTLIER_BYTES]; /* what it was ejected for, compared with others; likewise */
    char resolve_error[96];            /* why the name does not resolve; under addrs_lock */
    char tls_error[SERVER_TLS_ERROR_BYTES]; /* why the last handshake failed; under addrs_lock */
};

/* State of one upstream by its name. Owner: counted. Atomics, relaxed. */
struct upstream_shared {
    uint32_t refs;
    uint32_t id; /* small and dense */
    char *name;
    bool conf_seen; /* a configuration had it; main thread */
    /* retry budget: see retry.h */
    int64_t budget_window_ms, budget_requests, budget_retries, budget_requests_before,
        budget_retries_before, budget_hedges, budget_hedges_before;
    int64_t requests_total, retries_total, hedges_total;
    int64_t waiting;    /* exchanges queued for a connection, all workers */
    int64_t shed_total; /* of those: left without a server, or found no room */
    struct limit_shared limit;
    struct pressure_shared pressure;
    int64_t panic; /* 1: so few servers are left that all are used, ejected ones, too */
};

/* Servers of a tier get requests when those before it can not take them. */
enum server_tier {
    TIER_NEAR,   /* not a backup, in weir's zone, or no zone is preferred */
    TIER_FAR,    /* not a backup, in another zone */
    TIER_BACKUP, /* a backup, wherever it stands */
    TIER_COUNT
};

/* Bits: what was changed at run time (changes.h). */
enum server_changed {
    SERVER_CHANGED_ADDED = 1,
    SERVER_CHANGED_USE = 2,
    SERVER_CHANGED_WEIGHT = 4,
    SERVER_CHANGED_MAX_CONNS = 8
};

/* One server line. */
struct server {
    /* what every pick reads */
    struct server_shared *shared; /* counted; dropped with the snapshot */
    int64_t weight;               /* 1..1000 */
    int64_t max_conns;            /* 0: no limit */
    uint32_t index;
    uint8_t tier; /* enum server_tier; set by upstream_tiers_set() */
    bool backup, disabled;
    bool draining; /* gets only what is pinned to it */
    /* the rest */
    struct slice name; /* as written: the label in logs and status */
    struct slice zone; /* where it stands; empty: not told */
    struct addr_spec spec;
    struct conf_pos pos;
    uint8_t changed; /* enum server_changed */
};
_Static_assert(offsetof(struct server, name) == 32, "half a cache line");

struct upstream_timeouts { /* ms; 0: not set here; CONF_OFF: no limit */
    int64_t connect_ms, first_byte_ms, read_ms, send_ms;
};

struct retry_conf {
    int64_t tries; /* further attempts: 2 */
    bool on_502, on_503, on_504;
    int64_t budget; /* hundredths of a percent of requests: 20 %; CONF_OFF: no limit */
    bool set;       /* the upstream has a retry line of its own */
};

/* The line `eject`, as far as it compares servers (outliers.h). */
struct eject_conf {
    int64_t rate;      /* hundredths of a percent of the requests that fail; CONF_OFF: any */
    int64_t requests;  /* so many tell something */
    int64_t on;        /* enum eject_on */
    int64_t slow;      /* times the median; CONF_OFF: any */
    int64_t max_share; /* hundredths of a percent of the servers */
    int64_t panic;     /* hundredths of a percent that have to be left; CONF_OFF: one server */
};

enum eject_on { EJECT_ON_AUTO, EJECT_ON_FAILURES, EJECT_ON_5XX };

enum { HEDGE_NEVER = CONF_OFF, HEDGE_P95 = -2 };

struct hedge_conf {
    int64_t after_ms; /* without an answer: ask another server, too; or HEDGE_NEVER, HEDGE_P95 */
    int64_t budget;   /* hundredths of a percent of requests */
};

/* How uses and connections go together (the line `proto`). */
enum upstream_proto {
    UPSTREAM_ALONE,  /* one use at a time on a connection */
    UPSTREAM_SHARES, /* many, by the worker's mux_engine */
    UPSTREAM_ASKS,   /* as the TLS handshake agrees */
};

struct upstream {
    struct slice name; /* of an unnamed one: its servers, joined */
    struct conf_pos pos;
    uint32_t index; /* in upstreams_conf and in the view's locals */
    struct server *servers;
    uint32_t server_count;
    const struct balancer_type *balancer;
    void *balancer_conf;
    struct conf_word hash_key; /* balance hash KEY: a template that the user of the pick fills */
    int64_t keepalive_count;   /* idle connections per worker and server; grows with use to it;
                                  CONF_OFF: none */
    int64_t keepalive_ms;      /* idle timeout */
    int64_t queue_count;       /* waiting exchanges per worker; CONF_OFF: none may wait */
    int64_t queue_ms;
    struct limit_conf limit; /* of requests at once, over all workers */
    int64_t fail_count;      /* failures in a row that eject a server; CONF_OFF: never */
    int64_t fail_ms;         /* first ejection; doubles up to fail_max_ms */
    int64_t fail_max_ms;
    struct eject_conf eject;
    int64_t slow_start_ms; /* how long the ramp of a server lasts that came back; 0: none */
    struct slice zone;     /* where weir stands; empty: all servers are equally near */
    struct upstream_timeouts timeouts;
    struct retry_conf retry;
    struct hedge_conf hedge;
    struct conf_pos hedge_pos;
    uint8_t proto;       /* enum upstream_proto */
    int64_t proto_word;  /* as written; see rows.c */
    int64_t streams_max; /* uses of one connection at once */
    bool fastcgi;        /* UPSTREAM_ALONE, and spoken to by FastCGI */
    bool keepalive_said; /* keepalive_count is not the default */
    struct conf_pos proto_pos;
    struct sticky_conf *sticky;   /* of proxy/, which pins leases; NULL: sessions move freely */
    struct tls_origin *tls;       /* NULL: plain */
    struct tls_origin *tls_alone; /* UPSTREAM_ASKS: for a use that can not share */
    struct conf_pos tls_pos;
    struct check_conf *check;       /* NULL: no active checks */
    struct upstream_shared *shared; /* counted */
};

struct upstreams_conf {
    struct upstream **list;
    uint32_t count;
    struct radix named, inlined; /* name -> struct upstream, while building */
};

/* Rows for `upstream` at the top (scope: struct upstreams_conf, zeroed before first use) and for
 * what stands in an upstream or proxy block (scope: struct upstream). */
extern const struct directive upstream_rows[];

/* Finds a named upstream of the snapshot being built, or NULL. */
struct upstream *upstream_find(const struct upstreams_conf *u, struct slice name);
enum upstream_scheme { UPSTREAM_PLAIN, UPSTREAM_TLS /* `proxy https://...` */, UPSTREAM_FASTCGI };

/* Makes an unnamed one for the targets of a proxy directive ("10.0.0.3:9000", "unix:/x"); equal
 * lists without a block share one. Errors go to b->diag. `block` may be NULL. */
struct upstream *upstream_inline(struct conf_build *b, struct upstreams_conf *u,
                                 const struct conf_word *targets, uint32_t count,
                                 const struct conf_node *block, enum upstream_scheme scheme);
/* After everything was built: checks, and binds shared state by identity. `c` gets the cleanup. */
void upstreams_bind(struct conf_build *b, struct conf *c);

/* A worker's side of one upstream in one view. */
struct upstream_view {
    const struct upstream *up;
    struct origin_pools *all;
    void *balancer_state;
    struct pick_spill *spill;
    struct origin_pool **pools; /* one per server, made when first used */
};

/* The worker's pools and queues; embedded in the worker. While it is registered (init to release)
 * other workers tell it through its loop's mailbox when a server at its limit has room. */
struct origin_pools {
    struct loop *loop;
    struct tls_worker *tls;          /* the worker's; NULL: no upstream with TLS can be reached */
    const struct mux_engine *engine; /* for connections that are shared; NULL: there are none */
    struct origin_pool **by_id;      /* by server_shared.id */
    struct upstream_queue **queues;  /* by upstream_shared.id; NULL when nobody waits */
    uint32_t count, queue_count;     /* slots in the two tables */
    struct list idle_spares;         /* entries of pool.c that are not in use */
    uint32_t idle_spare_count;
    struct list peer;       /* in the registry of workers, under its lock */
    int64_t waiting_shared; /* atomic: exchanges queued in this worker */
};

void origin_pools_init(struct origin_pools *p, struct loop *l);
/* Closes idle connections and takes the worker off the list of those who are told of room. Run the
 * loop once more before the release, so that mail that came already is freed. */
void origin_pools_close(struct origin_pools *p);
void origin_pools_release(struct origin_pools *p); /* no lease may be in use any more */

/* Makes the view's local side of an upstream when first used. NULL: no memory. */
struct upstream_view *upstream_view_get(struct conf_view *v, struct origin_pools *p,
                                        uint32_t upstream_index);
void upstream_views_release(struct conf_view *v);

/* Main thread: resolves server names of the snapshot in the background and again when their TTL
 * ends; call again after each reload. `changed` is told after an update (for the log). */
struct upstream_resolver;
struct upstream_resolver *upstream_resolver_new(struct loop *l, struct dns *dns,
                                                void (*changed)(const struct server_shared *s,
                                                                enum err e));
void upstream_resolver_sync(struct upstream_resolver *r, const struct conf *c);
void upstream_resolver_free(struct upstream_resolver *r);

/* What happens to servers, for the log: nothing below proxy/ logs by itself. */
enum server_event {
    SERVER_OUT,         /* ejected after failures, for `ms`; last_error says why */
    SERVER_BACK,        /* it served a request again */
    SERVER_OUTLIER,     /* ejected for `ms`, compared with others: server_outlier_get() says why */
    SERVER_RETURNED,    /* that time is over */
    SERVER_CHECKED_OUT, /* its checks fail: server_check_error_get() says why; `ms`: in a row */
    SERVER_CHECKED_IN   /* they succeed again, after `ms` */
};
typedef void server_observer(const struct server_shared *s, enum server_event e, int64_t ms);
/* Set once, before there are workers; called by any of them. NULL: nobody. */
void servers_observe(server_observer *observer);

/* The server serves again from now on, after it was out: begins its ramp (slow_start). Any thread.
 */
void server_came_back(struct server_shared *s, int64_t now_ms);

/* Why the last handshake with the server failed; "" when none did. Any thread. */
void server_tls_error_get(struct server_shared *s, char to[SERVER_TLS_ERROR_BYTES]);

/* Why its last check that failed did; "" when none has. Any thread. */
void server_check_error_get(struct server_shared *s, char to[SERVER_CHECK_ERROR_BYTES]);

/* What it was ejected for last, compared with others; "" when it never was. Any thread. */
void server_outlier_get(struct server_shared *s, char to[SERVER_OUTLIER_BYTES]);

/* Every shared server there is, for /metrics and /status; under the registry's lock. */
void servers_shared_each(void (*each)(const struct server_shared *s, void *ctx), void *ctx);
