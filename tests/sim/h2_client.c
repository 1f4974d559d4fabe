/* h2_client.c - a client of the simulation that speaks HTTP/2: its connections, one after the
 * other, and what it gets on them.
 *
 * What weir says that it did nothing of (a stream above its GOAWAY, REFUSED_STREAM) is asked again;
 * whatever else was under way when a connection broke was broken off. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/h2_client.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

enum {
    FRUITLESS_MAX = 20,
    CLOSE_LIMIT_MS = SIM_HOUR_MS,
    SLOW_READ_MAX_MS = 50,
    DEPTH_MAX = 20,
    LEAVE_MS = 3000,
    EARLY_MS = 500,
    SLOW_EARLY_MS = 5000,
    LATE_MS = 1500,
    BROAD_BYTES = 65535,
};

static struct h2_call *call_of(struct h2_peer_stream *s)
{
    return CONTAINER_OF(s, struct h2_call, stream);
}

static struct timer_wheel *timers_of(struct sim_h2_client *c)
{
    return &c->world->peers.timers;
}

static bool has_more(const struct sim_h2_client *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state != CALL_ENDED)
            return true;
    return false;
}

static bool is_busy(const struct sim_h2_client *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state == CALL_OPEN)
            return true;
    return false;
}

/* --- ends ------------------------------------------------------------------------------------- */

void h2_call_end(struct h2_call *c, enum sim_outcome end)
{
    struct sim_request *r = h2_call_request(c);
    struct sim_world *w = c->client->world;
    sim_say(w, "h2 client %u: end of %u, %s, status %u, sent %llu, window %lld", c->client->first,
            c->id, end == END_WHOLE ? "whole" : "broken off", r->status,
            (unsigned long long)c->sent, (long long)c->stream.send_window);
    timer_stop(timers_of(c->client), &c->timer);
    c->state = CALL_ENDED;
    r->end = end;
    r->ended_ms = c->client->idle_since_ms = w->peers.now_ms;
    c->client->fruitless = 0;
    if (r->way == WAY_IDLE)
        c->client->winding = true;
}

/* weir did nothing of it: it may be asked again. */
static void call_again(struct h2_call *c)
{
    struct sim_request *r = h2_call_request(c);
    if (r->seen > 0)
        sim_broken(c->client->world, "request %u is disowned, and an origin has seen it", c->id);
    sim_say(c->client->world, "h2 client %u: %u was not looked at", c->client->first, c->id);
    timer_stop(timers_of(c->client), &c->timer);
    list_remove(&c->stream.link);
    c->stream.id = 0;
    c->state = CALL_WAITS;
    c->client->idle_since_ms = c->client->world->peers.now_ms;
}

static void streams_forget(struct sim_h2_client *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        c->calls[i].stream.id = 0;
}

static void give_one_up(struct sim_h2_client *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state == CALL_WAITS) {
            h2_call_end(&c->calls[i], END_UNSENT);
            return;
        }
}

static void gone(struct sim_h2_client *c)
{
    sim_say(c->world, "h2 client %u: connection ended", c->first);
    timer_stop(timers_of(c), &c->read_timer);
    timer_stop(timers_of(c), &c->leave_timer);
    c->fruitless++;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state == CALL_OPEN)
            h2_call_end(&c->calls[i], END_ABORTED);
    streams_forget(c);
    if (c->peer)
        h2_peer_free(c->peer);
    c->peer = NULL;
    c->conn = NULL;
    c->connected = false;
    if (c->fruitless > FRUITLESS_MAX)
        give_one_up(c);
    if (has_more(c))
        timer_set(timers_of(c), &c->connect_timer, c->world->peers.now_ms + 1);
}

static void close_now(struct sim_h2_client *c)
{
    conn_linger(c->conn, c->world->peers.now_ms + CLOSE_LIMIT_MS);
    gone(c);
}

/* --- what it gets ----------------------------------------------------------------------------- */

static void on_head(struct h2_peer *p, struct h2_peer_stream *s, const char *head)
{
    struct h2_call *c = call_of(s);
    struct sim_world *w = p->world;
    struct sim_request *r = h2_call_request(c);
    int status = atoi(head + 9);
    sim_say(w, "h2 client %u: %d for %u", c->client->first, status, c->id);
    if (status == 101)
        sim_broken(w, "a 101 for %u over HTTP/2", c->id);
    if (status == 100 && r->way != WAY_EXPECT)
        sim_broken(w, "request %u got a 100 that it did not ask for", c->id);
    c->may_send |= status == 100;
    if (status < 200)
        return;
    judge_answer_head(w, c->id, head);
    if (r->way != WAY_UPGRADE || status / 100 != 2)
        return;
    r->status = 101; /* what it means */
    h2_call_tunnel(c);
}

static void on_bytes(struct h2_peer *p, struct h2_peer_stream *s, const char *at, size_t len)
{
    struct h2_call *c = call_of(s);
    if (c->tunneling)
        tunnel_data(&c->tunnel, at, len);
    else
        judge_answer_body(p->world, c->id, c->got, at, len);
    c->got += len;
}

