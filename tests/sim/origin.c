/* origin.c - a server of the simulation. Answers requests as their ids say; in a bad mood it
 * delays, sends interim responses, breaks off, answers nonsense or an error. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <stdio.h>
#include <stdlib.h>

enum mood { MOOD_FINE, MOOD_INTERIM, MOOD_SLOW, MOOD_BREAK, MOOD_RESET, MOOD_NONSENSE, MOOD_503 };

struct sim_origin {
    struct sim_world *world;
    struct listener listener;
    struct list conns;
    bool closed;
};

struct origin_conn {
    struct list link;
    struct sim_origin *origin;
    struct conn *conn;
    struct wire wire;
    struct timer timer; /* answers after a while */
    uint32_t id;
    enum mood mood;
    bool answering; /* the head went out; body from `sent` on */
    uint64_t sent;
    uint64_t stop_at; /* breaks off there */
    bool received_whole, eof;
};

static void answer_more(struct origin_conn *o);

static void origin_conn_free(struct origin_conn *o)
{
    timer_stop(&o->origin->world->peers.timers, &o->timer);
    list_remove(&o->link);
    free(o);
}

static void finish(struct origin_conn *o, bool reset)
{
    if (reset)
        conn_abort(o->conn);
    else
        conn_close_by(o->conn, o->conn->loop->now_ms + 60000);
    origin_conn_free(o);
}

/* --- answering -------------------------------------------------------------------------------- */

static struct sim_request *request_of(struct origin_conn *o)
{
    return &o->origin->world->requests[o->id];
}

static void answer_head(struct origin_conn *o)
{
    struct sim_world *w = o->origin->world;
    struct sim_request *r = request_of(o);
    char head[256];
    int len;
    if (o->mood == MOOD_INTERIM)
        sim_write(w, o->conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 41);
    if (r->chunked_response)
        len = snprintf(head, sizeof head,
                       "HTTP/1.1 200 OK\r\nX-Id: %u\r\nTransfer-Encoding: chunked\r\n\r\n", o->id);
    else if (r->close_response)
        len = snprintf(head, sizeof head,
                       "HTTP/1.1 200 OK\r\nX-Id: %u\r\nConnection: close\r\n\r\n", o->id);
    else
        len =
            snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nX-Id: %u\r\nContent-Length: %u\r\n\r\n",
                     o->id, r->response_bytes);
    sim_write(w, o->conn, head, (size_t)len);
    o->answering = true;
    o->sent = 0;
}

static void answer_end(struct origin_conn *o)
{
    struct sim_request *r = request_of(o);
    bool head_only = r->method == SIM_HEAD;
    if (r->chunked_response && !head_only)
        sim_write(o->origin->world, o->conn, "0\r\n\r\n", 5);
    o->answering = false;
    if (r->close_response || o->eof)
        finish(o, false);
}

static void answer_more(struct origin_conn *o)
{
    struct sim_world *w = o->origin->world;
    struct sim_request *r = request_of(o);
    uint64_t end = r->method == SIM_HEAD ? 0 : r->response_bytes;
    while (o->sent < end) {
        if (o->sent >= o->stop_at) {
            finish(o, o->mood == MOOD_RESET);
            return;
        }
        if (conn_out_bytes(o->conn) > CONN_OUT_HIGH_BYTES / 4 || conn_out_room(o->conn) < 8) {
            conn_want_room(o->conn);
            return;
        }
        o->sent +=
            sim_write_body(w, o->conn, o->id, o->sent, end - o->sent, true, r->chunked_response);
    }
    answer_end(o);
}

