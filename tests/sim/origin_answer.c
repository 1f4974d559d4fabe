/* origin_answer.c - what a server of the simulation says: the answer that follows from the
 * request's id, or what its mood makes of it.
 *
 * Nothing is answered from inside a callback of the parser: a timer of the same moment does it. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/origin.h"
#include <stdio.h>
#include <string.h>

enum {
    INTERIMS = 3,
    EXTRA_BYTES = 30000,
    CHATTY_INTERIMS = 60,
    HUGE_HEAD_FIELDS = 68,
    PART_MAX_BYTES = 30000
};

static void answer_in(struct origin_conn *o, int64_t ms)
{
    timer_set(&o->world->peers.timers, &o->timer, o->world->peers.now_ms + ms);
}

static bool is_early(const struct origin_conn *o)
{
    return o->mood == MOOD_EARLY || o->mood == MOOD_EARLY_413;
}

static void stop_choose(struct origin_conn *o)
{
    uint32_t bytes = origin_request(o)->response_bytes;
    uint32_t most = bytes < PART_MAX_BYTES ? bytes : PART_MAX_BYTES;
    bool stops =
        o->mood == MOOD_BREAK_MID || o->mood == MOOD_RESET_MID || o->mood == MOOD_STALL_MID;
    o->stop_at = stops ? rand_below(&o->world->rand, most) : UINT64_MAX;
}

void answer_begin(struct origin_conn *o)
{
    struct sim_request *r = origin_request(o);
    o->mood = r->seen <= r->mood_tries ? r->mood : MOOD_FINE;
    o->answering = o->answered = o->request_whole = false;
    o->sent = 0;
    stop_choose(o);
    if (o->mood == MOOD_DEAF)
        o->deaf = true;
    if (is_early(o))
        answer_in(o, 0);
    else if (r->way == WAY_EXPECT && r->place != PLACE_BUFFERED && r->sends_100)
        sim_writef(o->world, o->conn, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void settle(struct origin_conn *o)
{
    if (o->answered && o->request_whole)
        origin_idle(o);
}

void answer_request_whole(struct origin_conn *o)
{
    struct sim_world *w = o->world;
    o->request_whole = true;
    if (is_early(o))
        settle(o);
    else if (o->mood == MOOD_SLOW)
        answer_in(o, 1 + rand_below(&w->rand, w->times.first_byte * 3 / 4));
    else if (o->mood != MOOD_SILENT)
        answer_in(o, 0);
}

/* --- the answer that is due ------------------------------------------------------------------- */

static void interims(struct origin_conn *o, int count)
{
    char text[CHATTY_INTERIMS * 64];
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n", i);
    sim_write(o->world, o->conn, text, len);
}

static void head_write(struct origin_conn *o)
{
    struct sim_request *r = origin_request(o);
    char framing[128] = "";
    bool no_body = r->fine_status == 204;
    if (!no_body && r->chunked_response)
        snprintf(framing, sizeof framing, "Transfer-Encoding: chunked\r\n");
    else if (!no_body && !r->close_response)
        snprintf(framing, sizeof framing, "Content-Length: %u\r\n", r->response_bytes);
    sim_writef(o->world, o->conn,
               "HTTP/1.1 %u Sim\r\nX-Id: %u\r\nKeep-Alive: timeout=5\r\n%s%s\r\n", r->fine_status,
               o->id, framing, r->close_response ? "Connection: close\r\n" : "");
}

/* So much of it that a part is still to come when the true answer is whole. */
static void extra_answer(struct origin_conn *o)
{
    char poison[EXTRA_BYTES];
    memset(poison, 'p', sizeof poison);
    sim_writef(o->world, o->conn, "HTTP/1.1 200 OK\r\nX-Id: 999999\r\nContent-Length: %u\r\n\r\n",
               EXTRA_BYTES);
    sim_write(o->world, o->conn, poison, sizeof poison);
}

static void answer_end(struct origin_conn *o)
{
    struct sim_request *r = origin_request(o);
    if (r->chunked_response && plan_has_response_body(r))
        sim_writef(o->world, o->conn, "0\r\n%s\r\n", r->trailers ? "X-Sum: answer\r\n" : "");
    if (o->mood == MOOD_EXTRA)
        extra_answer(o);
    o->answering = false;
    o->answered = true;
    r->answered_ms = o->world->peers.now_ms;
    if (r->close_response)
        origin_finish(o, false);
    else
        settle(o);
}

