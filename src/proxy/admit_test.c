/* admit_test.c - what is asked for and by whose rules: normalised paths, strip, `when`, limits. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80\n" policies "\n}\n"

static void expect_path(struct test_config *t, const char *path, const char *forwarded)
{
    char request[256];
    snprintf(request, sizeof request, "GET http://a.test%s", path);
    struct exchange *x = test_request(t, request);
    struct slice got = origin_path(x);
    if (!slice_eq(got, slice_of(forwarded)))
        fail_msg("%s goes on as '%.*s', not '%s'", path, SLICE_ARG(got), forwarded);
}

static void expect_matched(const struct test_config *t, const char *path)
{
    if (!slice_eq(t->x->path, slice_of(path)))
        fail_msg("'%.*s' was matched, not '%s'", SLICE_ARG(t->x->path), path);
}

static void strip_leaves_a_path(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("route /api strip { }\nroute /v1/ strip { }\nroute /x { }"));
    expect_path(&t, "/api", "/");
    expect_path(&t, "/api/", "/");
    expect_path(&t, "/api/users", "/users");
    expect_path(&t, "/api//users", "/users");
    expect_path(&t, "/apix", "/apix"); /* another path */
    expect_path(&t, "/v1/", "/");
    expect_path(&t, "/v1/users", "/users");
    expect_path(&t, "/v1", "/v1");
    expect_path(&t, "/x/y", "/x/y");
    test_config_release(&t);
}

static void the_root_can_be_stripped_too(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("route / strip { }"));
    expect_path(&t, "/", "/");
    expect_path(&t, "/a/b", "/a/b");
    test_config_release(&t);
}

/* Matching and forwarding see one form: nobody gets around a route by spelling. */
static void the_path_is_normalised_before_it_is_matched(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("route /admin { respond 403 }\nroute /pub strip { }"));
    static const char *const admin[] = {"/admin", "/%61dmin", "/x/../admin/", "/pub/%2e%2e/admin",
                                        "/./admin/x"};
    for (size_t i = 0; i < COUNT_OF(admin); i++) {
        char request[128];
        snprintf(request, sizeof request, "GET http://a.test%s", admin[i]);
        assert_int_equal(test_request(&t, request)->res.status, 403);
    }
    /* an encoded slash is no slash, neither for routes nor on the way out */
    expect_path(&t, "/pub%2fadmin", "/pub%2Fadmin");
    expect_path(&t, "/pub/a%2fb", "/a%2Fb");
    assert_int_equal(test_request(&t, "GET http://a.test/pub/..%2fadmin")->err, ERR_BAD_TARGET);
    assert_int_equal(test_request(&t, "GET http://a.test/../x")->err, ERR_BAD_TARGET);
    test_config_release(&t);
}

#define SLASHES SITE("route /a/b { respond 403 }\nroute /pub strip { }")

/* A route can not be got around by empty segments, and servers see them as they came. */
static void slashes_are_merged_for_routes(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SLASHES);
    static const char *const refused[] = {"//a//b", "/a///b/x", "//a/b", "/x/..//a/b", "//%61/b"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        char request[128];
        snprintf(request, sizeof request, "GET http://a.test%s", refused[i]);
        assert_int_equal(test_request(&t, request)->res.status, 403);
    }
    expect_path(&t, "//c/https://x.test//", "//c/https://x.test//");
    expect_matched(&t, "/c/https:/x.test/");
    expect_path(&t, "//%63", "//c");
    expect_path(&t, "/pub//x//y", "/x/y");   /* what was stripped is weir's spelling */
    expect_path(&t, "/c//../a/b", "/c/a/b"); /* one meaning: the dots take the empty segment */
    expect_matched(&t, "/c/a/b");
    test_config_release(&t);
}

static void slashes_are_merged_by_option(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "merge_slashes off\n" SLASHES);
    assert_int_equal(test_request(&t, "GET http://a.test/a//b")->res.status, 200);
    expect_matched(&t, "/a//b");
    test_config_release(&t);
    test_config_need(&t, "merge_slashes on\n" SLASHES);
    assert_int_equal(test_request(&t, "GET http://a.test//a//b")->res.status, 403);
    expect_path(&t, "//c//d", "/c/d");
    test_config_release(&t);
}

static void methods_that_do_harm_are_refused(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE(""));
    assert_int_equal(test_request(&t, "TRACE http://a.test/")->res.status, 501);
    assert_int_equal(test_request(&t, "CONNECT http://a.test/")->res.status, 501);
    assert_int_equal(test_request(&t, "BREW http://a.test/")->res.status, 200);
    test_config_release(&t);
}

