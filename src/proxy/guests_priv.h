/* guests_priv.h - guests and their hosts, for the files that let in, send away and say so. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn.h"
#include "proxy/guests.h"

/* The connections of one address in one worker; freed with the last of them. */
struct guest_host {
    struct conns_shared *shared;
    uint64_t key;
    struct list guests;  /* struct guest.link; looked at from the front */
    struct list rank;    /* in `ranked` */
    struct list *ranked; /* NULL: in none */
    int64_t barren_ms;   /* for its newcomers nobody was found to send away, until then */
    uint32_t count;      /* of `guests` */
    bool trusted;
    bool held; /* while somebody looks at it */
};

struct guest {
    struct conn_guest seat;
    struct list link;
    struct guest_host *host; /* NULL: it was told to go, and counts no more */
    struct conn *conn;
};

void guest_leave(struct guests *all, struct guest *g);

/* guests_evict.c: one goes for a newcomer to `for_whom` (NULL: for nobody in particular). */
bool guests_evict(struct worker *w, enum guests_short why, struct guest_host *for_whom);

/* guests_said.c: counts, and a line in the log, one a second for each kind. */
void guests_say_overrun(struct worker *w, const struct guest_host *h, int64_t most);
void guests_say_full(struct worker *w, const struct guest_host *h, int64_t most);
void guests_say_evicted(struct worker *w, const struct guest_host *h, enum guests_short why);
