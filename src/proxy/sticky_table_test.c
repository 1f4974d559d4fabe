/* The table of sessions: bounded, the longest idle one goes, found again by identity, and used by
 * several threads at once. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/sticky_table.h"
#include "tests/unit.h"
#include <pthread.h>

enum { TTL_MS = 1000 };

static bool has(struct sticky_shared *t, uint64_t key, int64_t now_ms, uint64_t server)
{
    uint64_t got = 0;
    return sticky_table_find(t, key, now_ms, TTL_MS, &got) && got == server;
}

static void a_session_keeps_its_server(void **state)
{
    (void)state;
    struct sticky_shared *t = sticky_table_take(SLICE("u"), 100);
    uint64_t got;
    assert_false(sticky_table_find(t, 1, 0, TTL_MS, &got));
    sticky_table_put(t, 1, 10, 0);
    sticky_table_put(t, 2, 20, 0);
    assert_true(has(t, 1, 5, 10));
    assert_true(has(t, 2, 5, 20));
    sticky_table_put(t, 1, 30, 5);
    assert_true(has(t, 1, 5, 30));
    assert_int_equal(sticky_table_count(t), 2);
    sticky_table_drop(t);
}

static void an_idle_one_is_over_after_its_time(void **state)
{
    (void)state;
    struct sticky_shared *t = sticky_table_take(SLICE("u"), 100);
    uint64_t got;
    sticky_table_put(t, 1, 10, 0);
    assert_true(has(t, 1, TTL_MS, 10));     /* at its limit, and seen again */
    assert_true(has(t, 1, 2 * TTL_MS, 10)); /* counted from then */
    assert_false(sticky_table_find(t, 1, 3 * TTL_MS + 1, TTL_MS, &got));
    sticky_table_drop(t);
}

/* All in one shard: the upper four bits are 0. 16 shards of 4. */
static void the_longest_idle_one_makes_room(void **state)
{
    (void)state;
    struct sticky_shared *t = sticky_table_take(SLICE("u"), 64);
    for (uint64_t key = 1; key <= 4; key++)
        sticky_table_put(t, key, key, (int64_t)key);
    assert_true(has(t, 1, 5, 1)); /* now 2 is the oldest */
    assert_int_equal(sticky_table_count(t), 4);
    sticky_table_put(t, 5, 5, 6);
    assert_int_equal(sticky_table_count(t), 4);
    assert_false(has(t, 2, 7, 2));
    assert_true(has(t, 1, 7, 1) && has(t, 3, 7, 3) && has(t, 4, 7, 4) && has(t, 5, 7, 5));
    for (uint64_t key = 100; key < 1100; key++) {
        sticky_table_put(t, key, key, 8);
        assert_true(has(t, key, 8, key));
    }
    assert_int_equal(sticky_table_count(t), 4);
    sticky_table_drop(t);
}

static void the_smallest_table_works(void **state)
{
    (void)state;
    struct sticky_shared *t = sticky_table_take(SLICE("u"), 1);
    for (uint64_t key = 0; key < 50; key++) {
        sticky_table_put(t, key, key + 1, 0);
        assert_true(has(t, key, 0, key + 1));
    }
    sticky_table_drop(t);
}

static void it_is_found_again_by_identity(void **state)
{
    (void)state;
    struct sticky_shared *t = sticky_table_take(SLICE("u"), 100);
    sticky_table_put(t, 1, 10, 0);
    struct sticky_shared *again = sticky_table_take(SLICE("u"), 100);
    struct sticky_shared *other = sticky_table_take(SLICE("v"), 100);
    struct sticky_shared *larger = sticky_table_take(SLICE("u"), 101);
    assert_ptr_equal(t, again);
    assert_ptr_not_equal(t, other);
    assert_ptr_not_equal(t, larger);
    sticky_table_drop(t); /* as the old configuration goes */
    assert_true(has(again, 1, 0, 10));
    sticky_table_drop(again);
    sticky_table_drop(other);
    sticky_table_drop(larger);
}

static void *hammer(void *arg)
{
    struct sticky_shared *t = arg;
    uint64_t wrong = 0, got = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t key = (i % 300) * 0x9e3779b97f4a7c15u;
        sticky_table_put(t, key, key ^ 1, (int64_t)i);
        if (sticky_table_find(t, key, (int64_t)i, 1 << 30, &got))
            wrong += got != (key ^ 1);
    }
    return (void *)(uintptr_t)wrong;
}

static void threads_share_it(void **state)
{
    (void)state;
    struct sticky_shared *t = sticky_table_take(SLICE("u"), 100);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, t), 0);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_true(sticky_table_count(t) <= 112);
    sticky_table_drop(t);
}

UNIT_SUITE(proxy_sticky_table, cmocka_unit_test(a_session_keeps_its_server),
           cmocka_unit_test(an_idle_one_is_over_after_its_time),
           cmocka_unit_test(the_longest_idle_one_makes_room),
           cmocka_unit_test(the_smallest_table_works),
           cmocka_unit_test(it_is_found_again_by_identity), cmocka_unit_test(threads_share_it));
