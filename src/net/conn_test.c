/* conn_test.c - connections on both backends: echo, gathering, back-pressure, half-close, EOF with
 * data, closing in every way, peers that never read. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "io/backend.h"
#include "io/sim.h"
#include "net/conn.h"
#include "net/listener.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SEEDS = 30, TURNS_MAX = 20000, SEEN_MAX = 4 << 20 };

static struct counters_shared counters;

/* What one side of the test's connection has heard. */
struct side {
    struct conn *conn;
    char *seen;
    size_t seen_bytes;
    int open_count, eof_count, room_count, data_count;
    enum err open_err, err;
    bool manual; /* does not ask for the next piece by itself */
};

static struct world {
    struct sim_net *net; /* NULL: epoll */
    struct loop loop;
    struct listener listener;
    struct side a, b; /* a connects, b is accepted */
    struct addr addr;
    bool listener_closed;
} world;

/* Counts of what the backend was asked, by way of a backend in between. */
static struct io_backend counting;
static const struct io_backend *real;
static int send_count, last_iov_count;

static void counted_start(struct loop *l, struct io_op *op)
{
    if (op->kind == IO_SEND) {
        send_count++;
        last_iov_count = op->iov_count;
    }
    real->start(l, op);
}

static void side_open(struct conn *c, enum err e)
{
    struct side *s = c->user;
    s->open_count++;
    s->open_err = e;
}

static void side_data(struct conn *c, struct span sp)
{
    struct side *s = c->user;
    assert_true(sp.len > 0);
    assert_true(s->seen_bytes + sp.len <= SEEN_MAX);
    memcpy(s->seen + s->seen_bytes, sp.at, sp.len);
    s->seen_bytes += sp.len;
    s->data_count++;
    span_drop(sp);
    if (!s->manual)
        conn_recv(c);
}

static void side_eof(struct conn *c)
{
    ((struct side *)c->user)->eof_count++;
}

static void side_room(struct conn *c)
{
    ((struct side *)c->user)->room_count++;
}

static void side_error(struct conn *c, enum err e)
{
    struct side *s = c->user;
    assert_int_equal(s->err, ERR_OK); /* once */
    s->err = e;
}

static const struct conn_user_ops side_ops = {side_open, side_data, side_eof, side_room,
                                              side_error};

static void on_accept(struct listener *ln, int fd)
{
    struct world *w = ln->user;
    w->b.conn = conn_accept(&w->loop, fd, &side_ops, &w->b);
    assert_non_null(w->b.conn);
}

static void on_closed(struct listener *ln)
{
    ((struct world *)ln->user)->listener_closed = true;
}

static void turn(void)
{
    if (world.net) {
        sim_run(world.net, sim_now_ms(world.net) + 20);
        return;
    }
    world.loop.stopping = true; /* a tick that does not wait */
    loop_tick(&world.loop);
    world.loop.stopping = false;
    usleep(50);
}

#define TURN_UNTIL(cond)                                  \
    do {                                                  \
        for (int i_ = 0; i_ < TURNS_MAX && !(cond); i_++) \
            turn();                                       \
        assert_true(cond);                                \
    } while (0)

static void some_turns(void)
{
    for (int i = 0; i < 20; i++)
        turn();
}

static struct addr loopback(uint16_t port)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &a), ERR_OK);
    addr_set_port(&a, port);
    return a;
}

static int open_listener(struct world *w)
{
    static const struct listen_options options = {0};
    int fd = -1;
    if (w->net) {
        w->addr = loopback(80);
        return sim_listen(w->net, &w->addr.sa, w->addr.len);
    }
    struct addr any = loopback(0);
    assert_int_equal(listener_bind(&any, &options, &fd), ERR_OK);
    w->addr.len = sizeof(w->addr.un);
    assert_int_equal(getsockname(fd, &w->addr.sa, &w->addr.len), 0);
    return fd;
}

