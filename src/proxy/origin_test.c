/* origin_test.c - which server is asked, when another one is, and what comes before its answer. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\n" policies "\n}\n"
#define ONE            SITE("proxy 10.0.0.1:80")
#define TWO            SITE("proxy 10.0.0.1:80 10.0.0.2:80")
#define TWO_503        SITE("proxy 10.0.0.1:80 10.0.0.2:80\nretry 2 on=503")

/* The index of the server that the last stream is connected to. */
static int server_asked(void)
{
    return (int)rig.x->lease.server->index;
}

/* --- connecting ------------------------------------------------------------------------------- */

static void a_refusing_server_is_replaced(void **state)
{
    (void)state;
    rig_start(TWO);
    rig_server_close(0);
    for (int i = 0; i < 8; i++) {
        rig_request("POST / | Host: a.test | Content-Length: 2"); /* nothing was sent: any method */
        rig_expect_step(STEP_AWAIT);
        assert_int_equal(server_asked(), 1);
        rig_answer("200", "");
        rig_expect(200);
    }
    assert_in_range(rig_health(0)->failures_total, 1, 3); /* then it is not asked any more */
    assert_int_equal(rig_health(0)->last_error, ERR_CONNECT_REFUSED);
    assert_int_equal(rig_health(1)->failures_total, 0);
    assert_int_equal(counter_get(&rig.counters, METRIC_RETRIES), rig_health(0)->failures_total);
    rig_stop();
}

static void when_all_refuse_the_reason_is_told(void **state)
{
    (void)state;
    rig_start(TWO);
    rig_server_close(0);
    rig_server_close(1);
    rig_request("GET / | Host: a.test");
    rig_expect(502);
    assert_int_equal(rig_errors(ERR_CONNECT_REFUSED), 1);
    assert_int_equal(counter_get(&rig.counters, METRIC_RETRIES), 1); /* there is no third */
    rig_stop();
}

static void tries_have_an_end(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80 10.0.0.2:80 10.0.0.3:80\nretry 1"));
    for (int i = 0; i < 3; i++)
        rig_server_close(i);
    rig_request("GET / | Host: a.test");
    rig_expect(502);
    int64_t failures = 0;
    for (int i = 0; i < 3; i++)
        failures += rig_health(i)->failures_total;
    assert_int_equal(failures, 2); /* one try and one retry */
    rig_stop();
}

static void retries_may_be_off(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80 10.0.0.2:80\nretry off"));
    rig_server_close(0);
    rig_server_close(1);
    rig_request("GET / | Host: a.test");
    rig_expect(502);
    assert_int_equal(rig_health(0)->failures_total + rig_health(1)->failures_total, 1);
    rig_stop();
}

/* The budget is 10 in a row at least; with 0 % of the requests no more than that. */
static void the_budget_refuses_retries(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80 10.0.0.2:80 {\nretry 1 budget=0%\neject after=1000\n}"));
    int failed = 0;
    for (int i = 0; i < 12; i++) {
        rig_request("GET / | Host: a.test");
        rig_fail(rig.origin, ERR_ORIGIN_RESET);
        rig_run(1);
        failed += rig.client.detached;
        if (!rig.client.detached)
            rig_answer("200", "");
    }
    assert_int_equal(failed, 2);
    assert_int_equal(counter_get(&rig.counters, METRIC_RETRIES), 10);
    assert_int_equal(counter_get(&rig.counters, METRIC_RETRIES_REFUSED), 2);
    rig_stop();
}

static void a_connect_takes_only_so_long(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout connect=2s"));
    rig.black_hole = true;
    rig_request("GET / | Host: a.test");
    rig_run(1990);
    rig_expect_step(STEP_PICK);
    rig_run(20);
    rig_expect(504);
    assert_int_equal(rig_errors(ERR_CONNECT_TIMEOUT), 1);
    assert_int_equal(rig_health(0)->failures_total, 1);
    rig_stop();
}

