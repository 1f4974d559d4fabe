/* conn_end_test.c - how connections begin and end on both backends: half-close, EOF with data,
 * every way of closing, resets, refused connects, and all of it under faults. */
// SPDX-License-Identifier: Apache-2.0
#include "net/conn_testing_priv.h"

/* ---- ends ---- */

static void half_close(void)
{
    write_text(world.a.conn, "question");
    conn_shutdown(world.a.conn);
    some_turns();
    conn_recv(world.b.conn); /* data and FIN have both come before */
    TURN_UNTIL(world.b.eof_count == 1);
    expect_seen(&world.b, "question");
    conn_recv(world.b.conn);
    some_turns();
    assert_int_equal(world.b.eof_count, 1);
    conn_recv(world.a.conn);
    write_text(world.b.conn, "answer");
    TURN_UNTIL(world.a.seen_bytes == 6);
    assert_int_equal(world.a.eof_count, 0);
    conn_shutdown(world.b.conn);
    TURN_UNTIL(world.a.eof_count == 1);
    assert_int_equal(world.a.err, ERR_OK);
}

static void half_close_and_eof_with_data(void **state)
{
    (void)state;
    on_both(half_close, &odd);
}

static void close_after_output(void)
{
    conn_recv(world.b.conn);
    for (int i = 0; i < 20; i++)
        write_block();
    conn_close_by(world.a.conn, world.loop.now_ms + 60000);
    world.a.conn = NULL;
    TURN_UNTIL(world.b.eof_count == 1);
    assert_int_equal(world.b.seen_bytes, 20 * sizeof(block));
    assert_int_equal(world.loop.timers.count, 0);
}

static void close_sends_what_is_queued(void **state)
{
    (void)state;
    on_both(close_after_output, &odd);
}

static void close_with_deadline(void)
{
    for (int i = 0; i < 60; i++)
        write_block();
    turn();
    /* The other end never reads. If the kernel takes all of it there is nothing to wait for. */
    conn_close_by(world.a.conn, world.loop.now_ms + 50);
    world.a.conn = NULL;
    TURN_UNTIL(world.loop.timers.count == 0 && list_empty(&world.loop.dead));
    world.b.manual = false;
    conn_recv(world.b.conn);
    TURN_UNTIL(world.b.eof_count || world.b.err);
}

static void close_gives_up_at_its_deadline(void **state)
{
    (void)state;
    on_both(close_with_deadline, &plain);
    assert_int_equal(world.b.err, ERR_CLIENT_RESET); /* visibly cut off */
}

/* The reader takes many times the deadline, but never so long for one piece. */
static void close_slowly(void)
{
    world.b.manual = true;
    for (int i = 0; i < 60; i++)
        write_block();
    conn_close_by(world.a.conn, world.loop.now_ms + 100);
    world.a.conn = NULL;
    for (int i = 0; i < TURNS_MAX && !world.b.eof_count && !world.b.err; i++) {
        conn_recv(world.b.conn);
        turn();
    }
    assert_int_equal(world.b.err, ERR_OK);
    assert_int_equal(world.b.seen_bytes, 60 * sizeof(block));
}

static void close_waits_for_a_slow_reader(void **state)
{
    (void)state;
    on_both(close_slowly, &odd);
}

/* The client goes on sending after the answer is out: it gets the answer, no reset before it. */
static void linger(void)
{
    conn_recv(world.a.conn);
    write_block();
    write_block();
    some_turns(); /* unread by the other side */
    write_text(world.b.conn, "413");
    conn_linger(world.b.conn, world.loop.now_ms + 5000);
    world.b.conn = NULL;
    TURN_UNTIL(world.a.eof_count == 1);
    expect_seen(&world.a, "413");
    write_block();
    some_turns();
    assert_int_equal(world.a.err, ERR_OK);
    assert_int_equal(world.loop.timers.count, 1);
    conn_close_by(world.a.conn, world.loop.now_ms + 5000);
    world.a.conn = NULL;
    TURN_UNTIL(world.loop.timers.count == 0 && list_empty(&world.loop.dead));
    assert_int_equal(world.loop.bufs.held_bytes, 0);
}

static void linger_reads_until_the_peer_ends(void **state)
{
    (void)state;
    on_both(linger, &odd);
}

static void linger_deadline(void)
{
    conn_recv(world.a.conn);
    write_text(world.b.conn, "bye");
    conn_linger(world.b.conn, world.loop.now_ms + 30);
    world.b.conn = NULL;
    TURN_UNTIL(world.a.eof_count == 1); /* but this end never closes */
    TURN_UNTIL(world.loop.timers.count == 0 && list_empty(&world.loop.dead));
    expect_seen(&world.a, "bye");
}

