/* client.c - a client of the simulation: its connections, one after the other.
 *
 * Sends its requests in order, some pipelined; after a connection that broke it goes on over
 * another one. What may have been looked at on the broken one is not sent again (that would make
 * the client process things twice, not weir); what stood behind a barrier is, because weir must not
 * have looked at it. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/client.h"
#include "base/mem.h"
#include <stdlib.h>

enum {
    FRUITLESS_MAX = 20, /* connections in a row, then the next request is given up */
    DEAF_MS = 600 * 1000,
    CLOSE_LIMIT_MS = SIM_HOUR_MS,
    SLOW_READ_MAX_MS = 50,
    DEPTH_MAX = 5,
    HANDSHAKE_MS = 10000, /* as weir has it */
    MUTE_SLACK_MS = 500,
};

struct sim_request *client_request(struct sim_client *c, uint32_t index)
{
    return &c->world->requests[c->first + index];
}

static struct timer_wheel *timers_of(struct sim_client *c)
{
    return &c->world->peers.timers;
}

static void timers_stop(struct sim_client *c)
{
    timer_stop(timers_of(c), &c->connect_timer);
    timer_stop(timers_of(c), &c->read_timer);
    timer_stop(timers_of(c), &c->drip_timer);
    timer_stop(timers_of(c), &c->reset_timer);
}

/* --- the end of a connection ------------------------------------------------------------------ */

static void give_up(struct sim_client *c, enum sim_outcome end)
{
    struct sim_request *r = client_request(c, c->expecting);
    r->end = end;
    r->ended_ms = c->world->peers.now_ms;
    c->expecting++;
    c->fruitless = 0;
}

/* The first index that weir can not have looked at. Where nothing but weir ends connections, and no
 * reset of ours took answers along, that is the one behind the one whose answer it broke off. */
static uint32_t first_unseen(struct sim_client *c)
{
    uint32_t begun = c->sending + (c->phase != PHASE_NEXT);
    if (c->winding)
        return c->expecting;
    if (sim_exact(c->world) && c->expecting < begun &&
        !client_request(c, c->expecting)->talked_over)
        return c->expecting + 1;
    return c->barrier != NO_BARRIER && c->barrier + 1 < begun ? c->barrier + 1 : begun;
}

static void tunnel_ended(struct sim_client *c)
{
    bool whole = tunnel_over(&c->tunnel) && !c->tunnel.quiet;
    give_up(c, whole ? END_WHOLE : END_ABORTED);
}

static void gone(struct sim_client *c)
{
    uint32_t unseen = first_unseen(c);
    sim_say(c->world, "client %u: connection ended, expecting %u, sending %u", c->first,
            c->first + c->expecting, c->first + c->sending);
    timers_stop(c);
    c->conn = NULL;
    c->connected = false;
    c->fruitless++;
    if (c->tunneling)
        tunnel_ended(c);
    while (c->expecting < unseen && c->expecting < c->count)
        give_up(c, END_ABORTED);
    if (c->fruitless > FRUITLESS_MAX && c->expecting < c->count)
        give_up(c, END_UNSENT);
    c->sending = c->expecting;
    c->phase = PHASE_NEXT;
    if (c->expecting < c->count)
        timer_set(timers_of(c), &c->connect_timer, c->world->peers.now_ms + 1);
}

void client_close(struct sim_client *c)
{
    conn_close_by(c->conn, c->world->peers.now_ms + CLOSE_LIMIT_MS);
    gone(c);
}

/* --- what the connection tells ---------------------------------------------------------------- */

static bool is_done(const struct sim_client *c)
{
    return c->expecting >= c->count && c->phase == PHASE_NEXT;
}

/* Some clients leave as soon as they can, others wait for weir to close. */
static bool leaves(struct sim_client *c)
{
    if (c->tunneling)
        return false;
    return is_done(c) && (c->first & 1);
}

static void recv_on(struct sim_client *c)
{
    int64_t now_ms = c->world->peers.now_ms;
    if (c->deaf)
        timer_set(timers_of(c), &c->read_timer, now_ms + DEAF_MS);
    else if (c->reads_slowly)
        timer_set(timers_of(c), &c->read_timer,
                  now_ms + 1 + rand_below(&c->world->rand, SLOW_READ_MAX_MS));
    else
        conn_recv(c->conn);
}

/* weir waits for hello, and then no longer. */
static void check_mute_end(struct sim_client *c)
{
    struct sim_world *w = c->world;
    int64_t took_ms = w->peers.now_ms - c->idle_since_ms;
    if (sim_exact(w) && !w->draining && c->connected &&
        (took_ms < HANDSHAKE_MS - MUTE_SLACK_MS || took_ms > HANDSHAKE_MS + MUTE_SLACK_MS))
        sim_broken(w, "client %u: a handshake ended after %lld ms", c->first, (long long)took_ms);
}