static void a_connect_timeout_goes_to_another_server(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80 10.0.0.2:80\ntimeout connect=2s"));
    rig.black_hole = true;
    rig_request("POST / | Host: a.test | Content-Length: 1");
    int first = server_asked();
    rig.black_hole = false;
    rig_run(2010);
    rig_expect_step(STEP_AWAIT);
    assert_int_equal(server_asked(), 1 - first);
    assert_int_equal(rig_health(first)->failures_total, 1);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

/* Both are recorded in one tick: the connection that came wins. */
static void a_connection_at_its_deadline_is_taken(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout connect=2s"));
    rig_open();
    rig_request_head(rig.client.s->head, "GET / | Host: a.test");
    body_end(rig.client.s->body);
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    exchange_steps_run(rig.x, STEP_DONE);
    rig_expect_step(STEP_PICK);
    task_cancel(&rig.w.loop.tasks, &rig.x->task); /* woken next by the connection */
    rig.x->timed_out = true;
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void the_upstreams_timeout_wins(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80 {\ntimeout connect=1s\n}\ntimeout connect=20s"));
    rig.black_hole = true;
    rig_request("GET / | Host: a.test");
    rig_run(1010);
    rig_expect(504);
    rig_stop();
}

/* --- a server that breaks --------------------------------------------------------------------- */

static void an_idempotent_request_is_sent_again(void **state)
{
    (void)state;
    rig_start(TWO);
    rig_request("GET / | Host: a.test");
    int first = server_asked();
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    assert_int_equal(server_asked(), 1 - first);
    rig_expect_head(rig.origin, "GET /");
    rig_answer("200", "");
    rig_expect(200);
    assert_int_equal(rig_errors(ERR_ORIGIN_RESET), 0); /* the request itself went well */
    assert_int_equal(rig_health(first)->failures_total, 1);
    assert_int_equal(rig_health(1 - first)->failures_total, 0);
    rig_stop();
}

static void a_post_that_was_sent_is_not_sent_again(void **state)
{
    (void)state;
    rig_start(TWO);
    rig_request("POST / | Host: a.test");
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect(502);
    assert_int_equal(rig.origin_count, 1);
    rig_stop();
}

static void a_body_that_is_on_its_way_is_not_sent_again(void **state)
{
    (void)state;
    rig_start(TWO);
    rig_request("PUT / | Host: a.test | Content-Length: 8");
    rig_say(&rig.client, "half");
    rig_run(1);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect(502);
    assert_int_equal(rig.origin_count, 1);
    rig_stop();
}

static void a_body_still_in_hand_goes_along(void **state)
{
    (void)state;
    rig_start(TWO);
    rig_request("PUT / | Host: a.test | Content-Length: 4");
    rig_fail(rig.origin, ERR_ORIGIN_RESET); /* before any of the body came */
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    rig_say(&rig.client, "body");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect_body(rig.origin, "body");
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void a_buffered_body_is_sent_again_whole(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80 10.0.0.2:80\nbuffer on"));
    rig_request("PUT / | Host: a.test | Transfer-Encoding: chunked");
    rig_say(&rig.client, "the whole body");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect_body(rig.origin, "the whole body");
    rig_fail(rig.origin, ERR_ORIGIN_CLOSED);
    rig_run(1);
    rig_expect_body(rig.origin, "the whole body");
    assert_int_equal(rig.origin_count, 2);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void nothing_is_retried_once_the_client_has_an_answer(void **state)
{
    (void)state;
    rig_start(TWO);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200");
    rig_run(1);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect_cut();
    assert_int_equal(rig.origin_count, 1);
    rig_stop();
}

/* --- stale connections ------------------------------------------------------------------------ */

static void get_and_keep(void)
{
    rig_request("GET / | Host: a.test");
    rig_answer("200", "");
    rig_expect(200);
}

static void a_stale_connection_is_replaced_for_free(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\nretry off"));
    get_and_keep();
    rig_request("GET / | Host: a.test");
    assert_true(rig.x->lease.reused);
    rig_fail(rig.origin, ERR_ORIGIN_STALE);
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    assert_false(rig.x->lease.reused);
    assert_int_equal(rig.x->tries, 1);
    rig_answer("200", "");
    rig_expect(200);
    assert_int_equal(rig_health(0)->failures_total, 0);
    assert_int_equal(counter_get(&rig.counters, METRIC_RETRIES), 0);
    rig_stop();
}

static void it_happens_once(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\nretry off"));
    get_and_keep();
    rig_request("GET / | Host: a.test");
    rig_fail(rig.origin, ERR_ORIGIN_STALE);
    rig_run(1);
    rig_fail(rig.origin, ERR_ORIGIN_STALE); /* no engine should say so of a fresh one */
    rig_run(1);
    rig_expect(502);
    rig_stop();
}

static void a_post_on_a_stale_connection_is_not_repeated(void **state)
{
    (void)state;
    rig_start(ONE);
    get_and_keep();
    rig_request("POST / | Host: a.test");
    rig_fail(rig.origin, ERR_ORIGIN_STALE);
    rig_run(1);
    rig_expect(502);
    assert_int_equal(rig.origin_count, 2);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

/* What can not be sent twice goes over a connection that can hardly be stale. */
static void what_can_not_be_repeated_needs_a_young_connection(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        bool reuses;
    } cases[] = {
        {"GET / | Host: a.test", true},
        {"POST / | Host: a.test", false},
        {"PATCH / | Host: a.test | Content-Length: 1", false},
        {"PUT / | Host: a.test | Content-Length: 1", false},
        {"DELETE / | Host: a.test", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int late = 0; late < 2; late++) {
            rig_start(ONE);
            get_and_keep();
            rig_run(late ? 1100 : 900);
            rig_request(cases[i].request);
            assert_int_equal(rig.x->lease.reused, !late || cases[i].reuses);
            if (rig.x->req.length != LENGTH_NONE) {
                rig_say(&rig.client, "x");
                rig_end(&rig.client);
                rig_run(1);
            }
            rig_answer("200", "");
            rig_expect(200);
            rig_stop();
        }
    }
}

/* --- statuses --------------------------------------------------------------------------------- */

static void a_configured_status_goes_to_another_server(void **state)
{
    (void)state;
    rig_start(TWO_503);
    rig_request("GET / | Host: a.test");
    int first = server_asked();
    rig_answer("503", "busy");
    rig_expect_step(STEP_AWAIT);
    assert_int_equal(server_asked(), 1 - first);
    rig_answer("200", "fine");
    rig_expect(200);
    rig_expect_body(&rig.client, "fine");
    assert_int_equal(rig_health(first)->failures_total, 1);
    assert_int_equal(rig_health(first)->last_error, ERR_ORIGIN_STATUS);
    assert_int_equal(rig_errors(ERR_ORIGIN_STATUS), 0);
    rig_stop();
}

/* The last server's answer says more than a page of weir's. */
static void the_last_servers_status_passes(void **state)
{
    (void)state;
    rig_start(TWO_503);
    rig_request("GET / | Host: a.test");
    rig_answer("503", "first");
    rig_answer("503 | Retry-After: 7", "second");
    rig_expect(503);
    rig_expect_body(&rig.client, "second");
    rig_expect_head(&rig.client, "Retry-After: 7");
    assert_int_equal(rig_health(0)->failures_total, 1);
    assert_int_equal(rig_health(1)->failures_total, 1);
    rig_stop();
}

static void a_failing_status_counts_even_when_it_passes(void **state)
{
    (void)state;
    rig_start(TWO_503);
    for (int i = 0; i < 3; i++) {
        rig_request("POST / | Host: a.test");
        rig_answer("503", "no");
        rig_expect(503);
        rig_expect_body(&rig.client, "no");
    }
    assert_int_equal(rig_health(0)->failures_total + rig_health(1)->failures_total, 3);
    rig_stop();
}

static void other_statuses_pass(void **state)
{
    (void)state;
    rig_start(TWO_503);
    rig_request("GET / | Host: a.test");
    rig_answer("502", "no");
    rig_expect(502);
    rig_expect_body(&rig.client, "no");
    assert_int_equal(rig_health(0)->failures_total + rig_health(1)->failures_total, 0);
    rig_stop();
}

/* --- 1xx -------------------------------------------------------------------------------------- */

static void interim_responses_pass(void **state)
{
    (void)state;
    rig_start(ONE);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "103 | Link: </a.css>");
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    assert_int_equal(rig.client.last_interim, 103);
    assert_int_equal(rig.origin->next_heads, 1);
    rig_answer("200", "x");
    rig_expect(200);
    rig_expect_no(&rig.client, "Link");
    assert_int_equal(rig.client.interims, 1);
    rig_stop();
}

static void a_100_that_nobody_asked_for_does_not_pass(void **state)
{
    (void)state;
    rig_start(ONE);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "100");
    rig_run(1);
    assert_int_equal(rig.client.interims, 0);
    assert_int_equal(rig.origin->next_heads, 1);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void a_100_that_was_asked_for_passes_once(void **state)
{
    (void)state;
    rig_start(ONE);
    rig_request("PUT / | Host: a.test | Content-Length: 2 | Expect: 100-continue");
    rig_expect_head(rig.origin, "Expect: 100-continue");
    rig_response_head(rig.origin, "100");
    rig_run(1);
    assert_int_equal(rig.client.last_interim, 100);
    rig_response_head(rig.origin, "100");
    rig_run(1500);
    assert_int_equal(rig.client.interims, 1);
    rig_say(&rig.client, "ok");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect_body(rig.origin, "ok");
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

/* A server that knows no 100 waits for the body; the client waits for the 100: weir sends it. */
static void weir_asks_for_the_body_after_a_while(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout client_body=200ms"));
    rig_request("PUT / | Host: a.test | Content-Length: 2 | Expect: 100-continue");
    rig_run(980);
    assert_int_equal(rig.client.interims, 0);
    rig_run(40);
    assert_int_equal(rig.client.last_interim, 100);
    rig_expect_step(STEP_AWAIT); /* the time for the body begins now, not with the head */
    rig_run(100);
    rig_expect_step(STEP_AWAIT);
    rig_response_head(rig.origin, "100"); /* late, and for nobody */
    rig_run(1);
    assert_int_equal(rig.client.interims, 1);
    rig_say(&rig.client, "ok");
    rig_end(&rig.client);
    rig_run(1);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void a_client_that_does_not_wait_needs_no_100(void **state)
{
    (void)state;
    rig_start(ONE);
    rig_request("PUT / | Host: a.test | Content-Length: 2 | Expect: 100-continue");
    rig_say(&rig.client, "ok");
    rig_end(&rig.client);
    rig_run(1500);
    assert_int_equal(rig.client.interims, 0);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

/* A final answer instead of the 100 may take its time, although no body will come. */
static void a_refused_expectation_may_have_a_long_answer(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout client_body=1s read=off"));
    rig_request("PUT / | Host: a.test | Content-Length: 2 | Expect: 100-continue");
    rig_response_head(rig.origin, "200");
    rig_say(rig.origin, "long");
    rig_run(20000);
    rig_expect_step(STEP_RELAY);
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    rig_stop();
}

/* --- the request as it is sent ---------------------------------------------------------------- */

static void an_absolute_target_becomes_a_path(void **state)
{
    (void)state;
    rig_start(ONE);
    rig_request("GET http://a.test/x?y | Host: a.test");
    rig_expect_head(rig.origin, "GET /x?y");
    rig_answer("200", "");
    rig_request("GET /a/./b/../%7Ec | Host: a.test");
    rig_expect_head(rig.origin, "GET /a/~c");
    rig_answer("200", "");
    rig_request("OPTIONS * | Host: a.test");
    rig_expect_head(rig.origin, "OPTIONS *");
    rig_answer("200", "");
    rig_request("GET /? | Host: a.test");
    rig_expect_head(rig.origin, "GET /?");
    rig_answer("200", "");
    rig_stop();
}

static void an_old_client_without_host_gets_one(void **state)
{
    (void)state;
    rig_start(ONE);
    rig_request("GET / 1.0");
    rig_expect_head(rig.origin, "Host: 10.0.0.1:80");
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void the_first_byte_has_a_deadline(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout first_byte=3s"));
    rig_request("GET / | Host: a.test");
    rig_run(2980);
    rig_response_head(rig.origin, "102");
    rig_run(10);
    rig_expect_step(STEP_AWAIT);
    rig_run(20);
    rig_expect(504);
    assert_int_equal(rig_errors(ERR_ORIGIN_FIRST_BYTE_TIMEOUT), 1);
    assert_int_equal(rig_health(0)->last_error, ERR_ORIGIN_FIRST_BYTE_TIMEOUT);
    rig_stop();
}

/* It counts from the end of the request, not from its beginning. */
static void the_first_byte_waits_for_the_request(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout first_byte=3s client_body=10s"));
    rig_request("PUT / | Host: a.test | Content-Length: 2");
    rig_say(&rig.client, "a");
    rig_run(5000);
    rig_say(&rig.client, "b");
    rig_end(&rig.client);
    rig_run(2900);
    rig_expect_step(STEP_AWAIT);
    rig_run(200);
    rig_expect(504);
    rig_stop();
}

static void a_head_at_its_deadline_is_taken(void **state)
{
    (void)state;
    rig_start(SITE("proxy 10.0.0.1:80\ntimeout first_byte=3s"));
    rig_request("GET / | Host: a.test");
    rig.x->timed_out = true;
    rig_answer("200", "x");
    rig_expect(200);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

UNIT_SUITE(proxy_origin, cmocka_unit_test(a_refusing_server_is_replaced),
           cmocka_unit_test(when_all_refuse_the_reason_is_told),
           cmocka_unit_test(tries_have_an_end), cmocka_unit_test(retries_may_be_off),
           cmocka_unit_test(the_budget_refuses_retries),
           cmocka_unit_test(a_connect_takes_only_so_long),
           cmocka_unit_test(a_connect_timeout_goes_to_another_server),
           cmocka_unit_test(a_connection_at_its_deadline_is_taken),
           cmocka_unit_test(the_upstreams_timeout_wins),
           cmocka_unit_test(an_idempotent_request_is_sent_again),
           cmocka_unit_test(a_post_that_was_sent_is_not_sent_again),
           cmocka_unit_test(a_body_that_is_on_its_way_is_not_sent_again),
           cmocka_unit_test(a_body_still_in_hand_goes_along),
           cmocka_unit_test(a_buffered_body_is_sent_again_whole),
           cmocka_unit_test(nothing_is_retried_once_the_client_has_an_answer),
           cmocka_unit_test(a_stale_connection_is_replaced_for_free),
           cmocka_unit_test(it_happens_once),
           cmocka_unit_test(a_post_on_a_stale_connection_is_not_repeated),
           cmocka_unit_test(what_can_not_be_repeated_needs_a_young_connection),
           cmocka_unit_test(a_configured_status_goes_to_another_server),
           cmocka_unit_test(the_last_servers_status_passes),
           cmocka_unit_test(a_failing_status_counts_even_when_it_passes),
           cmocka_unit_test(other_statuses_pass), cmocka_unit_test(interim_responses_pass),
           cmocka_unit_test(a_100_that_nobody_asked_for_does_not_pass),
           cmocka_unit_test(a_100_that_was_asked_for_passes_once),
           cmocka_unit_test(weir_asks_for_the_body_after_a_while),
           cmocka_unit_test(a_client_that_does_not_wait_needs_no_100),
           cmocka_unit_test(a_refused_expectation_may_have_a_long_answer),
           cmocka_unit_test(an_absolute_target_becomes_a_path),
           cmocka_unit_test(an_old_client_without_host_gets_one),
           cmocka_unit_test(the_first_byte_has_a_deadline),
           cmocka_unit_test(the_first_byte_waits_for_the_request),
           cmocka_unit_test(a_head_at_its_deadline_is_taken));
