/* h2_limits.h - how much of what costs us more than the peer a connection may do (RFC 9113 10.5).
 *
 * Each kind has a bucket: a burst, and what flows back each second. What is over ends the
 * connection by ENHANCE_YOUR_CALM, with an error and a metric of its own. Pure: the time is given.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/counters.h"

enum h2_limit {
    H2_LIMIT_RESETS,      /* requests that the peer takes back (CVE-2023-44487) */
    H2_LIMIT_MADE_RESETS, /* errors by which it makes us take them back (CVE-2025-8671) */
    H2_LIMIT_SETTINGS,
    H2_LIMIT_PINGS,
    H2_LIMIT_PRIORITIES, /* PRIORITY, PRIORITY_UPDATE, frames of unknown types */
    H2_LIMIT_EMPTY,      /* frames that bring nothing: DATA, HEADERS, RST_STREAM of what is gone */
    H2_LIMIT_WINDOWS,    /* WINDOW_UPDATE; what we send earns more of them */
    H2_LIMIT_HEADS,      /* header blocks over the limit */
    H2_LIMIT_STALLS,     /* answers given up because a window stayed shut */
    H2_LIMIT_UNREAD,     /* and because the connection took nothing: none */
    H2_LIMIT_COUNT
};

struct h2_limit_row {
    enum err err;
    enum metric metric;
    int32_t burst;
    int32_t per_second;
};

const struct h2_limit_row *h2_limit_row(enum h2_limit kind);

struct h2_limits {
    int32_t used[H2_LIMIT_COUNT];
    int64_t at_ms; /* up to when what flows back was counted */
};

/* `n` more of them; false: that is over the limit. */
bool h2_limits_take(struct h2_limits *l, enum h2_limit kind, int32_t n, int64_t now_ms);
void h2_limits_earn(struct h2_limits *l, enum h2_limit kind, int32_t n);
