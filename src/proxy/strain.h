/* strain.h - is the upstream that a request goes to under pressure (upstream/pressure.h), or its
 * worker short of buffers (shed.h)? For filters that do something about it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct exchange;

/* Of a split, any part. What weir answers by itself never is. It holds until there was none for
 * calm_ms; the log and METRIC_CHALLENGE_PRESSURE tell when it begins and ends. */
bool strain_is_on(const struct exchange *x, int64_t calm_ms);
