/* outliers_test.c - whole upstreams with totals as the test says, on a fake clock. */
// SPDX-License-Identifier: Apache-2.0
#include "io/sim.h"
#include "upstream/health_priv.h"
#include "upstream/outlier.h"
#include "upstream/outliers.h"
#include "upstream/shared_priv.h"
#include "upstream/testing.h"

static struct {
    struct sim_net *net;
    struct loop loop;
    struct counters_shared counters;
    struct upstream_outliers *outliers;
    struct test_conf conf;
    int out, back;
    int64_t ms;
} w;

static void on_event(const struct server_shared *s, enum server_event e, int64_t ms)
{
    (void)s;
    w.out += e == SERVER_OUTLIER;
    w.back += e == SERVER_RETURNED;
    w.ms = e == SERVER_OUTLIER ? ms : w.ms;
}

static int setup(void **state)
{
    static const struct sim_faults none = {.window_bytes = 65536};
    (void)state;
    memset(&w, 0, sizeof w);
    w.net = sim_net_new(1, &none);
    assert_true(loop_init(&w.loop, &io_backend_sim, w.net, &w.counters, 1 << 20));
    w.outliers = upstream_outliers_new(&w.loop);
    servers_observe(on_event);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upstream_outliers_free(w.outliers);
    test_conf_release(&w.conf);
    servers_observe(NULL);
    loop_release(&w.loop);
    sim_net_free(w.net);
    return 0;
}

static void install(const char *text)
{
    test_conf_init(&w.conf, text);
    upstream_outliers_sync(w.outliers, w.conf.conf);
}

static struct upstream *up(void)
{
    return w.conf.conf->upstreams->list[0];
}

static struct server_shared *shared(uint32_t i)
{
    return up()->servers[i].shared;
}

/* `n` requests to each of `count` servers; server `bad` has that many failures and errors and is so
 * slow. */
struct day {
    uint32_t count, bad;
    int64_t n, failures, errors, us;
};

static void step(const struct day *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        struct server_shared *s = shared(i);
        if (health_ejected(s, w.loop.now_ms))
            continue;
        bool bad = i == d->bad;
        shared_add(&s->requests_total, d->n);
        shared_add(&s->answers_total, d->n);
        shared_add(&s->failures_total, bad ? d->failures : 0);
        shared_add(&s->errors_total, bad ? d->errors : 0);
        int64_t good = d->n - (bad ? d->errors : 0);
        shared_add(&s->latency_log_sum, good * outlier_log(bad && d->us ? d->us : 5000));
    }
    sim_run(w.net, sim_now_ms(w.net) + OUTLIER_STEP_MS);
}

static void steps(const struct day *d, int count)
{
    while (count-- > 0)
        step(d);
}

static bool is_out(uint32_t i)
{
    return health_ejected(shared(i), w.loop.now_ms);
}

static void an_ill_one_goes_and_comes_back(void **state)
{
    (void)state;
    static const struct day good = {.count = 3, .n = 30, .bad = 9},
                            ill = {.count = 3, .bad = 1, .n = 30, .errors = 30};
    char why[SERVER_OUTLIER_BYTES];
    install("upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3; eject for=2s }");
    steps(&good, 10);
    assert_int_equal(w.out, 0);
    steps(&ill, 2);
    assert_true(is_out(1) && !is_out(0) && !is_out(2));
    assert_int_equal(w.out, 1);
    assert_int_equal(w.ms, 2000);
    server_outlier_get(shared(1), why);
    assert_non_null(strstr(why, "answered with 5xx"));
    health_ok(shared(1), w.loop.now_ms); /* a good answer of before changes nothing */
    assert_true(is_out(1));
    steps(&good, 3000 / OUTLIER_STEP_MS);
    assert_false(is_out(1));
    assert_int_equal(w.back, 1);
    assert_int_equal(w.out, 1);
    assert_int_equal(shared(1)->ejections_total, 1);
}

