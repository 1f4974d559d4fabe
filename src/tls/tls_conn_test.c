/* tls_conn_test.c - what a user of a TLS connection sees, on both backends and under faults: pieces
 * when asked, everything whole and in order, few sends, ends that can not be forged. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_testing_priv.h"

static char block[100000];

static void fill_block(void)
{
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 13 + i / 255);
}

static void talk(void)
{
    rig_connect();
    assert_true(conn_is_tls(rig.a.conn) && conn_is_tls(rig.b.conn));
    conn_recv(rig.a.conn);
    conn_recv(rig.b.conn);
    rig_write(rig.a.conn, "ping");
    RIG_UNTIL(rig.b.seen_bytes == 4);
    rig_write(rig.b.conn, "pong");
    RIG_UNTIL(rig.a.seen_bytes == 4);
    rig_expect(&rig.b, "ping");
    rig_expect(&rig.a, "pong");
    rig_turns(20);
    /* Idle: no buffer, no ring. */
    assert_int_equal(rig.loop.bufs.held_bytes, 0);
    assert_null(rig.a.conn->out);
    assert_true(conn_recv_armed(rig.a.conn));
}

static void talks_both_ways(void **state)
{
    (void)state;
    rig_on_both(talk, &rig_odd);
}

/* Bytes that are asked for and sent before the handshake wait for its end. */
static void early(void)
{
    rig_dial(true);
    rig_write(rig.a.conn, "early");
    conn_recv(rig.a.conn);
    RIG_UNTIL(rig.a.open_count && rig.b.open_count);
    conn_recv(rig.b.conn);
    RIG_UNTIL(rig.b.seen_bytes == 5);
    rig_write(rig.b.conn, "late");
    RIG_UNTIL(rig.a.seen_bytes == 4);
}

static void may_write_before_it_is_open(void **state)
{
    (void)state;
    rig_on_both(early, &rig_odd);
}

/* ---- much ---- */

static size_t sent_bytes;

static void send_pattern(struct conn *c, size_t total)
{
    size_t at = sent_bytes % sizeof block;
    while (sent_bytes < total && conn_out_room(c) && conn_out_bytes(c) < CONN_OUT_HIGH_BYTES) {
        /* pieces of many sizes, so that records begin and end anywhere */
        size_t len = 1 + (sent_bytes * 7919) % 30000;
        len = len < sizeof block - at ? len : sizeof block - at;
        len = len < total - sent_bytes ? len : total - sent_bytes;
        assert_int_equal(conn_write(c, (struct span){NULL, block + at, len}), ERR_OK);
        sent_bytes += len;
        at = sent_bytes % sizeof block;
    }
}

static void expect_pattern(const struct rig_end *e)
{
    for (size_t at = 0; at < e->seen_bytes; at += sizeof block) {
        size_t len = e->seen_bytes - at < sizeof block ? e->seen_bytes - at : sizeof block;
        assert_memory_equal(e->seen + at, block, len);
    }
}

static void send_much(struct rig_end *from, struct rig_end *to, size_t total)
{
    sent_bytes = 0;
    conn_recv(to->conn);
    RIG_UNTIL(({
        send_pattern(from->conn, total);
        to->seen_bytes == total;
    }));
    expect_pattern(to);
}

static void much(void)
{
    fill_block();
    rig_connect();
    send_much(&rig.a, &rig.b, 700000);
    send_much(&rig.b, &rig.a, 700000);
    rig_turns(10);
    assert_int_equal(rig.loop.bufs.held_bytes, 0);
}

static void much_arrives_whole_and_in_order(void **state)
{
    (void)state;
    rig_on_both(much, &rig_odd);
}

