/* checker_test.c - turns of checks on a fake clock, with a prober that answers as the test says. */
// SPDX-License-Identifier: Apache-2.0
#include "io/sim.h"
#include "upstream/checker.h"
#include "upstream/health_priv.h"
#include "upstream/shared_priv.h"
#include "upstream/testing.h"

enum { PROBES_MAX = 64 };

struct probe {
    struct probe_ask ask;
    bool open;
};

static struct {
    struct sim_net *net;
    struct loop loop;
    struct counters_shared counters;
    struct prober prober;
    struct upstream_checker *checker;
    struct probe probes[PROBES_MAX];
    int count, open, canceled, out, in;
} w;

static struct probe *start(struct prober *p, const struct probe_ask *ask)
{
    assert_ptr_equal(p, &w.prober);
    assert_true(w.count < PROBES_MAX);
    struct probe *made = &w.probes[w.count++];
    *made = (struct probe){.ask = *ask, .open = true};
    w.open++;
    return made;
}

static void cancel(struct probe *p)
{
    assert_true(p->open);
    p->open = false;
    w.open--;
    w.canceled++;
}

static void reply(struct probe *p, const char *why)
{
    assert_true(p->open);
    p->open = false;
    w.open--;
    p->ask.done(p->ask.ctx, why);
}

static void on_event(const struct server_shared *s, enum server_event e, int64_t ms)
{
    (void)s;
    (void)ms;
    w.out += e == SERVER_CHECKED_OUT;
    w.in += e == SERVER_CHECKED_IN;
}

static int setup(void **state)
{
    static const struct sim_faults none = {.window_bytes = 65536};
    (void)state;
    memset(&w, 0, sizeof w);
    w.net = sim_net_new(1, &none);
    assert_true(loop_init(&w.loop, &io_backend_sim, w.net, &w.counters, 1 << 20));
    w.prober = (struct prober){start, cancel};
    w.checker = upstream_checker_new(&w.loop, &w.prober);
    servers_observe(on_event);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (w.checker)
        upstream_checker_free(w.checker);
    servers_observe(NULL);
    loop_release(&w.loop);
    sim_net_free(w.net);
    return 0;
}

static void run_ms(int64_t ms)
{
    sim_run(w.net, sim_now_ms(w.net) + ms);
}

static void install(struct test_conf *t, const char *text)
{
    test_conf_init(t, text);
    upstream_checker_sync(w.checker, t->conf);
}

static struct server_shared *shared(const struct test_conf *t, uint32_t i)
{
    return t->conf->upstreams->list[0]->servers[i].shared;
}

static struct probe *last(void)
{
    assert_true(w.count > 0);
    return &w.probes[w.count - 1];
}

static void each_server_once_and_again(void **state)
{
    (void)state;
    struct test_conf t;
    install(&t, "upstream u { servers 10.0.0.1 10.0.0.2; check / every=10s }");
    run_ms(10);
    assert_int_equal(w.count, 1);
    run_ms(600);
    assert_int_equal(w.count, 2);
    assert_int_equal(addr_port(&w.probes[0].ask.addrs[0]), 80);
    reply(&w.probes[0], NULL);
    run_ms(12000); /* the other one is under way: it is not asked twice */
    assert_int_equal(w.count, 3);
    assert_int_equal(shared(&t, 0)->check_state, SERVER_CHECK_UP);
    assert_int_equal(shared(&t, 1)->check_state, SERVER_CHECK_UNKNOWN);
    assert_int_equal(shared(&t, 0)->checks_total, 1);
    test_conf_release(&t);
}

