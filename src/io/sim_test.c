/* sim_test.c - the simulated network itself: equal runs from equal seeds, every fault shows, time
 * stands still and jumps, loops talk by mail. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "io/sim.h"
#include "tests/unit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 6, SEND_BYTES = 30000 };

static struct counters_shared counters;
static struct sockaddr_in server_addr;

/* A client sends SEND_BYTES and ends; the server reads to the end. Each on its own loop. */
struct side {
    struct io_sock sock;
    struct io_op rd, wr;
    struct iovec iov;
    struct loop *loop;
    size_t sent, received;
    int error; /* first one, 0: none */
    bool ended;
};

struct run {
    struct sim_net *net;
    struct loop client_loop, server_loop;
    struct io_sock listener;
    struct io_op accept_op;
    struct side clients[CLIENTS], servers[CLIENTS];
    int server_count;
    size_t pieces; /* results of receiving */
};

static struct run run;
static char bytes[SEND_BYTES];

static void end_with(struct side *s, int error)
{
    if (error && !s->error)
        s->error = error;
    s->ended = true;
}

static void send_rest(struct side *s)
{
    s->iov = (struct iovec){bytes + s->sent, SEND_BYTES - s->sent};
    io_send(s->loop, &s->sock, &s->wr, &s->iov, 1);
}

static void on_sent(struct io_op *op, int res)
{
    struct side *s = CONTAINER_OF(op, struct side, wr);
    if (res < 0) {
        end_with(s, res);
        return;
    }
    if (op->kind == IO_SEND)
        s->sent += (size_t)res;
    if (s->sent < SEND_BYTES) {
        send_rest(s);
        return;
    }
    io_shutdown(s->loop, &s->sock);
    s->ended = true;
}

static void on_received(struct io_op *op, int res)
{
    struct side *s = CONTAINER_OF(op, struct side, rd);
    run.pieces++;
    if (res <= 0) {
        end_with(s, res);
        return;
    }
    assert_memory_equal(op->buf->bytes, bytes + s->received, (size_t)res);
    s->received += (size_t)res;
    buf_drop(op->buf);
    io_recv(s->loop, &s->sock, op);
}

static void on_accepted(struct io_op *op, int fd)
{
    if (fd < 0)
        return;
    struct side *s = &run.servers[run.server_count++];
    *s = (struct side){.loop = &run.server_loop, .rd.done = on_received};
    assert_true(io_sock_open(s->loop, &s->sock, fd));
    io_recv(s->loop, &s->sock, &s->rd);
    io_accept(&run.server_loop, &run.listener, op);
}

static void start_clients(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct side *s = &run.clients[i];
        *s = (struct side){.loop = &run.client_loop, .wr.done = on_sent};
        io_connect(s->loop, &s->sock, &s->wr, (struct sockaddr *)&server_addr, sizeof(server_addr));
    }
}

static void open_run(uint64_t seed, const struct sim_faults *faults)
{
    for (int i = 0; i < SEND_BYTES; i++)
        bytes[i] = (char)(i * 31 + i / 251);
    memset(&run, 0, sizeof(run));
    server_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(80)};
    for (int i = 0; i < CLIENTS; i++)
        run.clients[i].sock.fd = -1;
    run.net = sim_net_new(seed, faults);
    assert_true(loop_init(&run.client_loop, &io_backend_sim, run.net, &counters, 1 << 20));
    assert_true(loop_init(&run.server_loop, &io_backend_sim, run.net, &counters, 1 << 20));
    int fd = sim_listen(run.net, (struct sockaddr *)&server_addr, sizeof(server_addr));
    assert_true(io_sock_open(&run.server_loop, &run.listener, fd));
    run.accept_op.done = on_accepted;
    io_accept(&run.server_loop, &run.listener, &run.accept_op);
}

static uint64_t close_run(void)
{
    io_cancel(&run.server_loop, &run.accept_op);
    sim_run(run.net, sim_now_ms(run.net) + 1000);
    for (int i = 0; i < CLIENTS; i++)
        io_sock_close(&run.client_loop, &run.clients[i].sock);
    for (int i = 0; i < run.server_count; i++)
        io_sock_close(&run.server_loop, &run.servers[i].sock);
    io_sock_close(&run.server_loop, &run.listener);
    uint64_t hash = sim_hash(run.net);
    assert_int_equal(sim_open_count(run.net), 0);
    loop_release(&run.client_loop);
    loop_release(&run.server_loop);
    sim_net_free(run.net);
    return hash;
}

static uint64_t whole_run(uint64_t seed, const struct sim_faults *faults)
{
    open_run(seed, faults);
    start_clients();
    sim_run(run.net, 1000000);
    return close_run();
}

static const struct sim_faults all_faults = {.split = 300,
                                             .delay = 200,
                                             .reset = 30,
                                             .short_write = 300,
                                             .refuse = 100,
                                             .no_buffer = 200,
                                             .delay_max_ms = 50,
                                             .window_bytes = 4000};
static const struct sim_faults no_faults = {0};

static void same_seed_same_run(void **state)
{
    uint64_t last = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t first = whole_run(seed, &all_faults);
        assert_true(first == whole_run(seed, &all_faults));
        assert_true(first != last);
        last = first;
    }
}

