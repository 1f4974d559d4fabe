/* cors_test.c - who gets preflights answered and which fields go out, with and without an Origin.
 */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(line) "listen 10.0.9.9:80\nsite * {\n proxy 10.0.0.1:80\n" line "\n}\n"
#define NAMED      SITE("cors https://app.test https://*.good.test null")
#define ASKS(origin, method) \
    "OPTIONS /x | Host: a.test | Origin: " origin " | Access-Control-Request-Method: " method

static void refused(const char *config)
{
    struct test_config t;
    if (test_config_load(&t, config))
        fail_msg("was taken:\n%s", config);
    test_config_release(&t);
}

/* A preflight that is answered here, or refused here. */
static void preflight(const char *config, const char *request, unsigned status)
{
    rig_start(config);
    rig_request(request);
    rig_expect(status);
    assert_int_equal(rig.origin_count, 0);
    assert_int_equal(counter_get(&rig.counters, METRIC_CORS_PREFLIGHTS), status == 204);
    assert_int_equal(counter_get(&rig.counters, METRIC_CORS_REFUSED), status == 403);
    assert_int_equal(rig_errors(ERR_CORS_REFUSED), status == 403);
}

static void answered(const char *config, const char *request, const char *line)
{
    preflight(config, request, 204);
    rig_expect_head(&rig.client, line);
    rig_stop();
}

static void forbidden(const char *config, const char *request)
{
    preflight(config, request, 403);
    rig_expect_no(&rig.client, "Access-Control-Allow-Methods");
    rig_stop();
}

