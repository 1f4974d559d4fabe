/* exchange_test.c - whole exchanges between scripted streams: the usual way through the steps,
 * filters that answer, wait and fail, and a client that leaves in every step. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log_testdir.h"
#include "proxy/access_log.h"
#include "proxy/exchange_rig_test.h"

#define LISTEN     "listen 10.0.9.9:80\n"
#define ONE_SERVER LISTEN "site * {\n proxy 10.0.0.1:80\n}\n"

static void a_request_goes_there_and_back(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET /a?b=c | Host: a.test");
    rig_expect_step(STEP_AWAIT);
    rig_expect_head(rig.origin, "GET /a?b=c");
    rig_expect_head(rig.origin, "Host: a.test");
    rig_answer("200 | Content-Length: 5 | X-A: b", "hello");
    rig_expect(200);
    rig_expect_head(&rig.client, "X-A: b");
    rig_expect_body(&rig.client, "hello");
    assert_int_equal(counter_get(&rig.counters, METRIC_RESPONSES_2XX), 1);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void a_connection_serves_again(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    for (int i = 0; i < 3; i++) {
        rig_request("GET / | Host: a.test");
        rig_answer("204", "");
        rig_expect(204);
    }
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_CONNECTS), 1);
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_REUSES), 2);
    rig_stop();
}

static void a_connection_that_ends_serves_once(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    for (int i = 0; i < 2; i++) {
        rig_request("GET / | Host: a.test");
        rig.origin->closes = true;
        rig_answer("200", "x");
        rig_expect(200);
    }
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_CONNECTS), 2);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void bodies_flow_both_ways(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("POST / | Host: a.test | Transfer-Encoding: chunked");
    rig_say(&rig.client, "one ");
    rig_run(1);
    rig_expect_body(rig.origin, "one "); /* as it comes, not when it is whole */
    rig_response_head(rig.origin, "200");
    rig_say(rig.origin, "re");
    rig_run(1);
    rig_expect_step(STEP_RELAY);
    rig_expect_body(&rig.client, "re");
    rig_say(&rig.client, "two");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect_body(rig.origin, "one two");
    rig_say(rig.origin, "ply");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    rig_expect_body(&rig.client, "reply");
    rig_stop();
}

/* What a side does not take waits in the queue, and no more than the queue holds. */
static void a_slow_client_holds_the_server_back(void **state)
{
    (void)state;
    static char piece[64 * 1024];
    rig_start(LISTEN "site * {\n body queue=64k\n proxy 10.0.0.1:80\n}\n");
    rig_request("GET / | Host: a.test");
    rig.client.room = 0;
    rig_response_head(rig.origin, "200");
    size_t sent = 0;
    for (int i = 0; i < 8; i++, rig_run(1))
        sent += rig_push(rig.origin, piece, sizeof piece);
    assert_in_range(sent, 64 * 1024, 72 * 1024 + 64);
    assert_int_equal(rig.origin->reads, 0);
    rig_give_room(&rig.client, 48 * 1024);
    rig_run(1);
    assert_int_equal(rig.origin->reads, 1); /* asked to go on */
    rig_give_room(&rig.client, SIZE_MAX);
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    assert_int_equal(rig.client.body_len, sent);
    rig_stop();
}

/* The final answer is whole before the request is: the server's connection can not be kept. */
static void an_early_answer_ends_the_exchange(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("PUT / | Host: a.test | Content-Length: 100");
    rig_say(&rig.client, "half");
    rig_run(1);
    rig_answer("413 | Content-Length: 3", "no.");
    rig_expect(413);
    rig_expect_body(&rig.client, "no.");
    assert_false(rig.origin->whole);
    rig_request("GET / | Host: a.test");
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_CONNECTS), 2);
    rig_answer("200", "");
    rig_stop();
}

static void a_head_response_has_no_body(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("HEAD / | Host: a.test");
    rig_response_head(rig.origin, "200 | Content-Length: 500");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    assert_int_equal(rig.client.body_len, 0);
    rig_stop();
}

static void reserved_fields_go_no_further(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test | Connection: close, X-Mine | X-Mine: 1 | X-Other: 2");
    rig_expect_head(rig.origin, "X-Other: 2");
    rig_expect_no(rig.origin, "X-Mine");
    rig_expect_no(rig.origin, "Connection");
    rig_answer("200 | Connection: X-Back | X-Back: 1 | X-Stays: 2", "");
    rig_expect_head(&rig.client, "X-Stays: 2");
    rig_expect_no(&rig.client, "X-Back");
    rig_stop();
}

