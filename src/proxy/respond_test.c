/* respond_test.c - `respond` and `redirect`: what they send, and which lines of configuration they
 * refuse. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\n" policies "\n}\n"

static void respond_sends_its_text(void **state)
{
    (void)state;
    rig_start(SITE("respond 200 \"hello $client_ip\""));
    rig_request("GET / | Host: a.test");
    rig_expect(200);
    rig_expect_body(&rig.client, "hello 192.0.2.7");
    rig_expect_head(&rig.client, "Content-Type: text/plain; charset=utf-8");
    assert_int_equal(rig.client.sent.length, LENGTH_KNOWN);
    assert_int_equal(rig.origin_count, 0);
    rig_stop();
}

static void respond_has_a_type(void **state)
{
    (void)state;
    rig_start(SITE("respond 418 '{\"tea\":true}' type=application/json"));
    rig_request("GET / | Host: a.test");
    rig_expect(418);
    rig_expect_body(&rig.client, "{\"tea\":true}");
    rig_expect_head(&rig.client, "Content-Type: application/json");
    rig_stop();
}

static void without_a_text_there_is_neither_body_nor_type(void **state)
{
    (void)state;
    rig_start(SITE("respond 403\nroute /none { respond 204 text }"));
    rig_request("GET / | Host: a.test");
    rig_expect(403);
    assert_int_equal(rig.client.body_len, 0);
    assert_int_equal(rig.client.sent.length, LENGTH_KNOWN);
    rig_expect_no(&rig.client, "Content-Type");
    rig_request("GET /none | Host: a.test");
    rig_expect(204);
    assert_int_equal(rig.client.body_len, 0);
    assert_int_equal(rig.client.sent.length, LENGTH_NONE);
    rig_stop();
}

static void a_variable_alone_is_a_text(void **state)
{
    (void)state;
    rig_start(SITE("respond 200 $path\nroute /q { respond 200 $query.x }"));
    rig_request("GET /a/b | Host: a.test");
    rig_expect_body(&rig.client, "/a/b");
    rig_request("GET /q | Host: a.test");
    rig_expect(200);
    rig_expect_body(&rig.client, "");
    rig_stop();
}

static void redirect_sends_elsewhere(void **state)
{
    (void)state;
    rig_start(SITE("redirect 301 https://$host$uri\nroute /old { redirect /new }"));
    rig_request("GET /a?b=c | Host: a.test:80");
    rig_expect(301);
    rig_expect_head(&rig.client, "Location: https://a.test/a?b=c");
    assert_int_equal(rig.client.body_len, 0);
    rig_request("GET http://a.test/x?y | Host: a.test"); /* the path, not the URL again */
    rig_expect_head(&rig.client, "Location: https://a.test/x?y");
    rig_request("GET http://a.test?y | Host: a.test");
    rig_expect_head(&rig.client, "Location: https://a.test/?y");
    rig_request("GET /old | Host: a.test");
    rig_expect(302);
    rig_expect_head(&rig.client, "Location: /new");
    rig_stop();
}

static void no_redirect_can_split_a_head(void **state)
{
    (void)state;
    rig_start(SITE("redirect \"/$host\\r\\nX-Evil: 1\""));
    rig_request("GET / | Host: a.test");
    rig_expect(400);
    rig_expect_no(&rig.client, "X-Evil");
    rig_stop();
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    test_error(SITE("respond 199"), 3, 9, "a status from 200 to 599");
    test_error(SITE("respond 600"), 3, 9, "a status from 200 to 599");
    test_error(SITE("respond ok"), 3, 9, "a status from 200 to 599");
    test_error(SITE("respond 200 $nothing"), 3, 13, "unknown variable");
    test_error(SITE("redirect 200 /x"), 3, 10, "a status from 300 to 399");
    test_error(SITE("redirect 304 /x"), 3, 10, "does not redirect");
    test_error(SITE("redirect 301 $nothing"), 3, 14, "unknown variable");
}

UNIT_SUITE(proxy_respond, cmocka_unit_test(respond_sends_its_text),
           cmocka_unit_test(respond_has_a_type),
           cmocka_unit_test(without_a_text_there_is_neither_body_nor_type),
           cmocka_unit_test(a_variable_alone_is_a_text), cmocka_unit_test(redirect_sends_elsewhere),
           cmocka_unit_test(no_redirect_can_split_a_head),
           cmocka_unit_test(what_makes_no_sense_is_refused));
