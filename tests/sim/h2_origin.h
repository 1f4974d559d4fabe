/* h2_origin.h - a server of the simulation that speaks HTTP/2, between h2_origin.c (what it gets)
 * and h2_origin_answer.c (what it says). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/sim/h2_peer.h"
#include "tests/sim/origin.h"

struct h2_origin_conn {
    struct list link;
    struct sim_world *world;
    struct sim_origin *origin;
    struct conn *conn;
    struct h2_peer *peer;
    struct list cases; /* struct h2_case.link, all that came */
    struct timer idle_timer;
    uint32_t goaway_id; /* what we said last: later ones are not looked at */
    bool served;
    bool dies; /* at the end of this callback */
};

/* A request and its answer. */
struct h2_case {
    struct h2_peer_stream stream;
    struct list link;
    struct h2_origin_conn *conn;
    struct timer timer; /* the answer is due */
    struct sim_tunnel tunnel;
    uint32_t id;
    enum sim_mood mood;
    bool judged; /* it is for us */
    bool answering, answered, request_whole, trailer_seen, tunneling;
    uint64_t got, sent, stop_at;
};

static inline struct sim_request *h2_case_request(const struct h2_case *c)
{
    return &c->conn->world->requests[c->id];
}

void h2_conn_settle(struct h2_origin_conn *o);           /* after a callback: output, the end */
void h2_conn_kill(struct h2_origin_conn *o, bool reset); /* and everything on it; frees it */
void h2_case_disown(struct h2_case *c);

void h2_answer_begin(struct h2_case *c);         /* its head came */
void h2_answer_request_whole(struct h2_case *c); /* and its body */
void h2_answer_due(struct timer *t);
bool h2_answer_more(struct h2_case *c); /* one frame of it; false: nothing can go now */