/* --- errors ----------------------------------------------------------------------------------- */

static void refused(const char *request, unsigned status, enum err e)
{
    rig_request(request);
    rig_expect(status);
    assert_int_equal(rig_errors(e), 1);
    assert_int_equal(rig.origin_count, 0);
}

static void what_is_wrong_is_refused_before_any_server(void **state)
{
    (void)state;
    rig_start(LISTEN "site a.test {\n body max=10B\n proxy 10.0.0.1:80\n}\n"
                     "site none.test {\n route /x { proxy 10.0.0.1:80 }\n}\n");
    refused("TRACE / | Host: a.test", 501, ERR_METHOD_UNSUPPORTED);
    refused("GET /%00 | Host: a.test", 400, ERR_BAD_TARGET);
    refused("GET / | Host: other.test", 421, ERR_NO_SITE);
    refused("GET / | Host: none.test", 404, ERR_NO_ROUTE);
    refused("PUT / | Host: a.test | Content-Length: 11", 413, ERR_BODY_TOO_LARGE);
    rig_stop();
}

/* The session found the head bad; who asks is told so, although its stream has an error. */
static void a_bad_head_gets_its_answer(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_open();
    rig.client.s->err = ERR_HEAD_TOO_LARGE;
    rig_wake(&rig.client);
    rig_run(1);
    rig_expect(431);
    rig_stop();
}

static void a_server_that_closes_gives_502(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig_fail(rig.origin, ERR_ORIGIN_CLOSED);
    rig_run(1);
    rig_expect(502);
    assert_int_equal(rig_errors(ERR_ORIGIN_CLOSED), 1);
    assert_int_equal(rig_health(0)->failures_total, 1);
    assert_int_equal(rig_health(0)->last_error, ERR_ORIGIN_CLOSED);
    rig_stop();
}

/* Bytes that came are passed on, then the client sees that there is no more. */
static void a_response_that_breaks_is_broken_off(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200 | Content-Length: 100");
    rig_say(rig.origin, "part");
    rig_run(1);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect_cut();
    rig_expect_body(&rig.client, "part");
    assert_int_equal(rig_health(0)->failures_total, 1);
    rig_stop();
}

