/* main.c - runs a whole worker on the simulated network, one scenario per seed.
 *
 *     sim [-n SEEDS] [-s FIRST] [-t]      -t: trace of every event on stderr
 *
 * What must hold for every seed: each request ends; an answer is whole and right or visibly
 * aborted; bytes arrive unchanged and in order; a POST is never sent twice once a server saw it; in
 * a calm world everything succeeds; nothing leaks; and the same seed runs the same way. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "h1/h1.h"
#include "main/load.h"
#include "proxy/worker.h"
#include "tests/sim/sim.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SEED_SECONDS_MAX = 20, HOUR_MS = 3600 * 1000, WORKER_BUFFERS = 4 << 20 };

struct entrance {
    struct listener listener;
    struct listen_point point;
    struct worker *worker;
    bool closed;
};

static bool tracing;
static volatile uint64_t running_seed;

/* A seed that never comes to rest is a broken promise too. */
static void too_long(int signo)
{
    (void)signo;
    dprintf(STDERR_FILENO, "sim: seed %llu takes too long; replay with: sim -s %llu -n 1 -t\n",
            (unsigned long long)running_seed, (unsigned long long)running_seed);
    abort();
}

void sim_broken(const struct sim_world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "sim: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\nsim: replay with: sim -s %llu -n 1 -t\n", (unsigned long long)w->seed);
    va_end(ap);
    abort();
}

bool world_chance(struct sim_world *w, uint32_t per_mille)
{
    return rand_below(&w->rand, 1000) < per_mille;
}

char sim_byte(uint32_t id, uint64_t at, bool response)
{
    return (char)('a' + (id * 7 + at + at / 251 + (response ? 13 : 0)) % 26);
}

static void ip(struct addr *out, uint32_t host)
{
    *out = (struct addr){.len = sizeof out->in};
    out->in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(host)};
}

void sim_addr_origin(uint32_t index, struct addr *out)
{
    ip(out, 0x0a000101 + index);
}

void sim_addr_weir(struct addr *out)
{
    ip(out, 0x0a000001);
}

