/* loop.c - the event loop of one thread. loop_tick() is the order in which everything happens.
 *
 * A tick first runs what the kernel finished; callbacks only record and wake. Then timers, mail
 * and the woken tasks run (this is where requests advance), then each connection that got output
 * makes its one send, and at the end the reaper frees what was closed - nowhere else is anything
 * freed, so a pointer that was good at the top of a tick is good until its end.
 *
 * The kernel is asked for new events only when nothing is left to do here. Sends that succeeded at
 * once are settled in the same tick, so that they alone make no tick more (4 ticks a request became
 * 2). After LOOP_BUSY_TICKS ticks with work left the kernel is polled without waiting, so that
 * sockets get their turn.
 */
// SPDX-License-Identifier: Apache-2.0
#include "io/loop.h"
#include "base/asan.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/prefetch.h"
#include "io/backend.h"
#include <stdlib.h>

enum {
    LOOP_BUSY_TICKS = 8,
    LOOP_TRIM_MS = 1000,  /* how often unused buffers go back to the system */
    LOOP_IDLE_MS = 60000, /* longest sleep */
    LOOP_GIVE_BACK_BYTES = 1 << 20,
    LOOP_RELEASE_TICKS = 1000,
    IO_LOOK_AT_NOTHING = -1 /* for io_tick() */
};

struct loop_block {
    struct loop_block *next;
};

static void run_tasks(struct loop *l);
static void run_flushes(struct loop *l);
static void reap(struct loop *l);
static void publish(struct loop *l);
static int wait_ms(struct loop *l);

static void tick(struct loop *l, int timeout_ms)
{
    io_tick(l, timeout_ms);            /* completions: record results, wake tasks */
    timers_run(&l->timers, l->now_ms); /* deadlines: the same */
    mailbox_run(l->mailbox, l);        /* what other threads sent */
    run_tasks(l);                      /* requests advance */
    run_flushes(l);                    /* one send per connection with output */
    io_settle(l);                      /* what was sent at once is done with */
    reap(l);                           /* the only place that frees */
    publish(l);
}

void loop_tick(struct loop *l)
{
    tick(l, wait_ms(l));
}

static bool is_ready(struct dead *d)
{
    return !d->ready || d->ready(d);
}

/* What is left from this tick, or was asked for outside of one. */
static bool has_work(const struct loop *l)
{
    if (l->done_head || l->tasks.head || !list_empty(&l->flushes) || io_can_feed_starved(l))
        return true;
    LIST_EACH (it, &l->dead)
        if (is_ready(LIST_ENTRY(it, struct dead, link)))
            return true;
    return false;
}

/* How long io_tick() may wait; IO_LOOK_AT_NOTHING: it shall not even ask. */
static int wait_ms(struct loop *l)
{
    if (!has_work(l)) {
        l->busy_ticks = 0;
        int max_ms = l->bufs.cached_bytes || l->pipes.spare ? LOOP_TRIM_MS : LOOP_IDLE_MS;
        return l->stopping ? 0 : timers_wait_ms(&l->timers, l->now_ms, max_ms);
    }
    if (++l->busy_ticks <= LOOP_BUSY_TICKS)
        return IO_LOOK_AT_NOTHING;
    l->busy_ticks = 0;
    return 0;
}

static void run_tasks(struct loop *l)
{
    struct task *t;
    for (int n = 0; n < l->budget.tasks_per_tick && (t = task_queue_pop(&l->tasks)); n++)
        t->run(t);
}

static void run_flushes(struct loop *l)
{
    struct list *link;
    while ((link = list_pop(&l->flushes))) {
        struct flush *f = LIST_ENTRY(link, struct flush, link);
        f->run(f);
    }
}

static void reap(struct loop *l)
{
    struct list *it = l->dead.next;
    while (it != &l->dead) {
        struct dead *d = LIST_ENTRY(it, struct dead, link);
        struct list *prev = it->prev; /* free() may add more at the end */
        if (is_ready(d)) {
            list_remove(it);
            d->free(d);
            it = prev;
        }
        it = it->next;
    }
}

static void free_blocks(struct loop *l, enum loop_block_size size)
{
    for (struct loop_block *b; (b = l->blocks[size]); free(b))
        l->blocks[size] = b->next;
    l->block_count[size] = 0;
}

static void free_spares(struct loop *l)
{
    free_blocks(l, LOOP_BLOCK_SMALL);
    free_blocks(l, LOOP_BLOCK_LARGE);
    if (l->on_unused)
        l->on_unused(l);
}

