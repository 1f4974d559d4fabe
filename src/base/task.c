/* task.c - the queue of woken tasks: first in, first out.
 *
 * Cancelling walks the queue. That is rare (an owner that dies between its wake and its run) and
 * a queue is drained every tick, so a link back would cost more than it saves. */
// SPDX-License-Identifier: Apache-2.0
#include "base/task.h"
#include "base/assert.h"
#include "base/prefetch.h"

/* What a task's owner keeps behind it that a turn is likely to need. */
enum { OWNER_BYTES = 1536 };

void task_queue_init(struct task_queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

struct task *task_queue_pop(struct task_queue *q)
{
    struct task *t = q->head;
    if (!t)
        return NULL;
    q->head = t->next;
    if (q->head)
        prefetch_for_write(q->head, OWNER_BYTES);
    else
        q->tail = &q->head;
    t->next = NULL;
    t->queued = false; /* before it runs, so that it may wake itself again */
    return t;
}

void task_init(struct task *t, void (*run)(struct task *t))
{
    *t = (struct task){.run = run};
}

void task_wake(struct task_queue *q, struct task *t)
{
    if (t->queued)
        return;
    t->queued = true;
    t->next = NULL;
    *q->tail = t;
    q->tail = &t->next;
}

void task_cancel(struct task_queue *q, struct task *t)
{
    if (!t->queued)
        return;
    struct task **link = &q->head;
    while (*link && *link != t)
        link = &(*link)->next;
    ASSERT(*link == t); /* queued, but somewhere else */
    *link = t->next;
    if (!t->next)
        q->tail = link;
    t->next = NULL;
    t->queued = false;
}
