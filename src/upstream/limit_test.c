/* limit_test.c - the limit against simulated servers with fake time: a queue in front of a number
 * of places, as a server with so many threads has one. */
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "tests/unit.h"
#include "upstream/limit.h"
#include <stdlib.h>
#include <string.h>

static const struct limit_conf adaptive = {.kind = LIMIT_ADAPTIVE, .min = 20};

enum { PLACES_MAX = 4096, QUEUE_MAX = 1 << 20 };

/* First come, first served. Times in microseconds. */
static struct model {
    struct limit_shared limit;
    struct rand rand;
    int64_t now_us;
    int places;
    double mean_us;             /* of the work of a request: exponential, half of it fixed */
    int64_t ends[PLACES_MAX];   /* when a place is done; 0: free */
    int64_t began[PLACES_MAX];  /* when its request came */
    int64_t waiting[QUEUE_MAX]; /* when each came */
    uint32_t head, tail;
    int64_t next_us; /* arrival */
    /* since model_mark() */
    int64_t served, refused, worst_us, sum_us;
    int64_t least_limit;
} m;

static void model_begin(int places, double mean_us)
{
    memset(&m, 0, sizeof m);
    rand_init(&m.rand, 7);
    m.now_us = 1000000;
    m.places = places;
    m.mean_us = mean_us;
}

static void model_mark(void)
{
    m.served = m.refused = m.worst_us = m.sum_us = 0;
    m.least_limit = INT64_MAX;
}

static double uniform(void)
{
    return rand_below(&m.rand, 1 << 30) / (double)(1 << 30);
}

/* Von Neumann's way: the length of a falling run is odd with the chance e^-u; needs no log(). */
static double exponential(double mean)
{
    for (double whole = 0;; whole++) {
        double first = uniform(), last = first;
        int length = 1;
        for (double next = uniform(); next < last; next = uniform(), length++)
            last = next;
        if (length % 2 == 1)
            return (whole + first) * mean;
    }
}

static int place_free(void)
{
    for (int i = 0; i < m.places; i++)
        if (m.ends[i] == 0)
            return i;
    return -1;
}

static void serve(int i, int64_t came_us)
{
    m.began[i] = came_us;
    m.ends[i] = m.now_us + 1 + (int64_t)(m.mean_us / 2 + exponential(m.mean_us / 2));
}

static void arrive(void)
{
    if (!limit_take(&m.limit, &adaptive)) {
        m.refused++;
        return;
    }
    int i = place_free();
    if (i >= 0)
        serve(i, m.now_us);
    else
        m.waiting[m.tail++ % QUEUE_MAX] = m.now_us;
}

static void done(int i)
{
    int64_t us = m.now_us - m.began[i];
    m.ends[i] = 0;
    limit_give(&m.limit);
    limit_answered(&m.limit, &adaptive, us, m.now_us);
    m.served++;
    m.sum_us += us;
    if (us > m.worst_us)
        m.worst_us = us;
    int64_t limit = limit_now(&m.limit, &adaptive);
    if (limit > 0 && limit < m.least_limit)
        m.least_limit = limit;
    if (m.head != m.tail)
        serve(i, m.waiting[m.head++ % QUEUE_MAX]);
}

static int soonest(void)
{
    int best = -1;
    for (int i = 0; i < m.places; i++)
        if (m.ends[i] && (best < 0 || m.ends[i] < m.ends[best]))
            best = i;
    return best;
}

/* `load`: of the capacity. */
static void model_run(double seconds, double load)
{
    int64_t until = m.now_us + (int64_t)(seconds * 1e6);
    double gap_us = m.mean_us / m.places / load;
    m.next_us = m.now_us + (int64_t)exponential(gap_us);
    for (;;) {
        int i = soonest();
        bool arrival = i < 0 || m.next_us <= m.ends[i];
        int64_t at = arrival ? m.next_us : m.ends[i];
        if (at > until)
            break;
        m.now_us = at;
        if (!arrival) {
            done(i);
            continue;
        }
        m.next_us += 1 + (int64_t)exponential(gap_us);
        arrive();
    }
    m.now_us = until;
}

static int64_t limit(void)
{
    return limit_now(&m.limit, &adaptive);
}

static double capacity(double seconds)
{
    return seconds * 1e6 / m.mean_us * m.places;
}

static void overload_settles_near_the_capacity(void **state)
{
    (void)state;
    model_begin(50, 20000);
    model_run(5, 0.7);
    assert_int_equal(limit(), 0);
    model_run(15, 3);
    model_mark();
    model_run(10, 3);
    assert_in_range(limit(), 45, 150);
    assert_true((double)m.served >= 0.95 * capacity(10));
    assert_in_range(m.sum_us / m.served, 20000, 60000); /* of 20 ms; without a limit: 20 s */
}

