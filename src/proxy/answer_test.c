/* answer_test.c - pages of errors: in which form, in what words, for whom; large local answers. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define LISTEN "listen 10.0.9.9:80\n"

static void ask(const char *accept)
{
    char request[256];
    snprintf(request, sizeof request, "GET / | Host: other.test%s%s", accept ? " | Accept: " : "",
             accept ? accept : "");
    rig_request(request);
    rig_expect(421);
}

static void expect_page(const char *accept, const char *type)
{
    char line[128];
    ask(accept);
    snprintf(line, sizeof line, "Content-Type: %s", type);
    rig_expect_head(&rig.client, line);
    rig.client.body[rig.client.body_len] = '\0';
    assert_int_equal(rig.client.sent.content_length, rig.client.body_len);
    assert_non_null(strstr(rig.client.body, "421"));
    assert_non_null(strstr(rig.client.body, "Misdirected Request"));
}

#define TEXT "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"
#define JSON "application/json"

static void a_page_comes_as_the_client_likes_it(void **state)
{
    (void)state;
    rig_start(LISTEN "site a.test {\n respond 200\n}\n");
    expect_page(NULL, TEXT);
    expect_page("*/*", TEXT); /* curl */
    expect_page("text/html,application/xhtml+xml,*/*;q=0.8", HTML);
    expect_page("text/*", TEXT);
    expect_page("application/json", JSON);
    expect_page("application/json, text/html;q=0.9", JSON);
    expect_page("text/html;q=0.5, application/json;q=0.6", JSON);
    expect_page("text/plain;q=0.1, application/*", JSON);
    expect_page("image/png", TEXT); /* none of them: better this than nothing */
    expect_page("application/json;q=0", TEXT);
    expect_page("text/html;q=junk", HTML);
    rig_stop();
}

static void several_lines_of_accept_are_one(void **state)
{
    (void)state;
    rig_start(LISTEN "site a.test {\n respond 200\n}\n");
    rig_request("GET / | Host: b.test | Accept: image/png | Accept: application/json");
    rig_expect_head(&rig.client, "Content-Type: " JSON);
    rig_stop();
}

static void json_says_what_programs_want_to_know(void **state)
{
    (void)state;
    char want[256];
    rig_start(LISTEN "site a.test {\n respond 200\n}\n");
    rig_open();
    snprintf(
        want, sizeof want,
        "{\"status\":421,\"error\":\"Misdirected Request\",\"reason\":\"no site answers to this "
        "host\",\"request_id\":\"%s\"}\n",
        rig.x->id);
    assert_int_equal(strlen(rig.x->id), 16);
    rig_request_head(rig.client.s->head, "GET / | Host: b.test | Accept: application/json");
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    rig_wake(&rig.client);
    rig_run(1);
    rig_expect_body(&rig.client, want);
    rig_stop();
}

/* Nothing that a client sent stands in a page. */
static void pages_do_not_repeat_the_request(void **state)
{
    (void)state;
    static const char *const types[] = {"text/html", "text/plain", "application/json"};
    rig_start(LISTEN "site a.test {\n respond 200\n}\n");
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "GET /%%3Cscript%%3E?script | Host: script.test "
                 "| X-A: script | Accept: %s",
                 types[i]);
        rig_request(request);
        rig_expect(421);
        rig.client.body[rig.client.body_len] = '\0';
        assert_null(strstr(rig.client.body, "script"));
    }
    rig_stop();
}

/* Texts of rows go into HTML and JSON as they are: none needs to be escaped. */
static void no_row_needs_to_be_escaped(void **state)
{
    (void)state;
    for (enum err e = 0; e < ERR_COUNT; e++)
        if (err_row(e)->status >= 400 && strpbrk(err_row(e)->text, "<>&\"\\"))
            fail_msg("%s", err_row(e)->text);
}

static void a_page_is_not_for_caches(void **state)
{
    (void)state;
    rig_start(LISTEN "site a.test {\n proxy 10.0.0.1:80\n}\n");
    ask(NULL);
    rig_expect_head(&rig.client, "Cache-Control: no-store");
    rig_expect_no(&rig.client, "Retry-After");
    rig.engine_fails = true;
    rig_request("GET / | Host: a.test");
    rig_expect(503);
    rig_expect_head(&rig.client, "Retry-After: 1");
    rig_expect_head(&rig.client, "Cache-Control: no-store");
    rig_stop();
}

static void head_gets_the_length_alone(void **state)
{
    (void)state;
    rig_start(LISTEN "site a.test {\n respond 200 text\n}\n");
    rig_request("HEAD / | Host: a.test");
    rig_expect(200);
    assert_int_equal(rig.client.sent.content_length, 4);
    assert_int_equal(rig.client.body_len, 0);
    rig_request("HEAD / | Host: b.test");
    rig_expect(421);
    assert_true(rig.client.sent.content_length > 0);
    assert_int_equal(rig.client.body_len, 0);
    rig_stop();
}

/* A local answer is larger than what may wait: it comes as the client takes it, from memory that
 * lives as long. */
static void a_large_answer_waits_its_turn(void **state)
{
    (void)state;
    enum { TEXT_BYTES = 300 * 1000 };
    char *config = malloc(TEXT_BYTES + 200), *text = malloc(TEXT_BYTES + 1);
    for (int i = 0; i < TEXT_BYTES; i++)
        text[i] = (char)('a' + i % 23);
    text[TEXT_BYTES] = '\0';
    snprintf(config, TEXT_BYTES + 200, LISTEN "site * {\n respond 200 \"%s\"\n body queue=64k\n}\n",
             text);
    rig_start(config);
    rig_open();
    rig_request_head(rig.client.s->head, "GET / | Host: a.test");
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    rig.client.room = 0;
    rig_wake(&rig.client);
    rig_run(1);
    rig_expect_step(STEP_RELAY);
    assert_in_range(rig.x->res_body.bytes, 64 * 1024, 64 * 1024 + BUF_LARGE_BYTES);
    for (int i = 0; !rig.client.detached; i++) {
        assert_in_range(i, 0, 300);
        rig_give_room(&rig.client, 5000);
        rig_run(1);
    }
    rig_expect(200);
    rig_expect_body(&rig.client, text);
    rig_stop();
    free(config);
    free(text);
}

UNIT_SUITE(proxy_answer, cmocka_unit_test(a_page_comes_as_the_client_likes_it),
           cmocka_unit_test(several_lines_of_accept_are_one),
           cmocka_unit_test(json_says_what_programs_want_to_know),
           cmocka_unit_test(pages_do_not_repeat_the_request),
           cmocka_unit_test(no_row_needs_to_be_escaped), cmocka_unit_test(a_page_is_not_for_caches),
           cmocka_unit_test(head_gets_the_length_alone),
           cmocka_unit_test(a_large_answer_waits_its_turn));
