/* lease_test.c - leases, pools and queues of two workers against origins on the simulated network.
 */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/lease_rig_test.h"
#include "upstream/outlier.h"

static void connection_is_used_again(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    assert_false(u.lease.reused);
    assert_true(slice_eq(lease_server_name(&u.lease), SLICE("10.0.0.1")));
    assert_int_equal(shared(0)->in_flight, 1);
    assert_int_equal(metric(0, METRIC_ORIGIN_OPEN), 1);
    struct conn *c = u.lease.conn;
    user_keep(&u);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 1);
    assert_int_equal(shared(0)->in_flight, 0);
    user_init(&u, 0);
    assert_int_equal(lease_take(&u.lease), ERR_OK);
    assert_ptr_equal(u.lease.conn, c);
    assert_true(u.lease.reused);
    user_close(&u);
    run_ms(10);
    assert_int_equal(w.origins[0].count, 1);
    assert_int_equal(metric(0, METRIC_ORIGIN_CONNECTS), 1);
    assert_int_equal(metric(0, METRIC_ORIGIN_REUSES), 1);
    assert_int_equal(metric(0, METRIC_ORIGIN_OPEN), 0);
    world_close();
}

static void an_answer_feeds_the_latency(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    lease_asked(&u.lease);
    lease_asked(&u.lease); /* no effect */
    assert_int_equal(shared(0)->unanswered, 1);
    lease_answered(&u.lease, LEASE_ANSWER_GOOD, 1000);
    assert_int_equal(shared(0)->unanswered, 0);
    assert_int_equal(shared(0)->latency_ewma_us, 1000);
    user_keep(&u);
    assert_int_equal(shared(0)->latency_ewma_us, 1000);
    world_close();
}

/* A client that sends its body slowly makes no slow server. */
static void an_upload_is_no_latency(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    run_ms(500);
    lease_asked(&u.lease);
    run_ms(10);
    lease_answered(&u.lease, LEASE_ANSWER_GOOD, 510000);
    assert_in_range(shared(0)->latency_ewma_us, 9000, 12000);
    assert_in_range(outlier_unlog(shared(0)->latency_log_sum), 9000, 12000);
    user_keep(&u);
    world_close();
}

static void a_wait_that_is_given_up_feeds_it_too(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    lease_asked(&u.lease);
    run_ms(300);
    lease_give(&u.lease, LEASE_UNUSED, ERR_OK);
    assert_int_equal(shared(0)->unanswered, 0);
    assert_in_range(shared(0)->latency_ewma_us, 290000, 310000);
    world_close();
}

static void newest_idle_serves_next(void **state)
{
    (void)state;
    struct user a, b;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&a, 0);
    user_ready(&b, 0);
    struct conn *second = b.lease.conn;
    user_keep(&a);
    user_keep(&b);
    user_ready(&a, 0);
    assert_ptr_equal(a.lease.conn, second);
    user_keep(&a);
    world_close();
}

static void idle_ends_at_its_timeout(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1; keepalive 10 idle=2s }");
    user_ready(&u, 0);
    user_keep(&u);
    run_ms(1900);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 1);
    run_ms(200);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 0);
    assert_int_equal(metric(0, METRIC_ORIGIN_OPEN), 0);
    assert_null(w.origins[0].conns[0]);
    world_close();
}

static void dead_idle_is_noticed(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    user_keep(&u);
    run_ms(10);
    origin_drop_conns(0);
    run_ms(10);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 0);
    user_ready(&u, 0);
    assert_false(u.lease.reused);
    user_keep(&u);
    world_close();
}

static void bytes_on_an_idle_connection_end_it(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    user_keep(&u);
    run_ms(10);
    struct span junk = {.at = "HTTP/1.1 408 x\r\n\r\n", .len = 18};
    assert_int_equal(conn_write(w.origins[0].conns[0], junk), ERR_OK);
    run_ms(10);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 0);
    world_close();
}

