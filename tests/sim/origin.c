/* origin.c - a server of the simulation: what it receives, and whether that may be.
 *
 * Checks each request as it comes: fields, bytes, that it was not sent once too often, by which
 * configuration, and that limits of connections hold. What it says is in origin_answer.c. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/origin.h"
#include "base/mem.h"
#include <stdlib.h>

enum { CLOSE_LIMIT_MS = SIM_HOUR_MS, STALE_MAX_MS = 400 };

void origin_conn_free(struct origin_conn *o)
{
    struct timer_wheel *timers = &o->world->peers.timers;
    timer_stop(timers, &o->timer);
    timer_stop(timers, &o->idle_timer);
    list_remove(&o->link);
    free(o);
}

void origin_finish(struct origin_conn *o, bool reset)
{
    if (reset)
        conn_reset(o->conn);
    else
        conn_close_by(o->conn, o->conn->loop->now_ms + CLOSE_LIMIT_MS);
    origin_conn_free(o);
}

struct sim_request *origin_request(struct origin_conn *o)
{
    return &o->world->requests[o->id];
}

/* --- judging a request ------------------------------------------------------------------------ */

/* A connection that weir gave up is no longer in use, even if nobody has told us. */
static bool in_use(const struct origin_conn *o)
{
    return o->busy && sim_peer_open(o->world->net, o->conn->sock.fd);
}

static void check_conns(struct origin_conn *o)
{
    uint32_t busy = 0;
    LIST_EACH (l, &o->origin->conns) {
        struct origin_conn *other = LIST_ENTRY(l, struct origin_conn, link);
        busy += in_use(other) && origin_request(other)->place == PLACE_NARROW;
    }
    if (busy > o->world->narrow_conns)
        sim_broken(o->world, "%u requests at once at a server with max_conns=%u", busy,
                   o->world->narrow_conns);
}

static void on_head(struct wire *wire, const char *head)
{
    struct origin_conn *o = wire->ctx;
    if (o->busy)
        sim_broken(o->world, "an origin got a request before it answered %u", o->id);
    o->id = judge_request_id(o->world, head);
    o->busy = true;
    timer_stop(&o->world->peers.timers, &o->idle_timer);
    judge_request_head(o->world, o->id, o->origin->index, head);
    if (origin_request(o)->place == PLACE_NARROW)
        check_conns(o);
    weir_watch(o->world);
    answer_begin(o);
}

static void on_body(struct wire *wire, const char *at, size_t len)
{
    struct origin_conn *o = wire->ctx;
    judge_request_body(o->world, o->id, wire->at, at, len);
}

static void on_trailer(struct wire *wire, const char *line)
{
    struct origin_conn *o = wire->ctx;
    judge_request_trailer(o->world, o->id, line);
    o->trailer_seen = true;
}

static void on_end(struct wire *wire)
{
    struct origin_conn *o = wire->ctx;
    judge_request_whole(o->world, o->id, wire->at, o->trailer_seen);
    o->trailer_seen = false;
    answer_request_whole(o);
}

static void on_raw(struct wire *wire, const char *at, size_t len)
{
    struct origin_conn *o = wire->ctx;
    tunnel_data(&o->tunnel, at, len);
}

/* --- the connection --------------------------------------------------------------------------- */

/* Just as the next request came it found that the connection had idled long enough. */
static bool just_closed(struct origin_conn *o)
{
    return o->world->stale && o->served && !o->busy && world_chance(o->world, 200);
}

static void on_data(struct conn *c, struct span s)
{
    struct origin_conn *o = c->user;
    if (just_closed(o)) {
        span_drop(s);
        origin_finish(o, world_chance(o->world, 500));
        return;
    }
    wire_feed(&o->wire, s.at, s.len);
    span_drop(s);
    if (o->wire.broken)
        sim_broken(o->world, "an origin got no HTTP: %s", o->wire.broken);
    if (!o->deaf)
        conn_recv(c);
}

static void on_eof(struct conn *c)
{
    struct origin_conn *o = c->user;
    o->eof = true;
    if (!o->tunneling || tunnel_eof(&o->tunnel))
        origin_finish(o, false);
}

static void on_room(struct conn *c)
{
    struct origin_conn *o = c->user;
    if (!o->tunneling) {
        answer_more(o);
        return;
    }
    tunnel_pump(&o->tunnel);
    if (tunnel_over(&o->tunnel))
        origin_finish(o, false);
}

static void on_error(struct conn *c, enum err e)
{
    struct origin_conn *o = c->user;
    (void)e;
    conn_abort(c);
    origin_conn_free(o);
}

static const struct conn_user_ops conn_ops_ = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_room = on_room,
    .on_error = on_error,
};

static void answer_due(struct timer *t)
{
    answer_now(CONTAINER_OF(t, struct origin_conn, timer));
}

static void idle_over(struct timer *t)
{
    origin_finish(CONTAINER_OF(t, struct origin_conn, idle_timer), false);
}

void origin_idle(struct origin_conn *o)
{
    struct sim_world *w = o->world;
    o->busy = false;
    o->served = true;
    if (w->stale && world_chance(w, 500))
        timer_set(&w->peers.timers, &o->idle_timer,
                  w->peers.now_ms + rand_below(&w->rand, STALE_MAX_MS));
}

static void on_accept(struct listener *ln, int fd)
{
    struct sim_origin *origin = ln->user;
    if (origin->world->h2_origins) {
        sim_h2_origin_accept(origin, fd);
        return;
    }
    struct origin_conn *o = MEM_NEW(struct origin_conn);
    o->origin = origin;
    o->world = origin->world;
    wire_init(&o->wire, false, o);
    o->wire.on_head = on_head;
    o->wire.on_body = on_body;
    o->wire.on_trailer = on_trailer;
    o->wire.on_end = on_end;
    o->wire.on_raw = on_raw;
    timer_init(&o->timer, answer_due);
    timer_init(&o->idle_timer, idle_over);
    list_push(&origin->conns, &o->link);
    o->conn = conn_accept(&origin->world->peers, fd, &conn_ops_, o);
    conn_recv(o->conn);
}

static void on_closed(struct listener *ln)
{
    struct sim_origin *o = ln->user;
    o->closed = true;
}

struct sim_origin *sim_origin_new(struct sim_world *w, uint32_t index)
{
    struct sim_origin *o = MEM_NEW(struct sim_origin);
    struct addr at;
    o->world = w;
    o->index = index;
    list_init(&o->conns);
    list_init(&o->h2_conns);
    sim_addr_origin(index, &at);
    o->listener.user = o;
    o->listener.on_accept = on_accept;
    o->listener.on_closed = on_closed;
    o->listener.addr = at;
    if (!listener_start(&o->listener, &w->peers, sim_listen(w->net, &at.sa, at.len)))
        sim_broken(w, "cannot listen");
    return o;
}

void sim_origin_close(struct sim_origin *o)
{
    listener_close(&o->listener);
    sim_h2_origin_close_all(o);
    LIST_EACH_SAFE (l, &o->conns)
        origin_finish(LIST_ENTRY(l, struct origin_conn, link), false);
}

void sim_origin_free(struct sim_origin *o)
{
    if (!o->closed || !list_empty(&o->conns) || !list_empty(&o->h2_conns))
        sim_broken(o->world, "an origin is not closed");
    free(o);
}
