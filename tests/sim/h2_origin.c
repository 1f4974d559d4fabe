/* h2_origin.c - a server of the simulation that speaks HTTP/2 (prior knowledge): what it receives
 * on the streams of its connections, and whether that may be. What it says is in
 * h2_origin_answer.c. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/h2_origin.h"
#include "base/mem.h"
#include <stdlib.h>

enum {
    CLOSE_LIMIT_MS = SIM_HOUR_MS,
    STALE_MAX_MS = 400,
    GOING_MS = 200 /* what is on its way is seen, and disowned */
};

static struct h2_case *case_of(struct h2_peer_stream *s)
{
    return CONTAINER_OF(s, struct h2_case, stream);
}

/* --- the end of a connection ------------------------------------------------------------------ */

static void conn_free(struct h2_origin_conn *o)
{
    struct timer_wheel *timers = &o->world->peers.timers;
    timer_stop(timers, &o->idle_timer);
    LIST_EACH_SAFE (l, &o->cases) {
        struct h2_case *c = LIST_ENTRY(l, struct h2_case, link);
        timer_stop(timers, &c->timer);
        free(c);
    }
    h2_peer_free(o->peer);
    list_remove(&o->link);
    free(o);
}

/* Its head may be in what the end of a connection destroys. */
static bool may_be_on_its_way(const struct sim_request *r)
{
    return r->began_ms && r->end == END_OPEN && (r->seen == 0 || r->mood_tries > 0);
}

/* Whoever is under way here is hit, though nothing of it was his doing; also he whose answer may
 * still be in our output. */
static void hit_all(struct h2_origin_conn *o)
{
    o->world->killed_ms = o->world->peers.now_ms;
    for (uint32_t i = 0; i < o->world->request_count; i++)
        if (may_be_on_its_way(&o->world->requests[i]))
            o->world->requests[i].hit++;
    LIST_EACH (l, &o->cases) {
        struct h2_case *c = LIST_ENTRY(l, struct h2_case, link);
        if (c->judged && h2_case_request(c)->end == END_OPEN &&
            !may_be_on_its_way(h2_case_request(c)))
            h2_case_request(c)->hit++;
    }
}

void h2_conn_kill(struct h2_origin_conn *o, bool reset)
{
    hit_all(o);
    if (reset)
        conn_reset(o->conn);
    else
        conn_close_by(o->conn, o->world->peers.now_ms + CLOSE_LIMIT_MS);
    conn_free(o);
}

/* --- what it gets ----------------------------------------------------------------------------- */

static struct h2_peer_stream *on_open_stream(struct h2_peer *p, uint32_t id)
{
    struct h2_origin_conn *o = p->user;
    struct h2_case *c = MEM_NEW(struct h2_case);
    (void)id;
    c->conn = o;
    timer_init(&c->timer, h2_answer_due);
    list_push(&o->cases, &c->link);
    return &c->stream;
}

void h2_case_disown(struct h2_case *c)
{
    struct sim_request *r = h2_case_request(c);
    sim_say(c->conn->world, "origin %u: disowns %u", c->conn->origin->index, c->id);
    r->disowned++;
    c->judged = false;
}

static bool is_disowned(const struct h2_case *c)
{
    const struct sim_request *r = h2_case_request(c);
    bool odd = r->mood == MOOD_REFUSE || r->mood == MOOD_GOAWAY;
    return c->stream.id > c->conn->goaway_id || (odd && r->disowned < r->mood_tries);
}

static void on_head(struct h2_peer *p, struct h2_peer_stream *s, const char *head)
{
    struct h2_case *c = case_of(s);
    struct h2_origin_conn *o = c->conn;
    c->id = judge_request_id(p->world, head);
    if (o->goaway_id == H2_STREAM_MAX)
        timer_stop(&p->world->peers.timers, &o->idle_timer);
    if (is_disowned(c)) {
        h2_case_disown(c);
    } else {
        c->judged = true;
        judge_request_head(p->world, c->id, o->origin->index, head);
        weir_watch(p->world);
    }
    h2_answer_begin(c);
}

static void on_bytes(struct h2_peer *p, struct h2_peer_stream *s, const char *at, size_t len)
{
    struct h2_case *c = case_of(s);
    if (c->tunneling)
        tunnel_data(&c->tunnel, at, len);
    else if (c->judged)
        judge_request_body(p->world, c->id, c->got, at, len);
    c->got += len;
}

static void on_trailer(struct h2_peer *p, struct h2_peer_stream *s, const char *line)
{
    judge_request_trailer(p->world, case_of(s)->id, line);
    case_of(s)->trailer_seen = true;
}

static void on_end(struct h2_peer *p, struct h2_peer_stream *s)
{
    struct h2_case *c = case_of(s);
    if (!c->judged)
        return;
    if (c->tunneling) {
        (void)tunnel_eof(&c->tunnel);
        return;
    }
    judge_request_whole(p->world, c->id, c->got, c->trailer_seen);
    h2_answer_request_whole(c);
}

/* weir wants nothing more of it. */
static void on_reset(struct h2_peer *p, struct h2_peer_stream *s, uint32_t code)
{
    struct h2_case *c = case_of(s);
    sim_say(p->world, "origin: request %u is reset, %u", c->id, code);
    if (code == H2_PROTOCOL_ERROR && h2_case_request(c)->mood != MOOD_NONSENSE &&
        h2_case_request(c)->mood != MOOD_BAD_101)
        sim_broken(p->world, "request %u is reset by PROTOCOL_ERROR", c->id);
    timer_stop(&p->world->peers.timers, &c->timer);
}

