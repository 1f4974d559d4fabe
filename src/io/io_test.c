/* io_test.c - the rules of io.h on both backends: echo in odd pieces, cancel, EOF with data,
 * resets, refused connects, a spent buffer pool. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "io/loop.h"
#include "io/sim.h"
#include "tests/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TOTAL = 300000, PIECE = 7777, TICKS_MAX = 200000 };

static struct counters_shared counters;

/* Two connected sockets on one loop, of either backend. */
struct world {
    struct sim_net *net; /* NULL: epoll */
    struct loop loop;
    struct io_sock listener, a, b;
    struct io_op accept_op, connect_op;
    struct sockaddr_in addr;
    int accepted_fd, connect_res;
};

static struct world world;
static bool in_call; /* a done() that comes now came from inside a call */

static void on_accepted(struct io_op *op, int res)
{
    (void)op;
    assert_false(in_call);
    world.accepted_fd = res;
}

static void on_connected(struct io_op *op, int res)
{
    (void)op;
    assert_false(in_call);
    world.connect_res = res;
}

static void turn(void)
{
    if (world.net)
        sim_run(world.net, sim_now_ms(world.net) + 50);
    else
        loop_tick(&world.loop);
}

/* Ticks until `*what` is no longer `value`; epoll's ticks would hang if nothing came. */
static void wait_while(const int *what, int value)
{
    struct timer limit;
    timer_init(&limit, NULL);
    for (int i = 0; *what == value && i < TICKS_MAX; i++)
        turn();
    assert_int_not_equal(*what, value);
}

