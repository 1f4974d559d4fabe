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

static void zones_set(void)
{
    t.up.zone = SLICE("here");
    t.up.servers[0].zone = SLICE("here");
    t.up.servers[1].zone = SLICE("there");
    t.up.servers[2].zone = SLICE("here"); /* a backup: the last all the same */
    upstream_tiers_set(&t.up);
    free(t.state);
    test_upstream_start(&t);
}

static void near_then_far_then_backup(void **state)
{
    (void)state;
    zones_set();
    for (int i = 0; i < 10; i++)
        assert_int_equal(picked(), 0);
    t.shared[0].ejected_until_ms = 5000;
    assert_int_equal(picked(), 1);
    t.up.servers[1].disabled = true;
    assert_int_equal(picked(), 2);
}

static void full_near_ones_leave_it_to_far_ones(void **state)
{
    (void)state;
    zones_set();
    t.up.servers[0].max_conns = 1;
    t.shared[0].conns = 1;
    assert_int_equal(picked(), 1);
    t.shared[0].conns = 0;
    assert_int_equal(picked(), 0);
}

static void without_a_zone_all_are_near(void **state)
{
    (void)state;
    t.up.servers[1].zone = SLICE("there");
    upstream_tiers_set(&t.up);
    assert_int_equal(t.up.servers[0].tier, TIER_NEAR);
    assert_int_equal(t.up.servers[1].tier, TIER_NEAR);
    assert_int_equal(t.up.servers[2].tier, TIER_BACKUP);
}

/* Thousandths of 20,000 requests that go far, when `near_out` of 10 near servers and `far_out` of
 * 10 far ones are ejected. */
static int64_t far_share(uint32_t near_out, uint32_t far_out)
{
    struct test_upstream u;
    struct pick_spill spill = {0};
    int64_t far = 0;
    test_upstream_init(&u, "two_choices", 20);
    u.up.zone = SLICE("a");
    u.pick.spill = &spill;
    for (uint32_t i = 0; i < 20; i++) {
        u.up.servers[i].zone = i < 10 ? SLICE("a") : SLICE("b");
        u.shared[i].ejected_until_ms = i < near_out || (i >= 10 && i < 10 + far_out) ? 5000 : 0;
    }
    test_upstream_start(&u);
    for (int i = 0; i < 20000; i++) {
        uint32_t k = 99;
        assert_int_equal(pick_server(u.state, &u.pick, &k), ERR_OK);
        far += k >= 10;
    }
    test_upstream_release(&u);
    return far * 1000 / 20000;
}

static void few_near_ones_hand_a_part_on(void **state)
{
    (void)state;
    assert_int_equal(far_share(0, 0), 0);
    assert_int_equal(far_share(3, 0), 0);  /* 70 % are enough */
    assert_near(far_share(4, 0), 143, 12); /* 1 - 0.6 / 0.7 */
    assert_near(far_share(8, 0), 714, 12); /* 1 - 0.2 / 0.7 */
    assert_int_equal(far_share(10, 0), 1000);
    assert_int_equal(far_share(4, 10), 0);
    /* what is left of both together does not do: by what each has left */
    assert_near(far_share(8, 9), 333, 12);
}

static void spill_follows_within_its_time(void **state)
{
    (void)state;
    struct pick_spill spill = {0};
    zones_set();
    t.pick.spill = &spill;
    assert_int_equal(picked(), 0);
    assert_int_equal(spill.at_ms, 1000);
    t.pick.now_ms = 1019;
    assert_int_equal(picked(), 0);
    assert_int_equal(spill.at_ms, 1000);
    t.pick.now_ms = 1020;
    assert_int_equal(picked(), 0);
    assert_int_equal(spill.at_ms, 1020);
}

static void the_pinned_one_is_taken_while_it_can_serve(void **state)
{
    (void)state;
    t.pick.pin = 2; /* of whatever tier */
    for (int i = 0; i < 10; i++)
        assert_int_equal(picked(), 2);
    t.shared[2].ejected_until_ms = 5000;
    assert_in_range(picked(), 0, 1);
    t.shared[2].ejected_until_ms = 0;
    t.up.servers[2].disabled = true;
    assert_in_range(picked(), 0, 1);
    t.up.servers[2].disabled = false;
    t.shared[2].addr_count = 0;
    assert_in_range(picked(), 0, 1);
    t.shared[2].addr_count = 1;
    uint64_t tried[4] = {0x4};
    t.pick.tried = tried;
    assert_in_range(picked(), 0, 1);
    t.pick.tried = NULL;
    t.pick.pin = 3; /* gone with a reload */
    assert_in_range(picked(), 0, 1);
}

static void the_pinned_one_is_waited_for(void **state)
{
    (void)state;
    t.pick.pin = 0;
    t.up.servers[0].max_conns = 1;
    t.shared[0].conns = 1;
    assert_int_equal(error(), ERR_OVER_LIMIT);
    assert_false(pick_may_wait_for(&t.pick, 0));
    assert_false(pick_may_wait_for(&t.pick, 1));
    t.shared[0].conns = 0;
    assert_true(pick_may_wait_for(&t.pick, 0));
    assert_false(pick_may_wait_for(&t.pick, 1));
    t.shared[0].ejected_until_ms = 5000;
    assert_true(pick_may_wait_for(&t.pick, 1));
    assert_true(pick_may_wait_for(&t.pick, 2));
}

static void draining_ones_get_only_what_is_pinned(void **state)
{
    (void)state;
    t.up.servers[0].draining = true;
    for (int i = 0; i < 10; i++)
        assert_int_equal(picked(), 1);
    t.pick.pin = 0;
    assert_int_equal(picked(), 0);
    t.pick.pin = PIN_NONE;
    t.up.servers[1].draining = t.up.servers[2].draining = true;
    assert_int_equal(error(), ERR_NO_SERVERS);
}

static void keys_are_never_taken_for_none(void **state)
{
    (void)state;
    assert_int_equal(balancer_key(&t.up, SLICE_NONE), 0);
    assert_int_not_equal(balancer_key(&t.up, SLICE("a")), 0);
    assert_int_not_equal(balancer_key(&t.up, SLICE("a")), balancer_key(&t.up, SLICE("b")));
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
           CASE(balancers_are_found_by_name), CASE(near_then_far_then_backup),
           CASE(full_near_ones_leave_it_to_far_ones), CASE(without_a_zone_all_are_near),
           CASE(few_near_ones_hand_a_part_on), CASE(spill_follows_within_its_time),
           CASE(the_pinned_one_is_taken_while_it_can_serve), CASE(the_pinned_one_is_waited_for),
           CASE(draining_ones_get_only_what_is_pinned), CASE(keys_are_never_taken_for_none));
