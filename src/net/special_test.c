/* special_test.c - every range of the registries at both its ends and one address past them, and
 * IPv4 in the disguises that IPv6 has for it. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "net/special.h"
#include "tests/unit.h"
#include <stdio.h>
#include <sys/resource.h>

static const char *what_is(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return special_find(&a);
}

static void expect_special(const char *text)
{
    if (!what_is(text))
        fail_msg("%s is taken for public", text);
}

static void expect_public(const char *text)
{
    const char *what = what_is(text);
    if (what)
        fail_msg("%s is taken for: %s", text, what);
}

/* before: the last address below the range; after: the first above; NULL: special, too. */
static const struct {
    const char *before, *first, *last, *after;
} ranges[] = {
    {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
    {"192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"},
    {"192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"},
    {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
    {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL},
    {NULL, "240.0.0.0", "255.255.255.255", NULL},
    {NULL, "::", "::1", NULL},
    {NULL, "100::", "100::ffff:ffff:ffff:ffff", NULL},
    {NULL, "1fff:ffff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
    {"2000:ffff:ffff:ffff::", "2001::", "2001:1ff:ffff::ffff", "2001:200::"},
    {"2001:db7:ffff::", "2001:db8::", "2001:db8:ffff:ffff::", "2001:db9::"},
    {"2001:ffff:ffff::", "2002::", "2002:ffff:ffff:ffff::", "2003::"},
    {"2620:4f:7fff:ffff::", "2620:4f:8000::", "2620:4f:8000:ffff::", "2620:4f:8001::"},
    {"3ffe:ffff::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"},
    {"3fff:ffff::", "4000::", "5fff:ffff::", NULL},
    {NULL, "5f00::", "5f00:ffff::", NULL},
    {NULL, "fc00::", "fdff:ffff:ffff::", NULL},
    {NULL, "fe80::", "febf:ffff::1", NULL},
    {NULL, "fec0::", "feff:ffff::", NULL},
    {NULL, "ff00::", "ffff:ffff::", NULL},
};

static void ranges_hold_at_their_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        expect_special(ranges[i].first);
        expect_special(ranges[i].last);
        if (ranges[i].before)
            expect_public(ranges[i].before);
        if (ranges[i].after)
            expect_public(ranges[i].after);
    }
}

static void what_is_public_stays_so(void **state)
{
    static const char *const all[] = {"1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111",
                                      "2a00:1450:4001::1"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        expect_public(all[i]);
}

static void ipv4_inside_ipv6(void **state)
{
    static const char *const inside[] = {"127.0.0.1", "10.1.2.3",    "169.254.169.254",
                                         "0.0.0.0",   "192.168.0.1", "255.255.255.255"};
    char text[64];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(inside); i++) {
        snprintf(text, sizeof text, "::ffff:%s", inside[i]);
        expect_special(text);
        snprintf(text, sizeof text, "64:ff9b::%s", inside[i]);
        expect_special(text);
        snprintf(text, sizeof text, "::%s", inside[i]); /* IPv4-compatible */
        expect_special(text);
        snprintf(text, sizeof text, "::ffff:0:%s", inside[i]); /* IPv4-translated */
        expect_special(text);
    }
    expect_public("::ffff:8.8.8.8");
    expect_public("64:ff9b::8.8.8.8");
    expect_special("::8.8.8.8");
    expect_special("64:ff9b:1::8.8.8.8"); /* local use */
    expect_special("2002:7f00:1::");      /* 6to4 of 127.0.0.1 */
    expect_special("2002:808:808::");     /* of 8.8.8.8: nothing routes it any more */
    expect_special("2001:0:4136:e378:8000:63bf:80ff:fffe"); /* Teredo of 127.0.0.1 */
}

static void other_families_are_never_public(void **state)
{
    struct addr none = {0}, un = {.len = sizeof(un.un), .un = {.sun_family = AF_UNIX}};
    (void)state;
    assert_non_null(special_find(&none));
    assert_non_null(special_find(&un));
    assert_true(special_is_own(&un));
}

static bool is_own(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return special_is_own(&a);
}

static void own_addresses(void **state)
{
    (void)state;
    assert_true(is_own("127.0.0.1"));
    assert_false(is_own("192.0.2.77"));
}

/* Whoever uses up all descriptors does not get past the question. */
static void without_descriptors_all_are_own(void **state)
{
    struct rlimit was, none;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = (struct rlimit){0, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool own = is_own("192.0.2.77");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(own);
    assert_false(is_own("192.0.2.77"));
}

UNIT_SUITE(net_special, cmocka_unit_test(ranges_hold_at_their_ends),
           cmocka_unit_test(what_is_public_stays_so), cmocka_unit_test(ipv4_inside_ipv6),
           cmocka_unit_test(other_families_are_never_public), cmocka_unit_test(own_addresses),
           cmocka_unit_test(without_descriptors_all_are_own));
