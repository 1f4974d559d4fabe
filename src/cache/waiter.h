/* waiter.h - how a thread that waits for something shared is woken on its own loop.
 *
 * On the heap, because a mail to it may be under way when its owner goes. Owner: who made it; it
 * is freed by waiter_close(), or by the last mail after that. Lists of waiters are guarded by the
 * lock of what is waited for. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/list.h"
#include "io/mailbox.h"
#include <stdatomic.h>

struct loop;

struct waiter {
    struct mail mail;
    struct list link; /* of what it waits for; guarded by that one's lock */
    struct loop *loop;
    void (*wake)(void *ctx); /* on its loop; records, and wakes a task */
    void *ctx;
    bool listed; /* guarded by the same lock */
    _Atomic(bool) posted;
    bool closed; /* its owner's thread only */
};

/* NULL: no memory. Without a loop (a thread that has none) wake() is called by whoever posts, under
 * the lock of what is waited for: it may do no more than signal a condition. */
struct waiter *waiter_new(struct loop *l, void (*wake)(void *ctx), void *ctx);
/* With the lock of the list held; once until it is listed again. Any thread. */
void waiter_post(struct waiter *w);
/* It must not be listed any more. The owner's thread. */
void waiter_close(struct waiter *w);
