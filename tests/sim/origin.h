/* origin.h - a server of the simulation, between origin.c (what it gets) and origin_answer.c (what
 * it says). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/sim/sim.h"

struct sim_origin {
    struct sim_world *world;
    struct listener listener;
    struct list conns;
    struct list h2_conns;
    uint32_t index;
    bool closed;
};

struct origin_conn {
    struct list link;
    struct sim_world *world;
    struct sim_origin *origin;
    struct conn *conn;
    struct wire wire;
    struct timer timer;      /* the answer is due */
    struct timer idle_timer; /* a stale world: closes what idles */
    struct sim_tunnel tunnel;
    uint32_t id;
    enum sim_mood mood; /* of this try */
    bool busy;          /* from the head of a request to the end of both messages */
    bool answering;     /* the head went out; body from `sent` on */
    bool answered;      /* the answer is out */
    bool request_whole, trailer_seen, served, eof, deaf, tunneling;
    uint64_t sent;
    uint64_t stop_at; /* breaks off there */
};

struct sim_request *origin_request(struct origin_conn *o);
void origin_finish(struct origin_conn *o, bool reset); /* closes; frees it */
void origin_conn_free(struct origin_conn *o);
void origin_idle(struct origin_conn *o); /* both messages are whole: waits for the next request */

void answer_begin(struct origin_conn *o);         /* the head of a request came */
void answer_request_whole(struct origin_conn *o); /* and its body */
void answer_now(struct origin_conn *o);           /* its time has come; may free it */
void answer_more(struct origin_conn *o);          /* there is room; may free it */

/* h2_origin.c */
void sim_h2_origin_accept(struct sim_origin *o, int fd);
void sim_h2_origin_close_all(struct sim_origin *o);
