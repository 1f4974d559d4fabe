/* Requests to a shadow upstream: what they are, how they end, what is left of them. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"
#include "proxy/mirror.h"

#define SITE(mirror)                                                                      \
    "listen 127.0.0.1:80\nupstream app { server 10.0.0.1:80 }\nupstream shadow { server " \
    "10.0.0.2:80 }\nsite * {\nproxy app\nmirror shadow " mirror "\n}\n"

static int64_t count(enum metric m)
{
    return counter_get(&rig.counters, m);
}

static struct server_shared *shadow_health(void)
{
    return rig.config.conf->upstreams->list[1]->servers[0].shared;
}

/* The streams to servers in the order in which they were made: the client's first. */
static struct rig_side *real(void)
{
    return &rig.origins[0];
}

static struct rig_side *shadow(void)
{
    assert_int_equal(rig.origin_count, 2);
    return &rig.origins[1];
}

static void answer_on(struct rig_side *o, const char *head, const char *body)
{
    rig.origin = o;
    rig_answer(head, body);
}

static void expect_end(int64_t mirrored, int64_t failed, int64_t dropped)
{
    assert_int_equal(count(METRIC_MIRRORED), mirrored);
    assert_int_equal(count(METRIC_MIRROR_FAILED), failed);
    assert_int_equal(count(METRIC_MIRROR_DROPPED), dropped);
    assert_int_equal(count(METRIC_MIRRORS_ACTIVE), 0);
    assert_int_equal(shadow_health()->in_flight, 0);
    rig_stop();
}

static void it_is_the_same_request(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request("POST /a?b | Host: a.test | Content-Length: 5 | X-Y: z | Expect: 100-continue");
    rig_say(&rig.client, "he");
    rig_run(1);
    assert_int_equal(rig.origin_count, 1); /* not before the request is whole */
    rig_say(&rig.client, "llo");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect_head(shadow(), "POST /a?b");
    rig_expect_head(shadow(), "Host: a.test");
    rig_expect_head(shadow(), "X-Y: z");
    rig_expect_no(shadow(), "Expect");
    rig_expect_no(real(), "X-Mirror");
    rig_expect_body(shadow(), "hello");
    rig_expect_body(real(), "hello");
    answer_on(shadow(), "500 | Content-Length: 3", "bad"); /* before the real one */
    answer_on(real(), "200 | Content-Length: 2", "ok");
    rig_expect(200);
    rig_expect_body(&rig.client, "ok");
    expect_end(1, 0, 0);
}

static void it_outlives_its_request(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request("GET / | Host: a.test");
    answer_on(real(), "200 | Content-Length: 2", "ok");
    rig_expect(200);
    assert_int_equal(count(METRIC_MIRRORS_ACTIVE), 1);
    answer_on(shadow(), "200 | Content-Length: 2", "no");
    expect_end(1, 0, 0);
}

static void a_time_ends_it(void **state)
{
    (void)state;
    rig_start(SITE("timeout=2s"));
    rig_request("GET / | Host: a.test");
    answer_on(real(), "200 | Content-Length: 2", "ok");
    rig_run(1990);
    assert_int_equal(count(METRIC_MIRRORS_ACTIVE), 1);
    rig_run(20);
    assert_int_equal(shadow_health()->failures_total, 1); /* its own fault */
    expect_end(0, 1, 0);
}

static void a_shadow_that_breaks_harms_nobody(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request("GET / | Host: a.test");
    rig_fail(shadow(), ERR_ORIGIN_RESET);
    rig_run(1);
    answer_on(real(), "200 | Content-Length: 2", "ok");
    rig_expect(200);
    assert_int_equal(rig_health(0)->failures_total, 0);
    assert_int_equal(shadow_health()->failures_total, 1);
    expect_end(0, 1, 0);
}

static void one_that_refuses_harms_nobody(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_server_close(1);
    rig_request("GET / | Host: a.test");
    answer_on(real(), "200 | Content-Length: 2", "ok");
    rig_expect(200);
    expect_end(0, 1, 0);
}

static void one_that_is_not_there_harms_nobody(void **state)
{
    (void)state;
    rig_start(SITE("timeout=1s"));
    rig_request("GET / | Host: a.test");
    answer_on(real(), "200 | Content-Length: 2", "ok"); /* an idle connection for the next */
    answer_on(shadow(), "200 | Content-Length: 2 | Connection: close", "no");
    rig_run(1500);
    rig.black_hole = true; /* the shadow's idle one is too old to be taken */
    rig_request("GET / | Host: a.test");
    rig_run(1100);
    answer_on(&rig.origins[rig.origin_count - 1], "200 | Content-Length: 2", "ok");
    rig_expect(200);
    expect_end(1, 1, 0);
}

