/* ocsp_fetch_test.c - questions to a responder that answers, dawdles, breaks off or is not there.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "tls/ocsp_fetch.h"
#include "tls/ocsp_http.h"
#include "tls/ocsp_responder_priv.h"

static struct text body, why;
static int done_count;

static int set_up(void **state)
{
    done_count = 0;
    return responder_set_up(state);
}

static int tear_down(void **state)
{
    text_release(&body);
    text_release(&why);
    return responder_tear_down(state);
}

static void on_done(void *ctx, struct slice s, const char *words)
{
    assert_ptr_equal(ctx, &done_count);
    assert_true((s.len > 0) == (*words == '\0'));
    text_clear(&body);
    text_clear(&why);
    text_add(&body, s);
    text_add(&why, slice_of(words));
    done_count++;
}

static struct ocsp_fetch *start(const char *host, int port)
{
    char url[128];
    snprintf(url, sizeof url, "http://%s:%d/ocsp", host, port);
    done_count = 0;
    struct ocsp_fetch *f =
        ocsp_fetch_start(&loop, dns, slice_of(url), SLICE("question"), on_done, &done_count);
    assert_non_null(f);
    return f;
}

static void ask(const char *words)
{
    start("127.0.0.1", responder.port);
    LOOP_UNTIL(done_count);
    if (!strstr(why.at, words))
        fail_msg("'%s' is not in: %s", words, why.at);
}

static void a_question_is_answered(void **state)
{
    (void)state;
    responder_says(SLICE("answer"));
    ask("");
    assert_string_equal(body.at, "answer");
    struct text question = {0};
    responder_heard(&question);
    assert_int_equal(strncmp(question.at, "POST /ocsp HTTP/1.0\r\nHost: 127.0.0.1:", 37), 0);
    assert_string_equal(question.at + question.len - 8, "question");
    text_release(&question);
    responder_is(RESPONDER_ANSWERS, 7);
    ask("");
    assert_string_equal(body.at, "answer");
}

static void an_answer_may_end_with_the_connection(void **state)
{
    (void)state;
    responder_says_whole(
        SLICE("HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\nanswer"));
    ask("");
    assert_string_equal(body.at, "answer");
}

static void failures_are_said(void **state)
{
    (void)state;
    responder_says_whole(SLICE("HTTP/1.0 503 No\r\n\r\n"));
    ask("status 503");
    responder_says(SLICE(""));
    ask("answer is empty");
    responder_is(RESPONDER_CLOSES, 0);
    ask("closed without an answer");
    responder_is(RESPONDER_RESETS, 0);
    ask("reset the connection");
}

static void an_endless_answer_is_cut(void **state)
{
    struct text answer = {0};
    (void)state;
    text_add(&answer, SLICE("HTTP/1.0 200 OK\r\nX: "));
    for (int i = 0; i < 100000; i++)
        text_add(&answer, SLICE("x"));
    responder_says_whole(text_slice(&answer));
    text_release(&answer);
    ask("too long");
}

static void a_silent_responder_has_a_deadline(void **state)
{
    (void)state;
    responder_is(RESPONDER_DROPS, 0);
    struct ocsp_fetch *f = start("127.0.0.1", responder.port);
    for (int i = 0; i < 50; i++)
        loop_turn();
    assert_int_equal(done_count, 0);
    ocsp_fetch_set_deadline(f, loop.now_ms + 20);
    LOOP_UNTIL(done_count);
    assert_string_equal(why.at, "the responder did not answer in time");
}

static void nobody_there(void **state)
{
    (void)state;
    start("127.0.0.1", 1);
    LOOP_UNTIL(done_count);
    assert_string_equal(why.at, "the responder cannot be reached");
}

static void it_can_be_canceled_at_any_time(void **state)
{
    (void)state;
    responder_says(SLICE("answer"));
    responder_is(RESPONDER_ANSWERS, 7);
    for (int turns = 0; turns < 40; turns++) {
        struct ocsp_fetch *f = start("127.0.0.1", responder.port);
        for (int i = 0; i < turns && !done_count; i++)
            loop_turn();
        if (!done_count)
            ocsp_fetch_cancel(f);
    }
    int before = done_count;
    for (int i = 0; i < 20; i++)
        loop_turn();
    assert_int_equal(done_count, before);
    assert_true(list_empty(&loop.dead));
}

static void a_bad_url_is_not_asked(void **state)
{
    (void)state;
    assert_null(ocsp_fetch_start(&loop, dns, SLICE("https://a/"), SLICE("q"), on_done, NULL));
    assert_null(ocsp_fetch_start(&loop, dns, SLICE(""), SLICE("q"), on_done, NULL));
}

UNIT_SUITE(tls_ocsp_fetch,
           cmocka_unit_test_setup_teardown(a_question_is_answered, set_up, tear_down),
           cmocka_unit_test_setup_teardown(an_answer_may_end_with_the_connection, set_up,
                                           tear_down),
           cmocka_unit_test_setup_teardown(failures_are_said, set_up, tear_down),
           cmocka_unit_test_setup_teardown(an_endless_answer_is_cut, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_silent_responder_has_a_deadline, set_up, tear_down),
           cmocka_unit_test_setup_teardown(nobody_there, set_up, tear_down),
           cmocka_unit_test_setup_teardown(it_can_be_canceled_at_any_time, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_bad_url_is_not_asked, set_up, tear_down));