static void linger_ends_at_its_deadline(void **state)
{
    (void)state;
    on_both(linger_deadline, &plain);
}

static void reset(void)
{
    conn_recv(world.b.conn);
    write_text(world.a.conn, "partial");
    TURN_UNTIL(world.b.seen_bytes == 7);
    conn_reset(world.a.conn);
    world.a.conn = NULL;
    TURN_UNTIL(world.b.err);
    assert_int_equal(world.b.err, ERR_CLIENT_RESET);
    assert_int_equal(world.b.eof_count, 0);
    assert_int_equal(conn_write(world.b.conn, (struct span){NULL, "x", 1}), ERR_CLIENT_RESET);
    conn_recv(world.b.conn);
    conn_shutdown(world.b.conn);
    some_turns();
}

static void reset_is_no_clean_end(void **state)
{
    (void)state;
    on_both(reset, &odd);
}

/* Abort with a receive and a send in flight: no callback comes any more, buffers go back. */
static void abort_in_flight(void)
{
    struct buf *b = buf_take(&world.loop.bufs, BUF_LARGE);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(conn_write(world.a.conn, (struct span){buf_ref(b), b->bytes, b->cap}),
                         ERR_OK);
        turn();
    }
    buf_drop(b);
    conn_recv(world.a.conn);
    conn_abort(world.a.conn);
    conn_abort(world.a.conn);
    world.a.conn = NULL;
    some_turns();
    assert_int_equal(world.loop.bufs.held_bytes, 0);
    assert_int_equal(world.a.err, ERR_OK);
    assert_true(list_empty(&world.loop.dead));
}

static void abort_drops_everything(void **state)
{
    (void)state;
    memset(block, 'x', sizeof(block));
    on_both(abort_in_flight, &plain);
}

/* ---- a peer that answers before it has read all ---- */

static void write_until_refused(void)
{
    TURN_UNTIL(({
        if (conn_out_room(world.a.conn) && !world.a.send_error_count)
            (void)!conn_write(world.a.conn, (struct span){NULL, block, sizeof(block)});
        world.a.send_error_count > 0;
    }));
    assert_int_equal(world.a.err, ERR_OK);
    assert_int_equal(conn_out_bytes(world.a.conn), 0);
    assert_int_equal(conn_write(world.a.conn, (struct span){NULL, "x", 1}), ERR_CLIENT_RESET);
    conn_want_room(world.a.conn);
    conn_shutdown(world.a.conn); /* there is nothing to end */
}

static void answer_early(void)
{
    world.b.manual = true;
    conn_recv(world.b.conn);
    write_block();
    write_block();
    TURN_UNTIL(world.b.data_count == 1);
    write_text(world.b.conn, "413");
    TURN_UNTIL(!world.b.conn->out);
    some_turns(); /* it has arrived: what is on its way at a reset may be lost */
    conn_reset(world.b.conn);
    world.b.conn = NULL;
    write_until_refused();
    some_turns();
    assert_int_equal(world.a.err, ERR_OK); /* nothing was asked for */
    conn_recv(world.a.conn);
    TURN_UNTIL(world.a.err);
    expect_seen(&world.a, "413");
    assert_int_equal(world.a.err, ERR_CLIENT_RESET);
    assert_int_equal(world.a.eof_count, 0); /* a reset is no clean end */
    assert_int_equal(world.a.send_error_count, 1);
    assert_int_equal(world.a.room_count, 0);
}

static void early_answer_outlives_the_reset(void **state)
{
    (void)state;
    on_both(answer_early, &plain);
    on_both(answer_early, &odd);
}

/* Only the kernel tells this from a reset: the end of the peer's output came first. */
static void ends_before_the_reset(void **state)
{
    (void)state;
    open_world(NULL);
    connect_both();
    write_block();
    write_text(world.b.conn, "whole");
    conn_shutdown(world.b.conn);
    some_turns();
    conn_abort(world.b.conn);
    world.b.conn = NULL;
    write_until_refused();
    conn_recv(world.a.conn);
    TURN_UNTIL(world.a.eof_count == 1);
    expect_seen(&world.a, "whole");
    assert_int_equal(world.a.err, ERR_OK);
    conn_close_by(world.a.conn, world.loop.now_ms + 60000); /* nothing to wait for */
    world.a.conn = NULL;
    some_turns();
    assert_true(list_empty(&world.loop.dead));
    close_world();
}