static void on_trailer(struct h2_peer *p, struct h2_peer_stream *s, const char *line)
{
    struct h2_call *c = call_of(s);
    judge_answer_trailer(p->world, c->id, line);
    c->trailer_seen = true;
}

/* The answer is whole before all of the request was sent: weir may take the rest, or not. What
 * would never send its rest takes itself back. */
static void answered_early(struct h2_call *c)
{
    enum sim_way way = h2_call_request(c)->way;
    bool waits = !c->may_send || c->stalled || way == WAY_DRIP;
    if (h2_call_sending(c) && waits)
        h2_peer_reset(c->client->peer, &c->stream, H2_CANCEL);
}

static void on_end(struct h2_peer *p, struct h2_peer_stream *s)
{
    struct h2_call *c = call_of(s);
    struct sim_request *r = h2_call_request(c);
    if (c->state != CALL_OPEN)
        return;
    if (c->tunneling) {
        if (tunnel_eof(&c->tunnel))
            h2_call_end(c, c->tunnel.quiet ? END_ABORTED : END_WHOLE);
        return;
    }
    if (!s->head_came)
        sim_broken(p->world, "answer %u ends without a head", c->id);
    judge_answer_whole(p->world, c->id, c->got, r->by_origin, c->trailer_seen);
    h2_call_end(c, END_WHOLE);
    answered_early(c);
}

/* After a whole answer it only says that the rest of the request is not wanted. A malformed request
 * gets both (RFC 9113 8.1.1). */
static void on_reset(struct h2_peer *p, struct h2_peer_stream *s, uint32_t code)
{
    struct h2_call *c = call_of(s);
    struct sim_request *r = h2_call_request(c);
    (void)p;
    sim_say(p->world, "h2 client %u: %u is reset, %u", c->client->first, c->id, code);
    if (c->state != CALL_OPEN)
        return;
    if (code == H2_REFUSED_STREAM)
        call_again(c);
    else
        h2_call_end(c, r->way == WAY_BAD && s->head_came ? END_WHOLE : END_ABORTED);
}

/* An idle connection is taken leave of when it has idled long enough, never before. */
static void check_idle_end(const struct sim_h2_client *c)
{
    struct sim_world *w = c->world;
    int64_t idle_ms = w->peers.now_ms - c->idle_since_ms;
    if (is_busy(c) || !sim_exact(w) || w->draining || c->leaving == LEAVES_BY_GOAWAY)
        return;
    int64_t early_ms = c->reads_slowly ? SLOW_EARLY_MS : EARLY_MS;
    if (idle_ms < w->times.keepalive - early_ms || idle_ms > w->times.keepalive + LATE_MS)
        sim_broken(w, "h2 client %u: GOAWAY after %lld ms, keepalive is %u ms", c->first,
                   (long long)idle_ms, w->times.keepalive);
}

static void on_goaway(struct h2_peer *p, uint32_t last_id, uint32_t code)
{
    struct sim_h2_client *c = p->user;
    sim_say(p->world, "h2 client %u: GOAWAY, last %u, code %u", c->first, last_id, code);
    if (code != H2_NO_ERROR)
        sim_broken(p->world, "h2 client %u: GOAWAY for error %u", c->first, code);
    if (last_id > c->last_id)
        sim_broken(p->world, "h2 client %u: GOAWAY takes more than the one before", c->first);
    if (!c->winding)
        check_idle_end(c);
    c->winding = true;
    c->last_id = last_id;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state == CALL_OPEN && c->calls[i].stream.id > last_id) {
            c->calls[i].stream.they_reset = true;
            call_again(&c->calls[i]);
        }
}

static const struct h2_peer_ops peer_ops = {.on_head = on_head,
                                            .on_trailer = on_trailer,
                                            .on_bytes = on_bytes,
                                            .on_end = on_end,
                                            .on_reset = on_reset,
                                            .on_goaway = on_goaway};

/* --- the connection --------------------------------------------------------------------------- */

static void recv_on(struct sim_h2_client *c)
{
    if (c->reads_slowly)
        timer_set(timers_of(c), &c->read_timer,
                  c->world->peers.now_ms + 1 + rand_below(&c->world->rand, SLOW_READ_MAX_MS));
    else
        conn_recv(c->conn);
}

static void begin(struct sim_h2_client *c)
{
    static const uint32_t windows[] = {1000, 5000, 20000, BROAD_BYTES, 4 * BROAD_BYTES};
    struct sim_world *w = c->world;
    uint32_t window = windows[rand_below(&w->rand, 5)];
    c->connected = true;
    c->broad = window >= BROAD_BYTES;
    c->last_id = H2_STREAM_MAX;
    c->idle_since_ms = w->peers.now_ms;
    c->peer = h2_peer_new(w, c->conn, false, &peer_ops, c);
    h2_peer_start(c->peer, window, world_chance(w, 500) ? 1 << 20 : H2_WINDOW_BYTES);
    h2_client_pump(c);
    recv_on(c);
}

