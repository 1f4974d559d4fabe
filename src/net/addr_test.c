/* addr_test.c - addresses as users write them, their text, and prefixes. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "net/addr.h"
#include "tests/unit.h"
#include <string.h>

static void parses_what_users_write(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool is_unix, is_literal;
    } cases[] = {
        {"10.0.0.1:80", "10.0.0.1", 80, false, true},
        {"10.0.0.1", "10.0.0.1", 0, false, true},
        {"[::1]:8080", "::1", 8080, false, true},
        {"[::1]", "::1", 0, false, true},
        {"::1", "::1", 0, false, true},
        {"2001:db8::7", "2001:db8::7", 0, false, true},
        {":80", "", 80, false, false},
        {":65535", "", 65535, false, false},
        {"unix:/run/app.sock", "/run/app.sock", 0, true, false},
        {"unix:relative", "relative", 0, true, false},
        {"app:3000", "app", 3000, false, false},
        {"my_app-1.internal.", "my_app-1.internal.", 0, false, false},
        {"1a", "1a", 0, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addr_spec s;
        assert_int_equal(addr_spec_parse(slice_of(cases[i].text), &s), ERR_OK);
        assert_true(slice_eq(s.host, slice_of(cases[i].host)));
        assert_int_equal(s.port, cases[i].port);
        assert_int_equal(s.is_unix, cases[i].is_unix);
        assert_int_equal(s.is_literal, cases[i].is_literal);
    }
}

static void refuses_what_is_no_address(void **state)
{
    static const char *const cases[] = {
        "",           ":",         ":0",         ":65536",    ":80a",    ":-1",           "10.0.0",
        "10.0.0.256", "10.0.0.1:", "10.0.0.1:0", "[::1",      "[::1]80", "[10.0.0.1]:80", "[]:80",
        "[::g]:80",   "a..b",      ".a",         "a b",       "a/b",     "http://a",      "a:b",
        "a:1:2",      "unix:",     "-\x80",      "1.2.3.4.5", "12345",   "a:80 ",         "a,b"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addr_spec s = {.port = 4711};
        assert_int_equal(addr_spec_parse(slice_of(cases[i]), &s), ERR_BAD_ADDRESS);
        assert_int_equal(s.port, 4711); /* untouched */
    }
}

static void names_have_limits(void **state)
{
    char text[400];
    struct addr_spec s;
    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(addr_spec_parse((struct slice){text, 63}, &s), ERR_OK);
    assert_int_equal(addr_spec_parse((struct slice){text, 64}, &s), ERR_BAD_ADDRESS);
    for (size_t i = 49; i < sizeof(text); i += 50)
        text[i] = '.';
    assert_int_equal(addr_spec_parse((struct slice){text, 253}, &s), ERR_OK);
    assert_int_equal(addr_spec_parse((struct slice){text, 254}, &s), ERR_BAD_ADDRESS);
    memset(text, 'u', sizeof(text));
    memcpy(text, "unix:", 5);
    struct sockaddr_un un;
    assert_int_equal(addr_spec_parse((struct slice){text, 5 + sizeof(un.sun_path) - 1}, &s),
                     ERR_OK);
    assert_int_equal(addr_spec_parse((struct slice){text, 5 + sizeof(un.sun_path)}, &s),
                     ERR_BAD_ADDRESS);
    assert_int_equal(addr_spec_parse((struct slice){"unix:/a\0b", 9}, &s), ERR_BAD_ADDRESS);
    assert_int_equal(addr_spec_parse((struct slice){"a\0b", 3}, &s), ERR_BAD_ADDRESS);
}

static struct addr from_text(const char *text)
{
    struct addr_spec s;
    struct addr a;
    assert_int_equal(addr_spec_parse(slice_of(text), &s), ERR_OK);
    assert_int_equal(addr_from_spec(&s, &a), ERR_OK);
    return a;
}

static void text_and_back(void **state)
{
    static const struct {
        const char *text, *written, *ip;
    } cases[] = {
        {"10.0.0.1:80", "10.0.0.1:80", "10.0.0.1"},
        {"[2001:DB8:0:0::7]:443", "[2001:db8::7]:443", "2001:db8::7"},
        {":80", "[::]:80", "::"},
        {"[::ffff:10.1.2.3]:80", "10.1.2.3:80", "10.1.2.3"},
        {"unix:/run/a.sock", "unix:/run/a.sock", "unix"},
    };
    char to[ADDR_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addr a = from_text(cases[i].text);
        assert_int_equal(addr_write(to, &a), strlen(cases[i].written));
        assert_string_equal(to, cases[i].written);
        assert_int_equal(addr_write_ip(to, &a), strlen(cases[i].ip));
        assert_string_equal(to, cases[i].ip);
    }
    struct addr none = {0};
    addr_write(to, &none);
    assert_string_equal(to, "-");
    addr_write_ip(to, &none);
    assert_string_equal(to, "-");
}

static void longest_unix_path_fits(void **state)
{
    char text[200], to[ADDR_TEXT_BYTES];
    struct sockaddr_un un;
    (void)state;
    memset(text, 'p', sizeof(text));
    memcpy(text, "unix:", 5);
    text[5 + sizeof(un.sun_path) - 1] = '\0';
    struct addr a = from_text(text);
    addr_write(to, &a);
    assert_string_equal(to, text);
}

