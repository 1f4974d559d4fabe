/* conns.h - how many connections of clients are open, in sum and of each address: one table for the
 * process, exact across workers, which no reload touches.
 *
 * An address of IPv6 counts with its /64. A worker takes an address's entry with the first of its
 * connections and drops it after the last; in between counting takes no lock. Any thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/addr.h"

struct conns_shared;

/* Who is counted together. Those of one kind never count with those of the other. */
struct conns_who {
    struct addr_prefix prefix;
    uint64_t key; /* a keyed hash: clients do not choose who their neighbours are */
    bool exempt;  /* a trusted proxy, a unix socket: has no bound of its own */
};

enum conns_verdict {
    CONNS_IN,      /* counted until conns_leave() */
    CONNS_FULL,    /* there are `max` in sum */
    CONNS_OVERRUN, /* there are `per_address` of this one */
};

/* CONF_OFF (or anything below 0): no bound. */
struct conns_bounds {
    int64_t max, per_address;
};

struct conns_who conns_who_of(const struct addr *a);  /* exempt when it is no IP address */
struct conns_who conns_trusted(const struct addr *a); /* by its whole address; exempt */

/* The entry, counted; NULL: no memory. */
struct conns_shared *conns_take(const struct conns_who *who);
void conns_drop(struct conns_shared *c); /* after the last leave */

enum conns_verdict conns_enter(struct conns_shared *c, const struct conns_bounds *b);
void conns_leave(struct conns_shared *c);
uint32_t conns_of(const struct conns_shared *c);
uint32_t conns_sum(void);
size_t conns_write(char to[ADDR_TEXT_BYTES], const struct conns_shared *c); /* whose it is */

/* Those that have the most connections, the most first; how many were written. Takes time in the
 * number of addresses: for people who ask. */
struct conns_row {
    struct conns_who who;
    uint32_t count;
};
uint32_t conns_top(struct conns_row *rows, uint32_t most);
uint32_t conns_addresses(void);