static void the_host_is_found_without_case_and_port(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "listen 10.0.9.9:80\nsite a.test { respond 200 }\n");
    assert_int_equal(test_request(&t, "GET http://A.Test:99/")->res.status, 200);
    assert_int_equal(t.x->host_port, 99);
    assert_int_equal(test_request(&t, "GET http://a.test./")->res.status, 200);
    assert_int_equal(test_request(&t, "GET http://b.test/")->res.status, 421);
    assert_int_equal(test_request(&t, "GET http://user@a.test/")->res.status, 400);
    test_config_release(&t);
}

/* --- when ------------------------------------------------------------------------------------- */

static void when_lays_its_settings_over_the_routes(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("timeout read=1s send=2s\n"
                              "when method == POST {\ntimeout read=10s\n}\n"
                              "when path ~ \"^/up\" {\ntimeout send=20s\nbody max=1G\n}\n"
                              "route /r {\ntimeout send=5s\n}\n"));
    const struct settings *s = test_request(&t, "GET http://a.test/")->settings;
    assert_int_equal(s->read_ms, 1000);
    assert_ptr_equal(s, &t.x->route->settings); /* no copy when nothing applies */
    s = test_request(&t, "POST http://a.test/")->settings;
    assert_int_equal(s->read_ms, 10000);
    assert_int_equal(s->send_ms, 2000);
    s = test_request(&t, "POST http://a.test/up")->settings;
    assert_int_equal(s->read_ms, 10000);
    assert_int_equal(s->send_ms, 20000);
    assert_int_equal(s->body_max_bytes, 1 << 30);
    s = test_request(&t, "POST http://a.test/r")->settings;
    assert_int_equal(s->read_ms, 10000);
    assert_int_equal(s->send_ms, 5000);
    assert_int_equal(t.x->route->settings.read_ms, 1000); /* the shared one is as it was */
    test_config_release(&t);
}

static void when_may_choose_another_target(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("when ip in 192.0.2.0/24 {\nrespond 403\n}"));
    assert_int_equal(test_request(&t, "GET http://a.test/ from=192.0.2.1")->res.status, 403);
    assert_int_equal(test_request(&t, "GET http://a.test/ from=192.0.3.1")->res.status, 200);
    test_config_release(&t);
}

/* --- the body's limit ------------------------------------------------------------------------- */

static void put_status(const char *length, unsigned status)
{
    char request[128];
    snprintf(request, sizeof request, "PUT / | Host: a.test | %s", length);
    rig_request(request);
    if (status == 200) {
        rig_expect_step(STEP_AWAIT);
        rig_answer("200", "");
    }
    rig_expect(status);
}

static void a_body_may_be_as_long_as_its_limit(void **state)
{
    (void)state;
    rig_start(SITE("body max=10B\nwhen path == /big {\nbody max=20B\n}\n"
                   "route /any {\nbody max=off\n}"));
    put_status("Content-Length: 10", 200);
    put_status("Content-Length: 11", 413);
    rig_request("PUT /big | Host: a.test | Content-Length: 20");
    rig_answer("200", "");
    rig_expect(200);
    rig_request("PUT /big | Host: a.test | Content-Length: 21");
    rig_expect(413);
    rig_request("PUT /any | Host: a.test | Content-Length: 99999999999999");
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

/* 0 is a limit as any other: no byte, however it would come. */
static void a_limit_of_nothing_is_a_limit(void **state)
{
    (void)state;
    rig_start(SITE("body max=0B"));
    put_status("Content-Length: 0", 200);
    put_status("Content-Length: 1", 413);
    put_status("Transfer-Encoding: chunked", 413);
    rig_request("GET / | Host: a.test");
    rig_answer("200", "");
    rig_expect(200);
    rig_stop();
}

/* What came before the route was known counts. */
static void early_bytes_count_against_the_limit(void **state)
{
    (void)state;
    rig_start(SITE("body max=10B"));
    rig_open();
    rig_request_head(rig.client.s->head, "PUT / | Host: a.test | Transfer-Encoding: chunked");
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    rig_say(&rig.client, "eleven byte");
    rig_run(1);
    rig_expect(413);
    assert_int_equal(rig.origin_count, 0);
    rig_stop();
}

UNIT_SUITE(proxy_admit, cmocka_unit_test(strip_leaves_a_path),
           cmocka_unit_test(the_root_can_be_stripped_too),
           cmocka_unit_test(the_path_is_normalised_before_it_is_matched),
           cmocka_unit_test(slashes_are_merged_for_routes),
           cmocka_unit_test(slashes_are_merged_by_option),
           cmocka_unit_test(methods_that_do_harm_are_refused),
           cmocka_unit_test(the_host_is_found_without_case_and_port),
           cmocka_unit_test(when_lays_its_settings_over_the_routes),
           cmocka_unit_test(when_may_choose_another_target),
           cmocka_unit_test(a_body_may_be_as_long_as_its_limit),
           cmocka_unit_test(a_limit_of_nothing_is_a_limit),
           cmocka_unit_test(early_bytes_count_against_the_limit));
