/* mux_test.c - leases that share connections, by an engine that does nothing but count. */
// SPDX-License-Identifier: Apache-2.0
#include "net/mux.h"
#include "upstream/lease_rig_test.h"

enum { SESSIONS_MAX = 8, USERS = 12 };

struct session {
    struct mux mux;
    bool closed;
    int doubts;
};

static struct session sessions[SESSIONS_MAX];
static int session_count;
static bool engine_fails;

static struct session *session_of(struct mux *m)
{
    return CONTAINER_OF(m, struct session, mux);
}

static void fake_unused(struct mux *m)
{
    session_of(m)->closed = true;
    conn_abort(m->conn);
}

static void fake_close(struct mux *m)
{
    mux_gone(m, ERR_OK);
    fake_unused(m);
}

static void fake_doubt(struct mux *m)
{
    session_of(m)->doubts++;
    m->stalled = true;
}

static const struct mux_ops fake_ops = {
    .close = fake_close, .unused = fake_unused, .doubt = fake_doubt};

static void fake_data(struct conn *c, struct span s)
{
    (void)c;
    span_drop(s);
}

static const struct conn_user_ops fake_conn_ops = {.on_data = fake_data};

static struct mux *fake_start(struct conn *c)
{
    if (engine_fails)
        return NULL;
    assert_true(session_count < SESSIONS_MAX);
    struct session *s = &sessions[session_count++];
    *s = (struct session){.mux = {.ops = &fake_ops, .conn = c}};
    conn_set_user(c, &fake_conn_ops, s);
    return &s->mux;
}

static const struct mux_engine fake_engine = {.alpn = "h2", .start = fake_start};

static struct user users[USERS];

static void open_world(const char *text)
{
    session_count = 0;
    engine_fails = false;
    world_open(text);
    w.workers[0].pools.engine = &fake_engine;
}

static void take(int i)
{
    user_init(&users[i], 0);
    user_take(&users[i]);
}

static void take_all(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        user_init(&users[i], 0);
        users[i].result = lease_take(&users[i].lease);
    }
    run_ms(10);
}

static void settle(int i, uint32_t limit)
{
    sessions[i].mux.settled = true;
    sessions[i].mux.limit = limit;
    mux_changed(&sessions[i].mux);
    run_ms(10);
}

static int ready_count(void)
{
    int n = 0;
    for (int i = 0; i < USERS; i++)
        n += users[i].lease.state == LEASE_READY;
    return n;
}

static void keep_all(void)
{
    for (int i = 0; i < USERS; i++)
        user_keep(&users[i]);
}

static void close_world(void)
{
    keep_all();
    world_close();
    for (int i = 0; i < session_count; i++)
        assert_true(sessions[i].closed);
    memset(users, 0, sizeof users);
}

#define H2C "upstream app { server 10.0.0.1; proto h2c }"

static void one_connection_serves_many(void **state)
{
    (void)state;
    open_world(H2C);
    take_all(0, 5);
    assert_int_equal(ready_count(), 1); /* nobody knows yet what the server takes */
    settle(0, 100);
    assert_int_equal(ready_count(), 5);
    assert_int_equal(sessions[0].mux.used, 5);
    assert_int_equal(w.origins[0].count, 1);
    assert_int_equal(metric(0, METRIC_ORIGIN_OPEN), 1);
    assert_int_equal(metric(0, METRIC_ORIGIN_REUSES), 4);
    assert_int_equal(shared(0)->in_flight, 5);
    keep_all();
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 1);
    assert_int_equal(shared(0)->in_flight, 0);
    close_world();
}

static void full_ones_make_another(void **state)
{
    (void)state;
    open_world(H2C);
    take_all(0, 5);
    settle(0, 2);                       /* the server's own limit */
    assert_int_equal(ready_count(), 3); /* and one that has opened the next */
    assert_int_equal(session_count, 2);
    settle(1, 100);
    assert_int_equal(ready_count(), 5);
    assert_int_equal(sessions[0].mux.used, 2);
    user_keep(&users[0]);
    take(5); /* fills the first again */
    assert_ptr_equal(users[5].lease.mux, &sessions[0].mux);
    close_world();
}

