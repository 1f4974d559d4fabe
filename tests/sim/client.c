/* client.c - a client of the simulation: sends its requests over one connection, some pipelined,
 * opens another after a broken one, and judges what comes back. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <stdio.h>
#include <stdlib.h>

struct sim_client {
    struct sim_world *world;
    struct conn *conn;
    struct wire wire;
    struct timer timer;          /* slow reading, sudden resets, the next connection */
    uint32_t first, count;       /* ids of its requests */
    uint32_t sending, expecting; /* indexes: next to send; next to be answered */
    uint64_t sent; /* bytes of the body being sent; the head went out when > 0 or flag */
    bool head_sent, reads_slowly, final_head, judged;
    int64_t reset_at_ms;
};

static void connect_again(struct sim_client *c);
static void send_more(struct sim_client *c);

static struct sim_request *request_at(struct sim_client *c, uint32_t index)
{
    return &c->world->requests[c->first + index];
}

/* The connection is gone: all that was begun on it is aborted (sending it again would make the
 * client process things twice, not weir); the rest goes over a new connection. */
static void broken_off(struct sim_client *c)
{
    uint32_t begun = c->sending + (c->head_sent ? 1 : 0);
    c->conn = NULL;
    do {
        if (c->expecting < c->count)
            request_at(c, c->expecting++)->end = SIM_ABORTED;
    } while (c->expecting < begun);
    c->sending = c->expecting;
    if (c->expecting < c->count)
        timer_set(&c->world->peers.timers, &c->timer, c->world->peers.now_ms + 1);
}

static void close_when_done(struct sim_client *c)
{
    if (c->expecting < c->count || !c->conn)
        return;
    conn_close_by(c->conn, c->world->peers.now_ms + 1000);
    c->conn = NULL;
    timer_stop(&c->world->peers.timers, &c->timer);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void send_head(struct sim_client *c, uint32_t id)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST"};
    struct sim_request *r = &c->world->requests[id];
    char head[256], framing[64] = "";
    if (r->chunked_request)
        snprintf(framing, sizeof framing, "Transfer-Encoding: chunked\r\n");
    else if (r->method >= SIM_PUT)
        snprintf(framing, sizeof framing, "Content-Length: %u\r\n", r->request_bytes);
    int len = snprintf(head, sizeof head,
                       "%s /r/%u HTTP/1.1\r\nHost: sim.test\r\nKeep-Alive: x\r\n%s\r\n",
                       methods[r->method], id, framing);
    sim_write(c->world, c->conn, head, (size_t)len);
    c->head_sent = true;
}

static bool send_body(struct sim_client *c, uint32_t id)
{
    struct sim_request *r = &c->world->requests[id];
    while (c->sent < r->request_bytes) {
        if (conn_out_bytes(c->conn) > CONN_OUT_HIGH_BYTES / 4 || conn_out_room(c->conn) < 8) {
            conn_want_room(c->conn);
            return false;
        }
        c->sent += sim_write_body(c->world, c->conn, id, c->sent, r->request_bytes - c->sent, false,
                                  r->chunked_request);
    }
    if (r->chunked_request)
        sim_write(c->world, c->conn, "0\r\n\r\n", 5);
    return true;
}

/* Up to three requests are in flight at once. */
static void send_more(struct sim_client *c)
{
    while (c->conn && c->sending < c->count && c->sending < c->expecting + 3) {
        uint32_t id = c->first + c->sending;
        if (conn_out_room(c->conn) < 8) {
            conn_want_room(c->conn);
            return;
        }
        if (!c->head_sent)
            send_head(c, id);
        if (!send_body(c, id))
            return;
        c->sending++;
        c->sent = 0;
        c->head_sent = false;
    }
}

/* --- receiving -------------------------------------------------------------------------------- */

static void on_head(struct wire *wire, const char *head)
{
    struct sim_client *c = wire->ctx;
    if (c->expecting >= c->count)
        sim_broken(c->world, "an answer that nobody asked for: %.80s", head);
    struct sim_request *r = request_at(c, c->expecting);
    uint32_t id = c->first + c->expecting;
    int status = atoi(head + 9);
    c->final_head = status >= 200;
    wire->expects_no_body = r->method == SIM_HEAD;
    if (!c->final_head)
        return;
    r->status = (uint16_t)status;
    if (status == 200 && wire_number(head, "x-id") != (long)id)
        sim_broken(c->world, "request %u got the answer of another: %s", id, head);
}

