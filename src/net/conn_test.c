/* conn_test.c - connections on both backends: talking, gathering, back-pressure, receive sizes. How
 * they end is in conn_end_test.c. */
// SPDX-License-Identifier: Apache-2.0
#include "net/conn_testing_priv.h"

static void talk(void)
{
    conn_recv(world.a.conn);
    conn_recv(world.b.conn);
    write_text(world.a.conn, "ping");
    TURN_UNTIL(world.b.seen_bytes == 4);
    write_text(world.b.conn, "pong");
    TURN_UNTIL(world.a.seen_bytes == 4);
    expect_seen(&world.b, "ping");
    expect_seen(&world.a, "pong");
    TURN_UNTIL(world.a.conn->bytes_out == 4);
}

static void talks_both_ways(void **state)
{
    (void)state;
    on_both(talk, &odd);
}

static void gather(void)
{
    struct buf *b = buf_take(&world.loop.bufs, BUF_SMALL);
    memcpy(b->bytes, "one two ", 8);
    conn_recv(world.b.conn);
    assert_int_equal(conn_write(world.a.conn, (struct span){b, b->bytes, 4}), ERR_OK);
    assert_int_equal(conn_write(world.a.conn, (struct span){buf_ref(b), b->bytes + 4, 4}), ERR_OK);
    write_text(world.a.conn, "");
    write_text(world.a.conn, "three");
    assert_int_equal(conn_out_bytes(world.a.conn), 13);
    assert_int_equal(conn_out_room(world.a.conn), CONN_OUT_SPANS - 3); /* "one two " is one */
    assert_int_equal(send_count, 0); /* not before the end of the tick */
    TURN_UNTIL(world.b.seen_bytes == 13);
    expect_seen(&world.b, "one two three");
    TURN_UNTIL(!world.a.conn->out);
}

static void gathers_into_one_send(void **state)
{
    (void)state;
    on_both(gather, &plain);
    assert_int_equal(send_count, 1);
    assert_int_equal(last_iov_count, 3);
    on_both(gather, &odd);
}

/* Pieces of one buffer that follow each other are one; others are not, nor what no buffer counts.
 */
static void join(void)
{
    struct buf *b = buf_take(&world.loop.bufs, BUF_SMALL);
    memcpy(b->bytes, "abcdef", 6);
    conn_recv(world.b.conn);
    for (int i = 0; i < 2 * CONN_OUT_SPANS; i++)
        assert_int_equal(conn_write(world.a.conn, (struct span){buf_ref(b), b->bytes + i % 3, 1}),
                         ERR_OK);
    assert_int_equal(b->refs, 1 + (2 * CONN_OUT_SPANS + 2) / 3);
    TURN_UNTIL(!world.a.conn->out);
    assert_int_equal(conn_write(world.a.conn, (struct span){buf_ref(b), b->bytes + 1, 1}), ERR_OK);
    assert_int_equal(conn_write(world.a.conn, (struct span){buf_ref(b), b->bytes + 3, 1}), ERR_OK);
    assert_int_equal(conn_write(world.a.conn, (struct span){NULL, b->bytes + 4, 1}), ERR_OK);
    assert_int_equal(conn_out_room(world.a.conn), CONN_OUT_SPANS - 3);
    TURN_UNTIL(world.b.seen_bytes == 2 * CONN_OUT_SPANS + 3);
    TURN_UNTIL(!world.a.conn->out);
    assert_int_equal(b->refs, 1);
    assert_memory_equal(world.b.seen, "abcabc", 6);
    buf_drop(b);
}

static void joins_what_follows_in_one_buffer(void **state)
{
    (void)state;
    on_both(join, &odd);
}

static void idle(void)
{
    talk();
    some_turns();
    assert_true(conn_recv_armed(world.a.conn));
    assert_null(world.a.conn->out);
    assert_null(world.b.conn->out);
    assert_int_equal(world.loop.bufs.held_bytes, 0);
}

static void idle_holds_no_memory(void **state)
{
    (void)state;
    on_both(idle, &plain);
}

static void fill_ring(void)
{
    struct span s = {NULL, "x", 1};
    for (int i = 0; i < CONN_OUT_SPANS; i++)
        assert_int_equal(conn_write(world.a.conn, s), ERR_OK);
    assert_int_equal(conn_out_room(world.a.conn), 0);
    assert_int_equal(conn_write(world.a.conn, s), ERR_OVER_LIMIT);
    conn_want_room(world.a.conn);
    assert_int_equal(world.a.room_count, 0);
    conn_recv(world.b.conn);
    TURN_UNTIL(world.a.room_count == 1);
    TURN_UNTIL(world.b.seen_bytes == CONN_OUT_SPANS);
    some_turns();
    assert_int_equal(world.a.room_count, 1);
    /* Asked while there is room: told, too, but not from inside the call. */
    conn_want_room(world.a.conn);
    assert_int_equal(world.a.room_count, 1);
    TURN_UNTIL(world.a.room_count == 2);
}

