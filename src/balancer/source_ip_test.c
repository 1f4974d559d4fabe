/* source_ip_test.c - which addresses have the same key, and that keys stay on their servers. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

static struct test_upstream t;

/* The options are the first fields. */
struct source_options {
    int64_t bound, prefix4, prefix6;
};

static int setup(void **state)
{
    (void)state;
    test_upstream_init(&t, "source_ip", 10);
    test_upstream_start(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_upstream_release(&t);
    return 0;
}

static uint64_t key(const char *text)
{
    return balancer_key(&t.up, slice_of(text));
}

static void prefixes_set(int64_t bits4, int64_t bits6)
{
    struct source_options *o = t.up.balancer_conf;
    o->prefix4 = bits4;
    o->prefix6 = bits6;
}

static void whole_ipv4_and_64_bits_of_ipv6_by_default(void **state)
{
    (void)state;
    assert_int_equal(key("192.0.2.1"), key("192.0.2.1"));
    assert_int_not_equal(key("192.0.2.1"), key("192.0.2.2"));
    assert_int_equal(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_int_not_equal(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_int_equal(key("::ffff:192.0.2.1"), key("192.0.2.1"));
}

static void bits_count_to_the_last(void **state)
{
    (void)state;
    prefixes_set(23, 57);
    assert_int_equal(key("10.1.2.0"), key("10.1.3.255"));
    assert_int_not_equal(key("10.1.3.255"), key("10.1.4.0"));
    assert_int_equal(key("2001:db8::"), key("2001:db8:0:7f::1"));
    assert_int_not_equal(key("2001:db8:0:7f::1"), key("2001:db8:0:80::"));
    prefixes_set(1, 128);
    assert_int_equal(key("127.255.255.255"), key("0.0.0.0"));
    assert_int_not_equal(key("127.255.255.255"), key("128.0.0.0"));
    assert_int_not_equal(key("2001:db8::1"), key("2001:db8::"));
}

static void other_texts_are_hashed_as_they_are(void **state)
{
    (void)state;
    assert_int_equal(key(""), 0);
    assert_int_not_equal(key("unix"), 0);
    assert_int_not_equal(key("unix"), key("uniX"));
    assert_int_not_equal(key("1.2.3"), key("1.2.3.4"));
}

static void networks_spread_and_stay(void **state)
{
    (void)state;
    int counts[10] = {0};
    prefixes_set(24, 64);
    for (int net = 0; net < 10000; net++) {
        char text[32];
        int server[2];
        for (int host = 0; host < 2; host++) {
            snprintf(text, sizeof text, "10.%d.%d.%d", net / 256, net % 256, host * 200);
            t.pick.key = key(text);
            server[host] = test_upstream_pick(&t);
        }
        assert_int_equal(server[0], server[1]);
        counts[server[0]]++;
    }
    for (int i = 0; i < 10; i++)
        assert_near(counts[i], 1000, 150);
}

static void removal_moves_few_others(void **state)
{
    (void)state;
    struct test_moved m = test_upstream_moved("source_ip", 20);
    assert_near(m.own, 50, 15);
    assert_in_range(m.others, 0, 16);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
UNIT_SUITE(balancer_source_ip, CASE(whole_ipv4_and_64_bits_of_ipv6_by_default),
           CASE(bits_count_to_the_last), CASE(other_texts_are_hashed_as_they_are),
           CASE(networks_spread_and_stay), CASE(removal_moves_few_others));
