/* meters_test.c - numbers per key: rates and their edges, bytes, counts, windows; who has to go
 * from a full table; that workers together let no more pass than one would. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "limit/meters.h"
#include "tests/unit.h"
#include <pthread.h>

#define MS INT64_C(1000000)
static const int64_t START = 1000LL * 1000 * MS; /* what a clock shows that runs for a while */

static struct meters_shared *take(uint32_t keys)
{
    return meters_take(SLICE("test"), keys);
}

/* Keys of one set, and of other sets: the upper half tells. */
static uint64_t key(uint32_t set, uint32_t n)
{
    return (uint64_t)set << 32 | n;
}

static int64_t passed(struct meters_shared *m, const struct rate *r, int count, int64_t now)
{
    int64_t n = 0;
    for (int i = 0; i < count; i++)
        n += meters_rate(m, 7, r, now).verdict == RATE_PASS;
    return n;
}

static void a_burst_passes_and_then_the_rate(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    struct rate r = {.step_ns = 100 * MS, .burst = 5};
    assert_int_equal(passed(m, &r, 20, START), 5);
    assert_int_equal(passed(m, &r, 20, START + 100 * MS - 1), 0);
    assert_int_equal(passed(m, &r, 20, START + 100 * MS), 1);
    assert_int_equal(passed(m, &r, 20, START + 400 * MS), 3);
    assert_int_equal(passed(m, &r, 20, START + 5000 * MS), 5); /* no more than the burst is saved */
    meters_drop(m);
}

static void refusals_tell_when_to_come(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    struct rate r = {.step_ns = 100 * MS, .burst = 2};
    struct rate_answer a = meters_rate(m, 7, &r, START);
    assert_int_equal(a.left, 1);
    assert_int_equal(a.full_ns, 100 * MS);
    passed(m, &r, 1, START);
    for (int i = 0; i < 3; i++) {
        a = meters_rate(m, 7, &r, START + 30 * MS);
        assert_int_equal(a.verdict, RATE_REFUSE);
        assert_int_equal(a.wait_ns, 70 * MS); /* and asking again makes it no longer */
        assert_int_equal(a.left, 0);
    }
    assert_int_equal(meters_rate(m, 7, &r, START + 30 * MS + a.wait_ns).verdict, RATE_PASS);
    meters_drop(m);
}

static void those_in_the_queue_wait_for_their_turn(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    struct rate r = {.step_ns = 100 * MS, .burst = 1, .queue = 3};
    assert_int_equal(meters_rate(m, 7, &r, START).verdict, RATE_PASS);
    for (int i = 1; i <= 3; i++) {
        struct rate_answer a = meters_rate(m, 7, &r, START);
        assert_int_equal(a.verdict, RATE_WAIT);
        assert_int_equal(a.wait_ns, i * 100 * MS);
    }
    assert_int_equal(meters_rate(m, 7, &r, START).verdict, RATE_REFUSE);
    meters_rate_undo(m, 7, &r);
    assert_int_equal(meters_rate(m, 7, &r, START).verdict, RATE_WAIT);
    meters_drop(m);
}

static void keys_are_apart_and_zero_is_one(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    struct rate r = {.step_ns = 100 * MS, .burst = 1};
    for (uint64_t k = 0; k < 3; k += 2) {
        assert_int_equal(meters_rate(m, k, &r, START).verdict, RATE_PASS);
        assert_int_equal(meters_rate(m, k, &r, START).verdict, RATE_REFUSE);
    }
    assert_int_equal(meters_used(m), 2);
    meters_drop(m);
}

/* Five keys have a place in one set; the sixth takes that of the one that owes the least. */
static void the_one_that_idled_longest_goes(void **state)
{
    (void)state;
    struct meters_shared *m = take(1);
    struct rate r = {.step_ns = 1000 * MS, .burst = 1};
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(meters_rate(m, key(0, i), &r, START + i).verdict, RATE_PASS);
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(meters_rate(m, key(0, i), &r, START + 6).verdict, RATE_REFUSE);
    assert_int_equal(meters_rate(m, key(0, 6), &r, START + 6).verdict, RATE_PASS);
    assert_int_equal(meters_used(m), 5);
    assert_int_equal(meters_rate(m, key(0, 5), &r, START + 6).verdict, RATE_REFUSE);
    assert_int_equal(meters_rate(m, key(0, 1), &r, START + 6).verdict, RATE_PASS); /* forgotten */
    meters_drop(m);
}

static void nearly_all_of_a_full_table_are_kept(void **state)
{
    (void)state;
    enum { KEYS = 100000 };
    struct meters_shared *m = take(KEYS);
    struct rate r = {.step_ns = 1000 * MS, .burst = 1};
    for (uint64_t i = 0; i < KEYS; i++)
        meters_rate(m, i * 0x9e3779b97f4a7c15, &r, START);
    uint64_t used = meters_used(m);
    assert_true(used > KEYS * 97ull / 100 && used <= KEYS);
    meters_drop(m);
}

