/* plan.c - chooses what each request of a world is to go through.
 *
 * One thing out of the ordinary at a time (a way, a mood or a place), or an unusual way with a mood
 * that does not contradict it: so the verdict stays clear, and the mix comes from the requests and
 * connections that run beside it. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"

enum { HUGE_SLACK_BYTES = 900 * 1024, H2_WINDOWS_BYTES = 512 * 1024 };

const char *way_name(enum sim_way way)
{
    static const char *const names[WAYS] = {
        [WAY_PLAIN] = "plain",         [WAY_EXPECT] = "expect",
        [WAY_CLOSE] = "close",         [WAY_OLD] = "old",
        [WAY_OLD_KEEP] = "old_keep",   [WAY_HALF_CLOSE] = "half_close",
        [WAY_FULL_HEAD] = "full_head", [WAY_BAD] = "bad",
        [WAY_BAD_CHUNK] = "bad_chunk", [WAY_WRONG_HOST] = "wrong_host",
        [WAY_SLOW_HEAD] = "slow_head", [WAY_STALLED_BODY] = "stalled_body",
        [WAY_DRIP] = "drip",           [WAY_DEAF] = "deaf",
        [WAY_IDLE] = "idle",           [WAY_UPGRADE] = "upgrade",
        [WAY_CANCEL] = "cancel",
    };
    return names[way];
}

const char *mood_name(enum sim_mood mood)
{
    static const char *const names[MOODS] = {
        [MOOD_FINE] = "fine",           [MOOD_INTERIM] = "interim",
        [MOOD_SLOW] = "slow",           [MOOD_EXTRA] = "extra",
        [MOOD_EARLY] = "early",         [MOOD_EARLY_413] = "early_413",
        [MOOD_SILENT] = "silent",       [MOOD_BREAK] = "break",
        [MOOD_RESET] = "reset",         [MOOD_BREAK_MID] = "break_mid",
        [MOOD_RESET_MID] = "reset_mid", [MOOD_STALL_MID] = "stall_mid",
        [MOOD_NONSENSE] = "nonsense",   [MOOD_HUGE_HEAD] = "huge_head",
        [MOOD_CHATTY] = "chatty",       [MOOD_STATUS] = "status",
        [MOOD_BAD_101] = "bad_101",     [MOOD_DEAF] = "deaf",
        [MOOD_REFUSE] = "refuse",       [MOOD_GOAWAY] = "goaway",
    };
    return names[mood];
}

bool plan_has_request_body(const struct sim_request *r)
{
    return r->method >= SIM_PUT;
}

bool plan_has_response_body(const struct sim_request *r)
{
    return r->method != SIM_HEAD && r->fine_status != 204 && r->fine_status != 304;
}

static uint32_t body_size(struct sim_world *w)
{
    switch (rand_below(&w->rand, 8)) {
    case 0: return 0;
    case 1: return 1 + rand_below(&w->rand, 3);
    case 2:
    case 3: return rand_below(&w->rand, 2000);
    case 4:
    case 5: return rand_below(&w->rand, 20000);
    case 6: return rand_below(&w->rand, 100000);
    default: return rand_below(&w->rand, 300000);
    }
}

/* More than fits between a sender and a reader that does not read: the queue, a full connection,
 * the window, and what else is in flight. */
static uint32_t huge_size(const struct sim_world *w)
{
    uint32_t h2 = w->h2_origins || w->h2_clients_per_mille ? H2_WINDOWS_BYTES : 0;
    return w->window_bytes + w->body_queue_bytes + CONN_OUT_HIGH_BYTES + HUGE_SLACK_BYTES + h2;
}

static void with_request_body(struct sim_world *w, struct sim_request *r, uint32_t least)
{
    if (!plan_has_request_body(r))
        r->method = world_chance(w, 500) ? SIM_PUT : SIM_POST;
    r->request_bytes += least;
}

static void with_response_body(struct sim_world *w, struct sim_request *r, uint32_t least)
{
    if (r->method == SIM_HEAD)
        r->method = SIM_GET;
    r->fine_status = 200;
    r->response_bytes += least;
    r->close_response = false;
    (void)w;
}

