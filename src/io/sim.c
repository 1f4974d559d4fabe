/* sim.c - the simulated network as a backend, and who runs when.
 *
 * sim_run() lets every loop that has something to do make its tick, and only when none has moves
 * the clock to the next event or timer. So time stands still while code runs, and an hour of
 * timeouts takes no longer than what happens in it. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/mem.h"
#include "io/backend.h"
#include "io/sim_priv.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t START_NS = 1000000000; /* not 0: a deadline of 0 is to be in the past */
static const int64_t START_UNIX_MS = 1767225600000; /* 2026-01-01 */
enum { TICKS_PER_MOMENT_MAX = 1000000, NS_PER_MS = 1000000 };

struct sim_net *sim_net_new(uint64_t seed, const struct sim_faults *faults)
{
    struct sim_net *n = MEM_NEW(struct sim_net);
    rand_init(&n->rand, seed);
    n->faults = *faults;
    n->now_ns = START_NS;
    return n;
}

void sim_net_free(struct sim_net *n)
{
    ASSERT(n->open_count == 0 && n->loop_count == 0);
    free(n->ends);
    free(n->events);
    free(n);
}

int sim_listen(struct sim_net *n, const struct sockaddr *addr, socklen_t len)
{
    struct sim_end *e = sim_end_new(n);
    e->listening = true;
    memcpy(&e->local, addr, len);
    e->addr_len = len;
    return e->fd;
}

void sim_hole(struct sim_net *n, const struct sockaddr *addr, socklen_t len)
{
    memcpy(&n->hole, addr, len);
    n->hole_len = len;
}

static bool is_hole(const struct sim_net *n, const struct sockaddr *addr, socklen_t len)
{
    return n->hole_len == len && memcmp(&n->hole, addr, len) == 0;
}

int64_t sim_now_ms(const struct sim_net *n)
{
    return n->now_ns / NS_PER_MS;
}

bool sim_peer_open(const struct sim_net *n, int fd)
{
    const struct sim_end *e = sim_end_find(n, fd);
    return e && sim_end_find(n, e->peer_fd);
}

size_t sim_open_count(const struct sim_net *n)
{
    return (size_t)n->open_count;
}

void sim_trace(struct sim_net *n, bool on)
{
    n->tracing = on;
}

uint64_t sim_hash(const struct sim_net *n)
{
    return n->hash;
}

/* ---- time ---- */

static bool next_moment(const struct sim_net *n, int64_t *at_ns)
{
    bool any = n->event_count > 0;
    int64_t first = any ? n->events[0].at_ns : INT64_MAX;
    for (int i = 0; i < n->loop_count; i++) {
        struct loop *l = n->loops[i];
        if (!l->timers.count)
            continue;
        int64_t wait_ms = timers_wait_ms(&l->timers, sim_now_ms(n), INT32_MAX);
        int64_t due_ns = (sim_now_ms(n) + wait_ms) * NS_PER_MS;
        if (due_ns < first)
            first = due_ns;
        any = true;
    }
    *at_ns = first > n->now_ns ? first : n->now_ns;
    return any;
}

/* Moves the clock to the next moment, not past `until_ns`, and delivers. False: nothing comes. */
static bool advance(struct sim_net *n, int64_t until_ns, uint64_t *delivered)
{
    int64_t at_ns;
    if (!next_moment(n, &at_ns))
        return false;
    if (at_ns > until_ns) {
        if (until_ns > n->now_ns)
            n->now_ns = until_ns;
        return false;
    }
    n->now_ns = at_ns;
    *delivered += sim_events_run(n);
    return true;
}

static void read_clock(struct loop *l)
{
    struct sim_net *n = l->backend_priv;
    l->now_ns = n->now_ns;
    l->now_ms = sim_now_ms(n);
    l->unix_ms = START_UNIX_MS + l->now_ms - START_NS / NS_PER_MS;
}

/* Each loop that has something to do makes one tick, in an order by chance. */
static bool run_busy_loops(struct sim_net *n)
{
    bool ran = false;
    int count = n->loop_count;
    int first = count ? (int)rand_below(&n->rand, (uint32_t)count) : 0;
    for (int i = 0; i < count && i < n->loop_count; i++) {
        struct loop *l = n->loops[(first + i) % n->loop_count];
        read_clock(l);
        if (!loop_busy(l))
            continue;
        loop_tick(l);
        ran = true;
    }
    return ran;
}