static void configured_limit_holds(void **state)
{
    (void)state;
    open_world("upstream app { server 10.0.0.1; proto h2c streams=3 }");
    take_all(0, 3);
    settle(0, 100);
    assert_int_equal(ready_count(), 3);
    assert_int_equal(session_count, 1);
    take(3);
    assert_int_equal(session_count, 2);
    close_world();
}

static void shut_and_stalled_ones_are_passed_over(void **state)
{
    (void)state;
    open_world(H2C);
    take(0);
    settle(0, 100);
    sessions[0].mux.stalled = true;
    take(1);
    assert_int_equal(session_count, 2);
    settle(1, 100);
    sessions[0].mux.stalled = false;
    sessions[0].mux.shut = true;
    take(2);
    assert_ptr_equal(users[2].lease.mux, &sessions[1].mux);
    user_keep(&users[0]); /* the last use of one that takes nothing new */
    assert_true(sessions[0].closed);
    close_world();
}

static void one_that_broke_lives_as_long_as_it_is_used(void **state)
{
    (void)state;
    open_world(H2C);
    take_all(0, 2);
    settle(0, 100);
    mux_gone(&sessions[0].mux, ERR_ORIGIN_RESET);
    assert_int_equal(metric(0, METRIC_ORIGIN_OPEN), 0);
    lease_give(&users[0].lease, LEASE_UNUSED, ERR_ORIGIN_UNPROCESSED);
    assert_false(sessions[0].closed);
    assert_true(users[0].lease.fresh_only);
    user_keep(&users[1]);
    assert_true(sessions[0].closed);
    assert_int_equal(user_take(&users[0]), ERR_OK); /* the same server, over another connection */
    assert_ptr_equal(users[0].lease.mux, &sessions[1].mux);
    close_world();
}

static void fresh_means_one_that_has_not_served(void **state)
{
    (void)state;
    open_world(H2C);
    take(0);
    settle(0, 100);
    take(1);
    lease_give(&users[1].lease, LEASE_UNUSED, ERR_ORIGIN_UNPROCESSED);
    assert_int_equal(user_take(&users[1]), ERR_OK);
    assert_ptr_equal(users[1].lease.mux, &sessions[1].mux);
    assert_int_equal(shared(0)->failures_total, 0);
    close_world();
}

static void those_who_wait_share_the_failure(void **state)
{
    (void)state;
    open_world(H2C);
    origin_close(0);
    run_ms(10);
    take_all(0, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(users[i].result, ERR_CONNECT_REFUSED);
    assert_int_equal(metric(0, METRIC_ORIGIN_CONNECTS), 1);
    close_world();
}

static void another_opens_when_the_first_leaves(void **state)
{
    (void)state;
    open_world(H2C);
    for (int i = 0; i < 3; i++) {
        user_init(&users[i], 0);
        users[i].result = lease_take(&users[i].lease);
    }
    lease_give(&users[0].lease, LEASE_UNUSED, ERR_OK);
    lease_give(&users[1].lease, LEASE_UNUSED, ERR_OK); /* was told to, and leaves, too */
    run_ms(10);
    assert_int_equal(users[2].result, ERR_OK);
    assert_int_equal(session_count, 1);
    close_world();
}

static void a_session_that_ends_unsettled_fails_who_waits(void **state)
{
    (void)state;
    open_world(H2C);
    take_all(0, 3);
    mux_gone(&sessions[0].mux, ERR_ORIGIN_CLOSED);
    run_ms(10);
    assert_int_equal(users[1].result, ERR_ORIGIN_CLOSED);
    assert_int_equal(users[2].result, ERR_ORIGIN_CLOSED);
    assert_int_equal(session_count, 1);
    close_world();
}

static void idle_ones_are_closed_in_time(void **state)
{
    (void)state;
    open_world("upstream app { server 10.0.0.1; proto h2c; keepalive 10 idle=2s }");
    take(0);
    settle(0, 100);
    user_keep(&users[0]);
    run_ms(1900);
    assert_false(sessions[0].closed);
    run_ms(200);
    assert_true(sessions[0].closed);
    close_world();
}

static void without_keepalive_they_close_at_once(void **state)
{
    (void)state;
    open_world("upstream app { server 10.0.0.1; proto h2c; keepalive off }");
    take_all(0, 2);
    settle(0, 100);
    user_keep(&users[0]);
    assert_false(sessions[0].closed);
    user_keep(&users[1]);
    assert_true(sessions[0].closed);
    close_world();
}

static void silence_is_looked_into(void **state)
{
    (void)state;
    open_world(H2C);
    take_all(0, 2);
    settle(0, 100);
    lease_give(&users[0].lease, LEASE_FAILED, ERR_ORIGIN_FIRST_BYTE_TIMEOUT);
    assert_int_equal(sessions[0].doubts, 1);
    lease_give(&users[1].lease, LEASE_FAILED, ERR_ORIGIN_BAD_HEAD);
    assert_int_equal(sessions[0].doubts, 1);
    close_world();
}

/* The one who has it leaves and one who waits is let on: it was idle for no moment. */
static void handed_on_is_not_idle(void **state)
{
    (void)state;
    open_world(H2C);
    take_all(0, 2);
    assert_int_equal(ready_count(), 1);
    user_keep(&users[0]);
    run_ms(10);
    assert_int_equal(users[1].lease.state, LEASE_READY);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 0);
    user_keep(&users[1]);
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 1);
    close_world();
    assert_int_equal(metric(0, METRIC_ORIGIN_IDLE), 0);
}