/* The end of its patience in the middle of an answer. */
static void break_off(struct origin_conn *o)
{
    o->answering = false;
    if (o->mood != MOOD_STALL_MID)
        origin_finish(o, o->mood == MOOD_RESET_MID);
}

void answer_more(struct origin_conn *o)
{
    struct sim_request *r = origin_request(o);
    uint64_t end = plan_has_response_body(r) ? r->response_bytes : 0;
    if (!o->answering)
        return;
    while (o->sent < end) {
        if (o->sent >= o->stop_at) {
            break_off(o);
            return;
        }
        uint64_t stop = o->stop_at < end ? o->stop_at : end;
        size_t n = sim_write_bytes(o->world, o->conn, o->id, o->sent, stop - o->sent,
                                   BYTES_RESPONSE, r->chunked_response);
        o->sent += n;
        if (n == 0) {
            conn_want_room(o->conn);
            return;
        }
    }
    answer_end(o);
}

static void answer_whole(struct origin_conn *o)
{
    if (o->mood == MOOD_INTERIM)
        interims(o, INTERIMS);
    head_write(o);
    o->answering = true;
    answer_more(o);
}

/* --- answers for moods ------------------------------------------------------------------------ */

static void answer_short(struct origin_conn *o, unsigned status)
{
    bool head_only = origin_request(o)->method == SIM_HEAD;
    sim_writef(o->world, o->conn, "HTTP/1.1 %u Sim\r\nX-Id: %u\r\nContent-Length: 4\r\n\r\n%s",
               status, o->id, head_only ? "" : "busy");
    o->answered = true;
    origin_request(o)->answered_ms = o->world->peers.now_ms;
    settle(o);
}

static void answer_nonsense(struct origin_conn *o)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "SSH-2.0-sim\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad field\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    };
    sim_writef(o->world, o->conn, "%s", texts[origin_request(o)->variant % 6]);
    origin_finish(o, false);
}

static void answer_huge_head(struct origin_conn *o)
{
    char fields[HUGE_HEAD_FIELDS * 1024];
    size_t len = 0;
    for (int i = 0; i < HUGE_HEAD_FIELDS; i++)
        len += (size_t)snprintf(fields + len, sizeof fields - len, "X-%02d: %01000d\r\n", i, 7);
    sim_writef(o->world, o->conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    sim_write(o->world, o->conn, fields, len);
    sim_writef(o->world, o->conn, "\r\n");
}

static void tunnel_open(struct origin_conn *o)
{
    struct sim_request *r = origin_request(o);
    sim_writef(o->world, o->conn,
               "HTTP/1.1 101 Sim\r\nX-Id: %u\r\nUpgrade: %s\r\nConnection: upgrade\r\n\r\n", o->id,
               r->websocket ? "websocket" : "sim");
    o->tunneling = true;
    o->wire.state = WIRE_RAW;
    tunnel_init(&o->tunnel, o->world, o->conn, o->id, BYTES_DOWN);
    o->tunnel.quiet = r->variant % 4 == 1;
    tunnel_pump(&o->tunnel);
}

void answer_now(struct origin_conn *o)
{
    struct sim_request *r = origin_request(o);
    switch (o->mood) {
    case MOOD_BREAK: origin_finish(o, false); break;
    case MOOD_RESET: origin_finish(o, true); break;
    case MOOD_NONSENSE: answer_nonsense(o); break;
    case MOOD_HUGE_HEAD: answer_huge_head(o); break;
    case MOOD_CHATTY: interims(o, CHATTY_INTERIMS); break;
    case MOOD_STATUS: answer_short(o, r->mood_status); break;
    case MOOD_EARLY_413: answer_short(o, 413); break;
    case MOOD_BAD_101:
        sim_writef(o->world, o->conn,
                   "HTTP/1.1 101 Sim\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n");
        break;
    default:
        if (r->way == WAY_UPGRADE && r->variant % 4 != 0)
            tunnel_open(o);
        else
            answer_whole(o);
        break;
    }
}
