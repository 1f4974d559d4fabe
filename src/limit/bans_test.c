/* bans_test.c - who is banned for how long, and that it ends. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "limit/addr_key.h"
#include "limit/bans.h"
#include "tests/unit.h"
#include <stdio.h>
#include <string.h>

enum { MINUTE = 60 * 1000, NOW = 5 * MINUTE };

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return a;
}

static bool has(const char *text, int64_t now)
{
    struct addr a = ip(text);
    return bans_has(&a, now);
}

static struct ban add(const char *text, int64_t ms, int64_t most, int64_t now)
{
    struct ban b;
    struct addr a = ip(text);
    assert_true(bans_add(&a, ms, most, now, &b));
    return b;
}

static void a_ban_holds_for_its_time(void **state)
{
    (void)state;
    add("192.0.2.1", MINUTE, MINUTE, NOW);
    assert_true(has("192.0.2.1", NOW) && has("192.0.2.1", NOW + MINUTE - 1));
    assert_true(has("::ffff:192.0.2.1", NOW));
    assert_false(has("192.0.2.1", NOW + MINUTE));
    assert_false(has("192.0.2.2", NOW));
    assert_int_equal(bans_lift_all(NOW), 1);
    assert_false(has("192.0.2.1", NOW));
}

static void the_next_one_is_longer(void **state)
{
    (void)state;
    int64_t now = NOW;
    static const int minutes[] = {1, 2, 4, 5, 5};
    for (size_t i = 0; i < COUNT_OF(minutes); i++) {
        struct ban b = add("192.0.2.1", MINUTE, 5 * MINUTE, now);
        assert_int_equal(b.until_ms - now, minutes[i] * MINUTE);
        assert_int_equal(b.times, i + 1);
        now = b.until_ms;
    }
    now += BAN_MEMORY_MS + 1; /* forgiven */
    assert_int_equal(add("192.0.2.1", MINUTE, 5 * MINUTE, now).until_ms - now, MINUTE);
    bans_lift_all(now);
}

static void who_is_banned_is_not_banned_again(void **state)
{
    (void)state;
    struct ban b;
    struct addr a = ip("192.0.2.1"), local = {.len = sizeof local.un, .un.sun_family = AF_UNIX};
    add("192.0.2.1", MINUTE, MINUTE, NOW);
    assert_false(bans_add(&a, MINUTE, MINUTE, NOW + 1, &b));
    assert_false(bans_add(&local, MINUTE, MINUTE, NOW, &b));
    assert_false(bans_has(&local, NOW));
    assert_true(bans_set(&a, 9 * MINUTE, NOW, &b)); /* by hand it is */
    assert_int_equal(b.until_ms, NOW + 9 * MINUTE);
    bans_lift_all(NOW);
}

static void a_network_of_ipv6_is_banned_as_one(void **state)
{
    (void)state;
    add("2001:db8::1", MINUTE, MINUTE, NOW);
    assert_true(has("2001:db8::ffff", NOW));
    assert_false(has("2001:db8:0:1::1", NOW));
    bans_lift_all(NOW);
}

static void lifted_is_forgotten(void **state)
{
    (void)state;
    struct addr a = ip("192.0.2.1");
    assert_false(bans_lift(&a, NOW));
    add("192.0.2.1", MINUTE, 9 * MINUTE, NOW);
    assert_true(bans_lift(&a, NOW));
    assert_false(has("192.0.2.1", NOW));
    assert_int_equal(add("192.0.2.1", MINUTE, 9 * MINUTE, NOW).times, 1);
    assert_false(bans_lift(&a, NOW + MINUTE)); /* it was over */
}

static void list_add(void *ctx, const struct ban *b)
{
    char text[ADDR_TEXT_BYTES];
    size_t len = addr_prefix_write(text, &b->who);
    snprintf((char *)ctx + strlen(ctx), 64, "%.*s ", (int)len, text);
}

static void the_list_has_those_in_force(void **state)
{
    (void)state;
    char list[256] = "";
    add("192.0.2.1", MINUTE, MINUTE, NOW);
    bans_each(NOW + MINUTE, list_add, list);
    assert_string_equal(list, "");
    add("2001:db8::1", 2 * MINUTE, 2 * MINUTE, NOW);
    bans_each(NOW + MINUTE, list_add, list);
    assert_string_equal(list, "2001:db8::/64 ");
    assert_int_equal(bans_lift_all(NOW + MINUTE), 1);
}

/* Those that are over make room, those in force do not. */
static void the_list_has_an_end(void **state)
{
    (void)state;
    struct ban b;
    uint32_t added = 0;
    struct addr a = {.len = sizeof a.in, .in.sin_family = AF_INET};
    for (uint32_t i = 0; i < BANS_MAX + BANS_MAX / 4; i++) {
        a.in.sin_addr.s_addr = htonl(i);
        added += bans_add(&a, MINUTE, MINUTE, NOW, &b);
    }
    assert_int_equal(added, BANS_MAX);
    add("192.0.2.1", MINUTE, MINUTE, NOW + MINUTE);
    assert_int_equal(bans_lift_all(NOW + MINUTE), 1);
}

UNIT_SUITE(limit_bans, cmocka_unit_test(a_ban_holds_for_its_time),
           cmocka_unit_test(the_next_one_is_longer),
           cmocka_unit_test(who_is_banned_is_not_banned_again),
           cmocka_unit_test(a_network_of_ipv6_is_banned_as_one),
           cmocka_unit_test(lifted_is_forgotten), cmocka_unit_test(the_list_has_those_in_force),
           cmocka_unit_test(the_list_has_an_end));
