/* outbound_test.c - which URLs a list takes, and which addresses are refused whatever it says. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "proxy/config_test_priv.h"
#include "proxy/outbound_priv.h"
#include "proxy/target.h"
#include <ifaddrs.h>
#include <stdio.h>

static struct test_config config;

static const struct outbound_conf *conf_with(const char *words, const char *block)
{
    struct text t;
    text_init(&t);
    text_addf(&t, "listen :80\nsite * { relay %s {\n%s\n} }\n", words, block);
    test_config_need(&config, t.at);
    text_release(&t);
    return config.conf->proxy->sites[0]->own->settings.target->outbound;
}

static void expect_urls(const char *words, const char *block, const char *const *urls, bool taken)
{
    const struct outbound_conf *c = conf_with(words, block);
    struct arena a;
    struct url u;
    arena_init(&a, 64 * 1024);
    for (; *urls; urls++) {
        assert_int_equal(url_parse(&a, slice_of(*urls), &u), ERR_OK);
        if (outbound_rules_take(c, &u) != taken)
            fail_msg("relay %s: %s is %s", words, *urls, taken ? "refused" : "taken");
    }
    arena_release(&a);
    test_config_release(&config);
}

#define TAKES(words, block, ...) \
    expect_urls(words, block, (const char *const[]){__VA_ARGS__, NULL}, true)
#define REFUSES(words, block, ...) \
    expect_urls(words, block, (const char *const[]){__VA_ARGS__, NULL}, false)

static void hosts(void **state)
{
    (void)state;
    TAKES("a.test", "", "http://a.test/", "https://A.test./x?y");
    REFUSES("a.test", "", "http://b.a.test/", "http://xa.test/", "http://a.test.b/",
            "http://test/");
    TAKES("*.a.test", "", "http://b.a.test/", "https://c.b.a.test/");
    REFUSES("*.a.test", "", "http://a.test/", "http://ba.test/", "http://b.a.test.c/");
    TAKES("[::1] 192.0.2.1", "", "http://[::1]/", "http://192.0.2.1/");
    REFUSES("[::1] 192.0.2.1", "", "http://[::2]/", "http://192.0.2.10/",
            "http://[::ffff:192.0.2.1]/");
}

static void schemes_and_ports(void **state)
{
    (void)state;
    TAKES("https://a.test", "", "https://a.test/", "https://a.test:443/");
    REFUSES("https://a.test", "", "http://a.test/", "http://a.test:443/", "https://a.test:80/");
    TAKES("a.test:81", "", "http://a.test:81/", "https://a.test:81/");
    REFUSES("a.test:81", "", "http://a.test/", "http://a.test:82/");
    TAKES("a.test:*", "", "http://a.test:1/", "https://a.test:65535/");
    TAKES("a.test", "ports 8080 8443", "http://a.test:8080/", "http://a.test:8443/",
          "http://a.test/");
    REFUSES("a.test", "ports 8080", "http://a.test:443/", "https://a.test:80/",
            "http://a.test:8081/");
    REFUSES("a.test:81", "ports 8080", "http://a.test:8080/");
}

static void any_needs_a_public_host(void **state)
{
    (void)state;
    TAKES("any", "", "http://a.test/", "https://[2606:4700::1]/", "http://192.0.2.1/");
    REFUSES("any", "", "http://localhost/", "http://intranet/", "http://a.test:22/",
            "https://a.test:80/");
}

static const char *refuses(const struct outbound_conf *c, const char *ip)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(ip), &a), ERR_OK);
    return outbound_refuses(c, &a);
}

static void addresses(void **state)
{
    (void)state;
    const struct outbound_conf *c = conf_with("any", "private 10.1.0.0/16 fd00::/8\n"
                                                     "deny 10.1.2.0/24 8.8.8.0/24");
    assert_null(refuses(c, "1.1.1.1"));
    assert_null(refuses(c, "10.1.0.0"));
    assert_null(refuses(c, "10.1.255.255"));
    assert_null(refuses(c, "::ffff:10.1.0.1"));
    assert_null(refuses(c, "64:ff9b::10.1.0.1"));
    assert_null(refuses(c, "fd00::1"));
    assert_non_null(refuses(c, "10.0.255.255"));
    assert_non_null(refuses(c, "10.2.0.0"));
    assert_non_null(refuses(c, "127.0.0.1"));
    assert_non_null(refuses(c, "169.254.169.254"));
    assert_non_null(refuses(c, "fc00::1"));
    assert_non_null(refuses(c, "10.1.2.3"));
    assert_non_null(refuses(c, "::ffff:10.1.2.3"));
    assert_non_null(refuses(c, "8.8.8.8"));
    assert_non_null(refuses(c, "64:ff9b::8.8.8.8"));
    assert_null(refuses(c, "8.8.9.8"));
    test_config_release(&config);
}

/* One that is not loopback; false: there is none. */
static bool own_address(char text[ADDR_TEXT_BYTES])
{
    struct ifaddrs *all, *it;
    bool found = false;
    assert_int_equal(getifaddrs(&all), 0);
    for (it = all; it && !found; it = it->ifa_next) {
        struct addr a = {.len = sizeof(a.in)};
        if (!it->ifa_addr || it->ifa_addr->sa_family != AF_INET)
            continue;
        memcpy(&a.in, it->ifa_addr, sizeof(a.in));
        found = !addr_is_loopback(&a);
        text[addr_write_ip(text, &a)] = '\0';
    }
    freeifaddrs(all);
    return found;
}

static void this_machine_is_named_alone(void **state)
{
    char ip[ADDR_TEXT_BYTES], block[2 * ADDR_TEXT_BYTES];
    (void)state;
    if (!own_address(ip))
        skip();
    assert_string_equal(refuses(conf_with("any", "private 0.0.0.0/0"), ip), "this machine");
    test_config_release(&config);
    snprintf(block, sizeof block, "private 0.0.0.0/0 %s", ip);
    assert_null(refuses(conf_with("any", block), ip));
    test_config_release(&config);
    assert_null(refuses(conf_with("any", "private 127.0.0.0/8"), "127.0.0.1"));
    test_config_release(&config);
}

UNIT_SUITE(proxy_outbound, cmocka_unit_test(hosts), cmocka_unit_test(schemes_and_ports),
           cmocka_unit_test(any_needs_a_public_host), cmocka_unit_test(addresses),
           cmocka_unit_test(this_machine_is_named_alone));
