/* resolve_priv.h - when a name is asked for again; apart for the tests. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

enum { RESOLVE_MIN_MS = 1000, RESOLVE_MAX_MS = 3600 * 1000, RESOLVE_BACKOFF_MAX_MS = 30 * 1000 };

int64_t resolve_ttl_ms(int64_t ttl_ms);      /* within the limits */
int64_t resolve_backoff_ms(int64_t last_ms); /* after another failure; 0: the first */
