/* limit.h - how many requests an upstream gets at once: those whose answer has not begun.
 *
 * A fixed number, or one that follows the servers' latency (adaptive concurrency). Pure: time is an
 * argument. State is shared by all workers, relaxed atomics; zeroed at first. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum limit_kind { LIMIT_OFF, LIMIT_FIXED, LIMIT_ADAPTIVE };

struct limit_conf {
    int64_t kind;     /* enum limit_kind */
    int64_t min, max; /* fixed: both the number; adaptive: its range, max 0: as high as it likes */
};

enum {
    LIMIT_WINDOW_US = 250 * 1000,      /* the shortest time over which latency is judged */
    LIMIT_WINDOW_MAX_US = 2000 * 1000, /* the longest that has enough samples */
    LIMIT_SAMPLES = 25,                /* fewer say nothing: the window goes on */
    LIMIT_SLOW_US = 10 * 1000,         /* so much above the usual is never called slow */
    LIMIT_STEPS = 4,                   /* buckets for a doubling of latency */
    LIMIT_BUCKETS = 27 * LIMIT_STEPS
};

struct limit_shared {
    int64_t in_flight;
    int64_t limit; /* adaptive: the number now; 0: none, as latency is as usual */
    /* the window that runs */
    int64_t window_us, window_len_us; /* when it began (0: never), how long it is to last */
    int64_t peak;                     /* most at once in it */
    int64_t counts[LIMIT_BUCKETS];    /* answers by latency */
    /* what the windows before it said; only who ends one writes it */
    int64_t ending;  /* 1: somebody does; acquire and release */
    int64_t base_us; /* the usual latency; 0: not known yet */
    int64_t last_us; /* of the last whole window, for /status */
    int64_t p95_us;  /* what 95 % of the answers take at most, over several windows; 0: not known */
    int64_t slow_windows;
    int64_t began_at;           /* in flight when the limit was set: where it is lifted */
    int64_t tried_at, tried_us; /* the limit before the last halving, and the latency then */
    int64_t begins_total;       /* times that a limit was set */
};

/* One request more? False: it is to wait. A true one ends with limit_give(). */
bool limit_take(struct limit_shared *s, const struct limit_conf *c);
void limit_give(struct limit_shared *s);
bool limit_full(const struct limit_shared *s, const struct limit_conf *c);
/* What holds now; 0: no limit. */
int64_t limit_now(const struct limit_shared *s, const struct limit_conf *c);

/* (LIMIT_OFF measures nothing.) An answer began `us` (> 0) after its request had got a connection.
 * Not for answers that are errors of the server: they may be quick because it is overloaded. */
void limit_answered(struct limit_shared *s, const struct limit_conf *c, int64_t us, int64_t now_us);