static void both_ways(void)
{
    fill_block();
    rig_connect();
    conn_recv(rig.a.conn);
    conn_recv(rig.b.conn);
    for (int i = 0; i < 30; i++) {
        struct span s = {NULL, block, 20000};
        assert_int_equal(conn_write(rig.a.conn, s), ERR_OK);
        assert_int_equal(conn_write(rig.b.conn, s), ERR_OK);
    }
    RIG_UNTIL(rig.a.seen_bytes == 600000 && rig.b.seen_bytes == 600000);
    for (int i = 0; i < 30; i++)
        assert_memory_equal(rig.a.seen + i * 20000, block, 20000);
    assert_memory_equal(rig.a.seen, rig.b.seen, 600000);
}

static void both_directions_at_once(void **state)
{
    (void)state;
    rig_on_both(both_ways, &rig_odd);
}

/* Every length around the sizes of records and buffers. */
static void lengths(void)
{
    static const int sizes[] = {1,     2,     7900,  8127,  8128,  8129,  16383,
                                16384, 16385, 32768, 65535, 65536, 65537, 73664};
    rig_connect();
    fill_block();
    conn_recv(rig.b.conn);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t size = (size_t)sizes[i];
        rig.b.seen_bytes = 0;
        assert_int_equal(conn_write(rig.a.conn, (struct span){NULL, block, size}), ERR_OK);
        RIG_UNTIL(rig.b.seen_bytes == size);
        assert_memory_equal(rig.b.seen, block, size);
    }
}

static void lengths_at_every_edge(void **state)
{
    (void)state;
    rig_on_both(lengths, &rig_odd);
}

static void ten_megabytes(void **state)
{
    (void)state;
    rig_open(NULL);
    fill_block();
    rig_connect();
    rig_send_count = 0;
    send_much(&rig.a, &rig.b, 10 << 20);
    assert_true(rig_send_count <= 203);
    rig_close();
}

/* Head and body as two spans: one record, seen by its size on the wire. */
static void head_and_body_are_one_record(void **state)
{
    (void)state;
    rig_open(NULL);
    rig_connect();
    conn_recv(rig.b.conn);
    rig_turns(10);
    uint64_t before = rig.a.conn->bytes_out;
    rig_send_count = 0;
    rig_write(rig.a.conn, "HTTP/1.1 200 OK\r\n\r\n");
    rig_write(rig.a.conn, "");
    rig_write(rig.a.conn, "hello");
    RIG_UNTIL(rig.b.seen_bytes == 24);
    assert_int_equal(rig_send_count, 1);
    assert_int_equal(rig.b.data_count, 1);
    assert_int_equal(rig.a.conn->bytes_out - before, 24 + 5 + 1 + 16); /* one header and tag */
    rig_close();
}

static void nothing_but_empty_spans(void)
{
    rig_connect();
    conn_recv(rig.b.conn);
    rig_write(rig.a.conn, "");
    rig_write(rig.a.conn, "");
    RIG_UNTIL(!rig.a.conn->out);
    rig_turns(5);
    assert_int_equal(rig.b.seen_bytes, 0);
    rig_write(rig.a.conn, "x");
    RIG_UNTIL(rig.b.seen_bytes == 1);
}

static void empty_spans_are_nothing(void **state)
{
    (void)state;
    rig_on_both(nothing_but_empty_spans, &rig_plain);
}

/* ---- back-pressure ---- */

static void nothing_unasked(void)
{
    fill_block();
    rig_connect();
    rig.b.manual = true;
    conn_recv(rig.b.conn);
    conn_recv(rig.b.conn); /* asked twice is asked once */
    assert_int_equal(conn_write(rig.a.conn, (struct span){NULL, block, 60000}), ERR_OK);
    RIG_UNTIL(rig.b.data_count == 1);
    assert_false(conn_recv_armed(rig.b.conn));
    rig_turns(20);
    assert_int_equal(rig.b.data_count, 1);
    while (rig.b.seen_bytes < 60000) {
        int pieces = rig.b.data_count;
        conn_recv(rig.b.conn);
        assert_int_equal(rig.b.data_count, pieces); /* not from inside the call */
        RIG_UNTIL(rig.b.data_count == pieces + 1);
    }
    assert_memory_equal(rig.b.seen, block, 60000);
}

