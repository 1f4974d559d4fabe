/* shed_test.c - who is refused at which use of the buffers, and when that ends. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "io/sim.h"
#include "proxy/shed.h"
#include "proxy/worker.h"
#include "tests/unit.h"
#include "upstream/lease.h"

static struct worker w;
static struct counters_shared counters;
static struct sim_net *net;

static int start(void **state)
{
    static const struct sim_faults none = {0};
    (void)state;
    memset(&counters, 0, sizeof counters);
    net = sim_net_new(1, &none);
    return worker_init(&w, 0, &io_backend_sim, net, NULL, &counters, 100000) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    w.loop.bufs.held_bytes = 0;
    worker_release(&w);
    sim_net_free(net);
    return 0;
}

static bool admits(size_t held, int64_t priority)
{
    w.loop.bufs.held_bytes = held;
    return shed_admits(&w, priority);
}

static void the_least_important_are_refused_first(void **state)
{
    (void)state;
    assert_true(admits(80000, 0));
    assert_false(admits(86000, 0));
    assert_true(admits(86000, PRIORITY_DEFAULT));
    assert_true(admits(86000, PRIORITY_MAX));
    assert_false(admits(90000, PRIORITY_DEFAULT));
    assert_true(admits(90000, PRIORITY_MAX));
    assert_false(admits(96000, PRIORITY_MAX));
    assert_int_equal(counter_get(&counters, METRIC_SHED_REQUESTS), 3);
}

static void the_state_has_a_beginning_and_an_end(void **state)
{
    (void)state;
    assert_false(admits(86000, 0));
    assert_int_equal(counter_get(&counters, METRIC_SHEDDING), 1);
    assert_true(admits(83000, 0)); /* not refused, and not over */
    assert_int_equal(counter_get(&counters, METRIC_SHEDDING), 1);
    assert_true(timer_armed(&w.shed.review));
    assert_true(admits(70000, 0));
    assert_int_equal(counter_get(&counters, METRIC_SHEDDING), 0);
}

static void connections_are_refused_only_near_the_end(void **state)
{
    (void)state;
    w.shed.fds_max = 1000;
    assert_true(shed_accepts(&w, 899, NULL));
    assert_false(w.shed.fds);
    assert_true(shed_accepts(&w, 900, NULL));
    assert_true(w.shed.fds);
    assert_true(shed_accepts(&w, 969, NULL));
    assert_int_equal(counter_get(&counters, METRIC_SHED_CONNECTIONS), 0);
    assert_false(shed_accepts(&w, 970, NULL));
    assert_int_equal(counter_get(&counters, METRIC_SHED_CONNECTIONS), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)

UNIT_SUITE(proxy_shed, CASE(the_least_important_are_refused_first),
           CASE(the_state_has_a_beginning_and_an_end),
           CASE(connections_are_refused_only_near_the_end));
