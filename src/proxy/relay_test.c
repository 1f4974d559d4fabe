/* relay_test.c - who is waited for and for how long, in every direction; and tunnels. */
// SPDX-License-Identifier: Apache-2.0
#include "io/pipe.h"
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80\n" policies "\n}\n"

static char bulk[64 * 1024];

static void ended_with(unsigned status, enum err e)
{
    rig_expect(status);
    assert_int_equal(rig_errors(e), 1);
}

/* --- the request's body ----------------------------------------------------------------------- */

static void a_client_that_stops_sending_gets_408(void **state)
{
    (void)state;
    rig_start(SITE("timeout client_body=3s"));
    rig_request("PUT / | Host: a.test | Content-Length: 100");
    for (int i = 0; i < 3; i++) { /* each piece begins the time anew */
        rig_say(&rig.client, "x");
        rig_run(2900);
        rig_expect_step(STEP_AWAIT);
    }
    rig_run(200);
    ended_with(408, ERR_CLIENT_BODY_TIMEOUT);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

/* While the server is slow it is not the client that is waited for. */
static void a_slow_server_does_not_cost_the_client(void **state)
{
    (void)state;
    rig_start(SITE("timeout client_body=3s send=off\nbody queue=64k rate=1M/s"));
    rig_request("PUT / | Host: a.test | Content-Length: 1000000");
    rig.origin->room = 0;
    rig_push(&rig.client, bulk, sizeof bulk);
    rig_push(&rig.client, bulk, sizeof bulk);
    rig_run(30000);
    rig_expect_step(STEP_AWAIT);
    rig_give_room(rig.origin, 8 * 1024); /* the queue is above its half: nobody reads yet */
    rig_run(30000);
    rig_expect_step(STEP_AWAIT);
    rig_give_room(rig.origin, SIZE_MAX); /* from now on the client is due */
    rig_run(2900);
    rig_expect_step(STEP_AWAIT);
    rig_run(200);
    ended_with(408, ERR_CLIENT_BODY_TIMEOUT);
    rig_stop();
}

/* 100 bytes a second, over windows of ten. */
static void a_body_may_not_trickle(void **state)
{
    (void)state;
    rig_start(SITE("body rate=100B/s\ntimeout client_body=off"));
    rig_request("PUT / | Host: a.test | Content-Length: 100000");
    for (int s = 0; s < 30; s++) {
        rig_push(&rig.client, bulk, 101);
        rig_run(1000);
    }
    rig_expect_step(STEP_AWAIT);
    for (int s = 0; s < 25 && !rig.client.detached; s++) {
        rig_push(&rig.client, bulk, 90);
        rig_run(1000);
    }
    ended_with(408, ERR_CLIENT_BODY_RATE);
    rig_stop();
}

static void a_trickling_body_is_found_without_any_byte(void **state)
{
    (void)state;
    rig_start(SITE("body rate=1B/s\ntimeout client_body=off"));
    rig_request("PUT / | Host: a.test | Content-Length: 100");
    rig_run(9900);
    rig_expect_step(STEP_AWAIT);
    rig_run(200);
    ended_with(408, ERR_CLIENT_BODY_RATE);
    rig_stop();
}

/* --- the server ------------------------------------------------------------------------------- */

static void a_server_that_takes_nothing_is_given_up(void **state)
{
    (void)state;
    rig_start(SITE("timeout send=4s client_body=off\nbody rate=off"));
    rig_request("PUT / | Host: a.test | Content-Length: 100");
    rig.origin->room = 0;
    rig_say(&rig.client, "x");
    rig_run(3900);
    rig_expect_step(STEP_AWAIT);
    rig.origin->s->conn->bytes_out++; /* the kernel took some */
    rig_wake(rig.origin);
    rig_run(3900);
    rig_expect_step(STEP_AWAIT);
    rig_run(200);
    ended_with(504, ERR_ORIGIN_SEND_TIMEOUT);
    assert_int_equal(rig_health(0)->failures_total, 1);
    rig_stop();
}

static void a_server_that_stops_is_broken_off(void **state)
{
    (void)state;
    rig_start(SITE("timeout read=5s"));
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200");
    for (int i = 0; i < 3; i++) {
        rig_say(rig.origin, "x");
        rig_run(4900);
        rig_expect_step(STEP_RELAY);
    }
    rig_run(200);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_ORIGIN_READ_TIMEOUT), 1);
    assert_int_equal(rig_health(0)->last_error, ERR_ORIGIN_READ_TIMEOUT);
    rig_stop();
}

