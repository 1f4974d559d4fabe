/* client_send.c - what a client says: heads, bodies and everything that is wrong with them.
 *
 * Requests go out pipelined as far as their ways allow. After some of them (BARRIER) weir must not
 * look at what follows; it is sent all the same, and again over the next connection. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/client.h"
#include <stdio.h>
#include <string.h>

enum {
    HEAD_MAX = 36 * 1024,
    FULL_HEAD_BYTES = 31 * 1024,
    BIG_HEAD_BYTES = 7000,
    DRIP_MS = 1000,
    HEAD_DRIP_MS = 300,
    SPANS_KEPT = 8
};

/* --- ways ------------------------------------------------------------------------------------- */

/* Sent only when no other answer is awaited, so that its times are its own. */
static bool goes_alone(const struct sim_request *r)
{
    return r->way == WAY_SLOW_HEAD || r->way == WAY_STALLED_BODY || r->way == WAY_DRIP ||
           r->way == WAY_HALF_CLOSE || r->way == WAY_DEAF || r->place == PLACE_HOLE ||
           r->place == PLACE_TOTAL;
}

/* Nothing is sent after it before its end. */
static bool holds(const struct sim_request *r)
{
    return goes_alone(r) || r->way == WAY_EXPECT || r->way == WAY_IDLE || r->way == WAY_UPGRADE;
}

/* Whatever is sent after it is not looked at. */
static bool is_barrier(const struct sim_request *r)
{
    return r->way == WAY_CLOSE || r->way == WAY_OLD || r->way == WAY_BAD ||
           r->way == WAY_BAD_CHUNK || r->way == WAY_HALF_CLOSE;
}

static bool held(struct sim_client *c)
{
    for (uint32_t i = c->expecting; i < c->sending; i++)
        if (holds(client_request(c, i)))
            return true;
    return false;
}

static bool may_begin(struct sim_client *c)
{
    if (c->sending >= c->count || c->winding || c->tunneling || held(c))
        return false;
    if (c->sending < c->expecting + c->depth && !goes_alone(client_request(c, c->sending)))
        return true;
    return c->sending == c->expecting;
}

bool client_is_sending(const struct sim_client *c, uint32_t index)
{
    return c->phase != PHASE_NEXT && c->sending == index;
}

/* --- heads ------------------------------------------------------------------------------------ */

static const char *connection_fields(const struct sim_request *r)
{
    switch (r->way) {
    case WAY_CLOSE: return "Connection: close\r\n";
    case WAY_OLD_KEEP: return "Connection: keep-alive\r\n";
    case WAY_UPGRADE:
        return r->websocket ? "Connection: upgrade\r\nUpgrade: websocket\r\n"
                              "Sec-WebSocket-Key: c2ltdWxhdGlvbnNpbXVsYQ==\r\n"
                            : "Connection: upgrade, x-hop\r\nUpgrade: sim\r\nX-Hop: 1\r\n";
    case WAY_EXPECT: return "Expect: 100-continue\r\n";
    default: return "";
    }
}

static size_t head_text(struct sim_client *c, uint32_t index, char *to, size_t cap)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST"};
    struct sim_request *r = client_request(c, index);
    bool old = r->way == WAY_OLD || r->way == WAY_OLD_KEEP;
    char framing[64] = "";
    if (r->chunked_request)
        snprintf(framing, sizeof framing, "Transfer-Encoding: chunked\r\n");
    else if (plan_has_request_body(r))
        snprintf(framing, sizeof framing, "Content-Length: %u\r\n", r->request_bytes);
    return (size_t)snprintf(to, cap,
                            "%s %s%u HTTP/1.%d\r\nHost: %s\r\nKeep-Alive: x\r\nTE: trailers\r\n"
                            "%s%s\r\n",
                            methods[r->method], plan_path(r->place), c->first + index, !old,
                            r->way == WAY_WRONG_HOST ? "other.test" : "sim.test",
                            connection_fields(r), framing);
}

/* A field that fills the head, often almost to its limit, goes before the empty line. */
static size_t head_fill(char *head, size_t len, uint32_t variant)
{
    size_t at = len - 2, end = FULL_HEAD_BYTES;
    if (variant % 2)
        end = BIG_HEAD_BYTES + variant % (FULL_HEAD_BYTES - BIG_HEAD_BYTES);
    at += (size_t)snprintf(head + at, HEAD_MAX - at, "X-Fill: ");
    memset(head + at, 'f', end - at);
    return end + (size_t)snprintf(head + end, HEAD_MAX - end, "\r\n\r\n");
}

/* Not between CR and LF, where anything else is an error. */
static size_t cut_before(const char *head, size_t len)
{
    return len > 1 && head[len - 1] == '\r' ? len - 1 : len;
}

static void head_send(struct sim_client *c, uint32_t index)
{
    char head[HEAD_MAX];
    struct sim_request *r = client_request(c, index);
    size_t len;
    if (r->way == WAY_BAD)
        len = bad_request_write(bad_request(r->variant), c->first + index, head, sizeof head);
    else
        len = head_text(c, index, head, sizeof head);
    if (r->way == WAY_FULL_HEAD)
        len = head_fill(head, len, r->variant);
    if (r->way == WAY_SLOW_HEAD)
        len = cut_before(head, 1 + rand_below(&c->world->rand, (uint32_t)len - 2));
    sim_write(c->world, c->conn, head, len);
}