static void names_make_no_address(void **state)
{
    struct addr_spec s;
    struct addr a;
    (void)state;
    assert_int_equal(addr_spec_parse(SLICE("example.org:80"), &s), ERR_OK);
    assert_int_equal(addr_from_spec(&s, &a), ERR_BAD_ADDRESS);
}

static void compares(void **state)
{
    static const char *const distinct[] = {"10.0.0.1:80", "10.0.0.1:81", "10.0.0.2:80", "[::1]:80",
                                           "[::2]:80",    "unix:/a",     "unix:/ab"};
    struct addr none = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(distinct); i++) {
        struct addr a = from_text(distinct[i]);
        for (size_t j = 0; j < COUNT_OF(distinct); j++) {
            struct addr b = from_text(distinct[j]);
            assert_int_equal(addr_eq(&a, &b), i == j);
        }
        assert_false(addr_eq(&a, &none));
    }
    assert_true(addr_eq(&none, &none));
}

static void knows_loopback(void **state)
{
    static const char *const yes[] = {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:/a",
                                      "[::ffff:127.0.0.1]:1"};
    static const char *const no[] = {"128.0.0.1:1", "126.255.255.255:1", ":1", "[::2]:1"};
    (void)state;
    assert_false(addr_is_loopback(&(struct addr){0}));
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        struct addr a = from_text(yes[i]);
        assert_true(addr_is_loopback(&a));
    }
    for (size_t i = 0; i < COUNT_OF(no); i++) {
        struct addr a = from_text(no[i]);
        assert_false(addr_is_loopback(&a));
    }
}

static void unmaps(void **state)
{
    struct addr a = from_text("[::ffff:1.2.3.4]:99"), b = from_text("1.2.3.4:99"),
                c = from_text("[::1]:5"), d = c;
    (void)state;
    addr_unmap(&a);
    assert_true(addr_eq(&a, &b));
    addr_unmap(&d);
    assert_true(addr_eq(&c, &d));
}

static bool matches(const char *prefix, const char *addr)
{
    struct addr_prefix p;
    struct addr a = from_text(addr);
    assert_int_equal(addr_prefix_parse(slice_of(prefix), &p), ERR_OK);
    return addr_prefix_match(&p, &a);
}

static void prefixes_match(void **state)
{
    (void)state;
    assert_true(matches("10.0.0.0/8", "10.255.255.255"));
    assert_false(matches("10.0.0.0/8", "11.0.0.0"));
    assert_true(matches("10.1.2.3", "10.1.2.3"));
    assert_false(matches("10.1.2.3", "10.1.2.2"));
    assert_true(matches("192.168.4.0/22", "192.168.7.255"));
    assert_false(matches("192.168.4.0/22", "192.168.8.0"));
    assert_true(matches("0.0.0.0/0", "1.2.3.4"));
    assert_false(matches("0.0.0.0/0", "2001:db8::1"));
    assert_true(matches("::/0", "2001:db8::1"));
    assert_true(matches("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(matches("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(matches("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_true(matches("::ffff:10.0.0.0/104", "10.0.0.1"));
    assert_false(matches("::/0", "unix:/a"));
}

static void prefixes_refuse_junk(void **state)
{
    static const char *const cases[] = {
        "",       "/8",          "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
        "::/129", "10.0.0.0/8x", "name/8",    "10.0.0.0/8/8"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addr_prefix p;
        assert_int_equal(addr_prefix_parse(slice_of(cases[i]), &p), ERR_BAD_ADDRESS);
    }
}

static void packs_and_unpacks(void **state)
{
    (void)state;
    static const char *const cases[] = {"10.1.2.3:80", "[2001:db8::7]:65535", "[::1]:1"};
    struct addr_packed packed;
    struct addr back;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addr a = from_text(cases[i]);
        addr_pack(&packed, &a);
        addr_unpack(&back, &packed);
        assert_true(addr_eq(&a, &back));
        assert_int_equal(a.len, back.len);
    }
}

static void packing_keeps_the_family_alone(void **state)
{
    (void)state;
    char text[ADDR_TEXT_BYTES];
    struct addr_packed packed;
    struct addr a = from_text("unix:/run/a"), back;
    addr_pack(&packed, &a);
    addr_unpack(&back, &packed);
    addr_write_ip(text, &back);
    assert_string_equal(text, "unix");
    addr_write(text, &back);
    assert_string_equal(text, "unix:");
    addr_pack(&packed, &(struct addr){0});
    addr_unpack(&back, &packed);
    assert_int_equal(back.len, 0);
}

UNIT_SUITE(net_addr, cmocka_unit_test(parses_what_users_write),
           cmocka_unit_test(refuses_what_is_no_address), cmocka_unit_test(names_have_limits),
           cmocka_unit_test(text_and_back), cmocka_unit_test(longest_unix_path_fits),
           cmocka_unit_test(names_make_no_address), cmocka_unit_test(compares),
           cmocka_unit_test(knows_loopback), cmocka_unit_test(unmaps),
           cmocka_unit_test(packs_and_unpacks), cmocka_unit_test(packing_keeps_the_family_alone),
           cmocka_unit_test(prefixes_match), cmocka_unit_test(prefixes_refuse_junk));
