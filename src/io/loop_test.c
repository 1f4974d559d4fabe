/* loop_test.c - the order of a tick, its budgets, and when the kernel is asked. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "base/assert.h"
#include "io/backend.h"
#include "io/loop.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct counters_shared counters;
static struct loop loop;

/* The epoll backend with its waits counted. */
static int waits, last_timeout_ms;
static struct io_backend counting;

static void counted_wait(struct loop *l, int timeout_ms)
{
    waits++;
    last_timeout_ms = timeout_ms;
    io_backend_epoll.wait(l, timeout_ms);
}

static int set_up(void **state)
{
    (void)state;
    memset(&counters, 0, sizeof(counters));
    counting = io_backend_epoll;
    counting.wait = counted_wait;
    waits = 0;
    assert_true(loop_init(&loop, &counting, NULL, &counters, 1 << 20));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_release(&loop);
    return 0;
}

static char order[64];

static void note(const char *what)
{
    strncat(order, what, sizeof(order) - strlen(order) - 1);
}

static struct task task;
static struct flush flush;
static struct dead dead;
static struct timer timer;
static struct mail mail;

static void task_run(struct task *t)
{
    (void)t;
    note("task ");
    flush_later(&loop, &flush);
    flush_later(&loop, &flush);
    dead_add(&loop, &dead);
}

static void flush_run(struct flush *f)
{
    (void)f;
    note("flush ");
}

static void dead_free(struct dead *d)
{
    (void)d;
    note("dead ");
}

static void timer_fire(struct timer *t)
{
    (void)t;
    note("timer ");
    task_wake(&loop.tasks, &task);
}

static void mail_run(struct mail *m, struct loop *l)
{
    (void)m;
    note("mail ");
    task_wake(&l->tasks, &task);
}

static void on_io(struct io_op *op, int res)
{
    (void)op;
    assert_int_equal(res, 1);
    note("io ");
}

static void does_things_in_order(void **state)
{
    int fds[2];
    struct io_sock sock;
    struct io_op op = {.done = on_io};
    struct iovec iov = {(char[]){"x"}, 1};
    (void)state;
    order[0] = '\0';
    task_init(&task, task_run);
    flush_init(&flush, flush_run);
    dead = (struct dead){.free = dead_free};
    timer_init(&timer, timer_fire);
    timer_set(&loop.timers, &timer, loop.now_ms);
    mail.run = mail_run;
    mailbox_post(loop.mailbox, &mail);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(io_sock_open(&loop, &sock, fds[0]));
    io_send(&loop, &sock, &op, &iov, 1);
    assert_string_equal(order, ""); /* nothing runs inside a call */
    loop_tick(&loop);
    assert_string_equal(order, "io timer mail task flush dead ");
    io_sock_close(&loop, &sock);
    close(fds[1]);
}

static int task_runs;

static void wake_again(struct task *t)
{
    task_runs++;
    task_wake(&loop.tasks, t);
}

static void runs_at_most_n_tasks_a_tick(void **state)
{
    struct task t;
    (void)state;
    task_runs = 0;
    loop.budget.tasks_per_tick = 7;
    task_init(&t, wake_again);
    task_wake(&loop.tasks, &t);
    loop_tick(&loop);
    assert_int_equal(task_runs, 7);
    loop_tick(&loop);
    assert_int_equal(task_runs, 14);
    task_cancel(&loop.tasks, &t);
}

/* With work left the kernel is not asked; every ninth tick it is, without waiting. */
static void polls_now_and_then_while_busy(void **state)
{
    struct task t;
    (void)state;
    task_runs = 0;
    loop.budget.tasks_per_tick = 1;
    task_init(&t, wake_again);
    task_wake(&loop.tasks, &t);
    for (int i = 0; i < 8; i++)
        loop_tick(&loop);
    assert_int_equal(waits, 0);
    loop_tick(&loop);
    assert_int_equal(waits, 1);
    assert_int_equal(last_timeout_ms, 0);
    for (int i = 0; i < 8; i++)
        loop_tick(&loop);
    assert_int_equal(waits, 1);
    task_cancel(&loop.tasks, &t);
}

