/* listeners.h - the addresses that the worker process listens on, over all configurations.
 *
 * Main thread only. The sockets come from the supervisor, which bound them (sockets.h). A slot
 * stands for one address by key and is never freed before the process ends: connections point to
 * its key. Public ones are shared out to the threads by turns, internal ones (admin, control) are
 * the main thread's. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/diag.h"
#include "conf/snapshot.h"
#include "main/sockets.h"
#include "net/addr.h"

struct listen_slot {
    struct listen_slot *next;
    struct slice key; /* of listen_conf; heap */
    struct addr addr;
    bool internal;
    bool open;   /* sockets are with the workers, or in fds */
    bool wanted; /* by the configuration that listeners_open() saw last */
    uint32_t fd_count;
    int *fds; /* just received; the i-th is for thread i % worker_count. NULL once handed over */
};

struct listeners {
    struct listen_slot *slots;
    uint32_t worker_count;
    const struct addr *control; /* NULL: none */
};

/* Takes from `from` what `c` wants and is not open yet. False: the errors are in `d` and nothing
 * has changed. The default admin address being taken is only a warning. */
bool listeners_open(struct listeners *l, const struct conf *c, struct sockets *from,
                    struct diag *d);

/* After the sockets were handed to the workers: what is not wanted counts as closed. */
void listeners_settle(struct listeners *l);

bool listeners_has(const struct listeners *l, struct slice key); /* is this one open? */

/* At the end: closes what was never handed over, frees. */
void listeners_release(struct listeners *l);