static void preflights_are_answered(void **state)
{
    (void)state;
    answered(NAMED, ASKS("https://app.test", "PUT"),
             "Access-Control-Allow-Origin: https://app.test");
    answered(NAMED, ASKS("https://a.b.good.test", "PUT"),
             "Access-Control-Allow-Origin: https://a.b.good.test");
    answered(NAMED, ASKS("null", "PUT"), "Access-Control-Allow-Origin: null");
    answered(NAMED, ASKS("https://app.test", "PUT"),
             "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE");
    answered(NAMED, ASKS("https://app.test", "PUT"), "Access-Control-Max-Age: 600");
    answered(NAMED, ASKS("https://app.test", "PUT"),
             "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    answered(SITE("cors"), ASKS("https://any.test", "POST"), "Access-Control-Allow-Origin: *");
    answered(SITE("cors"), ASKS("null", "POST"), "Access-Control-Allow-Origin: *");
}

static void preflights_are_refused(void **state)
{
    (void)state;
    forbidden(NAMED, ASKS("https://evil.test", "PUT"));
    forbidden(NAMED, ASKS("http://app.test", "PUT"));
    forbidden(NAMED, ASKS("https://app.test:444", "PUT"));
    forbidden(NAMED, ASKS("https://app.test.", "PUT"));
    forbidden(NAMED, ASKS("https://APP.test", "PUT"));
    forbidden(NAMED, ASKS("https://app.test.evil.test", "PUT"));
    forbidden(NAMED, ASKS("https://evilgood.test", "PUT"));
    forbidden(NAMED, ASKS("https://good.test", "PUT"));
    forbidden(NAMED, ASKS("https://evil.test@a.good.test", "PUT"));
    forbidden(NAMED, ASKS("https://app.test https://evil.test", "PUT"));
    forbidden(NAMED, ASKS("https://app.test | Origin: https://app.test", "PUT"));
    forbidden(NAMED, ASKS("https://app.test | ORIGIN: https://evil.test", "PUT"));
    forbidden(NAMED, ASKS("https://app.test", "put")); /* letter case tells methods apart */
    forbidden(NAMED, ASKS("https://app.test", "PROPFIND"));
    forbidden(NAMED, ASKS("https://app.test", "PUT | Access-Control-Request-Method: PUT"));
    forbidden(SITE("cors https://app.test"), ASKS("null", "PUT"));
    forbidden(SITE("cors"), ASKS("https://any.test", "PUT"));
    forbidden(SITE("cors"), ASKS("https://any.test | Origin: https://b.test", "POST"));
}

static void methods_and_fields_may_be_named(void **state)
{
    (void)state;
    const char *config = SITE("cors https://app.test {\n methods GET,PROPFIND\n headers X-A,X-B\n"
                              " max_age 1h\n private_network\n}");
    answered(config, ASKS("https://app.test", "PROPFIND"),
             "Access-Control-Allow-Methods: GET, PROPFIND");
    answered(config, ASKS("https://app.test", "GET | Access-Control-Request-Headers: x-b"),
             "Access-Control-Allow-Headers: X-A, X-B");
    answered(config, ASKS("https://app.test", "GET"), "Access-Control-Max-Age: 3600");
    answered(config, ASKS("https://app.test", "GET | Access-Control-Request-Private-Network: true"),
             "Access-Control-Allow-Private-Network: true");
    forbidden(config, ASKS("https://app.test", "POST"));
    forbidden(config, ASKS("https://app.test", "GET | Access-Control-Request-Headers: x-b, x-c"));
    forbidden(config, ASKS("https://app.test", "GET | Access-Control-Request-Headers: *"));
    forbidden(config, ASKS("https://app.test", "GET | Access-Control-Request-Headers: x-a"
                                               " | Access-Control-Request-Headers: x-c"));
    config = SITE("cors https://app.test methods=* headers=*");
    answered(config, ASKS("https://app.test", "FOO"), "Access-Control-Allow-Methods: FOO");
    answered(config, ASKS("https://app.test", "GET | Access-Control-Request-Headers: x-b, x-c"),
             "Access-Control-Allow-Headers: x-b, x-c");
    forbidden(config, ASKS("https://app.test", "GET | Access-Control-Request-Headers: x b"));
    forbidden(config, ASKS("https://app.test", "F(O"));
}

static void a_private_network_is_not_opened_unasked(void **state)
{
    (void)state;
    preflight(SITE("cors"),
              ASKS("https://b.test", "GET | Access-Control-Request-Private-Network: true"), 204);
    rig_expect_no(&rig.client, "Private-Network:");
    rig_stop();
}

/* What is no preflight is the server's. */
static void other_options_pass(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "OPTIONS / | Host: a.test", "OPTIONS / | Host: a.test | Origin: https://evil.test",
        "OPTIONS / | Host: a.test | Access-Control-Request-Method: PUT",
        "GET / | Host: a.test | Origin: https://evil.test | Access-Control-Request-Method: PUT"};
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        rig_start(NAMED);
        rig_request(requests[i]);
        rig_answer("200", "");
        rig_expect(200);
        rig_expect_no(&rig.client, "Access-Control-");
        rig_expect_head(&rig.client, "Vary: Origin");
        rig_stop();
    }
}

/* One request, and what the server says of CORS itself. */
static void ask(const char *config, const char *request)
{
    rig_start(config);
    rig_request(request);
    rig_answer("200 | Vary: Cookie | access-control-allow-origin: * | Access-Control-Allow-Origin: "
               "https://evil.test | Access-Control-Allow-Credentials: true | "
               "ACCESS-CONTROL-EXPOSE-HEADERS: X-Secret | Access-Control-Max-Age: 5",
               "");
    rig_expect(200);
    rig_expect_no(&rig.client, "evil.test");
    rig_expect_no(&rig.client, "X-Secret");
    rig_expect_no(&rig.client, "Max-Age");
}

static void answers_can_be_read(void **state)
{
    (void)state;
    ask(SITE("cors https://app.test credentials expose=X-Total,X-Page"),
        "GET / | Host: a.test | Origin: https://app.test");
    rig_expect_head(&rig.client, "Access-Control-Allow-Origin: https://app.test");
    rig_expect_head(&rig.client, "Access-Control-Allow-Credentials: true");
    rig_expect_head(&rig.client, "Access-Control-Expose-Headers: X-Total, X-Page");
    rig_expect_head(&rig.client, "Vary: Cookie, Origin");
    rig_stop();
}