static void keepalive_off_closes(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1; keepalive off }");
    user_ready(&u, 0);
    user_keep(&u);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 0);
    world_close();
}

/* Opens `n` at once and gives all back; how many stay idle. */
static int64_t idle_after(int n)
{
    struct user users[100];
    for (int i = 0; i < n; i++)
        user_ready(&users[i], 0);
    for (int i = 0; i < n; i++)
        user_keep(&users[i]);
    return metric(0, METRIC_ORIGIN_IDLE);
}

static void idle_limit_follows_the_use(void **state)
{
    (void)state;
    world_open("upstream app { server 10.0.0.1; keepalive 50 idle=10m }");
    assert_int_equal(idle_after(40), 40);
    assert_int_equal(idle_after(50), 50);
    assert_int_equal(idle_after(51), 50);
    /* long after the peak the surplus goes as connections come back */
    run_ms(3 * POOL_PEAK_MS);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 50);
    assert_int_equal(idle_after(1), POOL_IDLE_FLOOR);
    world_close();
}

static void refused_goes_to_the_next_server(void **state)
{
    (void)state;
    struct user u;
    int refused = 0;
    world_open("upstream app { servers 10.0.0.1 10.0.0.2; balance round_robin; eject off }");
    origin_close(0);
    run_ms(10);
    for (int i = 0; i < 4; i++) {
        user_init(&u, 0);
        enum err e = user_take(&u);
        if (e != ERR_OK) {
            refused++;
            assert_int_equal(e, ERR_CONNECT_REFUSED);
            assert_true(slice_eq(lease_server_name(&u.lease), SLICE("10.0.0.1")));
            assert_int_equal(user_take(&u), ERR_OK);
        }
        assert_true(slice_eq(lease_server_name(&u.lease), SLICE("10.0.0.2")));
        user_close(&u);
    }
    assert_in_range(refused, 1, 4);
    assert_int_equal(shared(0)->failures_total, refused);
    assert_int_equal(shared(0)->last_error, ERR_CONNECT_REFUSED);
    assert_int_equal(metric(0, METRIC_ORIGIN_CONNECT_ERRORS), refused);
    world_close();
}

static void failing_server_is_ejected_and_comes_back(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { servers 10.0.0.1 10.0.0.2; balance round_robin;"
               " eject after=2 for=5s }");
    for (int i = 0; i < 4; i++) {
        user_ready(&u, 0);
        bool bad = u.lease.server->index == 0;
        lease_give(&u.lease, bad ? LEASE_FAILED : LEASE_KEEP, bad ? ERR_ORIGIN_RESET : ERR_OK);
    }
    for (int i = 0; i < 10; i++) {
        user_ready(&u, 1); /* another worker: the state is shared */
        assert_int_equal(u.lease.server->index, 1);
        user_keep(&u);
    }
    run_ms(5000);
    int first = 0;
    for (int i = 0; i < 4; i++) {
        user_ready(&u, 1);
        first += u.lease.server->index == 0;
        user_keep(&u);
    }
    assert_int_equal(first, 2);
    assert_int_equal(shared(0)->fails_in_a_row, 0);
    world_close();
}

static void all_down_says_so(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { servers 10.0.0.1 10.0.0.2 }");
    origin_close(0);
    origin_close(1);
    run_ms(10);
    user_init(&u, 0);
    assert_int_equal(user_take(&u), ERR_CONNECT_REFUSED);
    assert_int_equal(user_take(&u), ERR_CONNECT_REFUSED);
    assert_int_equal(user_take(&u), ERR_NO_SERVERS);
    lease_give(&u.lease, LEASE_UNUSED, ERR_OK); /* idle: no effect */
    world_close();
}

static void unresolved_says_so(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server app.internal }");
    user_init(&u, 0);
    assert_int_equal(user_take(&u), ERR_UNRESOLVED);
    world_close();
}