static void without_request_body(struct sim_request *r)
{
    if (plan_has_request_body(r))
        r->method = SIM_GET;
    r->request_bytes = 0;
    r->chunked_request = false;
}

static void ordinary(struct sim_world *w, struct sim_request *r, bool h2)
{
    static const uint16_t statuses[] = {200, 200, 200, 200, 200, 200, 204, 304, 404};
    static const uint16_t failures[] = {502, 503, 504};
    *r = (struct sim_request){.method = (enum sim_method)rand_below(&w->rand, SIM_METHODS)};
    r->h2 = h2;
    r->websocket = h2 || w->h2_origins;
    r->variant = (uint32_t)rand_next(&w->rand);
    r->fine_status = statuses[rand_below(&w->rand, 9)];
    r->mood_status = failures[rand_below(&w->rand, 3)];
    r->chunked_request = world_chance(w, 400);
    r->chunked_response = world_chance(w, 400);
    r->close_response = !r->chunked_response && world_chance(w, 150);
    r->trailers = world_chance(w, 400);
    r->sends_100 = world_chance(w, 500);
    r->request_bytes = body_size(w);
    r->response_bytes = body_size(w);
    if (!plan_has_request_body(r))
        without_request_body(r);
}

static void old_client(struct sim_request *r)
{
    r->chunked_request = false;
}

/* What HTTP/2 has no words for becomes something that it has. */
static enum sim_way way_that_fits(const struct sim_request *r, enum sim_way way)
{
    if (!r->h2)
        return way == WAY_CANCEL ? WAY_PLAIN : way;
    switch (way) {
    case WAY_CLOSE:
    case WAY_HALF_CLOSE: return WAY_CANCEL;
    case WAY_OLD:
    case WAY_OLD_KEEP:
    case WAY_SLOW_HEAD: return WAY_PLAIN;
    default: return way;
    }
}

static void set_way(struct sim_world *w, struct sim_request *r, enum sim_way way)
{
    way = way_that_fits(r, way);
    r->way = way;
    switch (way) {
    case WAY_EXPECT: with_request_body(w, r, 1); break;
    case WAY_OLD:
    case WAY_OLD_KEEP: old_client(r); break;
    case WAY_HALF_CLOSE: r->request_bytes %= 2000; break;
    case WAY_BAD_CHUNK:
        with_request_body(w, r, 10);
        r->chunked_request = true;
        break;
    case WAY_STALLED_BODY: with_request_body(w, r, 2); break;
    case WAY_DRIP:
        with_request_body(w, r, 0);
        r->request_bytes = 60;
        break;
    case WAY_DEAF:
        with_response_body(w, r, huge_size(w));
        without_request_body(r);
        break;
    case WAY_UPGRADE:
        r->method = SIM_GET;
        without_request_body(r);
        r->up_bytes = body_size(w);
        r->down_bytes = body_size(w);
        if (r->websocket && r->variant % 4 == 0)
            r->fine_status = 404; /* 2xx would say that the tunnel stands */
        break;
    case WAY_BAD:
    case WAY_WRONG_HOST:
    case WAY_SLOW_HEAD: without_request_body(r); break;
    default: break;
    }
}

static void set_mood(struct sim_world *w, struct sim_request *r, enum sim_mood mood)
{
    if (!w->h2_origins && (mood == MOOD_REFUSE || mood == MOOD_GOAWAY))
        mood = MOOD_INTERIM;
    r->mood = mood;
    r->mood_tries = world_chance(w, 600) ? 1 + rand_below(&w->rand, 2) : MOOD_FOR_EVER;
    switch (mood) {
    case MOOD_EXTRA:
        r->response_bytes %= 2000;
        r->chunked_response = r->close_response = false;
        break;
    case MOOD_EARLY:
    case MOOD_EARLY_413:
        with_request_body(w, r, 1);
        r->close_response = false; /* closing on unread bytes would destroy the answer */
        break;
    case MOOD_BREAK_MID:
    case MOOD_RESET_MID:
    case MOOD_STALL_MID: with_response_body(w, r, 2); break;
    case MOOD_DEAF:
        with_request_body(w, r, huge_size(w));
        r->mood_tries = MOOD_FOR_EVER;
        break;
    case MOOD_REFUSE:
    case MOOD_GOAWAY: r->mood_tries = 1; break;
    default: break;
    }
}

