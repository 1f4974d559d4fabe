/* task_test.c - order of waking, waking twice, waking from inside, cancelling anywhere. */
// SPDX-License-Identifier: Apache-2.0
#include "base/task.h"
#include "tests/unit.h"

static void nothing(struct task *t)
{
    (void)t;
}

static void runs_in_order_and_once(void **state)
{
    (void)state;
    struct task_queue q;
    struct task a, b;
    task_queue_init(&q);
    task_init(&a, nothing);
    task_init(&b, nothing);
    assert_null(task_queue_pop(&q));
    task_wake(&q, &a);
    task_wake(&q, &b);
    task_wake(&q, &a);
    assert_ptr_equal(task_queue_pop(&q), &a);
    assert_false(a.queued);
    task_wake(&q, &a); /* as its run function may do */
    assert_ptr_equal(task_queue_pop(&q), &b);
    assert_ptr_equal(task_queue_pop(&q), &a);
    assert_null(task_queue_pop(&q));
}

static void cancels_anywhere(void **state)
{
    (void)state;
    for (size_t victim = 0; victim < 3; victim++) {
        struct task_queue q;
        struct task tasks[3], late;
        task_queue_init(&q);
        task_init(&late, nothing);
        for (size_t i = 0; i < 3; i++) {
            task_init(&tasks[i], nothing);
            task_wake(&q, &tasks[i]);
        }
        task_cancel(&q, &tasks[victim]);
        task_cancel(&q, &tasks[victim]); /* harmless */
        task_wake(&q, &late);
        for (size_t i = 0; i < 3; i++) {
            if (i != victim)
                assert_ptr_equal(task_queue_pop(&q), &tasks[i]);
        }
        assert_ptr_equal(task_queue_pop(&q), &late);
        assert_null(task_queue_pop(&q));
    }
}

UNIT_SUITE(base_task, cmocka_unit_test(runs_in_order_and_once), cmocka_unit_test(cancels_anywhere));
