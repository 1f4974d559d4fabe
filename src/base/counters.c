/* counters.c - the rows of metric.def as a table; the counting itself is inline in the header. */
// SPDX-License-Identifier: Apache-2.0
#include "base/counters.h"
#include "base/assert.h"

static const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC(id, name, kind, text) [METRIC_##id] = {name, METRIC_KIND_##kind, text},
#include "base/metric.def"
#undef METRIC
};

const struct metric_row *metric_row(enum metric m)
{
    ASSERT((unsigned)m < METRIC_COUNT);
    return &metric_rows[m];
}