/* 10.0.0.9 answers to nobody, 10.0.0.1 does. */
static void every_address_is_tried(void **state)
{
    (void)state;
    struct user u;
    struct addr addrs[2];
    world_open("upstream app { server app.internal }");
    assert_int_equal(addr_parse_ip(SLICE("10.0.0.9"), &addrs[0]), ERR_OK);
    assert_int_equal(addr_parse_ip(SLICE("10.0.0.1"), &addrs[1]), ERR_OK);
    addr_set_port(&addrs[0], 80);
    addr_set_port(&addrs[1], 80);
    server_addrs_set(shared(0), addrs, 2);
    for (int i = 0; i < 10; i++) {
        user_ready(&u, 0);
        user_close(&u);
    }
    assert_int_equal(w.origins[0].count, 10);
    assert_int_equal(shared(0)->failures_total, 0);
    /* the bad one was remembered, not asked every other time */
    assert_int_equal(metric(0, METRIC_ORIGIN_CONNECT_ERRORS), 1);
    server_addrs_set(shared(0), addrs, 1);
    user_init(&u, 0);
    assert_int_equal(user_take(&u), ERR_CONNECT_REFUSED);
    world_close();
}

static void abandoned_connect_is_closed(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 max_conns=1 }");
    user_init(&u, 0);
    assert_int_equal(lease_take(&u.lease), ERR_HOLD);
    assert_int_equal(u.lease.state, LEASE_CONNECTING);
    lease_give(&u.lease, LEASE_FAILED, ERR_CONNECT_TIMEOUT);
    assert_int_equal(shared(0)->failures_total, 1);
    run_ms(10);
    assert_int_equal(u.wakes, 0);
    user_ready(&u, 0);
    user_keep(&u);
    world_close();
}

static void stale_connection_may_try_the_same_server(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    user_keep(&u);
    user_ready(&u, 0);
    assert_true(u.lease.reused);
    lease_give(&u.lease, LEASE_FAILED, ERR_ORIGIN_STALE);
    assert_int_equal(shared(0)->failures_total, 0);
    assert_int_equal(user_take(&u), ERR_OK);
    assert_false(u.lease.reused);
    user_keep(&u);
    world_close();
}

static void only_young_idle_connections_by_request(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    for (int late = 0; late < 2; late++) {
        user_ready(&u, 0);
        user_keep(&u);
        run_ms(200 + late);
        user_init(&u, 0);
        u.lease.idle_max_ms = 200;
        assert_int_equal(user_take(&u), ERR_OK);
        assert_int_equal(u.lease.reused, !late);
        user_keep(&u);
    }
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 2); /* the old one serves others */
    world_close();
}

static const char *const one_place = "upstream app { server 10.0.0.1 max_conns=1;"
                                     " queue 2 timeout=1s }";

static void full_server_is_waited_for_in_order(void **state)
{
    (void)state;
    struct user a, b, c, d;
    world_open(one_place);
    user_ready(&a, 0);
    user_init(&b, 0);
    user_init(&c, 0);
    user_init(&d, 0);
    assert_int_equal(user_take(&b), ERR_HOLD);
    assert_int_equal(user_take(&c), ERR_HOLD);
    assert_int_equal(user_take(&d), ERR_OVER_LIMIT); /* one past the queue's limit */
    assert_int_equal(metric(0, METRIC_QUEUED), 2);
    struct conn *conn = a.lease.conn;
    user_keep(&a);
    run_ms(1);
    assert_int_equal(b.result, ERR_OK);
    assert_ptr_equal(b.lease.conn, conn);
    assert_int_equal(c.result, ERR_HOLD);
    user_keep(&b);
    run_ms(1);
    assert_int_equal(c.result, ERR_OK);
    assert_int_equal(shared(0)->conns, 1);
    user_keep(&c);
    world_close();
}

static enum err take_with(struct user *u, uint8_t priority)
{
    user_init(u, 0);
    u->lease.priority = priority;
    return user_take(u);
}

