/* h2_client_send.c - what a client of HTTP/2 asks: several requests at once, their bodies in turns
 * of one frame, and everything that is wrong with some of them. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/h2_client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELDS_MAX = 128,
    FULL_HEAD_BYTES = 31 * 1024,
    BIG_FIELD_BYTES = 33 * 1024,
    LONG_PATH_BYTES = 17 * 1024,
    DRIP_MS = 1000,
    CANCEL_MS = 1500,
};

struct head {
    struct h2_peer_field at[FIELDS_MAX];
    size_t count;
    char path[64], length[24];
};

static void add(struct head *h, const char *name, const char *value)
{
    h->at[h->count++] = (struct h2_peer_field){name, value};
}

/* Only the first is replaced: a pseudo-header. */
static void replace(struct head *h, const char *name, const char *value)
{
    for (size_t i = 0; i < h->count; i++)
        if (strcmp(h->at[i].name, name) == 0) {
            h->at[i].value = value;
            return;
        }
}

static void head_make(const struct h2_call *c, struct head *h)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST"};
    struct sim_request *r = h2_call_request(c);
    *h = (struct head){0};
    snprintf(h->path, sizeof h->path, "%s%u", plan_path(r->place), c->id);
    snprintf(h->length, sizeof h->length, "%u", r->request_bytes);
    add(h, ":method", r->way == WAY_UPGRADE ? "CONNECT" : methods[r->method]);
    if (r->way == WAY_UPGRADE)
        add(h, ":protocol", "websocket");
    add(h, ":scheme", c->client->world->tls ? "https" : "http");
    add(h, ":authority", r->way == WAY_WRONG_HOST ? "other.test" : "sim.test");
    add(h, ":path", h->path);
    add(h, "te", "trailers");
    if (r->way == WAY_EXPECT)
        add(h, "expect", "100-continue");
    if (plan_has_request_body(r) && (!r->chunked_request || r->way == WAY_BAD_CHUNK))
        add(h, "content-length", h->length);
}

/* ---- requests that must be refused ---- */

enum bad_kind { BAD_FIELD, BAD_PSEUDO, BAD_LONG_PATH, BAD_BIG_FIELD, BAD_MANY };

struct bad {
    uint16_t status;
    enum bad_kind kind;
    const char *name, *value;
};

static const struct bad bads[] = {
    {400, BAD_FIELD, "X-Upper", "x"},
    {400, BAD_FIELD, "connection", "close"},
    {400, BAD_FIELD, "transfer-encoding", "chunked"},
    {400, BAD_FIELD, "te", "gzip"},
    {400, BAD_FIELD, "x-lines", "a\r\nb: c"},
    {400, BAD_FIELD, "x y", "z"},
    {400, BAD_FIELD, "x-blank", " z"},
    {400, BAD_FIELD, ":path", "/late"},
    {400, BAD_FIELD, ":strange", "x"},
    {400, BAD_FIELD, "host", "other.test"},
    {400, BAD_FIELD, "content-length", "+5"},
    {400, BAD_PSEUDO, ":path", ""},
    {400, BAD_PSEUDO, ":path", "no/slash"},
    {400, BAD_PSEUDO, ":scheme", "ftp"},
    {400, BAD_PSEUDO, ":method", "G@T"},
    {400, BAD_PSEUDO, ":authority", "a b"},
    {501, BAD_PSEUDO, ":method", "TRACE"},
    {417, BAD_FIELD, "expect", "tea"},
    {414, BAD_LONG_PATH, NULL, NULL},
    {431, BAD_BIG_FIELD, NULL, NULL},
    {431, BAD_MANY, NULL, NULL},
};

uint16_t h2_bad_status(uint32_t variant)
{
    return bads[variant % (sizeof bads / sizeof *bads)].status;
}

static void spoil(struct head *h, const struct bad *b, char *big)
{
    switch (b->kind) {
    case BAD_FIELD: add(h, b->name, b->value); break;
    case BAD_PSEUDO: replace(h, b->name, b->value); break;
    case BAD_LONG_PATH:
        memset(big, '/', LONG_PATH_BYTES);
        big[LONG_PATH_BYTES] = '\0';
        replace(h, ":path", big);
        break;
    case BAD_BIG_FIELD:
        memset(big, 'b', BIG_FIELD_BYTES);
        big[BIG_FIELD_BYTES] = '\0';
        add(h, "x-big", big);
        break;
    case BAD_MANY:
        while (h->count < FIELDS_MAX)
            add(h, "x-many", "x");
        break;
    }
}

