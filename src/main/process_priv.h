/* process_priv.h - the state of a running weir, for process.c, reload.c and stop.c. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "admin/admin.h"
#include "conf/snapshot.h"
#include "io/signals.h"
#include "main/listeners.h"
#include "main/load.h"
#include "main/process.h"
#include "main/sandbox.h"
#include "main/supervised.h"
#include "main/workers.h"
#include "net/dns.h"
#include "proxy/probe.h"
#include "upstream/changes.h"

enum process_stage {
    PROCESS_RUNNING,
    PROCESS_DRAINING, /* worker threads finish what they have */
    PROCESS_CLOSING,  /* they ended; the main thread's worker does the same */
};

/* Main thread only; lives on process_run()'s stack. */
struct process {
    char *path; /* of the configuration */
    struct supervised supervised;
    struct workers workers;
    struct tls_tickets *tickets; /* shared by the workers */
    struct timer tickets_renew, bans_tell;
    struct listeners listeners;
    struct sandbox sandbox;
    struct admin_source admin;
    struct conf *conf;             /* in force; main's count */
    int bundle;                    /* that conf was made from; -1: none yet */
    struct server_changes changes; /* that hold */
    struct signals *signals;
    struct dns *dns;
    struct ocsp_stapler *stapler; /* NULL: no DNS */
    struct upstream_resolver *resolver;
    struct probes probes;
    struct upstream_checker *checker; /* NULL: nothing is checked */
    struct upstream_outliers *outliers;
    struct cache_shared *cache;
    struct disk_shared *disk; /* NULL: none */
    char *disk_path;
    struct work_pool_shared *work; /* for what would hold up a loop */
    struct password_checks_shared *passwords;
    struct timer deadline;  /* of the current stage of stopping */
    struct slice resolvers; /* that `dns` was made with; in conf's arena */
    bool aborted;           /* the deadline has passed once */
    bool reloaded;          /* at least once */
    bool replaced;          /* by a process that is being started: it has the next configuration */
    bool reload_due;        /* ordered while an earlier one was still being installed */
    uint8_t stage;          /* enum process_stage */
};

struct loop *process_loop(struct process *p);

/* reload.c */
void process_reload_init(struct process *p);
/* Makes `c` the configuration in force; takes over main's count. Listeners are bound already. */
void process_install(struct process *p, struct conf *c);
/* Loads a configuration from a bundle of the supervisor, which stays open. */
bool process_load(struct process *p, struct load *l, int bundle, uint64_t generation);
/* Reads the configuration again. False: the old one stays, the errors are in *report. */
bool process_reload(struct process *p, struct text *report);
void process_stay(struct process *p); /* nobody replaces it after all */
/* Builds the configuration in force again, because p->changes are others. False: the old one stays.
 */
bool process_rebuild(struct process *p, struct text *why);
void process_dns_free(struct process *p);

/* changes.c */
void process_changes_init(struct process *p); /* those that the worker before had */
bool process_change(struct process *p, const struct server_order *o, struct text *why);

/* tickets.c */
bool process_tickets_init(struct process *p); /* before there are workers */
void process_tickets_begin(struct process *p);
void process_tickets_end(struct process *p); /* before the loop is given back */

/* bans.c */
void process_bans_begin(struct process *p); /* before there are threads */
void process_bans_end(struct process *p);   /* before the loop is given back */

/* staples.c: they need p->dns */
void process_staples_sync(struct process *p, const struct conf *c);
void process_staples_free(struct process *p);

/* checks.c */
void process_checks_sync(struct process *p, struct conf *c);
void process_checks_free(struct process *p);

/* cache.c */
bool process_cache_begin(struct process *p);
void process_cache_sync(struct process *p, struct conf *c);
void process_cache_end(struct process *p); /* after the workers */

/* sandbox_status.c */
struct json_t *process_sandbox_json(void *ctx);
/* passwords.c */
void process_passwords_begin(struct process *p);
void process_work_end(struct process *p);      /* the threads; before the workers are released */
void process_passwords_end(struct process *p); /* after them */

/* stop.c */
void process_stop_init(struct process *p);
void process_stop(struct process *p);  /* gracefully; again: no effect */
void process_leave(struct process *p); /* the same, for a successor that serves already */
void process_end_now(void) __attribute__((noreturn));
void process_advance(struct process *p); /* after each tick: from one stage to the next */
