/* admin_test.c - who is let in by name. The pages themselves are tested over a real weir. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "tests/unit.h"

static void names_that_a_page_can_own_are_refused(void **state)
{
    (void)state;
    assert_false(guard_host_ok(SLICE("evil.example")));
    assert_false(guard_host_ok(SLICE("localhost.evil.example")));
    assert_false(guard_host_ok(SLICE("127.0.0.1.evil.example")));
    assert_false(guard_host_ok(SLICE("127.0.0.1x")));
    assert_false(guard_host_ok(SLICE("[]")));
    assert_false(guard_host_ok(SLICE("[localhost]")));
}

static void addresses_and_localhost_are_served(void **state)
{
    (void)state;
    assert_true(guard_host_ok(SLICE("localhost")));
    assert_true(guard_host_ok(SLICE("127.0.0.1")));
    assert_true(guard_host_ok(SLICE("10.1.2.3")));
    assert_true(guard_host_ok(SLICE("[::1]")));
    assert_true(guard_host_ok(SLICE(""))); /* HTTP/1.0 */
}

UNIT_SUITE(admin_admin, cmocka_unit_test(names_that_a_page_can_own_are_refused),
           cmocka_unit_test(addresses_and_localhost_are_served));
