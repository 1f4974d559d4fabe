/* pick_test.c - which servers may be picked, tiers, and why none may. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

/* Servers 0 and 1 are plain, 2 is a backup. */
static struct test_upstream t;

static int setup(void **state)
{
    (void)state;
    test_upstream_init(&t, "round_robin", 3);
    t.up.servers[2].backup = true;
    test_upstream_start(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_upstream_release(&t);
    return 0;
}

static int picked(void)
{
    uint32_t i = 99;
    return pick_server(t.state, &t.pick, &i) == ERR_OK ? (int)i : -1;
}

static enum err error(void)
{
    uint32_t i = 99;
    return pick_server(t.state, &t.pick, &i);
}

static void backup_only_without_others(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_in_range(picked(), 0, 1);
    t.shared[0].ejected_until_ms = 5000;
    assert_int_equal(picked(), 1);
    t.shared[1].ejected_until_ms = 5000;
    assert_int_equal(picked(), 2);
}

static void ejected_when_all_are(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        t.shared[i].ejected_until_ms = 5000;
    assert_in_range(picked(), 0, 1);
    t.up.servers[0].disabled = t.up.servers[1].disabled = true;
    assert_int_equal(picked(), 2);
}

static void full_at_the_limit(void **state)
{
    (void)state;
    t.up.servers[0].max_conns = 5;
    t.up.servers[1].disabled = t.up.servers[2].disabled = true;
    t.shared[0].conns = 4;
    assert_int_equal(picked(), 0);
    t.shared[0].conns = 5;
    assert_int_equal(error(), ERR_OVER_LIMIT);
}

/* Better wait for a healthy one than try one that is known to fail. */
static void full_is_waited_for_before_ejected(void **state)
{
    (void)state;
    t.up.servers[0].max_conns = t.up.servers[2].max_conns = 1;
    t.shared[0].conns = t.shared[2].conns = 1;
    t.shared[1].ejected_until_ms = 5000;
    assert_int_equal(error(), ERR_OVER_LIMIT);
}

static void tried_are_left_out(void **state)
{
    (void)state;
    uint64_t tried[4] = {1};
    t.pick.tried = tried;
    for (int i = 0; i < 5; i++)
        assert_int_equal(picked(), 1);
    tried[0] = 3;
    assert_int_equal(picked(), 2);
    tried[0] = 7;
    assert_int_equal(error(), ERR_NO_SERVERS);
}

static void unresolved_has_its_own_reason(void **state)
{
    (void)state;
    t.shared[0].addr_count = t.shared[1].addr_count = 0;
    assert_int_equal(picked(), 2);
    t.shared[2].addr_count = 0;
    assert_int_equal(error(), ERR_UNRESOLVED);
    for (int i = 0; i < 3; i++)
        t.up.servers[i].disabled = true;
    assert_int_equal(error(), ERR_NO_SERVERS);
}

static void balancers_are_found_by_name(void **state)
{
    (void)state;
    assert_non_null(balancer_find(SLICE(BALANCER_DEFAULT)));
    assert_null(balancer_find(SLICE("two_choice")));
    for (const struct balancer_type *const *b = balancers_all; *b; b++) {
        assert_ptr_equal(balancer_find(slice_of((*b)->name)), *b);
        assert_true(strlen((*b)->text) > 40);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
UNIT_SUITE(upstream_pick, CASE(backup_only_without_others), CASE(ejected_when_all_are),
           CASE(full_at_the_limit), CASE(full_is_waited_for_before_ejected),
           CASE(tried_are_left_out), CASE(unresolved_has_its_own_reason),
           CASE(balancers_are_found_by_name));
