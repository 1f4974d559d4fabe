/* fill_test.c - waiting for a fetch, and what becomes of who waits. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/store_rig_test.h"
#include "io/loop.h"

enum { HERD = 50 };

static struct loop loop;
static struct counters_shared counters;
static struct cache_shared *cache;
static struct cache_query query;
static char text[RIG_KEY_BYTES];
static int woken;

static void on_wake(void *ctx)
{
    (void)ctx;
    woken++;
}

static int setup(void **state)
{
    (void)state;
    woken = 0;
    cache = rig_cache(1 << 20);
    query = (struct cache_query){.key = rig_key(text, 1), .match = rig_match_fresh};
    return loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    mailbox_run(loop.mailbox, &loop);
    loop_release(&loop);
    assert_int_equal(rig_stats(cache).memory_bytes, 0); /* every fetch is forgotten */
    cache_free(cache);
    return 0;
}

static struct fill_shared *join(bool leads)
{
    struct cache_result r;
    cache_lookup(cache, &query, &r);
    assert_non_null(r.fill);
    assert_int_equal(r.leads, leads);
    return r.fill;
}

static void herd_is_woken_once_for_all(void **state)
{
    (void)state;
    struct fill_shared *leader = join(true);
    struct waiter *w[HERD];
    for (int i = 0; i < HERD; i++) {
        assert_ptr_equal(join(false), leader);
        w[i] = waiter_new(&loop, on_wake, NULL);
        assert_true(fill_wait(leader, w[i]));
        assert_true(fill_wait(leader, w[i])); /* again: no second place */
    }
    assert_int_equal(fill_waiting(leader), HERD);
    fill_answer(leader, FILL_STORED);
    assert_int_equal(fill_waiting(leader), 0);
    mailbox_run(loop.mailbox, &loop);
    assert_int_equal(woken, HERD);
    for (int i = 0; i < HERD; i++) {
        assert_false(fill_wait(leader, w[i]));
        waiter_close(w[i]);
        fill_drop(leader);
    }
    assert_int_equal(fill_outcome(leader), FILL_STORED);
    fill_drop(leader);
}

static void who_went_is_not_woken(void **state)
{
    (void)state;
    struct fill_shared *leader = join(true), *f = join(false);
    struct waiter *w = waiter_new(&loop, on_wake, NULL);
    assert_true(fill_wait(f, w));
    fill_unwait(f, w);
    assert_int_equal(fill_waiting(f), 0);
    fill_unwait(f, w); /* nothing */
    waiter_close(w);
    fill_drop(f);
    fill_answer(leader, FILL_PASS);
    mailbox_run(loop.mailbox, &loop);
    assert_int_equal(woken, 0);
    fill_drop(leader);
}

static void failed_leader_makes_room_for_one(void **state)
{
    (void)state;
    struct fill_shared *leader = join(true), *a = join(false), *b = join(false);
    fill_leave(leader);
    assert_int_equal(fill_outcome(a), FILL_FAILED);
    struct fill_shared *next = join(true), *follower = join(false);
    assert_ptr_equal(next, follower);
    fill_drop(a);
    fill_drop(b);
    fill_drop(follower);
    fill_leave(next);
}

static void answered_leader_only_drops(void **state)
{
    (void)state;
    struct fill_shared *leader = join(true), *a = join(false);
    fill_answer(leader, FILL_PASS);
    fill_leave(leader);
    assert_int_equal(fill_outcome(a), FILL_PASS);
    fill_drop(a);
}

#define WITH_LOOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
UNIT_SUITE(cache_fill, WITH_LOOP(herd_is_woken_once_for_all), WITH_LOOP(who_went_is_not_woken),
           WITH_LOOP(failed_leader_makes_room_for_one), WITH_LOOP(answered_leader_only_drops));