static void gives_up_after_a_refusal(void)
{
    conn_reset(world.b.conn);
    world.b.conn = NULL;
    write_until_refused();
    conn_linger(world.a.conn, world.loop.now_ms + 60000);
    world.a.conn = NULL;
    some_turns();
    assert_true(list_empty(&world.loop.dead));
    assert_int_equal(world.loop.timers.count, 0);
}

static void a_refused_connection_does_not_linger(void **state)
{
    (void)state;
    on_both(gives_up_after_a_refusal, &plain);
}

/* ---- connecting ---- */

static void write_before_open(struct sim_net *net)
{
    struct world *w = &world;
    open_world(net);
    w->a.conn = conn_connect(&w->loop, &w->addr, &side_ops, &w->a);
    write_text(w->a.conn, "early");
    conn_recv(w->a.conn);
    conn_shutdown(w->a.conn);
    TURN_UNTIL(w->b.conn);
    conn_recv(w->b.conn);
    TURN_UNTIL(w->b.eof_count == 1);
    expect_seen(&w->b, "early");
    write_text(w->b.conn, "late");
    TURN_UNTIL(w->a.seen_bytes == 4);
    close_world();
}

static void may_write_before_it_is_open(void **state)
{
    (void)state;
    write_before_open(NULL);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        write_before_open(sim_net_new(seed, &odd));
}

static void refuse(struct sim_net *net)
{
    struct world *w = &world;
    open_world(net);
    struct addr nobody = loopback(1);
    w->a.conn = conn_connect(&w->loop, &nobody, &side_ops, &w->a);
    write_text(w->a.conn, "lost");
    assert_int_equal(w->a.open_count, 0);
    TURN_UNTIL(w->a.open_count == 1);
    assert_int_equal(w->a.open_err, ERR_CONNECT_REFUSED);
    assert_null(w->a.conn->out);
    close_world();
}

static void refused_connect_is_told(void **state)
{
    (void)state;
    refuse(NULL);
    refuse(sim_net_new(1, &plain));
}

static void abort_connecting(struct sim_net *net)
{
    struct world *w = &world;
    open_world(net);
    struct addr far = loopback(80);
    if (!net) /* TEST-NET-1: nobody answers, or no route; both are fine */
        assert_int_equal(addr_parse_ip(SLICE("192.0.2.1"), &far), ERR_OK);
    addr_set_port(&far, 80);
    w->a.conn = conn_connect(&w->loop, &far, &side_ops, &w->a);
    conn_abort(w->a.conn);
    w->a.conn = NULL;
    some_turns();
    assert_int_equal(w->a.open_count, 0);
    assert_true(list_empty(&w->loop.dead));
    close_world();
}

static void abort_while_connecting(void **state)
{
    (void)state;
    abort_connecting(NULL);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        abort_connecting(sim_net_new(seed, &plain));
}

/* Chance decides, many times: whatever breaks, everything is given back. */
static void survives_every_fault(void **state)
{
    static const struct sim_faults hostile = {.split = 300,
                                              .delay = 200,
                                              .reset = 100,
                                              .short_write = 300,
                                              .no_buffer = 200,
                                              .delay_max_ms = 100,
                                              .window_bytes = 3000};
    int resets = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        open_world(sim_net_new(seed, &hostile));
        connect_both();
        conn_recv(world.a.conn);
        conn_recv(world.b.conn);
        write_text(world.b.conn, "hello");
        write_block();
        if (seed % 3 == 0)
            conn_shutdown(world.a.conn);
        if (seed % 3 == 1) {
            conn_linger(world.a.conn, world.loop.now_ms + 500);
            world.a.conn = NULL;
        }
        for (int i = 0; i < 100; i++)
            turn();
        resets += world.b.err != ERR_OK;
        close_world();
    }
    assert_true(resets > 10);
}

UNIT_SUITE(net_conn_end, cmocka_unit_test(half_close_and_eof_with_data),
           cmocka_unit_test(close_sends_what_is_queued),
           cmocka_unit_test(close_gives_up_at_its_deadline),
           cmocka_unit_test(close_waits_for_a_slow_reader),
           cmocka_unit_test(linger_reads_until_the_peer_ends),
           cmocka_unit_test(linger_ends_at_its_deadline), cmocka_unit_test(reset_is_no_clean_end),
           cmocka_unit_test(early_answer_outlives_the_reset),
           cmocka_unit_test(ends_before_the_reset),
           cmocka_unit_test(a_refused_connection_does_not_linger),
           cmocka_unit_test(abort_drops_everything), cmocka_unit_test(may_write_before_it_is_open),
           cmocka_unit_test(refused_connect_is_told), cmocka_unit_test(abort_while_connecting),
           cmocka_unit_test(survives_every_fault));