static void a_response_that_is_whole_survives_its_connection(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig.client.room = 2;
    rig_response_head(rig.origin, "200 | Content-Length: 4");
    rig_say(rig.origin, "full");
    rig_end(rig.origin);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_give_room(&rig.client, 100);
    rig_run(1);
    rig_expect(200);
    rig_expect_body(&rig.client, "full");
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void our_own_shortages_are_not_the_servers_failure(void **state)
{
    (void)state;
    static const enum err ours[] = {ERR_NO_MEMORY, ERR_NO_BUFFERS, ERR_OVER_BUDGET};
    rig_start(ONE_SERVER);
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        rig_request("GET / | Host: a.test");
        rig_fail(rig.origin, ours[i]);
        rig_run(1);
        rig_expect(503);
    }
    rig.engine_fails = true;
    rig_request("GET / | Host: a.test");
    rig_expect(503);
    rig.engine_fails = false;
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

/* The request's own error comes back to the client, and the server is not to blame. */
static void a_broken_request_body_is_the_clients(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("POST / | Host: a.test | Transfer-Encoding: chunked");
    rig_say(&rig.client, "some");
    body_fail(rig.client.s->body, ERR_BAD_CHUNK);
    rig_run(1);
    rig_expect(400);
    assert_false(rig.origin->whole); /* the server does not see a whole request */
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void a_chunked_body_meets_its_limit_on_the_way(void **state)
{
    (void)state;
    rig_start(LISTEN "site * {\n body max=10B\n proxy 10.0.0.1:80\n}\n");
    rig_request("POST / | Host: a.test | Transfer-Encoding: chunked");
    rig_say(&rig.client, "ten bytes.");
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    rig_push(&rig.client, "x", 1);
    rig_run(1);
    rig_expect(413);
    rig_stop();
}

static void a_head_that_can_not_be_sent_becomes_an_error(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig.client.head_err = ERR_OVER_BUDGET; /* once: the page's own head is small */
    rig_answer("200", "x");
    rig_expect(503);
    rig_stop();
}

static void no_answer_is_sent_twice(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200");
    rig_run(1);
    rig.client.body_err = ERR_NO_BUFFERS;
    rig_say(rig.origin, "x");
    rig_run(1);
    rig_expect_cut();
    assert_int_equal(rig.client.heads, 1);
    rig_stop();
}

/* --- budgets ---------------------------------------------------------------------------------- */

static void without_buffers_the_answer_is_empty(void **state)
{
    (void)state;
    rig_start_with(LISTEN "site * {\n respond 200 text\n}\n", 0);
    rig_request("GET / | Host: a.test");
    rig_expect(503);
    assert_int_equal(rig.client.body_len, 0);
    assert_int_equal(rig.client.sent.content_length, 0);
    rig_stop();
}

/* From here on the exchange has `bytes` left. */
static void leave_bytes(size_t bytes)
{
    struct arena *a = &rig.x->arena;
    a->budget = a->used;
    while ((size_t)(a->end - a->at) > bytes && arena_alloc(a, 8))
        ;
}

static void end_somehow(void)
{
    if (!rig.client.detached) {
        rig_expect_step(STEP_AWAIT);
        rig_answer("200", "x");
    }
    if (!rig.client.detached)
        fail_msg("stands in '%s'", exchange_step_name(rig.x));
    if (rig.client.whole)
        assert_true(rig_head_has(&rig.client, "200") || rig_head_has(&rig.client, "503") ||
                    rig_head_has(&rig.client, "421"));
    else
        fail_msg("broken off");
}

/* Wherever the memory ends, the exchange ends in order: rig_stop() finds what was left behind. */
static void every_arena_budget_ends_in_order(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /old//%7Ex?q | Host: a.test | X-Forwarded-For: x | Forwarded: y | Via: z",
        "GET http://a.test | Host: a.test",
        "GET / | Host: b.test | Accept: a/b | Accept: text/html",
        "PUT /l | Host: a.test | Content-Length: 0", "GET / 1.0"};
    rig_start(LISTEN "site a.test {\n proxy 10.0.0.1:80 10.0.0.2:80\n retry 1 on=503\n"
                     " request set X-A \"$host$path$uri\"\n response add X-B \"$uri$uri\"\n"
                     " rewrite ~ \"^/old(.*)\" /new$1$1\n error 5xx \"page $status $uri\"\n"
                     " when query.q == \"\" { timeout read=1s }\n"
                     " route /l { respond 200 \"$uri$uri\" }\n}\n");
    for (size_t i = 0; i < COUNT_OF(requests); i++)
        for (size_t bytes = 0; bytes < 1600; bytes += 40) {
            rig_open();
            rig_request_head(rig.client.s->head, requests[i]);
            rig.client.s->head_state = STREAM_HEAD_FINAL;
            body_end(rig.client.s->body);
            leave_bytes(bytes);
            rig_run(1);
            end_somehow();
            rig.origin_count = 0; /* they have ended */
        }
    rig_stop();
}

static void every_buffer_budget_ends_in_order(void **state)
{
    (void)state;
    enum { TEXT_BYTES = 200 * 1000 };
    char *config = malloc(TEXT_BYTES + 100);
    size_t len = (size_t)sprintf(config, LISTEN "site * {\n body queue=64k\n respond 200 \"");
    memset(config + len, 'x', TEXT_BYTES);
    strcpy(config + len + TEXT_BYTES, "\"\n}\n");
    for (size_t cap = 0; cap < 4 * BUF_LARGE_BYTES; cap += BUF_LARGE_BYTES / 3) {
        rig_start_with(config, cap);
        rig_open();
        rig_request_head(rig.client.s->head, "GET / | Host: a.test");
        rig.client.s->head_state = STREAM_HEAD_FINAL;
        rig.client.room = 0;
        rig_wake(&rig.client);
        for (int i = 0; !rig.client.detached; i++) {
            assert_in_range(i, 0, 100);
            rig_give_room(&rig.client, 10000);
            rig_run(1);
        }
        bool all = rig_head_has(&rig.client, "200") && rig.client.body_len == TEXT_BYTES;
        assert_true(all || !rig.client.whole || rig_head_has(&rig.client, "503"));
        rig_stop();
    }
    free(config);
}

/* --- filters ---------------------------------------------------------------------------------- */

/* A filter as the test wants it, in front of every other. */
static struct {
    enum verdict request, response;
    int requests, responses, finishes;
} script;

static enum verdict script_run(struct exchange *x, enum verdict v)
{
    if (v == ANSWERED)
        assert_int_equal(exchange_respond(x, 403, SLICE("text/plain"), SLICE("filter")), ERR_OK);
    if (v == FAILED)
        x->err = ERR_REFUSED;
    return v;
}

static enum verdict script_request(struct exchange *x, const void *conf, void *st)
{
    (void)conf;
    assert_int_equal(*(uint64_t *)st, 0); /* zeroed, and there */
    script.requests++;
    return script_run(x, script.request);
}

static enum verdict script_response(struct exchange *x, const void *conf, void *st)
{
    (void)conf;
    assert_int_equal(*(uint64_t *)st, 0);
    script.responses++;
    return script_run(x, script.response);
}

static void script_finish(struct exchange *x, const void *conf, void *st)
{
    (void)x;
    (void)conf;
    assert_int_equal(*(uint64_t *)st, 0);
    script.finishes++;
}

static void script_start(const char *config, enum verdict request, enum verdict response)
{
    static const struct filter_type type = {.name = "script",
                                            .on_request = script_request,
                                            .on_response = script_response,
                                            .on_finish = script_finish};
    static const struct filter_use use = {.type = &type, .run = script_request};
    memset(&script, 0, sizeof script);
    script.request = request;
    script.response = response;
    rig_start(config);
    struct route *r = rig.config.conf->proxy->sites[0]->own;
    r->state_bytes = 8;
    for (int h = 0; h < HOOK_COUNT; h++)
        r->chains[h] = (struct filter_chain){&use, 1};
}

static void a_filter_may_answer(void **state)
{
    (void)state;
    script_start(ONE_SERVER, ANSWERED, PASS);
    rig_request("GET / | Host: a.test");
    rig_expect(403);
    rig_expect_body(&rig.client, "filter");
    assert_int_equal(rig.origin_count, 0);
    assert_int_equal(script.responses, 1); /* its answer takes the way of all */
    assert_int_equal(script.finishes, 1);
    rig_stop();
}

static void a_filter_may_wait(void **state)
{
    (void)state;
    script_start(ONE_SERVER, WAIT, WAIT);
    rig_request("GET / | Host: a.test");
    rig_expect_step(STEP_REQUEST_FILTERS);
    exchange_wake(rig.x);
    rig_run(1);
    assert_int_equal(script.requests, 2);
    script.request = PASS;
    exchange_wake(rig.x);
    rig_run(1);
    rig_expect_step(STEP_AWAIT);
    rig_answer("200", "x");
    rig_expect_step(STEP_RESPONSE_FILTERS);
    assert_int_equal(rig.client.heads, 0);
    script.response = PASS;
    exchange_wake(rig.x);
    rig_run(1);
    rig_expect(200);
    rig_expect_body(&rig.client, "x");
    rig_stop();
}

static void a_filter_may_fail(void **state)
{
    (void)state;
    script_start(ONE_SERVER, FAILED, PASS);
    rig_request("GET / | Host: a.test");
    rig_expect(403);
    assert_int_equal(rig_errors(ERR_REFUSED), 1);
    assert_int_equal(script.finishes, 1);
    rig_stop();
}

/* The page of the failure goes through the same filter, which fails again. */
static void a_response_filter_that_fails_twice_leaves_the_status(void **state)
{
    (void)state;
    script_start(ONE_SERVER, PASS, FAILED);
    rig_request("GET / | Host: a.test");
    rig_answer("200", "x");
    rig_expect(403);
    assert_int_equal(script.responses, 2);
    assert_int_equal(rig.client.body_len, 0);
    rig_stop();
}

/* Of a call the page is fields, so what is left is the filter's own status. */
static void a_call_whose_filter_fails_twice_gets_a_status(void **state)
{
    (void)state;
    script_start(ONE_SERVER, PASS, FAILED);
    rig_request("POST / | Host: a.test | Content-Type: application/grpc");
    rig_answer("200", "x");
    rig_expect(403);
    rig_expect_no(&rig.client, "grpc-status");
    rig_stop();
}

/* A refusal in "route" still meets its filters with their memory. */
static void refusals_of_the_route_pass_its_filters(void **state)
{
    (void)state;
    script_start(LISTEN "site * {\n body max=1B\n proxy 10.0.0.1:80\n}\n", PASS, PASS);
    rig_request("PUT / | Host: a.test | Content-Length: 2");
    rig_expect(413);
    assert_int_equal(script.requests, 0);
    assert_int_equal(script.responses, 1);
    assert_int_equal(script.finishes, 1);
    rig_stop();
}

/* Filters that can not have their memory are not called at all. */
static void a_route_whose_filters_need_too_much_answers_503(void **state)
{
    (void)state;
    script_start(ONE_SERVER, PASS, PASS);
    rig.config.conf->proxy->sites[0]->own->state_bytes = 1 << 20;
    rig_request("GET / | Host: a.test");
    rig_expect(503);
    assert_int_equal(rig_errors(ERR_OVER_BUDGET), 1);
    assert_int_equal(script.responses + script.finishes, 0);
    rig_stop();
}

/* --- the client leaves ------------------------------------------------------------------------ */

static void client_resets(void)
{
    unsigned before = rig.client.heads;
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(1);
    rig_expect_cut();
    assert_int_equal(rig.client.heads, before); /* nobody is there to be told */
    assert_int_equal(rig_errors(ERR_CLIENT_RESET), 1);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void a_reset_in_request_filters(void **state)
{
    (void)state;
    script_start(ONE_SERVER, WAIT, PASS);
    rig_request("GET / | Host: a.test");
    rig_expect_step(STEP_REQUEST_FILTERS);
    client_resets();
}

static void a_reset_in_buffer(void **state)
{
    (void)state;
    rig_start(LISTEN "site * {\n buffer on\n proxy 10.0.0.1:80\n}\n");
    rig_request("PUT / | Host: a.test | Content-Length: 9");
    rig_say(&rig.client, "half");
    rig_run(1);
    rig_expect_step(STEP_BUFFER);
    client_resets();
}

static void a_reset_while_connecting(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig.black_hole = true;
    rig_request("GET / | Host: a.test");
    rig_expect_step(STEP_PICK);
    client_resets();
}

static void a_reset_in_the_queue(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    /* The only place of the server is taken by somebody else. */
    struct server *srv = &rig.config.conf->upstreams->list[0]->servers[0];
    srv->max_conns = 1;
    srv->shared->conns = 1;
    rig_request("GET / | Host: a.test");
    rig_expect_step(STEP_PICK);
    assert_int_equal(rig.x->lease.state, LEASE_QUEUED);
    rig_run(500);
    srv->shared->conns = 0;
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(100);
    rig_expect_cut();
    assert_int_equal(srv->shared->conns, 0);
    rig_stop();
}

static void a_reset_in_await(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig_expect_step(STEP_AWAIT);
    client_resets();
}

static void a_reset_in_response_filters(void **state)
{
    (void)state;
    script_start(ONE_SERVER, PASS, WAIT);
    rig_request("GET / | Host: a.test");
    rig_answer("200", "x");
    rig_expect_step(STEP_RESPONSE_FILTERS);
    client_resets();
}

static void a_reset_in_relay(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200");
    rig_say(rig.origin, "x");
    rig_run(1);
    rig_expect_step(STEP_RELAY);
    client_resets();
}

static void a_reset_under_an_error_page(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_open();
    rig_request_head(rig.client.s->head, "TRACE / | Host: a.test");
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    rig.client.room = 0;
    rig_wake(&rig.client);
    rig_run(1);
    rig_expect_step(STEP_RELAY);
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(1);
    rig_expect_cut();
    rig_stop();
}

static void an_aborted_worker_tells_who_can_be_told(void **state)
{
    (void)state;
    rig_start(ONE_SERVER);
    rig_request("GET / | Host: a.test");
    rig_fail(&rig.client, ERR_SHUTTING_DOWN); /* what h1 does: nothing can be sent any more */
    rig_run(1);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_SHUTTING_DOWN), 1);
    rig_stop();
}

