/* waiter.c - a mail that says "look again", posted at most once at a time.
 *
 * `posted` is set by whoever posts and cleared on the waiter's own thread before it wakes, so that
 * the mail is never in two lists, and an event after the wake posts again. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/waiter.h"
#include "io/loop.h"
#include <stdlib.h>

static void waiter_run(struct mail *m, struct loop *l)
{
    struct waiter *w = CONTAINER_OF(m, struct waiter, mail);
    (void)l;
    /* release: the mail's link is read before the next poster writes it. */
    atomic_store_explicit(&w->posted, false, memory_order_release);
    if (w->closed)
        free(w);
    else
        w->wake(w->ctx);
}

struct waiter *waiter_new(struct loop *l, void (*wake)(void *ctx), void *ctx)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->mail.run = waiter_run;
    list_init(&w->link);
    w->loop = l;
    w->wake = wake;
    w->ctx = ctx;
    return w;
}

void waiter_post(struct waiter *w)
{
    w->listed = false;
    if (!w->loop) {
        w->wake(w->ctx);
        return;
    }
    /* acquire: pairs with the release of waiter_run(); acq_rel for who posted in between. */
    if (!atomic_exchange_explicit(&w->posted, true, memory_order_acq_rel))
        mailbox_post(w->loop->mailbox, &w->mail);
}

void waiter_close(struct waiter *w)
{
    ASSERT(!w->listed);
    w->closed = true;
    /* Only posters that held the list's lock set it, and only this thread clears it: acquire is
     * for what they wrote. */
    if (!atomic_load_explicit(&w->posted, memory_order_acquire))
        free(w);
}
