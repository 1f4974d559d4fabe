/* shed.h - a worker that runs short of memory for buffers, or of descriptors, refuses some work in
 * time, so that it can do the rest. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/timer.h"
#include <stdbool.h>
#include <stdint.h>

struct guest_host;
struct worker;

/* Per mille of what there is. */
enum {
    SHED_BUFFERS_FROM = 850, /* requests of priority 0 are refused */
    SHED_BUFFERS_ALL = 950,  /* of any priority */
    SHED_BUFFERS_END = 800,  /* the state is over */
    SHED_FDS_IDLE = 900,     /* connections give way to new ones */
    SHED_FDS_ALL = 970,      /* new ones, too */
    SHED_FDS_END = 800,
    SHED_CONNS_AT_ONCE = 16,
    SHED_SLOW_AT_ONCE = 4,
    SHED_REVIEW_MS = 1000
};

/* Embedded in the worker. */
struct shed {
    int64_t fds_max;     /* descriptors that the process may have; 0: not asked yet */
    int64_t refused;     /* requests, in the state that goes on */
    int64_t closed;      /* connections, likewise */
    bool buffers, fds;   /* is it short of them */
    struct timer review; /* is it still */
};

/* May a request of this priority go to a server? */
bool shed_admits(struct worker *w, int64_t priority);
/* A connection of this address was accepted as `fd`. False: it should be closed. */
bool shed_accepts(struct worker *w, int fd, struct guest_host *for_whom);
/* Accepting stopped because there are no descriptors: closes some connections. */
void shed_no_fds(struct worker *w);
int64_t shed_fds_max(struct worker *w); /* descriptors that the process may have */
void shed_init(struct worker *w);
void shed_release(struct worker *w);
