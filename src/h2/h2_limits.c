/* h2_limits.c - buckets for what floods are made of.
 *
 * The figures leave room for what real clients do: a browser that cancels a page of a hundred
 * requests, gRPC libraries that ping to measure, Go programs that open windows in small steps. An
 * attack needs thousands of each in a second to be one. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_limits.h"

static const struct h2_limit_row rows[H2_LIMIT_COUNT] = {
    [H2_LIMIT_RESETS] = {ERR_H2_RESETS, METRIC_H2_RESETS, 200, 20},
    [H2_LIMIT_MADE_RESETS] = {ERR_H2_MADE_RESETS, METRIC_H2_MADE_RESETS, 100, 10},
    [H2_LIMIT_SETTINGS] = {ERR_H2_SETTINGS, METRIC_H2_SETTINGS, 100, 5},
    [H2_LIMIT_PINGS] = {ERR_H2_PINGS, METRIC_H2_PINGS, 200, 50},
    [H2_LIMIT_PRIORITIES] = {ERR_H2_PRIORITIES, METRIC_H2_PRIORITIES, 1000, 200},
    [H2_LIMIT_EMPTY] = {ERR_H2_EMPTY, METRIC_H2_EMPTY, 200, 20},
    [H2_LIMIT_WINDOWS] = {ERR_H2_WINDOWS, METRIC_H2_WINDOWS, 2000, 500},
    [H2_LIMIT_HEADS] = {ERR_H2_HEADS, METRIC_H2_HEADS, 20, 1},
    [H2_LIMIT_STALLS] = {ERR_H2_STALLS, METRIC_H2_STALLS, 10, 1},
    [H2_LIMIT_UNREAD] = {ERR_H2_UNREAD, METRIC_H2_UNREAD, 0, 0},
};

const struct h2_limit_row *h2_limit_row(enum h2_limit kind)
{
    return &rows[kind];
}

/* Counted when somebody asks, and in whole seconds: an idle connection needs no timer for it. */
static void flow_back(struct h2_limits *l, int64_t now_ms)
{
    int64_t seconds = (now_ms - l->at_ms) / 1000;
    if (seconds <= 0)
        return;
    l->at_ms += seconds * 1000;
    for (int k = 0; k < H2_LIMIT_COUNT; k++) {
        int64_t left = l->used[k] - seconds * rows[k].per_second;
        l->used[k] = left > 0 ? (int32_t)left : 0;
    }
}

bool h2_limits_take(struct h2_limits *l, enum h2_limit kind, int32_t n, int64_t now_ms)
{
    flow_back(l, now_ms);
    if (l->used[kind] + n > rows[kind].burst)
        return false;
    l->used[kind] += n;
    return true;
}

void h2_limits_earn(struct h2_limits *l, enum h2_limit kind, int32_t n)
{
    l->used[kind] = l->used[kind] > n ? l->used[kind] - n : 0;
}
