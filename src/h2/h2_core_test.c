/* h2_core_test.c - frames and the reaction that RFC 9113 wants of them: nothing, an error of the
 * stream or one of the connection. Every case is fed at once and byte by byte: the reaction is the
 * same to the last byte. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_rig_test.h"

enum { NONE = -1, EH = H2_FLAG_END_HEADERS, ES = H2_FLAG_END_STREAM };
enum { PAD = H2_FLAG_PADDED, PRIO = H2_FLAG_PRIORITY, ACK = H2_FLAG_ACK };

#define P(literal) literal, sizeof(literal) - 1
#define OPEN(id)                  \
    {                             \
        H2_HEADERS, EH, id, P("") \
    }
#define REQUEST(id)                    \
    {                                  \
        H2_HEADERS, EH | ES, id, P("") \
    }

static const struct reaction {
    const char *name;
    struct part frames[5];
    int goaway; /* code of the connection's error, NONE */
    int reset;  /* code of stream 1's error */
} reactions[] = {
    {"a request", {REQUEST(1)}, NONE, NONE},
    {"two requests", {REQUEST(1), REQUEST(3)}, NONE, NONE},
    {"numbers may be skipped", {REQUEST(1), REQUEST(7)}, NONE, NONE},
    {"4.1 the reserved bit is ignored", {{H2_HEADERS, EH | ES, 0x80000001u, P("")}}, NONE, NONE},
    {"4.1 an unknown type is ignored", {{0x42, 0xff, 0, P("xyz")}, REQUEST(1)}, NONE, NONE},
    {"4.1 unknown flags are ignored", {{H2_PING, 0xf0 | ACK, 0, P("12345678")}}, NONE, NONE},
    {"4.2 the largest DATA", {OPEN(1), {H2_DATA, ES, 1, NULL, 16384}}, NONE, NONE},
    {"4.2 DATA over the size", {OPEN(1), {H2_DATA, ES, 1, NULL, 16385}}, H2_FRAME_SIZE_ERROR, NONE},
    {"4.2 HEADERS over the size", {{H2_HEADERS, EH, 1, NULL, 16385}}, H2_FRAME_SIZE_ERROR, NONE},
    {"4.2 unknown over the size", {{0x42, 0, 0, NULL, 16385}}, H2_FRAME_SIZE_ERROR, NONE},
    {"5.1 DATA on idle", {{H2_DATA, 0, 1, P("x")}}, H2_PROTOCOL_ERROR, NONE},
    {"5.1 RST_STREAM on idle", {{H2_RST_STREAM, 0, 1, NULL, 4}}, H2_PROTOCOL_ERROR, NONE},
    {"5.1 WINDOW_UPDATE on idle",
     {{H2_WINDOW_UPDATE, 0, 1, P("\0\0\0\1")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"5.1 CONTINUATION on idle", {{H2_CONTINUATION, EH, 1, P("")}}, H2_PROTOCOL_ERROR, NONE},
    {"5.1 PRIORITY on idle", {{H2_PRIORITY, 0, 1, P("\0\0\0\3\1")}}, NONE, NONE},
    {"5.1 DATA half closed", {REQUEST(1), {H2_DATA, 0, 1, P("x")}}, NONE, H2_STREAM_CLOSED},
    {"5.1 HEADERS half closed", {REQUEST(1), REQUEST(1)}, NONE, H2_STREAM_CLOSED},
    {"5.1 WINDOW_UPDATE half closed",
     {REQUEST(1), {H2_WINDOW_UPDATE, 0, 1, P("\0\0\0\1")}},
     NONE,
     NONE},
    {"5.1 RST_STREAM half closed", {REQUEST(1), {H2_RST_STREAM, 0, 1, NULL, 4}}, NONE, NONE},
    {"5.1 DATA after RST_STREAM",
     {OPEN(1), {H2_RST_STREAM, 0, 1, NULL, 4}, {H2_DATA, 0, 1, P("x")}},
     NONE,
     H2_STREAM_CLOSED},
    {"5.1 HEADERS after RST_STREAM",
     {OPEN(1), {H2_RST_STREAM, 0, 1, NULL, 4}, REQUEST(1)},
     NONE,
     H2_STREAM_CLOSED},
    {"5.1 PRIORITY after RST_STREAM",
     {OPEN(1), {H2_RST_STREAM, 0, 1, NULL, 4}, {H2_PRIORITY, 0, 1, P("\0\0\0\3\1")}},
     NONE,
     NONE},
    {"5.1 WINDOW_UPDATE after RST_STREAM",
     {OPEN(1), {H2_RST_STREAM, 0, 1, NULL, 4}, {H2_WINDOW_UPDATE, 0, 1, P("\0\0\0\1")}},
     NONE,
     NONE},
    {"5.1.1 an even number", {REQUEST(2)}, H2_PROTOCOL_ERROR, NONE},
    {"5.1.1 a number that was passed over", {REQUEST(5), REQUEST(3)}, H2_PROTOCOL_ERROR, NONE},
    {"5.3.1 depends on itself",
     {{H2_HEADERS, EH | PRIO, 1, P("\0\0\0\1\5")}},
     NONE,
     H2_PROTOCOL_ERROR},
    {"5.3.1 PRIORITY of itself",
     {OPEN(1), {H2_PRIORITY, 0, 1, P("\0\0\0\1\5")}},
     NONE,
     H2_PROTOCOL_ERROR},
    {"5.5 unknown inside a block",
     {{H2_HEADERS, 0, 1, P("")}, {0x42, 0, 0, P("")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"6.1 DATA on stream 0", {{H2_DATA, 0, 0, P("x")}}, H2_PROTOCOL_ERROR, NONE},
    {"6.1 all is padding", {OPEN(1), {H2_DATA, PAD | ES, 1, P("\3\0\0\0")}}, NONE, NONE},
    {"6.1 more padding than there is",
     {OPEN(1), {H2_DATA, PAD, 1, P("\4\0\0\0")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"6.1 no place for padding", {OPEN(1), {H2_DATA, PAD, 1, P("")}}, H2_FRAME_SIZE_ERROR, NONE},
    {"6.2 HEADERS on stream 0", {{H2_HEADERS, EH, 0, P("")}}, H2_PROTOCOL_ERROR, NONE},
    {"6.2 padded", {{H2_HEADERS, EH | ES | PAD, 1, P("\2x\0\0")}}, NONE, NONE},
    {"6.2 more padding than there is",
     {{H2_HEADERS, EH | PAD, 1, P("\2x")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"6.2 no place for priority",
     {{H2_HEADERS, EH | PRIO, 1, P("\0\0\0\0")}},
     H2_FRAME_SIZE_ERROR,
     NONE},
    {"6.2 DATA inside a block",
     {{H2_HEADERS, 0, 1, P("")}, {H2_DATA, 0, 1, P("")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"6.2 another stream's CONTINUATION",
     {{H2_HEADERS, 0, 1, P("")}, {H2_CONTINUATION, EH, 3, P("")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"6.3 PRIORITY on stream 0", {{H2_PRIORITY, 0, 0, NULL, 5}}, H2_PROTOCOL_ERROR, NONE},
    {"6.3 PRIORITY of four bytes",
     {OPEN(1), {H2_PRIORITY, 0, 1, NULL, 4}, REQUEST(3)},
     NONE,
     H2_FRAME_SIZE_ERROR},
    {"6.4 RST_STREAM on stream 0", {{H2_RST_STREAM, 0, 0, NULL, 4}}, H2_PROTOCOL_ERROR, NONE},
    {"6.4 RST_STREAM of three bytes",
     {OPEN(1), {H2_RST_STREAM, 0, 1, NULL, 3}},
     H2_FRAME_SIZE_ERROR,
     NONE},
    {"6.5 SETTINGS on a stream", {{H2_SETTINGS, 0, 1, P("")}}, H2_PROTOCOL_ERROR, NONE},
    {"6.5 an ACK with more", {{H2_SETTINGS, ACK, 0, NULL, 6}}, H2_FRAME_SIZE_ERROR, NONE},
    {"6.5 SETTINGS of five bytes", {{H2_SETTINGS, 0, 0, NULL, 5}}, H2_FRAME_SIZE_ERROR, NONE},
    {"6.5.2 push of 2", {{H2_SETTINGS, 0, 0, P("\0\2\0\0\0\2")}}, H2_PROTOCOL_ERROR, NONE},
    {"6.5.2 push of 1", {{H2_SETTINGS, 0, 0, P("\0\2\0\0\0\1")}}, NONE, NONE},
    {"6.5.2 the largest window", {{H2_SETTINGS, 0, 0, P("\0\4\x7f\xff\xff\xff")}}, NONE, NONE},
    {"6.5.2 a window too large",
     {{H2_SETTINGS, 0, 0, P("\0\4\x80\0\0\0")}},
     H2_FLOW_CONTROL_ERROR,
     NONE},
    {"6.5.2 frames too small",
     {{H2_SETTINGS, 0, 0, P("\0\5\0\0\x3f\xff")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"6.5.2 frames too large", {{H2_SETTINGS, 0, 0, P("\0\5\1\0\0\0")}}, H2_PROTOCOL_ERROR, NONE},
    {"6.5.2 unknown setting", {{H2_SETTINGS, 0, 0, P("\0\xff\1\2\3\4")}}, NONE, NONE},
    {"8441 connect of 2", {{H2_SETTINGS, 0, 0, P("\0\x08\0\0\0\2")}}, H2_PROTOCOL_ERROR, NONE},
    {"6.6 PUSH_PROMISE", {OPEN(1), {H2_PUSH_PROMISE, EH, 1, NULL, 4}}, H2_PROTOCOL_ERROR, NONE},
    {"6.7 PING on a stream", {{H2_PING, 0, 1, NULL, 8}}, H2_PROTOCOL_ERROR, NONE},
    {"6.7 PING of seven bytes", {{H2_PING, 0, 0, NULL, 7}}, H2_FRAME_SIZE_ERROR, NONE},
    {"6.8 GOAWAY on a stream", {{H2_GOAWAY, 0, 1, NULL, 8}}, H2_PROTOCOL_ERROR, NONE},
    {"6.8 GOAWAY of seven bytes", {{H2_GOAWAY, 0, 0, NULL, 7}}, H2_FRAME_SIZE_ERROR, NONE},
    {"6.9 a step of 0 for all", {{H2_WINDOW_UPDATE, 0, 0, NULL, 4}}, H2_PROTOCOL_ERROR, NONE},
    {"6.9 a step of 0 for one",
     {OPEN(1), {H2_WINDOW_UPDATE, 0, 1, NULL, 4}},
     NONE,
     H2_PROTOCOL_ERROR},
    {"6.9 WINDOW_UPDATE of three bytes",
     {{H2_WINDOW_UPDATE, 0, 0, NULL, 3}},
     H2_FRAME_SIZE_ERROR,
     NONE},
    {"6.9.1 the largest window of all", {{H2_WINDOW_UPDATE, 0, 0, P("\x7f\xff\0\0")}}, NONE, NONE},
    {"6.9.1 over the largest of all",
     {{H2_WINDOW_UPDATE, 0, 0, P("\x7f\xff\0\1")}},
     H2_FLOW_CONTROL_ERROR,
     NONE},
    {"6.9.1 over the largest of one",
     {OPEN(1), {H2_WINDOW_UPDATE, 0, 1, P("\x7f\xff\0\1")}},
     NONE,
     H2_FLOW_CONTROL_ERROR},
    {"6.9.2 SETTINGS push one over the largest",
     {OPEN(1), {H2_WINDOW_UPDATE, 0, 1, P("\x7f\xff\0\0")}, {H2_SETTINGS, 0, 0, P("\0\4\0\1\0\0")}},
     H2_FLOW_CONTROL_ERROR,
     NONE},
    {"6.10 CONTINUATION after the end",
     {OPEN(1), {H2_CONTINUATION, EH, 1, P("")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"6.10 CONTINUATION after DATA",
     {OPEN(1), {H2_DATA, 0, 1, P("x")}, {H2_CONTINUATION, EH, 1, P("")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"8.1 trailers", {OPEN(1), {H2_DATA, 0, 1, P("x")}, REQUEST(1)}, NONE, NONE},
    {"8.1 a second head that is no trailer", {OPEN(1), OPEN(1)}, NONE, H2_PROTOCOL_ERROR},
    {"9218 PRIORITY_UPDATE", {OPEN(1), {H2_PRIORITY_UPDATE, 0, 0, P("\0\0\0\1u=1")}}, NONE, NONE},
    {"9218 PRIORITY_UPDATE of stream 0",
     {{H2_PRIORITY_UPDATE, 0, 0, P("\0\0\0\0u=1")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"9218 PRIORITY_UPDATE of a push",
     {{H2_PRIORITY_UPDATE, 0, 0, P("\0\0\0\2u=1")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"9218 PRIORITY_UPDATE on a stream",
     {OPEN(1), {H2_PRIORITY_UPDATE, 0, 1, P("\0\0\0\1")}},
     H2_PROTOCOL_ERROR,
     NONE},
    {"9218 PRIORITY_UPDATE of three bytes",
     {{H2_PRIORITY_UPDATE, 0, 0, NULL, 3}},
     H2_FRAME_SIZE_ERROR,
     NONE},
};

static void react(const struct reaction *r, size_t step)
{
    core_rig_open();
    for (size_t i = 0; i < COUNT_OF(r->frames); i++)
        if (r->frames[i].payload || r->frames[i].len)
            core_rig_frame(r->frames[i]);
    core_rig_feed(step);
    if (core_rig_goaway() != r->goaway || core_rig_reset(1) != r->reset)
        fail_msg("%s: goaway %d instead of %d, reset %d instead of %d", r->name, core_rig_goaway(),
                 r->goaway, core_rig_reset(1), r->reset);
    assert_int_equal(h2_core_failed(&core_rig.core), r->goaway != NONE);
}

static void every_frame_gets_its_reaction(void **state)
{
    static char whole[OUT_MAX_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reactions); i++) {
        react(&reactions[i], SIZE_MAX / 2);
        size_t len = core_rig.out_len;
        memcpy(whole, core_rig.out, len);
        core_rig_close();
        react(&reactions[i], 1);
        if (core_rig.out_len != len || memcmp(core_rig.out, whole, len) != 0)
            fail_msg("%s: another answer byte by byte", reactions[i].name);
        core_rig_close();
    }
}

static void preface_is_demanded(void **state)
{
    static const char *const wrong[] = {"GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r!",
                                        "X"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        core_rig_open();
        core_rig.in_len = 0;
        core_rig_bytes(wrong[i], strlen(wrong[i]));
        core_rig_feed(3);
        assert_int_equal(core_rig_goaway(), H2_PROTOCOL_ERROR);
        assert_int_equal(core_rig.err, ERR_H2_PREFACE);
        core_rig_close();
    }
}

static void first_frame_is_settings(void **state)
{
    static const struct part wrong[] = {{H2_PING, 0, 0, NULL, 8}, {H2_SETTINGS, ACK, 0, P("")}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        core_rig_open();
        core_rig.in_len = H2_PREFACE_BYTES;
        core_rig_say(wrong[i]);
        assert_int_equal(core_rig_goaway(), H2_PROTOCOL_ERROR);
        core_rig_close();
    }
}

static void says_what_it_is(void **state)
{
    struct h2_frame f;
    const char *p = NULL;
    (void)state;
    core_rig_open();
    core_rig_feed(SIZE_MAX / 2);
    assert_true(core_rig_wrote(H2_SETTINGS, 0, &f, &p));
    assert_int_equal(f.len % 6, 0);
    bool streams = false, connects = false;
    for (uint32_t i = 0; i < f.len; i += 6) {
        streams |= p[i + 1] == H2_SET_MAX_CONCURRENT_STREAMS && h2_get32(p + i + 2) == 100;
        connects |= p[i + 1] == H2_SET_ENABLE_CONNECT_PROTOCOL && h2_get32(p + i + 2) == 1;
    }
    assert_true(streams && connects);
    assert_true(core_rig_wrote(H2_SETTINGS, 1, &f, &p)); /* the acknowledgement */
    assert_int_equal(f.flags, ACK);
    core_rig_close();
}

static void ping_is_answered(void **state)
{
    struct h2_frame f;
    const char *p = NULL;
    (void)state;
    core_rig_open();
    core_rig_say((struct part){H2_PING, 0, 0, P("abcdefgh")});
    assert_true(core_rig_wrote(H2_PING, 0, &f, &p));
    assert_int_equal(f.flags, ACK);
    assert_memory_equal(p, "abcdefgh", 8);
    core_rig_close();
}

static void blocks_are_put_together(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step += 12) {
        core_rig_open();
        core_rig_frame((struct part){H2_HEADERS, PAD | ES, 1, P("\2abc\0\0")});
        core_rig_frame((struct part){H2_CONTINUATION, 0, 1, P("defg")});
        core_rig_frame((struct part){H2_CONTINUATION, 0, 1, P("")});
        core_rig_frame((struct part){H2_CONTINUATION, EH, 1, P("hi")});
        core_rig_feed(step);
        assert_int_equal(core_rig.block_bytes, 9);
        assert_true(core_rig.ended);
        assert_int_equal(core_rig_goaway(), NONE);
        core_rig_close();
    }
}

/* ---- limits: as many as may be, and one more ---- */

static void streams_are_limited(void **state)
{
    (void)state;
    core_rig_open();
    for (uint32_t i = 0; i < H2_STREAMS_MAX; i++)
        core_rig_say((struct part)OPEN(2 * i + 1));
    assert_int_equal(core_rig.opened, H2_STREAMS_MAX);
    assert_int_equal(core_rig_count(H2_RST_STREAM), 0);
    core_rig_say((struct part)OPEN(2 * H2_STREAMS_MAX + 1));
    assert_int_equal(core_rig.opened, H2_STREAMS_MAX);
    assert_int_equal(core_rig_reset(2 * H2_STREAMS_MAX + 1), H2_REFUSED_STREAM);
    assert_true(core_rig.nowhere);
    core_rig_close();
}

/* Says `per_round` frames again and again; the last one within the limit and the first past it. */
static void flood(struct part p, int may, enum err e)
{
    core_rig_open();
    core_rig_say((struct part)OPEN(1));
    for (int i = 0; i < may; i++)
        core_rig_say(p);
    if (h2_core_failed(&core_rig.core))
        fail_msg("type %u: over before %d", p.type, may);
    core_rig_say(p);
    assert_int_equal(core_rig_goaway(), H2_ENHANCE_YOUR_CALM);
    assert_int_equal(core_rig.err, e);
    core_rig_close();
}

static void floods_end_the_connection(void **state)
{
    (void)state;
    flood((struct part){H2_PING, 0, 0, NULL, 8}, 200, ERR_H2_PINGS);
    flood((struct part){H2_PING, ACK, 0, NULL, 8}, 200, ERR_H2_PINGS);
    flood((struct part){H2_SETTINGS, 0, 0, P("")}, 99,
          ERR_H2_SETTINGS); /* the first is the rig's */
    flood((struct part){H2_PRIORITY, 0, 3, NULL, 5}, 1000, ERR_H2_PRIORITIES);
    flood((struct part){H2_PRIORITY_UPDATE, 0, 0, P("\0\0\0\1")}, 1000, ERR_H2_PRIORITIES);
    flood((struct part){0x77, 0, 0, P("")}, 1000, ERR_H2_PRIORITIES);
    flood((struct part){H2_DATA, 0, 1, P("")}, 200, ERR_H2_EMPTY);
    flood((struct part){H2_DATA, PAD, 1, P("\1\0")}, 200, ERR_H2_EMPTY);
    flood((struct part){H2_WINDOW_UPDATE, 0, 1, P("\0\0\0\1")}, 2000, ERR_H2_WINDOWS);
}

static void limits_flow_back(void **state)
{
    (void)state;
    core_rig_open();
    for (int second = 0; second < 10; second++) {
        core_rig.core.now_ms = second * 1000;
        for (int i = 0; i < (second == 0 ? 200 : 50); i++)
            core_rig_say((struct part){H2_PING, 0, 0, NULL, 8});
        assert_false(h2_core_failed(&core_rig.core));
    }
    core_rig_say((struct part){H2_PING, 0, 0, NULL, 8});
    assert_true(h2_core_failed(&core_rig.core));
    core_rig_close();
}

static void rapid_reset_ends_the_connection(void **state)
{
    (void)state;
    core_rig_open();
    for (uint32_t id = 1; id <= 2 * 200; id += 2) {
        core_rig_say((struct part)REQUEST(id));
        core_rig_say((struct part){H2_RST_STREAM, 0, id, NULL, 4});
    }
    assert_false(h2_core_failed(&core_rig.core));
    core_rig_say((struct part)REQUEST(401));
    core_rig_say((struct part){H2_RST_STREAM, 0, 401, NULL, 4});
    assert_int_equal(core_rig_goaway(), H2_ENHANCE_YOUR_CALM);
    assert_int_equal(core_rig.err, ERR_H2_RESETS);
    core_rig_close();
}

/* MadeYouReset: it is us who reset, for what the client does wrong. */
static void made_resets_end_the_connection(void **state)
{
    (void)state;
    core_rig_open();
    for (uint32_t id = 1; id <= 2 * 100; id += 2) {
        core_rig_say((struct part)REQUEST(id));
        core_rig_say((struct part){H2_WINDOW_UPDATE, 0, id, NULL, 4});
        assert_int_equal(core_rig_reset(id), H2_PROTOCOL_ERROR);
    }
    assert_false(h2_core_failed(&core_rig.core));
    core_rig_say((struct part)REQUEST(201));
    core_rig_say((struct part){H2_WINDOW_UPDATE, 0, 201, NULL, 4});
    assert_int_equal(core_rig.err, ERR_H2_MADE_RESETS);
    assert_int_equal(core_rig_goaway(), H2_ENHANCE_YOUR_CALM);
    core_rig_close();
}

static void continuations_are_limited(void **state)
{
    (void)state;
    core_rig_open();
    core_rig_say((struct part){H2_HEADERS, 0, 1, P("")});
    for (int i = 0; i < H2_BLOCK_FRAMES_MAX - 1; i++)
        core_rig_say((struct part){H2_CONTINUATION, 0, 1, P("")});
    assert_false(h2_core_failed(&core_rig.core));
    core_rig_say((struct part){H2_CONTINUATION, 0, 1, P("")});
    assert_int_equal(core_rig.err, ERR_H2_CONTINUATIONS);
    assert_int_equal(core_rig_goaway(), H2_ENHANCE_YOUR_CALM);
    core_rig_close();
}

static void blocks_are_limited(void **state)
{
    (void)state;
    for (uint32_t past = 0; past < 2; past++) {
        core_rig_open();
        core_rig_say((struct part){H2_HEADERS, 0, 1, NULL, 16384});
        for (int i = 0; i < 2; i++)
            core_rig_say((struct part){H2_CONTINUATION, 0, 1, NULL, 16384});
        core_rig_say((struct part){H2_CONTINUATION, past ? 0 : EH, 1, NULL, 16384});
        if (past)
            core_rig_say((struct part){H2_CONTINUATION, EH, 1, P("x")});
        assert_int_equal(h2_core_failed(&core_rig.core), past);
        assert_int_equal(core_rig.block_bytes, past ? 0 : H2_BLOCK_MAX_BYTES);
        core_rig_close();
    }
}

/* What both sides have ended is known by its number. */
static void ended_streams_stay_ended(void **state)
{
    static const struct part late[] = {REQUEST(1), {H2_DATA, 0, 1, P("x")}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(late); i++) {
        core_rig_open();
        core_rig_say((struct part)REQUEST(1));
        h2_core_ended(&core_rig.core, core_rig.streams[0]);
        assert_false(core_rig.streams[0]->listed);
        core_rig_say((struct part){H2_WINDOW_UPDATE, 0, 1, P("\0\0\0\1")});
        core_rig_say((struct part){H2_PRIORITY, 0, 1, P("\0\0\0\3\1")});
        core_rig_say((struct part){H2_RST_STREAM, 0, 1, NULL, 4});
        assert_false(h2_core_failed(&core_rig.core));
        core_rig_say(late[i]);
        assert_int_equal(core_rig_goaway(), H2_STREAM_CLOSED);
        core_rig_close();
    }
}

/* What was on its way when we reset a stream is no error, and the connection's window gets it back.
 */
static void late_frames_after_our_reset(void **state)
{
    (void)state;
    core_rig_open();
    core_rig_say((struct part)OPEN(1));
    h2_core_reset(&core_rig.core, core_rig.streams[0], H2_NO_ERROR);
    int64_t window = core_rig.core.recv_window;
    core_rig_say((struct part){H2_DATA, 0, 1, NULL, 1000});
    core_rig_say((struct part){H2_DATA, PAD, 1, P("\3abc\0\0\0")});
    core_rig_say((struct part)REQUEST(1));
    assert_false(h2_core_failed(&core_rig.core));
    assert_true(core_rig.nowhere);
    assert_int_equal(core_rig.core.held_bytes, 0);
    assert_int_equal(core_rig.core.recv_window, window - 1007);
    assert_int_equal(core_rig_count(H2_RST_STREAM), 1);
    core_rig_close();
}

/* ---- windows ---- */

static void windows_open_as_data_are_consumed(void **state)
{
    struct h2_frame f;
    const char *p = NULL;
    (void)state;
    core_rig_open();
    core_rig.keeps = true;
    core_rig_say((struct part)OPEN(1));
    for (int i = 0; i < 3; i++)
        core_rig_say((struct part){H2_DATA, 0, 1, NULL, 16384});
    struct h2_stream *s = core_rig.streams[0];
    assert_int_equal(s->held_bytes, 3 * 16384);
    assert_int_equal(core_rig_count(H2_WINDOW_UPDATE), 1); /* the connection's, at the start */
    core_rig.core.now_ms = 10000;                          /* slow: it does not grow */
    h2_core_consumed(&core_rig.core, s, 16384);
    assert_int_equal(core_rig_count(H2_WINDOW_UPDATE), 1);
    h2_core_consumed(&core_rig.core, s, 2 * 16384);
    assert_true(core_rig_wrote(H2_WINDOW_UPDATE, 1, &f, &p));
    assert_int_equal(f.stream, 1);
    assert_int_equal(h2_get32(p), 3 * 16384);
    assert_int_equal(s->window_bytes, H2_WINDOW_BYTES);
    core_rig_close();
}

static void windows_grow_with_demand(void **state)
{
    (void)state;
    core_rig_open();
    core_rig_say((struct part){H2_SETTINGS, ACK, 0, P("")});
    core_rig_say((struct part)OPEN(1));
    struct h2_stream *s = core_rig.streams[0];
    for (int i = 0; i < 2000; i++)
        core_rig_say((struct part){H2_DATA, 0, 1, NULL, 16384});
    assert_false(h2_core_failed(&core_rig.core));
    assert_int_equal(s->window_bytes, H2_STREAM_WINDOW_MAX_BYTES);
    assert_int_equal(core_rig.core.window_bytes, H2_CONN_WINDOW_MAX_BYTES);
    assert_true(core_rig_count(H2_WINDOW_UPDATE) < 40);
    core_rig_close();
}

static void windows_grow_for_a_consumer_a_step_behind(void **state)
{
    (void)state;
    for (uint32_t fewer = 0; fewer < 2; fewer++) {
        core_rig_open();
        core_rig.keeps = true;
        core_rig_say((struct part)OPEN(1));
        for (int i = 0; i < 3; i++)
            core_rig_say((struct part){H2_DATA, 0, 1, NULL, 16384});
        struct h2_stream *s = core_rig.streams[0];
        h2_core_consumed(&core_rig.core, s, 3 * 16384 - H2_WINDOW_BYTES / 4 - 1 + fewer);
        /* one byte more than a quarter lies around, or a quarter */
        assert_int_equal(s->window_bytes, H2_WINDOW_BYTES * (fewer ? 2 : 1));
        core_rig_close();
    }
}

static void windows_are_kept(void **state)
{
    (void)state;
    for (uint32_t past = 0; past < 2; past++) {
        core_rig_open();
        core_rig.keeps = true;
        core_rig_say((struct part)OPEN(1));
        for (int i = 0; i < 3; i++)
            core_rig_say((struct part){H2_DATA, 0, 1, NULL, 16384});
        core_rig_say((struct part){H2_DATA, 0, 1, NULL, 16383 + past});
        assert_int_equal(core_rig_reset(1), past ? H2_FLOW_CONTROL_ERROR : NONE);
        assert_false(h2_core_failed(&core_rig.core));
        core_rig_close();
    }
}

static void connection_window_is_kept(void **state)
{
    (void)state;
    core_rig_open();
    core_rig.keeps = true;
    for (uint32_t i = 0; i < 17; i++) { /* 17 * 62,000 are over a megabyte */
        core_rig_say((struct part)OPEN(2 * i + 1));
        for (int k = 0; k < 4; k++) {
            assert_int_equal(core_rig_goaway(), NONE);
            core_rig_say((struct part){H2_DATA, 0, 2 * i + 1, NULL, 15500});
        }
    }
    assert_int_equal(core_rig_goaway(), H2_FLOW_CONTROL_ERROR);
    core_rig_close();
}

static void sending_keeps_to_windows(void **state)
{
    (void)state;
    core_rig_open();
    core_rig_say((struct part){H2_SETTINGS, 0, 0, P("\0\4\0\0\0\12")});
    core_rig_say((struct part)REQUEST(1));
    struct h2_core *c = &core_rig.core;
    struct h2_stream *s = core_rig.streams[0];
    assert_int_equal(h2_core_may_send(c, s), 10);
    assert_true(h2_core_data(c, s, 10, false));
    assert_int_equal(h2_core_may_send(c, s), 0);
    core_rig_say((struct part){H2_SETTINGS, 0, 0, P("\0\4\0\0\0\5")});
    assert_int_equal(s->send_window, -5); /* RFC 9113 6.9.2 */
    core_rig_say((struct part){H2_WINDOW_UPDATE, 0, 1, P("\0\0\0\5")});
    assert_int_equal(core_rig.windows, 0);
    core_rig_say((struct part){H2_WINDOW_UPDATE, 0, 1, P("\0\1\0\0")});
    assert_int_equal(core_rig.windows, 1);
    assert_int_equal(h2_core_may_send(c, s), 16384); /* one frame's */
    core_rig_close();
}

/* ---- the end ---- */

static void draining_serves_what_is_on_its_way(void **state)
{
    (void)state;
    core_rig_open();
    core_rig_say((struct part)REQUEST(1));
    h2_core_goaway(&core_rig.core, H2_STREAM_MAX, H2_NO_ERROR);
    h2_core_ping(&core_rig.core);
    core_rig_say((struct part)REQUEST(3));
    assert_int_equal(core_rig.opened, 2);
    core_rig_say((struct part){H2_PING, ACK, 0, P("weir end")});
    assert_int_equal(core_rig.pongs, 1);
    h2_core_goaway(&core_rig.core, core_rig.core.last_id, H2_NO_ERROR);
    core_rig_say((struct part)OPEN(5));
    core_rig_say((struct part){H2_DATA, ES, 5, P("late")});
    assert_int_equal(core_rig.opened, 2);
    assert_true(core_rig.nowhere);
    assert_false(h2_core_failed(&core_rig.core));
    core_rig_close();
}

static void priorities_are_read(void **state)
{
    static const struct {
        const char *text;
        uint8_t urgency;
        bool incremental;
    } cases[] = {{"u=0", 0, false},       {"u=7, i", 7, true},   {"i", 3, true},
                 {"i=?0", 3, false},      {"i=?1;x", 3, true},   {"u=8", 3, false},
                 {"u=-1, x=1", 3, false}, {"u=1,u=5", 5, false}, {"", 3, false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t urgency = H2_URGENCY_DEFAULT;
        bool incremental = false;
        h2_priority_read(slice_of(cases[i].text), &urgency, &incremental);
        assert_int_equal(urgency, cases[i].urgency);
        assert_int_equal(incremental, cases[i].incremental);
    }
}

static void say_update(uint32_t id, char urgency)
{
    char payload[] = {0, 0, 0, (char)id, 'u', '=', urgency};
    core_rig_say((struct part){H2_PRIORITY_UPDATE, 0, 0, payload, sizeof payload});
}

static uint8_t urgency_at_begin(uint32_t id)
{
    struct h2_stream s = {.id = id, .urgency = H2_URGENCY_DEFAULT, .incremental = true};
    h2_priority_begin(&core_rig.core, &s);
    assert_int_equal(s.incremental, s.urgency == H2_URGENCY_DEFAULT);
    return s.urgency;
}

/* As many as there is room for, then the oldest goes; what began or ended is not kept. */
static void priorities_wait_for_their_streams(void **state)
{
    (void)state;
    core_rig_open();
    core_rig_say((struct part)REQUEST(1));
    core_rig_say((struct part){H2_RST_STREAM, 0, 1, NULL, 4});
    say_update(1, '6');
    assert_int_equal(urgency_at_begin(1), H2_URGENCY_DEFAULT);
    for (uint32_t i = 0; i < H2_EARLY_KEPT; i++)
        say_update(2 * i + 3, '5');
    say_update(3, '1');
    assert_int_equal(urgency_at_begin(3), 1);
    say_update(2 * H2_EARLY_KEPT + 3, '2');
    assert_int_equal(urgency_at_begin(3), H2_URGENCY_DEFAULT);
    assert_int_equal(urgency_at_begin(5), 5);
    assert_int_equal(urgency_at_begin(2 * H2_EARLY_KEPT + 3), 2);
    core_rig_close();
}

/* ---- lengths ---- */

static void data_fit_their_length(void **state)
{
    static const struct {
        uint32_t first, second;
        int reset;
    } cases[] = {{5, 5, NONE}, {10, 0, NONE}, {5, 4, H2_PROTOCOL_ERROR}, {5, 6, H2_PROTOCOL_ERROR}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        core_rig_open();
        core_rig_say((struct part)OPEN(1));
        assert_true(h2_core_expect(core_rig.streams[0], 10));
        core_rig_say((struct part){H2_DATA, 0, 1, NULL, cases[i].first});
        core_rig_say((struct part){H2_DATA, ES, 1, NULL, cases[i].second});
        assert_int_equal(core_rig_reset(1), cases[i].reset);
        core_rig_close();
    }
}

static void trailers_do_not_cut_the_length(void **state)
{
    (void)state;
    core_rig_open();
    core_rig_say((struct part)OPEN(1));
    assert_true(h2_core_expect(core_rig.streams[0], 10));
    core_rig_say((struct part){H2_DATA, 0, 1, NULL, 9});
    core_rig_say((struct part)REQUEST(1));
    assert_int_equal(core_rig_reset(1), H2_PROTOCOL_ERROR);
    core_rig_close();
}

UNIT_SUITE(
    h2_h2_core, cmocka_unit_test(every_frame_gets_its_reaction),
    cmocka_unit_test(preface_is_demanded), cmocka_unit_test(first_frame_is_settings),
    cmocka_unit_test(says_what_it_is), cmocka_unit_test(ping_is_answered),
    cmocka_unit_test(blocks_are_put_together), cmocka_unit_test(streams_are_limited),
    cmocka_unit_test(floods_end_the_connection), cmocka_unit_test(limits_flow_back),
    cmocka_unit_test(rapid_reset_ends_the_connection),
    cmocka_unit_test(made_resets_end_the_connection), cmocka_unit_test(continuations_are_limited),
    cmocka_unit_test(blocks_are_limited), cmocka_unit_test(data_fit_their_length),
    cmocka_unit_test(ended_streams_stay_ended), cmocka_unit_test(late_frames_after_our_reset),
    cmocka_unit_test(windows_open_as_data_are_consumed), cmocka_unit_test(windows_grow_with_demand),
    cmocka_unit_test(windows_grow_for_a_consumer_a_step_behind), cmocka_unit_test(windows_are_kept),
    cmocka_unit_test(connection_window_is_kept), cmocka_unit_test(sending_keeps_to_windows),
    cmocka_unit_test(draining_serves_what_is_on_its_way), cmocka_unit_test(priorities_are_read),
    cmocka_unit_test(priorities_wait_for_their_streams),
    cmocka_unit_test(trailers_do_not_cut_the_length));
