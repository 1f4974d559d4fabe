/* verdict.c - what may come of a request, from its plan and the weather.
 *
 * In calm and rough weather a plan has one outcome, or two where chance decides (whose turn it is
 * in a queue, whether a reused connection counts as a try). A storm, few buffers and a drain add
 * failures; they never excuse a wrong byte, a second POST or an answer that only looks whole. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"

enum {
    STATUSES_MAX = 16,
    TRIES_MAX = 3,
    EARLY_MS = 50,
    ROUGH_EARLY_MS = 150,
    LATE_MS = 2500,
    PROMPT_MS = 300
};

struct allowed {
    bool fine, aborted, unsent, tunnel;
    uint16_t statuses[STATUSES_MAX];
    uint32_t count;
};

bool sim_exact(const struct sim_world *w)
{
    return w->weather != SIM_STORM && !w->tight;
}

static void allow(struct allowed *a, uint16_t status)
{
    a->statuses[a->count++] = status;
}

/* May it be sent again after a server saw it: harmless, and its body is still at hand. */
static bool repeatable(const struct sim_request *r)
{
    return r->method != SIM_POST && (r->request_bytes == 0 || r->place == PLACE_BUFFERED);
}

struct range {
    uint32_t least, most;
};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A stream ends by its reset at once: what came before it may not have been passed on yet. */
static bool breaks_at_once(const struct sim_world *w, const struct sim_request *r)
{
    return w->h2_origins && r->mood == MOOD_BREAK_MID;
}

/* How many servers a request with this mood is sent to. A break on a reused connection is taken for
 * staleness and costs no try, once. */
static struct range attempts(const struct sim_world *w, const struct sim_request *r)
{
    struct range n = {1, 1};
    bool silent_break = r->mood == MOOD_BREAK || r->mood == MOOD_RESET ||
                        r->mood == MOOD_RESET_MID || breaks_at_once(w, r);
    if (!repeatable(r))
        return n;
    if (r->place != PLACE_ONCE)
        n = (struct range){smaller(TRIES_MAX, w->servers_min), smaller(TRIES_MAX, w->servers_max)};
    if (silent_break || w->stale)
        n.most++;
    if (r->mood == MOOD_CHATTY)
        n.least = 1;
    return n;
}

static void allow_failure(const struct sim_world *w, const struct sim_request *r, struct allowed *a)
{
    switch (r->mood) {
    case MOOD_SILENT: allow(a, r->place == PLACE_TOTAL ? 504 : 504); break;
    case MOOD_DEAF: allow(a, 504); break;
    case MOOD_STATUS: allow(a, r->mood_status); break;
    case MOOD_BREAK_MID:
    case MOOD_STALL_MID:
        a->aborted = true;
        if (breaks_at_once(w, r))
            allow(a, 502);
        break;
    case MOOD_RESET_MID:
        a->aborted = true;
        allow(a, 502);
        break;
    case MOOD_EARLY_413: allow(a, 413); break;
    default: allow(a, 502); break;
    }
}

static bool mood_fails(const struct sim_request *r)
{
    return r->mood >= MOOD_EARLY_413;
}

/* A failed try whose status passes to the client without being tried again. */
static bool mood_is_final(const struct sim_world *w, const struct sim_request *r)
{
    return r->mood == MOOD_EARLY_413 || r->mood == MOOD_STALL_MID ||
           (r->mood == MOOD_BREAK_MID && !breaks_at_once(w, r));
}

static void allow_by_mood(const struct sim_world *w, const struct sim_request *r, struct allowed *a)
{
    if (!mood_fails(r)) {
        a->fine = true;
        return;
    }
    if (r->mood == MOOD_REFUSE || r->mood == MOOD_GOAWAY) {
        a->fine = true; /* allow_company() has the rest */
        return;
    }
    a->aborted |= breaks_at_once(w, r);
    struct range n = attempts(w, r);
    if (mood_is_final(w, r))
        n.least = n.most = 1;
    if (r->mood_tries < n.most)
        a->fine = true;
    if (r->mood_tries >= n.least || !sim_exact(w))
        allow_failure(w, r, a);
}

