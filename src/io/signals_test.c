/* signals_test.c - signals arrive by the loop, each once. */
// SPDX-License-Identifier: Apache-2.0
#include "io/signals.h"
#include "tests/unit.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct counters_shared counters;
static int seen[65];
static struct signals *watched;

static void on_signal(void *ctx, int signo)
{
    assert_ptr_equal(ctx, &counters);
    seen[signo]++;
}

static void arrive_by_the_loop(void **state)
{
    struct loop l;
    sigset_t before;
    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    memset(seen, 0, sizeof(seen));
    signals_block();
    assert_true(loop_init(&l, &io_backend_epoll, NULL, &counters, 1 << 20));
    watched = signals_new(&l, on_signal, &counters);
    raise(SIGHUP);
    raise(SIGUSR1);
    raise(SIGPIPE); /* ignored */
    assert_int_equal(seen[SIGHUP], 0);
    loop_tick(&l);
    assert_int_equal(seen[SIGHUP], 1);
    assert_int_equal(seen[SIGUSR1], 1);
    raise(SIGHUP);
    for (int i = 0; i < 5 && seen[SIGHUP] < 2; i++)
        loop_tick(&l);
    assert_int_equal(seen[SIGHUP], 2);
    signals_free(watched);
    loop_release(&l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void free_inside(void *ctx, int signo)
{
    on_signal(ctx, signo);
    signals_free(watched);
}

static void may_be_freed_from_the_callback(void **state)
{
    struct loop l;
    sigset_t before;
    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    memset(seen, 0, sizeof(seen));
    signals_block();
    assert_true(loop_init(&l, &io_backend_epoll, NULL, &counters, 1 << 20));
    watched = signals_new(&l, free_inside, &counters);
    raise(SIGTERM);
    loop_tick(&l);
    assert_int_equal(seen[SIGTERM], 1);
    assert_true(list_empty(&l.dead));
    loop_release(&l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

UNIT_SUITE(io_signals, cmocka_unit_test(arrive_by_the_loop),
           cmocka_unit_test(may_be_freed_from_the_callback));
