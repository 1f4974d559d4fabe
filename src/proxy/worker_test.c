/* worker_test.c - views come and go with their users, listeners with the configuration; draining.
 */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define OLD "listen 10.0.9.9:80\nsite * {\n respond 200 old\n}\n"
#define NEW "listen 10.0.9.9:80\nlisten 10.0.9.9:81\nsite * {\n respond 200 new\n}\n"

/* The configuration in force; the one before is handed back. */
static void install(struct test_config *t, const char *config)
{
    test_config_need(t, config);
    worker_install(&rig.w, t->conf);
}

static int freed;

static void count_free(void *ctx)
{
    (void)ctx;
    freed++;
}

static void new_requests_see_the_new_configuration(void **state)
{
    (void)state;
    struct test_config new;
    rig_start(OLD);
    rig_request("GET / | Host: a.test");
    rig_expect_body(&rig.client, "old");
    install(&new, NEW);
    rig_request("GET / | Host: a.test");
    rig_expect_body(&rig.client, "new");
    test_config_release(&new);
    rig_stop();
}

/* A request stays with what it began with, and that lives exactly as long. */
static void a_running_request_keeps_its_view(void **state)
{
    (void)state;
    struct test_config new;
    freed = 0;
    rig_start("listen 10.0.9.9:80\nsite * {\n proxy 10.0.0.1:80\n response set X-A old\n}\n");
    conf_on_free(rig.config.conf, count_free, NULL);
    rig_request("GET / | Host: a.test");
    rig_expect_step(STEP_AWAIT);
    install(&new, NEW);
    conf_drop(rig.config.conf); /* main's count */
    rig_run(1);
    assert_int_equal(freed, 0);
    rig_answer("200", "x");
    rig_expect(200);
    rig_expect_head(&rig.client, "X-A: old");
    assert_int_equal(freed, 1);
    rig.config.conf = conf_take(new.conf);
    test_config_release(&new);
    rig_stop();
}

static void an_idle_view_goes_at_once(void **state)
{
    (void)state;
    struct test_config new;
    freed = 0;
    rig_start(OLD);
    conf_on_free(rig.config.conf, count_free, NULL);
    install(&new, NEW);
    conf_drop(rig.config.conf);
    assert_int_equal(freed, 1);
    rig.config.conf = conf_take(new.conf);
    test_config_release(&new);
    rig_stop();
}

/* A listener that is gone from the configuration serves its connections by the last that had it. */
static void a_removed_listener_keeps_what_it_had(void **state)
{
    (void)state;
    struct test_config without, with;
    freed = 0;
    rig_start(OLD);
    conf_on_free(rig.config.conf, count_free, NULL);
    install(&without, "listen 10.0.9.9:99\nsite * {\n respond 200 other\n}\n");
    conf_drop(rig.config.conf);
    rig_request("GET / | Host: a.test");
    rig_expect_body(&rig.client, "old");
    assert_int_equal(freed, 0);
    install(&with, NEW); /* there it is again */
    assert_int_equal(freed, 1);
    rig_request("GET / | Host: a.test");
    rig_expect_body(&rig.client, "new");
    rig.config.conf = conf_take(with.conf);
    test_config_release(&without);
    test_config_release(&with);
    rig_stop();
}

static void limits_come_from_the_listener(void **state)
{
    (void)state;
    struct test_config new;
    struct stream_acceptor *a = &rig.w.acceptor;
    rig_start("listen 10.0.9.9:80\nsite * {\n timeout keepalive=7s\n respond 200\n}\n");
    assert_int_equal(a->limits(a, &rig.point)->keepalive_ms, 7000);
    assert_int_equal(a->limits(a, &rig.point)->age_ms, 3600000);
    install(
        &new,
        "listen 10.0.9.9:80\nsite * {\n timeout keepalive=8s client_age=off\n respond 200\n}\n");
    assert_int_equal(a->limits(a, &rig.point)->keepalive_ms, 8000);
    assert_int_equal(a->limits(a, &rig.point)->age_ms, INT64_MAX);
    assert_ptr_equal(a->limits(a, NULL), &new.conf->proxy->limits); /* for servers */
    test_config_release(&new);
    rig_stop();
}

/* --- sessions --------------------------------------------------------------------------------- */

struct fake_session {
    struct session_link link;
    bool idle;
    int drains, leaves, aborts;
};