/* ---- heads ---- */

static void head_send(struct h2_call *c)
{
    static char big[BIG_FIELD_BYTES + 1];
    struct sim_request *r = h2_call_request(c);
    struct head h;
    head_make(c, &h);
    if (r->way == WAY_BAD) {
        h.at[0].value = "GET";
        spoil(&h, &bads[r->variant % (sizeof bads / sizeof *bads)], big);
    }
    if (r->way == WAY_FULL_HEAD) {
        size_t n = r->variant % 2 ? r->variant % FULL_HEAD_BYTES : FULL_HEAD_BYTES;
        memset(big, 'f', n);
        big[n] = '\0';
        add(&h, "x-fill", big);
    }
    bool end = r->way == WAY_BAD || (!plan_has_request_body(r) && r->way != WAY_UPGRADE);
    h2_peer_fields(c->client->peer, &c->stream, h.at, h.count, r->way == WAY_BAD, end);
}

static void later(struct h2_call *c, int64_t ms)
{
    struct sim_world *w = c->client->world;
    timer_set(&w->peers.timers, &c->timer, w->peers.now_ms + ms);
}

static uint32_t under_way(const struct sim_h2_client *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->count; i++)
        n += c->calls[i].state == CALL_OPEN;
    return n;
}

/* Whoever shares a connection may be held up by the others. */
static void alone_mark(struct sim_h2_client *c, struct sim_request *r)
{
    r->alone = under_way(c) == 0;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->calls[i].state == CALL_OPEN)
            h2_call_request(&c->calls[i])->alone = false;
}

static void begin(struct sim_h2_client *c, struct h2_call *call)
{
    struct sim_world *w = c->world;
    struct sim_request *r = h2_call_request(call);
    sim_say(w, "h2 client %u: sends %u, way %s, method %d, %u bytes", c->first, call->id,
            way_name(r->way), r->method, r->request_bytes);
    alone_mark(c, r);
    world_begins(w, r, c->entrance);
    r->sent_ms = 0;
    r->slow = c->reads_slowly || !c->broad || !r->alone;
    call->state = CALL_OPEN;
    call->sent = call->got = 0;
    call->stalled = call->trailer_seen = call->interim = call->tunneling = false;
    call->may_send = r->way != WAY_EXPECT && r->way != WAY_UPGRADE;
    h2_peer_stream_init(c->peer, &call->stream, c->peer->last_id ? c->peer->last_id + 2 : 1);
    call->stream.deaf = r->way == WAY_DEAF;
    head_send(call);
    if (call->stream.we_ended || r->way == WAY_UPGRADE)
        r->sent_ms = r->began_ms;
    if (r->way == WAY_CANCEL)
        later(call, rand_below(&w->rand, CANCEL_MS));
}

/* ---- bodies ---- */

/* Where a body ends that is wrong, or that stops. */
static uint64_t body_end(const struct sim_request *r)
{
    bool breaks = r->way == WAY_STALLED_BODY || r->way == WAY_BAD_CHUNK;
    return breaks ? r->request_bytes / 2 : r->request_bytes;
}

static bool has_trailers(const struct sim_request *r)
{
    return r->chunked_request && r->trailers;
}

static void body_finish(struct h2_call *c)
{
    struct sim_request *r = h2_call_request(c);
    if (r->way == WAY_STALLED_BODY) {
        c->stalled = true;
        return;
    }
    if (has_trailers(r)) {
        struct h2_peer_field sum = {"x-sum", "request"};
        h2_peer_fields(c->client->peer, &c->stream, &sum, 1, false, true);
    } else {
        h2_peer_end(c->client->peer, &c->stream);
    }
}

static bool drips(struct h2_call *c)
{
    if (h2_call_request(c)->way != WAY_DRIP)
        return false;
    if (!timer_armed(&c->timer))
        later(c, c->sent ? DRIP_MS : 0);
    return true;
}