uint64_t sim_run(struct sim_net *n, int64_t until_ms)
{
    uint64_t delivered = 0;
    n->running = true;
    do {
        int ticks = 0;
        while (run_busy_loops(n))
            ASSERT(++ticks < TICKS_PER_MOMENT_MAX); /* a task that wakes itself for ever */
    } while (advance(n, until_ms * NS_PER_MS, &delivered));
    n->running = false;
    return delivered;
}

/* ---- the backend ---- */

static bool backend_open(struct loop *l, void *arg)
{
    struct sim_net *n = arg;
    if (n->loop_count == SIM_LOOPS_MAX) {
        errno = ENOSPC;
        return false;
    }
    n->loops[n->loop_count++] = l;
    l->backend_priv = n;
    rand_init(&l->rand, rand_next(&n->rand));
    return true;
}

static void backend_close(struct loop *l)
{
    struct sim_net *n = l->backend_priv;
    int i = 0;
    while (n->loops[i] != l)
        i++;
    memmove(&n->loops[i], &n->loops[i + 1], sizeof(l) * (size_t)(--n->loop_count - i));
}

static struct sim_end *end_of(const struct loop *l, const struct io_sock *s)
{
    struct sim_end *e = sim_end_find(l->backend_priv, s->fd);
    ASSERT(e);
    return e;
}

static bool sock_open(struct loop *l, struct io_sock *s, int fd)
{
    struct sim_end *e = sim_end_find(l->backend_priv, fd);
    ASSERT(e && !e->loop);
    e->loop = l;
    e->sock = s;
    return true;
}

static void sock_detach(struct loop *l, struct io_sock *s)
{
    struct sim_end *e = end_of(l, s);
    e->loop = NULL;
    e->sock = NULL;
}

static void sock_close(struct loop *l, struct io_sock *s)
{
    sim_end_close(end_of(l, s));
}

static void discard(struct loop *l, int fd)
{
    struct sim_end *e = sim_end_find(l->backend_priv, fd);
    ASSERT(e);
    sim_end_close(e);
}

static bool sock_name(struct loop *l, const struct io_sock *s, enum io_end end, struct io_name *out)
{
    const struct sim_end *e = end_of(l, s);
    *out = (struct io_name){end == IO_REMOTE ? e->remote : e->local, e->addr_len};
    return true;
}

static void start(struct loop *l, struct io_op *op)
{
    if (op->kind == IO_POLL_IN || op->kind == IO_POLL_OUT)
        io_finish(l, op, -ENOTSUP);
    else
        sim_end_start(end_of(l, op->sock), op);
}

static int accept_next(struct loop *l, struct io_sock *s)
{
    return sim_end_accept(end_of(l, s));
}

static void start_connect(struct loop *l, struct io_op *op, const struct sockaddr *to,
                          socklen_t len)
{
    struct sim_end *e = sim_end_new(l->backend_priv);
    op->sock->fd = e->fd;
    sock_open(l, op->sock, e->fd);
    if (is_hole(l->backend_priv, to, len))
        return;
    bool answered = sim_end_call(e, to, len) != NULL;
    sim_end_hold(e, answered ? 0 : -ECONNREFUSED, 2 * SIM_LATENCY_MAX_NS);
}

static void cancel(struct loop *l, struct io_op *op)
{
    sim_end_cancel(end_of(l, op->sock), op);
}

static void shut(struct loop *l, struct io_sock *s)
{
    sim_end_shutdown(end_of(l, s));
}

static void set_reset(struct loop *l, struct io_sock *s)
{
    end_of(l, s)->reset_on_close = true;
}

/* sim_run() moves the clock itself; a loop_tick() by hand does it here. */
static void wait_events(struct loop *l, int timeout_ms)
{
    struct sim_net *n = l->backend_priv;
    uint64_t delivered = 0;
    if (!n->running)
        advance(n, n->now_ns + (int64_t)timeout_ms * NS_PER_MS, &delivered);
}

const struct io_backend io_backend_sim = {
    .name = "sim",
    .has_pipes = true,
    .open = backend_open,
    .close = backend_close,
    .clock = read_clock,
    .sock_open = sock_open,
    .sock_close = sock_close,
    .sock_detach = sock_detach,
    .sock_name = sock_name,
    .discard = discard,
    .start = start,
    .accept_next = accept_next,
    .connect = start_connect,
    .cancel = cancel,
    .shutdown = shut,
    .set_reset = set_reset,
    .wait = wait_events,
};
