/* counters.h - the numbers a worker publishes: one page per thread, one writer, any readers.
 *
 * The owner adds with counter_add() (a relaxed load and store: no lock prefix, no shared cache
 * line); readers sum the pages of all threads. Errors are counted by row of err.def. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include <stdint.h>

enum metric {
#define METRIC(id, name, kind, text) METRIC_##id,
#include "base/metric.def"
#undef METRIC
    METRIC_COUNT
};

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE };

struct metric_row {
    const char *name;
    enum metric_kind kind;
    const char *text;
};

const struct metric_row *metric_row(enum metric m);

struct counters_shared {
    int64_t metrics[METRIC_COUNT];
    int64_t errors[ERR_COUNT]; /* requests that ended with this error */
} __attribute__((aligned(64)));

static inline void counter_bump(int64_t *c, int64_t n)
{
    __atomic_store_n(c, __atomic_load_n(c, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void counter_add(struct counters_shared *c, enum metric m, int64_t n)
{
    counter_bump(&c->metrics[m], n);
}

static inline int64_t counter_get(const struct counters_shared *c, enum metric m)
{
    return __atomic_load_n(&c->metrics[m], __ATOMIC_RELAXED);
}
