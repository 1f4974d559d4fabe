/* supervised.h - a worker process's line to its supervisor (see handover.h).
 *
 * Main thread only. Asking for a configuration waits for the answer; orders that arrive meanwhile
 * are kept and carried out after. When the supervisor is gone the process ends: the kernel sees to
 * it, and the closed line does, too. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "admin/admin.h"
#include "base/text.h"
#include "io/loop.h"
#include "main/bundle.h"
#include "main/sandbox.h"
#include "main/sockets.h"

struct supervised {
    int channel;
    struct addr control;          /* of the control socket; len 0: none */
    struct admin_supervisor info; /* for /status */
    struct sandbox_facts keeper;  /* of the supervisor */
    struct text reason;           /* of the last process's death */
    struct text news;             /* why the last upgrade failed */
    struct text tickets;          /* keys of the worker before; secret */
    struct text changes;          /* of servers, when the worker before ended */
    struct text bans;             /* that hold at the start (limit/bans_text.h) */
    struct sockets sockets;       /* received, not opened yet */
    unsigned orders;              /* bits: that wait to be carried out */
    int64_t generation;           /* that the configuration is to have */
    struct io_sock sock;
    struct io_op op;
    struct dead dead;
    struct loop *loop;
    bool closing;
};

/* Finds the channel and waits for the supervisor's HELLO. False: this process was not started by a
 * supervisor (told on stderr). */
bool supervised_begin(struct supervised *s);

/* Waits for a configuration and its sockets, asked for or not. The bundle's descriptor is the
 * caller's; -1: *why tells. */
int supervised_receive(struct supervised *s, struct text *why);
int supervised_prepare(struct supervised *s, struct text *why); /* asks for it first */

void supervised_in_force(struct supervised *s, uint64_t generation);
void supervised_refused(struct supervised *s);
/* The supervisor keeps these bytes for the next worker. */
void supervised_give_tickets(struct supervised *s, struct slice bytes);
void supervised_give_changes(struct supervised *s, struct slice text);
void supervised_give_bans(struct supervised *s, struct slice lines);
void supervised_report(struct supervised *s, struct slice text);
void supervised_ask_stop(struct supervised *s);
void supervised_ask_upgrade(struct supervised *s);
void supervised_ask_replace(struct supervised *s);

/* Watches the channel from now on: what arrives sets `orders`. */
bool supervised_watch(struct supervised *s, struct loop *l);
void supervised_unwatch(struct supervised *s);
/* Takes the next order, an enum handover_order; 0: none waits. */
int supervised_next_order(struct supervised *s);
void supervised_release(struct supervised *s); /* leaves the channel open until the process ends */