void sim_write(struct sim_world *w, struct conn *c, const char *at, size_t len)
{
    struct buf *b = buf_take(&c->loop->bufs, len > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
    if (!b || len > b->cap)
        sim_broken(w, "the test itself has no buffer");
    memcpy(b->bytes, at, len);
    b->len = (uint32_t)len;
    if (conn_write(c, (struct span){b, b->bytes, len}) != ERR_OK)
        sim_broken(w, "the test itself has no room to write");
}

size_t sim_write_body(struct sim_world *w, struct conn *c, uint32_t id, uint64_t at, size_t len,
                      bool response, bool chunked)
{
    char piece[4096];
    size_t n = len < sizeof piece - 32 ? len : sizeof piece - 32;
    size_t head = 0;
    n = 1 + rand_below(&w->rand, (uint32_t)n);
    if (chunked)
        head = (size_t)snprintf(piece, 32, "%zx\r\n", n);
    for (size_t i = 0; i < n; i++)
        piece[head + i] = sim_byte(id, at + i, response);
    if (chunked)
        memcpy(piece + head + n, "\r\n", 2);
    sim_write(w, c, piece, head + n + (chunked ? 2 : 0));
    return n;
}

/* --- the world -------------------------------------------------------------------------------- */

static uint32_t body_size(struct sim_world *w)
{
    switch (rand_below(&w->rand, 4)) {
    case 0: return rand_below(&w->rand, 3);
    case 1: return rand_below(&w->rand, 2000);
    case 2: return rand_below(&w->rand, 20000);
    default: return rand_below(&w->rand, 300000);
    }
}

static void requests_make(struct sim_world *w)
{
    w->request_count = 4 + rand_below(&w->rand, SIM_REQUESTS_MAX - 4);
    for (uint32_t i = 0; i < w->request_count; i++) {
        struct sim_request *r = &w->requests[i];
        r->method = (enum sim_method)rand_below(&w->rand, SIM_METHODS);
        r->chunked_request = r->method >= SIM_PUT && world_chance(w, 400);
        r->request_bytes = r->method >= SIM_PUT ? body_size(w) : 0;
        r->chunked_response = world_chance(w, 300);
        r->close_response = !r->chunked_response && world_chance(w, 100);
        r->response_bytes = body_size(w);
    }
}

static struct sim_faults faults_make(struct sim_world *w)
{
    struct sim_faults f = {.window_bytes = 1u << (12 + rand_below(&w->rand, 8)), .delay_max_ms = 1};
    if (w->calm)
        return f;
    f.split = (uint16_t)rand_below(&w->rand, 500);
    f.delay = (uint16_t)rand_below(&w->rand, 300);
    f.delay_max_ms = 1 + rand_below(&w->rand, 3000);
    f.reset = (uint16_t)(world_chance(w, 300) ? rand_below(&w->rand, 20) : 0);
    f.short_write = (uint16_t)rand_below(&w->rand, 300);
    f.refuse = (uint16_t)(world_chance(w, 200) ? rand_below(&w->rand, 300) : 0);
    f.no_buffer = (uint16_t)rand_below(&w->rand, 50);
    return f;
}

static struct conf *conf_make(struct sim_world *w)
{
    struct text t;
    text_init(&t);
    text_addf(&t, "listen 10.0.0.1:80\nadmin off\nlog access off\nlog error error\n"
                  "site * {\n    proxy");
    for (uint32_t i = 0; i < w->origin_count; i++)
        text_addf(&t, " 10.0.1.%u:80", i + 1);
    text_addf(&t, " {\n        retry 2 on=503\n    }\n    timeout first_byte=20s\n");
    if (world_chance(w, 300))
        text_addf(&t, "    buffer on memory=8k\n");
    text_addf(&t, "    body queue=%uk\n}\n", 16 << rand_below(&w->rand, 5));
    struct load l;
    struct load_request r = {.path = "(sim)", .text = text_slice(&t), .generation = 1};
    if (!load_run(&l, &r)) {
        struct text errors;
        text_init(&errors);
        diag_print(&l.diag, &errors, false);
        fprintf(stderr, "%s", errors.at);
        sim_broken(w, "the configuration of the test does not load");
    }
    struct conf *c = load_take(&l);
    load_release(&l);
    text_release(&t);
    return c;
}

static void world_populate(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->origin_count; i++)
        w->origins[i] = sim_origin_new(w, i);
    uint32_t first = 0;
    while (first < w->request_count && w->client_count < SIM_CLIENTS_MAX) {
        uint32_t left = w->request_count - first;
        uint32_t n = w->client_count == SIM_CLIENTS_MAX - 1 ? left : 1 + rand_below(&w->rand, left);
        w->clients[w->client_count++] = sim_client_new(w, first, n);
        first += n;
    }
}

/* --- weir ------------------------------------------------------------------------------------- */

static void entrance_accept(struct listener *ln, int fd)
{
    struct entrance *e = ln->user;
    (void)!h1_client_start(&e->worker->loop, fd, &e->worker->acceptor, &e->point);
}

static void entrance_closed(struct listener *ln)
{
    struct entrance *e = ln->user;
    e->closed = true;
}

static void entrance_open(struct entrance *e, struct worker *wk, struct sim_net *net)
{
    struct addr at;
    sim_addr_weir(&at);
    e->worker = wk;
    worker_point_add(wk, &e->point, SLICE("10.0.0.1:80"));
    e->listener.user = e;
    e->listener.addr = at;
    e->listener.on_accept = entrance_accept;
    e->listener.on_closed = entrance_closed;
    if (!listener_start(&e->listener, &wk->loop, sim_listen(net, &at.sa, at.len)))
        abort();
}

static void check_requests(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->request_count; i++) {
        struct sim_request *r = &w->requests[i];
        if (r->end == SIM_OPEN)
            sim_broken(w, "request %u never ended", i);
        if (w->calm && r->end != SIM_WHOLE)
            sim_broken(w, "request %u failed in a calm world (status %u)", i, r->status);
        if (r->method == SIM_POST && r->times_whole > 1)
            sim_broken(w, "POST %u was processed %u times", i, r->times_whole);
    }
}

