/* timer.h - a hierarchical timer wheel (Varghese & Lauck 1987), 1 ms granularity.
 *
 * Set, move and stop are O(1). Moving a deadline later (what every request does) only stores the
 * new value; the timer is re-filed when its old slot comes up. A timer is embedded in its owner
 * and runs from timers_run() only; it may set itself again there. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>

struct timer {
    struct list link;
    int64_t at_ms;    /* deadline, loop time */
    int64_t filed_ms; /* the deadline by which it is filed, <= at_ms */
    void (*fire)(struct timer *t);
};

enum { TIMER_LEVELS = 5, TIMER_SLOTS = 64 };

struct timer_wheel {
    int64_t now_ms;
    int64_t floor_ms; /* timer_set() files no earlier: now, or during a run 1 ms past its end */
    int64_t due_ms;   /* before then nothing comes up; may be too early after a timer was stopped */
    size_t count;
    uint64_t used[TIMER_LEVELS]; /* a bit per slot that is not empty */
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms);
void timer_init(struct timer *t, void (*fire)(struct timer *t));
void timer_set(struct timer_wheel *w, struct timer *t, int64_t at_ms); /* past: next run */
void timer_stop(struct timer_wheel *w, struct timer *t);               /* safe when not set */
bool timer_armed(const struct timer *t);
/* Fires what is due at `now_ms` and moves the wheel there. */
void timers_run(struct timer_wheel *w, int64_t now_ms);
/* Milliseconds until something might be due, at most `max_ms`; 0 when already due. */
int timers_wait_ms(const struct timer_wheel *w, int64_t now_ms, int max_ms);
