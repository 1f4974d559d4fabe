/* queue_priv.h - exchanges of one worker that wait because every server is at its limit. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/lease.h"

enum {
    QUEUE_TICK_MS = 50,     /* waiters look again so often, whatever they were told */
    QUEUE_LOCAL_IN_ROW = 8, /* then other workers get their turn */
    QUEUE_SCAN_MAX = 64,    /* waiters asked for one free place */
    QUEUE_STANDING = 10,    /* a queue not empty for this part of its timeout is overloaded */
    QUEUE_STALE = 4,        /* one that waited for this part of it then makes room for others */
    QUEUE_RETRY_MAX_S = 60
};

/* A place at the server, and what else is counted, for the lease: the upstream's limit, and the one
 * request after an ejection (`ejected_too`: whether or not there is one already). `l->server` is
 * `srv` then. False: not now. */
bool place_claim(struct lease *l, const struct server *srv, bool ejected_too);

/* A place at the server: counts against max_conns of all workers. False when there is none. */
bool place_take(const struct server *srv);
void place_release(struct lease *l); /* everything that place_claim() took */
/* The answer began: counts against the upstream's limit no more; `well`: a server on trial serves
 * again. True: it did count. */
bool place_answered(struct lease *l, bool well);

/* As place_release(), and tells those who wait. */
void place_give(struct lease *l);
/* There may be room below the upstream's limit: tells those who wait. */
void queue_room(struct lease *l);

/* Appends behind those of its priority; ERR_HOLD, or ERR_OVER_LIMIT when the queue is full of
 * others that are as important, ERR_DEADLINE, ERR_NO_MEMORY. */
enum err queue_add(struct lease *l) MUST_CHECK;
void queue_remove(struct lease *l); /* one that has no place yet */
void queues_release(struct origin_pools *all);

/* What a balancer is asked on behalf of a lease. */
struct pick lease_pick(struct lease *l);