/* True: the handshake goes first, or what there is instead of it. */
static bool shakes_first(struct sim_client *c)
{
    if (c->world->tls == SIM_TLS_NONE || c->shaking)
        return false;
    c->shaking = true;
    if (c->mute) {
        c->connected = true;
        c->idle_since_ms = c->world->peers.now_ms;
        conn_recv(c->conn);
    } else {
        sim_tls_connect(c->world, c->conn, NULL);
    }
    return true;
}

static void on_open(struct conn *conn, enum err e)
{
    struct sim_client *c = conn->user;
    if (e != ERR_OK) {
        conn_abort(conn);
        gone(c);
        return;
    }
    if (shakes_first(c))
        return;
    c->connected = true;
    c->idle_since_ms = c->world->peers.now_ms;
    client_send_more(c);
    recv_on(c);
}

static void on_data(struct conn *conn, struct span s)
{
    struct sim_client *c = conn->user;
    if (c->mute)
        sim_broken(c->world, "client %u said nothing and got an answer", c->first);
    client_judge_data(c, s.at, s.len);
    span_drop(s);
    client_send_more(c);
    if (leaves(c))
        client_close(c);
    else
        recv_on(c);
}

static void on_eof(struct conn *conn)
{
    struct sim_client *c = conn->user;
    if (c->mute)
        check_mute_end(c);
    else
        client_judge_eof(c);
    if (c->tunneling && !tunnel_eof(&c->tunnel) && !c->tunnel.quiet)
        return;
    client_close(c);
}

static void on_room(struct conn *conn)
{
    struct sim_client *c = conn->user;
    if (!c->tunneling) {
        client_send_more(c);
        return;
    }
    tunnel_pump(&c->tunnel);
    if (tunnel_over(&c->tunnel))
        client_close(c);
}

static void on_error(struct conn *conn, enum err e)
{
    struct sim_client *c = conn->user;
    (void)e;
    if (c->mute)
        check_mute_end(c);
    conn_abort(conn);
    gone(c);
}

static const struct conn_user_ops client_ops = {
    .on_open = on_open,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_room = on_room,
    .on_error = on_error,
};

/* --- timers ----------------------------------------------------------------------------------- */

/* Sudden resets only in a storm, because they may hit anything. */
static bool will_reset(struct sim_world *w)
{
    return w->weather == SIM_STORM && world_chance(w, 150);
}

static void entrance_choose(struct sim_client *c)
{
    bool second = weir_gen(c->world, 1) == weir_gen(c->world, 0) && world_chance(c->world, 400);
    c->entrance = second ? 1 : 0;
}

static void connect_now(struct timer *t)
{
    struct sim_client *c = CONTAINER_OF(t, struct sim_client, connect_timer);
    struct sim_world *w = c->world;
    struct addr to;
    entrance_choose(c);
    sim_addr_weir(c->entrance, &to);
    client_judge_begin(c);
    c->barrier = NO_BARRIER;
    c->deaf = c->tunneling = c->interim = c->close_said = c->winding = c->body_loose = c->shaking =
        false;
    c->mute = w->tls && world_chance(w, 50);
    c->reads_slowly = world_chance(w, 200);
    c->depth = 1 + rand_below(&w->rand, DEPTH_MAX);
    c->conn = conn_connect(&w->peers, &to, &client_ops, c);
    if (will_reset(w))
        timer_set(&w->peers.timers, &c->reset_timer, w->peers.now_ms + rand_below(&w->rand, 3000));
}

static void read_now(struct timer *t)
{
    struct sim_client *c = CONTAINER_OF(t, struct sim_client, read_timer);
    c->deaf = false;
    conn_recv(c->conn);
}

static void drip_now(struct timer *t)
{
    client_drip(CONTAINER_OF(t, struct sim_client, drip_timer));
}

static void reset_now(struct timer *t)
{
    struct sim_client *c = CONTAINER_OF(t, struct sim_client, reset_timer);
    conn_reset(c->conn);
    gone(c);
}

/* --- life ------------------------------------------------------------------------------------- */

struct sim_client *sim_client_new(struct sim_world *w, uint32_t first_id, uint32_t count)
{
    struct sim_client *c = MEM_NEW(struct sim_client);
    *c = (struct sim_client){.world = w, .first = first_id, .count = count};
    timer_init(&c->connect_timer, connect_now);
    timer_init(&c->read_timer, read_now);
    timer_init(&c->drip_timer, drip_now);
    timer_init(&c->reset_timer, reset_now);
    timer_set(&w->peers.timers, &c->connect_timer,
              w->peers.now_ms + rand_below(&w->rand, w->crowded ? 10 : 2000));
    return c;
}

void sim_client_free(struct sim_client *c)
{
    if (c->conn || c->expecting < c->count)
        sim_broken(c->world, "client %u waits for ever for %u", c->first, c->first + c->expecting);
    free(c);
}