/* A client that takes long for what it was sent: the server, held back, is not to blame, and gets
 * its whole time once it is asked to go on. */
static void a_slow_client_does_not_cost_the_server(void **state)
{
    (void)state;
    rig_start(SITE("timeout read=5s client_send=off\nbody queue=64k"));
    rig_request("GET / | Host: a.test");
    rig.client.room = 0;
    rig_response_head(rig.origin, "200");
    rig_push(rig.origin, bulk, sizeof bulk);
    rig_push(rig.origin, bulk, sizeof bulk);
    rig_run(30000);
    rig_expect_step(STEP_RELAY);
    rig_give_room(&rig.client, 8 * 1024);
    rig_run(30000);
    rig_expect_step(STEP_RELAY);
    assert_int_equal(rig.origin->reads, 0);
    rig_give_room(&rig.client, SIZE_MAX);
    rig_run(4900);
    rig_expect_step(STEP_RELAY);
    assert_int_equal(rig.origin->reads, 1);
    rig_run(200);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_ORIGIN_READ_TIMEOUT), 1);
    rig_stop();
}

/* A body may have a pipe and get its small rest without it. */
static void each_piece_counts_whatever_way_it_comes(void **state)
{
    (void)state;
    rig_start(SITE("timeout read=5s client_send=off"));
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200");
    rig_say(rig.origin, "x");
    rig_run(1);
    struct buf *pipe = rig.x->res_body.pipe = io_pipe_take(&rig.w.loop);
    if (!pipe) {
        rig_end(rig.origin);
        rig_stop();
        skip(); /* the kernel has none for us */
    }
    pipe->len = 40000; /* something is on its way */
    rig_wake(rig.origin);
    rig_run(30000);
    rig_expect_step(STEP_RELAY);
    pipe->len = 0;
    io_pipe_of(pipe)->emptied_ms = rig.w.loop.now_ms;
    for (int i = 0; i < 3; i++) {
        rig_run(4800);
        rig_expect_step(STEP_RELAY);
        rig_say(rig.origin, "x");
    }
    rig_run(4900);
    rig_expect_step(STEP_RELAY);
    rig_run(200);
    rig_expect_cut();
    rig_stop();
}

/* --- the client ------------------------------------------------------------------------------- */

static void a_client_that_takes_nothing_is_broken_off(void **state)
{
    (void)state;
    rig_start(SITE("timeout client_send=6s read=off"));
    rig_request("GET / | Host: a.test");
    rig.client.room = 0;
    rig_response_head(rig.origin, "200");
    rig_say(rig.origin, "x");
    rig_run(5900);
    rig_expect_step(STEP_RELAY);
    rig.client_conn.bytes_out++;
    rig_wake(&rig.client);
    rig_run(5900);
    rig_expect_step(STEP_RELAY);
    rig_run(200);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_CLIENT_SEND_TIMEOUT), 1);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

/* Each second a little is taken of an answer that waits. */
static void take_for(int seconds, uint64_t bytes)
{
    rig_start(SITE("timeout client_send=6s read=off\nbody take_rate=100B/s"));
    rig_request("GET / | Host: a.test");
    rig.client.room = 0;
    rig_response_head(rig.origin, "200");
    rig_say(rig.origin, "x");
    rig_run(100);
    for (int i = 0; i < seconds; i++) {
        rig.client_conn.bytes_out += bytes;
        rig_wake(&rig.client);
        rig_run(1000);
    }
}

static void one_that_takes_a_byte_now_and_then_is_broken_off(void **state)
{
    (void)state;
    take_for(59, 99);
    rig_expect_step(STEP_RELAY);
    rig.client_conn.bytes_out += 99;
    rig_wake(&rig.client);
    rig_run(1200);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_CLIENT_TAKE_RATE), 1);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void one_that_keeps_the_rate_is_not(void **state)
{
    (void)state;
    take_for(185, 101);
    rig_expect_step(STEP_RELAY);
    assert_int_equal(rig_errors(ERR_CLIENT_TAKE_RATE), 0);
    rig_give_room(&rig.client, 8 * 1024);
    rig_end(rig.origin);
    rig_run(1);
    rig_stop();
}