static void open_world(struct sim_net *net)
{
    struct world *w = &world;
    memset(w, 0, sizeof(*w));
    w->net = net;
    real = net ? &io_backend_sim : &io_backend_epoll;
    counting = *real;
    counting.start = counted_start;
    send_count = 0;
    assert_true(loop_init(&w->loop, &counting, net, &counters, 8 << 20));
    w->listener = (struct listener){.user = w, .on_accept = on_accept, .on_closed = on_closed};
    assert_true(listener_start(&w->listener, &w->loop, open_listener(w)));
    w->a.seen = malloc(SEEN_MAX);
    w->b.seen = malloc(SEEN_MAX);
}

static void connect_both(void)
{
    struct world *w = &world;
    w->a.conn = conn_connect(&w->loop, &w->addr, &side_ops, &w->a);
    assert_non_null(w->a.conn);
    TURN_UNTIL(w->a.open_count && w->b.conn);
    assert_int_equal(w->a.open_err, ERR_OK);
    send_count = 0;
}

static void end_side(struct side *s)
{
    if (s->conn)
        conn_abort(s->conn);
    free(s->seen);
}

static void close_world(void)
{
    struct world *w = &world;
    listener_close(&w->listener);
    end_side(&w->a);
    end_side(&w->b);
    some_turns();
    assert_true(w->listener_closed);
    assert_true(list_empty(&w->loop.dead));
    assert_int_equal(w->loop.timers.count, 0);
    loop_release(&w->loop);
    if (!w->net)
        return;
    assert_int_equal(sim_open_count(w->net), 0);
    sim_net_free(w->net);
}

static void on_both(void (*scenario)(void), const struct sim_faults *faults)
{
    open_world(NULL);
    connect_both();
    scenario();
    close_world();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_world(sim_net_new(seed, faults));
        connect_both();
        scenario();
        close_world();
    }
}

static const struct sim_faults odd = {
    .split = 300, .delay = 100, .short_write = 300, .no_buffer = 100, .delay_max_ms = 40};
static const struct sim_faults plain = {0};

static void write_text(struct conn *c, const char *text)
{
    assert_int_equal(conn_write(c, (struct span){NULL, text, strlen(text)}), ERR_OK);
}

static void expect_seen(const struct side *s, const char *text)
{
    assert_int_equal(s->seen_bytes, strlen(text));
    assert_memory_equal(s->seen, text, s->seen_bytes);
}

/* ---- */

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
    assert_int_equal(world.b.conn->bytes_in, 4);
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
    assert_int_equal(conn_out_room(world.a.conn), CONN_OUT_SPANS - 4);
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
    assert_int_equal(last_iov_count, 4);
    on_both(gather, &odd);
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

static char block[64 * 1024];

static void write_block(void)
{
    assert_int_equal(conn_write(world.a.conn, (struct span){NULL, block, sizeof(block)}), ERR_OK);
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

static void peers(void)
{
    const struct conn_peer *a = conn_peer(world.a.conn), *b = conn_peer(world.b.conn);
    assert_true(addr_eq(&a->remote, &b->local));
    assert_true(addr_eq(&a->local, &b->remote));
    assert_true(addr_eq(&a->remote, &world.addr));
    assert_ptr_equal(a, conn_peer(world.a.conn));
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

UNIT_SUITE(net_conn, cmocka_unit_test(talks_both_ways), cmocka_unit_test(gathers_into_one_send),
           cmocka_unit_test(idle_holds_no_memory),
           cmocka_unit_test(full_ring_refuses_and_tells_room),
           cmocka_unit_test(back_pressure_reaches_the_writer),
           cmocka_unit_test(receive_size_adapts), cmocka_unit_test(nothing_comes_unasked),
           cmocka_unit_test(half_close_and_eof_with_data),
           cmocka_unit_test(close_sends_what_is_queued),
           cmocka_unit_test(close_gives_up_at_its_deadline),
           cmocka_unit_test(linger_reads_until_the_peer_ends),
           cmocka_unit_test(linger_ends_at_its_deadline), cmocka_unit_test(reset_is_no_clean_end),
           cmocka_unit_test(abort_drops_everything), cmocka_unit_test(may_write_before_it_is_open),
           cmocka_unit_test(refused_connect_is_told), cmocka_unit_test(abort_while_connecting),
           cmocka_unit_test(knows_both_addresses), cmocka_unit_test(changes_hands),
           cmocka_unit_test(survives_every_fault));