/* What was of no use for a while goes back; when nothing was used at all, everything, so that there
 * is nothing left to wake up for. */
static void trim(struct loop *l)
{
    size_t cached_bytes = l->bufs.cached_bytes;
    l->trim_at_ms = l->now_ms + LOOP_TRIM_MS;
    if (l->bufs.peak_bytes == 0)
        free_spares(l);
    buf_pool_trim(&l->bufs);
    io_pipes_trim(l);
    l->trimmed_bytes += cached_bytes - l->bufs.cached_bytes;
    if (l->trimmed_bytes < LOOP_GIVE_BACK_BYTES)
        return;
    l->trimmed_bytes = 0;
    mem_give_back();
}

static void publish(struct loop *l)
{
    struct counters_shared *c = l->counters;
    counter_add(c, METRIC_LOOP_TICKS, 1);
    counter_add(c, METRIC_BUFFER_BYTES,
                (int64_t)l->bufs.held_bytes - counter_get(c, METRIC_BUFFER_BYTES));
    counter_add(c, METRIC_BUFFERS_REFUSED,
                (int64_t)l->bufs.refused - counter_get(c, METRIC_BUFFERS_REFUSED));
    if (l->now_ms >= l->trim_at_ms)
        trim(l);
}

bool loop_init(struct loop *l, const struct io_backend *backend, void *backend_arg,
               struct counters_shared *counters, size_t buffer_cap_bytes)
{
    *l = (struct loop){.backend = backend, .counters = counters};
    l->budget = (struct loop_budget){.tasks_per_tick = 256, .accepts_per_tick = 32};
    l->done_tail = &l->done_head;
    task_queue_init(&l->tasks);
    list_init(&l->flushes);
    list_init(&l->dead);
    list_init(&l->starved);
    buf_pool_init(&l->bufs, buffer_cap_bytes);
    rand_init_system(&l->rand);
    l->mailbox = mailbox_new();
    if (!l->mailbox)
        return false;
    if (!backend->open(l, backend_arg)) {
        mailbox_free(l->mailbox);
        return false;
    }
    backend->clock(l);
    l->trim_at_ms = l->now_ms + LOOP_TRIM_MS;
    timer_wheel_init(&l->timers, l->now_ms);
    return true;
}

void loop_release(struct loop *l)
{
    for (int n = 0; n < LOOP_RELEASE_TICKS && (l->done_head || !list_empty(&l->dead)); n++)
        tick(l, IO_LOOK_AT_NOTHING);
    ASSERT(list_empty(&l->dead) && list_empty(&l->starved));
    l->backend->close(l);
    mailbox_free(l->mailbox);
    io_pipes_release(l);
    buf_pool_release(&l->bufs);
    free_blocks(l, LOOP_BLOCK_SMALL);
    free_blocks(l, LOOP_BLOCK_LARGE);
}

bool loop_busy(struct loop *l)
{
    return has_work(l) || !mailbox_empty(l->mailbox) ||
           timers_wait_ms(&l->timers, l->now_ms, 1) == 0;
}

void loop_look(struct loop *l)
{
    l->busy_ticks = LOOP_BUSY_TICKS;
}

void loop_run(struct loop *l)
{
    while (!l->stopping)
        loop_tick(l);
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

void flush_init(struct flush *f, void (*run)(struct flush *f))
{
    list_init(&f->link);
    f->run = run;
}

void flush_later(struct loop *l, struct flush *f)
{
    if (!list_linked(&f->link))
        list_push(&l->flushes, &f->link);
}

void flush_cancel(struct flush *f)
{
    list_remove(&f->link);
}

void dead_add(struct loop *l, struct dead *d)
{
    list_push(&l->dead, &d->link);
}

enum { FIRST_BYTES = 384 }; /* of a block */

void *loop_block_take(struct loop *l, enum loop_block_size size)
{
    struct loop_block *b = l->blocks[size];
    if (!b)
        return malloc(size == LOOP_BLOCK_SMALL ? LOOP_BLOCK_SMALL_BYTES : LOOP_BLOCK_LARGE_BYTES);
    l->blocks[size] = b->next;
    if (b->next)
        prefetch_for_write(b->next, FIRST_BYTES);
    l->block_count[size]--;
    return b;
}

void loop_block_give(struct loop *l, enum loop_block_size size, void *block)
{
    if (ASAN_ON || l->block_count[size] == LOOP_BLOCKS_KEPT) {
        free(block);
        return;
    }
    struct loop_block *b = block;
    b->next = l->blocks[size];
    l->blocks[size] = b;
    l->block_count[size]++;
}