static void nothing_comes_unasked(void **state)
{
    (void)state;
    rig_on_both(nothing_unasked, &rig_odd);
}

static void press(void)
{
    size_t written = 0;
    rig_connect();
    fill_block();
    while (written < RIG_SEEN_MAX - sizeof block &&
           conn_out_bytes(rig.a.conn) < CONN_OUT_HIGH_BYTES) {
        assert_int_equal(conn_write(rig.a.conn, (struct span){NULL, block, sizeof block}), ERR_OK);
        written += sizeof block;
        rig_turns(6); /* a send takes 64 KB */
    }
    conn_want_room(rig.a.conn);
    if (written < RIG_SEEN_MAX - sizeof block) {
        rig_turns(20);
        assert_int_equal(rig.a.room_count, 0);
    }
    conn_recv(rig.b.conn);
    RIG_UNTIL(rig.a.room_count == 1);
    assert_true(conn_out_bytes(rig.a.conn) <= CONN_OUT_LOW_BYTES);
    RIG_UNTIL(rig.b.seen_bytes == written);
    expect_pattern(&rig.b);
}

static void back_pressure_reaches_the_writer(void **state)
{
    static const struct sim_faults narrow = {.window_bytes = 20000, .short_write = 300};
    (void)state;
    rig_on_both(press, &narrow);
}

/* ---- ends ---- */

static void half_close(void)
{
    rig_connect();
    rig_write(rig.a.conn, "question");
    conn_shutdown(rig.a.conn);
    rig_turns(10);
    conn_recv(rig.b.conn);
    RIG_UNTIL(rig.b.eof_count == 1);
    rig_expect(&rig.b, "question");
    conn_recv(rig.b.conn);
    conn_recv(rig.a.conn);
    rig_write(rig.b.conn, "answer");
    RIG_UNTIL(rig.a.seen_bytes == 6);
    assert_int_equal(rig.a.eof_count, 0);
    conn_shutdown(rig.b.conn);
    RIG_UNTIL(rig.a.eof_count == 1);
    assert_int_equal(rig.b.eof_count, 1);
    assert_int_equal(rig.a.err | rig.b.err, ERR_OK);
}

static void half_close_works(void **state)
{
    (void)state;
    rig_on_both(half_close, &rig_odd);
}

static void close_after_output(void)
{
    fill_block();
    rig_connect();
    conn_recv(rig.b.conn);
    conn_recv(rig.a.conn); /* the ticket: a close with unread bytes would be a reset */
    rig_turns(20);
    for (int i = 0; i < 10; i++)
        assert_int_equal(conn_write(rig.a.conn, (struct span){NULL, block, sizeof block}), ERR_OK);
    conn_close_by(rig.a.conn, rig.loop.now_ms + 60000);
    rig.a.conn = NULL;
    RIG_UNTIL(rig.b.eof_count == 1);
    assert_int_equal(rig.b.seen_bytes, 10 * sizeof block);
    expect_pattern(&rig.b);
}

static void close_sends_what_is_queued(void **state)
{
    (void)state;
    rig_on_both(close_after_output, &rig_odd);
}

/* Nothing is queued: the close_notify alone is waited for. */
static void close_idle(void)
{
    rig_connect();
    conn_recv(rig.b.conn);
    conn_recv(rig.a.conn);
    rig_turns(5);
    conn_close_by(rig.a.conn, rig.loop.now_ms + 60000);
    rig.a.conn = NULL;
    RIG_UNTIL(rig.b.eof_count == 1);
    assert_int_equal(rig.b.err, ERR_OK);
    RIG_UNTIL(list_empty(&rig.loop.dead) && rig.loop.timers.count == 0);
}

static void an_idle_one_closes_with_close_notify(void **state)
{
    (void)state;
    rig_on_both(close_idle, &rig_odd);
}