static void count_done(struct io_op *op, int res)
{
    (void)op;
    assert_int_equal(res, 1);
    task_runs++;
}

/* A send that succeeded at once: its done() comes in a tick without epoll_wait. */
static void result_at_hand_costs_no_wait(void **state)
{
    int fds[2];
    struct io_sock sock;
    struct io_op op = {.done = count_done};
    struct iovec iov = {(char[]){"x"}, 1};
    (void)state;
    task_runs = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(io_sock_open(&loop, &sock, fds[0]));
    io_send(&loop, &sock, &op, &iov, 1);
    assert_true(loop_busy(&loop));
    loop_tick(&loop);
    assert_int_equal(task_runs, 1);
    assert_int_equal(waits, 0);
    assert_false(loop_busy(&loop));
    io_sock_close(&loop, &sock);
    close(fds[1]);
}

static void sleeps_until_the_next_timer(void **state)
{
    (void)state;
    order[0] = '\0';
    task_init(&task, task_run);
    timer_init(&timer, timer_fire);
    int64_t due_ms = loop.now_ms + 30;
    timer_set(&loop.timers, &timer, due_ms);
    task_cancel(&loop.tasks, &task);
    flush_init(&flush, flush_run);
    dead = (struct dead){.free = dead_free};
    int ticks = 0;
    while (!order[0] && ticks < 10) {
        loop_tick(&loop);
        ticks++;
    }
    assert_true(loop.now_ms >= due_ms);
    assert_true(ticks <= 4); /* it slept, it did not spin */
}

static int frees;
static bool is_ready;

static bool ready(struct dead *d)
{
    (void)d;
    return is_ready;
}

static void count_free(struct dead *d)
{
    (void)d;
    frees++;
}

static struct dead late;

static void free_and_add(struct dead *d)
{
    count_free(d);
    late = (struct dead){.free = count_free};
    dead_add(&loop, &late);
}

static void reaps_only_what_is_ready(void **state)
{
    struct dead waiting = {.ready = ready, .free = free_and_add}, other = {.free = count_free};
    (void)state;
    frees = 0;
    is_ready = false;
    dead_add(&loop, &waiting);
    dead_add(&loop, &other);
    timer_init(&timer, timer_fire);
    mail.run = mail_run;
    mailbox_post(loop.mailbox, &mail); /* so that the tick does not wait */
    task_init(&task, task_run);
    flush_init(&flush, flush_run);
    dead = (struct dead){.free = count_free};
    loop_tick(&loop);
    assert_int_equal(frees, 2); /* `other` and the task's */
    is_ready = true;
    mailbox_post(loop.mailbox, &mail);
    loop_tick(&loop);
    assert_int_equal(frees, 5); /* what free() added is freed, too */
    assert_true(list_empty(&loop.dead));
}

static void recycle(enum loop_block_size size, size_t bytes)
{
    static void *blocks[LOOP_BLOCKS_KEPT + 1];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = loop_block_take(&loop, size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, bytes);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        loop_block_give(&loop, size, blocks[i]);
    if (ASAN_ON)
        return;
    assert_int_equal(loop.block_count[size], LOOP_BLOCKS_KEPT);
    void *again = loop_block_take(&loop, size);
    assert_ptr_equal(again, blocks[LOOP_BLOCKS_KEPT - 1]);
    loop_block_give(&loop, size, again);
}

static void recycles_blocks(void **state)
{
    (void)state;
    recycle(LOOP_BLOCK_SMALL, LOOP_BLOCK_SMALL_BYTES);
    recycle(LOOP_BLOCK_LARGE, LOOP_BLOCK_LARGE_BYTES);
}

static void note_wait(struct loop *l, int timeout_ms)
{
    (void)l;
    last_timeout_ms = timeout_ms;
}

static void clock_after_wait(struct loop *l)
{
    l->now_ms += last_timeout_ms;
}

static int unused_count;

