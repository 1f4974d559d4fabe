/* sim_priv.h - the inside of the simulated network, between sim_net.c (what travels) and sim.c
 * (the backend's face, and who runs when). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/pipe.h"
#include "io/sim.h"

enum { SIM_FD_BASE = 1000000, SIM_LOOPS_MAX = 16, SIM_LATENCY_MAX_NS = 200000 };

/* Something on its way to an end; arrives in order per end. */
enum sim_seg_kind { SIM_DATA, SIM_FIN, SIM_RST, SIM_CALL /* to a listener: a new connection */ };

struct sim_seg {
    struct sim_seg *next;
    int64_t at_ns;
    enum sim_seg_kind kind;
    int fd; /* SIM_CALL: the accepting side's end */
    size_t len;
    char bytes[];
};

/* One end of a connection, or a listener. Owned by the net, freed when its owner closes it. */
struct sim_end {
    struct sim_net *net;
    struct loop *loop; /* NULL: not adopted yet */
    struct io_sock *sock;
    int fd, peer_fd; /* numbers, so that a peer that is gone is noticed */
    bool listening, eof, reset, shut, reset_on_close;
    struct sockaddr_storage local, remote;
    socklen_t addr_len;
    struct sim_seg *in, **in_tail; /* on its way here */
    int64_t in_last_ns;
    size_t in_bytes; /* on its way or arrived, not yet received: what the window limits */
    char *data;      /* arrived */
    size_t data_at, data_len, data_cap;
    int *calls; /* listener: arrived, not accepted */
    size_t call_count;
    int64_t rd_due_ns, wr_due_ns; /* no result of an armed op before that */
    bool wr_held;                 /* the result of the write op is known, and due later */
    int wr_res;
};

struct sim_event {
    int64_t at_ns;
    uint64_t seq;
    int fd;
};

struct sim_net {
    struct rand rand;
    struct sim_faults faults;
    int64_t now_ns;
    struct sim_end **ends; /* by fd - SIM_FD_BASE; NULL: closed */
    int end_count, open_count;
    struct sim_event *events; /* heap by time */
    size_t event_count, event_cap;
    uint64_t event_seq;
    struct loop *loops[SIM_LOOPS_MAX];
    int loop_count;
    struct sockaddr_storage hole; /* an address that never answers */
    socklen_t hole_len;
    bool running, tracing;
    uint64_t hash; /* of everything that happened */
};

bool sim_chance(struct sim_net *n, unsigned per_thousand);
void sim_note(struct sim_net *n, int fd, const char *what, int64_t value);

struct sim_end *sim_end_new(struct sim_net *n);
struct sim_end *sim_end_find(const struct sim_net *n, int fd); /* NULL: closed */
void sim_end_close(struct sim_end *e);
struct sim_end *sim_end_call(struct sim_end *from, const struct sockaddr *to, socklen_t len);

void sim_event_add(struct sim_net *n, int fd, int64_t at_ns);
/* Delivers events that are due; how many. */
uint64_t sim_events_run(struct sim_net *n);

void sim_end_start(struct sim_end *e, struct io_op *op);
void sim_end_cancel(struct sim_end *e, struct io_op *op);
void sim_end_shutdown(struct sim_end *e);
int sim_end_accept(struct sim_end *e); /* a descriptor, or -EAGAIN */
/* The result of the write op, some time from now. */
void sim_end_hold(struct sim_end *e, int res, int64_t max_ns);

/* sim_pipe.c: ops on pipes. False: the pipe is not empty; the op goes on when it is. */
bool sim_pipe_ready(struct io_op *op);
size_t sim_pipe_fill(const struct io_op *op, const char *at, size_t len); /* bytes moved in */
size_t sim_pipe_bytes(const struct io_op *op);                            /* to be sent */
void sim_pipe_take(const struct io_op *op, char *to, size_t len);
void sim_pipe_took(struct loop *l, struct io_pipe *p); /* after a send: who waited goes on */
