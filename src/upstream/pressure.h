/* pressure.h - has more been asked of an upstream for a while than it can serve?
 *
 * For whoever does something about it, such as asking browsers to work first. What they do takes
 * the pressure off, so its end counts only after a time of calm. State is shared by all workers:
 * relaxed atomics, zeroed at first. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct upstream;

enum { PRESSURE_AFTER_MS = 1000 }; /* a queue that is empty again sooner is none */

struct pressure_shared {
    int64_t since_ms; /* busy at every look since then; 0: not */
    int64_t seen_ms;  /* the last of these looks */
    int64_t stood_ms; /* the last look at which that had lasted for long; 0: none */
    int64_t told;     /* 1: its beginning was told, its end was not */
    /* of upstream_is_busy() */
    int64_t refused, refused_ms; /* how many were, and when that was seen to grow */
};

/* BEGINS and ENDS are told to one caller alone, for the log: they mean ON and OFF. */
enum pressure { PRESSURE_OFF, PRESSURE_ON, PRESSURE_BEGINS, PRESSURE_ENDS };

/* A look at it; `busy`: more is asked of it right now. Times are loop times, > 0. */
enum pressure pressure_look(struct pressure_shared *p, bool busy, int64_t calm_ms, int64_t now_ms);

static inline bool pressure_is_on(enum pressure p)
{
    return p == PRESSURE_ON || p == PRESSURE_BEGINS;
}

/* Requests wait for a place at its servers or below its limit, or were refused one just now. */
bool upstream_is_busy(const struct upstream *up, int64_t now_ms);