static int listen_epoll(struct sockaddr_in *addr)
{
    socklen_t len = sizeof(*addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
    return fd;
}

static void open_world(struct sim_net *net, size_t buffer_bytes)
{
    struct world *w = &world;
    memset(w, 0, sizeof(*w));
    w->net = net;
    w->addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    assert_true(loop_init(&w->loop, net ? &io_backend_sim : &io_backend_epoll, net, &counters,
                          buffer_bytes));
    int fd = net ? sim_listen(net, (struct sockaddr *)&w->addr, sizeof(w->addr))
                 : listen_epoll(&w->addr);
    assert_true(io_sock_open(&w->loop, &w->listener, fd));
    w->accept_op.done = on_accepted;
    w->connect_op.done = on_connected;
    w->a.fd = w->b.fd = -1;
}

static void connect_world(void)
{
    struct world *w = &world;
    w->accepted_fd = -1;
    w->connect_res = 1;
    io_accept(&w->loop, &w->listener, &w->accept_op);
    in_call = true;
    io_connect(&w->loop, &w->a, &w->connect_op, (struct sockaddr *)&w->addr, sizeof(w->addr));
    in_call = false;
    wait_while(&w->connect_res, 1);
    assert_int_equal(w->connect_res, 0);
    wait_while(&w->accepted_fd, -1);
    assert_true(io_sock_open(&w->loop, &w->b, w->accepted_fd));
}

static void close_world(void)
{
    struct world *w = &world;
    io_cancel(&w->loop, &w->accept_op);
    for (int i = 0; i < 100 && w->accept_op.armed; i++)
        turn();
    io_sock_close(&w->loop, &w->a);
    io_sock_close(&w->loop, &w->b);
    io_sock_close(&w->loop, &w->listener);
    assert_int_equal(w->loop.bufs.held_bytes, 0);
    loop_release(&w->loop);
    if (w->net) {
        sim_run(w->net, INT64_MAX / 1000000);
        assert_int_equal(sim_open_count(w->net), 0);
        sim_net_free(w->net);
    }
}

/* Runs a scenario on the kernel, then on the simulated network with many seeds. */
static void on_both(void (*scenario)(void), size_t buffer_bytes, const struct sim_faults *faults)
{
    open_world(NULL, buffer_bytes);
    connect_world();
    scenario();
    close_world();
    for (uint64_t seed = 1; seed <= 30; seed++) {
        open_world(sim_net_new(seed, faults), buffer_bytes);
        connect_world();
        scenario();
        close_world();
    }
}

static const struct sim_faults odd = {.split = 300,
                                      .delay = 100,
                                      .short_write = 300,
                                      .no_buffer = 200,
                                      .delay_max_ms = 40,
                                      .window_bytes = 20000};

/* ---- echo ---- */

static char sent[TOTAL], got[TOTAL];
static int sent_bytes, got_bytes;
static struct io_op a_send, a_recv, b_op;
static struct iovec a_iov[3], b_iov;
static struct buf *b_buf;

static void send_piece(void)
{
    size_t left = (size_t)(TOTAL - sent_bytes), third = left < PIECE ? left / 3 : PIECE / 3;
    char *at = sent + sent_bytes;
    a_iov[0] = (struct iovec){at, third};
    a_iov[1] = (struct iovec){at + third, 0};
    a_iov[2] = (struct iovec){at + third, left < PIECE ? left - third : PIECE - third};
    in_call = true;
    io_send(&world.loop, &world.a, &a_send, a_iov, 3);
    in_call = false;
}

static void on_a_sent(struct io_op *op, int res)
{
    (void)op;
    assert_false(in_call);
    assert_true(res > 0);
    sent_bytes += res;
    if (sent_bytes < TOTAL)
        send_piece();
}

static void on_a_received(struct io_op *op, int res)
{
    assert_false(in_call);
    assert_true(res > 0);
    assert_int_equal(op->buf->len, res);
    memcpy(got + got_bytes, op->buf->bytes, (size_t)res);
    got_bytes += res;
    buf_drop(op->buf);
    if (got_bytes == TOTAL)
        return;
    in_call = true;
    io_recv(&world.loop, &world.a, op);
    in_call = false;
}

static void on_b(struct io_op *op, int res)
{
    assert_false(in_call);
    assert_true(res > 0);
    if (op->kind == IO_RECV) {
        b_buf = op->buf;
        b_iov = (struct iovec){b_buf->bytes, b_buf->len};
    } else {
        b_iov.iov_base = (char *)b_iov.iov_base + res;
        b_iov.iov_len -= (size_t)res;
    }
    in_call = true;
    if (b_iov.iov_len) {
        io_send(&world.loop, &world.b, op, &b_iov, 1);
    } else {
        buf_drop(b_buf);
        b_buf = NULL;
        io_recv(&world.loop, &world.b, op);
    }
    in_call = false;
}

static int last_res;

static void on_end(struct io_op *op, int res)
{
    (void)op;
    assert_false(in_call);
    last_res = res;
}

static void finish_cancel(struct io_op *op)
{
    last_res = 12345;
    op->done = on_end;
    in_call = true;
    io_cancel(&world.loop, op);
    io_cancel(&world.loop, op);
    in_call = false;
    wait_while(&last_res, 12345);
    assert_int_equal(last_res, -ECANCELED);
    assert_false(op->armed);
}

static void echo(void)
{
    for (int i = 0; i < TOTAL; i++)
        sent[i] = (char)(i * 7 + i / 256);
    memset(got, 0, sizeof(got));
    sent_bytes = got_bytes = 0;
    a_send = (struct io_op){.done = on_a_sent};
    a_recv = (struct io_op){.done = on_a_received, .buf_size = BUF_LARGE};
    b_op = (struct io_op){.done = on_b};
    io_recv(&world.loop, &world.a, &a_recv);
    io_recv(&world.loop, &world.b, &b_op);
    send_piece();
    for (int i = 0; i < TICKS_MAX && got_bytes < TOTAL; i++)
        turn();
    assert_int_equal(got_bytes, TOTAL);
    assert_memory_equal(sent, got, TOTAL);
    for (int i = 0; i < TICKS_MAX && b_op.kind != IO_RECV; i++)
        turn();
    finish_cancel(&b_op);
}

static void echoes_odd_pieces(void **state)
{
    (void)state;
    on_both(echo, 1 << 20, &odd);
}

/* A large buffer never fits: small ones come instead. The echo holds one while it sends. */
static void echoes_with_two_small_buffers(void **state)
{
    (void)state;
    on_both(echo, 2 * BUF_SMALL_BYTES, &odd);
}

/* ---- ends ---- */

static char seen[64];
static int seen_bytes, eof_count;

static void on_text(struct io_op *op, int res)
{
    assert_true(res >= 0);
    if (res == 0) {
        eof_count++;
        return;
    }
    memcpy(seen + seen_bytes, op->buf->bytes, (size_t)res);
    seen_bytes += res;
    buf_drop(op->buf);
    io_recv(&world.loop, &world.b, op);
}

static void send_text(struct io_sock *s, const char *text)
{
    struct io_op op = {.done = on_end};
    struct iovec iov = {(void *)text, strlen(text)};
    while (iov.iov_len) {
        last_res = 12345;
        io_send(&world.loop, s, &op, &iov, 1);
        wait_while(&last_res, 12345);
        assert_true(last_res > 0);
        iov.iov_base = (char *)iov.iov_base + last_res;
        iov.iov_len -= (size_t)last_res;
    }
}

/* Data and FIN arrive before anybody reads: both are delivered; then the other way still works. */
static void half_close(void)
{
    struct io_op recv_op = {.done = on_text};
    seen_bytes = eof_count = 0;
    send_text(&world.a, "last words");
    io_shutdown(&world.loop, &world.a);
    if (!world.net)
        usleep(2000);
    else
        sim_run(world.net, sim_now_ms(world.net) + 500);
    io_recv(&world.loop, &world.b, &recv_op);
    wait_while(&eof_count, 0);
    assert_int_equal(seen_bytes, 10);
    assert_memory_equal(seen, "last words", 10);
    /* The end is told again to whoever asks again. */
    io_recv(&world.loop, &world.b, &recv_op);
    wait_while(&eof_count, 1);
    struct io_op answer = {.done = on_end};
    send_text(&world.b, "answer");
    last_res = 12345;
    io_recv(&world.loop, &world.a, &answer);
    wait_while(&last_res, 12345);
    assert_in_range(last_res, 1, 6);
    buf_drop(answer.buf);
}

static void half_close_leaves_the_other_way(void **state)
{
    (void)state;
    on_both(half_close, 1 << 20, &odd);
}

static void reset_under_recv(void)
{
    struct io_op op = {.done = on_end};
    last_res = 12345;
    io_recv(&world.loop, &world.b, &op);
    if (!world.net)
        loop_tick(&world.loop); /* takes in the edges of the open socket */
    io_set_reset(&world.loop, &world.a);
    io_sock_close(&world.loop, &world.a);
    wait_while(&last_res, 12345);
    assert_int_equal(last_res, -ECONNRESET);
}

static void reset_ends_a_recv(void **state)
{
    (void)state;
    on_both(reset_under_recv, 1 << 20, &odd);
}

static void cancel_recv_and_send(void)
{
    struct io_op recv_op = {.done = on_end}, send_op = {.done = on_end};
    static char much[8 << 20];
    struct iovec iov = {much, sizeof(much)};
    finish_cancel((io_recv(&world.loop, &world.b, &recv_op), &recv_op));
    /* Fill the way until a send has to wait. */
    do {
        last_res = 12345;
        io_send(&world.loop, &world.a, &send_op, &iov, 1);
        for (int i = 0; i < 3 && last_res == 12345; i++)
            loop_busy(&world.loop) || world.net ? turn() : (void)0;
    } while (last_res != 12345);
    finish_cancel(&send_op);
}

static void cancels_what_waits(void **state)
{
    (void)state;
    on_both(cancel_recv_and_send, 1 << 20, &odd);
}

/* ---- the pool is spent ---- */

static void starve(void)
{
    struct loop *l = &world.loop;
    struct io_op op = {.done = on_end};
    struct buf *held = buf_take(&l->bufs, BUF_SMALL);
    assert_non_null(held);
    send_text(&world.a, "wait");
    last_res = 12345;
    io_recv(l, &world.b, &op);
    for (int i = 0; i < 50 && !op.starved; i++)
        turn();
    assert_true(op.starved);
    assert_false(loop_busy(l)); /* it waits, nothing spins */
    buf_drop(held);
    assert_true(loop_busy(l));
    wait_while(&last_res, 12345);
    assert_true(last_res > 0);
    buf_drop(op.buf);
    /* And one that is canceled while it waits. */
    held = buf_take(&l->bufs, BUF_SMALL);
    send_text(&world.a, "more");
    io_recv(l, &world.b, &op);
    for (int i = 0; i < 50 && !op.starved; i++)
        turn();
    finish_cancel(&op);
    assert_true(list_empty(&l->starved));
    buf_drop(held);
}

static void recv_waits_for_a_buffer(void **state)
{
    (void)state;
    static const struct sim_faults none = {0};
    on_both(starve, BUF_SMALL_BYTES, &none);
}

static void an_armed_recv_holds_no_buffer(void **state)
{
    struct io_op op = {.done = on_end};
    (void)state;
    open_world(NULL, 1 << 20);
    connect_world();
    io_recv(&world.loop, &world.b, &op);
    assert_true(op.armed);
    assert_int_equal(world.loop.bufs.held_bytes, 0);
    finish_cancel(&op);
    close_world();
}

/* ---- connect and accept ---- */

static void refuse(struct sim_net *net)
{
    struct world *w = &world;
    open_world(net, 1 << 20);
    io_sock_close(&w->loop, &w->listener);
    w->connect_res = 1;
    io_connect(&w->loop, &w->a, &w->connect_op, (struct sockaddr *)&w->addr, sizeof(w->addr));
    wait_while(&w->connect_res, 1);
    assert_int_equal(w->connect_res, -ECONNREFUSED);
    close_world();
}

static void connect_is_refused(void **state)
{
    (void)state;
    static const struct sim_faults none = {0};
    refuse(NULL);
    refuse(sim_net_new(1, &none));
}

static void connect_fails_without_socket(void **state)
{
    struct sockaddr_storage bad = {.ss_family = 200};
    struct world *w = &world;
    (void)state;
    open_world(NULL, 1 << 20);
    w->connect_res = 1;
    io_connect(&w->loop, &w->a, &w->connect_op, (struct sockaddr *)&bad, sizeof(bad));
    assert_int_equal(w->connect_res, 1);
    wait_while(&w->connect_res, 1);
    assert_int_equal(w->connect_res, -EAFNOSUPPORT);
    assert_int_equal(w->a.fd, -1);
    close_world();
}

static void expect_same_name(struct io_sock *local, struct io_sock *remote)
{
    struct io_name a, b;
    assert_true(io_sock_name(&world.loop, local, IO_LOCAL, &a));
    assert_true(io_sock_name(&world.loop, remote, IO_REMOTE, &b));
    assert_int_equal(a.len, sizeof(struct sockaddr_in));
    assert_int_equal(a.len, b.len);
    assert_memory_equal(&a.at, &b.at, a.len);
}

static void names(void)
{
    expect_same_name(&world.a, &world.b);
    expect_same_name(&world.b, &world.a);
}

static void names_of_both_ends_agree(void **state)
{
    (void)state;
    on_both(names, 1 << 20, &odd);
}

/* ---- poll ---- */

static void polls_level_triggered(void **state)
{
    int pipe_fds[2];
    struct io_sock s;
    struct io_op op = {.done = on_end};
    (void)state;
    open_world(NULL, 1 << 20);
    assert_int_equal(pipe2(pipe_fds, O_NONBLOCK), 0);
    assert_true(io_sock_open(&world.loop, &s, pipe_fds[0]));
    last_res = 12345;
    io_poll_in(&world.loop, &s, &op);
    assert_int_equal(write(pipe_fds[1], "ab", 2), 2);
    wait_while(&last_res, 12345);
    assert_int_equal(last_res, 0);
    last_res = 12345; /* nothing was read: readable again, without an edge */
    io_poll_in(&world.loop, &s, &op);
    wait_while(&last_res, 12345);
    assert_int_equal(last_res, 0);
    char c[2];
    assert_int_equal(read(pipe_fds[0], c, 2), 2);
    io_poll_in(&world.loop, &s, &op);
    assert_false(op.queued);
    finish_cancel(&op);
    io_sock_detach(&world.loop, &s);
    assert_int_equal(s.fd, -1);
    assert_int_equal(write(pipe_fds[1], "c", 1), 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    close_world();
}

UNIT_SUITE(io_io, cmocka_unit_test(echoes_odd_pieces),
           cmocka_unit_test(echoes_with_two_small_buffers),
           cmocka_unit_test(half_close_leaves_the_other_way), cmocka_unit_test(reset_ends_a_recv),
           cmocka_unit_test(cancels_what_waits), cmocka_unit_test(recv_waits_for_a_buffer),
           cmocka_unit_test(an_armed_recv_holds_no_buffer), cmocka_unit_test(connect_is_refused),
           cmocka_unit_test(connect_fails_without_socket),
           cmocka_unit_test(names_of_both_ends_agree), cmocka_unit_test(polls_level_triggered));