static void on_goaway(struct h2_peer *p, uint32_t last_id, uint32_t code)
{
    (void)last_id;
    if (code != H2_NO_ERROR && sim_exact(p->world)) /* else SETTINGS may come too late */
        sim_broken(p->world, "an origin got a GOAWAY for error %u", code);
}

static const struct h2_peer_ops peer_ops = {.on_open = on_open_stream,
                                            .on_head = on_head,
                                            .on_trailer = on_trailer,
                                            .on_bytes = on_bytes,
                                            .on_end = on_end,
                                            .on_reset = on_reset,
                                            .on_goaway = on_goaway};

/* --- the connection --------------------------------------------------------------------------- */

static bool is_busy(const struct h2_origin_conn *o)
{
    LIST_EACH (l, (struct list *)&o->cases) {
        struct h2_case *c = LIST_ENTRY(l, struct h2_case, link);
        if (!h2_peer_stream_over(&c->stream))
            return true;
    }
    return false;
}

static bool send_some(struct h2_origin_conn *o)
{
    bool any = false;
    LIST_EACH (l, &o->cases)
        any |= h2_answer_more(LIST_ENTRY(l, struct h2_case, link));
    return any;
}

static void pump(struct h2_origin_conn *o)
{
    bool any;
    do {
        any = o->peer->out_len > 0; /* what there was no room for before */
        while (!o->dies && h2_peer_has_room(o->peer) && send_some(o))
            any = true;
        h2_peer_flush(o->peer);
    } while (any && o->peer->out_len == 0);
}

/* A stale world: closes what idles, with a word or without. */
static void idle_begin(struct h2_origin_conn *o)
{
    struct sim_world *w = o->world;
    if (w->stale && o->served && !is_busy(o) && !timer_armed(&o->idle_timer) &&
        world_chance(w, 500))
        timer_set(&w->peers.timers, &o->idle_timer,
                  w->peers.now_ms + rand_below(&w->rand, STALE_MAX_MS));
}

void h2_conn_settle(struct h2_origin_conn *o)
{
    if (!o->dies && world_chance(o->world, 10))
        h2_peer_noise(o->peer);
    pump(o);
    if (o->dies) {
        h2_conn_kill(o, world_chance(o->world, 500));
        return;
    }
    if (o->goaway_id == H2_STREAM_MAX)
        idle_begin(o);
    else if (!is_busy(o) && !timer_armed(&o->idle_timer))
        timer_set(&o->world->peers.timers, &o->idle_timer, o->world->peers.now_ms + GOING_MS);
}

static void on_data(struct conn *c, struct span s)
{
    struct h2_origin_conn *o = c->user;
    h2_peer_feed(o->peer, s.at, s.len);
    span_drop(s);
    if (!o->dies)
        conn_recv(c);
    h2_conn_settle(o);
}

static void on_eof(struct conn *c)
{
    h2_conn_kill(c->user, false);
}

static void on_room(struct conn *c)
{
    h2_conn_settle(c->user);
}

static void on_error(struct conn *c, enum err e)
{
    (void)e;
    hit_all(c->user);
    conn_abort(c);
    conn_free(c->user);
}

static const struct conn_user_ops origin_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_room = on_room, .on_error = on_error};

static void idle_over(struct timer *t)
{
    struct h2_origin_conn *o = CONTAINER_OF(t, struct h2_origin_conn, idle_timer);
    if (o->goaway_id != H2_STREAM_MAX) {
        conn_linger(o->conn, o->world->peers.now_ms + CLOSE_LIMIT_MS);
        conn_free(o);
        return;
    }
    if (world_chance(o->world, 500)) {
        h2_conn_kill(o, false);
        return;
    }
    o->goaway_id = o->peer->last_id;
    h2_peer_goaway(o->peer, o->goaway_id, H2_NO_ERROR);
    h2_conn_settle(o);
}

void sim_h2_origin_accept(struct sim_origin *origin, int fd)
{
    static const uint32_t windows[] = {1000, 5000, 20000, 65535, 262144},
                          streams[] = {1, 3, 20, 100};
    struct sim_world *w = origin->world;
    struct h2_origin_conn *o = MEM_NEW(struct h2_origin_conn);
    o->world = w;
    o->origin = origin;
    o->goaway_id = H2_STREAM_MAX;
    list_init(&o->cases);
    timer_init(&o->idle_timer, idle_over);
    list_push(&origin->h2_conns, &o->link);
    o->conn = conn_accept(&w->peers, fd, &origin_ops, o);
    o->peer = h2_peer_new(w, o->conn, true, &peer_ops, o);
    o->peer->streams_max = streams[rand_below(&w->rand, 4)];
    h2_peer_start(o->peer, windows[rand_below(&w->rand, 5)],
                  world_chance(w, 500) ? 1 << 20 : H2_WINDOW_BYTES);
    conn_recv(o->conn);
}

void sim_h2_origin_close_all(struct sim_origin *origin)
{
    LIST_EACH_SAFE (l, &origin->h2_conns)
        h2_conn_kill(LIST_ENTRY(l, struct h2_origin_conn, link), false);
}
