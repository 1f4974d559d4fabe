/* client_judge.c - what a client gets: whose answer it is, whether its bytes are right, and what
 * its end means for the connection. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/client.h"
#include <stdlib.h>

enum { EARLY_MS = 500, SLOW_EARLY_MS = 5000, LATE_MS = 500, LOOSE_BYTES = 60000 };

static uint32_t id_now(const struct sim_client *c)
{
    return c->first + c->expecting;
}

/* --- heads ------------------------------------------------------------------------------------ */

static void interim_head(struct sim_client *c, int status)
{
    struct sim_request *r = client_request(c, c->expecting);
    c->interim = true;
    if (r->way == WAY_OLD || r->way == WAY_OLD_KEEP)
        sim_broken(c->world, "an HTTP/1.0 client got a %d for %u", status, id_now(c));
    if (status == 100 && r->way != WAY_EXPECT)
        sim_broken(c->world, "request %u got a 100 that it did not ask for", id_now(c));
    if (status == 100 && client_is_sending(c, c->expecting))
        c->may_send = true;
}

static void check_framing(struct sim_client *c, const char *head)
{
    struct sim_request *r = client_request(c, c->expecting);
    bool old = r->way == WAY_OLD || r->way == WAY_OLD_KEEP;
    bool fails = c->wire.chunked && old;
    fails |= wire_has(head, "\r\nkeep-alive:");
    fails |= r->way == WAY_OLD && wire_has(head, "\r\nconnection: keep-alive");
    fails |= (r->way == WAY_CLOSE || r->way == WAY_BAD) && !wire_has(head, "\r\nconnection: close");
    if (fails)
        sim_broken(c->world, "answer %u does not fit its client: %s", id_now(c), head);
}

static void final_head(struct sim_client *c, const char *head)
{
    struct sim_request *r = client_request(c, c->expecting);
    judge_answer_head(c->world, id_now(c), head);
    c->interim = false;
    c->trailer_seen = false;
    c->close_said = wire_has(head, "\r\nconnection: close");
    c->wire.expects_no_body = r->method == SIM_HEAD && r->way != WAY_BAD;
    check_framing(c, head);
}

static void tunnel_begin(struct sim_client *c)
{
    struct sim_request *r = client_request(c, c->expecting);
    if (r->way != WAY_UPGRADE)
        sim_broken(c->world, "request %u got a 101", id_now(c));
    c->tunneling = true;
    c->wire.state = WIRE_RAW;
    tunnel_init(&c->tunnel, c->world, c->conn, id_now(c), BYTES_UP);
    c->tunnel.quiet = r->variant % 4 == 1;
    tunnel_pump(&c->tunnel);
}

static void on_head(struct wire *wire, const char *head)
{
    struct sim_client *c = wire->ctx;
    int status = atoi(head + 9);
    bool sent = c->expecting < c->sending || client_is_sending(c, c->expecting);
    if (!sent || (c->barrier != NO_BARRIER && c->expecting > c->barrier))
        sim_broken(c->world, "an answer that nobody asked for: %.80s", head);
    sim_say(c->world, "client %u: %d for %u", c->first, status, id_now(c));
    if (status < 200 && status != 101) {
        interim_head(c, status);
        return;
    }
    final_head(c, head);
    if (status == 101)
        tunnel_begin(c);
}

/* --- bodies ----------------------------------------------------------------------------------- */

static void on_body(struct wire *wire, const char *at, size_t len)
{
    struct sim_client *c = wire->ctx;
    judge_answer_body(c->world, id_now(c), wire->at, at, len);
}

static void on_trailer(struct wire *wire, const char *line)
{
    struct sim_client *c = wire->ctx;
    judge_answer_trailer(c->world, id_now(c), line);
    c->trailer_seen = true;
}

/* weir may have answered before it read the body, and may end the connection instead of reading a
 * long rest: what was sent behind it is lost then. */
static void loose_mark(struct sim_client *c)
{
    const struct sim_request *r = client_request(c, c->expecting);
    c->body_loose = client_is_sending(c, c->expecting) ||
                    (r->chunked_request && r->seen_whole == 0 && r->request_bytes > LOOSE_BYTES);
    for (uint32_t i = c->expecting + 1; c->body_loose && i <= c->sending && i < c->count; i++)
        client_request(c, i)->loose = true;
}

/* Its answer came before it was sent whole. */
static void answered_early(struct sim_client *c)
{
    struct sim_request *r = client_request(c, c->expecting);
    if (c->phase == PHASE_STALLED || r->way == WAY_EXPECT || r->way == WAY_DRIP)
        c->winding = true;
}

static void on_end(struct wire *wire)
{
    struct sim_client *c = wire->ctx;
    struct sim_request *r = client_request(c, c->expecting);
    if (c->interim)
        return;
    judge_answer_whole(c->world, id_now(c), wire->at, wire->chunked, c->trailer_seen);
    r->end = END_WHOLE;
    r->ended_ms = c->idle_since_ms = c->world->peers.now_ms;
    loose_mark(c);
    if (client_is_sending(c, c->expecting))
        answered_early(c);
    if (c->close_said || r->way == WAY_IDLE || r->way == WAY_HALF_CLOSE)
        c->winding = true;
    c->expecting++;
    c->fruitless = 0;
}

static void on_raw(struct wire *wire, const char *at, size_t len)
{
    struct sim_client *c = wire->ctx;
    tunnel_data(&c->tunnel, at, len);
}

void client_judge_begin(struct sim_client *c)
{
    wire_init(&c->wire, true, c);
    c->wire.on_head = on_head;
    c->wire.on_body = on_body;
    c->wire.on_trailer = on_trailer;
    c->wire.on_end = on_end;
    c->wire.on_raw = on_raw;
}

void client_judge_data(struct sim_client *c, const char *at, size_t len)
{
    wire_feed(&c->wire, at, len);
    if (c->wire.broken)
        sim_broken(c->world, "a client got no HTTP: %s", c->wire.broken);
    weir_watch(c->world);
}

/* --- the end of a connection ------------------------------------------------------------------ */

/* An idle connection may end when it has idled long enough, never before. */
static void check_idle_end(struct sim_client *c)
{
    struct sim_world *w = c->world;
    int64_t idle_ms = w->peers.now_ms - c->idle_since_ms;
    bool idle = c->expecting == c->sending && c->phase == PHASE_NEXT && !c->tunneling;
    if (!idle || c->close_said || c->body_loose || w->draining || !sim_exact(w))
        return;
    if (c->barrier != NO_BARRIER && c->expecting > c->barrier)
        return;
    /* weir counts from when it sent the end of the answer, we from when we read it */
    int64_t early_ms = c->reads_slowly ? SLOW_EARLY_MS : EARLY_MS;
    if (idle_ms < w->times.keepalive - early_ms || idle_ms > w->times.keepalive + LATE_MS)
        sim_broken(w, "client %u: its connection ended after %lld ms, keepalive is %u ms", c->first,
                   (long long)idle_ms, w->times.keepalive);
}

void client_judge_eof(struct sim_client *c)
{
    if (c->tunneling)
        return;
    wire_eof(&c->wire);
    check_idle_end(c);
}
