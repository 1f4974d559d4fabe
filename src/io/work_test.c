/* work_test.c - jobs on threads (run under TSan, too): turns, bounds, mail, the end. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "io/loop.h"
#include "io/work.h"
#include "tests/unit.h"
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

enum { ALICE = 1, BOB = 2, MANY = 400 };

struct job {
    struct work work;
    int name;
};

static struct counters_shared counters;
static sem_t begun, gate;
static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;
static int order[MANY], ran, done_count, canceled_count;

static void reset(void)
{
    memset(order, 0, sizeof order);
    ran = done_count = canceled_count = 0;
    sem_init(&begun, 0, 0);
    sem_init(&gate, 0, 0);
}

static void note(struct work *w)
{
    pthread_mutex_lock(&order_lock);
    canceled_count += w->canceled;
    order[ran++] = CONTAINER_OF(w, struct job, work)->name;
    pthread_mutex_unlock(&order_lock);
}

static void hold(struct work *w)
{
    (void)w;
    sem_post(&begun);
    sem_wait(&gate);
}

static void on_done(struct work *w, struct loop *l)
{
    (void)w;
    if (++done_count == MANY)
        loop_stop(l);
}

static bool post(struct work_pool_shared *p, struct job *j, int name, uint64_t share)
{
    *j = (struct job){.work = {.run = note, .share = share}, .name = name};
    return work_post(p, &j->work, NULL);
}

/* The only thread waits in it, until the gate opens. */
static void thread_hold(struct work_pool_shared *p, struct job *j)
{
    *j = (struct job){.work = {.run = hold}};
    assert_true(work_post(p, &j->work, NULL));
    sem_wait(&begun);
}

static void wait_for(int count)
{
    for (bool there = false; !there;) {
        pthread_mutex_lock(&order_lock);
        there = ran >= count;
        pthread_mutex_unlock(&order_lock);
    }
}

static void shares_take_turns(void **state)
{
    static const int expected[] = {11, 21, 12, 13, 14, 15};
    struct work_pool_shared *p = work_pool_new(1);
    struct job first, jobs[COUNT_OF(expected)];
    (void)state;
    reset();
    thread_hold(p, &first);
    for (int i = 0; i < 5; i++)
        assert_true(post(p, &jobs[i], 11 + i, ALICE));
    assert_true(post(p, &jobs[5], 21, BOB));
    sem_post(&gate);
    wait_for(COUNT_OF(expected));
    assert_memory_equal(order, expected, sizeof expected);
    work_pool_free(p);
}

static void who_comes_late_is_served_now(void **state)
{
    struct work_pool_shared *p = work_pool_new(1);
    struct job hold_a, hold_b, jobs[6];
    (void)state;
    reset();
    thread_hold(p, &hold_a);
    for (int i = 0; i < 3; i++)
        assert_true(post(p, &jobs[i], 11 + i, ALICE));
    hold_b = (struct job){.work = {.run = hold, .share = ALICE}};
    assert_true(work_post(p, &hold_b.work, NULL));
    for (int i = 3; i < 5; i++)
        assert_true(post(p, &jobs[i], 11 + i, ALICE));
    sem_post(&gate);
    sem_wait(&begun); /* three of hers ran, the turn is the fourth's */
    assert_true(post(p, &jobs[5], 21, BOB));
    sem_post(&gate);
    wait_for(6);
    assert_int_equal(order[3], 21);
    assert_int_equal(order[4], 14);
    work_pool_free(p);
}

static void a_share_is_bounded_and_so_are_all(void **state)
{
    static struct job jobs[WORK_QUEUE_MAX + 1];
    struct work_pool_shared *p = work_pool_new(1);
    struct job first, extra;
    int at = 0;
    (void)state;
    reset();
    thread_hold(p, &first);
    for (uint64_t share = 1; at < WORK_QUEUE_MAX; share++) {
        for (int i = 0; i < WORK_SHARE_MAX; i++, at++)
            assert_true(post(p, &jobs[at], at, share));
        if (at < WORK_QUEUE_MAX)
            assert_false(post(p, &extra, 0, share));
    }
    assert_false(post(p, &extra, 0, 9999));
    sem_post(&gate);
    wait_for(WORK_QUEUE_MAX);
    assert_true(post(p, &extra, 0, 9999));
    wait_for(WORK_QUEUE_MAX + 1);
    work_pool_free(p);
}

static void the_end_cancels_what_waits(void **state)
{
    struct work_pool_shared *p = work_pool_new(1);
    struct job first, jobs[3];
    (void)state;
    reset();
    thread_hold(p, &first);
    for (int i = 0; i < 3; i++)
        assert_true(post(p, &jobs[i], i, ALICE));
    sem_post(&gate); /* it may come to some of them before the end does */
    work_pool_free(p);
    assert_int_equal(ran, 3);
    for (int i = 0; i < 3; i++)
        assert_true(jobs[i].work.canceled == (i >= 3 - canceled_count));
}

static void done_is_told_by_mail(void **state)
{
    static struct job jobs[MANY];
    struct loop l;
    struct work_pool_shared *p = work_pool_new(2);
    (void)state;
    reset();
    assert_true(loop_init(&l, &io_backend_epoll, NULL, &counters, 1 << 20));
    for (int i = 0; i < MANY; i++) {
        jobs[i] = (struct job){.work = {.run = note, .done = on_done, .share = (uint64_t)i % 50},
                               .name = i};
        while (!work_post(p, &jobs[i].work, &l))
            loop_tick(&l);
    }
    if (done_count < MANY)
        loop_run(&l);
    assert_int_equal(ran, MANY);
    work_pool_free(p);
    loop_release(&l);
}

/* Also when the pool ends meanwhile: nobody waits for ever. */
static void done_is_told_of_what_was_canceled(void **state)
{
    struct loop l;
    struct work_pool_shared *p = work_pool_new(1);
    struct job first, jobs[3];
    (void)state;
    reset();
    assert_true(loop_init(&l, &io_backend_epoll, NULL, &counters, 1 << 20));
    thread_hold(p, &first);
    for (int i = 0; i < 3; i++) {
        jobs[i] = (struct job){.work = {.run = note, .done = on_done}, .name = i};
        assert_true(work_post(p, &jobs[i].work, &l));
    }
    sem_post(&gate);
    work_pool_free(p);
    while (done_count < 3)
        loop_tick(&l);
    loop_release(&l);
}

UNIT_SUITE(io_work, cmocka_unit_test(shares_take_turns),
           cmocka_unit_test(who_comes_late_is_served_now),
           cmocka_unit_test(a_share_is_bounded_and_so_are_all),
           cmocka_unit_test(the_end_cancels_what_waits), cmocka_unit_test(done_is_told_by_mail),
           cmocka_unit_test(done_is_told_of_what_was_canceled));
