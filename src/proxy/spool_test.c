/* spool_test.c - request bodies that are gathered before a server is chosen: in memory, in a file,
 * broken off, too large. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80\n" policies "\n}\n"

enum { BODY_BYTES = 200 * 1000 };

static char body[BODY_BYTES];

static void body_make(void)
{
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i % 251);
}

/* Chunked, all of it, in pieces. */
static void send_body(size_t len)
{
    int streams = rig.origin_count;
    rig_request("PUT / | Host: a.test | Transfer-Encoding: chunked");
    for (size_t at = 0; at < len;) {
        size_t piece = len - at < 10000 ? len - at : 10000;
        assert_int_equal(rig_push(&rig.client, body + at, piece), piece);
        at += piece;
        rig_run(1);
    }
    rig_expect_step(STEP_BUFFER);
    assert_int_equal(rig.origin_count, streams);
    rig_end(&rig.client);
    rig_run(1);
}

static void expect_body(size_t len)
{
    assert_int_equal(rig.origin->sent.length, LENGTH_KNOWN);
    assert_int_equal(rig.origin->sent.content_length, len);
    assert_int_equal(rig.origin->body_len, len);
    assert_memory_equal(rig.origin->body, body, len);
    assert_true(rig.origin->s->sent_all);
}

static void a_body_waits_until_it_is_whole(void **state)
{
    (void)state;
    body_make();
    rig_start(SITE("buffer on"));
    send_body(BODY_BYTES);
    expect_body(BODY_BYTES);
    rig_answer("200", "");
    rig_expect(200);
    assert_int_equal(counter_get(&rig.counters, METRIC_SPOOLED), 0);
    rig_stop();
}

/* At the limit it stays in memory, one past it goes to a file. */
static void beyond_the_limit_a_file_takes_it(void **state)
{
    (void)state;
    body_make();
    rig_start(SITE("buffer on memory=100k"));
    send_body(100 * 1024);
    expect_body(100 * 1024);
    rig_answer("200", "");
    assert_int_equal(counter_get(&rig.counters, METRIC_SPOOLED), 0);
    send_body(100 * 1024 + 1);
    expect_body(100 * 1024 + 1);
    assert_int_equal(counter_get(&rig.counters, METRIC_SPOOLED), 1);
    rig_answer("200", "");
    rig_stop();
}

static void a_file_is_read_again_for_another_server(void **state)
{
    (void)state;
    body_make();
    rig_start(
        "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80 10.0.0.2:80\nbuffer on memory=1k\n}");
    send_body(BODY_BYTES);
    assert_int_equal(rig.origin_count, 1);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    assert_int_equal(rig.origin_count, 2);
    expect_body(BODY_BYTES);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

/* A slow server is given no more than the queue holds at a time. */
static void a_slow_server_takes_its_time(void **state)
{
    (void)state;
    body_make();
    rig_start(SITE("buffer on\nbody queue=64k\ntimeout send=off"));
    rig.origin_room = 0;
    send_body(BODY_BYTES);
    assert_in_range(request_body(rig.x)->bytes, 64 * 1024, 64 * 1024 + BUF_LARGE_BYTES);
    for (int i = 0; i < 200; i++) {
        rig_give_room(rig.origin, 1000);
        rig_run(1);
        assert_int_equal(rig.origin->body_len, (i + 1) * 1000);
    }
    expect_body(BODY_BYTES);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void an_empty_body_is_a_body(void **state)
{
    (void)state;
    rig_start(SITE("buffer on memory=0B"));
    rig_request("PUT / | Host: a.test | Transfer-Encoding: chunked");
    rig_end(&rig.client);
    rig_run(1);
    expect_body(0);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void a_request_without_body_is_not_buffered(void **state)
{
    (void)state;
    rig_start(SITE("buffer on"));
    rig_request("GET / | Host: a.test");
    rig_expect_step(STEP_AWAIT);
    assert_int_equal(rig.origin->sent.length, LENGTH_NONE);
    rig_answer("200", "");
    rig_stop();
}

static void who_waits_for_a_100_gets_it_from_weir(void **state)
{
    (void)state;
    rig_start(SITE("buffer on"));
    rig_request("PUT / | Host: a.test | Content-Length: 2 | Expect: 100-continue");
    assert_int_equal(rig.client.last_interim, 100);
    rig_say(&rig.client, "ok");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect_no(rig.origin, "Expect");
    rig_response_head(rig.origin, "100");
    rig_run(1);
    assert_int_equal(rig.client.interims, 1);
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

static void a_body_that_is_too_large_reaches_no_server(void **state)
{
    (void)state;
    rig_start(SITE("buffer on\nbody max=10B"));
    rig_request("PUT / | Host: a.test | Transfer-Encoding: chunked");
    rig_say(&rig.client, "0123456789");
    rig_run(1);
    rig_expect_step(STEP_BUFFER);
    rig_push(&rig.client, "x", 1);
    rig_run(1);
    rig_expect(413);
    assert_int_equal(rig.origin_count, 0);
    rig_stop();
}

static void a_broken_body_reaches_no_server(void **state)
{
    (void)state;
    rig_start(SITE("buffer on"));
    rig_request("PUT / | Host: a.test | Transfer-Encoding: chunked");
    rig_say(&rig.client, "some");
    body_fail(rig.client.s->body, ERR_BAD_CHUNK);
    rig_run(1);
    rig_expect(400);
    assert_int_equal(rig.origin_count, 0);
    rig_stop();
}

static void a_body_that_stops_ends_in_408(void **state)
{
    (void)state;
    rig_start(SITE("buffer on\ntimeout client_body=2s"));
    rig_request("PUT / | Host: a.test | Content-Length: 100");
    rig_run(1900);
    rig_say(&rig.client, "some");
    rig_run(1900);
    rig_expect_step(STEP_BUFFER);
    rig_run(200);
    rig_expect(408);
    assert_int_equal(rig_errors(ERR_CLIENT_BODY_TIMEOUT), 1);
    rig_stop();
}

static void without_a_place_for_files_it_is_an_error(void **state)
{
    (void)state;
    rig_start(SITE("buffer on memory=0B"));
    const char *old = getenv("TMPDIR");
    char *kept = old ? strdup(old) : NULL;
    setenv("TMPDIR", "/nonexistent", 1);
    rig_request("PUT / | Host: a.test | Content-Length: 2");
    rig_say(&rig.client, "xx");
    rig_run(1);
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
    rig_expect(500);
    assert_int_equal(rig_errors(ERR_SPOOL), 1);
    rig_stop();
}

UNIT_SUITE(proxy_spool, cmocka_unit_test(a_body_waits_until_it_is_whole),
           cmocka_unit_test(beyond_the_limit_a_file_takes_it),
           cmocka_unit_test(a_file_is_read_again_for_another_server),
           cmocka_unit_test(a_slow_server_takes_its_time),
           cmocka_unit_test(an_empty_body_is_a_body),
           cmocka_unit_test(a_request_without_body_is_not_buffered),
           cmocka_unit_test(who_waits_for_a_100_gets_it_from_weir),
           cmocka_unit_test(a_body_that_is_too_large_reaches_no_server),
           cmocka_unit_test(a_broken_body_reaches_no_server),
           cmocka_unit_test(a_body_that_stops_ends_in_408),
           cmocka_unit_test(without_a_place_for_files_it_is_an_error));