static void fake_end(struct fake_session *f)
{
    list_remove(&f->link.link);
}

static void fake_drain(struct session_link *s)
{
    struct fake_session *f = CONTAINER_OF(s, struct fake_session, link);
    f->drains++;
    if (f->idle)
        fake_end(f);
}

static void fake_leave(struct session_link *s)
{
    CONTAINER_OF(s, struct fake_session, link)->leaves++;
}

static void fake_abort(struct session_link *s)
{
    struct fake_session *f = CONTAINER_OF(s, struct fake_session, link);
    f->aborts++;
    fake_end(f);
}

static const struct session_ops fake_ops = {
    .drain = fake_drain, .leave = fake_leave, .abort = fake_abort};

static void fake_begin(struct fake_session *f, bool idle)
{
    *f = (struct fake_session){.link.ops = &fake_ops, .idle = idle};
    list_push(&rig.w.acceptor.sessions, &f->link.link);
}

static void draining_ends_what_is_idle(void **state)
{
    (void)state;
    struct fake_session idle, busy, other;
    rig_start(OLD);
    assert_true(worker_idle(&rig.w));
    fake_begin(&idle, true);
    fake_begin(&busy, false);
    fake_begin(&other, true);
    assert_false(worker_idle(&rig.w));
    assert_false(rig.w.acceptor.draining);
    worker_drain(&rig.w);
    assert_true(rig.w.acceptor.draining);
    assert_int_equal(idle.drains + busy.drains + other.drains, 3);
    assert_false(worker_idle(&rig.w));
    worker_abort(&rig.w);
    assert_int_equal(idle.aborts + other.aborts, 0);
    assert_int_equal(busy.aborts, 1);
    assert_true(worker_idle(&rig.w));
    rig_stop();
}

/* Only those of its own listener go, and the request that finds it gone knows. */
static void sessions_of_a_removed_listener_are_told(void **state)
{
    (void)state;
    struct fake_session mine, other;
    struct stream_acceptor *a = &rig.w.acceptor;
    rig_start(OLD);
    fake_begin(&mine, false);
    fake_begin(&other, false);
    mine.link.listener = &rig.point;
    assert_false(stream_acceptor_leaves(a, &rig.point));
    worker_point_leave(&rig.w, &rig.point);
    assert_true(stream_acceptor_leaves(a, &rig.point));
    assert_false(stream_acceptor_leaves(a, NULL));
    assert_int_equal(mine.leaves, 1);
    assert_int_equal(other.leaves, 0);
    worker_leave(&rig.w);
    assert_true(stream_acceptor_leaves(a, NULL));
    assert_int_equal(other.leaves, 1);
    assert_int_equal(mine.drains + other.drains, 0);
    worker_abort(&rig.w);
    rig_stop();
}

static void a_running_request_is_not_idle(void **state)
{
    (void)state;
    rig_start("listen 10.0.9.9:80\nsite * {\n proxy 10.0.0.1:80\n}\n");
    rig_request("GET / | Host: a.test");
    assert_false(worker_idle(&rig.w));
    rig_answer("200", "");
    assert_true(worker_idle(&rig.w));
    rig_stop();
}

static void exchanges_are_used_again(void **state)
{
    (void)state;
    rig_start(OLD);
    rig_open();
    struct exchange *first = rig.x;
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(1);
    rig_open();
    assert_ptr_equal(rig.x, first);
    assert_int_equal(rig.x->err, ERR_OK);
    assert_int_equal(rig.w.free_count, 0);
    rig_fail(&rig.client, ERR_CLIENT_RESET);
    rig_run(1);
    assert_int_equal(rig.w.free_count, 1);
    rig_stop();
}

UNIT_SUITE(proxy_worker, cmocka_unit_test(new_requests_see_the_new_configuration),
           cmocka_unit_test(a_running_request_keeps_its_view),
           cmocka_unit_test(an_idle_view_goes_at_once),
           cmocka_unit_test(a_removed_listener_keeps_what_it_had),
           cmocka_unit_test(limits_come_from_the_listener),
           cmocka_unit_test(draining_ends_what_is_idle),
           cmocka_unit_test(sessions_of_a_removed_listener_are_told),
           cmocka_unit_test(a_running_request_is_not_idle),
           cmocka_unit_test(exchanges_are_used_again));
