/* tally.h - what a limit said, counted by its name: for limits that have one.
 *
 * Owner: counted; a snapshot holds one count for each line with the name. Found again by the name,
 * so a reload leaves the counts alone. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdint.h>

struct tally_shared;

enum tally_event {
    TALLY_PASSED,
    TALLY_DELAYED,
    TALLY_REFUSED,
    TALLY_WOULD_DELAY,
    TALLY_WOULD_REFUSE,
    TALLY_EVENT_COUNT
};

enum { TALLY_WORKERS_MAX = 257 }; /* and the main thread's */

/* Control plane, any thread. */
struct tally_shared *tally_take(struct slice name);
void tally_drop(struct tally_shared *t);
/* One by the worker's own thread. */
void tally_count(struct tally_shared *t, uint32_t worker, enum tally_event e);
const char *tally_event_name(enum tally_event e);
/* Sums of all names, in no order; under a lock, so `each` may not call back. */
void tally_each(void (*each)(void *ctx, struct slice name, const uint64_t sums[TALLY_EVENT_COUNT]),
                void *ctx);