static void no_memory_for_a_session(void **state)
{
    (void)state;
    open_world(H2C);
    engine_fails = true;
    take_all(0, 2);
    assert_int_equal(users[0].result, ERR_NO_MEMORY);
    assert_int_equal(users[1].result, ERR_NO_MEMORY);
    assert_int_equal(shared(0)->failures_total, 0);
    close_world();
}

static void words_of_proto(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum upstream_proto proto;
    } good[] = {{"", UPSTREAM_ALONE},
                {"proto h1", UPSTREAM_ALONE},
                {"proto h2c", UPSTREAM_SHARES},
                {"tls; proto h2", UPSTREAM_SHARES},
                {"proto h2; tls", UPSTREAM_SHARES},
                {"tls; proto auto", UPSTREAM_ASKS},
                {"tls", UPSTREAM_ALONE},
                {"proto auto", UPSTREAM_ALONE}};
    static const char *const bad[] = {"proto h2", "proto h2c; tls",      "proto h3",
                                      "proto",    "proto h2c streams=0", "proto h2c streams=10001"};
    struct test_conf t;
    char text[128];
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(text, sizeof text, "upstream app { server a.test; %s }", good[i].text);
        test_conf_init(&t, text);
        assert_int_equal(t.conf->upstreams->list[0]->proto, good[i].proto);
        test_conf_release(&t);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(text, sizeof text, "upstream app { server a.test; %s }", bad[i]);
        test_conf_build(&t, text);
        assert_true(diag_failed(&t.diag));
        test_conf_release(&t);
    }
}

UNIT_SUITE(upstream_mux, cmocka_unit_test(one_connection_serves_many),
           cmocka_unit_test(full_ones_make_another), cmocka_unit_test(configured_limit_holds),
           cmocka_unit_test(shut_and_stalled_ones_are_passed_over),
           cmocka_unit_test(one_that_broke_lives_as_long_as_it_is_used),
           cmocka_unit_test(fresh_means_one_that_has_not_served),
           cmocka_unit_test(those_who_wait_share_the_failure),
           cmocka_unit_test(another_opens_when_the_first_leaves),
           cmocka_unit_test(a_session_that_ends_unsettled_fails_who_waits),
           cmocka_unit_test(idle_ones_are_closed_in_time),
           cmocka_unit_test(without_keepalive_they_close_at_once),
           cmocka_unit_test(silence_is_looked_into), cmocka_unit_test(handed_on_is_not_idle),
           cmocka_unit_test(no_memory_for_a_session), cmocka_unit_test(words_of_proto));