static void full_ring_refuses_and_tells_room(void **state)
{
    (void)state;
    on_both(fill_ring, &odd);
}

/* The peer does not read: what is queued stays bounded by who looks at it; then all arrives. */
static void press(void)
{
    size_t written = 0;
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i * 13 + i / 255);
    while (written < SEEN_MAX && conn_out_bytes(world.a.conn) < CONN_OUT_HIGH_BYTES) {
        write_block();
        written += sizeof(block);
        turn();
    }
    conn_want_room(world.a.conn);
    if (written < SEEN_MAX) { /* a net that takes 4 MB unread is too large to fill */
        some_turns();
        assert_int_equal(world.a.room_count, 0);
    }
    conn_recv(world.b.conn);
    TURN_UNTIL(world.a.room_count == 1);
    assert_true(conn_out_bytes(world.a.conn) <= CONN_OUT_LOW_BYTES);
    TURN_UNTIL(world.b.seen_bytes == written);
    for (size_t i = 0; i < written; i += sizeof(block))
        assert_memory_equal(world.b.seen + i, block, sizeof(block));
}

static void back_pressure_reaches_the_writer(void **state)
{
    (void)state;
    on_both(press, &odd);
}

/* Reads grow to large buffers while there is much and shrink afterwards. */
static void adapt(void)
{
    conn_recv(world.b.conn);
    for (int i = 0; i < 8; i++)
        write_block();
    TURN_UNTIL(world.b.seen_bytes == 8 * sizeof(block));
    assert_true((size_t)world.b.data_count < 8 * sizeof(block) / BUF_SMALL_BYTES);
    write_text(world.a.conn, "small");
    TURN_UNTIL(world.b.seen_bytes == 8 * sizeof(block) + 5);
    assert_false(world.b.conn->big_reads);
}

static void receive_size_adapts(void **state)
{
    (void)state;
    on_both(adapt, &plain);
}

static void one_piece(void)
{
    world.b.manual = true;
    conn_recv(world.b.conn);
    conn_recv(world.b.conn); /* asked twice is asked once */
    write_text(world.a.conn, "first");
    TURN_UNTIL(world.b.data_count == 1);
    assert_false(conn_recv_armed(world.b.conn));
    write_text(world.a.conn, "second");
    some_turns();
    assert_int_equal(world.b.data_count, 1);
    world.b.manual = false;
    conn_recv(world.b.conn);
    TURN_UNTIL(world.b.seen_bytes == 11);
    expect_seen(&world.b, "firstsecond");
}

static void nothing_comes_unasked(void **state)
{
    (void)state;
    on_both(one_piece, &plain);
}

static void peers(void)
{
    struct addr remote, local, other_remote, other_local;
    for (int i = 0; i < 2; i++) {
        conn_remote(world.a.conn, &remote);
        conn_local(world.a.conn, &local);
        conn_remote(world.b.conn, &other_remote);
        conn_local(world.b.conn, &other_local);
        assert_true(addr_eq(&remote, &other_local));
        assert_true(addr_eq(&local, &other_remote));
        assert_true(addr_eq(&remote, &world.addr));
    }
}

static void knows_both_addresses(void **state)
{
    (void)state;
    on_both(peers, &plain);
}

static struct side other;

static void hand_over(void)
{
    other = (struct side){.seen = malloc(64)};
    conn_recv(world.b.conn);
    conn_set_user(world.b.conn, &side_ops, &other);
    write_text(world.a.conn, "for the new one");
    TURN_UNTIL(other.seen_bytes == 15);
    assert_int_equal(world.b.seen_bytes, 0);
    free(other.seen);
}

static void changes_hands(void **state)
{
    (void)state;
    on_both(hand_over, &plain);
}

UNIT_SUITE(net_conn, cmocka_unit_test(talks_both_ways), cmocka_unit_test(gathers_into_one_send),
           cmocka_unit_test(joins_what_follows_in_one_buffer),
           cmocka_unit_test(idle_holds_no_memory),
           cmocka_unit_test(full_ring_refuses_and_tells_room),
           cmocka_unit_test(back_pressure_reaches_the_writer),
           cmocka_unit_test(receive_size_adapts), cmocka_unit_test(nothing_comes_unasked),
           cmocka_unit_test(knows_both_addresses), cmocka_unit_test(changes_hands));