/* Whatever happens, every op ends and nobody hears of bytes that were not sent. */
static void every_op_ends(void **state)
{
    int refused = 0, reset = 0;
    (void)state;
    for (uint64_t seed = 100; seed < 200; seed++) {
        open_run(seed, &all_faults);
        start_clients();
        sim_run(run.net, 1000000);
        for (int i = 0; i < CLIENTS; i++) {
            assert_true(run.clients[i].ended);
            refused += run.clients[i].error == -ECONNREFUSED;
        }
        for (int i = 0; i < run.server_count; i++) {
            assert_true(run.servers[i].ended);
            reset += run.servers[i].error == -ECONNRESET;
            if (!run.servers[i].error)
                assert_int_equal(run.servers[i].received, SEND_BYTES);
        }
        close_run();
    }
    assert_true(refused > 0);
    assert_true(reset > 0);
}

static size_t pieces_with(const struct sim_faults *faults)
{
    open_run(7, faults);
    start_clients();
    sim_run(run.net, 1000000);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(run.servers[i].received, SEND_BYTES);
    size_t pieces = run.pieces;
    close_run();
    return pieces;
}

static void splits_into_more_pieces(void **state)
{
    static const struct sim_faults split = {.split = 900}, shorter = {.short_write = 900},
                                   starved = {.no_buffer = 500};
    (void)state;
    size_t plain = pieces_with(&no_faults);
    assert_true(pieces_with(&split) > plain);
    assert_true(pieces_with(&shorter) > plain);
    pieces_with(&starved); /* nothing is lost */
}

static void delay_takes_time(void **state)
{
    static const struct sim_faults slow = {.delay = 1000, .delay_max_ms = 5000};
    (void)state;
    open_run(3, &slow);
    start_clients();
    int64_t began_ms = sim_now_ms(run.net);
    sim_run(run.net, 1000000);
    assert_true(sim_now_ms(run.net) - began_ms > 500);
    close_run();
}

static void window_blocks_a_sender(void **state)
{
    static const struct sim_faults narrow = {.window_bytes = 1000};
    (void)state;
    open_run(5, &narrow);
    io_cancel(&run.server_loop, &run.accept_op); /* so nobody reads */
    sim_run(run.net, sim_now_ms(run.net) + 10);
    start_clients();
    sim_run(run.net, sim_now_ms(run.net) + 10000);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(run.clients[i].sent, 1000);
        assert_true(run.clients[i].wr.armed);
        io_cancel(&run.client_loop, &run.clients[i].wr);
    }
    close_run();
}

/* ---- time ---- */

static int64_t fired_ms;

static void on_timer(struct timer *t)
{
    (void)t;
    fired_ms = run.client_loop.now_ms;
}

static void clock_jumps_to_the_next_timer(void **state)
{
    struct timer t;
    (void)state;
    open_run(1, &no_faults);
    int64_t began_ms = sim_now_ms(run.net);
    timer_init(&t, on_timer);
    timer_set(&run.client_loop.timers, &t, began_ms + 3600000);
    fired_ms = 0;
    sim_run(run.net, began_ms + 3599999);
    assert_int_equal(fired_ms, 0);
    assert_int_equal(sim_now_ms(run.net), began_ms + 3599999);
    sim_run(run.net, began_ms + 7200000);
    assert_int_equal(fired_ms, began_ms + 3600000);
    assert_int_equal(sim_now_ms(run.net), began_ms + 3600000); /* nothing was left to wait for */
    assert_int_equal(run.client_loop.unix_ms % 1000, 0);
    close_run();
}

static struct loop *mail_loop;

static void on_mail(struct mail *m, struct loop *l)
{
    (void)m;
    mail_loop = l;
}

static void mail_reaches_another_loop(void **state)
{
    struct mail m = {.run = on_mail};
    (void)state;
    open_run(1, &no_faults);
    mail_loop = NULL;
    mailbox_post(run.server_loop.mailbox, &m);
    sim_run(run.net, sim_now_ms(run.net));
    assert_ptr_equal(mail_loop, &run.server_loop);
    close_run();
}

static void one_loop_ticks_by_hand(void **state)
{
    struct timer t;
    (void)state;
    open_run(1, &no_faults);
    timer_init(&t, on_timer);
    int64_t due_ms = run.client_loop.now_ms + 100;
    timer_set(&run.client_loop.timers, &t, due_ms);
    fired_ms = 0;
    for (int i = 0; i < 10 && !fired_ms; i++)
        loop_tick(&run.client_loop);
    assert_int_equal(fired_ms, due_ms);
    close_run();
}

UNIT_SUITE(io_sim, cmocka_unit_test(same_seed_same_run), cmocka_unit_test(every_op_ends),
           cmocka_unit_test(splits_into_more_pieces), cmocka_unit_test(delay_takes_time),
           cmocka_unit_test(window_blocks_a_sender),
           cmocka_unit_test(clock_jumps_to_the_next_timer),
           cmocka_unit_test(mail_reaches_another_loop), cmocka_unit_test(one_loop_ticks_by_hand));