static void on_unused(struct loop *l)
{
    (void)l;
    unused_count++;
}

static void use_something(void)
{
    struct buf *b = buf_take(&loop.bufs, BUF_SMALL);
    assert_non_null(b);
    buf_drop(b);
    for (enum loop_block_size size = LOOP_BLOCK_SMALL; size <= LOOP_BLOCK_LARGE; size++)
        loop_block_give(&loop, size, loop_block_take(&loop, size));
}

/* Two looks at what is left over, and then nothing wakes it. */
static void keeps_nothing_when_unused(void **state)
{
    (void)state;
    counting.wait = note_wait;
    counting.clock = clock_after_wait;
    loop.on_unused = on_unused;
    unused_count = 0;
    use_something();
    loop_tick(&loop);
    assert_int_equal(unused_count, 0); /* it was in use just now */
    assert_int_equal(loop.block_count[LOOP_BLOCK_SMALL], ASAN_ON ? 0 : 1);
    assert_int_equal(loop.block_count[LOOP_BLOCK_LARGE], ASAN_ON ? 0 : 1);
    loop_tick(&loop);
    assert_int_equal(unused_count, 1);
    assert_int_equal(loop.block_count[LOOP_BLOCK_SMALL], 0);
    assert_int_equal(loop.block_count[LOOP_BLOCK_LARGE], 0);
    assert_int_equal(loop.bufs.cached_bytes, 0);
    loop_tick(&loop);
    assert_true(last_timeout_ms >= 60000);
}

static void counts_its_ticks(void **state)
{
    (void)state;
    loop_stop(&loop); /* a stopping loop does not wait */
    loop_tick(&loop);
    loop_tick(&loop);
    assert_int_equal(counter_get(&counters, METRIC_LOOP_TICKS), 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
/* --- more to do than can be done -------------------------------------------------------------- */

static struct {
    struct io_sock sock;
    struct io_op op;
    int far;
} crowd[LOOP_CROWD];

static void on_crowd(struct io_op *op, int res)
{
    assert_int_equal(res, 1);
    buf_drop(op->buf);
}

/* One look at the kernel that finds so many results. */
static void look_at(int results)
{
    for (int i = 0; i < results; i++) {
        io_recv(&loop, &crowd[i].sock, &crowd[i].op);
        assert_int_equal(write(crowd[i].far, "x", 1), 1);
    }
    loop_look(&loop);
    loop_tick(&loop);
    for (int i = 0; i < results; i++)
        assert_false(crowd[i].op.armed);
}

static void tells_when_it_is_crowded(void **state)
{
    (void)state;
    for (int i = 0; i < LOOP_CROWD; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        assert_true(io_sock_open(&loop, &crowd[i].sock, fds[0]));
        crowd[i].far = fds[1];
        crowd[i].op = (struct io_op){.done = on_crowd};
    }
    for (int i = 0; i < 2 * LOOP_CROWDED_LOOKS; i++)
        look_at(LOOP_CROWD - 1);
    assert_false(loop_is_crowded(&loop));
    for (int i = 1; i <= LOOP_CROWDED_LOOKS; i++) {
        look_at(LOOP_CROWD);
        assert_true(loop_is_crowded(&loop) == (i == LOOP_CROWDED_LOOKS));
    }
    look_at(LOOP_CROWD - 1);
    assert_false(loop_is_crowded(&loop));
    for (int i = 0; i < LOOP_CROWD; i++) {
        io_sock_close(&loop, &crowd[i].sock);
        close(crowd[i].far);
    }
}

UNIT_SUITE(io_loop, CASE(tells_when_it_is_crowded), CASE(does_things_in_order),
           CASE(runs_at_most_n_tasks_a_tick), CASE(polls_now_and_then_while_busy),
           CASE(result_at_hand_costs_no_wait), CASE(sleeps_until_the_next_timer),
           CASE(reaps_only_what_is_ready), CASE(recycles_blocks), CASE(keeps_nothing_when_unused),
           CASE(counts_its_ticks));
