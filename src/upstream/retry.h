/* retry.h - the retry budget: retries may be at most a share of requests in a sliding window, so
 * that a failing upstream is not flooded by its own retries. A floor lets small traffic retry. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

enum { RETRY_WINDOW_MS = 10000, RETRY_FLOOR = 10, HEDGE_FLOOR = 1 };

void retry_budget_request(struct upstream_shared *s, int64_t now_ms); /* a request began */
/* Takes one retry out of the budget; false when it is spent. */
bool retry_budget_take(struct upstream_shared *s, int64_t budget, int64_t now_ms);
/* The same for a second request beside the first: a budget of its own, and a floor of one. */
bool hedge_budget_take(struct upstream_shared *s, int64_t budget, int64_t now_ms);
/* After how long without an answer one is due; HEDGE_NEVER. */
int64_t hedge_after_ms(const struct upstream *up);