static void important_ones_leave_the_queue_first(void **state)
{
    (void)state;
    struct user a, users[4];
    static const uint8_t priorities[] = {0, 3, PRIORITY_MAX, 3}, order[] = {2, 1, 3, 0};
    world_open("upstream app { server 10.0.0.1 max_conns=1; queue 4 timeout=1s }");
    user_ready(&a, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(take_with(&users[i], priorities[i]), ERR_HOLD);
    struct user *before = &a;
    for (int i = 0; i < 4; i++) {
        user_keep(before);
        run_ms(1);
        before = &users[order[i]];
        assert_int_equal(before->result, ERR_OK);
    }
    user_keep(before);
    world_close();
}

static void important_ones_displace_others_in_a_full_queue(void **state)
{
    (void)state;
    struct user a, b, c, d, e;
    world_open(one_place);
    user_ready(&a, 0);
    assert_int_equal(take_with(&b, 2), ERR_HOLD);
    assert_int_equal(take_with(&c, 2), ERR_HOLD);
    assert_int_equal(take_with(&d, 2), ERR_OVER_LIMIT); /* as important is not more important */
    assert_int_equal(take_with(&e, 3), ERR_HOLD);
    assert_int_equal(b.result, ERR_HOLD);
    assert_int_equal(c.result, ERR_OVER_LIMIT); /* the newest of those */
    assert_int_equal(up_shared()->waiting, 2);
    user_keep(&a);
    run_ms(1);
    assert_int_equal(e.result, ERR_OK);
    user_keep(&e);
    run_ms(1);
    assert_int_equal(b.result, ERR_OK);
    user_keep(&b);
    world_close();
}

static const char *const two_places = "upstream app { server 10.0.0.1 max_conns=1; server 10.0.0.2;"
                                      " queue 2 timeout=1s; balance round_robin }";

/* A sticky session waits for its server, though another has room. */
static void pinned_waits_for_its_server(void **state)
{
    (void)state;
    struct user a, b, c;
    world_open(two_places);
    user_init(&a, 0);
    a.lease.pin = 0;
    assert_int_equal(user_take(&a), ERR_OK);
    assert_int_equal(a.lease.server->index, 0);
    user_init(&b, 0);
    b.lease.pin = 0;
    assert_int_equal(user_take(&b), ERR_HOLD);
    assert_int_equal(b.lease.state, LEASE_QUEUED);
    user_init(&c, 0);
    c.lease.pin = 1;
    assert_int_equal(user_take(&c), ERR_OK);
    user_keep(&c); /* room at the other one is none for b */
    run_ms(200);
    assert_int_equal(b.result, ERR_HOLD);
    user_keep(&a);
    run_ms(1);
    assert_int_equal(b.result, ERR_OK);
    assert_int_equal(b.lease.server->index, 0);
    user_keep(&b);
    world_close();
}

/* What failed once is not tried again: the retry goes elsewhere. */
static void pinned_goes_elsewhere_after_a_failure(void **state)
{
    (void)state;
    struct user a;
    world_open(two_places);
    user_init(&a, 0);
    a.lease.pin = 0;
    assert_int_equal(user_take(&a), ERR_OK);
    assert_int_equal(a.lease.server->index, 0);
    lease_give(&a.lease, LEASE_FAILED, ERR_ORIGIN_RESET);
    assert_int_equal(user_take(&a), ERR_OK);
    assert_int_equal(a.lease.server->index, 1);
    user_keep(&a);
    world_close();
}

static void waiting_ends_at_its_timeout(void **state)
{
    (void)state;
    struct user a, b;
    world_open(one_place);
    user_ready(&a, 0);
    user_init(&b, 0);
    assert_int_equal(user_take(&b), ERR_HOLD);
    run_ms(900);
    assert_int_equal(b.result, ERR_HOLD);
    run_ms(200);
    assert_int_equal(b.result, ERR_QUEUE_TIMEOUT);
    assert_int_equal(b.lease.state, LEASE_IDLE);
    user_keep(&a);
    world_close();
}

static void waiter_that_leaves_passes_its_place_on(void **state)
{
    (void)state;
    struct user a, b, c;
    world_open(one_place);
    user_ready(&a, 0);
    user_init(&b, 0);
    user_init(&c, 0);
    assert_int_equal(user_take(&b), ERR_HOLD);
    assert_int_equal(user_take(&c), ERR_HOLD);
    user_keep(&a); /* grants to b, which has not run yet */
    assert_true(b.lease.granted);
    lease_give(&b.lease, LEASE_UNUSED, ERR_OK);
    task_cancel(&w.workers[0].loop.tasks, &b.task);
    run_ms(1);
    assert_int_equal(c.result, ERR_OK);
    lease_give(&c.lease, LEASE_UNUSED, ERR_OK);
    world_close();
}

static void queued_lease_may_leave(void **state)
{
    (void)state;
    struct user a, b;
    world_open(one_place);
    user_ready(&a, 0);
    user_init(&b, 0);
    assert_int_equal(user_take(&b), ERR_HOLD);
    lease_give(&b.lease, LEASE_UNUSED, ERR_OK);
    user_keep(&a);
    run_ms(2000);
    assert_int_equal(b.wakes, 0);
    world_close();
}

static void other_worker_is_told_of_room(void **state)
{
    (void)state;
    struct user a, b;
    world_open(one_place);
    user_ready(&a, 0);
    user_init(&b, 1);
    assert_int_equal(user_take(&b), ERR_HOLD);
    user_keep(&a);
    run_ms(5); /* sooner than the queue would look by itself */
    assert_int_equal(b.result, ERR_OK);
    assert_int_equal(shared(0)->conns, 1);
    user_keep(&b);
    world_close();
}

/* Local waiters go first, but not for ever. */
static void other_worker_gets_its_turn(void **state)
{
    (void)state;
    struct user a[2], b;
    world_open("upstream app { server 10.0.0.1 max_conns=1 }");
    user_ready(&a[0], 0);
    user_init(&b, 1);
    assert_int_equal(user_take(&b), ERR_HOLD);
    int rounds = 0;
    for (; rounds < 50 && b.result == ERR_HOLD; rounds++) {
        struct user *now = &a[rounds % 2], *next = &a[(rounds + 1) % 2];
        user_init(next, 0);
        next->result = lease_take(&next->lease);
        assert_int_equal(next->result, ERR_HOLD);
        user_keep(now);
        run_ms(1);
    }
    assert_in_range(rounds, 8, 10);
    user_keep(&b);
    run_ms(60);
    struct user *last = &a[rounds % 2];
    assert_int_equal(last->result, ERR_OK);
    user_keep(last);
    world_close();
}

/* No place is given back here: an ejection ends, and the queue finds out by itself. */
static void queue_looks_again_by_itself(void **state)
{
    (void)state;
    struct user a, b;
    world_open("upstream app { server 10.0.0.1 max_conns=1; server 10.0.0.2 }");
    shared(1)->ejected_until_ms = w.workers[0].loop.now_ms + 500;
    user_ready(&a, 0);
    user_init(&b, 0);
    assert_int_equal(user_take(&b), ERR_HOLD);
    run_ms(400);
    assert_int_equal(b.result, ERR_HOLD);
    run_ms(200);
    assert_int_equal(b.result, ERR_OK);
    assert_int_equal(b.lease.server->index, 1);
    user_keep(&a);
    user_keep(&b);
    world_close();
}

static void max_conns_holds_over_all_workers(void **state)
{
    (void)state;
    struct user users[8];
    int ready = 0;
    world_open("upstream app { server 10.0.0.1 max_conns=3; queue off }");
    for (int i = 0; i < 8; i++) {
        user_init(&users[i], i % 2);
        enum err e = user_take(&users[i]);
        assert_true(e == ERR_OK || e == ERR_OVER_LIMIT);
        ready += e == ERR_OK;
    }
    assert_int_equal(ready, 3);
    for (int i = 0; i < 8; i++)
        user_keep(&users[i]);
    world_close();
}

/* What holds when two workers pick the last place at the same moment. */
static void place_is_taken_up_to_the_limit(void **state)
{
    (void)state;
    struct server_shared s = {0};
    struct server limited = {.max_conns = 3, .shared = &s}, open = {.shared = &s};
    for (int i = 0; i < 3; i++)
        assert_true(place_take(&limited));
    assert_false(place_take(&limited));
    assert_int_equal(s.conns, 3);
    assert_true(place_take(&open));
}

static void idle_connections_survive_a_reload(void **state)
{
    (void)state;
    struct user u;
    struct test_conf next;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    user_keep(&u);
    test_conf_init(&next, "upstream app { server 10.0.0.2 disabled; server 10.0.0.1 }");
    for (int i = 0; i < WORKERS; i++) {
        view_replace(w.workers[i].view);
        w.workers[i].view = view_new(next.conf);
        w.workers[i].view->release = upstream_views_release;
    }
    test_conf_release(&w.conf);
    w.conf = next;
    user_ready(&u, 0);
    assert_true(u.lease.reused);
    user_keep(&u);
    world_close();
}

static void the_upstreams_limit_holds_until_the_answer_begins(void **state)
{
    (void)state;
    struct user a, b, c;
    world_open("upstream app { server 10.0.0.1; server 10.0.0.2; concurrency 2 }");
    user_ready(&a, 0);
    user_ready(&b, 1);
    user_init(&c, 0);
    assert_int_equal(user_take(&c), ERR_HOLD);
    assert_int_equal(up_shared()->limit.in_flight, 2);
    lease_answered(&b.lease, LEASE_ANSWER_GOOD, 1000); /* of another worker */
    run_ms(5);
    assert_int_equal(c.result, ERR_OK);
    assert_int_equal(up_shared()->limit.in_flight, 2);
    user_keep(&b);
    user_keep(&a);
    user_keep(&c);
    assert_int_equal(up_shared()->limit.in_flight, 0);
    world_close();
}

static const char *const slow_place = "upstream app { server 10.0.0.1 max_conns=1;"
                                      " queue 3 timeout=1s }";

/* After a tenth of the timeout the newest is served, and the oldest makes room. */
static void an_overloaded_queue_serves_the_newest(void **state)
{
    (void)state;
    struct user a, old, newer, newest, late;
    world_open(slow_place);
    user_ready(&a, 0);
    user_init(&old, 0);
    assert_int_equal(user_take(&old), ERR_HOLD);
    run_ms(90);
    user_init(&newer, 0);
    assert_int_equal(user_take(&newer), ERR_HOLD);
    user_keep(&a); /* in order still */
    run_ms(1);
    assert_int_equal(old.result, ERR_OK);
    run_ms(100);
    user_init(&newest, 0);
    assert_int_equal(user_take(&newest), ERR_HOLD);
    user_keep(&old);
    run_ms(1);
    assert_int_equal(newer.result, ERR_HOLD);
    assert_int_equal(newest.result, ERR_OK);
    run_ms(160); /* a quarter of the timeout is over for one */
    user_init(&late, 0);
    user_init(&a, 0);
    assert_int_equal(user_take(&late), ERR_HOLD);
    assert_int_equal(user_take(&a), ERR_HOLD);
    assert_int_equal(lease_retry_after_s(&a.lease), 1);
    user_keep(&newest);
    run_ms(1);
    assert_int_equal(a.result, ERR_OK);
    assert_int_equal(newer.result, ERR_QUEUE_TIMEOUT);
    assert_int_equal(late.result, ERR_HOLD);
    assert_int_equal(up_shared()->shed_total, 1);
    user_keep(&a);
    run_ms(1);
    user_keep(&late);
    world_close();
}

/* Nobody new comes: there is no point in refusing those who wait. */
static void the_last_ones_wait_to_the_end(void **state)
{
    (void)state;
    struct user a, b, c;
    world_open(slow_place);
    user_ready(&a, 0);
    user_init(&b, 0);
    user_init(&c, 0);
    assert_int_equal(user_take(&b), ERR_HOLD);
    assert_int_equal(user_take(&c), ERR_HOLD);
    run_ms(600);
    user_keep(&a);
    run_ms(1);
    assert_int_equal(c.result, ERR_OK);
    assert_int_equal(b.result, ERR_HOLD);
    run_ms(300);
    user_keep(&c);
    run_ms(1);
    assert_int_equal(b.result, ERR_OK);
    user_keep(&b);
    world_close();
}

static void a_full_overloaded_queue_takes_the_newest(void **state)
{
    (void)state;
    struct user a, waiting[3], late;
    world_open(slow_place);
    user_ready(&a, 0);
    for (int i = 0; i < 3; i++) {
        user_init(&waiting[i], 0);
        assert_int_equal(user_take(&waiting[i]), ERR_HOLD);
    }
    user_init(&late, 0);
    assert_int_equal(user_take(&late), ERR_OVER_LIMIT);
    run_ms(150);
    assert_int_equal(user_take(&late), ERR_HOLD);
    assert_int_equal(waiting[0].result, ERR_OVER_LIMIT);
    assert_int_equal(up_shared()->shed_total, 2);
    user_keep(&late);
    user_keep(&waiting[1]);
    user_keep(&waiting[2]);
    user_keep(&a);
    world_close();
}

static void nobody_waits_past_his_deadline(void **state)
{
    (void)state;
    struct user a, b, c;
    world_open(slow_place);
    user_ready(&a, 0);
    user_init(&b, 0);
    b.lease.deadline_ms = w.workers[0].loop.now_ms + 100;
    assert_int_equal(user_take(&b), ERR_HOLD);
    run_ms(80);
    assert_int_equal(b.result, ERR_HOLD);
    run_ms(30);
    assert_int_equal(b.result, ERR_DEADLINE);
    up_shared()->limit.base_us = 50000; /* an answer takes so long */
    user_init(&c, 0);
    c.lease.deadline_ms = w.workers[0].loop.now_ms + 50;
    assert_int_equal(user_take(&c), ERR_DEADLINE);
    c.lease.deadline_ms = w.workers[0].loop.now_ms + 60;
    assert_int_equal(user_take(&c), ERR_HOLD);
    user_keep(&c);
    user_keep(&a);
    world_close();
}

static void an_ejected_server_is_tried_by_one(void **state)
{
    (void)state;
    struct user a, b, c;
    world_open("upstream app { server 10.0.0.1; server 10.0.0.2 backup; eject for=100ms }");
    for (int i = 0; i < 3; i++) {
        user_ready(&a, 0);
        lease_give(&a.lease, LEASE_FAILED, ERR_ORIGIN_RESET);
    }
    user_ready(&a, 0);
    assert_int_equal(a.lease.server->index, 1);
    user_keep(&a);
    run_ms(200);
    user_ready(&a, 0);
    assert_int_equal(a.lease.server->index, 0);
    user_ready(&b, 1); /* while that one is under way */
    assert_int_equal(b.lease.server->index, 1);
    lease_answered(&a.lease, LEASE_ANSWER_GOOD, 1000);
    user_ready(&c, 1);
    assert_int_equal(c.lease.server->index, 0);
    user_keep(&a);
    user_keep(&b);
    user_keep(&c);
    world_close();
}

/* The end of a tunnel: its last bytes may still be queued. Any other verdict needs no more. */
static void close_sends_what_is_queued(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    user_ready(&u, 0);
    assert_int_equal(conn_write(u.lease.conn, (struct span){NULL, "last", 4}), ERR_OK);
    user_close(&u);
    run_ms(10);
    assert_int_equal(w.origins[0].bytes, 4);
    user_ready(&u, 0);
    assert_int_equal(conn_write(u.lease.conn, (struct span){NULL, "lost", 4}), ERR_OK);
    lease_give(&u.lease, LEASE_UNUSED, ERR_OK);
    run_ms(10);
    assert_int_equal(w.origins[0].bytes, 4);
    assert_int_equal(metric(0, METRIC_ORIGIN_OPEN), 0);
    world_close();
}

static void view_lives_as_long_as_a_lease(void **state)
{
    (void)state;
    struct user u;
    world_open("upstream app { server 10.0.0.1 }");
    struct conf_view *old = view_take(w.workers[0].view);
    user_ready(&u, 0);
    view_replace(old);
    w.workers[0].view = view_new(w.conf.conf);
    w.workers[0].view->release = upstream_views_release;
    user_keep(&u);
    view_drop(old);
    user_ready(&u, 0);
    assert_true(u.lease.reused);
    user_keep(&u);
    world_close();
}

UNIT_SUITE(upstream_lease, cmocka_unit_test(connection_is_used_again),
           cmocka_unit_test(an_answer_feeds_the_latency), cmocka_unit_test(an_upload_is_no_latency),
           cmocka_unit_test(a_wait_that_is_given_up_feeds_it_too),
           cmocka_unit_test(newest_idle_serves_next), cmocka_unit_test(idle_ends_at_its_timeout),
           cmocka_unit_test(dead_idle_is_noticed),
           cmocka_unit_test(bytes_on_an_idle_connection_end_it),
           cmocka_unit_test(keepalive_off_closes), cmocka_unit_test(idle_limit_follows_the_use),
           cmocka_unit_test(refused_goes_to_the_next_server),
           cmocka_unit_test(failing_server_is_ejected_and_comes_back),
           cmocka_unit_test(all_down_says_so), cmocka_unit_test(unresolved_says_so),
           cmocka_unit_test(every_address_is_tried), cmocka_unit_test(abandoned_connect_is_closed),
           cmocka_unit_test(stale_connection_may_try_the_same_server),
           cmocka_unit_test(only_young_idle_connections_by_request),
           cmocka_unit_test(full_server_is_waited_for_in_order),
           cmocka_unit_test(waiting_ends_at_its_timeout),
           cmocka_unit_test(waiter_that_leaves_passes_its_place_on),
           cmocka_unit_test(queued_lease_may_leave),
           cmocka_unit_test(important_ones_leave_the_queue_first),
           cmocka_unit_test(important_ones_displace_others_in_a_full_queue),
           cmocka_unit_test(pinned_waits_for_its_server),
           cmocka_unit_test(pinned_goes_elsewhere_after_a_failure),
           cmocka_unit_test(other_worker_is_told_of_room),
           cmocka_unit_test(other_worker_gets_its_turn),
           cmocka_unit_test(queue_looks_again_by_itself),
           cmocka_unit_test(max_conns_holds_over_all_workers),
           cmocka_unit_test(place_is_taken_up_to_the_limit),
           cmocka_unit_test(the_upstreams_limit_holds_until_the_answer_begins),
           cmocka_unit_test(an_overloaded_queue_serves_the_newest),
           cmocka_unit_test(the_last_ones_wait_to_the_end),
           cmocka_unit_test(a_full_overloaded_queue_takes_the_newest),
           cmocka_unit_test(nobody_waits_past_his_deadline),
           cmocka_unit_test(an_ejected_server_is_tried_by_one),
           cmocka_unit_test(idle_connections_survive_a_reload),
           cmocka_unit_test(close_sends_what_is_queued),
           cmocka_unit_test(view_lives_as_long_as_a_lease));
