/* request_test.c - edits of request fields as policies: inheritance, `when`, `no`, other words. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80\n" policies "\n}\n"

static void ask(const char *request)
{
    rig_request(request);
    rig_answer("200", "");
    rig_expect(200);
}

static void edits_reach_the_server(void **state)
{
    (void)state;
    rig_start(SITE("request set X-A \"$path\"\nrequest del Cookie"));
    ask("GET /x | Host: a.test | X-A: theirs | Cookie: c=1");
    rig_expect_head(rig.origin, "X-A: /x");
    rig_expect_no(rig.origin, "Cookie");
    rig_expect_no(rig.origin, "theirs");
    rig_stop();
}

/* Sites' edits come before their routes'; a route takes the place of the same edit only. */
static void routes_add_to_their_site(void **state)
{
    (void)state;
    rig_start(SITE("request set X-A site\nrequest set X-B site\n"
                   "route /r {\nrequest set X-B route\nrequest set X-C \"${header.X-A}\"\n}\n"
                   "route /n {\nno request\n}"));
    ask("GET / | Host: a.test");
    rig_expect_head(rig.origin, "X-A: site");
    rig_expect_head(rig.origin, "X-B: site");
    ask("GET /r | Host: a.test");
    rig_expect_head(rig.origin, "X-A: site");
    rig_expect_head(rig.origin, "X-B: route");
    rig_expect_head(rig.origin, "X-C: site");
    ask("GET /n | Host: a.test");
    rig_expect_no(rig.origin, "X-A");
    rig_stop();
}

static void when_adds_edits(void **state)
{
    (void)state;
    rig_start(SITE("request set X-A always\nwhen method == PUT {\nrequest set X-A put\n}"));
    ask("GET / | Host: a.test");
    rig_expect_head(rig.origin, "X-A: always");
    ask("PUT / | Host: a.test");
    rig_expect_head(rig.origin, "X-A: put");
    rig_stop();
}

/* A second try is sent what the first was sent: edits are not made twice. */
static void a_retry_is_edited_once(void **state)
{
    (void)state;
    rig_start("listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80 10.0.0.2:80\n"
              "request add X-A mine\n}\n");
    rig_request("GET / | Host: a.test");
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    assert_int_equal(rig.origin_count, 2);
    assert_string_equal(rig.origins[0].head, rig.origins[1].head);
    rig_answer("200", "");
    rig_stop();
}

static void without_memory_the_request_fails(void **state)
{
    (void)state;
    rig_start(SITE("request set X-A \"$path$path\""));
    rig_open();
    rig_request_head(rig.client.s->head, "GET /x | Host: a.test");
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    body_end(rig.client.s->body);
    exchange_steps_run(rig.x, STEP_REQUEST_FILTERS);
    rig.x->arena.budget = rig.x->arena.used; /* what it has is used up below */
    while (arena_alloc(&rig.x->arena, 8))
        ;
    rig_run(1);
    assert_int_equal(rig_errors(ERR_OVER_BUDGET), 1);
    rig_expect(503);
    assert_int_equal(rig.client.body_len, 0);
    assert_int_equal(rig.origin_count, 0);
    rig_stop();
}

UNIT_SUITE(filter_request, cmocka_unit_test(edits_reach_the_server),
           cmocka_unit_test(routes_add_to_their_site), cmocka_unit_test(when_adds_edits),
           cmocka_unit_test(a_retry_is_edited_once),
           cmocka_unit_test(without_memory_the_request_fails));
