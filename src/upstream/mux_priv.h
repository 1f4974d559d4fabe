/* mux_priv.h - leases on connections that are shared. Private to src/upstream. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/mux.h"
#include "upstream/lease.h"
#include "upstream/pool_priv.h"

enum { MUX_CONNS_MAX = 64 }; /* of one worker to one server */

/* Does this lease look for a connection to share? */
bool mux_wanted(const struct lease *l);
/* Takes one with room (then the lease is ready), or waits for one that somebody opens. False: the
 * lease has to open one itself. */
bool mux_take(struct lease *l);
/* After mux_take() of a lease that waits: ERR_HOLD, or what ended the wait. ERR_OK with the lease
 * in LEASE_CONNECTING: look again. */
enum err mux_poll(struct lease *l) MUST_CHECK;
void mux_leave(struct lease *l); /* it waits no longer */

/* The connection that the lease has opened becomes one to share, if the server agreed. ERR_OK: it
 * did, or this upstream goes without. */
enum err mux_opened(struct lease *l, struct conn *c) MUST_CHECK;
/* The lease opens none any more. ERR_OK: another of those who wait may. */
void mux_open_ended(struct lease *l, enum err e); /* no effect unless it was the one to */

/* Gives the use back; `doubtful`: it got no answer. */
void mux_use_end(struct mux *m, bool doubtful);

void mux_pool_init(struct origin_pool *p);
void mux_pool_close(struct origin_pool *p); /* closes those that nobody uses */
