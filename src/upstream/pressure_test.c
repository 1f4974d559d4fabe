/* pressure_test.c - when pressure begins, that it outlasts what is done about it, and who is told.
 */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "upstream/pressure.h"
#include "upstream/upstream.h"
#include <string.h>

enum { CALM_MS = 30000, START_MS = 5000 };

static struct pressure_shared p;

static int clear(void **state)
{
    (void)state;
    memset(&p, 0, sizeof p);
    return 0;
}

static enum pressure look(bool busy, int64_t at_ms)
{
    return pressure_look(&p, busy, CALM_MS, START_MS + at_ms);
}

/* Every 100 ms in [from, until). */
static void busy_looks(int64_t from_ms, int64_t until_ms)
{
    for (int64_t t = from_ms; t < until_ms; t += 100)
        assert_int_equal(look(true, t), PRESSURE_OFF);
}

static void begins_once_it_has_lasted(void **state)
{
    (void)state;
    assert_int_equal(look(false, 0), PRESSURE_OFF);
    busy_looks(0, PRESSURE_AFTER_MS);
    assert_int_equal(look(true, PRESSURE_AFTER_MS), PRESSURE_BEGINS);
    assert_int_equal(look(true, PRESSURE_AFTER_MS + 1), PRESSURE_ON);
}

static void a_moment_without_a_queue_begins_it_anew(void **state)
{
    (void)state;
    busy_looks(0, 900);
    assert_int_equal(look(false, 950), PRESSURE_OFF);
    busy_looks(1000, 2000);
    assert_int_equal(look(true, 2000), PRESSURE_BEGINS);
}

static void so_does_a_time_without_a_look(void **state)
{
    (void)state;
    look(true, 0);
    assert_int_equal(look(true, PRESSURE_AFTER_MS), PRESSURE_OFF); /* two looks prove nothing */
    busy_looks(PRESSURE_AFTER_MS, 2 * PRESSURE_AFTER_MS);
}

static void ends_after_the_calm(void **state)
{
    (void)state;
    busy_looks(0, 1000);
    assert_int_equal(look(true, 1000), PRESSURE_BEGINS);
    assert_int_equal(look(false, 1001), PRESSURE_ON);
    assert_int_equal(look(true, 2001), PRESSURE_ON); /* short: the calm goes on */
    assert_int_equal(look(false, 1000 + CALM_MS - 1), PRESSURE_ON);
    assert_int_equal(look(false, 1000 + CALM_MS), PRESSURE_ENDS);
    assert_int_equal(look(false, 1001 + CALM_MS), PRESSURE_OFF);
}

static void it_may_come_back(void **state)
{
    (void)state;
    ends_after_the_calm(NULL);
    busy_looks(40000, 41000);
    assert_int_equal(look(true, 41000), PRESSURE_BEGINS);
}

static void an_upstream_is_busy(void **state)
{
    (void)state;
    struct upstream_shared shared = {0};
    struct upstream up = {.shared = &shared, .limit = {.kind = LIMIT_FIXED, .max = 2}};
    assert_false(upstream_is_busy(&up, START_MS));
    shared.waiting = 1;
    assert_true(upstream_is_busy(&up, START_MS));
    shared.waiting = 0;
    shared.limit.in_flight = 1;
    assert_false(upstream_is_busy(&up, START_MS));
    shared.limit.in_flight = 2;
    assert_true(upstream_is_busy(&up, START_MS));
    shared.limit.in_flight = 0;
    shared.shed_total = 7; /* somebody found no room */
    assert_true(upstream_is_busy(&up, START_MS));
    assert_true(upstream_is_busy(&up, START_MS + PRESSURE_AFTER_MS - 1));
    assert_false(upstream_is_busy(&up, START_MS + PRESSURE_AFTER_MS));
}

#define CASE(f) cmocka_unit_test_setup(f, clear)
UNIT_SUITE(upstream_pressure, CASE(begins_once_it_has_lasted),
           CASE(a_moment_without_a_queue_begins_it_anew), CASE(so_does_a_time_without_a_look),
           CASE(ends_after_the_calm), CASE(it_may_come_back), CASE(an_upstream_is_busy));