static void answers_can_not_be_read(void **state)
{
    (void)state;
    static const char *const fields[] = {"", " | Origin: https://evil.test", " | Origin: null",
                                         " | Origin: https://app.test | Origin: https://app.test",
                                         " | Origin: https://app.test/"};
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        char request[160];
        snprintf(request, sizeof request, "GET / | Host: a.test%s", fields[i]);
        ask(SITE("cors https://app.test credentials"), request);
        rig_expect_no(&rig.client, "Access-Control");
        rig_expect_head(&rig.client, "Vary: Cookie, Origin");
        rig_stop();
    }
}

/* The same answer for everybody, so no Vary; and there it is without an Origin, too. */
static void any_page_may_read_public_answers(void **state)
{
    (void)state;
    static const char *const requests[] = {"GET / | Host: a.test",
                                           "GET / | Host: a.test | Origin: https://b.test"};
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        ask(SITE("cors expose=*"), requests[i]);
        rig_expect_head(&rig.client, "Access-Control-Allow-Origin: *");
        rig_expect_head(&rig.client, "Access-Control-Expose-Headers: *");
        rig_expect_head(&rig.client, "Vary: Cookie");
        rig_expect_no(&rig.client, "Credentials");
        rig_stop();
    }
}

/* Pages learn why: the answer of an error can be read, and of who was refused before us. */
static void errors_can_be_read(void **state)
{
    (void)state;
    rig_start(SITE("cors https://app.test\ndeny all"));
    rig_request("GET / | Host: a.test | Origin: https://app.test");
    rig_expect(403);
    rig_expect_head(&rig.client, "Access-Control-Allow-Origin: https://app.test");
    rig_stop();
}

static void addresses_are_denied_before(void **state)
{
    (void)state;
    rig_start(SITE("cors https://app.test\ndeny all"));
    rig_request(ASKS("https://app.test", "PUT"));
    rig_expect(403);
    assert_int_equal(counter_get(&rig.counters, METRIC_CORS_PREFLIGHTS), 0);
    rig_stop();
}

static void an_edit_of_the_request_changes_nothing(void **state)
{
    (void)state;
    ask(SITE("cors https://app.test\nrequest del Origin"),
        "GET / | Host: a.test | Origin: https://app.test");
    rig_expect_no(rig.origin, "Origin:");
    rig_expect_head(&rig.client, "Access-Control-Allow-Origin: https://app.test");
    rig_stop();
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    refused(SITE("cors credentials"));
    refused(SITE("cors * credentials"));
    refused(SITE("cors null credentials"));
    refused(SITE("cors https://a.test null credentials"));
    refused(SITE("cors https://*.com credentials"));
    refused(SITE("cors https://a.test credentials expose=*"));
    refused(SITE("cors * https://a.test"));
    refused(SITE("cors a.test"));
    refused(SITE("cors https://a.test/"));
    refused(SITE("cors https://*"));
    refused(SITE("cors methods=\"GET PUT\""));
    refused(SITE("cors methods=GET,*"));
    refused(SITE("cors max_age=2d"));
}

UNIT_SUITE(filter_cors, cmocka_unit_test(preflights_are_answered),
           cmocka_unit_test(preflights_are_refused),
           cmocka_unit_test(methods_and_fields_may_be_named),
           cmocka_unit_test(a_private_network_is_not_opened_unasked),
           cmocka_unit_test(other_options_pass), cmocka_unit_test(answers_can_be_read),
           cmocka_unit_test(answers_can_not_be_read),
           cmocka_unit_test(any_page_may_read_public_answers), cmocka_unit_test(errors_can_be_read),
           cmocka_unit_test(addresses_are_denied_before),
           cmocka_unit_test(an_edit_of_the_request_changes_nothing),
           cmocka_unit_test(mistakes_are_refused));