static void so_is_one_that_does_not_take_an_error_page(void **state)
{
    (void)state;
    rig_start(SITE("timeout client_send=6s"));
    rig_open();
    rig_request_head(rig.client.s->head, "TRACE / | Host: a.test");
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    rig.client.room = 3;
    rig_wake(&rig.client);
    rig_run(30100); /* of no site yet: the default */
    rig_expect_cut();
    assert_int_equal(rig.client.body_len, 3);
    rig_stop();
}

/* --- the whole -------------------------------------------------------------------------------- */

static void the_whole_request_has_a_deadline(void **state)
{
    (void)state;
    rig_start(SITE("timeout request=10s read=off first_byte=off"));
    rig_request("GET / | Host: a.test");
    rig_run(9900);
    rig_expect_step(STEP_AWAIT);
    rig_run(200);
    ended_with(504, ERR_REQUEST_TIMEOUT);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200");
    for (int i = 0; i < 9; i++) {
        rig_say(rig.origin, "x");
        rig_run(1100);
    }
    rig_expect_step(STEP_RELAY);
    rig_run(200);
    rig_expect_cut();
    rig_stop();
}

/* --- a client that ends its side -------------------------------------------------------------- */

static void client_ends(void)
{
    rig.client.s->peer_ended = true;
    rig_wake(&rig.client);
}

static void it_is_waited_for_a_moment(void **state)
{
    (void)state;
    rig_start(SITE("timeout half_close=2s"));
    rig_request("GET / | Host: a.test");
    client_ends();
    rig_run(1900);
    rig_expect_step(STEP_AWAIT);
    rig_wake(&rig.client); /* the time does not begin anew */
    rig_run(200);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_CLIENT_CLOSED), 1);
    assert_int_equal(rig.client.heads, 0);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void a_response_in_time_is_sent_whole(void **state)
{
    (void)state;
    rig_start(SITE("timeout half_close=2s read=off"));
    rig_request("GET / | Host: a.test");
    client_ends();
    rig_run(1900);
    rig_response_head(rig.origin, "200");
    rig_run(60000); /* its body may take longer */
    rig_expect_step(STEP_RELAY);
    rig_say(rig.origin, "x");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    rig_stop();
}

static void its_request_still_has_a_limit(void **state)
{
    (void)state;
    rig_start(SITE("timeout half_close=2s read=off request=10s"));
    rig_request("GET / | Host: a.test");
    client_ends();
    rig_response_head(rig.origin, "200");
    rig_run(9900);
    rig_expect_step(STEP_RELAY);
    rig_run(200);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_REQUEST_TIMEOUT), 1);
    rig_stop();
}

static void it_holds_no_place_in_a_queue(void **state)
{
    (void)state;
    rig_start(SITE(""));
    struct server *srv = &rig.config.conf->upstreams->list[0]->servers[0];
    srv->max_conns = srv->shared->conns = 1;
    rig_request("GET / | Host: a.test");
    assert_int_equal(rig.x->lease.state, LEASE_QUEUED);
    client_ends();
    rig_run(1);
    rig_expect_cut();
    srv->shared->conns = 0;
    rig_run(100);
    rig_stop();
}

static void without_limits_nothing_ends(void **state)
{
    (void)state;
    rig_start(SITE("timeout client_body=off client_send=off first_byte=off read=off send=off\n"
                   "body rate=off"));
    rig_request("PUT / | Host: a.test | Content-Length: 2");
    rig_run(10000000);
    rig_expect_step(STEP_AWAIT);
    rig_say(&rig.client, "xx");
    rig_end(&rig.client);
    rig_run(10000000);
    rig_response_head(rig.origin, "200");
    rig_run(10000000);
    rig_expect_step(STEP_RELAY);
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    rig_stop();
}

/* --- tunnels ---------------------------------------------------------------------------------- */

static void tunnel_open(const char *config)
{
    rig_start(config);
    rig_request("GET /ws | Host: a.test | Connection: Upgrade | Upgrade: websocket");
    rig_end(&rig.client); /* a request without a body is whole, as in h1 */
    rig_response_head(rig.origin, "101");
    rig_run(1);
    rig_expect_step(STEP_RELAY);
    rig_expect_head(&rig.client, "101");
    assert_true(rig.client.tunnel);
    assert_true(rig.origin->tunnel);
    assert_int_equal(counter_get(&rig.counters, METRIC_TUNNELS_OPEN), 1);
}