static void check_worker(struct sim_world *w, struct worker *wk)
{
    if (!worker_idle(wk))
        sim_broken(w, "the worker still has sessions or exchanges");
    if (counter_get(wk->counters, METRIC_REQUESTS_ACTIVE) != 0)
        sim_broken(w, "requests_active is not 0 at the end");
    if (wk->loop.bufs.held_bytes != 0)
        sim_broken(w, "%zu bytes of buffers are still held", wk->loop.bufs.held_bytes);
}

static void shut_down(struct sim_world *w, struct worker *wk, struct entrance *e)
{
    listener_close(&e->listener);
    worker_drain(wk);
    sim_run(w->net, sim_now_ms(w->net) + HOUR_MS);
    origin_pools_close(&wk->pools);
    for (uint32_t i = 0; i < w->origin_count; i++)
        sim_origin_close(w->origins[i]);
    sim_run(w->net, sim_now_ms(w->net) + HOUR_MS);
    check_worker(w, wk);
    worker_point_remove(wk, &e->point);
    worker_release(wk);
    for (uint32_t i = 0; i < w->client_count; i++)
        sim_client_free(w->clients[i]);
    for (uint32_t i = 0; i < w->origin_count; i++)
        sim_origin_free(w->origins[i]);
    loop_release(&w->peers);
    if (sim_open_count(w->net) != 0)
        sim_broken(w, "%zu sockets are still open", sim_open_count(w->net));
}

static uint64_t seed_run(uint64_t seed)
{
    struct sim_world *w = MEM_NEW(struct sim_world);
    static struct counters_shared counters;
    struct worker wk;
    struct entrance entrance = {0};
    memset(&counters, 0, sizeof counters);
    w->seed = running_seed = seed;
    alarm(SEED_SECONDS_MAX);
    rand_init(&w->rand, seed);
    w->calm = seed % 4 == 0;
    w->origin_count = 1 + rand_below(&w->rand, SIM_ORIGINS_MAX);
    struct sim_faults faults = faults_make(w);
    w->net = sim_net_new(seed, &faults);
    sim_trace(w->net, tracing);
    requests_make(w);
    struct conf *c = conf_make(w);
    if (!loop_init(&w->peers, &io_backend_sim, w->net, &w->peer_counters, 1u << 30) ||
        !worker_init(&wk, 0, &io_backend_sim, w->net, &h1_origin_engine, &counters, WORKER_BUFFERS))
        sim_broken(w, "cannot start");
    rand_init(&wk.loop.rand, seed);
    worker_install(&wk, c);
    conf_drop(c);
    entrance_open(&entrance, &wk, w->net);
    world_populate(w);
    sim_run(w->net, sim_now_ms(w->net) + 12 * HOUR_MS);
    check_requests(w);
    shut_down(w, &wk, &entrance);
    uint64_t hash = sim_hash(w->net);
    sim_net_free(w->net);
    free(w);
    return hash;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 300;
    for (int o; (o = getopt(argc, argv, "n:s:t")) != -1;) {
        if (o == 'n')
            count = strtoull(optarg, NULL, 10);
        else if (o == 's')
            first = strtoull(optarg, NULL, 10);
        else if (o == 't')
            tracing = true;
        else
            return 2;
    }
    uint8_t key[16] = {0};
    hash_secret_init(key);
    signal(SIGALRM, too_long);
    log_error_set(0, LOG_ERROR_);
    for (uint64_t seed = first; seed < first + count; seed++) {
        uint64_t hash = seed_run(seed);
        if (seed % 50 == 0 && seed_run(seed) != hash) {
            fprintf(stderr, "sim: seed %llu runs differently the second time\n",
                    (unsigned long long)seed);
            return 1;
        }
    }
    printf("sim: %llu passed, 0 failed\n", (unsigned long long)count);
    return 0;
}
