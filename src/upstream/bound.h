/* bound.h - bounded loads for balancers that hash (Mirrokni, Thorup, Zadimoghaddam, "Consistent
 * Hashing with Bounded Loads", 2017): no server takes more than `bound` of the average load. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/balancer.h"

enum { BOUND_LEAST = 10100, BOUND_MOST = 1000000 /* hundredths of a percent */ };

/* A worker's idea of what each tier carries; one per balancer's state, zeroed. */
struct bound {
    int64_t in_flight[TIER_COUNT], weight[TIER_COUNT]; /* weight: in thousandths */
    int64_t whole_at_ms;                               /* when every server was looked at */
    uint32_t next;                                     /* to be looked at again */
    struct bound_known *servers;                       /* behind this struct */
};

size_t bound_bytes(const struct upstream *up);
void bound_init(struct bound *b, const struct upstream *up);

/* Before a pick: looks at some servers again. */
void bound_renew(struct bound *b, const struct pick *p);
/* Would one request more keep server i within `limit` (hundredths of a percent of the average load
 * of its tier for its weight, rounded up, so that it is at least 1)? CONF_OFF: always. */
bool bound_allows(const struct bound *b, const struct pick *p, uint32_t i, int64_t limit);
void bound_taken(struct bound *b, const struct pick *p, uint32_t i);
/* When the hashed places were all in vain: the least loaded for its weight, -1: none. */
int bound_least_loaded(const struct pick *p);

/* The option of the balancers that use it. */
#define BOUND_OPTION(conf, field)                                                                \
    {                                                                                            \
        .name = "bound", .where = IN_OPTIONS, .type = CONF_PERCENT, .off_ok = true,              \
        .offset = offsetof(conf, field), .min = BOUND_LEAST, .max = BOUND_MOST, .def = "125%",   \
        .usage = "PERCENT|off",                                                                  \
        .text =                                                                                  \
            "No server takes more than this share of the average load (by weight); keys beyond " \
            "it go to other servers until the load is lower. `off`: keys never move because of " \
            "load."                                                                              \
    }
