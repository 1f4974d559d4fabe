/* compress_test.c - `compress` between scripted streams: little room, pauses, pieces, ends that
 * break; nothing of it is held afterwards (rig_stop()). */
// SPDX-License-Identifier: Apache-2.0
#include "codec/encoder.h"
#include "proxy/exchange_rig_test.h"
#include "proxy/transform.h"
#include <zlib.h>

#define SITE(line) "listen 10.0.9.9:80\nsite * {\n proxy 10.0.0.1:80\n " line "\n}\n"
#define GET        "GET / | Host: a.test | Accept-Encoding: gzip"
#define TEXT_200   "200 | Content-Type: text/plain"

enum { LONG_BYTES = 300 << 10 };

static char decoded[LONG_BYTES + 1];

static struct slice gunzip(const struct rig_side *side)
{
    z_stream z = {.next_in = (unsigned char *)side->body,
                  .avail_in = (unsigned)side->body_len,
                  .next_out = (unsigned char *)decoded,
                  .avail_out = sizeof decoded};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    int ret = inflate(&z, Z_SYNC_FLUSH);
    assert_true(ret == Z_OK || ret == Z_STREAM_END || ret == Z_BUF_ERROR);
    assert_int_equal(inflateEnd(&z), Z_OK);
    return (struct slice){decoded, z.total_out};
}

static void expect_text(const char *want)
{
    struct slice got = gunzip(&rig.client);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.at, want, got.len);
}

static void begin(const char *config, const char *request, const char *response)
{
    rig_start(config);
    rig_request(request);
    rig_response_head(rig.origin, response);
    rig_run(1);
}

static void stop(void)
{
    rig_stop();
    assert_int_equal(encoders_held_bytes(), 0);
    encoders_release();
}

static void pause_lets_go_what_came(void **state)
{
    (void)state;
    begin(SITE("compress"), GET, TEXT_200);
    rig_expect_head(&rig.client, "Content-Encoding: gzip");
    rig_say(rig.origin, "one");
    rig_run(1);
    rig_say(rig.origin, " two");
    assert_true(rig.client.body_len <= 10); /* a head at most: more may follow at once */
    rig_run(10);
    expect_text("one two");
    size_t len = rig.client.body_len;
    rig_run(1000);
    assert_int_equal(rig.client.body_len, len); /* silence costs nothing */
    rig_say(rig.origin, " three");
    rig_run(10);
    expect_text("one two three");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    expect_text("one two three");
    stop();
}

/* A long body through a client that takes a few bytes at a time. */
static void room_is_kept_to(void **state)
{
    (void)state;
    size_t pushed = 0;
    char piece[4096];
    begin(SITE("compress\n body queue=16k"), GET, TEXT_200);
    rig.client.room = 0;
    for (int round = 0; pushed < LONG_BYTES; round++) {
        assert_true(round < 100000);
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = (char)((pushed + i) * 2654435761u >> 13);
        size_t most = LONG_BYTES - pushed < sizeof piece ? LONG_BYTES - pushed : sizeof piece;
        pushed += rig_push(rig.origin, piece, most);
        if (round % 7 == 0)
            rig_run(6); /* a pause, with or without room */
        rig_give_room(&rig.client, 1000);
        rig_run(1);
        assert_true(rig.w.loop.bufs.held_bytes < 400 << 10);
    }
    rig_end(rig.origin);
    rig_give_room(&rig.client, LONG_BYTES * 2);
    rig_run(50);
    rig_expect(200);
    struct slice got = gunzip(&rig.client);
    assert_int_equal(got.len, LONG_BYTES);
    for (size_t i = 0; i < LONG_BYTES; i++)
        assert_int_equal(got.at[i], (char)(i * 2654435761u >> 13));
    stop();
}

static void broken_answers_break(void **state)
{
    (void)state;
    begin(SITE("compress"), GET, TEXT_200);
    rig_say(rig.origin, "half");
    rig_run(10);
    rig_fail(rig.origin, ERR_ORIGIN_RESET);
    rig_run(1);
    expect_text("half");
    assert_int_equal(rig_errors(ERR_ORIGIN_RESET), 1);
    stop();
}

static void clients_leave(void **state)
{
    (void)state;
    begin(SITE("compress"), GET, TEXT_200);
    rig_say(rig.origin, "half");
    rig_run(1);
    rig_fail(&rig.client, ERR_CLIENT_CLOSED);
    rig_run(1);
    stop();
}

static void nothing_is_coded_that_is_not_wanted(void **state)
{
    (void)state;
    begin(SITE("compress"), "GET / | Host: a.test", TEXT_200);
    rig_say(rig.origin, "plain");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    rig_expect_body(&rig.client, "plain");
    rig_expect_no(&rig.client, "Content-Encoding");
    rig_expect_head(&rig.client, "Vary: Accept-Encoding");
    stop();
}

/* As many as there may be are in use: the next answer goes out as it is. */
static void without_an_encoder_it_is_plain(void **state)
{
    (void)state;
    struct encoder_plan plan = {ENCODER_NORMAL, 0, 1};
    static struct encoder *held[ENCODERS_MAX_BYTES / (100 << 10)];
    size_t count = 0;
    while ((held[count] = encoder_take(&encoder_gzip, &plan)))
        count++;
    begin(SITE("compress"), GET, TEXT_200 " | ETag: \"x\"");
    rig_say(rig.origin, "plain");
    rig_end(rig.origin);
    rig_run(1);
    rig_expect(200);
    rig_expect_body(&rig.client, "plain");
    rig_expect_no(&rig.client, "Content-Encoding");
    rig_expect_head(&rig.client, "ETag: \"x\"");
    rig_expect_head(&rig.client, "Vary: Accept-Encoding");
    while (count > 0)
        encoder_drop(held[--count]);
    stop();
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "compress lzma",    "compress gzip gzip", "compress identity", "compress padding=256",
        "compress types=,", "compress level=9",   "compress min=-1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char config[200];
        snprintf(config, sizeof config, SITE("%s"), bad[i]);
        struct test_config t;
        assert_false(test_config_load(&t, config));
        test_config_release(&t);
    }
}

UNIT_SUITE(filter_compress, cmocka_unit_test(pause_lets_go_what_came),
           cmocka_unit_test(room_is_kept_to), cmocka_unit_test(broken_answers_break),
           cmocka_unit_test(clients_leave), cmocka_unit_test(nothing_is_coded_that_is_not_wanted),
           cmocka_unit_test(without_an_encoder_it_is_plain),
           cmocka_unit_test(wrong_words_are_refused));
