/* supervisor_priv.h - the supervisor's state, for supervisor.c, keeper.c and upgrade.c.
 *
 * One thread, one poll(2). Everything that takes time happens in child processes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "main/backoff.h"
#include "main/ban_export.h"
#include "main/ban_keeper.h"
#include "main/process.h"
#include "main/reader.h"
#include "main/sockets.h"
#include "main/watch.h"

enum supervisor_stage {
    SUPERVISOR_STARTING, /* no configuration has been in force yet: any failure is the end */
    SUPERVISOR_RUNNING,
    SUPERVISOR_STOPPING, /* the end of the worker is our end */
    SUPERVISOR_LEAVING,  /* the same, and a successor has taken over what others see of us */
    SUPERVISOR_ENDED,
};

/* The worker process, or a new supervisor that has not taken over yet. */
struct child {
    pid_t pid;   /* 0: none */
    int channel; /* -1: closed */
    int64_t started_ms;
};

struct supervisor {
    const struct process_options *options;
    char *own_path;
    struct addr control; /* len 0: none */
    struct sockets sockets;
    int signals;
    bool confined;  /* its system calls, once a configuration said how */
    bool own_files; /* remove the files of unix sockets at the end */
    uint8_t stage;  /* enum supervisor_stage */
    int exit_code;
    int64_t started_unix_ms;
    /* the configuration */
    struct reader reader;
    int bundle;         /* in force; -1: none yet */
    int bundle_next;    /* being installed by the worker; -1 */
    int64_t generation; /* of the one in force */
    struct watch watch; /* files of the one in force */
    char *pid_file;     /* written by us; NULL */
    /* the worker process */
    struct child worker;
    struct child
        old;         /* the one before it, while it hands over and until it has ended (replace.c) */
    bool old_leaves; /* the next one serves */
    bool ready;      /* it serves */
    bool asked;      /* it waits for a HANDOVER_CONFIG */
    bool reload_due; /* as soon as it serves */
    int64_t kill_at_ms;  /* when it must have ended; 0: whenever it likes */
    int64_t start_at_ms; /* when the next is due; 0: none is */
    struct backoff backoff;
    uint32_t restarts;
    int64_t restarted_unix_ms;
    int64_t died_ms;
    struct text reason;  /* of its last death */
    struct text tickets; /* keys of TLS session tickets, for the next one; secret */
    struct text changes; /* of servers at run time, for the next one */
    struct ban_keeper bans;
    struct ban_export ban_export;
    struct text report; /* what it said about its configuration */
    /* upgrades */
    struct child next; /* the new supervisor */
    int64_t next_by_ms;
    struct text next_report;
    int elder; /* channel to the old supervisor, until ours is in force; -1 */
};

int64_t supervisor_now_ms(void);
int64_t supervisor_unix_ms(void);
/* The wait status of a child as words: "killed by signal 9 (Killed)". */
void supervisor_add_status(struct text *to, int status);
/* Instead of those that are kept; empty: none. */
void supervisor_keep_tickets(struct supervisor *s, struct slice bytes);
void supervisor_keep_changes(struct supervisor *s, struct slice text);
void supervisor_stop(struct supervisor *s);
void supervisor_end(struct supervisor *s, int exit_code);

/* ---- keeper.c: the worker process ---- */

void keeper_start(struct supervisor *s); /* with the bundle being installed, or that in force */
void keeper_on_message(struct supervisor *s);
void keeper_on_bans(struct supervisor *s, struct slice lines); /* that have changed */
void keeper_on_death(struct supervisor *s, int status);
/* The reader has ended; `bundle` -1: it failed. */
void keeper_on_read(struct supervisor *s, int bundle);
void keeper_order(struct supervisor *s, enum handover_order o);
void keeper_reload(struct supervisor *s);
/* Answers a worker that waits for a configuration, which hears nothing else until then. */
void keeper_refuse(struct supervisor *s, const char *why);

/* What was prepared is not wanted any more. */
void keeper_forget_next(struct supervisor *s);

/* ---- replace.c: from one worker process to the next ---- */

void replace_begin(struct supervisor *s);
/* The next one failed: the old one stays. False: there is none that could. */
bool replace_take_back(struct supervisor *s, const char *why);
void replace_finish(struct supervisor *s); /* the next one serves */
void replace_stop(struct supervisor *s);
void replace_end_now(struct supervisor *s);
void replace_on_message(struct supervisor *s);
void replace_on_death(struct supervisor *s);

/* ---- upgrade.c ---- */

void upgrade_begin(struct supervisor *s);
void upgrade_on_message(struct supervisor *s);
void upgrade_on_death(struct supervisor *s, int status);
void upgrade_give_up(struct supervisor *s, const char *why); /* when one is under way */
/* As the new one: takes the sockets over; false: the old one is gone already. */
bool upgrade_inherit(struct supervisor *s);
void upgrade_on_elder(struct supervisor *s);
void upgrade_tell_elder(struct supervisor *s); /* our configuration is in force */

/* ---- pid_file.c ---- */

bool pid_file_write(const char *path);
void pid_file_remove(const char *path); /* when it names this process */