static void bytes_go_by_the_pace(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    struct pace p = {.bytes_per_s = 1000, .burst_bytes = 100};
    int64_t wait;
    assert_int_equal(meters_pace(m, 7, &p, 60, START, &wait), 60);
    assert_int_equal(meters_pace(m, 7, &p, 60, START, &wait), 40);
    assert_int_equal(meters_pace(m, 7, &p, 60, START, &wait), 0);
    assert_int_equal(wait, 50 * MS); /* until half a burst may go */
    assert_int_equal(meters_pace(m, 7, &p, 60, START + wait, &wait), 50);
    assert_int_equal(meters_pace(m, 7, &p, 10, START + 50 * MS, &wait), 0);
    assert_int_equal(wait, 10 * MS);
    meters_drop(m);
}

static void fast_and_slow_paces_do_not_overflow(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    struct pace fast = {.bytes_per_s = 1LL << 40, .burst_bytes = 1LL << 38};
    struct pace slow = {.bytes_per_s = 1, .burst_bytes = 1};
    int64_t wait;
    assert_int_equal(meters_pace(m, 1, &fast, INT64_MAX, START, &wait), 1LL << 38);
    assert_int_equal(meters_pace(m, 2, &slow, 5, START, &wait), 1);
    assert_int_equal(meters_pace(m, 2, &slow, 5, START, &wait), 0);
    assert_int_equal(wait, 1000 * MS);
    meters_drop(m);
}

static void as_many_are_in_as_may(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    assert_int_equal(meters_enter(m, 7, 2), ENTER_IN);
    assert_int_equal(meters_enter(m, 7, 2), ENTER_IN);
    assert_int_equal(meters_enter(m, 7, 2), ENTER_FULL);
    meters_leave(m, 7);
    assert_int_equal(meters_enter(m, 7, 2), ENTER_IN);
    meters_leave(m, 7);
    meters_leave(m, 7);
    assert_int_equal(meters_used(m), 0);
    meters_drop(m);
}

/* Who is in keeps its place, however many others come. */
static void nobody_who_is_in_has_to_go(void **state)
{
    (void)state;
    struct meters_shared *m = take(1);
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(meters_enter(m, key(0, i), 1), ENTER_IN);
    assert_int_equal(meters_enter(m, key(0, 6), 1), ENTER_BLIND);
    meters_leave(m, key(0, 3));
    assert_int_equal(meters_enter(m, key(0, 6), 1), ENTER_IN);
    assert_int_equal(meters_enter(m, key(0, 6), 1), ENTER_FULL);
    meters_drop(m);
}

static void events_count_within_their_time(void **state)
{
    (void)state;
    struct meters_shared *m = take(10);
    for (int i = 1; i <= 10; i++)
        assert_int_equal(meters_hit(m, 7, 1000, 5000 + i), i);
    assert_int_equal(meters_hit(m, 7, 1000, 6500), 1 + 5); /* half of the window before */
    assert_int_equal(meters_hit(m, 7, 1000, 8000), 1);     /* a window later nothing of it */
    meters_clear(m, 7);
    assert_int_equal(meters_hit(m, 7, 1000, 8001), 1);
    meters_drop(m);
}

static void it_is_found_again_by_its_identity(void **state)
{
    (void)state;
    struct meters_shared *m = take(10), *again = take(10);
    struct meters_shared *other = meters_take(SLICE("other"), 10), *larger = take(11);
    assert_ptr_equal(m, again);
    assert_ptr_not_equal(m, other);
    assert_ptr_not_equal(m, larger);
    meters_hit(m, 7, 1000, 1);
    meters_drop(m); /* as the old configuration goes */
    assert_int_equal(meters_used(again), 1);
    meters_drop(again);
    meters_drop(other);
    meters_drop(larger);
    m = take(10);
    assert_int_equal(meters_used(m), 0); /* the last one took all with it */
    meters_drop(m);
}

enum { THREADS = 4, TRIES = 20000 };

struct racer {
    struct meters_shared *m;
    int64_t passed;
};

static void *race(void *ctx)
{
    struct racer *r = ctx;
    struct rate rate = {.step_ns = 1000 * MS, .burst = 5000};
    for (int i = 0; i < TRIES; i++)
        r->passed += meters_rate(r->m, 7, &rate, START).verdict == RATE_PASS;
    return NULL;
}

static void workers_together_are_exact(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct racer racers[THREADS];
    struct meters_shared *m = take(10);
    int64_t sum = 0;
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.m = m};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += racers[i].passed;
    }
    assert_int_equal(sum, 5000);
    meters_drop(m);
}

UNIT_SUITE(limit_meters, cmocka_unit_test(a_burst_passes_and_then_the_rate),
           cmocka_unit_test(refusals_tell_when_to_come),
           cmocka_unit_test(those_in_the_queue_wait_for_their_turn),
           cmocka_unit_test(keys_are_apart_and_zero_is_one),
           cmocka_unit_test(the_one_that_idled_longest_goes),
           cmocka_unit_test(nearly_all_of_a_full_table_are_kept),
           cmocka_unit_test(bytes_go_by_the_pace),
           cmocka_unit_test(fast_and_slow_paces_do_not_overflow),
           cmocka_unit_test(as_many_are_in_as_may), cmocka_unit_test(nobody_who_is_in_has_to_go),
           cmocka_unit_test(events_count_within_their_time),
           cmocka_unit_test(it_is_found_again_by_its_identity),
           cmocka_unit_test(workers_together_are_exact));
