/* conn_testing_priv.h - two connected connections on one loop, of either backend, for the tests of
 * conn.c: what each side heard, turns of the loop, and a runner for both backends. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
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
    int open_count, eof_count, room_count, data_count, send_error_count;
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

static inline void counted_start(struct loop *l, struct io_op *op)
{
    if (op->kind == IO_SEND) {
        send_count++;
        last_iov_count = op->iov_count;
    }
    real->start(l, op);
}

static inline void side_open(struct conn *c, enum err e)
{
    struct side *s = c->user;
    s->open_count++;
    s->open_err = e;
}

static inline void side_data(struct conn *c, struct span sp)
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

static inline void side_eof(struct conn *c)
{
    ((struct side *)c->user)->eof_count++;
}

static inline void side_room(struct conn *c)
{
    ((struct side *)c->user)->room_count++;
}

static inline void side_error(struct conn *c, enum err e)
{
    struct side *s = c->user;
    assert_int_equal(s->err, ERR_OK); /* once */
    s->err = e;
}

static inline void side_send_error(struct conn *c)
{
    ((struct side *)c->user)->send_error_count++;
}

static const struct conn_user_ops side_ops = {side_open, side_data,  side_eof,
                                              side_room, side_error, side_send_error};

static inline void on_accept(struct listener *ln, int fd)
{
    struct world *w = ln->user;
    w->b.conn = conn_accept(&w->loop, fd, &side_ops, &w->b);
    assert_non_null(w->b.conn);
}

static inline void on_closed(struct listener *ln)
{
    ((struct world *)ln->user)->listener_closed = true;
}

static inline void turn(void)
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

static inline void some_turns(void)
{
    for (int i = 0; i < 20; i++)
        turn();
}

static inline struct addr loopback(uint16_t port)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &a), ERR_OK);
    addr_set_port(&a, port);
    return a;
}

static inline int open_listener(struct world *w)
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

static inline void open_world(struct sim_net *net)
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

static inline void connect_both(void)
{
    struct world *w = &world;
    w->a.conn = conn_connect(&w->loop, &w->addr, &side_ops, &w->a);
    assert_non_null(w->a.conn);
    TURN_UNTIL(w->a.open_count && w->b.conn);
    assert_int_equal(w->a.open_err, ERR_OK);
    send_count = 0;
}

static inline void end_side(struct side *s)
{
    if (s->conn)
        conn_abort(s->conn);
    free(s->seen);
}

static inline void close_world(void)
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

static inline void on_both(void (*scenario)(void), const struct sim_faults *faults)
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

static inline void write_text(struct conn *c, const char *text)
{
    assert_int_equal(conn_write(c, (struct span){NULL, text, strlen(text)}), ERR_OK);
}

static inline void expect_seen(const struct side *s, const char *text)
{
    assert_int_equal(s->seen_bytes, strlen(text));
    assert_memory_equal(s->seen, text, s->seen_bytes);
}

static char block[64 * 1024];

static inline void write_block(void)
{
    assert_int_equal(conn_write(world.a.conn, (struct span){NULL, block, sizeof(block)}), ERR_OK);
}