static void allow_by_place(const struct sim_world *w, const struct sim_request *r,
                           struct allowed *a)
{
    switch (r->place) {
    case PLACE_NARROW:
        a->fine = true;
        if (!w->patient)
            allow(a, 503);
        break;
    case PLACE_HOLE: allow(a, 504); break;
    case PLACE_SMALL:
        if (r->request_bytes > SIM_SMALL_BYTES)
            allow(a, 413);
        else
            a->fine = true;
        break;
    case PLACE_LOCAL: allow(a, 200); break;
    default: allow_by_mood(w, r, a); break;
    }
}

static void allow_tunnel(const struct sim_request *r, struct allowed *a)
{
    if (r->variant % 4 == 0)
        a->fine = true; /* the origin did not want one */
    else if (r->variant % 4 == 1)
        a->aborted = true; /* both stay silent */
    else
        a->tunnel = true;
}

static void allow_planned(const struct sim_world *w, const struct sim_request *r, struct allowed *a)
{
    switch (r->way) {
    case WAY_BAD:
        allow(a, r->h2 ? h2_bad_status(r->variant) : bad_request(r->variant)->status);
        break;
    case WAY_BAD_CHUNK:
        a->aborted = r->h2;
        if (!r->h2)
            allow(a, 400);
        break;
    case WAY_CANCEL:
        a->aborted = true;
        allow_by_place(w, r, a);
        break;
    case WAY_WRONG_HOST: allow(a, 421); break;
    case WAY_SLOW_HEAD:
    case WAY_STALLED_BODY:
    case WAY_DRIP: allow(a, 408); break;
    case WAY_DEAF: a->aborted = true; break;
    case WAY_UPGRADE: allow_tunnel(r, a); break;
    case WAY_HALF_CLOSE:
        a->aborted = r->mood == MOOD_SILENT || r->mood == MOOD_SLOW || r->place == PLACE_NARROW;
        if (r->mood != MOOD_SILENT)
            allow_by_place(w, r, a);
        break;
    default: allow_by_place(w, r, a); break;
    }
}

/* A connection may be on its way when its listener goes. */
static bool entrance_closes(const struct sim_world *w, const struct sim_request *r)
{
    return r->entrance == 1 && !w->confs[w->conf_count - 1].second_entrance;
}

/* What bad weather may do to any request. */
static void allow_weather(const struct sim_world *w, const struct sim_request *r, struct allowed *a)
{
    if (w->draining && r->seen == 0)
        a->aborted = a->unsent = true;
    if (r->seen == 0 && (r->loose || entrance_closes(w, r)))
        a->aborted = true; /* it was never looked at */
    if (r->talked_over)
        a->aborted = true;
    if (w->stale && !repeatable(r))
        allow(a, 502);
    if (sim_exact(w))
        return;
    a->aborted = a->unsent = true;
    a->fine |= mood_fails(r) && r->mood_tries < MOOD_FOR_EVER;
    allow(a, 408);
    allow(a, 502);
    allow(a, 503);
    allow(a, 504);
}

/* What others on the same connection may do to it. One that was disowned is asked again: once for
 * certain, and only while its body is still at hand. */
static void allow_company(const struct sim_request *r, struct allowed *a)
{
    if (r->dropped)
        a->aborted = true;
    if (r->held)
        allow(a, 408);
    if (r->disowned > 1 || (r->disowned && r->request_bytes > 0))
        allow(a, 503);
    if (!r->hit)
        return;
    a->aborted = true;
    a->fine |= mood_fails(r) && r->mood_tries < MOOD_FOR_EVER;
    allow(a, 502);
}

static struct allowed allowed_for(const struct sim_world *w, const struct sim_request *r)
{
    struct allowed a = {0};
    allow_planned(w, r, &a);
    allow_weather(w, r, &a);
    allow_company(r, &a);
    return a;
}

bool verdict_may_abort(const struct sim_world *w, const struct sim_request *r)
{
    return allowed_for(w, r).aborted;
}

static bool has_status(const struct allowed *a, uint16_t status)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->statuses[i] == status)
            return true;
    return false;
}

static bool whole_is_allowed(const struct sim_world *w, const struct sim_request *r,
                             const struct allowed *a)
{
    (void)w;
    if (r->status == 101)
        return a->tunnel && r->down_done && (r->up_done || !sim_exact(w));
    if (r->by_origin && r->status == r->fine_status && a->fine)
        return true;
    return has_status(a, r->status);
}

static bool is_allowed(const struct sim_world *w, const struct sim_request *r,
                       const struct allowed *a)
{
    switch (r->end) {
    case END_WHOLE: return whole_is_allowed(w, r, a);
    case END_ABORTED: return a->aborted;
    case END_UNSENT: return a->unsent;
    default: return false;
    }
}

