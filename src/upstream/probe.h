/* probe.h - one look at one server, as the checker asks for it and whoever knows the protocol
 * carries it out: upstream/ knows no HTTP, so main's wiring hands a prober down. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/check.h"
#include "upstream/upstream.h"

struct probe;

struct probe_ask {
    const struct upstream *up; /* lives until the probe is over, with its check and servers */
    const struct server *server;
    struct addr addrs[SERVER_ADDRS_MAX]; /* with the port to be checked */
    uint32_t addr_count;
    /* Once, from the loop, unless canceled: NULL when the server is well, else why not. */
    void (*done)(void *ctx, const char *why);
    void *ctx;
};

struct prober {
    /* Ends within up->check->timeout_ms. Never calls done() itself. */
    struct probe *(*start)(struct prober *p, const struct probe_ask *ask);
    void (*cancel)(struct probe *p);
};
