/* listeners.h - the addresses that the process listens on, over all configurations.
 *
 * Main thread only. A slot stands for one address by key and is never freed before the process
 * ends: connections point to its key. An address of the public kind has one socket per worker
 * (SO_REUSEPORT), an internal one (admin, control) one for the main thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/diag.h"
#include "conf/snapshot.h"
#include "net/addr.h"

struct listen_slot {
    struct listen_slot *next;
    struct slice key; /* of listen_conf; heap */
    struct addr addr;
    bool internal;
    bool open;   /* sockets are with the workers, or in fds */
    bool wanted; /* by the configuration that listeners_open() saw last */
    int *fds;    /* just bound, one per socket; NULL once handed over */
};

struct listeners {
    struct listen_slot *slots;
    uint32_t worker_count;
    const struct addr *control; /* NULL: none */
};

enum listeners_flags {
    LISTENERS_FIRST = 1, /* the start: an address that any process listens on is an error, even one
                          * that would share its port with us */
};

/* Binds what `c` wants and is not open yet. False: the errors are in `d` and nothing has changed.
 * The default admin address being taken is only a warning. */
bool listeners_open(struct listeners *l, const struct conf *c, unsigned flags, struct diag *d);

/* After the sockets were handed to the workers: what is not wanted counts as closed. */
void listeners_settle(struct listeners *l);

bool listeners_has(const struct listeners *l, struct slice key); /* is this one open? */

uint32_t listen_slot_sockets(const struct listeners *l, const struct listen_slot *s);

/* At the end: closes what was never handed over, removes the files of unix sockets, frees. */
void listeners_release(struct listeners *l);
