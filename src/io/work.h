/* work.h - a few threads for what would hold up a loop: jobs go in, mail comes out.
 *
 * A struct work is embedded in its owner, which lives until done(), or until run() when nobody is
 * to be told. Jobs of one share (an address, a customer) take turns with those of others: who has
 * many waiting is behind who has few. Threads are started when they are first needed. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/list.h"
#include "io/mailbox.h"
#include <stdint.h>

struct work_pool_shared;

enum {
    WORK_THREADS_MAX = 8,
    WORK_QUEUE_MAX = 256, /* jobs that wait for a thread */
    WORK_SHARE_MAX = 32,  /* of them of one share */
};

struct work {
    /* The owner's to set. */
    void (*run)(struct work *w); /* on a thread of the pool: may wait, reaches only its owner */
    void (*done)(struct work *w, struct loop *l); /* on the loop of who posted it; NULL: none */
    uint64_t share;                               /* whose it is */
    /* Set when the pool has ended before: run() then does only what nobody else can. */
    bool canceled;
    /* The pool's. */
    struct mail mail;
    struct mailbox_shared *to;
    struct list link;
    uint64_t turn;
};

struct work_pool_shared *work_pool_new(uint32_t threads);
/* Waits for what is being run; what still waits is canceled. Loops that posted must be there. */
void work_pool_free(struct work_pool_shared *p);
/* Any thread; `l` is the caller's, and may be NULL without done(). False: too many jobs wait, of
 * all or of this share, or there is no thread; nothing of it is called then. */
bool work_post(struct work_pool_shared *p, struct work *w, struct loop *l);
