/* settings_test.c - inheritance: what the nearer block sets wins, the rest stays. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/settings.h"
#include "tests/unit.h"

static void unset_means_every_field(void **state)
{
    (void)state;
    struct settings s;
    settings_unset(&s);
    assert_false(settings_is_set(s.client_header_ms));
    assert_false(settings_is_set(s.merge_slashes));
    assert_false(settings_pointer_is_set(s.log));
    assert_false(settings_pointer_is_set(s.target));
    assert_true(settings_empty(&s));
    s.retry_tries = 0;
    assert_false(settings_empty(&s));
}

static void zero_and_off_are_values(void **state)
{
    (void)state;
    assert_true(settings_is_set(0));
    assert_true(settings_is_set(-1));
    assert_true(settings_pointer_is_set(NULL));
}

static void nearer_wins_where_it_is_set(void **state)
{
    (void)state;
    int here;
    struct settings base, nearer;
    settings_unset(&base);
    settings_unset(&nearer);
    base.read_ms = 60000;
    base.send_ms = 5;
    base.target = (const struct target *)(void *)&here;
    nearer.read_ms = 0;
    nearer.body_max_bytes = -1;
    settings_merge(&base, &nearer);
    assert_int_equal(base.read_ms, 0);
    assert_int_equal(base.send_ms, 5);
    assert_int_equal(base.body_max_bytes, -1);
    assert_ptr_equal(base.target, &here);
    assert_false(settings_is_set(base.connect_ms));
}

static void a_span_is_first_to_last(void **state)
{
    (void)state;
    struct settings to, from;
    settings_unset(&to);
    settings_unset(&from);
    from.tunnel_ms = 1;
    from.body_max_bytes = 2;
    from.body_queue_bytes = 3;
    from.buffer_request = 4;
    settings_copy_span(&to, &from,
                       (struct settings_span){offsetof(struct settings, body_max_bytes),
                                              offsetof(struct settings, body_queue_bytes)});
    assert_int_equal(to.body_max_bytes, 2);
    assert_int_equal(to.body_queue_bytes, 3);
    assert_false(settings_is_set(to.tunnel_ms));
    assert_false(settings_is_set(to.buffer_request));
}

UNIT_SUITE(proxy_settings, cmocka_unit_test(unset_means_every_field),
           cmocka_unit_test(zero_and_off_are_values), cmocka_unit_test(nearer_wins_where_it_is_set),
           cmocka_unit_test(a_span_is_first_to_last));