static void linger(void)
{
    fill_block();
    rig_connect();
    conn_recv(rig.a.conn);
    assert_int_equal(conn_write(rig.a.conn, (struct span){NULL, block, 50000}), ERR_OK);
    rig_turns(5);
    rig_write(rig.b.conn, "413");
    conn_linger(rig.b.conn, rig.loop.now_ms + 60000);
    rig.b.conn = NULL;
    RIG_UNTIL(rig.a.eof_count == 1);
    rig_expect(&rig.a, "413");
    assert_int_equal(rig.a.err, ERR_OK);
    conn_close_by(rig.a.conn, rig.loop.now_ms + 60000);
    rig.a.conn = NULL;
    RIG_UNTIL(list_empty(&rig.loop.dead) && rig.loop.timers.count == 0);
}

static void lingers_until_the_peer_ends(void **state)
{
    (void)state;
    rig_on_both(linger, &rig_odd);
}

/* A FIN that anybody could have made. */
static void truncate_it(void)
{
    rig_connect();
    conn_recv(rig.b.conn);
    rig_write(rig.a.conn, "half of someth");
    RIG_UNTIL(rig.b.seen_bytes == 14);
    io_shutdown(&rig.loop, &rig.a.conn->sock);
    RIG_UNTIL(rig.b.err);
    assert_int_equal(rig.b.err, ERR_TLS_TRUNCATED);
    assert_int_equal(rig.b.eof_count, 0);
}

static void a_fin_without_close_notify_is_an_error(void **state)
{
    (void)state;
    rig_on_both(truncate_it, &rig_odd);
}

static void reset_it(void)
{
    rig_connect();
    conn_recv(rig.b.conn);
    rig_write(rig.a.conn, "partial");
    RIG_UNTIL(rig.b.seen_bytes == 7);
    conn_reset(rig.a.conn);
    rig.a.conn = NULL;
    RIG_UNTIL(rig.b.err);
    assert_int_equal(rig.b.err, ERR_CLIENT_RESET);
    assert_int_equal(rig.b.eof_count, 0);
    assert_int_equal(conn_write(rig.b.conn, (struct span){NULL, "x", 1}), ERR_CLIENT_RESET);
}

static void a_reset_is_no_clean_end(void **state)
{
    (void)state;
    rig_on_both(reset_it, &rig_odd);
}

static int send_errors;

static void on_send_error(struct conn *c)
{
    (void)c;
    send_errors++;
}

/* The server has answered and slammed the door before it has read all. */
static void answer_early(void)
{
    struct conn_user_ops ops = rig_ops;
    ops.on_send_error = on_send_error;
    rig_connect();
    fill_block();
    conn_set_user(rig.a.conn, &ops, &rig.a);
    send_errors = 0;
    rig_write(rig.b.conn, "413");
    RIG_UNTIL(!rig.b.conn->out && !rig.b.conn->layer_unsent);
    rig_turns(10);
    conn_reset(rig.b.conn);
    rig.b.conn = NULL;
    RIG_UNTIL(({
        if (!send_errors && conn_out_room(rig.a.conn) > 32)
            (void)!conn_write(rig.a.conn, (struct span){NULL, block, 50000});
        send_errors;
    }));
    assert_int_equal(rig.a.err, ERR_OK);
    conn_recv(rig.a.conn);
    RIG_UNTIL(rig.a.err);
    rig_expect(&rig.a, "413");
    assert_int_equal(rig.a.eof_count, 0); /* what was said may be half of it */
    conn_abort(rig.a.conn);
    rig.a.conn = NULL;
    rig_turns(5);
}

static void an_early_answer_outlives_the_reset(void **state)
{
    (void)state;
    rig_on_both(answer_early, &rig_plain);
}

