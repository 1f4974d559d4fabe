/* balancers.c - what the choice of a server costs, for every balancer and tiers of several sizes.
 *
 * `make bench-balancers` builds and runs it. A pick is a whole pick_server(), as a request makes
 * it: tiers, health, limits. Twice as many requests are open as there are servers, by weights 1 to
 * 4; ten picks fall into a millisecond, so that what balancers renew by the clock is in the figure.
 * The cost of the loop around it is measured with no pick at all and taken off. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "upstream/balancer.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SERVERS_MOST = 1000, PICKS = 1000000, REPEATS = 3, PICKS_PER_MS = 10 };

static struct arena arena;
static struct rand rnd;

struct rig {
    struct upstream up;
    void *state;
    struct pick pick;
};

static void rig_servers(struct rig *r, uint32_t count, uint32_t out_of_ten)
{
    r->up.servers = ARENA_ARRAY(&arena, struct server, count);
    r->up.server_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct server *srv = &r->up.servers[i];
        *srv = (struct server){.index = i, .weight = 1 + i % 4, .max_conns = 100000};
        srv->name = arena_printf(&arena, "10.0.%u.%u:80", i / 256, i % 256);
        srv->shared = MEM_NEW(struct server_shared);
        srv->shared->addr_count = 1;
        srv->shared->latency_ewma_us = 1000 + i % 7 * 100;
        srv->shared->ejected_until_ms = i % 10 < out_of_ten ? INT64_MAX : 0;
    }
}

static void rig_init(struct rig *r, const struct balancer_type *b, uint32_t count, uint32_t out)
{
    *r = (struct rig){.up.balancer = b};
    arena_init(&arena, 256 << 20);
    rand_init(&rnd, 42);
    rig_servers(r, count, out);
    upstream_tiers_set(&r->up);
    r->up.balancer_conf = arena_zalloc(&arena, b->conf_bytes + 1);
    if (b->options)
        conf_defaults(b->options, IN_OPTIONS, r->up.balancer_conf);
    if (b->build)
        b->build(r->up.balancer_conf, &r->up, &arena);
    r->state = mem_new(b->state_bytes ? b->state_bytes(&r->up) + 1 : 1);
    if (b->init)
        b->init(r->state, &r->up);
    r->pick = (struct pick){.up = &r->up, .rand = &rnd, .now_ms = 1000, .pin = PIN_NONE};
}

static void rig_release(struct rig *r)
{
    for (uint32_t i = 0; i < r->up.server_count; i++)
        free(r->up.servers[i].shared);
    free(r->state);
    arena_release(&arena);
}

/* Of this thread, so that other work on the machine counts less. */
static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static enum err pick_none(void *state, struct pick *p, uint32_t *index)
{
    (void)state;
    *index = (uint32_t)(p->key % p->up->server_count);
    return ERR_OK;
}

/* Nanoseconds for each pick, with the loop around it. */
static double rounds(struct rig *r, enum err (*pick)(void *, struct pick *, uint32_t *))
{
    static uint32_t open[2 * SERVERS_MOST];
    uint32_t open_count = 2 * r->up.server_count, slot = 0;
    memset(open, 0, sizeof open);
    r->up.servers[0].shared->in_flight += open_count;
    int64_t began = now_ns();
    for (int i = 0; i < PICKS; i++) {
        uint32_t k = 0;
        r->pick.key = rand_next(&rnd);
        r->pick.now_ms += i % PICKS_PER_MS == 0;
        if (pick(r->state, &r->pick, &k) != ERR_OK)
            abort();
        r->up.servers[open[slot]].shared->in_flight--;
        r->up.servers[k].shared->in_flight++;
        open[slot] = k;
        slot = slot + 1 < open_count ? slot + 1 : 0;
    }
    double ns = (double)(now_ns() - began) / PICKS;
    for (uint32_t i = 0; i < r->up.server_count; i++)
        r->up.servers[i].shared->in_flight = 0;
    return ns;
}

/* The best of some, each beside an empty loop. */
static double cost(const struct balancer_type *b, uint32_t count, uint32_t out)
{
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        struct rig r;
        rig_init(&r, b, count, out);
        double empty = rounds(&r, pick_none), ns = rounds(&r, pick_server) - empty;
        if (ns < best)
            best = ns;
        rig_release(&r);
    }
    return best;
}

int main(int argc, char **argv)
{
    printf("ns for a pick    10 servers    100    1,000    a tenth out    nine tenths out\n");
    for (const struct balancer_type *const *b = balancers_all; *b; b++) {
        if (argc > 1 && strcmp(argv[1], (*b)->name) != 0)
            continue;
        printf("%-17s %9.0f %6.0f %8.0f %14.0f %18.0f\n", (*b)->name, cost(*b, 10, 0),
               cost(*b, 100, 0), cost(*b, 1000, 0), cost(*b, 1000, 1), cost(*b, 1000, 9));
    }
    return 0;
}
