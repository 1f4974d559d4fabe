/* forwarded_test.c - who is believed to be the client, and what the server is told about it. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/config_test_priv.h"

#define CONFIG                                                \
    "listen 127.0.0.1:8080\ntrust 10.0.0.0/8 2001:db8::/32\n" \
    "site * {\n    proxy 10.0.9.1:80\n}\n"

static struct test_config t;

static int begin(void **state)
{
    (void)state;
    test_config_need(&t, CONFIG);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_config_release(&t);
    return 0;
}

static void expect_client(const char *request, const char *ip)
{
    char text[ADDR_TEXT_BYTES];
    struct exchange *x = test_request(&t, request);
    size_t len = addr_write_ip(text, &x->client_addr);
    text[len] = '\0';
    if (strcmp(text, ip) != 0)
        fail_msg("client is %s, not %s: %s", text, ip, request);
}

/* Exactly one line of that name; NULL: none. */
static void expect_line(const char *name, const char *value)
{
    const struct header *h = headers_find_name(&t.x->req.headers, slice_of(name));
    if (!value) {
        assert_null(h);
        return;
    }
    if (!h || !slice_eq(h->value, slice_of(value)))
        fail_msg("%s is '%.*s', not '%s'", name, h ? (int)h->value.len : 6,
                 h ? h->value.at : "absent", value);
    assert_null(headers_next(&t.x->req.headers, h));
}

/* --- who the client is ------------------------------------------------------------------------ */

static void a_stranger_is_not_believed(void **state)
{
    (void)state;
    expect_client("GET http://a.test/ from=192.0.2.1", "192.0.2.1");
    assert_false(t.x->client_trusted);
    expect_client("GET http://a.test/ from=192.0.2.1 | X-Forwarded-For: 1.1.1.1", "192.0.2.1");
    expect_client("GET http://a.test/ from=192.0.2.1 | Forwarded: for=1.1.1.1", "192.0.2.1");
    expect_client("GET http://a.test/ from=192.0.2.1 | X-Real-IP: 1.1.1.1", "192.0.2.1");
    expect_client("GET http://a.test/ from=11.0.0.1 | X-Forwarded-For: 1.1.1.1", "11.0.0.1");
}

static void the_nearest_stranger_is_the_client(void **state)
{
    (void)state;
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 1.1.1.1", "1.1.1.1");
    assert_true(t.x->client_trusted);
    /* what the client itself claimed stands to the left of what the proxy saw */
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 6.6.6.6, 1.1.1.1",
                  "1.1.1.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.0.0.2",
                  "1.1.1.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 10.6.6.6, 10.0.0.2",
                  "10.6.6.6"); /* all are trusted: the farthest */
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 6.6.6.6 "
                  "| X-Forwarded-For: 1.1.1.1",
                  "1.1.1.1"); /* several lines are one list */
    expect_client("GET http://a.test/ from=2001:db8::1 | X-Forwarded-For: ::ffff:10.0.0.3, "
                  "2001:db8::2",
                  "10.0.0.3");
}

static void ports_and_brackets_are_read(void **state)
{
    (void)state;
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 1.1.1.1:4711", "1.1.1.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: [2001:db9::5]:4711",
                  "2001:db9::5");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 2001:db9::5", "2001:db9::5");
}

/* What is no address ends the walk: beyond it there is only hearsay. */
static void nonsense_ends_the_walk(void **state)
{
    (void)state;
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 1.1.1.1, unknown",
                  "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 1.1.1.1, a.test, 10.0.0.9",
                  "10.0.0.9");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 1.1.1.1, unix:/x",
                  "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 1.1.1.1, :80", "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: ", "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: , ,", "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 1.1.1.1, ,", "1.1.1.1");
}

static void forwarded_is_read_when_it_stands_alone(void **state)
{
    (void)state;
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: for=1.1.1.1", "1.1.1.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: FOR=1.1.1.1", "1.1.1.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: proto=http;for=1.1.1.1;by=x",
                  "1.1.1.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: for=\"[2001:db9::5]:80\"",
                  "2001:db9::5");
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: for=6.6.6.6, for=1.1.1.1",
                  "1.1.1.1");
    /* a quote that the client left open can not hide what the proxy appended */
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: for=\"6.6.6.6, for=1.1.1.1",
                  "1.1.1.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: for=_hidden", "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: proto=http", "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | Forwarded: for", "10.0.0.1");
    expect_client("GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 2.2.2.2 "
                  "| Forwarded: for=1.1.1.1",
                  "2.2.2.2");
}

static void scheme_host_and_port_of_a_proxy_are_believed(void **state)
{
    (void)state;
    struct exchange *x = test_request(&t, "GET http://a.test/ from=10.0.0.1 "
                                          "| X-Forwarded-Proto: HTTPS "
                                          "| X-Forwarded-Host: shop.test:99 "
                                          "| X-Forwarded-Port: 444");
    assert_true(slice_eq(x->client_scheme, SLICE("https")));
    assert_true(slice_eq(x->forwarded_host, SLICE("shop.test:99")));
    assert_int_equal(x->forwarded_port, 444);
    x = test_request(&t, "GET http://a.test/ from=10.0.0.1 | X-Forwarded-Proto: gopher "
                         "| X-Forwarded-Host: a b | X-Forwarded-Port: 65536");
    assert_true(slice_eq(x->client_scheme, SLICE("http")));
    assert_int_equal(x->forwarded_host.len, 0);
    assert_int_equal(x->forwarded_port, 0);
    x = test_request(&t, "GET http://a.test/ from=192.0.2.1 | X-Forwarded-Proto: https");
    assert_true(slice_eq(x->client_scheme, SLICE("http")));
}

