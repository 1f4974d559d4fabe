/* world.c - one seed: makes the world, lets it run, and sees that nothing is left of it. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    PEER_BUFFERS = 1 << 30,
    BUFFERS = 32 << 20,
    TIGHT_BUFFERS = 96 * 1024, /* and as much again */
    RUN_HOURS = 12,
    CHANGES_WITHIN_MS = 20000,
    NEWS_MS = 50,
};

bool world_chance(struct sim_world *w, uint32_t per_mille)
{
    return rand_below(&w->rand, 1000) < per_mille;
}

/* Until weir hears that a connection is gone it sends more requests over it. */
void world_begins(struct sim_world *w, struct sim_request *r, uint32_t entrance)
{
    r->began_ms = w->peers.now_ms;
    r->min_gen = weir_gen(w, entrance);
    r->entrance = entrance;
    if (w->killed_ms && r->began_ms - w->killed_ms <= NEWS_MS)
        r->hit++;
}

/* --- addresses -------------------------------------------------------------------------------- */

static void ip(struct addr *out, uint32_t host, uint16_t port)
{
    *out = (struct addr){.len = sizeof out->in};
    out->in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
}

void sim_addr_origin(uint32_t index, struct addr *out)
{
    ip(out, 0x0a000101 + index, 80);
}

void sim_addr_hole(struct addr *out)
{
    ip(out, 0x0a000201, 80);
}

void sim_addr_weir(uint32_t entrance, struct addr *out)
{
    ip(out, 0x0a000001, (uint16_t)(80 + entrance));
}

/* --- the making of a world -------------------------------------------------------------------- */

static void weather_choose(struct sim_world *w)
{
    static const enum sim_weather weathers[] = {SIM_CALM,  SIM_CALM,  SIM_CALM,  SIM_ROUGH,
                                                SIM_ROUGH, SIM_ROUGH, SIM_ROUGH, SIM_STORM,
                                                SIM_STORM, SIM_STORM};
    w->weather = weathers[rand_below(&w->rand, 10)];
    w->tight = world_chance(w, 150);
    w->stale = world_chance(w, 250);
    w->patient = world_chance(w, 500);
    if (world_chance(w, 400))
        w->tls = world_chance(w, 300) ? SIM_TLS_1_2 : SIM_TLS_1_3;
    w->crowded = world_chance(w, 150);
    w->budget = !sim_exact(w) && world_chance(w, 300);
    w->h2_origins = world_chance(w, 400);
    w->origin_streams = 1u << rand_below(&w->rand, 7);
    w->h2_clients_per_mille = world_chance(w, 500) ? 0 : world_chance(w, 500) ? 500 : 1000;
    w->window_bytes = 1u << (12 + rand_below(&w->rand, 8));
}

static struct sim_faults faults_choose(struct sim_world *w)
{
    struct sim_faults f = {.window_bytes = w->window_bytes, .delay_max_ms = 1};
    if (w->weather == SIM_CALM)
        return f;
    f.split = (uint16_t)rand_below(&w->rand, 500);
    f.delay = (uint16_t)rand_below(&w->rand, 300);
    f.delay_max_ms = 1 + rand_below(&w->rand, 4);
    f.short_write = (uint16_t)rand_below(&w->rand, 300);
    f.no_buffer = (uint16_t)rand_below(&w->rand, 50);
    if (w->weather == SIM_ROUGH)
        return f;
    f.delay_max_ms = 1 + rand_below(&w->rand, 3000);
    f.reset = (uint16_t)(world_chance(w, 500) ? rand_below(&w->rand, 20) : 0);
    f.refuse = (uint16_t)(world_chance(w, 300) ? rand_below(&w->rand, 300) : 0);
    return f;
}