static void small_servers_are_kept_at_the_floor(void **state)
{
    (void)state;
    model_begin(4, 50000);
    model_run(10, 0.5);
    model_run(30, 3);
    model_mark();
    model_run(20, 3);
    assert_true((double)m.served >= 0.95 * capacity(20));
    assert_in_range(m.sum_us / m.served, 50000, 700000);
}

static void recovers_after_it(void **state)
{
    (void)state;
    model_begin(50, 20000);
    model_run(5, 0.7);
    model_run(10, 3);
    assert_true(limit() > 0);
    model_run(10, 0.6);
    assert_int_equal(limit(), 0);
    model_mark();
    model_run(10, 0.8);
    assert_int_equal(m.refused, 0);
    assert_int_equal(limit(), 0);
}

static void a_healthy_upstream_never_meets_a_limit(void **state)
{
    (void)state;
    model_begin(400, 50000);
    model_mark();
    for (int i = 0; i < 20; i++)
        model_run(1, 0.1 + 0.04 * i); /* up to 86 % */
    assert_int_equal(m.refused, 0);
    assert_int_equal(m.limit.begins_total, 0);
}

static void few_requests_are_never_limited(void **state)
{
    (void)state;
    model_begin(10, 10000);
    model_run(2, 0.5);
    m.mean_us = 500000; /* fifty times slower, but hardly anything is in flight */
    model_mark();
    model_run(60, 0.6);
    assert_int_equal(m.refused, 0);
    assert_int_equal(m.limit.begins_total, 0);
}

/* Nothing queues at the servers: each takes four times as long for everything. */
static void servers_that_got_slower_are_learned(void **state)
{
    (void)state;
    model_begin(2000, 50000);
    model_run(5, 0.1);
    m.mean_us = 200000;
    model_mark();
    model_run(10, 0.1);
    assert_true(m.refused * 10 < m.served);
    model_mark();
    model_run(20, 0.1);
    assert_int_equal(m.refused, 0);
    assert_int_equal(limit(), 0);
}

static void a_server_that_got_slower_under_load_keeps_its_goodput(void **state)
{
    (void)state;
    model_begin(50, 20000);
    model_run(5, 0.7);
    model_run(10, 3);
    m.mean_us = 80000;
    model_run(20, 3);
    model_mark();
    model_run(20, 3);
    assert_true((double)m.served >= 0.9 * capacity(20));
    assert_true(m.sum_us / m.served < 400000);
}

static void a_fixed_limit_holds_at_its_number(void **state)
{
    (void)state;
    struct limit_shared s = {0};
    const struct limit_conf c = {.kind = LIMIT_FIXED, .max = 3};
    for (int i = 0; i < 3; i++)
        assert_true(limit_take(&s, &c));
    assert_true(limit_full(&s, &c));
    assert_false(limit_take(&s, &c));
    limit_give(&s);
    assert_false(limit_full(&s, &c));
    assert_true(limit_take(&s, &c));
    limit_answered(&s, &c, 1000000, 5000000);
    assert_int_equal(limit_now(&s, &c), 3);
}

static void off_is_off(void **state)
{
    (void)state;
    struct limit_shared s = {.limit = 1};
    const struct limit_conf c = {.kind = LIMIT_OFF};
    for (int i = 0; i < 1000; i++)
        assert_true(limit_take(&s, &c));
    assert_false(limit_full(&s, &c));
    assert_int_equal(limit_now(&s, &c), 0);
}

static void max_holds_before_anything_is_known(void **state)
{
    (void)state;
    struct limit_shared s = {0};
    const struct limit_conf c = {.kind = LIMIT_ADAPTIVE, .min = 2, .max = 2};
    assert_true(limit_take(&s, &c));
    assert_true(limit_take(&s, &c));
    assert_false(limit_take(&s, &c));
}

UNIT_SUITE(upstream_limit, cmocka_unit_test(overload_settles_near_the_capacity),
           cmocka_unit_test(small_servers_are_kept_at_the_floor),
           cmocka_unit_test(recovers_after_it),
           cmocka_unit_test(a_healthy_upstream_never_meets_a_limit),
           cmocka_unit_test(few_requests_are_never_limited),
           cmocka_unit_test(servers_that_got_slower_are_learned),
           cmocka_unit_test(a_server_that_got_slower_under_load_keeps_its_goodput),
           cmocka_unit_test(a_fixed_limit_holds_at_its_number), cmocka_unit_test(off_is_off),
           cmocka_unit_test(max_holds_before_anything_is_known));
