/* balancer.h - what a balancing algorithm is: one file in src/balancer, one row here.
 *
 * A balancer sees the configured servers, their shared state and its own per-worker state; it takes
 * time and randomness as arguments, so tests need no mocks. It must only return servers that
 * pick_allows(). Tiers (backup servers) are handled above it: it is asked again with p->backup. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rand.h"
#include "upstream/upstream.h"

struct pick {
    const struct upstream *up;
    struct rand *rand;
    int64_t now_ms;
    uint64_t key;          /* hash of the configured key; 0: none, any server will do */
    const uint64_t *tried; /* bit per server that this exchange has tried; may be NULL */
    bool backup;           /* choose among backup servers */
    bool ignore_ejected;   /* every server is ejected: better try one than none */
};

/* May this pick use server i: right tier, not disabled, not ejected, not tried, below max_conns. */
bool pick_allows(const struct pick *p, uint32_t i);

struct balancer_type {
    const char *name;
    const char *text;                /* for the reference manual */
    const struct directive *options; /* NULL: none */
    size_t conf_bytes;               /* of up->balancer_conf: the options, and what build() adds */
    bool needs_key;                  /* balance NAME KEY */
    /* Tables that all workers read, once the servers are known; main thread. NULL: none. */
    void (*build)(void *conf, const struct upstream *up, struct arena *a);
    size_t (*state_bytes)(const struct upstream *up); /* per worker; NULL: 0 */
    void (*init)(void *state, const struct upstream *up);
    /* The index of the chosen server, or -1 when none is allowed. */
    int (*pick)(void *state, const struct pick *p);
};

/* Asks the upstream's balancer tier by tier: servers, backup servers, ejected ones when nothing
 * else is left. ERR_OVER_LIMIT when only max_conns stands in the way, ERR_UNRESOLVED,
 * ERR_NO_SERVERS. `p->backup` and `p->ignore_ejected` are overwritten. */
enum err pick_server(void *state, struct pick *p, uint32_t *index) MUST_CHECK;

extern const struct balancer_type *const balancers_all[]; /* generated from file names; NULL ends */
const struct balancer_type *balancer_find(struct slice name);
#define BALANCER_DEFAULT "two_choices"
