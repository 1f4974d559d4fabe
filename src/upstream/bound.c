/* bound.c - the load of each tier, kept up to date at a small price, and the bound for a server.
 *
 * To add up what all servers carry costs some microseconds with a thousand of them. So a worker
 * keeps the sum, counts what it adds itself, and looks at RENEW servers again with each pick: what
 * other workers add and what ends is seen after at most count / RENEW picks, or after WHOLE_MS,
 * when all are looked at anew. Up to SMALL servers the sum is always exact. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/bound.h"
#include "upstream/shared_priv.h"

enum { SMALL = 8, RENEW = 4, WHOLE_MS = 100, WHOLE = 10000 /* 100 % */ };

/* A server's part in the sums of its tier. */
struct bound_known {
    int64_t in_flight, weight; /* 0, 0: it does not serve */
};

size_t bound_bytes(const struct upstream *up)
{
    return sizeof(struct bound) + up->server_count * sizeof(struct bound_known);
}

void bound_init(struct bound *b, const struct upstream *up)
{
    (void)up;
    b->servers = (struct bound_known *)(b + 1);
    b->whole_at_ms = INT64_MIN / 2;
}

/* In thousandths: less in its ramp, or the others would be at their bounds for its sake. */
static int64_t weight_now(const struct pick *p, uint32_t i)
{
    return (int64_t)((double)p->up->servers[i].weight * pick_ramp(p, i) * 1000);
}

static void look_again(struct bound *b, const struct pick *p, uint32_t i)
{
    const struct server *srv = &p->up->servers[i];
    struct bound_known *k = &b->servers[i], was = *k;
    bool serves = server_serves(srv, p->now_ms);
    k->in_flight = serves ? shared_get(&srv->shared->in_flight) : 0;
    k->weight = serves ? weight_now(p, i) : 0;
    b->in_flight[srv->tier] += k->in_flight - was.in_flight;
    b->weight[srv->tier] += k->weight - was.weight;
}

void bound_renew(struct bound *b, const struct pick *p)
{
    uint32_t count = p->up->server_count, looks = count <= SMALL ? count : RENEW;
    if (p->now_ms - b->whole_at_ms >= WHOLE_MS) {
        b->whole_at_ms = p->now_ms;
        looks = count;
    }
    for (uint32_t k = 0; k < looks; k++) {
        look_again(b, p, b->next);
        b->next = b->next + 1 < count ? b->next + 1 : 0;
    }
}

bool bound_allows(const struct bound *b, const struct pick *p, uint32_t i, int64_t limit)
{
    const struct server *srv = &p->up->servers[i];
    if (limit < 0 || b->weight[srv->tier] == 0)
        return true;
    double share = (double)weight_now(p, i) / (double)b->weight[srv->tier];
    double most = (double)(b->in_flight[srv->tier] + 1) * share * (double)limit / WHOLE;
    return (double)shared_get(&srv->shared->in_flight) < most;
}

void bound_taken(struct bound *b, const struct pick *p, uint32_t i)
{
    if (b->servers[i].weight == 0)
        return;
    b->servers[i].in_flight++;
    b->in_flight[p->up->servers[i].tier]++;
}

int bound_least_loaded(const struct pick *p)
{
    int best = -1;
    double best_load = 0;
    for (uint32_t i = 0; i < p->up->server_count; i++) {
        const struct server *srv = &p->up->servers[i];
        if (!pick_allows(p, i))
            continue;
        double load = (double)shared_get(&srv->shared->in_flight) / (double)srv->weight;
        if (best >= 0 && load >= best_load)
            continue;
        best = (int)i;
        best_load = load;
    }
    return best;
}
