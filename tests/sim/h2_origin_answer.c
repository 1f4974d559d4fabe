/* h2_origin_answer.c - what a server of the simulation says over HTTP/2: the answer that follows
 * from the request's id, or what its mood makes of it. Answers of a connection go in turns of one
 * frame. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/h2_origin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTERIMS = 3,
    CHATTY_INTERIMS = 60,
    HUGE_HEAD_FIELDS = 68,
    PART_MAX_BYTES = 30000,
    FIELDS_MAX = 80,
};

static void answer_in(struct h2_case *c, int64_t ms)
{
    struct sim_world *w = c->conn->world;
    timer_set(&w->peers.timers, &c->timer, w->peers.now_ms + ms);
}

static void say(struct h2_case *c, const struct h2_peer_field *fields, size_t count, bool end)
{
    if (!h2_peer_stream_over(&c->stream))
        h2_peer_fields(c->conn->peer, &c->stream, fields, count, false, end);
}

static void say_status(struct h2_case *c, unsigned status, bool end)
{
    char id[16], text[16];
    struct h2_peer_field fields[] = {{":status", text}, {"x-id", id}};
    snprintf(text, sizeof text, "%u", status);
    snprintf(id, sizeof id, "%u", c->id);
    say(c, fields, status < 200 ? 1 : 2, end);
}

static bool is_early(const struct h2_case *c)
{
    return c->mood == MOOD_EARLY || c->mood == MOOD_EARLY_413;
}

static void stop_choose(struct h2_case *c)
{
    uint32_t bytes = h2_case_request(c)->response_bytes;
    uint32_t most = bytes < PART_MAX_BYTES ? bytes : PART_MAX_BYTES;
    bool stops =
        c->mood == MOOD_BREAK_MID || c->mood == MOOD_RESET_MID || c->mood == MOOD_STALL_MID;
    c->stop_at = stops ? rand_below(&c->conn->world->rand, most) : UINT64_MAX;
}

/* Says that nothing was done of it, by its stream or by all that come after another. */
static void disown(struct h2_case *c)
{
    struct h2_origin_conn *o = c->conn;
    if (c->stream.id > o->goaway_id)
        return; /* that was said already */
    if (h2_case_request(c)->mood == MOOD_REFUSE) {
        h2_peer_reset(o->peer, &c->stream, H2_REFUSED_STREAM);
        return;
    }
    c->stream.we_reset = true;
    o->goaway_id = c->stream.id - 1;
    h2_peer_goaway(o->peer, o->goaway_id, H2_NO_ERROR);
}

void h2_answer_begin(struct h2_case *c)
{
    struct sim_request *r = h2_case_request(c);
    if (!c->judged) {
        disown(c);
        c->stream.we_reset = true;
        return;
    }
    bool fine = r->seen > r->mood_tries || r->mood == MOOD_REFUSE || r->mood == MOOD_GOAWAY;
    c->mood = fine ? MOOD_FINE : r->mood;
    stop_choose(c);
    c->stream.deaf = c->mood == MOOD_DEAF;
    if (is_early(c) || r->way == WAY_UPGRADE)
        answer_in(c, 0); /* an extended CONNECT has no end before its answer */
    else if (r->way == WAY_EXPECT && r->place != PLACE_BUFFERED && r->sends_100)
        say_status(c, 100, false);
}

void h2_answer_request_whole(struct h2_case *c)
{
    struct sim_world *w = c->conn->world;
    c->request_whole = true;
    if (is_early(c))
        return;
    if (c->mood == MOOD_SLOW)
        answer_in(c, 1 + rand_below(&w->rand, w->times.first_byte * 3 / 4));
    else if (c->mood != MOOD_SILENT)
        answer_in(c, 0);
}

/* --- the answer that is due ------------------------------------------------------------------- */

static void answered(struct h2_case *c)
{
    c->answering = false;
    c->answered = c->conn->served = true;
    h2_case_request(c)->answered_ms = c->conn->world->peers.now_ms;
}

static bool has_trailers(const struct sim_request *r)
{
    return r->chunked_response && r->trailers && plan_has_response_body(r);
}

static void head_write(struct h2_case *c)
{
    struct sim_request *r = h2_case_request(c);
    char id[16], status[16], length[16];
    struct h2_peer_field fields[] = {{":status", status}, {"x-id", id}, {"content-length", length}};
    bool counted = r->fine_status != 204 && !r->chunked_response && !r->close_response;
    bool end = !plan_has_response_body(r);
    snprintf(status, sizeof status, "%u", r->fine_status);
    snprintf(id, sizeof id, "%u", c->id);
    snprintf(length, sizeof length, "%u", r->response_bytes);
    say(c, fields, counted ? 3 : 2, end);
    if (end)
        answered(c);
}

static void answer_end(struct h2_case *c)
{
    struct sim_request *r = h2_case_request(c);
    struct h2_peer_field sum = {"x-sum", "answer"};
    if (has_trailers(r))
        say(c, &sum, 1, true);
    else
        h2_peer_end(c->conn->peer, &c->stream);
    answered(c);
}

static void break_off(struct h2_case *c)
{
    c->answering = false;
    if (c->mood == MOOD_BREAK_MID)
        h2_peer_reset(c->conn->peer, &c->stream, H2_INTERNAL_ERROR);
    else if (c->mood == MOOD_RESET_MID)
        c->conn->dies = true;
}

