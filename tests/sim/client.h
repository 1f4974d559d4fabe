/* client.h - a client of the simulation, between client.c (its connections), client_send.c (what it
 * says) and client_judge.c (what it gets). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/sim/sim.h"

enum client_phase {
    PHASE_NEXT,    /* between two requests */
    PHASE_BODY,    /* the head of `sending` is out */
    PHASE_STALLED, /* nothing more of it will come */
};

enum { NO_BARRIER = UINT32_MAX };

struct sim_client {
    struct sim_world *world;
    struct conn *conn; /* NULL: none */
    struct wire wire;
    struct timer connect_timer, read_timer, drip_timer, reset_timer;
    struct sim_tunnel tunnel;
    uint32_t entrance;
    uint32_t first, count;       /* ids of its requests */
    uint32_t sending, expecting; /* indexes: the next to send; the next to be answered */
    uint32_t depth;              /* how many may be unanswered */
    uint32_t barrier;            /* what was sent after this one is never looked at */
    uint32_t fruitless;          /* connections in a row that brought nothing */
    enum client_phase phase;
    uint64_t sent; /* bytes of the body being sent */
    bool may_send; /* the 100 came */
    bool reads_slowly, deaf, tunneling, interim, close_said;
    bool winding;    /* sends no more and waits for the end of the connection */
    bool body_loose; /* was answered before its body was out: weir may end the connection */
    bool trailer_seen, connected;
    bool mute; /* opens a connection and says nothing, not even hello */
    bool shaking;
    int64_t idle_since_ms;
};

struct sim_request *client_request(struct sim_client *c, uint32_t index);
void client_close(struct sim_client *c); /* in peace */
void client_send_more(struct sim_client *c);
void client_drip(struct sim_client *c); /* the next little piece is due */
bool client_is_sending(const struct sim_client *c, uint32_t index); /* a part of it is to come */
void client_judge_begin(struct sim_client *c);                      /* a new connection */
void client_judge_data(struct sim_client *c, const char *at, size_t len);
void client_judge_eof(struct sim_client *c);