/* Somebody on the way changes a byte. */
static void tamper(void)
{
    static const char junk[] = "\x17\x03\x03\x00\x20 this is no record of this session";
    static struct iovec iov = {(void *)(uintptr_t)junk, 37};
    rig_connect();
    conn_recv(rig.b.conn);
    conn_recv(rig.a.conn);
    rig_write(rig.a.conn, "good");
    RIG_UNTIL(rig.b.seen_bytes == 4 && !rig.a.conn->send_op.armed);
    io_send(&rig.loop, &rig.a.conn->sock, &rig.a.conn->send_op, &iov, 1);
    RIG_UNTIL(rig.b.err);
    assert_int_equal(rig.b.err, ERR_TLS_BROKEN);
    assert_true(strlen(rig.b.why) > 5);
    rig_expect(&rig.b, "good");
    conn_abort(rig.b.conn);
    rig.b.conn = NULL;
    RIG_UNTIL(rig.a.err); /* the alert has come through, not only an end */
    assert_int_equal(rig.a.err, ERR_TLS_BROKEN);
}

static void a_changed_record_is_an_error(void **state)
{
    (void)state;
    rig_on_both(tamper, &rig_plain);
}

/* Both ends given up at any moment of a whole conversation; nothing is left behind. */
static void aborts_at_every_step(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        rig_open(sim_net_new((uint64_t)i, &rig_odd));
        fill_block();
        rig_dial(true);
        for (int turn = 0; turn < i; turn++) {
            sim_run(rig.net, sim_now_ms(rig.net) + 1);
            if (rig.b.conn && !rig.b.data_count && !rig.b.err) {
                conn_recv(rig.b.conn);
                (void)!conn_write(rig.b.conn, (struct span){NULL, block, 30000});
            }
        }
        struct conn **victim = i % 2 && rig.b.conn ? &rig.b.conn : &rig.a.conn;
        if (i % 3 == 0)
            conn_close_by(*victim, rig.loop.now_ms + 100);
        else if (i % 3 == 1)
            conn_linger(*victim, rig.loop.now_ms + 100);
        else
            conn_abort(*victim);
        *victim = NULL;
        rig_turns(10);
        rig_close();
    }
}

static void survives_every_fault(void **state)
{
    static const struct sim_faults hostile = {.split = 300,
                                              .delay = 200,
                                              .reset = 30,
                                              .short_write = 300,
                                              .no_buffer = 200,
                                              .delay_max_ms = 100,
                                              .window_bytes = 3000};
    int broken = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        rig_open(sim_net_new(seed, &hostile));
        fill_block();
        rig_dial(true);
        for (int i = 0; i < 60; i++) {
            rig_turn();
            if (rig.b.conn && !rig.b.err && !rig.b.eof_count) {
                conn_recv(rig.b.conn);
                if (conn_out_room(rig.b.conn) > 32)
                    (void)!conn_write(rig.b.conn, (struct span){NULL, block, 3000});
            }
            if (rig.a.open_count && !rig.a.open_err)
                conn_recv(rig.a.conn);
        }
        for (size_t at = 0; at < rig.a.seen_bytes; at += 3000)
            assert_memory_equal(rig.a.seen + at, block,
                                rig.a.seen_bytes - at < 3000 ? rig.a.seen_bytes - at : 3000);
        broken += rig.a.err || rig.a.open_err || rig.b.err || rig.b.open_err;
        rig_close();
    }
    assert_true(broken > 10 && broken < 100);
}

/* ---- what is not for the user ---- */

