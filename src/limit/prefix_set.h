/* prefix_set.h - is an address in any of very many prefixes? Built once, then read-only.
 *
 * Owner: the arena that prefix_gather_finish() was given. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "net/addr.h"

enum { PREFIXES_MAX = 4 * 1000 * 1000 };

struct prefix_range;

struct prefix_set {
    const struct prefix_range *ranges; /* sorted, apart */
    uint32_t count;
};

/* What a set is made from; on the heap. Zeroed: empty. */
struct prefix_gather {
    struct prefix_range *ranges;
    uint32_t count, cap;
};

/* False: there are too many. */
bool prefix_gather_add(struct prefix_gather *g, const struct addr_prefix *p);
/* Reads a list: a prefix a line, `#` begins a comment. False with the number of the line that is
 * none in *line. */
bool prefix_gather_read(struct prefix_gather *g, struct slice text, uint32_t *line);
/* Leaves the gather empty again. */
struct prefix_set prefix_gather_finish(struct prefix_gather *g, struct arena *a);

/* IPv4-mapped IPv6 addresses are in IPv4 prefixes, and no IPv4 address in one of IPv6; unix sockets
 * are in none. */
bool prefix_set_has(const struct prefix_set *s, const struct addr *a);
