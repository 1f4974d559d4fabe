/* pipe_test.c - bytes through a pipe of the loop: whole and in order, refilled only when empty,
 * waiting receives that are canceled, and pipes that are given back or closed. */
// SPDX-License-Identifier: Apache-2.0
#include "io/backend.h"
#include "io/loop.h"
#include "io/pipe.h"
#include "io/sim.h"
#include "tests/unit.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

enum { NOTHING = -9999 };

/* A receiving and a sending socket of the loop, with their far ends in our hands. */
static struct loop loop;
static struct counters_shared counters;
static struct io_sock from, to;
static struct io_op recv_op, send_op;
static int far_from, far_to, received, sent;

static void on_received(struct io_op *op, int res)
{
    (void)op;
    received = res;
}

static void on_sent(struct io_op *op, int res)
{
    (void)op;
    sent = res;
}

static int open_pair(struct io_sock *s)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(io_sock_open(&loop, s, fds[0]));
    return fds[1];
}

static void open_all(void)
{
    assert_true(loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20));
    far_from = open_pair(&from);
    far_to = open_pair(&to);
    recv_op = (struct io_op){.done = on_received};
    send_op = (struct io_op){.done = on_sent};
    received = sent = NOTHING;
}

static void close_all(void)
{
    io_sock_close(&loop, &from);
    io_sock_close(&loop, &to);
    close(far_from);
    close(far_to);
    loop_release(&loop);
}

static void put(const char *text)
{
    assert_int_equal(write(far_from, text, strlen(text)), strlen(text));
}

static void got(const char *text)
{
    char bytes[64] = "";
    assert_int_equal(read(far_to, bytes, sizeof(bytes)), strlen(text));
    assert_string_equal(bytes, text);
}

static void ticks(void)
{
    for (int i = 0; i < 4; i++)
        io_tick(&loop, 0);
}

static void bytes_pass_and_no_more_than_asked_for(void **state)
{
    (void)state;
    open_all();
    struct buf *pipe = io_pipe_take(&loop);
    assert_non_null(pipe);
    put("0123456789");
    io_recv_pipe(&loop, &from, &recv_op, pipe, 7);
    ticks();
    assert_int_equal(received, 7);
    assert_int_equal(pipe->len, 7);
    io_send_pipe(&loop, &to, &send_op, pipe, 3);
    ticks();
    assert_int_equal(sent, 3);
    io_send_pipe(&loop, &to, &send_op, pipe, 4);
    ticks();
    assert_int_equal(pipe->len, 0);
    got("0123456");
    buf_drop(pipe);
    assert_int_equal(loop.pipes.spare_count, 1);
    close_all();
}

static void a_receive_waits_until_the_pipe_is_empty(void **state)
{
    (void)state;
    open_all();
    struct buf *pipe = io_pipe_take(&loop);
    put("abcdef");
    io_recv_pipe(&loop, &from, &recv_op, pipe, 3);
    ticks();
    received = NOTHING;
    io_recv_pipe(&loop, &from, &recv_op, pipe, 100);
    ticks();
    assert_int_equal(received, NOTHING);
    io_send_pipe(&loop, &to, &send_op, pipe, 3);
    ticks();
    assert_int_equal(received, 3);
    io_send_pipe(&loop, &to, &send_op, pipe, 3);
    ticks();
    got("abcdef");
    buf_drop(pipe);
    close_all();
}

static void a_waiting_receive_is_canceled(void **state)
{
    (void)state;
    open_all();
    struct buf *pipe = io_pipe_take(&loop);
    put("abc");
    io_recv_pipe(&loop, &from, &recv_op, pipe, 3);
    ticks();
    io_recv_pipe(&loop, &from, &recv_op, pipe, 3);
    io_cancel(&loop, &recv_op);
    ticks();
    assert_int_equal(received, -ECANCELED);
    io_send_pipe(&loop, &to, &send_op, pipe, 3);
    ticks();
    assert_int_equal(sent, 3);
    buf_drop(pipe);
    close_all();
}

static void the_end_is_told(void **state)
{
    (void)state;
    open_all();
    struct buf *pipe = io_pipe_take(&loop);
    shutdown(far_from, SHUT_WR);
    io_recv_pipe(&loop, &from, &recv_op, pipe, 100);
    ticks();
    assert_int_equal(received, 0);
    buf_drop(pipe);
    close_all();
}

/* Its bytes would come before the next user's. */
static void a_pipe_with_bytes_is_not_used_again(void **state)
{
    (void)state;
    open_all();
    struct buf *pipe = io_pipe_take(&loop);
    put("old");
    io_recv_pipe(&loop, &from, &recv_op, pipe, 100);
    ticks();
    buf_drop(pipe);
    assert_int_equal(loop.pipes.spare_count, 0);
    assert_int_equal(loop.pipes.used_count, 0);
    close_all();
}

