/* body_test.c - the queue's limits, its end and errors, and who is woken when. */
// SPDX-License-Identifier: Apache-2.0
#include "http/body.h"
#include "tests/unit.h"

struct fixture {
    struct buf_pool pool;
    struct task_queue tasks;
    struct task consumer;
    struct body body;
    int wanted;
};

static struct fixture *fx;

static void nothing(struct task *t)
{
    (void)t;
}

static void count_want(struct body *b)
{
    ++*(int *)b->producer;
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    fx = &f;
    *state = &f;
    buf_pool_init(&f.pool, 1 << 20);
    task_queue_init(&f.tasks);
    task_init(&f.consumer, nothing);
    body_init(&f.body, &f.tasks, &f.consumer, 100);
    f.body.want = count_want;
    f.body.producer = &f.wanted;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    body_release(&fx->body);
    buf_pool_release(&fx->pool);
    return 0;
}

static struct span piece(size_t len)
{
    struct buf *b = buf_take(&fx->pool, BUF_SMALL);
    assert_non_null(b);
    memset(b->bytes, 'x', len);
    b->len = (uint32_t)len;
    return (struct span){b, b->bytes, len};
}

static bool woken(void)
{
    return task_queue_pop(&fx->tasks) == &fx->consumer;
}

static void push(size_t len)
{
    assert_int_equal(body_push(&fx->body, piece(len)), ERR_OK);
}

static size_t take(size_t max)
{
    struct span s = body_take(&fx->body, max);
    span_drop(s);
    return s.len;
}

static void bytes_come_out_in_order(void **state)
{
    (void)state;
    struct span s;
    push(10);
    push(20);
    assert_true(woken());
    assert_int_equal(fx->body.bytes, 30);
    assert_true(body_peek(&fx->body, &s));
    assert_int_equal(s.len, 10);
    assert_int_equal(take(4), 4);
    assert_int_equal(take(100), 6);
    assert_int_equal(take(100), 20);
    assert_int_equal(take(100), 0);
    assert_false(body_peek(&fx->body, &s));
    assert_int_equal(fx->body.pushed_bytes, 30);
    assert_int_equal(fx->body.taken_bytes, 30);
}

static void room_ends_at_the_limit(void **state)
{
    (void)state;
    push(99);
    assert_int_equal(body_room(&fx->body), 1);
    push(50); /* one piece may go past */
    assert_int_equal(body_room(&fx->body), 0);
    assert_int_equal(take(100), 99);
    assert_int_equal(body_room(&fx->body), 50);
}

static void room_ends_when_the_ring_is_full(void **state)
{
    (void)state;
    for (int i = 0; i < BODY_SPANS; i++) {
        assert_true(body_room(&fx->body) > 0);
        push(1);
    }
    assert_int_equal(body_room(&fx->body), 0);
}

static void neighbours_are_joined(void **state)
{
    (void)state;
    struct span whole = piece(40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(body_push(&fx->body, span_ref((struct span){whole.buf, whole.at + i, 1})),
                         ERR_OK);
    span_drop(whole);
    assert_int_equal(fx->body.count, 1);
    assert_int_equal(take(100), 40);
}

static void a_starved_producer_is_asked_once(void **state)
{
    (void)state;
    push(100);
    push(60);
    assert_int_equal(body_room(&fx->body), 0);
    fx->body.starved = true;
    assert_int_equal(take(100), 100); /* 60 left: more than half */
    assert_int_equal(fx->wanted, 0);
    assert_int_equal(take(10), 10); /* exactly half */
    assert_int_equal(fx->wanted, 1);
    assert_int_equal(take(100), 50);
    assert_int_equal(fx->wanted, 1);
}

static void the_end_comes_after_the_bytes(void **state)
{
    (void)state;
    push(5);
    body_end(&fx->body);
    assert_true(woken());
    assert_false(body_done(&fx->body));
    body_fail(&fx->body, ERR_CLIENT_RESET); /* too late */
    assert_int_equal(fx->body.err, ERR_OK);
    assert_int_equal(take(5), 5);
    assert_true(body_done(&fx->body));
    body_reopen(&fx->body);
    assert_false(body_done(&fx->body));
    push(1);
    assert_int_equal(take(5), 1);
}

static void a_failed_body_takes_no_more(void **state)
{
    (void)state;
    push(5);
    assert_true(woken());
    body_fail(&fx->body, ERR_CLIENT_CLOSED);
    assert_true(woken());
    assert_int_equal(body_push(&fx->body, piece(1)), ERR_CLIENT_CLOSED);
    assert_int_equal(body_room(&fx->body), 0);
    assert_int_equal(take(9), 5); /* what was queued stays */
    body_end(&fx->body);
    assert_false(body_done(&fx->body));
}

static void max_bytes_is_the_whole_body(void **state)
{
    (void)state;
    push(10);
    fx->body.max_bytes = 12;
    push(2);
    assert_int_equal(take(100), 10);
    assert_int_equal(body_push(&fx->body, piece(1)), ERR_BODY_TOO_LARGE);
    assert_int_equal(fx->body.err, ERR_BODY_TOO_LARGE);
    assert_int_equal(fx->body.pushed_bytes, 12);
}

static void max_bytes_may_come_too_late(void **state)
{
    (void)state;
    push(10);
    fx->body.max_bytes = 5;
    assert_int_equal(body_push(&fx->body, piece(1)), ERR_BODY_TOO_LARGE);
}

static void what_is_queued_can_be_looked_at(void **state)
{
    (void)state;
    struct span s;
    assert_false(body_look(&fx->body, 0, &s));
    push(10);
    push(3);
    assert_true(body_look(&fx->body, 0, &s));
    assert_int_equal(s.len, 10);
    assert_true(body_look(&fx->body, 1, &s));
    assert_int_equal(s.len, 3);
    assert_false(body_look(&fx->body, 2, &s));
    assert_int_equal(take(12), 10);
    assert_true(body_look(&fx->body, 0, &s));
    assert_int_equal(s.len, 3);
    assert_false(body_look(&fx->body, 1, &s));
    assert_int_equal(fx->body.bytes, 3);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(http_body, CASE(bytes_come_out_in_order), CASE(room_ends_at_the_limit),
           CASE(room_ends_when_the_ring_is_full), CASE(neighbours_are_joined),
           CASE(a_starved_producer_is_asked_once), CASE(the_end_comes_after_the_bytes),
           CASE(a_failed_body_takes_no_more), CASE(max_bytes_is_the_whole_body),
           CASE(max_bytes_may_come_too_late), CASE(what_is_queued_can_be_looked_at));
