/* limit_priv.h - what the parts of the filter `limit` share: a line of it as configured, and what a
 * request has got from all lines so far. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "limit/addr_key.h"
#include "limit/meters.h"
#include "limit/tally.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"

enum { LIMIT_LINES_MAX = 16 };

/* One directive. Of the four things that it may limit those without meters are not limited. */
struct limit_line {
    struct meters_shared *requests, *at_once, *down, *up;
    struct rate rate;
    int64_t most; /* at once */
    struct pace down_pace, up_pace;
    const struct template *by; /* NULL: the client's address */
    struct addr_bits bits;
    uint16_t status;
    bool dry_run, quiet;
    struct slice name;          /* in RateLimit fields */
    struct tally_shared *tally; /* of its own name; NULL: it has none */
    struct slice policy;        /* the RateLimit-Policy field */
    struct slice text;          /* for `weir explain` */
    struct conf_pos pos;
};

/* The first `early` are asked before it is known who asks, the others after. */
struct limit_lines {
    const struct limit_line *lines[LIMIT_LINES_MAX];
    uint32_t early, count;
};

struct limit_state {
    struct exchange *x;
    struct timer timer; /* of the wait for its turn */
    int64_t until_ns;   /* 0: no need to wait */
    int64_t retry_ns;   /* when refused: until it would not be */
    uint32_t passed;    /* lines that were asked */
    uint32_t entered;   /* bit per line: counted among those at once */
    uint32_t counted;   /* bit per line: counted by its rate */
    bool refused, timer_made;
    uint64_t keys[LIMIT_LINES_MAX];
    struct {
        int64_t left, full_ns;
    } rates[LIMIT_LINES_MAX];
};

extern const struct directive limit_rows[]; /* limit_conf.c */

/* limit_pace.c: bodies at the line's pace, from here on. ERR_OVER_BUDGET. */
enum err limit_upload(struct exchange *x, const struct limit_line *l, uint64_t key) MUST_CHECK;
enum err limit_download(struct exchange *x, const struct limit_line *l, uint64_t key) MUST_CHECK;
/* limit_fields.c: what the client is told of its limits. */
enum err limit_fields_add(struct exchange *x, const struct limit_lines *c,
                          const struct limit_state *s) MUST_CHECK;
