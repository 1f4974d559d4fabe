/* renewals_test.c - one renews, others wait, and all know what came of it for a while. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/renewals.h"
#include "tests/unit.h"

static void one_renews_and_others_know(void **state)
{
    (void)state;
    struct text got;
    text_init(&got);
    assert_int_equal(renewal_begin(7, 1000, &got), RENEWAL_MINE);
    assert_int_equal(renewal_begin(7, 1001, &got), RENEWAL_OTHERS);
    assert_int_equal(renewal_begin(8, 1001, &got), RENEWAL_MINE);
    renewal_end(7, 1500, SLICE("new"));
    assert_int_equal(renewal_begin(7, 1501, &got), RENEWAL_DONE);
    assert_true(slice_eq(text_slice(&got), SLICE("new")));
    assert_int_equal(renewal_begin(7, 1500 + RENEWAL_KNOWN_MS - 1, &got), RENEWAL_DONE);
    assert_int_equal(renewal_begin(7, 1500 + RENEWAL_KNOWN_MS, &got), RENEWAL_MINE);
    renewal_end(7, 0, SLICE_NONE);
    renewal_end(8, 0, SLICE_NONE);
    text_release(&got);
}

static void who_never_ends_gives_way(void **state)
{
    (void)state;
    struct text got;
    text_init(&got);
    assert_int_equal(renewal_begin(9, 0, &got), RENEWAL_MINE);
    assert_int_equal(renewal_begin(9, RENEWAL_MOST_MS - 1, &got), RENEWAL_OTHERS);
    assert_int_equal(renewal_begin(9, RENEWAL_MOST_MS, &got), RENEWAL_MINE);
    renewal_end(9, RENEWAL_MOST_MS, SLICE_NONE);
    assert_int_equal(renewal_begin(9, RENEWAL_MOST_MS, &got), RENEWAL_MINE);
    renewal_end(9, 0, SLICE_NONE);
    assert_int_equal(got.len, 0);
    text_release(&got);
}

UNIT_SUITE(auth_renewals, cmocka_unit_test(one_renews_and_others_know),
           cmocka_unit_test(who_never_ends_gives_way));