static void answer(struct origin_conn *o)
{
    static const char nonsense[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                   "Transfer-Encoding: chunked\r\n\r\n";
    static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    struct sim_world *w = o->origin->world;
    if (o->mood == MOOD_NONSENSE) {
        sim_write(w, o->conn, nonsense, sizeof nonsense - 1);
        finish(o, false);
    } else if (o->mood == MOOD_503) {
        sim_write(w, o->conn, busy,
                  request_of(o)->method == SIM_HEAD ? sizeof busy - 5 : sizeof busy - 1);
    } else if ((o->mood == MOOD_BREAK || o->mood == MOOD_RESET) && o->stop_at == 0) {
        finish(o, o->mood == MOOD_RESET);
    } else {
        answer_head(o);
        answer_more(o);
    }
}

static void timer_fired(struct timer *t)
{
    struct origin_conn *o = CONTAINER_OF(t, struct origin_conn, timer);
    answer(o);
}

static void mood_choose(struct origin_conn *o)
{
    struct sim_world *w = o->origin->world;
    o->mood = MOOD_FINE;
    o->stop_at = UINT64_MAX;
    if (w->calm || !world_chance(w, 250))
        return;
    o->mood = (enum mood)(1 + rand_below(&w->rand, MOOD_503));
    if (o->mood == MOOD_BREAK && request_of(o)->close_response)
        o->mood = MOOD_RESET; /* where the close is the end, nobody could tell a break from it */
    if (o->mood == MOOD_BREAK || o->mood == MOOD_RESET)
        o->stop_at = rand_below(&w->rand, 2) ? 0 : rand_below(&w->rand, 20000);
}

/* --- receiving -------------------------------------------------------------------------------- */

static void on_head(struct wire *wire, const char *head)
{
    struct origin_conn *o = wire->ctx;
    struct sim_world *w = o->origin->world;
    const char *id = strstr(head, " /r/");
    if (!id)
        sim_broken(w, "an origin was asked for something else: %.60s", head);
    o->id = (uint32_t)atoi(id + 4);
    if (o->id >= w->request_count)
        sim_broken(w, "an origin was asked for an unknown id");
    if (wire_has(head, "\r\nkeep-alive:") || !wire_has(head, "\r\nvia: ") ||
        !wire_has(head, "\r\nhost: sim.test\r\n"))
        sim_broken(w, "request %u came with wrong fields: %s", o->id, head);
    request_of(o)->times_seen++;
    mood_choose(o);
}

static void on_body(struct wire *wire, const char *at, size_t len)
{
    struct origin_conn *o = wire->ctx;
    for (size_t i = 0; i < len; i++)
        if (at[i] != sim_byte(o->id, wire->at + i, false))
            sim_broken(o->origin->world, "request %u: body differs at %llu", o->id,
                       (unsigned long long)(wire->at + i));
}

static void on_end(struct wire *wire)
{
    struct origin_conn *o = wire->ctx;
    if (wire->at != request_of(o)->request_bytes)
        sim_broken(o->origin->world, "request %u: %llu bytes of body instead of %u", o->id,
                   (unsigned long long)wire->at, request_of(o)->request_bytes);
    request_of(o)->times_whole++;
    o->received_whole = true;
}

static void conn_on_data(struct conn *c, struct span s)
{
    struct origin_conn *o = c->user;
    struct sim_world *w = o->origin->world;
    o->received_whole = false;
    wire_feed(&o->wire, s.at, s.len);
    span_drop(s);
    if (o->wire.broken)
        sim_broken(w, "an origin got no HTTP: %s", o->wire.broken);
    conn_recv(c);
    if (!o->received_whole)
        return;
    int64_t wait = o->mood == MOOD_SLOW ? 1 + rand_below(&w->rand, 30000) : 0;
    timer_set(&w->peers.timers, &o->timer, w->peers.now_ms + wait);
}

static void conn_on_eof(struct conn *c)
{
    struct origin_conn *o = c->user;
    o->eof = true;
    if (!o->answering && !timer_armed(&o->timer))
        finish(o, false);
}

static void conn_on_room(struct conn *c)
{
    struct origin_conn *o = c->user;
    if (o->answering)
        answer_more(o);
}

static void conn_on_error(struct conn *c, enum err e)
{
    struct origin_conn *o = c->user;
    (void)e;
    conn_abort(c);
    origin_conn_free(o);
}

static const struct conn_user_ops conn_ops_ = {
    .on_data = conn_on_data,
    .on_eof = conn_on_eof,
    .on_room = conn_on_room,
    .on_error = conn_on_error,
};

static void on_accept(struct listener *ln, int fd)
{
    struct sim_origin *origin = ln->user;
    struct origin_conn *o = MEM_NEW(struct origin_conn);
    o->origin = origin;
    wire_init(&o->wire, false, o);
    o->wire.on_head = on_head;
    o->wire.on_body = on_body;
    o->wire.on_end = on_end;
    timer_init(&o->timer, timer_fired);
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
    list_init(&o->conns);
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
    LIST_EACH_SAFE (l, &o->conns)
        finish(LIST_ENTRY(l, struct origin_conn, link), false);
}

void sim_origin_free(struct sim_origin *o)
{
    if (!o->closed || !list_empty(&o->conns))
        sim_broken(o->world, "an origin is not closed");
    free(o);
}
