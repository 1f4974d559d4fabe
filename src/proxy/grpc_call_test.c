/* grpc_call_test.c - what calls of gRPC get in the place of pages, and how long they may take. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite a.test {\n" policies "\n}\n"
#define CALL           "POST /s/m | Host: a.test | Content-Type: application/grpc | TE: trailers"
#define STREAM         CALL " | Transfer-Encoding: chunked"

/* A head and nothing else. */
static void expect_status(const char *status, const char *message)
{
    char line[128];
    rig_expect(200);
    assert_int_equal(rig.client.body_len, 0);
    assert_int_equal(rig.client.sent.length, LENGTH_NONE);
    rig_expect_head(&rig.client, "Content-Type: application/grpc");
    snprintf(line, sizeof line, "grpc-status: %s", status);
    rig_expect_head(&rig.client, line);
    snprintf(line, sizeof line, "grpc-message: %s", message);
    rig_expect_head(&rig.client, line);
    rig_expect_no(&rig.client, "Cache-Control");
}

static void errors_become_statuses(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80"));
    rig_request("POST / | Host: b.test | Content-Type: application/grpc+proto");
    expect_status("2", "no site answers to this host");
    rig_server_close(0);
    rig_request(CALL);
    expect_status("14", "server refused the connection");
    rig_stop();
}

static void sizes_have_a_status_of_their_own(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\nbody max=5B"));
    rig_request(STREAM);
    rig_say(&rig.client, "12345");
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    rig_push(&rig.client, "6", 1);
    rig_run(1);
    expect_status("8", "request body is too large");
    rig_stop();
}

static void texts_of_the_configuration_become_messages(void **state)
{
    (void)state;
    rig_start(SITE("respond 503 \"back at 100%\\n\"\nroute /page { respond 403 '<p>' "
                   "type=text/html }\nroute /none { respond 401 }\nroute /away { redirect /x }"));
    rig_request(CALL);
    expect_status("14", "back at 100%25");
    rig_request("POST /page | Host: a.test | Content-Type: application/grpc");
    expect_status("7", "Forbidden");
    rig_request("POST /none | Host: a.test | Content-Type: application/grpc");
    expect_status("16", "Unauthorized");
    rig_request("POST /away | Host: a.test | Content-Type: application/grpc");
    expect_status("2", "Found");
    rig_stop();
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    char config[1024], want[600];
    memset(want, 'x', sizeof want);
    want[513] = '\0';
    snprintf(config, sizeof config, SITE("respond 503 %s"), want);
    rig_start(config);
    rig_request(CALL);
    rig_expect_no(&rig.client, want);
    want[512] = '\0';
    assert_non_null(strstr(rig.client.head, want));
    rig_stop();
}

static void pages_in_place_of_a_servers_become_statuses(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\nerror 502 \"came back with $status\""));
    rig_request(CALL);
    rig_end(&rig.client);
    rig_answer("502 | Content-Type: text/html", "<p>");
    expect_status("14", "came back with 502");
    rig_request(CALL); /* what a server says in HTTP is its own business */
    rig_end(&rig.client);
    rig_answer("404 | Content-Length: 1", "x");
    rig_expect(404);
    rig_expect_body(&rig.client, "x");
    rig_stop();
}

static void others_get_pages(void **state)
{
    (void)state;
    rig_start(SITE("respond 403 no\nroute /own { respond 200 x type=application/grpc }"));
    rig_request("POST / | Host: a.test | Content-Type: application/grpc-web");
    rig_expect(403);
    rig_expect_body(&rig.client, "no");
    rig_request("POST /own | Host: a.test | Content-Type: application/grpc");
    rig_expect_body(&rig.client, "x");
    rig_request("GET / | Host: a.test | Content-Type: application/grpc");
    rig_expect(403);
    rig_request("GET / | Host: b.test | Content-Type: application/grpc");
    rig_expect(421);
    rig_stop();
}

/* ---- deadlines ---- */

