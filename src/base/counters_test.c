/* counters_test.c - what every row of metric.def must keep (names after the Prometheus text
 * format's rules), and counting. */
// SPDX-License-Identifier: Apache-2.0
#include "base/counters.h"
#include "base/slice.h"
#include "tests/unit.h"

static void rows_are_complete(void **state)
{
    (void)state;
    for (int m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = metric_row((enum metric)m);
        assert_non_null(row->name);
        assert_true(row->name[0] >= 'a' && row->name[0] <= 'z');
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
                         strlen(row->name));
        assert_true(strlen(row->text) > 0 && strlen(row->text) < 100);
        assert_true(row->text[strlen(row->text) - 1] != '.');
    }
}

static void counters_and_gauges_are_told_apart_by_name(void **state)
{
    (void)state;
    for (int m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = metric_row((enum metric)m);
        assert_int_equal(slice_ends(slice_of(row->name), SLICE("_total")),
                         row->kind == METRIC_KIND_COUNTER);
    }
}

static void names_are_unique(void **state)
{
    (void)state;
    for (int m = 0; m < METRIC_COUNT; m++) {
        for (int other = 0; other < m; other++)
            assert_string_not_equal(metric_row((enum metric)m)->name,
                                    metric_row((enum metric)other)->name);
    }
}

static void counts(void **state)
{
    (void)state;
    static struct counters_shared c;
    counter_add(&c, METRIC_REQUESTS, 2);
    counter_add(&c, METRIC_REQUESTS, 3);
    counter_add(&c, METRIC_CONNECTIONS_OPEN, -1);
    counter_bump(&c.errors[ERR_IO], 1);
    assert_int_equal(counter_get(&c, METRIC_REQUESTS), 5);
    assert_int_equal(counter_get(&c, METRIC_CONNECTIONS_OPEN), -1);
    assert_int_equal(c.errors[ERR_IO], 1);
    assert_int_equal(sizeof(c) % 64, 0);
}

UNIT_SUITE(base_counters, cmocka_unit_test(rows_are_complete),
           cmocka_unit_test(counters_and_gauges_are_told_apart_by_name),
           cmocka_unit_test(names_are_unique), cmocka_unit_test(counts));
