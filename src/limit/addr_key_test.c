/* addr_key_test.c - who counts as one. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "limit/addr_key.h"
#include "tests/unit.h"

static struct addr_prefix prefix(const char *text, uint8_t v4, uint8_t v6)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return addr_prefix_of(&a, (struct addr_bits){v4, v6});
}

static void expect_text(const char *text, uint8_t v4, uint8_t v6, const char *want)
{
    char to[ADDR_TEXT_BYTES];
    struct addr_prefix p = prefix(text, v4, v6);
    size_t len = addr_prefix_write(to, &p);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(to, want, len);
}

static bool is_one(const char *a, const char *b, uint8_t v4, uint8_t v6)
{
    struct addr_prefix x = prefix(a, v4, v6), y = prefix(b, v4, v6);
    return addr_prefix_key(&x) == addr_prefix_key(&y);
}

static void prefixes_are_cut_to_the_bit(void **state)
{
    (void)state;
    expect_text("192.0.2.77", 32, 64, "192.0.2.77");
    expect_text("192.0.2.77", 24, 64, "192.0.2.0/24");
    expect_text("192.0.2.77", 31, 64, "192.0.2.76/31");
    expect_text("192.0.2.77", 0, 64, "0.0.0.0/0");
    expect_text("2001:db8:1:2:3:4:5:6", 32, 64, "2001:db8:1:2::/64");
    expect_text("2001:db8:1:2:3:4:5:6", 32, 47, "2001:db8::/47");
    expect_text("2001:db8:1:2:3:4:5:6", 32, 128, "2001:db8:1:2:3:4:5:6");
    expect_text("2001:db8:1:2:3:4:5:6", 32, 0, "::/0");
}

/* A listener on [::] gives IPv4 clients so: they must not get a second allowance by it. */
static void mapped_addresses_are_what_they_map(void **state)
{
    (void)state;
    assert_true(is_one("::ffff:192.0.2.77", "192.0.2.77", 32, 64));
    assert_false(is_one("::ffff:192.0.2.77", "192.0.2.78", 32, 64));
    assert_true(is_one("::ffff:c000:24d", "192.0.2.1", 24, 64));
    assert_false(is_one("::ffff:192.0.2.1", "::fffe:192.0.2.1", 32, 64));
}

static void a_network_of_ipv6_is_one(void **state)
{
    (void)state;
    assert_true(is_one("2001:db8::1", "2001:db8::ffff:1", 32, 64));
    assert_false(is_one("2001:db8::1", "2001:db8:0:1::1", 32, 64));
    assert_false(is_one("2001:db8::1", "2001:db8::2", 32, 128));
}

static void unix_sockets_are_one(void **state)
{
    (void)state;
    struct addr a = {.len = sizeof a.un, .un = {.sun_family = AF_UNIX, .sun_path = "/a"}},
                none = {0};
    struct addr_prefix x = addr_prefix_of(&a, (struct addr_bits){32, 64});
    struct addr_prefix y = addr_prefix_of(&none, (struct addr_bits){32, 64});
    assert_memory_equal(x.bytes, y.bytes, sizeof x.bytes);
}

static void bits_are_read(void **state)
{
    (void)state;
    static const char *const bad[] = {"24",     "/",       "/7",   "/33",
                                      "/24/15", "/24/129", "/24/", "/24/56/1"};
    struct addr_bits b = {1, 2};
    assert_true(addr_bits_parse(SLICE(""), &b));
    assert_true(b.v4 == 1 && b.v6 == 2);
    assert_true(addr_bits_parse(SLICE("/24"), &b));
    assert_true(b.v4 == 24 && b.v6 == 2);
    assert_true(addr_bits_parse(SLICE("/8/16"), &b));
    assert_true(b.v4 == 8 && b.v6 == 16);
    assert_true(addr_bits_parse(SLICE("/32/128"), &b));
    assert_true(b.v4 == 32 && b.v6 == 128);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(addr_bits_parse(slice_of(bad[i]), &b));
}

UNIT_SUITE(limit_addr_key, cmocka_unit_test(bits_are_read),
           cmocka_unit_test(prefixes_are_cut_to_the_bit),
           cmocka_unit_test(mapped_addresses_are_what_they_map),
           cmocka_unit_test(a_network_of_ipv6_is_one), cmocka_unit_test(unix_sockets_are_one));
