/* meters.h - one number per key, for very many keys, shared by all workers and left alone by
 * reloads: when a client may come again, how many of its requests run, what it did lately.
 *
 * Owner: counted; a snapshot holds one count for each meter that its limits use. It is found again
 * by its identity. What a key's number means is told by the functions that are called: one meter
 * is used by one kind of them alone. A key is a keyed hash: clients choose neither place nor
 * neighbours. When there is no place for a key, the one that has been idle the longest among its
 * neighbours goes. All functions but the first two: any worker, on the request path. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct meters_shared;

enum { METERS_KEYS_MAX = 100 * 1000 * 1000 };

/* Finds or makes it; with another number of `keys` it is another one. Control plane, any thread. */
struct meters_shared *meters_take(struct slice identity, uint32_t keys);
void meters_drop(struct meters_shared *m);
uint64_t meters_used(struct meters_shared *m); /* keys that have a place, idle ones included */
/* The key will be asked about soon: its line of memory is on its way meanwhile. */
void meters_prefetch(struct meters_shared *m, uint64_t key);

/* --- requests per time ------------------------------------------------------------------------ */

/* GCRA (ITU-T I.371): one request each step_ns, `burst` at once, and `queue` more that wait. */
struct rate {
    int64_t step_ns, burst, queue; /* burst >= 1; (burst + queue) * step_ns fits */
};

enum rate_verdict { RATE_PASS, RATE_WAIT, RATE_REFUSE };

struct rate_answer {
    enum rate_verdict verdict;
    int64_t wait_ns; /* WAIT: until its turn comes; REFUSE: until it would not be refused */
    int64_t left;    /* how many more would pass at once now */
    int64_t full_ns; /* until `burst` would */
};

/* A request that is refused counts for nothing. */
struct rate_answer meters_rate(struct meters_shared *m, uint64_t key, const struct rate *r,
                               int64_t now_ns);
/* Takes one back that was not refused here, but elsewhere. */
void meters_rate_undo(struct meters_shared *m, uint64_t key, const struct rate *r);

/* --- bytes per time --------------------------------------------------------------------------- */

struct pace {
    int64_t bytes_per_s; /* >= 1 */
    int64_t burst_bytes; /* that may go at once; >= 1 */
};

/* How many of `want` bytes may go now. None: some may in *wait_ns. */
int64_t meters_pace(struct meters_shared *m, uint64_t key, const struct pace *p, int64_t want,
                    int64_t now_ns, int64_t *wait_ns);

/* --- how many at once ------------------------------------------------------------------------- */

enum enter_verdict {
    ENTER_IN,    /* counted until meters_leave() */
    ENTER_FULL,  /* `most` are in */
    ENTER_BLIND, /* all neighbours are in use: not counted, and not to leave */
};

enum enter_verdict meters_enter(struct meters_shared *m, uint64_t key, int64_t most);
void meters_leave(struct meters_shared *m, uint64_t key);

/* --- how often within a time ------------------------------------------------------------------ */

/* Counts an event and tells how many there were within the last window_ms: exact while they fall
 * into one window, else those of the window before count by the share that still overlaps. */
int64_t meters_hit(struct meters_shared *m, uint64_t key, int64_t window_ms, int64_t now_ms);
void meters_clear(struct meters_shared *m, uint64_t key);
