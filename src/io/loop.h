/* loop.h - the event loop of one thread: I/O completions, timers, mail, tasks, flush, reap.
 *
 * loop_tick() is the order in which everything happens (docs/ARCHITECTURE.md). Work is never done
 * inside a callback: a callback records what happened and wakes a task. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/counters.h"
#include "base/list.h"
#include "base/rand.h"
#include "base/task.h"
#include "io/io.h"
#include "io/mailbox.h"
#include "io/pipe.h"
#include "io/timer.h"

struct io_backend;

enum { LOOP_CROWD = 4, LOOP_CROWDED_LOOKS = 8 }; /* results in a look, such looks in a row */

/* Something with output to send at the end of the tick (a conn). */
struct flush {
    struct list link;
    void (*run)(struct flush *f);
};

/* Something to free at the end of the tick. ready() says whether no op is armed any more. */
struct dead {
    struct list link;
    bool (*ready)(struct dead *d); /* NULL: always */
    void (*free)(struct dead *d);
};

struct loop_budget {
    int tasks_per_tick;   /* 256 */
    int accepts_per_tick; /* 32, per listener */
};

struct loop {
    const struct io_backend *backend;
    void *backend_priv;
    int64_t now_ms, now_ns; /* monotonic; read once a tick */
    int64_t unix_ms;        /* wall clock of this tick */
    struct timer_wheel timers;
    struct mailbox_shared *mailbox;
    struct io_op *done_head, **done_tail; /* results whose done() has not run */
    struct task_queue tasks;              /* the run queue */
    struct list flushes, dead;
    struct buf_pool bufs;
    struct io_pipes pipes;
    struct counters_shared *counters;
    struct rand rand;
    struct loop_budget budget;
    struct list starved;          /* recvs that wait for a buffer (io_op.starved_link) */
    struct loop_block *blocks[2]; /* spare ones by size, see loop_block_take() */
    int block_count[2];
    int64_t trim_at_ms;
    size_t trimmed_bytes;              /* of buffers, not yet given back to the kernel */
    void (*on_unused)(struct loop *l); /* free what is spare; may be NULL */
    int busy_ticks;                    /* ticks in a row that did not look for new events */
    uint32_t found, crowded_looks;     /* see loop_is_crowded() */
    bool stopping;
};

extern const struct io_backend io_backend_epoll;
extern const struct io_backend io_backend_sim; /* see io/sim.h */

/* `counters` is borrowed for the loop's life. False: the kernel refused (errno). */
bool loop_init(struct loop *l, const struct io_backend *backend, void *backend_arg,
               struct counters_shared *counters, size_t buffer_cap_bytes);
/* Runs what was closed or canceled to its end first, so that the reaper gets everything. */
void loop_release(struct loop *l);

bool loop_busy(struct loop *l); /* something can be done without waiting, due timers included */
/* Work comes faster than it is done: each of the last looks at the kernel found several results
 * that had waited for it. */
static inline bool loop_is_crowded(const struct loop *l)
{
    return l->crowded_looks >= LOOP_CROWDED_LOOKS;
}
void loop_tick(struct loop *l); /* waits for something to do, then does it */
void loop_look(struct loop *l); /* the next tick looks for events, busy as it may be */
void loop_run(struct loop *l);  /* ticks until loop_stop() */
void loop_stop(struct loop *l);

void flush_init(struct flush *f, void (*run)(struct flush *f));
void flush_later(struct loop *l, struct flush *f); /* at the end of this tick, once */
void flush_cancel(struct flush *f);

/* Memory for what a connection needs only while something happens on it (an output ring, a
 * request): recycled from small stacks, freed with the loop. NULL: no memory. Not zeroed. */
enum loop_block_size { LOOP_BLOCK_SMALL, LOOP_BLOCK_LARGE };
enum { LOOP_BLOCK_SMALL_BYTES = 456, LOOP_BLOCK_LARGE_BYTES = 2624, LOOP_BLOCKS_KEPT = 256 };
void *loop_block_take(struct loop *l, enum loop_block_size size)
    __attribute__((warn_unused_result));
void loop_block_give(struct loop *l, enum loop_block_size size, void *block);

void dead_add(struct loop *l, struct dead *d); /* the reaper: the only place that frees */