static void their_number_has_a_limit(void **state)
{
    (void)state;
    static struct buf *pipes[PIPES_PER_LOOP];
    open_all();
    for (int i = 0; i < PIPES_PER_LOOP; i++)
        pipes[i] = io_pipe_take(&loop);
    int made = loop.pipes.used_count; /* fewer where few descriptors may be open */
    assert_true(made > 0 && made <= PIPES_PER_LOOP);
    assert_null(io_pipe_take(&loop));
    for (int i = 0; i < PIPES_PER_LOOP; i++)
        if (pipes[i])
            buf_drop(pipes[i]);
    assert_int_equal(loop.pipes.spare_count, made < PIPES_KEPT ? made : PIPES_KEPT);
    for (int i = 0; i < 10; i++)
        io_pipes_trim(&loop);
    assert_int_equal(loop.pipes.spare_count, 0);
    close_all();
}

static void what_the_kernel_refuses_is_not_tried_again(void **state)
{
    (void)state;
    open_all();
    loop.pipes = (struct io_pipes){.probed = true, .refused = true};
    assert_null(io_pipe_take(&loop));
    close_all();
}

/* --- on the simulated network: one connection, whose accepting side sends back what it gets --- */

static struct io_sock listener, far;
static struct io_op accept_op, far_op, far_recv_op;
static char echoed[64];

static void on_accepted(struct io_op *op, int res)
{
    (void)op;
    assert_true(io_sock_open(&loop, &from, res));
}

static void on_echo(struct io_op *op, int res)
{
    assert_int_equal(res, op->buf->len);
    memcpy(echoed, op->buf->bytes, (size_t)res);
    buf_drop(op->buf);
}

static struct sim_net *sim_open(void)
{
    static const struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = 80};
    struct sim_net *net = sim_net_new(1, &(struct sim_faults){0});
    assert_true(loop_init(&loop, &io_backend_sim, net, &counters, 1 << 20));
    int fd = sim_listen(net, (const struct sockaddr *)&addr, sizeof(addr));
    assert_true(io_sock_open(&loop, &listener, fd));
    accept_op = (struct io_op){.done = on_accepted};
    far_op = send_op = (struct io_op){.done = on_sent};
    recv_op = (struct io_op){.done = on_received};
    far_recv_op = (struct io_op){.done = on_echo};
    io_accept(&loop, &listener, &accept_op);
    io_connect(&loop, &far, &far_op, (const struct sockaddr *)&addr, sizeof(addr));
    sim_run(net, sim_now_ms(net) + 10);
    return net;
}

static void sim_close(struct sim_net *net)
{
    io_sock_close(&loop, &from);
    io_sock_close(&loop, &far);
    io_sock_close(&loop, &listener);
    loop_release(&loop);
    sim_net_free(net);
}

static void the_simulation_has_them_too(void **state)
{
    static const struct iovec iov = {(char *)"0123456789", 10};
    (void)state;
    struct sim_net *net = sim_open();
    struct buf *pipe = io_pipe_take(&loop);
    assert_non_null(pipe);
    io_recv_pipe(&loop, &from, &recv_op, pipe, 7);
    io_send(&loop, &far, &far_op, &iov, 1);
    sim_run(net, sim_now_ms(net) + 10);
    assert_int_equal(received, 7);
    io_recv_pipe(&loop, &from, &recv_op, pipe, 7);
    sim_run(net, sim_now_ms(net) + 10);
    assert_int_equal(received, 7); /* waits: the pipe is not empty */
    io_send_pipe(&loop, &from, &send_op, pipe, 7);
    io_recv(&loop, &far, &far_recv_op);
    sim_run(net, sim_now_ms(net) + 10);
    assert_string_equal(echoed, "0123456");
    assert_int_equal(sent, 7);
    assert_int_equal(received, 3);
    assert_int_equal(pipe->len, 3);
    buf_drop(pipe);
    sim_close(net);
}

UNIT_SUITE(io_pipe, cmocka_unit_test(bytes_pass_and_no_more_than_asked_for),
           cmocka_unit_test(a_receive_waits_until_the_pipe_is_empty),
           cmocka_unit_test(a_waiting_receive_is_canceled), cmocka_unit_test(the_end_is_told),
           cmocka_unit_test(a_pipe_with_bytes_is_not_used_again),
           cmocka_unit_test(their_number_has_a_limit),
           cmocka_unit_test(what_the_kernel_refuses_is_not_tried_again),
           cmocka_unit_test(the_simulation_has_them_too));
