/* admin_test.c - who is let in by name. The pages themselves are tested over a real weir. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "tests/unit.h"

static void names_that_a_page_can_own_are_refused(void **state)
{
    (void)state;
    assert_false(guard_host_ok(SLICE("evil.example"), NULL));
    assert_false(guard_host_ok(SLICE("localhost.evil.example"), NULL));
    assert_false(guard_host_ok(SLICE("127.0.0.1.evil.example"), NULL));
    assert_false(guard_host_ok(SLICE("127.0.0.1x"), NULL));
    assert_false(guard_host_ok(SLICE("[]"), NULL));
    assert_false(guard_host_ok(SLICE("[localhost]"), NULL));
}

static void addresses_and_localhost_are_served(void **state)
{
    (void)state;
    assert_true(guard_host_ok(SLICE("localhost"), NULL));
    assert_true(guard_host_ok(SLICE("127.0.0.1"), NULL));
    assert_true(guard_host_ok(SLICE("10.1.2.3"), NULL));
    assert_true(guard_host_ok(SLICE("[::1]"), NULL));
    assert_true(guard_host_ok(SLICE(""), NULL)); /* HTTP/1.0 */
}

static void names_of_the_configuration_are_served(void **state)
{
    struct slice names[] = {SLICE_INIT("admin.test"), SLICE_INIT("b.test")};
    struct admin_listen line = {.names = names, .name_count = 2};
    (void)state;
    assert_true(guard_host_ok(SLICE("admin.test"), &line));
    assert_true(guard_host_ok(SLICE("b.test"), &line));
    assert_false(guard_host_ok(SLICE("xadmin.test"), &line));
    assert_false(guard_host_ok(SLICE("admin.test.evil.test"), &line));
    assert_false(guard_host_ok(SLICE("c.test"), &line));
}

UNIT_SUITE(admin_admin, cmocka_unit_test(names_that_a_page_can_own_are_refused),
           cmocka_unit_test(addresses_and_localhost_are_served),
           cmocka_unit_test(names_of_the_configuration_are_served));
