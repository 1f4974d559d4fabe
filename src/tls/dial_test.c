/* dial_test.c - one address after the other, in the time that there is: on the simulated network.
 */
// SPDX-License-Identifier: Apache-2.0
#include "io/sim.h"
#include "net/listener.h"
#include "tests/unit.h"
#include "tls/dial.h"
#include <string.h>

enum { HOLE, REFUSED, OPEN, ADDRS };

static struct world {
    struct sim_net *net;
    struct counters_shared counters;
    struct loop loop;
    struct listener listener;
    struct conn *accepted;
    struct addr addrs[ADDRS];
    struct task waiter;
    struct dial dial;
    enum err got; /* of dial_poll() */
    bool listener_closed;
} w;

static void ignore(struct conn *c)
{
    (void)c;
}

static void ignore_data(struct conn *c, struct span s)
{
    (void)c;
    span_drop(s);
}

static void ignore_error(struct conn *c, enum err e)
{
    (void)c;
    (void)e;
}

static const struct conn_user_ops ops = {
    .on_data = ignore_data, .on_eof = ignore, .on_room = ignore, .on_error = ignore_error};

static void on_accept(struct listener *l, int fd)
{
    (void)l;
    w.accepted = conn_accept(&w.loop, fd, &ops, NULL);
}

static void on_closed(struct listener *l)
{
    (void)l;
    w.listener_closed = true;
}

static void on_news(struct task *t)
{
    (void)t;
    w.got = dial_poll(&w.dial);
    if (w.got == ERR_OK)
        conn_set_user(w.dial.conn, &ops, NULL);
}

static void nothing(struct timer *t)
{
    (void)t;
}

static void run_until(int64_t ms)
{
    struct timer end;
    timer_init(&end, nothing);
    timer_set(&w.loop.timers, &end, ms);
    sim_run(w.net, ms);
    timer_stop(&w.loop.timers, &end);
}

static void world_open(void)
{
    static const struct sim_faults none = {0};
    memset(&w, 0, sizeof w);
    w.net = sim_net_new(3, &none);
    assert_true(loop_init(&w.loop, &io_backend_sim, w.net, &w.counters, 1 << 20));
    for (int i = 0; i < ADDRS; i++) {
        char ip[] = "10.0.0.1";
        ip[sizeof ip - 2] = (char)('1' + i);
        assert_int_equal(addr_parse_ip(slice_of(ip), &w.addrs[i]), ERR_OK);
        addr_set_port(&w.addrs[i], 80);
    }
    sim_hole(w.net, &w.addrs[HOLE].sa, w.addrs[HOLE].len);
    w.listener = (struct listener){.on_accept = on_accept, .on_closed = on_closed};
    int fd = sim_listen(w.net, &w.addrs[OPEN].sa, w.addrs[OPEN].len);
    assert_true(listener_start(&w.listener, &w.loop, fd));
    task_init(&w.waiter, on_news);
    run_until(10);
}

static void world_close(void)
{
    if (w.got == ERR_OK)
        conn_abort(w.dial.conn);
    else
        dial_cancel(&w.dial);
    if (w.accepted)
        conn_abort(w.accepted);
    listener_close(&w.listener);
    run_until(w.loop.now_ms + 1000);
    assert_true(w.listener_closed);
    assert_int_equal(sim_open_count(w.net), 0);
    loop_release(&w.loop);
    sim_net_free(w.net);
}

/* To the addresses from `first` on, within `ms`. */
static void dial(int first, int count, int64_t ms)
{
    w.got = ERR_HOLD;
    w.dial = (struct dial){.loop = &w.loop,
                           .waiter = &w.waiter,
                           .addrs = &w.addrs[first],
                           .count = (uint32_t)count,
                           .ends_ms = w.loop.now_ms + ms};
    dial_begin(&w.dial);
}

static void one_that_refuses_is_passed_over(void **state)
{
    (void)state;
    world_open();
    dial(REFUSED, 2, 1000);
    run_until(w.loop.now_ms + 100);
    assert_int_equal(w.got, ERR_OK);
    world_close();
}

static void one_that_says_nothing_gets_its_part_of_the_time(void **state)
{
    (void)state;
    world_open();
    int64_t began_ms = w.loop.now_ms;
    dial(HOLE, 3, 900);
    run_until(began_ms + 290);
    assert_int_equal(w.got, ERR_HOLD);
    assert_int_equal(w.dial.at, 1);
    run_until(began_ms + 400);
    assert_int_equal(w.got, ERR_OK);
    world_close();
}

static void the_last_one_has_all_that_is_left(void **state)
{
    (void)state;
    world_open();
    dial(HOLE, 1, 900);
    run_until(w.loop.now_ms + 5000);
    assert_int_equal(w.got, ERR_HOLD); /* giving up is the waiter's */
    assert_int_equal(dial_late(&w.dial), ERR_CONNECT_TIMEOUT);
    world_close();
}

static void the_last_failure_is_told(void **state)
{
    (void)state;
    world_open();
    dial(HOLE, 2, 900);
    run_until(w.loop.now_ms + 1000);
    assert_int_equal(w.got, ERR_CONNECT_REFUSED);
    dial_cancel(&w.dial);
    dial(HOLE, 0, 900);
    run_until(w.loop.now_ms + 10);
    assert_int_equal(w.got, ERR_UNRESOLVED);
    world_close();
}

UNIT_SUITE(tls_dial, cmocka_unit_test(one_that_refuses_is_passed_over),
           cmocka_unit_test(one_that_says_nothing_gets_its_part_of_the_time),
           cmocka_unit_test(the_last_one_has_all_that_is_left),
           cmocka_unit_test(the_last_failure_is_told));
