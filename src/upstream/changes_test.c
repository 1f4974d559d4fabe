/* changes_test.c - orders about servers: what they change, what is refused, and what becomes of
 * them in the next snapshot. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/changes.h"
#include "upstream/testing.h"

static const char TWO[] = "upstream app { server 10.0.0.1:80 weight=2 max_conns=5\n"
                          "server 10.0.0.2:80 disabled }";

static struct test_conf conf;
static struct server_changes changes;
static struct text why;

/* Builds the text with the changes that hold. */
static void build(const char *text)
{
    test_conf_build(&conf, text);
    upstreams_change(&conf.build, conf.conf->upstreams, &changes);
    assert_false(diag_failed(&conf.diag));
    upstreams_bind(&conf.build, conf.conf);
}

static int setup(void **state)
{
    (void)state;
    text_init(&why);
    build(TWO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_conf_release(&conf);
    server_changes_release(&changes);
    text_release(&why);
    return 0;
}

static void rebuild(const char *text)
{
    test_conf_release(&conf);
    build(text);
}

static bool order_numbers(const char *action, const char *server, int64_t weight, int64_t max_conns)
{
    struct server_order o = {slice_of(action), SLICE("app"), slice_of(server), weight, max_conns};
    text_clear(&why);
    return server_changes_order(&changes, conf.conf->upstreams, &o, &why);
}

static void order(const char *action, const char *server)
{
    if (!order_numbers(action, server, 0, 0))
        fail_msg("%s %s: %s", action, server, why.at);
    rebuild(TWO);
}

static const struct server *server(uint32_t i)
{
    assert_true(i < conf.conf->upstreams->list[0]->server_count);
    return &conf.conf->upstreams->list[0]->servers[i];
}

static void assert_refused(const char *action, const char *name, const char *words)
{
    uint32_t before = changes.count;
    assert_false(order_numbers(action, name, 0, 0));
    if (!strstr(why.at, words))
        fail_msg("'%s' does not say '%s'", why.at, words);
    assert_int_equal(changes.count, before);
}

static void use_of_a_server_changes(void **state)
{
    (void)state;
    order("drain", "10.0.0.1:80");
    assert_true(server(0)->draining && !server(0)->disabled);
    order("disable", "10.0.0.1:80");
    assert_true(server(0)->disabled && !server(0)->draining);
    order("enable", "10.0.0.2:80");
    assert_false(server(1)->disabled); /* though the configuration says so */
    assert_int_equal(server(1)->changed, SERVER_CHANGED_USE);
    order("reset", "10.0.0.2:80");
    assert_true(server(1)->disabled);
    assert_int_equal(server(1)->changed, 0);
    order("reset", "10.0.0.1:80");
    assert_int_equal(changes.count, 0);
}

static void a_server_that_serves_again_begins_slowly(void **state)
{
    (void)state;
    struct server_order o = {SLICE("drain"), SLICE("app"), SLICE("10.0.0.1:80"), 0, 0};
    order("drain", "10.0.0.1:80");
    server_order_began(&o, conf.conf->upstreams, 77);
    assert_int_equal(server(0)->shared->back_at_ms, 0);
    order("enable", "10.0.0.1:80");
    o.action = SLICE("enable");
    server_order_began(&o, conf.conf->upstreams, 77);
    assert_int_equal(server(0)->shared->back_at_ms, 77);
}

static void numbers_change_one_by_one(void **state)
{
    (void)state;
    assert_true(order_numbers("set", "10.0.0.1:80", 7, 0));
    rebuild(TWO);
    assert_int_equal(server(0)->weight, 7);
    assert_int_equal(server(0)->max_conns, 5);
    assert_int_equal(server(0)->changed, SERVER_CHANGED_WEIGHT);
    assert_true(order_numbers("set", "10.0.0.1:80", 0, 9));
    rebuild(TWO);
    assert_int_equal(server(0)->weight, 7);
    assert_int_equal(server(0)->max_conns, 9);
    assert_int_equal(changes.count, 1);
}

static void numbers_have_limits(void **state)
{
    (void)state;
    assert_true(order_numbers("set", "10.0.0.1:80", 1000, 1000000));
    assert_false(order_numbers("set", "10.0.0.1:80", 1001, 0));
    assert_false(order_numbers("set", "10.0.0.1:80", 0, 1000001));
    assert_false(order_numbers("set", "10.0.0.1:80", -1, 0));
    assert_int_equal(changes.list[0].weight, 1000);
}

static void added_servers_come_and_go(void **state)
{
    (void)state;
    assert_true(order_numbers("add", "10.0.0.3", 4, 0));
    rebuild(TWO);
    assert_int_equal(server(2)->weight, 4);
    assert_int_equal(server(2)->spec.port, 80);
    assert_true(server(2)->changed & SERVER_CHANGED_ADDED);
    assert_int_equal(server(2)->shared->addr_count, 1);
    assert_refused("add", "10.0.0.3", "there already");
    order("drain", "10.0.0.3");
    assert_true(server(2)->draining);
    order("remove", "10.0.0.3");
    assert_int_equal(changes.count, 0);
    assert_int_equal(conf.conf->upstreams->list[0]->server_count, 2);
}

static void one_that_is_added_begins_anew(void **state)
{
    (void)state;
    static const char one[] = "upstream app { server 10.0.0.1:80 }";
    assert_true(order_numbers("set", "10.0.0.2:80", 7, 0));
    order("disable", "10.0.0.2:80");
    rebuild(one); /* gone from the configuration, but not from the changes */
    assert_true(order_numbers("add", "10.0.0.2:80", 0, 0));
    rebuild(one);
    assert_false(server(1)->disabled);
    assert_int_equal(server(1)->weight, 1);
    assert_int_equal(changes.count, 1);
}

static void a_configured_server_is_taken_out_and_comes_back(void **state)
{
    (void)state;
    order("remove", "10.0.0.1:80");
    assert_true(server(0)->disabled);
    order("reset", "10.0.0.1:80");
    assert_false(server(0)->disabled);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    assert_refused("drian", "10.0.0.1:80", "unknown action");
    assert_refused("drain", "10.0.0.9:80", "has no server '10.0.0.9:80'");
    assert_refused("add", "10.0.0.1:80", "there already");
    assert_refused("set", "10.0.0.1:80", "set what?");
    assert_refused("reset", "10.0.0.1:80", "nothing was changed");
    struct server_order o = {SLICE("drain"), SLICE("none"), SLICE("10.0.0.1:80"), 0, 0};
    text_clear(&why);
    assert_false(server_changes_order(&changes, conf.conf->upstreams, &o, &why));
    assert_non_null(strstr(why.at, "no upstream 'none'"));
}

static void an_address_that_is_none_fails_the_build(void **state)
{
    (void)state;
    assert_true(order_numbers("add", "not an address", 0, 0));
    test_conf_release(&conf);
    test_conf_build(&conf, TWO);
    upstreams_change(&conf.build, conf.conf->upstreams, &changes);
    assert_true(diag_failed(&conf.diag));
    upstreams_bind(&conf.build, conf.conf);
}

static void changes_without_effect_are_known(void **state)
{
    (void)state;
    order("drain", "10.0.0.1:80");
    assert_true(order_numbers("add", "10.0.0.3:80", 0, 0));
    rebuild(TWO);
    const struct upstreams_conf *u = conf.conf->upstreams;
    assert_null(server_change_idle(&changes.list[0], u));
    assert_null(server_change_idle(&changes.list[1], u));
    rebuild("upstream app { servers 10.0.0.3:80 10.0.0.4:80 }");
    u = conf.conf->upstreams;
    assert_non_null(strstr(server_change_idle(&changes.list[0], u), "no such server"));
    assert_non_null(strstr(server_change_idle(&changes.list[1], u), "itself now"));
    order_numbers("remove", "10.0.0.3:80", 0, 0); /* the configuration's own, now */
    assert_int_equal(changes.list[1].use, SERVER_DISABLED);
    rebuild("upstream other { server 10.0.0.1:80 }");
    u = conf.conf->upstreams;
    assert_non_null(strstr(server_change_idle(&changes.list[0], u), "no such upstream"));
    assert_true(order_numbers("reset", "10.0.0.1:80", 0, 0));
}

static void text_goes_there_and_back(void **state)
{
    (void)state;
    struct server_changes copy = {0};
    struct text t, again;
    assert_true(order_numbers("add", "10.0.0.3:80", 3, 4));
    assert_true(order_numbers("drain", "10.0.0.1:80", 0, 0));
    text_init(&t);
    text_init(&again);
    server_changes_write(&changes, &t);
    assert_true(server_changes_read(&copy, text_slice(&t)));
    server_changes_write(&copy, &again);
    assert_string_equal(t.at, again.at);
    assert_int_equal(copy.count, 2);
    server_changes_release(&copy);
    text_release(&t);
    text_release(&again);
}

static void broken_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"app",
                                      "app\ta\t1\t0\t0",
                                      "app\ta\t2\t0\t0\t0",
                                      "app\ta\t1\t4\t0\t0",
                                      "app\ta\t1\t0\t1001\t0",
                                      "app\ta\t1\t0\t0\t1000001",
                                      "app\ta\tx\t0\t0\t0"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct server_changes c = {0};
        if (server_changes_read(&c, slice_of(bad[i])))
            fail_msg("read: %s", bad[i]);
        server_changes_release(&c);
    }
}

static void their_number_has_a_limit(void **state)
{
    (void)state;
    char name[256];
    bool ok = true;
    int i = 0;
    for (; ok && i < 1000; i++) {
        snprintf(name, sizeof name, "%0200d", i);
        ok = order_numbers("add", name, 0, 0);
    }
    assert_false(ok);
    assert_non_null(strstr(why.at, "too many"));
    assert_int_equal(changes.count, i - 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
UNIT_SUITE(upstream_changes, CASE(use_of_a_server_changes),
           CASE(a_server_that_serves_again_begins_slowly), CASE(numbers_change_one_by_one),
           CASE(numbers_have_limits), CASE(added_servers_come_and_go),
           CASE(one_that_is_added_begins_anew),
           CASE(a_configured_server_is_taken_out_and_comes_back), CASE(mistakes_are_told),
           CASE(an_address_that_is_none_fails_the_build), CASE(changes_without_effect_are_known),
           CASE(text_goes_there_and_back), CASE(broken_text_is_refused),
           CASE(their_number_has_a_limit));