static bool body_more(struct h2_case *c)
{
    struct sim_request *r = h2_case_request(c);
    uint64_t end = r->response_bytes;
    if (c->sent < end && c->sent >= c->stop_at) {
        break_off(c);
        return false;
    }
    uint64_t stop = c->stop_at < end ? c->stop_at : end;
    size_t n = c->sent < stop
                   ? h2_peer_bytes(c->conn->peer, &c->stream, c->id, c->sent, stop - c->sent,
                                   BYTES_RESPONSE, stop == end && !has_trailers(r))
                   : 0;
    c->sent += n;
    if (c->sent == end && c->stream.we_ended)
        answered(c);
    else if (c->sent == end)
        answer_end(c);
    return n > 0;
}

bool h2_answer_more(struct h2_case *c)
{
    if (h2_peer_stream_over(&c->stream))
        return false;
    if (!c->tunneling)
        return c->answering && body_more(c);
    uint64_t sent = c->tunnel.sent;
    if (!c->tunnel.shut)
        tunnel_pump(&c->tunnel);
    return c->tunnel.sent > sent;
}

static void answer_whole(struct h2_case *c)
{
    for (int i = 0; c->mood == MOOD_INTERIM && i < INTERIMS; i++)
        say_status(c, 103, false);
    head_write(c);
    c->answering = !c->answered;
}

/* --- answers for moods ------------------------------------------------------------------------ */

static void answer_short(struct h2_case *c, unsigned status)
{
    struct h2_peer *p = c->conn->peer;
    bool head_only = h2_case_request(c)->method == SIM_HEAD;
    say_status(c, status, head_only);
    if (!head_only && !h2_peer_stream_over(&c->stream)) {
        h2_peer_frame(p, &(struct h2_frame){0, c->stream.id, H2_DATA, H2_FLAG_END_STREAM}, NULL);
        c->stream.we_ended = true;
    }
    answered(c);
    if (c->mood == MOOD_EARLY_413 && !c->stream.they_ended)
        h2_peer_reset(p, &c->stream, H2_NO_ERROR);
}

static void answer_nonsense(struct h2_case *c)
{
    static const struct h2_peer_field heads[][2] = {
        {{"x-id", "1"}, {"x", "y"}},
        {{":status", "200"}, {"X-Upper", "1"}},
        {{":status", "200"}, {"connection", "close"}},
        {{":status", "2000"}, {"x", "y"}},
        {{":status", "200"}, {"content-length", "5"}},
        {{":status", "200"}, {":status", "200"}},
        {{"x", "y"}, {":status", "200"}},
    };
    struct sim_request *r = h2_case_request(c);
    uint32_t n = r->method == SIM_HEAD && r->variant % 7 == 4 ? 0 : r->variant % 7;
    if (!h2_peer_stream_over(&c->stream))
        h2_peer_fields(c->conn->peer, &c->stream, heads[n], 2, true, true);
}

static void answer_huge_head(struct h2_case *c)
{
    static char value[1001];
    struct h2_peer_field fields[HUGE_HEAD_FIELDS + 1] = {{":status", "200"}};
    memset(value, '7', sizeof value - 1);
    for (int i = 0; i < HUGE_HEAD_FIELDS; i++)
        fields[i + 1] = (struct h2_peer_field){"x-huge", value};
    say(c, fields, HUGE_HEAD_FIELDS + 1, true);
}

static void answer_chatty(struct h2_case *c)
{
    for (int i = 0; i < CHATTY_INTERIMS; i++)
        say_status(c, 103, false);
}

/* ---- tunnels ---- */

static size_t tunnel_write(struct sim_tunnel *t, uint64_t at, size_t len)
{
    struct h2_case *c = t->user;
    return h2_peer_bytes(c->conn->peer, &c->stream, c->id, at, len, BYTES_DOWN, false);
}

static void tunnel_end(struct sim_tunnel *t)
{
    struct h2_case *c = t->user;
    h2_peer_end(c->conn->peer, &c->stream);
}

static void tunnel_open(struct h2_case *c)
{
    struct sim_request *r = h2_case_request(c);
    say_status(c, 200, false);
    c->tunneling = true;
    c->got = 0;
    tunnel_init(&c->tunnel, c->conn->world, c->conn->conn, c->id, BYTES_DOWN);
    c->tunnel.user = c;
    c->tunnel.write = tunnel_write;
    c->tunnel.end = tunnel_end;
    c->tunnel.quiet = r->variant % 4 == 1;
}

static void answer(struct h2_case *c)
{
    struct sim_request *r = h2_case_request(c);
    switch (c->mood) {
    case MOOD_BREAK: h2_peer_reset(c->conn->peer, &c->stream, H2_INTERNAL_ERROR); break;
    case MOOD_RESET: c->conn->dies = true; break;
    case MOOD_NONSENSE: answer_nonsense(c); break;
    case MOOD_HUGE_HEAD: answer_huge_head(c); break;
    case MOOD_CHATTY: answer_chatty(c); break;
    case MOOD_STATUS: answer_short(c, r->mood_status); break;
    case MOOD_EARLY_413: answer_short(c, 413); break;
    case MOOD_BAD_101: say_status(c, 101, false); break;
    default:
        if (r->way == WAY_UPGRADE && r->variant % 4 != 0)
            tunnel_open(c);
        else
            answer_whole(c);
        break;
    }
}

void h2_answer_due(struct timer *t)
{
    struct h2_case *c = CONTAINER_OF(t, struct h2_case, timer);
    struct h2_origin_conn *o = c->conn;
    if (h2_peer_stream_over(&c->stream))
        return;
    answer(c);
    h2_conn_settle(o);
}