static void it_stays_out_for_longer_each_time(void **state)
{
    (void)state;
    static const struct day ill = {.count = 3, .bad = 0, .n = 30, .failures = 30};
    install("upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3; eject for=1s max=3s }");
    int64_t lasted[8];
    int count = 0;
    for (int i = 0; i < 30000 / OUTLIER_STEP_MS && count < 4; i++) {
        int before = w.out;
        step(&ill);
        if (w.out > before)
            lasted[count++] = w.ms;
    }
    assert_int_equal(count, 4);
    assert_int_equal(lasted[0], 1000);
    assert_int_equal(lasted[1], 2000);
    assert_int_equal(lasted[2], 3000);
    assert_int_equal(lasted[3], 3000);
}

static void a_slow_one_goes(void **state)
{
    (void)state;
    static const struct day slow = {.count = 3, .bad = 2, .n = 30, .us = 100000};
    install("upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3 }");
    steps(&slow, 3);
    assert_true(is_out(2));
    assert_int_equal(w.out, 1);
}

/* It would look like the quick one of two. */
static void who_fails_quickly_is_not_quick(void **state)
{
    (void)state;
    static const struct day ill = {.count = 2, .bad = 1, .n = 30, .errors = 30};
    install("upstream u { servers 10.0.0.1 10.0.0.2; eject on=failures }");
    steps(&ill, 10);
    assert_int_equal(w.out, 0);
}

static void keys_and_sessions_are_not_compared(void **state)
{
    (void)state;
    static const struct day slow = {.count = 3, .bad = 2, .n = 30, .us = 100000, .errors = 30},
                            broken = {.count = 3, .bad = 2, .n = 30, .failures = 30};
    install("upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3; balance hash $path }");
    steps(&slow, 20);
    assert_int_equal(w.out, 0);
    steps(&broken, 3);
    assert_true(is_out(2));
}

static void no_more_than_a_share_goes(void **state)
{
    (void)state;
    static const struct day first = {.count = 4, .bad = 0, .n = 30, .errors = 30},
                            second = {.count = 4, .bad = 1, .n = 30, .errors = 30},
                            third = {.count = 4, .bad = 2, .n = 30, .errors = 30};
    install("upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4; eject for=60s }");
    steps(&first, 4);
    steps(&second, 4);
    assert_true(is_out(0) && is_out(1));
    steps(&third, 10);
    assert_int_equal(w.out, 2);
}

static void everything_off_ejects_nobody(void **state)
{
    (void)state;
    static const struct day ill = {.count = 2, .bad = 0, .n = 90, .errors = 90, .failures = 90};
    install("upstream u { servers 10.0.0.1 10.0.0.2; eject off }");
    steps(&ill, 10);
    assert_int_equal(w.out, 0);
    assert_int_equal(w.loop.timers.count, 0);
}

static void too_few_left_is_panic(void **state)
{
    (void)state;
    static const struct day quiet = {.count = 4, .bad = 9};
    install("upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4; eject panic=50% }");
    struct pick p = {.up = up(), .rand = &w.loop.rand, .pin = PIN_NONE};
    size_t bytes = up()->balancer->state_bytes ? up()->balancer->state_bytes(up()) : 0;
    void *balancer_state = calloc(1, bytes + 1);
    uint32_t i, seen = 0;
    if (up()->balancer->init)
        up()->balancer->init(balancer_state, up());
    for (int k = 0; k < 3; k++) {
        shared(k)->check_down = 1;
        step(&quiet);
        assert_int_equal(up()->shared->panic, k == 2); /* at half of them: not yet */
    }
    for (int k = 0; k < 200; k++) {
        p.now_ms = w.loop.now_ms;
        assert_int_equal(pick_server(balancer_state, &p, &i), ERR_OK);
        seen |= 1u << i;
    }
    assert_int_equal(seen, 15);
    shared(0)->check_down = 0;
    step(&quiet);
    assert_int_equal(up()->shared->panic, 0);
    free(balancer_state);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
UNIT_SUITE(upstream_outliers, CASE(an_ill_one_goes_and_comes_back),
           CASE(it_stays_out_for_longer_each_time), CASE(a_slow_one_goes),
           CASE(who_fails_quickly_is_not_quick), CASE(keys_and_sessions_are_not_compared),
           CASE(no_more_than_a_share_goes), CASE(everything_off_ejects_nobody),
           CASE(too_few_left_is_panic));
