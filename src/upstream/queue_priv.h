/* queue_priv.h - exchanges of one worker that wait because every server is at its limit. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/lease.h"

enum {
    QUEUE_TICK_MS = 50,     /* waiters look again so often, whatever they were told */
    QUEUE_LOCAL_IN_ROW = 8, /* then other workers get their turn */
    QUEUE_SCAN_MAX = 64     /* waiters asked for one free place */
};

/* A place at the server: counts against max_conns of all workers. False when there is none. */
bool place_take(const struct server *srv);
/* Gives the place of `l->server` back and tells those who wait. */
void place_give(struct lease *l);

/* Appends behind those of its priority; ERR_HOLD, or ERR_OVER_LIMIT when the queue is full of
 * others that are as important, ERR_NO_MEMORY. */
enum err queue_add(struct lease *l) MUST_CHECK;
void queue_remove(struct lease *l); /* one that has no place yet */
void queues_release(struct origin_pools *all);

/* What a balancer is asked on behalf of a lease. */
struct pick lease_pick(struct lease *l);