static void peers_make(struct sim_world *w)
{
    struct addr hole;
    if (!loop_init(&w->peers, &io_backend_sim, w->net, &w->peer_counters, PEER_BUFFERS))
        sim_broken(w, "cannot start");
    sim_tls_init(w);
    sim_addr_hole(&hole);
    sim_hole(w->net, &hole.sa, hole.len);
    for (uint32_t i = 0; i < w->origin_count; i++)
        w->origins[i] = sim_origin_new(w, i);
}

/* Whose requests are which, and how they are sent. */
static void requests_plan(struct sim_world *w)
{
    uint32_t first = 0;
    while (first < w->request_count && w->client_count < SIM_CLIENTS_MAX) {
        uint32_t left = w->request_count - first;
        uint32_t n = w->client_count == SIM_CLIENTS_MAX - 1 ? left : 1 + rand_below(&w->rand, left);
        bool h2 = world_chance(w, w->h2_clients_per_mille);
        for (uint32_t id = first; id < first + n; id++)
            plan_make(w, id, h2);
        w->client_requests[w->client_count++] = n;
        first += n;
    }
}

static void clients_make(struct sim_world *w)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < w->client_count; i++) {
        uint32_t n = w->client_requests[i];
        if (w->requests[first].h2)
            w->h2_clients[i] = sim_h2_client_new(w, first, n);
        else
            w->clients[i] = sim_client_new(w, first, n);
        first += n;
    }
}

static void changes_plan(struct sim_world *w)
{
    for (uint32_t i = 1; i < w->conf_count; i++)
        weir_install_later(w, w->peers.now_ms + rand_below(&w->rand, CHANGES_WITHIN_MS));
    if (!world_chance(w, 150))
        return;
    w->drain_at_ms = w->peers.now_ms + rand_below(&w->rand, CHANGES_WITHIN_MS);
    weir_drain_later(w, w->drain_at_ms);
}

static struct sim_world *world_new(uint64_t seed)
{
    struct sim_world *w = MEM_NEW(struct sim_world);
    w->seed = seed;
    rand_init(&w->rand, seed);
    weather_choose(w);
    w->origin_count = 1 + rand_below(&w->rand, SIM_ORIGINS_MAX);
    config_choose(w);
    struct sim_faults faults = faults_choose(w);
    w->net = sim_net_new(seed, &faults);
    sim_trace(w->net, sim_tracing());
    w->request_count = 4 + rand_below(&w->rand, SIM_REQUESTS_MAX - 4);
    requests_plan(w);
    peers_make(w);
    weir_new(w, w->tight ? TIGHT_BUFFERS : BUFFERS);
    clients_make(w);
    changes_plan(w);
    return w;
}

/* --- the end of a world ----------------------------------------------------------------------- */

static void run_hours(struct sim_world *w, int64_t hours)
{
    sim_run(w->net, sim_now_ms(w->net) + hours * SIM_HOUR_MS);
}

static void world_end(struct sim_world *w)
{
    w->stopping = true;
    weir_close(w);
    for (uint32_t i = 0; i < w->origin_count; i++)
        sim_origin_close(w->origins[i]);
    run_hours(w, 2);
    weir_free(w);
    for (uint32_t i = 0; i < w->client_count; i++) {
        if (w->clients[i])
            sim_client_free(w->clients[i]);
        else
            sim_h2_client_free(w->h2_clients[i]);
    }
    for (uint32_t i = 0; i < w->origin_count; i++)
        sim_origin_free(w->origins[i]);
    sim_tls_stop(w);
    loop_release(&w->peers);
    sim_tls_free(w);
    if (sim_open_count(w->net) != 0)
        sim_broken(w, "%zu sockets are still open", sim_open_count(w->net));
}

uint64_t sim_seed_run(uint64_t seed)
{
    struct sim_world *w = world_new(seed);
    run_hours(w, RUN_HOURS);
    verdict_all(w);
    weir_check_rest(w);
    world_end(w);
    uint64_t hash = sim_hash(w->net);
    sim_net_free(w->net);
    free(w);
    return hash;
}