/* --- the access log --------------------------------------------------------------------------- */

/* The response's fields lie in buffers of the server's stream: the log is written before those go,
 * however the exchange ends. */
static void the_log_sees_a_response_that_broke(void **state)
{
    struct test_dir *d = *state;
    char config[1024];
    snprintf(config, sizeof config,
             LISTEN "site * {\n proxy 10.0.0.1:80\n"
                    " log access \"$status ${response.X-A} $error $uri\" to=%s\n}\n",
             test_path(d, "log"));
    rig_start(config);
    assert_true(access_logs_open(rig.config.conf, &rig.config.diag));
    rig_request("GET http://a.test/p?q | Host: a.test");
    rig_response_head(rig.origin, "200 | X-A: value");
    rig_run(1);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect_cut();
    test_wait_for(d, "log", "200 value origin_reset /p?q\n");
    rig_stop();
}

/* A status that is tried again leaves nothing of its response behind. */
static void the_log_sees_nothing_of_a_try_before(void **state)
{
    struct test_dir *d = *state;
    char config[1024];
    snprintf(config, sizeof config,
             LISTEN "site * {\n proxy 10.0.0.1:80 10.0.0.2:80 {\n retry 1 on=503\n }\n"
                    " log access \"[$status] [${response.X-A}] $error\" to=%s\n}\n",
             test_path(d, "log"));
    rig_start(config);
    assert_true(access_logs_open(rig.config.conf, &rig.config.diag));
    rig_request("GET / | Host: a.test");
    rig.black_hole = true;
    rig_answer("503 | X-A: old", "");
    rig_expect_step(STEP_PICK);
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(1);
    test_wait_for(d, "log", "[-] [-] client_reset\n");
    rig_stop();
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, test_dir_setup, test_dir_teardown)

