/* rewrite_test.c - other paths for the server: with and without a pattern, queries, what can not be
 * made of them. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80\n" policies "\n}\n"

static void expect_target(const char *target, const char *sent)
{
    char request[512], line[512];
    snprintf(request, sizeof request, "GET %s | Host: a.test", target);
    snprintf(line, sizeof line, "GET %s", sent);
    rig_request(request);
    rig_expect_head(rig.origin, line);
    rig_answer("200", "");
    rig_expect(200);
}

static void expect_refused(const char *target)
{
    char request[512];
    int streams = rig.origin_count;
    snprintf(request, sizeof request, "GET %s | Host: a.test", target);
    rig_request(request);
    rig_expect(400);
    assert_int_equal(rig.origin_count, streams);
}

static void a_path_replaces_the_path(void **state)
{
    (void)state;
    rig_start(SITE("route /a { rewrite /new }\nroute /q { rewrite /new?x=1 }\n"
                   "route /e { rewrite /new? }\nroute /v { rewrite /by/$method$path }\n"
                   "route /n { rewrite new }"));
    expect_target("/a/b", "/new");
    expect_target("/a?y=2", "/new?y=2"); /* the client's query stays */
    expect_target("/q?y=2", "/new?x=1"); /* unless another is given */
    expect_target("/q", "/new?x=1");
    expect_target("/e?y=2", "/new?");
    expect_target("/v/w", "/by/GET/v/w");
    expect_target("/n", "/new");
    rig_stop();
}

static void a_pattern_takes_parts_along(void **state)
{
    (void)state;
    rig_start(SITE("rewrite ~ \"^/old/([^/]*)/(.*)$\" /new/$2/$1"));
    expect_target("/old/a/b/c?q", "/new/b/c/a?q");
    expect_target("/older/a/b", "/older/a/b");     /* no match: as it was */
    expect_target("/old/a%2Fb/c", "/new/c/a%2Fb"); /* matched as it is forwarded */
    rig_stop();
}

static void rewrites_run_in_their_order(void **state)
{
    (void)state;
    rig_start(SITE("rewrite ~ \"^/a(.*)\" /b$1\nrewrite ~ \"^/b(.*)\" /c$1\n"
                   "route /s strip {\nrewrite ~ \"^/x(.*)\" /y$1\n}"));
    expect_target("/a1", "/c1");
    expect_target("/s/x1", "/y1"); /* after strip */
    expect_target("/s/a1", "/c1");
    rig_stop();
}

/* Another route's rules do not apply to what a path was rewritten to. */
static void routes_are_not_looked_up_again(void **state)
{
    (void)state;
    rig_start(SITE("route /in { rewrite /out }\nroute /out { respond 403 }"));
    expect_target("/in", "/out");
    rig_stop();
}

/* The path that logs and variables know stays the client's. */
static void variables_know_the_path_that_was_asked_for(void **state)
{
    (void)state;
    rig_start(SITE("rewrite /new\nresponse set X-A \"$path $uri\""));
    rig_request("GET /old?q | Host: a.test");
    rig_answer("200", "");
    rig_expect_head(&rig.client, "X-A: /old /old?q");
    rig_stop();
}

static void what_comes_out_is_normal_or_nothing(void **state)
{
    (void)state;
    rig_start(SITE("route /dots { rewrite /a/../$query.p }\nroute /d { rewrite /x/$query.p }"));
    expect_target("/dots?p=b", "/b?p=b");
    expect_target("/d?p=%61", "/x/a?p=%61");
    expect_target("/d?p=../y", "/y?p=../y");
    expect_refused("/d?p=../../y"); /* above the root */
    expect_refused("/d?p=..%2fy");
    expect_refused("/d?p=%00");
    rig_stop();
}

static void bytes_of_a_variable_can_not_break_the_target(void **state)
{
    (void)state;
    rig_start(SITE("rewrite \"/x/${header.X-Path}\""));
    rig_request("GET / | Host: a.test | X-Path: a b HTTP/1.1");
    rig_expect(400);
    rig_request("GET / | Host: a.test | X-Path: a#b");
    rig_expect(400);
    rig_request("GET / | Host: a.test | X-Path: %0");
    rig_expect(400);
    rig_request("GET / | Host: a.test | X-Path: ../../etc");
    rig_expect(400);
    rig_request("GET / | Host: a.test | X-Path: ok");
    rig_expect_head(rig.origin, "GET /x/ok");
    rig_answer("200", "");
    rig_stop();
}

static void bytes_of_a_variable_can_not_break_the_query(void **state)
{
    (void)state;
    rig_start(SITE("rewrite \"/x?${header.X-Q}\""));
    rig_request("GET / | Host: a.test | X-Q: a b HTTP/1.1");
    rig_expect(400);
    rig_request("GET / | Host: a.test | X-Q: a#b");
    rig_expect(400);
    rig_request("GET / | Host: a.test | X-Q: a=b?c");
    rig_expect_head(rig.origin, "GET /x?a=b?c");
    rig_answer("200", "");
    rig_stop();
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    test_error(SITE("rewrite a b"), 4, 1, "expected 'rewrite TO'");
    test_error(SITE("rewrite = a b"), 4, 9, "expected '~'");
    test_error(SITE("rewrite ~ ( b"), 4, 12, "regular expression");
    test_error(SITE("rewrite /$1"), 4, 10, "has no regular expression");
    test_error(SITE("rewrite /$nothing"), 4, 10, "unknown variable");
}

UNIT_SUITE(filter_rewrite, cmocka_unit_test(a_path_replaces_the_path),
           cmocka_unit_test(a_pattern_takes_parts_along),
           cmocka_unit_test(rewrites_run_in_their_order),
           cmocka_unit_test(routes_are_not_looked_up_again),
           cmocka_unit_test(variables_know_the_path_that_was_asked_for),
           cmocka_unit_test(what_comes_out_is_normal_or_nothing),
           cmocka_unit_test(bytes_of_a_variable_can_not_break_the_target),
           cmocka_unit_test(bytes_of_a_variable_can_not_break_the_query),
           cmocka_unit_test(what_makes_no_sense_is_refused));
