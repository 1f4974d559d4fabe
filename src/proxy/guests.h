/* guests.h - the client connections of a worker by address: who may come, and who goes when weir
 * runs short.
 *
 * Each connection is a guest of its address's host. The counts that bounds are about are those of
 * all workers (limit/conns.h); whom to send away a worker looks for among its own: the addresses
 * with the most connections, of these first what idles, then what moves the least. Whoever has few
 * connections is sent away for idling only, or for never having sent a whole request in seconds.
 *
 * Owner: the worker. A guest lives until its connection is freed. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "base/list.h"
#include "limit/conns.h"

struct conn;
struct guest;
struct guest_host;
struct worker;

enum {
    GUEST_RANKS = 24,      /* of addresses, by the power of two that their connections reach */
    GUESTS_FEW = 8,        /* so many connections are few: they are not sent away for being slow */
    GUESTS_CROWD = 32,     /* so many are, when it is about buffers */
    GUEST_STUCK_MS = 2000, /* for a first request; then it may be sent away from any address */
    CONNS_ADDRESS_MIN = 1000 /* of one address, by default; more where there may be many in sum */
};

/* Embedded in the worker. */
struct guests {
    struct hash_map hosts;          /* by key */
    struct list ranks[GUEST_RANKS]; /* struct guest_host.rank */
    struct list trusted;            /* likewise: they have no rank */
};

/* Why somebody is sent away. */
enum guests_short { SHORT_OF_PLACES, SHORT_OF_FDS, SHORT_OF_BUFFERS };

void guests_init(struct worker *w);
void guests_release(struct worker *w); /* after the last connection was freed */

/* A connection was accepted as `fd` from `peer`: counts it, if need be in the place of another one.
 * NULL: it is to be closed. guests_seat() follows. */
struct guest *guests_admit(struct worker *w, const struct addr *peer, int fd);
/* Its connection; NULL: none came of it. */
void guests_seat(struct worker *w, struct guest *g, struct conn *c);

/* Sends at most `most` away for a newcomer to `for_whom`, of those that are at work one; NULL: for
 * nobody in particular. For buffers, nobody who idles. How many. */
uint32_t guests_relieve(struct worker *w, enum guests_short why, struct guest_host *for_whom,
                        uint32_t most);

/* The bounds in force. */
struct conns_bounds guests_bounds(struct worker *w);
