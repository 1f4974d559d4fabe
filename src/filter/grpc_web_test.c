/* grpc_web_test.c - what `grpc_web` makes of calls and answers, in both forms; and how transforms
 * behave on their way: pieces, room, buffers, errors. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc_web.h"
#include "proxy/exchange_rig_test.h"
#include "proxy/transform.h"

#define SITE(more) "listen 10.0.9.9:80\nsite * {\n grpc_web\n proxy 10.0.0.1:80\n" more "\n}\n"
#define CALL(type) "POST /s/m | Host: a.test | Content-Type: application/" type " | "
#define TEXT_CALL  CALL("grpc-web-text+proto")
#define GRPC_200   "200 | Content-Type: application/grpc+proto"

/* `hello` as a message, and what trailers of "grpc-status: 0" look like. */
#define HELLO         "AAAAAAVoZWxsbw=="
#define HELLO_BYTES   "\0\0\0\0\5hello"
#define STATUS_0      "\x80\0\0\0\x10grpc-status: 0\r\n"
#define STATUS_0_TEXT "gAAAABBncnBjLXN0YXR1czogMA0K"

static void expect_bytes(const struct rig_side *side, const char *want, size_t len)
{
    assert_int_equal(side->body_len, len);
    assert_memory_equal(side->body, want, len);
}

#define EXPECT_BYTES(side, lit) expect_bytes(side, lit, sizeof(lit) - 1)

static void trailer_add(const char *name, const char *value)
{
    struct rig_side *o = rig.origin;
    struct headers *t = o->s->body->trailers;
    if (!t)
        t = o->s->body->trailers = ARENA_NEW(o->s->arena, struct headers);
    struct slice n = arena_dup(o->s->arena, slice_of(name));
    struct slice v = arena_dup(o->s->arena, slice_of(value));
    assert_int_equal(headers_add(t, o->s->arena, n, v), ERR_OK);
}

static void text_is_decoded_and_encoded(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request(TEXT_CALL "Content-Length: 16");
    rig_say(&rig.client, HELLO);
    rig_end(&rig.client);
    rig_run(1);
    EXPECT_BYTES(rig.origin, HELLO_BYTES);
    rig_expect_head(rig.origin, "Content-Type: application/grpc+proto");
    rig_expect_no(rig.origin, "Content-Length");
    assert_int_equal(rig.origin->sent.length, LENGTH_UNKNOWN);
    rig_response_head(rig.origin, GRPC_200 " | Content-Length: 10 | Trailer: grpc-status");
    assert_int_equal(rig_push(rig.origin, HELLO_BYTES, 10), 10);
    rig_run(1);
    rig_expect_body(&rig.client, HELLO); /* at once */
    trailer_add("grpc-status", "0");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    rig_expect_body(&rig.client, HELLO STATUS_0_TEXT);
    rig_expect_head(&rig.client, "Content-Type: application/grpc-web-text+proto");
    rig_expect_no(&rig.client, "Content-Length");
    rig_expect_no(&rig.client, "Trailer");
    assert_int_equal(rig.client.sent.length, LENGTH_UNKNOWN);
    rig_stop();
}

static void bytes_pass_but_for_trailers(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request(CALL("grpc-web") "Content-Length: 10 | TE: gzip");
    assert_int_equal(rig_push(&rig.client, HELLO_BYTES, 10), 10);
    rig_end(&rig.client);
    rig_run(1);
    EXPECT_BYTES(rig.origin, HELLO_BYTES);
    assert_int_equal(rig.origin->sent.content_length, 10);
    rig_response_head(rig.origin, "200 | Content-Type: application/grpc");
    assert_int_equal(rig_push(rig.origin, HELLO_BYTES, 10), 10);
    trailer_add("Grpc-Status", "0");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    EXPECT_BYTES(&rig.client, HELLO_BYTES STATUS_0);
    rig_expect_head(&rig.client, "Content-Type: application/grpc-web");
    rig_stop();
}

static void pieces_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "AAAAAAFhAAAAAAFi" HELLO "AAAAAAA=";
    rig_start(SITE(""));
    rig_request(TEXT_CALL "Transfer-Encoding: chunked");
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(rig_push(&rig.client, text + i, 1), 1);
        rig_run(1);
    }
    rig_end(&rig.client);
    rig_run(1);
    EXPECT_BYTES(rig.origin, "\0\0\0\0\1a\0\0\0\0\1b" HELLO_BYTES "\0\0\0\0\0");
    rig_response_head(rig.origin, GRPC_200);
    rig_say(rig.origin, "a");
    rig_run(1);
    rig_expect_body(&rig.client, "YQ==");
    rig_say(rig.origin, "bc");
    trailer_add("grpc-status", "0");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect_body(&rig.client, "YQ==YmM=" STATUS_0_TEXT);
    rig_expect(200);
    rig_stop();
}