static void on_open(struct conn *conn, enum err e)
{
    struct sim_h2_client *c = conn->user;
    if (e != ERR_OK) {
        conn_abort(conn);
        gone(c);
        return;
    }
    if (c->world->tls && !c->shaking) {
        c->shaking = true;
        sim_tls_connect(c->world, c->conn, "h2");
        return;
    }
    begin(c);
}

/* Some leave as soon as they can, others wait for weir to close. */
static bool leaves(const struct sim_h2_client *c)
{
    return !has_more(c) && (c->first & 1) && c->peer->out_len == 0;
}

static void act(struct sim_h2_client *c)
{
    struct sim_world *w = c->world;
    if (world_chance(w, 10))
        h2_peer_noise(c->peer);
    if (world_chance(w, 5) && c->peer->settled && c->broad)
        h2_peer_window(c->peer, BROAD_BYTES + rand_below(&w->rand, 3 * BROAD_BYTES));
    h2_client_pump(c);
}

static void on_data(struct conn *conn, struct span s)
{
    struct sim_h2_client *c = conn->user;
    h2_peer_feed(c->peer, s.at, s.len);
    span_drop(s);
    weir_watch(c->world);
    act(c);
    if (leaves(c))
        close_now(c);
    else
        recv_on(c);
}

static void on_eof(struct conn *conn)
{
    struct sim_h2_client *c = conn->user;
    if (sim_exact(c->world) && is_busy(c) && c->peer)
        sim_broken(c->world, "h2 client %u: the connection ends with streams open", c->first);
    close_now(c);
}

static void on_room(struct conn *conn)
{
    struct sim_h2_client *c = conn->user;
    if (!c->peer)
        return;
    h2_client_pump(c);
    if (leaves(c))
        close_now(c);
}

static void on_error(struct conn *conn, enum err e)
{
    struct sim_h2_client *c = conn->user;
    (void)e;
    conn_abort(conn);
    gone(c);
}

static const struct conn_user_ops client_ops = {.on_open = on_open,
                                                .on_data = on_data,
                                                .on_eof = on_eof,
                                                .on_room = on_room,
                                                .on_error = on_error};

/* --- timers ----------------------------------------------------------------------------------- */

static void connect_now(struct timer *t)
{
    struct sim_h2_client *c = CONTAINER_OF(t, struct sim_h2_client, connect_timer);
    struct sim_world *w = c->world;
    struct addr to;
    bool second = weir_gen(w, 1) == weir_gen(w, 0) && world_chance(w, 400);
    c->entrance = second ? 1 : 0;
    sim_addr_weir(c->entrance, &to);
    c->shaking = c->winding = false;
    c->reads_slowly = world_chance(w, 200);
    c->depth = 1 + rand_below(&w->rand, DEPTH_MAX);
    c->leaving = world_chance(w, 200) ? 1 + rand_below(&w->rand, 3) : STAYS;
    c->conn = conn_connect(&w->peers, &to, &client_ops, c);
    if (c->leaving)
        timer_set(&w->peers.timers, &c->leave_timer,
                  w->peers.now_ms + rand_below(&w->rand, LEAVE_MS));
}

static void read_now(struct timer *t)
{
    conn_recv(CONTAINER_OF(t, struct sim_h2_client, read_timer)->conn);
}

static void drop_all(struct sim_h2_client *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state == CALL_OPEN)
            h2_call_request(&c->calls[i])->dropped = true;
}

static void leave_now(struct timer *t)
{
    struct sim_h2_client *c = CONTAINER_OF(t, struct sim_h2_client, leave_timer);
    if (c->leaving == LEAVES_BY_GOAWAY && c->peer) {
        c->winding = true;
        h2_peer_goaway(c->peer, 0, H2_NO_ERROR);
        h2_peer_flush(c->peer);
        return;
    }
    drop_all(c);
    if (c->leaving == LEAVES_BY_CLOSE && c->connected) {
        close_now(c);
        return;
    }
    conn_reset(c->conn);
    gone(c);
}

/* --- life ------------------------------------------------------------------------------------- */

struct sim_h2_client *sim_h2_client_new(struct sim_world *w, uint32_t first_id, uint32_t count)
{
    struct sim_h2_client *c = MEM_NEW(struct sim_h2_client);
    c->world = w;
    c->first = first_id;
    c->count = count;
    for (uint32_t i = 0; i < count; i++) {
        c->calls[i].client = c;
        c->calls[i].id = first_id + i;
        timer_init(&c->calls[i].timer, h2_call_timer_fired);
    }
    timer_init(&c->connect_timer, connect_now);
    timer_init(&c->read_timer, read_now);
    timer_init(&c->leave_timer, leave_now);
    timer_set(&w->peers.timers, &c->connect_timer,
              w->peers.now_ms + rand_below(&w->rand, w->crowded ? 10 : 2000));
    return c;
}

void sim_h2_client_free(struct sim_h2_client *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state != CALL_ENDED)
            sim_broken(c->world, "h2 client %u waits for ever for %u", c->first, c->calls[i].id);
    if (c->conn)
        sim_broken(c->world, "h2 client %u: its connection never ended", c->first);
    free(c);
}
