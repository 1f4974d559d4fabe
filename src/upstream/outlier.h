/* outlier.h - is a server worse than the others? Pure: from totals that were looked at now and
 * then.
 *
 * A series holds what the totals of a server were, every OUTLIER_STEP_MS for OUTLIER_STEPS steps.
 * What counts are the newest requests that are enough to tell something, so a server that fails
 * everything is found in a step and one with little traffic is judged over 10 seconds.
 *
 * How quick a server is, is the geometric mean of its times: one answer that takes a minute by
 * itself (a long poll) moves it little, a server that is slow moves it much. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

enum { OUTLIER_STEP_MS = 100, OUTLIER_STEPS = 100, OUTLIER_STALL_STEPS = 20 };
enum { OUTLIER_SLOW_LEAST_US = 20000 }; /* below that above the median nobody is slow */

struct outlier_totals {
    int64_t requests, failures, answers, errors, log_sum;
};

struct outlier_series {
    struct outlier_totals at[OUTLIER_STEPS + 1]; /* a ring */
    uint32_t next, count;
};

void outlier_series_add(struct outlier_series *s, const struct outlier_totals *now);
/* What happened in the newest steps that together have `least` requests; all when they have not. */
struct outlier_totals outlier_recent(const struct outlier_series *s, int64_t least);
/* What happened in the last `steps`; all zero when the series is shorter. */
struct outlier_totals outlier_last(const struct outlier_series *s, uint32_t steps);

/* log2 in 1/256, and back. */
int64_t outlier_log(int64_t us);
int64_t outlier_unlog(int64_t log);
/* Answers that were no errors: a server that fails quickly is not quick. */
int64_t outlier_good(const struct outlier_totals *t);
/* Geometric mean of theirs in us; 0: there are none. */
int64_t outlier_mean_us(const struct outlier_totals *t);

/* One server and its pool. */
struct outlier_case {
    struct outlier_totals own;                   /* recent */
    struct outlier_totals others;                /* the sum of theirs */
    struct outlier_totals own_last, others_last; /* of OUTLIER_STALL_STEPS */
    int64_t median_us;                           /* of the pool's means; 0: not known */
    bool in_flight;                              /* it has requests now */
};

enum outlier_kind { OUTLIER_NONE, OUTLIER_FAILS, OUTLIER_ERRORS, OUTLIER_SLOW, OUTLIER_STALLS };

/* `comparable`: any request may go to any server. */
enum outlier_requests { OUTLIER_SPECIAL, OUTLIER_COMPARABLE };
enum outlier_kind outlier_judge(const struct eject_conf *c, const struct outlier_case *o,
                                enum outlier_requests r);
/* In words, for the log. */
void outlier_write(char to[SERVER_OUTLIER_BYTES], enum outlier_kind k,
                   const struct outlier_case *o);
