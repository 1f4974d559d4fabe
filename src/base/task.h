/* task.h - a unit of work that can be woken, and the queue of those that were.
 *
 * The one way to say "go on" to something that one cannot name: upstream, timers and fetch wake an
 * exchange by its task. A task is embedded in its owner; waking it twice runs it once. Only the
 * loop runs tasks (io/loop.h); a queue belongs to one thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct task {
    struct task *next;
    void (*run)(struct task *t);
    bool queued;
};

struct task_queue {
    struct task *head, **tail;
};

void task_queue_init(struct task_queue *q);
struct task *task_queue_pop(struct task_queue *q); /* NULL when empty */

void task_init(struct task *t, void (*run)(struct task *t));
void task_wake(struct task_queue *q, struct task *t);
void task_cancel(struct task_queue *q, struct task *t); /* before its owner dies */