static void deadlines_end_calls(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80"));
    rig_request(STREAM " | grpc-timeout: 100m");
    rig_run(90);
    rig_expect_step(STEP_AWAIT);
    rig_run(20);
    expect_status("4", "the deadline that the client gave (grpc-timeout) is over");
    assert_int_equal(rig_errors(ERR_GRPC_DEADLINE), 1);
    assert_true(rig.origin->detached);
    assert_int_equal(rig_health(0)->failures_total, 0); /* it is not the server's fault */
    rig_stop();
}

static void a_deadline_of_nothing_is_over_at_once(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80"));
    rig_request(STREAM " | grpc-timeout: 0S");
    rig_run(5);
    rig_expect(200);
    rig_expect_head(&rig.client, "grpc-status: 4");
    rig_stop();
}

static int64_t passed_ms(void)
{
    const char *at = strstr(rig.origin->head, "grpc-timeout: ");
    char *end;
    assert_non_null(at);
    int64_t ms = strtoll(at + strlen("grpc-timeout: "), &end, 10);
    assert_int_equal(*end, 'm');
    assert_null(strstr(end, "grpc-timeout: "));
    return ms;
}

static void servers_are_told_what_is_left(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80 10.0.0.2:80"));
    rig_request(STREAM " | grpc-timeout: 1S | grpc-timeout: 9H");
    assert_in_range(passed_ms(), 990, 1000);
    rig_run(300);
    rig.origin->s->unprocessed = true;
    rig_fail(rig.origin, ERR_ORIGIN_UNPROCESSED);
    rig_run(5);
    assert_int_equal(rig.origin_count, 2);
    assert_in_range(passed_ms(), 680, 700);
    rig_end(&rig.client);
    rig_answer("200 | Content-Type: application/grpc | grpc-status: 0", "");
    rig_expect(200);
    rig_expect_head(&rig.client, "grpc-status: 0");
    rig_stop();
}

static void the_routes_time_may_be_shorter(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout request=50ms\nroute /long { timeout request=1h }"));
    rig_request(STREAM " | grpc-timeout: 10S");
    assert_in_range(passed_ms(), 40, 50);
    rig_run(60);
    expect_status("4", "the whole request took too long");
    assert_int_equal(rig_errors(ERR_REQUEST_TIMEOUT), 1);
    rig_request("POST /long | Host: a.test | Content-Type: application/grpc | grpc-timeout: 20m "
                "| Transfer-Encoding: chunked");
    assert_in_range(passed_ms(), 10, 20);
    rig_run(30);
    rig_expect(200);
    assert_int_equal(rig_errors(ERR_GRPC_DEADLINE), 1);
    rig_stop();
}

static void malformed_deadlines_are_the_servers_business(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80"));
    rig_request(STREAM " | grpc-timeout: 1 day");
    rig_expect_head(rig.origin, "grpc-timeout: 1 day");
    rig_run(2000);
    rig_expect_step(STEP_AWAIT);
    rig_end(&rig.client);
    rig_answer("200", "x");
    rig_expect(200);
    rig_stop();
}

static void answers_that_have_begun_are_cut(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80"));
    rig_request(STREAM " | grpc-timeout: 100m");
    rig_response_head(rig.origin, "200 | Content-Type: application/grpc");
    rig_say(rig.origin, "part");
    rig_run(110);
    rig_expect_cut();
    rig_stop();
}

UNIT_SUITE(proxy_grpc_call, cmocka_unit_test(errors_become_statuses),
           cmocka_unit_test(sizes_have_a_status_of_their_own),
           cmocka_unit_test(texts_of_the_configuration_become_messages),
           cmocka_unit_test(long_messages_are_cut),
           cmocka_unit_test(pages_in_place_of_a_servers_become_statuses),
           cmocka_unit_test(others_get_pages), cmocka_unit_test(deadlines_end_calls),
           cmocka_unit_test(a_deadline_of_nothing_is_over_at_once),
           cmocka_unit_test(servers_are_told_what_is_left),
           cmocka_unit_test(the_routes_time_may_be_shorter),
           cmocka_unit_test(malformed_deadlines_are_the_servers_business),
           cmocka_unit_test(answers_that_have_begun_are_cut));