static void on_body(struct wire *wire, const char *at, size_t len)
{
    struct sim_client *c = wire->ctx;
    uint32_t id = c->first + c->expecting;
    if (request_at(c, c->expecting)->status != 200)
        return;
    for (size_t i = 0; i < len; i++)
        if (at[i] != sim_byte(id, wire->at + i, true))
            sim_broken(c->world, "answer %u differs at %llu", id,
                       (unsigned long long)(wire->at + i));
}

static void on_end(struct wire *wire)
{
    struct sim_client *c = wire->ctx;
    struct sim_request *r = request_at(c, c->expecting);
    if (!c->final_head)
        return;
    uint32_t due = r->method == SIM_HEAD ? 0 : r->response_bytes;
    if (r->status == 200 && wire->at != due)
        sim_broken(c->world, "answer %u: whole with %llu bytes instead of %u",
                   c->first + c->expecting, (unsigned long long)wire->at, due);
    r->end = r->status == 200 ? SIM_WHOLE : SIM_REFUSED;
    c->expecting++;
}

static void on_open(struct conn *conn, enum err e)
{
    struct sim_client *c = conn->user;
    if (e != ERR_OK) {
        conn_abort(conn);
        broken_off(c);
        return;
    }
    conn_recv(conn);
    send_more(c);
}

static void on_data(struct conn *conn, struct span s)
{
    struct sim_client *c = conn->user;
    struct sim_world *w = c->world;
    wire_feed(&c->wire, s.at, s.len);
    span_drop(s);
    if (c->wire.broken)
        sim_broken(w, "a client got no HTTP: %s", c->wire.broken);
    send_more(c);
    close_when_done(c);
    if (!c->conn)
        return;
    if (c->reads_slowly)
        timer_set(&w->peers.timers, &c->timer, w->peers.now_ms + 1 + rand_below(&w->rand, 50));
    else
        conn_recv(conn);
}

static void on_eof(struct conn *conn)
{
    struct sim_client *c = conn->user;
    if (c->wire.state == WIRE_UNTIL_CLOSE && c->world->calm)
        sim_broken(c->world, "a keep-alive client got a close-delimited answer");
    conn_abort(conn);
    broken_off(c);
    close_when_done(c);
}

static void on_room(struct conn *conn)
{
    send_more(conn->user);
}

static void on_error(struct conn *conn, enum err e)
{
    (void)e;
    conn_abort(conn);
    broken_off(conn->user);
}

static const struct conn_user_ops client_ops = {
    .on_open = on_open,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_room = on_room,
    .on_error = on_error,
};

static void connect_again(struct sim_client *c)
{
    struct sim_world *w = c->world;
    struct addr to;
    sim_addr_weir(&to);
    wire_init(&c->wire, true, c);
    c->wire.on_head = on_head;
    c->wire.on_body = on_body;
    c->wire.on_end = on_end;
    c->sent = 0;
    c->head_sent = false;
    c->reads_slowly = !w->calm && world_chance(w, 200);
    c->reset_at_ms =
        !w->calm && world_chance(w, 100) ? w->peers.now_ms + rand_below(&w->rand, 2000) : 0;
    c->conn = conn_connect(&w->peers, &to, &client_ops, c);
    if (c->reset_at_ms)
        timer_set(&w->peers.timers, &c->timer, c->reset_at_ms);
}

static void timer_fired(struct timer *t)
{
    struct sim_client *c = CONTAINER_OF(t, struct sim_client, timer);
    struct sim_world *w = c->world;
    if (!c->conn) {
        connect_again(c);
    } else if (c->reset_at_ms && w->peers.now_ms >= c->reset_at_ms) {
        conn_abort(c->conn);
        broken_off(c);
    } else if (c->conn->state == CONN_OPEN) {
        conn_recv(c->conn);
        if (c->reset_at_ms)
            timer_set(&w->peers.timers, t, c->reset_at_ms);
    }
}

struct sim_client *sim_client_new(struct sim_world *w, uint32_t first_id, uint32_t count)
{
    struct sim_client *c = MEM_NEW(struct sim_client);
    *c = (struct sim_client){.world = w, .first = first_id, .count = count};
    timer_init(&c->timer, timer_fired);
    timer_set(&w->peers.timers, &c->timer, w->peers.now_ms + rand_below(&w->rand, 500));
    return c;
}

void sim_client_free(struct sim_client *c)
{
    if (c->conn || c->expecting < c->count)
        sim_broken(c->world, "client of request %u waits for ever", c->first + c->expecting);
    free(c);
}
