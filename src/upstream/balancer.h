/* balancer.h - what a balancing algorithm is: one file in src/balancer, one row here.
 *
 * A balancer sees the configured servers, their shared state and its own per-worker state; it takes
 * time and randomness as arguments, so tests need no mocks. It must only return servers that
 * pick_allows(). Tiers are handled above it: it is asked again with the next p->tier. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rand.h"
#include "upstream/upstream.h"

enum { PIN_NONE = -1 };

/* How many requests leave weir's zone although near servers are left; kept with the view. */
struct pick_spill {
    int64_t at_ms; /* when it was computed */
    double chance;
};

struct pick {
    const struct upstream *up;
    struct rand *rand;
    int64_t now_ms;
    uint64_t key;             /* hash of the configured key; 0: none, any server will do */
    const uint64_t *tried;    /* bit per server that this exchange has tried; may be NULL */
    struct pick_spill *spill; /* NULL: none spill */
    int32_t pin;              /* the server to take when it can be used; PIN_NONE */
    uint8_t tier;             /* enum server_tier: choose among these */
    bool ignore_ejected;      /* every server is ejected: better try one than none */
    bool ignore_ramp;         /* only servers in their ramp are left */
};

/* May this pick use server i: right tier, not disabled, not draining, not ejected, not tried, below
 * max_conns. A server in its ramp is allowed by chance, so the answer may differ next time. */
bool pick_allows(const struct pick *p, uint32_t i);

/* How much of its weight a server gets now, 0..1: below 1 in the ramp after it came back. */
double pick_ramp(const struct pick *p, uint32_t i);

struct balancer_type {
    const char *name;
    const char *alias;               /* another name that configurations may use; NULL: none */
    const char *text;                /* for the reference manual */
    const struct directive *options; /* NULL: none */
    size_t conf_bytes;               /* of up->balancer_conf: the options, and what build() adds */
    bool needs_key;                  /* balance NAME KEY */
    const char *key_default;         /* the key when none is written; NULL: one must be */
    /* The hash of a key's text, which is not empty. NULL: of the bytes as they are. */
    uint64_t (*key)(const void *conf, struct slice text);
    /* Tables that all workers read, once the servers are known; main thread. NULL: none. */
    void (*build)(void *conf, const struct upstream *up, struct arena *a);
    size_t (*state_bytes)(const struct upstream *up); /* per worker; NULL: 0 */
    void (*init)(void *state, const struct upstream *up);
    /* The index of the chosen server, or -1 when none is allowed. */
    int (*pick)(void *state, const struct pick *p);
};

/* Takes the pinned server if it can be used, else asks the upstream's balancer tier by tier;
 * ejected servers when nothing else is left. ERR_OVER_LIMIT when only max_conns stands in the way
 * (also of the pinned server, which is waited for), ERR_UNRESOLVED, ERR_NO_SERVERS. `p->tier` and
 * the marks are overwritten. */
enum err pick_server(void *state, struct pick *p, uint32_t *index) MUST_CHECK;

/* May a waiter take a place that became free at server i? Like pick_allows(), in any tier, and none
 * but the pinned one while that is only full. */
bool pick_may_wait_for(const struct pick *p, uint32_t i);

/* Computes the tier of every server; before balancers build their tables. */
void upstream_tiers_set(struct upstream *up);

/* The hash for struct pick of what the template up->hash_key came to; 0 of an empty text. */
uint64_t balancer_key(const struct upstream *up, struct slice text);

/* Does the configuration and its health let the server take requests? It may be full. */
bool server_serves(const struct server *srv, int64_t now_ms);

extern const struct balancer_type *const balancers_all[]; /* generated from file names; NULL ends */
const struct balancer_type *balancer_find(struct slice name);
#define BALANCER_DEFAULT "two_choices"