/* One frame of it. False: nothing can go now. */
static bool body_send(struct h2_call *c)
{
    struct sim_request *r = h2_call_request(c);
    struct h2_peer *p = c->client->peer;
    uint64_t end = body_end(r);
    if (!c->may_send || c->stalled || !h2_call_sending(c) || drips(c))
        return false;
    if (c->sent < end) {
        bool last = !has_trailers(r) && r->way != WAY_STALLED_BODY;
        size_t n = h2_peer_bytes(p, &c->stream, c->id, c->sent, end - c->sent, BYTES_REQUEST, last);
        c->sent += n;
        r->held |= n == 0 && c->stream.send_window > 0;
        if (n == 0)
            return false;
    }
    if (c->sent == end && !c->stream.we_ended)
        body_finish(c);
    if (c->stream.we_ended)
        r->sent_ms = c->client->world->peers.now_ms;
    return true;
}

static void drip(struct h2_call *c)
{
    struct sim_request *r = h2_call_request(c);
    if (!h2_call_sending(c) || c->sent == r->request_bytes)
        return;
    c->sent += h2_peer_bytes(c->client->peer, &c->stream, c->id, c->sent, 1, BYTES_REQUEST,
                             c->sent + 1 == r->request_bytes);
    later(c, DRIP_MS);
}

void h2_call_timer_fired(struct timer *t)
{
    struct h2_call *c = CONTAINER_OF(t, struct h2_call, timer);
    struct sim_h2_client *client = c->client;
    if (c->state != CALL_OPEN || !client->peer)
        return;
    if (h2_call_request(c)->way == WAY_CANCEL) {
        sim_say(client->world, "h2 client %u: takes %u back", client->first, c->id);
        h2_peer_reset(client->peer, &c->stream, H2_CANCEL);
        h2_call_end(c, END_ABORTED);
    } else {
        drip(c);
    }
    h2_client_pump(client);
}

/* ---- tunnels ---- */

static size_t tunnel_write(struct sim_tunnel *t, uint64_t at, size_t len)
{
    struct h2_call *c = t->user;
    return h2_peer_bytes(c->client->peer, &c->stream, c->id, at, len, BYTES_UP, false);
}

static void tunnel_end(struct sim_tunnel *t)
{
    struct h2_call *c = t->user;
    h2_peer_end(c->client->peer, &c->stream);
}

void h2_call_tunnel(struct h2_call *c)
{
    struct sim_request *r = h2_call_request(c);
    c->tunneling = true;
    tunnel_init(&c->tunnel, c->client->world, c->client->conn, c->id, BYTES_UP);
    c->tunnel.user = c;
    c->tunnel.write = tunnel_write;
    c->tunnel.end = tunnel_end;
    c->tunnel.quiet = r->variant % 4 == 1;
}

/* ---- in turns ---- */

/* Whether weir knows extended CONNECT is known when its SETTINGS have come. */
static bool may_begin(const struct sim_h2_client *c, const struct h2_call *call)
{
    return call->state == CALL_WAITS &&
           (h2_call_request(call)->way != WAY_UPGRADE || c->peer->settled);
}

static void begin_some(struct sim_h2_client *c)
{
    uint32_t open = under_way(c);
    for (uint32_t i = 0; i < c->count && open < c->depth && !c->winding; i++) {
        if (!may_begin(c, &c->calls[i]))
            continue;
        begin(c, &c->calls[i]);
        open++;
    }
}

/* Both sides may have ended theirs by now. */
static bool tunnel_go_on(struct h2_call *c)
{
    uint64_t sent = c->tunnel.sent;
    tunnel_pump(&c->tunnel);
    if (c->state == CALL_OPEN && tunnel_over(&c->tunnel))
        h2_call_end(c, c->tunnel.quiet ? END_ABORTED : END_WHOLE);
    return c->tunnel.sent > sent;
}

static bool send_some(struct sim_h2_client *c)
{
    bool any = false;
    uint32_t from = rand_below(&c->world->rand, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        struct h2_call *call = &c->calls[(from + i) % c->count];
        if (call->stream.id == 0 || h2_peer_stream_over(&call->stream))
            continue;
        if (call->tunneling && !call->tunnel.shut)
            any |= tunnel_go_on(call);
        else if (!call->tunneling)
            any |= body_send(call);
    }
    return any;
}

void h2_client_pump(struct sim_h2_client *c)
{
    bool any;
    if (!c->connected || !c->peer)
        return;
    begin_some(c);
    do {
        any = c->peer->out_len > 0; /* what there was no room for before */
        while (h2_peer_has_room(c->peer) && send_some(c))
            any = true;
        h2_peer_flush(c->peer);
    } while (any && c->peer->out_len == 0);
}
