/* judge.c - what must hold of a request when an origin gets it and of an answer when a client does,
 * whichever protocol carried it. Heads are given as HTTP/1.1 writes them. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TRIES_MAX = 3 };

/* --- requests --------------------------------------------------------------------------------- */

/* A request that a server saw is sent again only when that does no harm, and not for ever. */
static void check_repeat(const struct sim_world *w, uint32_t id)
{
    const struct sim_request *r = &w->requests[id];
    uint32_t tries = (r->place == PLACE_ONCE ? 1 : TRIES_MAX) + r->hit;
    if (r->seen > 1 && r->method == SIM_POST)
        sim_broken(w, "POST %u was sent again", id);
    if (r->seen > 1 && r->body_seen > 0 && r->place != PLACE_BUFFERED)
        sim_broken(w, "request %u was sent again after a part of its body", id);
    if (r->seen > tries + 1)
        sim_broken(w, "request %u was sent %u times", id, r->seen);
}

static void check_place(const struct sim_world *w, uint32_t id)
{
    enum sim_place place = w->requests[id].place;
    enum sim_way way = w->requests[id].way;
    if (place == PLACE_LOCAL || place == PLACE_HOLE || way == WAY_WRONG_HOST || way == WAY_BAD ||
        way == WAY_SLOW_HEAD)
        sim_broken(w, "request %u was not for any origin", id);
}

static void check_fields(const struct sim_world *w, uint32_t id, const char *head)
{
    const struct sim_request *r = &w->requests[id];
    bool expects = r->way == WAY_EXPECT && r->place != PLACE_BUFFERED;
    bool upgrades =
        wire_has(head, r->websocket ? "\r\nupgrade: websocket\r\n" : "\r\nupgrade: sim\r\n");
    bool good = wire_has(head, " HTTP/1.1\r\n") && wire_has(head, "\r\nhost: sim.test\r\n") &&
                wire_has(head, "\r\nvia: ") && !wire_has(head, "\r\nkeep-alive:") &&
                wire_has(head, "\r\nexpect: 100-continue\r\n") == expects &&
                upgrades == (r->way == WAY_UPGRADE);
    if (!good)
        sim_broken(w, "request %u came with wrong fields: %s", id, head);
}

static void check_generation(struct sim_world *w, uint32_t id, const char *head)
{
    struct sim_request *r = &w->requests[id];
    long gen = wire_number(head, "x-gen");
    if (gen < (long)r->min_gen || gen > (long)w->conf_count)
        sim_broken(w, "request %u was sent under configuration %u and served by %ld", id,
                   r->min_gen, gen);
    r->gen = (uint32_t)gen;
}

static bool id_of(const char *head, uint32_t *id)
{
    const char *space = strchr(head, ' ');
    const char *slash = space ? strchr(space + 2, '/') : NULL;
    char *end;
    if (!slash)
        return false;
    *id = (uint32_t)strtoul(slash + 1, &end, 10);
    return end > slash + 1 && *end == ' ';
}

uint32_t judge_request_id(const struct sim_world *w, const char *head)
{
    uint32_t id;
    if (!id_of(head, &id) || id >= w->request_count)
        sim_broken(w, "an origin was asked for something else: %.60s", head);
    return id;
}

void judge_request_head(struct sim_world *w, uint32_t id, uint32_t origin, const char *head)
{
    struct sim_request *r = &w->requests[id];
    r->seen++;
    r->seen_ms = w->peers.now_ms;
    r->answered_ms = 0;
    sim_say(w, "origin %u: request %u, %s, seen %u", origin, id, mood_name(r->mood), r->seen);
    check_repeat(w, id);
    check_place(w, id);
    check_fields(w, id, head);
    check_generation(w, id, head);
}

void judge_request_body(struct sim_world *w, uint32_t id, uint64_t from, const char *at, size_t len)
{
    w->requests[id].body_seen += len;
    size_t good = sim_bytes_check(id, from, BYTES_REQUEST, at, len);
    if (good < len)
        sim_broken(w, "request %u: body differs at %llu", id, (unsigned long long)(from + good));
}

void judge_request_trailer(const struct sim_world *w, uint32_t id, const char *line)
{
    if (strcasecmp(line, "x-sum: request") != 0)
        sim_broken(w, "request %u has a strange trailer: %s", id, line);
}

void judge_request_whole(struct sim_world *w, uint32_t id, uint64_t bytes, bool trailer_seen)
{
    struct sim_request *r = &w->requests[id];
    bool trailer_due = r->trailers && r->chunked_request && r->place != PLACE_BUFFERED;
    if (bytes != r->request_bytes)
        sim_broken(w, "request %u: %llu bytes of body instead of %u", id, (unsigned long long)bytes,
                   r->request_bytes);
    if (trailer_seen != trailer_due)
        sim_broken(w, "request %u: its trailer is %s", id, trailer_due ? "lost" : "not its own");
    r->seen_whole++;
    r->asked_ms = w->peers.now_ms;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Which configuration served it: the same on its way back as on its way there. */
static void check_answer_generation(const struct sim_world *w, uint32_t id, const char *head)
{
    const struct sim_request *r = &w->requests[id];
    long gen = wire_number(head, "x-gen");
    if (r->by_origin && gen != (long)r->gen)
        sim_broken(w, "answer %u: forwarded under configuration %u, answered under %ld", id, r->gen,
                   gen);
    if (gen >= 0 && gen < (long)r->min_gen)
        sim_broken(w, "answer %u: sent under configuration %u, answered under %ld", id, r->min_gen,
                   gen);
}

void judge_answer_head(struct sim_world *w, uint32_t id, const char *head)
{
    struct sim_request *r = &w->requests[id];
    long mark = wire_number(head, "x-id");
    r->status = (uint16_t)atoi(head + 9);
    r->by_origin = mark >= 0;
    if (mark >= 0 && mark != (long)id)
        sim_broken(w, "request %u got the answer of another: %s", id, head);
    check_answer_generation(w, id, head);
}

static bool is_planned_body(const struct sim_request *r)
{
    return r->by_origin && r->status == r->fine_status;
}

void judge_answer_body(const struct sim_world *w, uint32_t id, uint64_t from, const char *at,
                       size_t len)
{
    if (!is_planned_body(&w->requests[id]))
        return;
    size_t good = sim_bytes_check(id, from, BYTES_RESPONSE, at, len);
    if (good < len)
        sim_broken(w, "answer %u differs at %llu", id, (unsigned long long)(from + good));
}

void judge_answer_trailer(const struct sim_world *w, uint32_t id, const char *line)
{
    if (strcasecmp(line, "x-sum: answer") != 0)
        sim_broken(w, "answer %u has a strange trailer: %s", id, line);
}

void judge_answer_whole(const struct sim_world *w, uint32_t id, uint64_t bytes, bool trailer_due,
                        bool trailer_seen)
{
    const struct sim_request *r = &w->requests[id];
    uint32_t due = plan_has_response_body(r) ? r->response_bytes : 0;
    if (!is_planned_body(r))
        return;
    if (bytes != due)
        sim_broken(w, "answer %u looks whole with %llu bytes instead of %u", id,
                   (unsigned long long)bytes, due);
    if (trailer_due && due > 0 && r->chunked_response && r->trailers && !trailer_seen)
        sim_broken(w, "answer %u: its trailer is lost", id);
}