static void results_reach_picks(void **state)
{
    (void)state;
    struct test_conf t;
    char why[SERVER_CHECK_ERROR_BYTES];
    install(&t, "upstream u { server 10.0.0.1; check / every=10s fast=1s rise=1 port=81 }");
    struct pick p = {.up = t.conf->upstreams->list[0], .now_ms = 1};
    run_ms(10);
    assert_int_equal(addr_port(&last()->ask.addrs[0]), 81);
    assert_true(pick_allows(&p, 0));
    reply(last(), "status 503");
    assert_false(pick_allows(&p, 0));
    p.ignore_ejected = true;
    assert_true(pick_allows(&p, 0));
    p.ignore_ejected = false;
    server_check_error_get(shared(&t, 0), why);
    assert_string_equal(why, "status 503");
    assert_int_equal(w.out, 1);
    run_ms(1200);
    assert_int_equal(w.count, 2);
    reply(last(), NULL);
    assert_true(pick_allows(&p, 0));
    assert_int_equal(w.in, 1);
    assert_int_equal(shared(&t, 0)->checks_failed_total, 1);
    test_conf_release(&t);
}

static void a_reload_keeps_what_stays(void **state)
{
    (void)state;
    struct test_conf a, b, c;
    install(&a, "upstream u { servers 10.0.0.1 10.0.0.2; check / every=10s fast=10s }");
    run_ms(600);
    reply(&w.probes[0], "no");
    install(&b, "upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3; check / every=10s fast=10s }");
    assert_int_equal(shared(&b, 0)->check_down, 1);
    assert_int_equal(shared(&b, 2)->check_state, SERVER_CHECK_UNKNOWN);
    test_conf_release(&a); /* its probe is under way still */
    run_ms(1000);
    assert_int_equal(w.count, 3);
    reply(&w.probes[1], "no");
    assert_int_equal(shared(&b, 1)->check_down, 1);
    install(&c, "upstream u { servers 10.0.0.1 10.0.0.2 10.0.0.3 }");
    assert_int_equal(w.canceled, 1);
    assert_int_equal(shared(&c, 0)->check_down, 0);
    assert_int_equal(shared(&c, 0)->check_state, SERVER_UNCHECKED);
    run_ms(60000);
    assert_int_equal(w.count, 3);
    test_conf_release(&b);
    test_conf_release(&c);
}

static void a_reload_with_a_shorter_interval_is_heard_at_once(void **state)
{
    (void)state;
    struct test_conf a, b;
    install(&a, "upstream u { server 10.0.0.1; check /wrong every=1h fast=1h }");
    run_ms(10);
    reply(last(), "status 404");
    install(&b, "upstream u { server 10.0.0.1; check /right every=10s fast=1s rise=1 }");
    run_ms(800);
    assert_int_equal(w.count, 1);
    run_ms(400);
    assert_int_equal(w.count, 2);
    reply(last(), NULL);
    assert_int_equal(shared(&b, 0)->check_down, 0);
    test_conf_release(&a);
    test_conf_release(&b);
}

static void disabled_and_unresolved_are_not_asked(void **state)
{
    (void)state;
    struct test_conf t;
    struct addr to;
    install(&t, "upstream u { server 10.0.0.1 disabled; server name.test; check / every=10s }");
    run_ms(20000);
    assert_int_equal(w.count, 0);
    assert_int_equal(addr_parse_ip(SLICE("10.0.0.9"), &to), ERR_OK);
    server_addrs_set(shared(&t, 1), &to, 1);
    run_ms(1100);
    assert_int_equal(w.count, 1);
    test_conf_release(&t);
}

static void ends_in_the_middle(void **state)
{
    (void)state;
    struct test_conf t;
    install(&t, "upstream u { servers 10.0.0.1 10.0.0.2; check / }");
    run_ms(10);
    upstream_checker_free(w.checker);
    w.checker = NULL;
    assert_int_equal(w.canceled, 1);
    assert_int_equal(w.loop.timers.count, 0);
    test_conf_release(&t);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
UNIT_SUITE(upstream_checker, CASE(each_server_once_and_again), CASE(results_reach_picks),
           CASE(a_reload_keeps_what_stays), CASE(a_reload_with_a_shorter_interval_is_heard_at_once),
           CASE(disabled_and_unresolved_are_not_asked), CASE(ends_in_the_middle));
