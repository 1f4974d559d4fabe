/* h2_client.h - a client of the simulation that speaks HTTP/2, between h2_client.c (its
 * connections, what it gets) and h2_client_send.c (what it asks). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/sim/h2_peer.h"

enum h2_call_state { CALL_WAITS, CALL_OPEN, CALL_ENDED };

/* A request, by its stream. Over again when weir says that it did nothing of it. */
struct h2_call {
    struct h2_peer_stream stream;
    struct sim_h2_client *client;
    uint32_t id;
    enum h2_call_state state;
    bool may_send, stalled, trailer_seen, interim, tunneling;
    uint64_t sent, got;
    struct sim_tunnel tunnel;
    struct timer timer; /* the next drop of a drip, or the moment to take it back */
};

enum h2_leaving { STAYS, LEAVES_BY_RESET, LEAVES_BY_CLOSE, LEAVES_BY_GOAWAY };

struct sim_h2_client {
    struct sim_world *world;
    struct h2_peer *peer; /* NULL: not connected */
    struct conn *conn;
    struct timer connect_timer, read_timer, leave_timer;
    uint32_t first, count; /* ids of its requests */
    uint32_t depth;        /* how many may be under way */
    uint32_t entrance, fruitless;
    enum h2_leaving leaving;
    bool connected, shaking, reads_slowly, broad;
    bool winding;     /* begins nothing more on this connection */
    uint32_t last_id; /* of weir's GOAWAY */
    int64_t idle_since_ms;
    struct h2_call calls[SIM_REQUESTS_MAX];
};

static inline struct sim_request *h2_call_request(const struct h2_call *c)
{
    return &c->client->world->requests[c->id];
}

static inline bool h2_call_sending(const struct h2_call *c)
{
    return !c->stream.we_ended && !h2_peer_stream_over(&c->stream);
}

void h2_call_end(struct h2_call *c, enum sim_outcome end);
void h2_call_tunnel(struct h2_call *c); /* its 200 came */
void h2_call_timer_fired(struct timer *t);
void h2_client_pump(struct sim_h2_client *c); /* begins what may be, sends what can go */