static void broken_text_ends_the_call(void **state)
{
    (void)state;
    static const char *const bad[] = {"AAAA!", "AAAAA"};
    rig_start(SITE(""));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        rig_request(TEXT_CALL "Transfer-Encoding: chunked");
        rig_say(&rig.client, bad[i]);
        rig_end(&rig.client);
        rig_run(1);
        rig_expect(200);
        rig_expect_head(&rig.client, "grpc-status: 13");
        rig_expect_head(&rig.client, "grpc-message: body of gRPC-Web is no base64");
        rig_expect_head(&rig.client, "Content-Type: application/grpc-web-text");
        assert_false(rig.origin->whole);
        assert_int_equal(rig.client.body_len, 0);
    }
    assert_int_equal(rig_errors(ERR_BAD_GRPC_WEB), 2);
    rig_stop();
}

static void a_status_alone_stays_in_the_head(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request(CALL("grpc-web") "Content-Length: 0");
    rig_end(&rig.client);
    rig_run(1);
    rig_answer("200 | Content-Type: application/grpc | grpc-status: 5 | Content-Length: 0", "");
    rig_expect(200);
    rig_expect_head(&rig.client, "grpc-status: 5");
    rig_expect_head(&rig.client, "Content-Type: application/grpc-web");
    assert_int_equal(rig.client.body_len, 0);
    rig_stop();
}

static void weirs_own_answers_are_of_the_web_too(void **state)
{
    (void)state;
    rig_start(SITE("route /shut { respond 503 later }"));
    rig_server_close(0);
    rig_request(TEXT_CALL "Content-Length: 4");
    rig_expect(200);
    rig_expect_head(&rig.client, "grpc-status: 14");
    rig_expect_head(&rig.client, "Content-Type: application/grpc-web-text");
    rig_request("POST /shut | Host: a.test | Content-Type: application/grpc-web");
    rig_expect_head(&rig.client, "grpc-message: later");
    rig_expect_head(&rig.client, "Content-Type: application/grpc-web");
    rig_stop();
}

static void others_are_left_alone(void **state)
{
    (void)state;
    rig_start(SITE("route /no { no grpc_web }"));
    rig_request("POST / | Host: a.test | Content-Type: text/plain | Content-Length: 4");
    rig_say(&rig.client, "YQ==");
    rig_end(&rig.client);
    rig_run(1);
    rig_expect_body(rig.origin, "YQ==");
    rig_answer("200 | Content-Type: application/grpc", "x");
    rig_expect_body(&rig.client, "x");
    rig_expect_head(&rig.client, "Content-Type: application/grpc");
    rig_request("POST /no | Host: a.test | Content-Type: application/grpc-web-text");
    rig_run(1);
    rig_expect_head(rig.origin, "Content-Type: application/grpc-web-text");
    rig_answer("200 | Content-Type: application/grpc", "x");
    rig_expect_body(&rig.client, "x");
    rig_request(TEXT_CALL "Content-Length: 0"); /* answered by something that knows no gRPC */
    rig_end(&rig.client);
    rig_run(1);
    rig_answer("404 | Content-Type: text/html | Content-Length: 1", "x");
    rig_expect(404);
    rig_expect_body(&rig.client, "x");
    rig_stop();
}

static void a_broken_answer_stays_broken(void **state)
{
    (void)state;
    rig_start(SITE(""));
    rig_request(TEXT_CALL "Content-Length: 0");
    rig_end(&rig.client);
    rig_run(1);
    rig_response_head(rig.origin, GRPC_200);
    rig_say(rig.origin, "abc");
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    rig_expect_cut();
    rig_expect_body(&rig.client, "YWJj");
    assert_int_equal(rig_health(0)->failures_total, 1);
    rig_stop();
}

static void a_buffered_body_is_decoded_first(void **state)
{
    (void)state;
    rig_start(SITE("buffer on"));
    rig_request(TEXT_CALL "Transfer-Encoding: chunked");
    rig_say(&rig.client, "AAAAAAVo");
    rig_run(1);
    rig_expect_step(STEP_BUFFER);
    rig_say(&rig.client, "ZWxsbw==");
    rig_end(&rig.client);
    rig_run(1);
    EXPECT_BYTES(rig.origin, HELLO_BYTES);
    assert_int_equal(rig.origin->sent.length, LENGTH_KNOWN);
    assert_int_equal(rig.origin->sent.content_length, 10);
    rig_answer(GRPC_200 " | Content-Length: 0", "");
    rig_expect(200);
    rig_request(TEXT_CALL "Transfer-Encoding: chunked");
    rig_say(&rig.client, "????");
    rig_run(1);
    rig_expect(200);
    rig_expect_head(&rig.client, "grpc-status: 13");
    rig_stop();
}

