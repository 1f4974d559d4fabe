/* response_test.c - edits of response fields: of the server's responses and of weir's own. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80\n" policies "\n}\n"

static void edits_reach_the_client(void **state)
{
    (void)state;
    rig_start(SITE("response set X-A \"$status ${response.Server} $host\"\nresponse del Server\n"
                   "response default Cache-Control no-cache\nresponse add Vary Accept"));
    rig_request("GET / | Host: a.test");
    rig_answer("200 | Server: secret/1.0 | Vary: Cookie", "x");
    rig_expect(200);
    rig_expect_head(&rig.client, "X-A: 200 secret/1.0 a.test");
    rig_expect_no(&rig.client, "Server");
    rig_expect_head(&rig.client, "Cache-Control: no-cache");
    rig_expect_head(&rig.client, "Vary: Cookie");
    rig_expect_head(&rig.client, "Vary: Accept");
    rig_stop();
}

static void what_weir_answers_itself_is_edited_too(void **state)
{
    (void)state;
    rig_start(SITE("response set X-A yes\nroute /r { respond 200 x }\nroute /m { redirect /x }\n"
                   "route /e { body max=1B }"));
    rig_request("GET /r | Host: a.test");
    rig_expect_head(&rig.client, "X-A: yes");
    rig_request("GET /m | Host: a.test");
    rig_expect_head(&rig.client, "X-A: yes");
    rig_request("PUT /e | Host: a.test | Content-Length: 2");
    rig_expect(413);
    rig_expect_head(&rig.client, "X-A: yes");
    rig_request("GET / | Host: a.test");
    rig_fail(rig.origin, ERR_ORIGIN_CLOSED);
    rig_run(1);
    rig_expect(502);
    rig_expect_head(&rig.client, "X-A: yes");
    rig_stop();
}

static void interim_responses_are_not_edited(void **state)
{
    (void)state;
    rig_start(SITE("response add X-A once"));
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "103 | Link: </a>");
    rig_run(1);
    rig_answer("200", "");
    const char *first = strstr(rig.client.head, "X-A: once");
    assert_non_null(first);
    assert_null(strstr(first + 1, "X-A"));
    rig_stop();
}

/* The server can not take a field away by naming it in its Connection. */
static void connection_takes_nothing_away(void **state)
{
    (void)state;
    rig_start(SITE("response set X-A mine\nresponse default X-B mine"));
    rig_request("GET / | Host: a.test");
    rig_answer("200 | Connection: X-A, X-B | X-A: theirs | X-B: theirs", "");
    rig_expect_head(&rig.client, "X-A: mine");
    rig_expect_head(&rig.client, "X-B: mine");
    rig_stop();
}

UNIT_SUITE(filter_response, cmocka_unit_test(edits_reach_the_client),
           cmocka_unit_test(what_weir_answers_itself_is_edited_too),
           cmocka_unit_test(interim_responses_are_not_edited),
           cmocka_unit_test(connection_takes_nothing_away));
