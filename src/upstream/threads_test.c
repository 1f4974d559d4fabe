/* threads_test.c - workers in real threads that share servers at max_conns, over loopback sockets.
 *
 * Meant for the thread sanitizer: grants, mail between workers, shared counts, and configurations
 * whose last view goes in a worker's thread. */
// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"
#include "upstream/lease.h"
#include "upstream/testing.h"

enum { WORKERS = 3, USERS = 12, ROUNDS = 40, MAX_CONNS = 2, ACCEPTED_MAX = 1024, LIMIT_MS = 20000 };

struct user {
    struct lease lease;
    struct task task;
    struct timer hold; /* while it has the connection */
    struct worker *worker;
    int rounds;
};

struct worker {
    pthread_t thread;
    struct loop loop;
    struct counters_shared counters;
    struct origin_pools pools;
    struct conf_view *view;
    struct user users[USERS];
    int done, failed;
};

static struct worker workers[WORKERS];
static int64_t most_conns; /* atomic: seen at once */
static int workers_left;   /* atomic */

/* ---- the origin: accepts and keeps, on the test's own thread ---- */

static struct loop origin_loop;
static struct counters_shared origin_counters;
static struct listener listener;
static struct conn *accepted[ACCEPTED_MAX];
static int accepted_count;

static void origin_on_data(struct conn *c, struct span s)
{
    (void)c;
    span_drop(s);
}

static void origin_ended(struct conn *c)
{
    accepted[(intptr_t)c->user] = NULL;
    conn_abort(c);
}

static void origin_on_error(struct conn *c, enum err e)
{
    (void)e;
    origin_ended(c);
}

static const struct conn_user_ops origin_ops = {
    .on_data = origin_on_data, .on_eof = origin_ended, .on_error = origin_on_error};

static void origin_on_accept(struct listener *ln, int fd)
{
    assert_true(accepted_count < ACCEPTED_MAX);
    struct conn *c = conn_accept(ln->loop, fd, &origin_ops, (void *)(intptr_t)accepted_count);
    assert_non_null(c);
    accepted[accepted_count++] = c;
    conn_recv(c);
}

static void origin_on_closed(struct listener *ln)
{
    (void)ln;
}

static struct timer origin_tick;

static void origin_on_tick(struct timer *t)
{
    timer_set(&origin_loop.timers, t, origin_loop.now_ms + 10);
}

static uint16_t origin_open(void)
{
    struct addr a;
    int fd;
    struct listen_options options = {0};
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &a), ERR_OK);
    assert_int_equal(listener_bind(&a, &options, &fd), ERR_OK);
    assert_int_equal(getsockname(fd, &a.sa, &a.len), 0);
    assert_true(loop_init(&origin_loop, &io_backend_epoll, NULL, &origin_counters, 1 << 20));
    listener = (struct listener){.on_accept = origin_on_accept, .on_closed = origin_on_closed};
    accepted_count = 0;
    assert_true(listener_start(&listener, &origin_loop, fd));
    return addr_port(&a);
}

static void origin_close(void)
{
    listener_close(&listener);
    for (int i = 0; i < accepted_count; i++)
        if (accepted[i])
            conn_abort(accepted[i]);
    while (!list_empty(&origin_loop.dead))
        loop_tick(&origin_loop);
    loop_release(&origin_loop);
}

/* ---- users: take, hold for a millisecond, give back, again ---- */

static void most_conns_note(const struct server *srv)
{
    int64_t now = __atomic_load_n(&srv->shared->in_flight, __ATOMIC_RELAXED);
    if (now > __atomic_load_n(&most_conns, __ATOMIC_RELAXED))
        __atomic_store_n(&most_conns, now, __ATOMIC_RELAXED);
}

static void user_run(struct task *t)
{
    struct user *u = CONTAINER_OF(t, struct user, task);
    struct lease *l = &u->lease;
    enum err e = l->state == LEASE_IDLE ? lease_take(l) : lease_poll(l);
    if (e == ERR_HOLD)
        return;
    if (e != ERR_OK) {
        u->worker->failed++;
        u->worker->done++;
        return;
    }
    most_conns_note(l->server);
    timer_set(&u->worker->loop.timers, &u->hold, u->worker->loop.now_ms + 1);
}

static void user_begin(struct user *u)
{
    struct worker *w = u->worker;
    lease_init(&u->lease, upstream_view_get(w->view, &w->pools, 0), &w->pools, 0, &u->task);
    task_wake(&w->loop.tasks, &u->task);
}

static void user_held(struct timer *t)
{
    struct user *u = CONTAINER_OF(t, struct user, hold);
    lease_give(&u->lease, u->rounds % 5 ? LEASE_KEEP : LEASE_CLOSE, ERR_OK);
    if (++u->rounds == ROUNDS)
        u->worker->done++;
    else
        user_begin(u);
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < USERS; i++) {
        struct user *u = &w->users[i];
        *u = (struct user){.worker = w};
        task_init(&u->task, user_run);
        timer_init(&u->hold, user_held);
        user_begin(u);
    }
    int64_t until = w->loop.now_ms + LIMIT_MS;
    while (w->done < USERS && w->loop.now_ms < until) /* queues look every 50 ms: no long wait */
        loop_tick(&w->loop);
    __atomic_sub_fetch(&workers_left, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

/* Once nobody sends mail any more. */
static void worker_end(struct worker *w)
{
    origin_pools_close(&w->pools);
    view_replace(w->view);
    mailbox_run(w->loop.mailbox, &w->loop);
    origin_pools_release(&w->pools);
    while (!list_empty(&w->loop.dead))
        loop_tick(&w->loop);
    loop_release(&w->loop);
}

static void workers_share_the_limit(void **state)
{
    (void)state;
    struct test_conf conf;
    char text[128];
    snprintf(text, sizeof text, "upstream app { server 127.0.0.1:%u max_conns=%d }", origin_open(),
             MAX_CONNS);
    test_conf_init(&conf, text);
    most_conns = 0;
    workers_left = WORKERS;
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){0};
        assert_true(loop_init(&w->loop, &io_backend_epoll, NULL, &w->counters, 1 << 20));
        origin_pools_init(&w->pools, &w->loop);
        w->view = view_new(conf.conf);
        w->view->release = upstream_views_release;
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
    /* Its wait is bounded by the timer, so that it sees the workers end. */
    timer_init(&origin_tick, origin_on_tick);
    timer_set(&origin_loop.timers, &origin_tick, origin_loop.now_ms);
    while (__atomic_load_n(&workers_left, __ATOMIC_ACQUIRE) > 0)
        loop_tick(&origin_loop);
    timer_stop(&origin_loop.timers, &origin_tick);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(workers[i].done, USERS);
        assert_int_equal(workers[i].failed, 0);
        worker_end(&workers[i]);
    }
    struct server_shared *s = conf.conf->upstreams->list[0]->servers[0].shared;
    assert_int_equal(s->conns, 0);
    assert_int_equal(s->in_flight, 0);
    assert_int_equal(s->requests_total, WORKERS * USERS * ROUNDS);
    assert_in_range(most_conns, 1, MAX_CONNS);
    assert_int_equal(conf.conf->upstreams->list[0]->shared->waiting, 0);
    origin_close();
    test_conf_release(&conf);
}

UNIT_SUITE(upstream_threads, cmocka_unit_test(workers_share_the_limit));