enum { LONG_BYTES = 300000 };

/* A side that takes nothing holds the other back, on both sides of the transform. */
static void memory_is_bounded_both_ways(void **state)
{
    (void)state;
    enum { QUEUE = 16384, SLACK = 2 * BUF_LARGE_BYTES };
    char *bytes = calloc(1, LONG_BYTES);
    size_t sent = 0, back = 0;
    memset(bytes, 'A', LONG_BYTES);
    rig_start(SITE("body queue=16k"));
    rig.origin_room = 0;
    rig_request(TEXT_CALL "Transfer-Encoding: chunked");
    for (int turn = 0; turn < 20; turn++, rig_run(1))
        sent += rig_push(&rig.client, bytes, 8000);
    assert_in_range(sent, QUEUE, 3 * QUEUE + 16 * BUF_SMALL_BYTES);
    assert_true(rig.x->req_transform->out.bytes <= QUEUE + BUF_SMALL_BYTES);
    while (sent % 4 != 0 || rig.client.s->body->bytes > 0) {
        sent += rig_push(&rig.client, bytes, 4 - sent % 4);
        rig_give_room(rig.origin, SIZE_MAX);
        rig_run(1);
    }
    rig_end(&rig.client);
    rig_run(1);
    assert_int_equal(rig.origin->body_len, sent / 4 * 3);
    rig.client.room = 0;
    rig_response_head(rig.origin, GRPC_200);
    for (int turn = 0; turn < 20; turn++, rig_run(1))
        back += rig_push(rig.origin, bytes, 9000);
    assert_true(back < 5 * QUEUE + 16 * BUF_SMALL_BYTES);
    assert_true(rig.x->res_transform->out.bytes <= QUEUE + BUF_SMALL_BYTES);
    trailer_add("grpc-status", "0");
    rig_end(rig.origin);
    for (int turn = 0; turn < 200 && !rig.client.detached; turn++) {
        rig_give_room(&rig.client, 4000);
        rig_run(1);
    }
    rig_expect(200);
    assert_true(rig.client.body_len >= back / 3 * 4 + sizeof STATUS_0_TEXT - 1);
    rig_stop();
    free(bytes);
}

static void trailers_too_long_for_a_buffer_end_the_answer(void **state)
{
    (void)state;
    char *value = calloc(1, 60001);
    memset(value, 'x', 60000);
    rig_start(SITE(""));
    for (int fits = 1; fits >= 0; fits--) {
        rig_request(TEXT_CALL "Content-Length: 0");
        rig_end(&rig.client);
        rig_run(1);
        rig_response_head(rig.origin, GRPC_200);
        value[fits ? 50000 : 60000 - 1] = '\0';
        trailer_add("grpc-message", value);
        value[50000] = 'x';
        rig_end(rig.origin);
        rig_run(1);
        assert_true(rig.client.detached);
        assert_int_equal(rig.client.whole, fits);
    }
    rig_stop();
    free(value);
}

static void no_buffers_end_the_call(void **state)
{
    (void)state;
    rig_start_with(SITE(""), BUF_SMALL_BYTES);
    rig_request(TEXT_CALL "Content-Length: 4");
    rig_say(&rig.client, "AAAA");
    struct buf *reserve[4];
    int held = 0;
    while (held < 4 && (reserve[held] = buf_take_reserve(&rig.w.loop.bufs, BUF_SMALL)))
        held++;
    rig_run(1);
    assert_true(rig.client.detached);
    while (held > 0)
        buf_drop(reserve[--held]);
    rig_stop();
}

static void words_after_it_are_refused(void **state)
{
    (void)state;
    test_error("site * {\n grpc_web on\n}\n", 2, 11, "grpc_web");
}

UNIT_SUITE(filter_grpc_web, cmocka_unit_test(text_is_decoded_and_encoded),
           cmocka_unit_test(bytes_pass_but_for_trailers),
           cmocka_unit_test(pieces_may_be_cut_anywhere),
           cmocka_unit_test(broken_text_ends_the_call),
           cmocka_unit_test(a_status_alone_stays_in_the_head),
           cmocka_unit_test(weirs_own_answers_are_of_the_web_too),
           cmocka_unit_test(others_are_left_alone), cmocka_unit_test(a_broken_answer_stays_broken),
           cmocka_unit_test(a_buffered_body_is_decoded_first),
           cmocka_unit_test(memory_is_bounded_both_ways),
           cmocka_unit_test(trailers_too_long_for_a_buffer_end_the_answer),
           cmocka_unit_test(no_buffers_end_the_call), cmocka_unit_test(words_after_it_are_refused));