/* --- what the server is told ------------------------------------------------------------------ */

static void a_strangers_fields_are_replaced(void **state)
{
    (void)state;
    test_request(&t, "GET http://a.test:8080/ from=192.0.2.1 "
                     "| X-Forwarded-For: 6.6.6.6 | X-Forwarded-For: 7.7.7.7 "
                     "| X-Forwarded-Proto: https | X-Forwarded-Host: evil.test "
                     "| X-Forwarded-Port: 1 | X-Real-IP: 6.6.6.6 | Forwarded: for=6.6.6.6");
    expect_line("X-Forwarded-For", "192.0.2.1");
    expect_line("X-Forwarded-Proto", "http");
    expect_line("X-Forwarded-Host", "a.test:8080");
    expect_line("X-Forwarded-Port", "8080");
    expect_line("X-Real-IP", "192.0.2.1");
    expect_line("Forwarded", "for=192.0.2.1;host=\"a.test:8080\";proto=http");
    expect_line("Via", "1.1 weir");
}

static void its_other_x_forwarded_fields_are_dropped(void **state)
{
    (void)state;
    test_request(&t, "GET http://a.test/ from=192.0.2.1 | X-Forwarded-User: root "
                     "| x-forwarded-prefix: /admin | X-Forwardedly: stays");
    expect_line("X-Forwarded-User", NULL);
    expect_line("X-Forwarded-Prefix", NULL);
    expect_line("X-Forwardedly", "stays");
    test_request(&t, "GET http://a.test/ from=10.0.0.1 | X-Forwarded-User: root");
    expect_line("X-Forwarded-User", "root");
}

static void a_proxys_fields_are_extended(void **state)
{
    (void)state;
    test_request(&t, "GET http://a.test/ from=10.0.0.1 | X-Forwarded-For: 6.6.6.6 "
                     "| X-Forwarded-For: 7.7.7.7 | X-Forwarded-Proto: https "
                     "| X-Forwarded-Host: shop.test | X-Forwarded-Port: 443 | X-Real-IP: 7.7.7.7 "
                     "| Forwarded: for=7.7.7.7 | Via: 1.1 cdn");
    expect_line("X-Forwarded-For", "6.6.6.6, 7.7.7.7, 10.0.0.1");
    expect_line("X-Forwarded-Proto", "https");
    expect_line("X-Forwarded-Host", "shop.test");
    expect_line("X-Forwarded-Port", "443");
    expect_line("X-Real-IP", "7.7.7.7");
    expect_line("Forwarded", "for=7.7.7.7, for=10.0.0.1;host=\"a.test\";proto=https");
    expect_line("Via", "1.1 cdn, 1.1 weir");
}

static void what_nobody_sent_is_added_or_not(void **state)
{
    (void)state;
    test_request(&t, "GET http://a.test/ from=192.0.2.1");
    expect_line("X-Forwarded-For", "192.0.2.1");
    expect_line("X-Forwarded-Port", "8080"); /* of the listener */
    expect_line("X-Real-IP", NULL);
    expect_line("Forwarded", NULL);
}

static void ipv6_is_quoted_in_forwarded(void **state)
{
    (void)state;
    test_request(&t, "GET http://a.test/ from=2001:db9::1 | Forwarded: for=x");
    expect_line("X-Forwarded-For", "2001:db9::1");
    expect_line("Forwarded", "for=\"[2001:db9::1]\";host=\"a.test\";proto=http");
}

static void via_is_extended_for_everybody(void **state)
{
    (void)state;
    test_request(&t, "GET http://a.test/ from=192.0.2.1 | Via: 1.0 x | Via: 2 y");
    expect_line("Via", "1.0 x, 2 y, 1.1 weir");
}

/* Without `trust` nobody is believed. */
static void trust_is_off_by_default(void **state)
{
    (void)state;
    test_config_release(&t);
    test_config_need(&t, "listen 127.0.0.1:8080\nsite * {\n    proxy 10.0.9.1:80\n}\n");
    expect_client("GET http://a.test/ from=127.0.0.1 | X-Forwarded-For: 1.1.1.1", "127.0.0.1");
    expect_line("X-Forwarded-For", "127.0.0.1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

UNIT_SUITE(proxy_forwarded, TEST(a_stranger_is_not_believed),
           TEST(the_nearest_stranger_is_the_client), TEST(ports_and_brackets_are_read),
           TEST(nonsense_ends_the_walk), TEST(forwarded_is_read_when_it_stands_alone),
           TEST(scheme_host_and_port_of_a_proxy_are_believed),
           TEST(a_strangers_fields_are_replaced), TEST(its_other_x_forwarded_fields_are_dropped),
           TEST(a_proxys_fields_are_extended), TEST(what_nobody_sent_is_added_or_not),
           TEST(ipv6_is_quoted_in_forwarded), TEST(via_is_extended_for_everybody),
           TEST(trust_is_off_by_default));
