/* balancer.h - what a balancing algorithm is: one file in src/balancer, one row here.
 *
 * A balancer sees the configured servers, their shared state and its own per-worker state; it takes
 * time and randomness as arguments, so tests need no mocks. It must only return servers that
 * pick_allows(). Tiers (backup servers) are handled above it: it is asked again with p->backup. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

struct pick {
    const struct upstream *up;
    struct rand *rand;
    int64_t now_ms;
    uint64_t key;            /* hash of the configured key */
    const uint64_t *tried;   /* bit per server that this exchange has tried; may be NULL */
    bool backup;             /* choose among backup servers */
    bool ignore_ejected;     /* every server is ejected: better try one than none */
};

/* May this pick use server i: right tier, not disabled, not ejected, not tried, below max_conns. */
bool pick_allows(const struct pick *p, uint32_t i);

struct balancer_type {
    const char *name;
    const char *text;                /* for the reference manual */
    const struct directive *options; /* NULL: none */
    size_t conf_bytes;
    bool needs_key;                  /* balance NAME KEY */
    size_t (*state_bytes)(const struct upstream *up); /* per worker; NULL: 0 */
    void (*init)(void *state, const struct upstream *up);
    /* The index of the chosen server, or -1 when none is allowed. */
    int (*pick)(void *state, const struct pick *p);
};

extern const struct balancer_type *const balancers_all[]; /* generated from file names; NULL ends */
const struct balancer_type *balancer_find(struct slice name);
#define BALANCER_DEFAULT "two_choices"