static bool mood_fits(const struct sim_world *w, enum sim_mood mood)
{
    return mood != MOOD_EXTRA || (w->weather == SIM_CALM && !w->h2_origins);
}

/* Rare, because they move a megabyte. */
static bool too_large(struct sim_world *w, bool huge)
{
    return huge && !world_chance(w, 300);
}

static void odd_mood(struct sim_world *w, struct sim_request *r)
{
    static const enum sim_place places[] = {PLACE_MAIN, PLACE_MAIN, PLACE_ONCE, PLACE_BUFFERED};
    enum sim_mood mood = (enum sim_mood)(1 + rand_below(&w->rand, MOODS - 1));
    if (!mood_fits(w, mood) || too_large(w, mood == MOOD_DEAF))
        mood = MOOD_STATUS;
    r->place = places[rand_below(&w->rand, 4)];
    set_mood(w, r, mood);
}

static void odd_way(struct sim_world *w, struct sim_request *r)
{
    enum sim_way way = (enum sim_way)(1 + rand_below(&w->rand, WAYS - 1));
    if (too_large(w, way == WAY_DEAF))
        way = WAY_UPGRADE;
    set_way(w, r, way);
}

static void odd_place(struct sim_world *w, struct sim_request *r)
{
    r->place = (enum sim_place)rand_below(&w->rand, PLACES);
    if (r->place != PLACE_TOTAL)
        return;
    set_mood(w, r, MOOD_SILENT);
    r->mood_tries = MOOD_FOR_EVER;
}

/* Ways that do not decide the outcome, with moods that make sense for all of them. */
static void mixed(struct sim_world *w, struct sim_request *r)
{
    static const enum sim_way ways[] = {WAY_EXPECT, WAY_CLOSE, WAY_OLD, WAY_OLD_KEEP};
    static const enum sim_mood moods[] = {MOOD_INTERIM, MOOD_SLOW, MOOD_SILENT, MOOD_EARLY_413,
                                          MOOD_STATUS};
    static const enum sim_place places[] = {PLACE_MAIN, PLACE_ONCE, PLACE_BUFFERED};
    r->place = places[rand_below(&w->rand, 3)];
    set_mood(w, r, moods[rand_below(&w->rand, 5)]);
    set_way(w, r, ways[rand_below(&w->rand, 4)]);
}

/* A client that ended its side and a server that takes its time. */
static void leaving(struct sim_world *w, struct sim_request *r)
{
    set_mood(w, r, world_chance(w, 500) ? MOOD_SILENT : MOOD_SLOW);
    set_way(w, r, WAY_HALF_CLOSE);
    r->mood_tries = MOOD_FOR_EVER;
}

static void narrow(struct sim_world *w, struct sim_request *r)
{
    r->place = PLACE_NARROW;
    if (world_chance(w, 700))
        set_mood(w, r, MOOD_SLOW);
    if (world_chance(w, 150))
        set_way(w, r, WAY_HALF_CLOSE); /* gives its place in the queue up */
}

void plan_make(struct sim_world *w, uint32_t id, bool h2)
{
    struct sim_request *r = &w->requests[id];
    ordinary(w, r, h2);
    if (w->crowded && world_chance(w, 700)) {
        narrow(w, r);
        return;
    }
    if (w->budget && world_chance(w, 700)) {
        without_request_body(r);
        set_mood(w, r, MOOD_STATUS);
        r->mood_tries = MOOD_FOR_EVER;
        return;
    }
    switch (rand_below(&w->rand, 10)) {
    case 0:
    case 1: odd_mood(w, r); break;
    case 2:
    case 3: odd_way(w, r); break;
    case 4:
    case 5: odd_place(w, r); break;
    case 6: world_chance(w, 900) ? mixed(w, r) : leaving(w, r); break;
    default: break;
    }
}