static void drip_later(struct sim_client *c, int64_t ms)
{
    timer_set(&c->world->peers.timers, &c->drip_timer, c->world->peers.now_ms + ms);
}

/* RFC 9112 9.6: nothing is due behind a request that closes. weir acts on none of it and does not
 * wait for more either, so the reset may destroy what the client has not read yet. */
static void break_the_rule(struct sim_client *c)
{
    if (c->barrier == NO_BARRIER)
        return;
    enum sim_way way = client_request(c, c->barrier)->way;
    for (uint32_t i = c->expecting; i <= c->barrier; i++)
        client_request(c, i)->talked_over |= way == WAY_CLOSE || way == WAY_OLD;
}

static void begin(struct sim_client *c)
{
    struct sim_world *w = c->world;
    struct sim_request *r = client_request(c, c->sending);
    sim_say(w, "client %u: sends %u, way %s, method %d, %u bytes", c->first, c->first + c->sending,
            way_name(r->way), r->method, r->request_bytes);
    break_the_rule(c);
    world_begins(w, r, c->entrance);
    r->loose = c->body_loose;
    r->alone = c->sending == c->expecting;
    r->slow = c->reads_slowly;
    head_send(c, c->sending);
    c->sent = 0;
    c->may_send = r->way != WAY_EXPECT;
    c->phase = r->way == WAY_SLOW_HEAD ? PHASE_STALLED : PHASE_BODY;
    if (r->way == WAY_SLOW_HEAD && r->variant % 2)
        drip_later(c, HEAD_DRIP_MS);
    if (is_barrier(r) && c->barrier == NO_BARRIER)
        c->barrier = c->sending;
    if (r->way == WAY_DEAF)
        c->deaf = true;
}

/* --- bodies ----------------------------------------------------------------------------------- */

static uint64_t body_end(const struct sim_request *r)
{
    if (!plan_has_request_body(r) || r->way == WAY_BAD)
        return 0;
    bool breaks = r->way == WAY_STALLED_BODY || r->way == WAY_BAD_CHUNK;
    return breaks ? r->request_bytes / 2 : r->request_bytes;
}

static void drip(struct sim_client *c, const struct sim_request *r)
{
    char line[16];
    int len = snprintf(line, sizeof line, "%s%c%s", r->chunked_request ? "1\r\n" : "",
                       sim_byte(c->first + c->sending, c->sent, BYTES_REQUEST),
                       r->chunked_request ? "\r\n" : "");
    sim_write(c->world, c->conn, line, (size_t)len);
    c->sent++;
    drip_later(c, DRIP_MS);
}

static void body_finish(struct sim_client *c, const struct sim_request *r)
{
    if (r->way == WAY_STALLED_BODY) {
        c->phase = PHASE_STALLED;
        return;
    }
    if (r->way == WAY_BAD_CHUNK)
        sim_writef(c->world, c->conn, "xyz\r\n");
    else if (r->chunked_request && plan_has_request_body(r))
        sim_writef(c->world, c->conn, "0\r\n%s\r\n", r->trailers ? "X-Sum: request\r\n" : "");
    if (r->way == WAY_HALF_CLOSE)
        conn_shutdown(c->conn);
    client_request(c, c->sending)->sent_ms = c->world->peers.now_ms;
    c->phase = PHASE_NEXT;
    c->sending++;
}

/* False: it has to wait. */
static bool body_send(struct sim_client *c)
{
    struct sim_request *r = client_request(c, c->sending);
    uint64_t end = body_end(r);
    if (!c->may_send)
        return false;
    while (c->sent < end) {
        if (r->way == WAY_DRIP) {
            if (!timer_armed(&c->drip_timer))
                drip(c, r);
            return false;
        }
        size_t n = sim_write_bytes(c->world, c->conn, c->first + c->sending, c->sent, end - c->sent,
                                   BYTES_REQUEST, r->chunked_request);
        c->sent += n;
        if (n == 0) {
            conn_want_room(c->conn);
            return false;
        }
    }
    body_finish(c, r);
    return c->phase == PHASE_NEXT;
}

/* A head that goes on, a little at a time, and never ends. */
void client_drip(struct sim_client *c)
{
    if (c->phase != PHASE_STALLED) {
        client_send_more(c);
        return;
    }
    if (c->winding)
        return;
    sim_writef(c->world, c->conn, "x");
    drip_later(c, HEAD_DRIP_MS);
}

void client_send_more(struct sim_client *c)
{
    while (c->connected && !c->winding && c->phase != PHASE_STALLED) {
        if (c->phase == PHASE_NEXT && !may_begin(c))
            return;
        if (conn_out_room(c->conn) < SPANS_KEPT) {
            conn_want_room(c->conn);
            return;
        }
        if (c->phase == PHASE_NEXT)
            begin(c);
        if (c->phase == PHASE_STALLED || !body_send(c))
            return;
    }
}