/* --- times ------------------------------------------------------------------------------------ */

/* When a planned time-out is what ended the request, how long that had to take; 0: something else
 * did. */
static uint32_t time_due(const struct sim_world *w, const struct sim_request *r, int64_t *since_ms)
{
    *since_ms = r->began_ms;
    if (r->end != END_WHOLE || !sim_exact(w))
        return 0;
    if (r->way == WAY_SLOW_HEAD && r->status == 408)
        return w->times.client_header;
    if (r->way == WAY_STALLED_BODY && r->status == 408)
        return w->times.client_body;
    if (r->place == PLACE_HOLE && r->status == 504)
        return w->times.connect;
    if (r->place == PLACE_TOTAL && r->status == 504)
        return w->times.request;
    *since_ms = r->asked_ms;
    if (r->mood == MOOD_SILENT && r->status == 504 && r->asked_ms)
        return w->times.first_byte;
    return 0;
}

static void check_time(const struct sim_world *w, const struct sim_request *r, uint32_t id)
{
    int64_t since_ms, took_ms;
    uint32_t due_ms = time_due(w, r, &since_ms);
    if (due_ms == 0)
        return;
    took_ms = r->ended_ms - since_ms;
    /* weir counts from when it sent the last byte, we from when that came: many late pieces ago */
    int64_t early_ms = w->weather == SIM_CALM ? EARLY_MS : ROUGH_EARLY_MS;
    if (took_ms < (int64_t)due_ms - early_ms || took_ms > (int64_t)due_ms + LATE_MS)
        sim_broken(w, "request %u: a time-out of %u ms came after %lld ms", id, due_ms,
                   (long long)took_ms);
}

/* A request that nothing holds up reaches its origin at once, and the answer its client: waking up
 * somebody by the next timer is not enough. */
static void check_prompt(const struct sim_world *w, const struct sim_request *r, uint32_t id)
{
    bool calm_way = r->place == PLACE_MAIN || r->place == PLACE_ONCE || r->place == PLACE_BUFFERED;
    int64_t there_ms = r->asked_ms - r->sent_ms, back_ms = r->ended_ms - r->answered_ms;
    if (r->end != END_WHOLE || !sim_exact(w) || r->status == 101)
        return;
    /* small windows take many turns, each of them split and late */
    int64_t prompt_ms = r->h2 || w->h2_origins ? 5 * PROMPT_MS : PROMPT_MS;
    if (calm_way && r->alone && r->seen == 1 && r->seen_whole == 1 && there_ms > prompt_ms)
        sim_broken(w, "request %u took %lld ms to its origin", id, (long long)there_ms);
    if (r->answered_ms && r->by_origin && !r->slow && back_ms > prompt_ms)
        sim_broken(w, "answer %u took %lld ms to its client", id, (long long)back_ms);
}

/* A place in the queue is waited for as long as the configuration says, not longer. */
static void check_queue(const struct sim_world *w, const struct sim_request *r, uint32_t id)
{
    int64_t waited_ms = (r->seen ? r->seen_ms : r->ended_ms) - r->began_ms;
    if (r->place == PLACE_NARROW && r->alone && sim_exact(w) && r->end == END_WHOLE &&
        waited_ms > w->times.queue + LATE_MS)
        sim_broken(w, "request %u waited %lld ms in a queue with a time-out of %u ms", id,
                   (long long)waited_ms, w->times.queue);
}

/* --- the whole -------------------------------------------------------------------------------- */

static const char *const ends[] = {"never ended", "whole", "aborted", "never sent"};

static void check_request(const struct sim_world *w, uint32_t id)
{
    const struct sim_request *r = &w->requests[id];
    struct allowed a = allowed_for(w, r);
    if (!is_allowed(w, r, &a))
        sim_broken(
            w, "request %u (%s, way %s, mood %s x%u): %s, status %u%s, seen %u; this can not be",
            id, plan_path(r->place), way_name(r->way), mood_name(r->mood), r->mood_tries,
            ends[r->end], r->status, r->by_origin ? " of the origin" : "", r->seen);
    check_time(w, r, id);
    check_prompt(w, r, id);
    check_queue(w, r, id);
}

void verdict_all(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->request_count; i++)
        check_request(w, i);
}