/* Updates of keys that ask for an answer (RFC 8446 4.6.3). */
static void send_around(struct conn *c, const char *first, int updates, const char *second)
{
    struct tls_conn *t = tls_of(c);
    size_t n;
    assert_true(tls_out_reserve(t, BUF_LARGE_BYTES));
    if (*first)
        assert_int_equal(SSL_write_ex(t->ssl, first, strlen(first), &n), 1);
    while (updates--) {
        assert_int_equal(SSL_key_update(t->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(t->ssl), 1);
    }
    if (*second)
        assert_int_equal(SSL_write_ex(t->ssl, second, strlen(second), &n), 1);
    conn_layer_flush(c);
}

static struct span held;

static void hold_first(struct conn *c, struct span s)
{
    if (held.len) {
        rig_data(c, s);
        return;
    }
    held = s;
    conn_recv(c);
}

/* The answers to many updates find no room while the output does not move: what follows waits, and
 * what was told stays as it is. */
static void answers_without_room_lose_nothing(void **state)
{
    static const struct conn_user_ops holding = {.on_open = rig_opened,
                                                 .on_data = hold_first,
                                                 .on_eof = rig_eof,
                                                 .on_room = rig_room,
                                                 .on_error = rig_error};
    (void)state;
    fill_block();
    held = (struct span){0};
    rig_open(sim_net_new(1, &rig_plain));
    rig_connect();
    conn_set_user(rig.b.conn, &holding, &rig.b);
    sent_bytes = 0;
    for (int i = 0; i < 20; i++) {
        send_pattern(rig.b.conn, 1200000);
        rig_turns(5);
    }
    assert_non_null(tls_of(rig.b.conn)->out); /* nobody reads it */
    send_around(rig.a.conn, "first", 900, "second");
    conn_recv(rig.b.conn);
    rig_turns(20);
    assert_int_equal(held.len, 5);
    conn_recv(rig.a.conn);
    RIG_UNTIL(({
        send_pattern(rig.b.conn, 1200000);
        rig.a.seen_bytes == 1200000 || rig.a.err || rig.b.err;
    }));
    assert_int_equal(rig.a.err | rig.b.err, ERR_OK);
    RIG_UNTIL(rig.b.seen_bytes == 6);
    expect_pattern(&rig.a);
    rig_expect(&rig.b, "second");
    assert_memory_equal(held.at, "first", 5);
    span_drop(held);
    rig_close();
}

/* Work without end for nothing: more than any peer has reason to send is an attack. */
static void records_without_data_are_limited(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int rounds = 0;
        rig_open(sim_net_new(1, &rig_plain));
        rig_connect();
        conn_recv(rig.a.conn);
        conn_recv(rig.b.conn);
        for (; rounds < 20 && !rig.a.err && !rig.b.err; rounds++) {
            send_around(rig.a.conn, "", 500, i ? "x" : "");
            rig_write(rig.b.conn, "y"); /* the answers are not to end it */
            rig_turns(10);
        }
        assert_int_equal(rig.b.err, i ? ERR_OK : ERR_TLS_BROKEN);
        if (i ? rounds != 20 : rounds < 3 || rounds > 8)
            fail_msg("%d rounds", rounds);
        rig_close();
    }
}

UNIT_SUITE(tls_tls_conn, cmocka_unit_test(talks_both_ways),
           cmocka_unit_test(records_without_data_are_limited),
           cmocka_unit_test(answers_without_room_lose_nothing),
           cmocka_unit_test(may_write_before_it_is_open),
           cmocka_unit_test(much_arrives_whole_and_in_order),
           cmocka_unit_test(both_directions_at_once), cmocka_unit_test(lengths_at_every_edge),
           cmocka_unit_test(ten_megabytes), cmocka_unit_test(head_and_body_are_one_record),
           cmocka_unit_test(empty_spans_are_nothing), cmocka_unit_test(nothing_comes_unasked),
           cmocka_unit_test(back_pressure_reaches_the_writer), cmocka_unit_test(half_close_works),
           cmocka_unit_test(close_sends_what_is_queued),
           cmocka_unit_test(an_idle_one_closes_with_close_notify),
           cmocka_unit_test(lingers_until_the_peer_ends),
           cmocka_unit_test(a_fin_without_close_notify_is_an_error),
           cmocka_unit_test(a_reset_is_no_clean_end),
           cmocka_unit_test(an_early_answer_outlives_the_reset),
           cmocka_unit_test(a_changed_record_is_an_error), cmocka_unit_test(aborts_at_every_step),
           cmocka_unit_test(survives_every_fault));
