/* backoff.h - when a process that died may be started again.
 *
 * One that had served for a while is started at once. One that dies again and again right after its
 * start gets pauses that double, so that a broken machine is not kept busy with it. Takes the time
 * as an argument; no state but the count. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

enum {
    BACKOFF_EARLY_MS = 1000, /* an end sooner than this after the start counts as failed */
    BACKOFF_FIRST_MS = 100,  /* the pause after the second failure in a row; none after the first */
    BACKOFF_MOST_MS = 10000,
};

struct backoff {
    uint32_t failures; /* in a row */
};

/* The process ended after `lived_ms`. Returns the pause before the next start, in ms. */
int64_t backoff_after(struct backoff *b, int64_t lived_ms);