static void a_tunnel_carries_bytes_both_ways(void **state)
{
    (void)state;
    tunnel_open(SITE("body max=1B"));
    for (int i = 0; i < 3; i++) {
        rig_say(&rig.client, "ping ");
        rig_say(rig.origin, "pong ");
        rig_run(1);
    }
    rig_expect_body(rig.origin, "ping ping ping ");
    rig_expect_body(&rig.client, "pong pong pong ");
    rig_end(&rig.client); /* half-closed: the other way goes on */
    rig_run(1);
    rig_expect_step(STEP_RELAY);
    assert_true(rig.origin->s->sent_all);
    rig_say(rig.origin, "last");
    rig_run(1);
    rig_expect_body(&rig.client, "pong pong pong last");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(101);
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_IDLE), 0); /* never used again */
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void the_server_may_half_close_first(void **state)
{
    (void)state;
    tunnel_open(SITE(""));
    rig_end(rig.origin);
    rig_run(1);
    rig_expect_step(STEP_RELAY);
    assert_true(rig.client.s->sent_all);
    rig_say(&rig.client, "still");
    rig_run(1);
    rig_expect_body(rig.origin, "still");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect(101);
    rig_stop();
}

/* Half-closed, then gone: what the client still sends has no reader, so it ends now. */
static void a_half_closed_server_that_dies_ends_the_tunnel(void **state)
{
    (void)state;
    tunnel_open(SITE(""));
    rig_end(rig.origin);
    rig_run(1);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect(101);
    rig_stop();
}

static void a_tunnel_that_breaks_is_broken_off(void **state)
{
    (void)state;
    tunnel_open(SITE(""));
    rig_say(rig.origin, "x");
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect_cut();
    rig_expect_body(&rig.client, "x");
    assert_int_equal(rig_health(0)->failures_total, 0); /* how tunnels end is not judged */
    rig_stop();
}

static void an_idle_tunnel_ends(void **state)
{
    (void)state;
    tunnel_open(SITE("timeout tunnel=60s read=1s client_body=1s request=5s"));
    rig_run(50000);
    rig_say(&rig.client, "x"); /* any direction will do */
    rig_run(50000);
    rig_say(rig.origin, "x");
    rig_run(59000);
    rig_expect_step(STEP_RELAY);
    rig_run(2000);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_TUNNEL_IDLE), 1);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void a_reset_ends_a_tunnel(void **state)
{
    (void)state;
    tunnel_open(SITE(""));
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(1);
    rig_expect_cut();
    rig_stop();
}

UNIT_SUITE(proxy_relay, cmocka_unit_test(a_client_that_stops_sending_gets_408),
           cmocka_unit_test(a_slow_server_does_not_cost_the_client),
           cmocka_unit_test(a_body_may_not_trickle),
           cmocka_unit_test(a_trickling_body_is_found_without_any_byte),
           cmocka_unit_test(a_server_that_takes_nothing_is_given_up),
           cmocka_unit_test(a_server_that_stops_is_broken_off),
           cmocka_unit_test(a_slow_client_does_not_cost_the_server),
           cmocka_unit_test(each_piece_counts_whatever_way_it_comes),
           cmocka_unit_test(a_client_that_takes_nothing_is_broken_off),
           cmocka_unit_test(one_that_takes_a_byte_now_and_then_is_broken_off),
           cmocka_unit_test(one_that_keeps_the_rate_is_not),
           cmocka_unit_test(so_is_one_that_does_not_take_an_error_page),
           cmocka_unit_test(the_whole_request_has_a_deadline),
           cmocka_unit_test(it_is_waited_for_a_moment),
           cmocka_unit_test(a_response_in_time_is_sent_whole),
           cmocka_unit_test(its_request_still_has_a_limit),
           cmocka_unit_test(it_holds_no_place_in_a_queue),
           cmocka_unit_test(without_limits_nothing_ends),
           cmocka_unit_test(a_tunnel_carries_bytes_both_ways),
           cmocka_unit_test(the_server_may_half_close_first),
           cmocka_unit_test(a_half_closed_server_that_dies_ends_the_tunnel),
           cmocka_unit_test(a_tunnel_that_breaks_is_broken_off),
           cmocka_unit_test(an_idle_tunnel_ends), cmocka_unit_test(a_reset_ends_a_tunnel));