UNIT_SUITE(
    proxy_exchange, cmocka_unit_test(a_request_goes_there_and_back),
    cmocka_unit_test(a_connection_serves_again),
    cmocka_unit_test(a_connection_that_ends_serves_once), cmocka_unit_test(bodies_flow_both_ways),
    cmocka_unit_test(a_slow_client_holds_the_server_back),
    cmocka_unit_test(an_early_answer_ends_the_exchange),
    cmocka_unit_test(a_head_response_has_no_body), cmocka_unit_test(reserved_fields_go_no_further),
    cmocka_unit_test(what_is_wrong_is_refused_before_any_server),
    cmocka_unit_test(a_bad_head_gets_its_answer), cmocka_unit_test(a_server_that_closes_gives_502),
    cmocka_unit_test(a_response_that_breaks_is_broken_off),
    cmocka_unit_test(a_response_that_is_whole_survives_its_connection),
    cmocka_unit_test(our_own_shortages_are_not_the_servers_failure),
    cmocka_unit_test(a_broken_request_body_is_the_clients),
    cmocka_unit_test(a_chunked_body_meets_its_limit_on_the_way),
    cmocka_unit_test(a_head_that_can_not_be_sent_becomes_an_error),
    cmocka_unit_test(no_answer_is_sent_twice),
    cmocka_unit_test(without_buffers_the_answer_is_empty),
    cmocka_unit_test(a_route_whose_filters_need_too_much_answers_503),
    cmocka_unit_test(every_arena_budget_ends_in_order),
    cmocka_unit_test(every_buffer_budget_ends_in_order), cmocka_unit_test(a_filter_may_answer),
    cmocka_unit_test(a_filter_may_wait), cmocka_unit_test(a_filter_may_fail),
    cmocka_unit_test(a_response_filter_that_fails_twice_leaves_the_status),
    cmocka_unit_test(a_call_whose_filter_fails_twice_gets_a_status),
    cmocka_unit_test(refusals_of_the_route_pass_its_filters),
    cmocka_unit_test(a_reset_in_request_filters), cmocka_unit_test(a_reset_in_buffer),
    cmocka_unit_test(a_reset_while_connecting), cmocka_unit_test(a_reset_in_the_queue),
    cmocka_unit_test(a_reset_in_await), cmocka_unit_test(a_reset_in_response_filters),
    cmocka_unit_test(a_reset_in_relay), cmocka_unit_test(a_reset_under_an_error_page),
    cmocka_unit_test(an_aborted_worker_tells_who_can_be_told),
    WITH_DIR(the_log_sees_a_response_that_broke), WITH_DIR(the_log_sees_nothing_of_a_try_before));
