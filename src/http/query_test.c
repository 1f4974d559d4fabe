/* query_test.c - members of queries, names that are escaped, and what is left without some. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "http/query.h"
#include "tests/unit.h"

static const struct {
    const char *query;
    uint32_t count;
    const char *value, *without;
} ROWS[] = {
    {"", 0, "", ""},
    {"a=1", 0, "", "a=1"},
    {"sig=x", 1, "x", ""},
    {"sig", 1, "", ""},
    {"sig=", 1, "", ""},
    {"sig=a=b", 1, "a=b", ""},
    {"a=1&sig=x&b=2", 1, "x", "a=1&b=2"},
    {"sig=x&a=1", 1, "x", "a=1"},
    {"a=1&sig=x", 1, "x", "a=1"},
    {"a=1&sig=x&sig=y&b=", 2, "x", "a=1&b="},
    {"s%69g=x&a&%73%69%67=y", 2, "x", "a"},
    {"Sig=x&sig%00=y&sigs=z&si=w", 0, "", "Sig=x&sig%00=y&sigs=z&si=w"},
    {"sig%=x&sig%6=y&sig%zz=z", 0, "", "sig%=x&sig%6=y&sig%zz=z"},
    {"&&sig=x&&", 1, "x", "&&&"},
    {"a=1;sig=x", 0, "", "a=1;sig=x"},
};

static void members_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct arena a;
        struct slice left;
        struct query_member m = {0};
        arena_init(&a, 8192);
        assert_int_equal(query_find(slice_of(ROWS[i].query), SLICE("sig"), &m), ROWS[i].count);
        assert_true(slice_eq(m.value, slice_of(ROWS[i].value)));
        assert_int_equal(query_without(&a, slice_of(ROWS[i].query), SLICE("sig"), &left), ERR_OK);
        if (!slice_eq(left, slice_of(ROWS[i].without)))
            fail_msg("%s: %.*s", ROWS[i].query, SLICE_ARG(left));
        assert_true((left.at == ROWS[i].query) == (ROWS[i].count == 0));
        arena_release(&a);
    }
}

static void names_mean_what_forms_mean(void **state)
{
    (void)state;
    assert_true(query_name_is(SLICE("a+b"), SLICE("a b")));
    assert_true(query_name_is(SLICE("a%20b"), SLICE("a b")));
    assert_true(query_name_is(SLICE("a%2Bb"), SLICE("a+b")));
    assert_true(query_name_is(SLICE("%2525"), SLICE("%25"))); /* once only */
    assert_false(query_name_is(SLICE("a+b"), SLICE("a+b")));
    assert_true(query_name_is(SLICE(""), SLICE("")));
    assert_false(query_name_is(SLICE(""), SLICE("a")));
}

static void a_spent_arena_is_told(void **state)
{
    struct arena a;
    struct slice left;
    (void)state;
    arena_init(&a, 0);
    assert_int_equal(query_without(&a, SLICE("sig=1&a=2"), SLICE("sig"), &left), ERR_OVER_BUDGET);
    assert_int_equal(query_find(SLICE_NONE, SLICE("sig"), &(struct query_member){0}), 0);
    arena_release(&a);
}

UNIT_SUITE(http_query, cmocka_unit_test(members_are_found),
           cmocka_unit_test(names_mean_what_forms_mean), cmocka_unit_test(a_spent_arena_is_told));
