/* password_checks.h - passwords are verified off the loop, each once, and remembered for a while.
 *
 * Shared by all workers. A pair of user and password that many requests bring at once is hashed
 * once; who asks for what is being hashed is told with the first. What is remembered is a keyed
 * hash of pair and stored hash: no password, and nothing that outlives a change of the stored one.
 * Owner: the process. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct password_checks_shared;
struct password_wait;
struct work_pool_shared;

enum {
    PASSWORD_GOOD_MS = 5 * 60 * 1000, /* so long one that fits is remembered */
    PASSWORD_BAD_MS = 5 * 1000,       /* and one that does not */
    PASSWORD_GOOD_MAX = 16384,        /* that are remembered: the oldest goes */
    PASSWORD_BAD_MAX = 4096,
    PASSWORD_WAITS_MAX = 1024, /* who may wait for one that is being hashed */
};

enum password_state {
    PASSWORD_GOOD,
    PASSWORD_BAD,
    PASSWORD_BUSY,   /* too many are being verified */
    PASSWORD_BEGUN,  /* told() comes */
    PASSWORD_JOINED, /* the same: somebody else had asked already */
};

struct password_question {
    struct slice user, password; /* at most BASIC_USER_MAX and PASSWORD_MAX bytes */
    const char *hash;            /* that was not refused; copied */
    bool decoy;                  /* there is no such user: as slow, and never good */
    uint64_t share;              /* who asks (io/work.h) */
};

/* Good, bad or busy; on the asker's loop, once. */
typedef void password_told_fn(void *ctx, enum password_state s);

struct password_checks_shared *password_checks_new(struct work_pool_shared *pool);
void password_checks_free(struct password_checks_shared *c); /* after the pool */

/* BEGUN, JOINED: *wait is set until told(). */
enum password_state password_ask(struct password_checks_shared *c,
                                 const struct password_question *q, struct loop *l,
                                 password_told_fn *told, void *ctx, struct password_wait **wait);
/* Who asked goes: it is not told. On its loop. */
void password_leave(struct password_wait *w);
