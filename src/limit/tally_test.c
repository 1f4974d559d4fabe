/* tally_test.c - what limits said, by name and over workers, for as long as anybody has the name.
 */
// SPDX-License-Identifier: Apache-2.0
#include "limit/tally.h"
#include "tests/unit.h"
#include <string.h>

struct seen {
    unsigned names;
    uint64_t sums[TALLY_EVENT_COUNT];
};

static void see(void *ctx, struct slice name, const uint64_t sums[TALLY_EVENT_COUNT])
{
    struct seen *s = ctx;
    s->names++;
    if (slice_eq(name, SLICE("api")))
        memcpy(s->sums, sums, sizeof s->sums);
}

static struct seen look(void)
{
    struct seen s = {0};
    tally_each(see, &s);
    return s;
}

static void workers_are_summed(void **state)
{
    (void)state;
    struct tally_shared *api = tally_take(SLICE("api")), *other = tally_take(SLICE("other"));
    tally_count(api, 0, TALLY_PASSED);
    tally_count(api, TALLY_WORKERS_MAX - 1, TALLY_PASSED);
    tally_count(api, 3, TALLY_WOULD_REFUSE);
    tally_count(other, 3, TALLY_REFUSED);
    struct seen s = look();
    assert_int_equal(s.names, 2);
    assert_int_equal(s.sums[TALLY_PASSED], 2);
    assert_int_equal(s.sums[TALLY_WOULD_REFUSE], 1);
    assert_int_equal(s.sums[TALLY_REFUSED], 0);
    tally_drop(api);
    tally_drop(other);
    assert_int_equal(look().names, 0);
}

static void one_name_is_one_tally(void **state)
{
    (void)state;
    struct tally_shared *a = tally_take(SLICE("api")), *b = tally_take(SLICE("api"));
    assert_ptr_equal(a, b);
    tally_count(a, 1, TALLY_DELAYED);
    tally_drop(a);
    assert_int_equal(look().sums[TALLY_DELAYED], 1);
    tally_drop(b);
    a = tally_take(SLICE("api"));
    assert_int_equal(look().sums[TALLY_DELAYED], 0);
    tally_drop(a);
}

UNIT_SUITE(limit_tally, cmocka_unit_test(workers_are_summed),
           cmocka_unit_test(one_name_is_one_tally));