static void the_limits_are_kept(void **state)
{
    (void)state;
    rig_start(SITE("max=1 body=4B"));
    rig_request("POST / | Host: a.test | Content-Length: 4");
    rig_say(&rig.client, "four");
    rig_end(&rig.client);
    rig_run(1);
    answer_on(real(), "200 | Content-Length: 2", "ok");
    assert_int_equal(count(METRIC_MIRRORS_ACTIVE), 1);
    rig_request("GET / | Host: a.test"); /* one is under way */
    rig_answer("200 | Content-Length: 2", "ok");
    assert_int_equal(count(METRIC_MIRROR_DROPPED), 1);
    answer_on(&rig.origins[1], "200 | Content-Length: 2", "no");
    rig_request("POST / | Host: a.test | Transfer-Encoding: chunked");
    rig_say(&rig.client, "five!");
    rig_end(&rig.client);
    rig_run(1);
    rig_answer("200 | Content-Length: 2", "ok");
    rig_expect(200);
    expect_end(1, 0, 2);
}

static void a_body_that_breaks_off_is_not_mirrored(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request("POST / | Host: a.test | Content-Length: 5");
    rig_say(&rig.client, "he");
    rig_run(1);
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(1);
    assert_int_equal(rig.origin_count, 1);
    expect_end(0, 0, 1);
}

/* A worker that ends waits for no shadow. */
static void the_end_of_the_worker_ends_it(void **state)
{
    (void)state;
    rig_start(SITE("timeout=1h"));
    rig_request("GET / | Host: a.test");
    answer_on(real(), "200 | Content-Length: 2", "ok");
    assert_int_equal(count(METRIC_MIRRORS_ACTIVE), 1);
    assert_true(worker_idle(&rig.w));
    worker_settle(&rig.w);
    expect_end(0, 0, 0);
}

/* What went out before a retry is not copied twice. */
static void a_retry_brings_the_body_once(void **state)
{
    (void)state;
    rig_start("listen 127.0.0.1:80\nupstream app { server 10.0.0.1:80\nserver 10.0.0.3:80 }\n"
              "upstream shadow { server 10.0.0.2:80 }\nsite * {\nproxy app\nmirror shadow\n"
              "buffer on\n}\n");
    rig_request("PUT / | Host: a.test | Content-Length: 5");
    rig_say(&rig.client, "hello");
    rig_end(&rig.client);
    rig_run(1);
    assert_int_equal(rig.origin_count, 2);
    rig_expect_body(&rig.origins[1], "hello");
    rig_fail(&rig.origins[0], ERR_ORIGIN_RESET);
    rig_run(1);
    assert_int_equal(rig.origin_count, 3); /* and no second mirror */
    rig_expect_body(&rig.origins[2], "hello");
    answer_on(&rig.origins[2], "200 | Content-Length: 2", "ok");
    rig_expect(200);
    answer_on(&rig.origins[1], "200 | Content-Length: 2", "no");
    expect_end(1, 0, 0);
}

/* As if the requests were the shadow's own. */
static void the_shadow_is_balanced_as_it_says(void **state)
{
    (void)state;
    enum { REQUESTS = 6 };
    rig_start("listen 127.0.0.1:80\nupstream app { server 10.0.0.1:80 }\nupstream shadow {\n"
              "server 10.0.0.2:80\nserver 10.0.0.3:80\n"
              "balance source_ip ${header.X-IP} prefix4=8 bound=off }\n"
              "site * {\nproxy app\nmirror shadow\n}\n");
    for (int i = 0; i < REQUESTS; i++) {
        char request[64];
        snprintf(request, sizeof request, "GET / | Host: a.test | X-IP: 9.%d.3.4", i);
        rig_request(request);
        answer_on(&rig.origins[rig.origin_count - 2], "200 | Content-Length: 2", "ok");
    }
    const struct server *servers = rig.config.conf->upstreams->list[1]->servers;
    int64_t first = servers[0].shared->requests_total, second = servers[1].shared->requests_total;
    assert_int_equal(first > second ? first : second, REQUESTS);
    worker_settle(&rig.w);
    rig_stop();
}

static void mistakes_are_told(void **state)
{
    (void)state;
    test_error(SITE("101%"), 6, 15, "between 0% and 100%");
    test_error(SITE("10"), 6, 15, "");
    test_error(SITE("10% max=0"), 6, 23, "out of range");
    test_error("listen 127.0.0.1:80\nsite * { mirror nobody }\n", 2, 17, "no upstream 'nobody'");
}

UNIT_SUITE(proxy_mirror, cmocka_unit_test(it_is_the_same_request),
           cmocka_unit_test(it_outlives_its_request), cmocka_unit_test(a_time_ends_it),
           cmocka_unit_test(a_shadow_that_breaks_harms_nobody),
           cmocka_unit_test(one_that_refuses_harms_nobody),
           cmocka_unit_test(one_that_is_not_there_harms_nobody),
           cmocka_unit_test(the_limits_are_kept),
           cmocka_unit_test(a_body_that_breaks_off_is_not_mirrored),
           cmocka_unit_test(the_end_of_the_worker_ends_it),
           cmocka_unit_test(a_retry_brings_the_body_once),
           cmocka_unit_test(the_shadow_is_balanced_as_it_says),
           cmocka_unit_test(mistakes_are_told));
