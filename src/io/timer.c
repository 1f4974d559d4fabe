/* timer.c - hierarchical timer wheel (Varghese & Lauck, "Hashed and Hierarchical Timing Wheels",
 * 1987), five levels of 64 slots, the lowest 1 ms wide.
 *
 * A timer is filed at the level of the highest 6-bit group in which its time differs from now, in
 * the slot of that group's digit. So timers of a lower level are always due before those of a
 * higher one, the first used slot of the lowest used level is the next to come up, and a jump of
 * the clock past empty slots moves nothing. When a slot of a higher level comes up its timers are
 * filed again, lower. The top level is circular: its slots reach 63 * 2^24 ms (12 days) ahead;
 * what is later is filed at the far end and filed again from there.
 *
 * Lazy moves: timer_set() to a later time only stores `at_ms`; the wheel works with `filed_ms`. */
// SPDX-License-Identifier: Apache-2.0
#include "io/timer.h"
#include "base/assert.h"

enum { DIGIT_BITS = 6, TOP = TIMER_LEVELS - 1, TOP_SHIFT = TOP * DIGIT_BITS };

struct place {
    int level, slot;
};

static struct place place_of(const struct timer_wheel *w, int64_t at_ms)
{
    uint64_t differs = (uint64_t)(at_ms ^ w->now_ms) | (TIMER_SLOTS - 1);
    int level = (63 - __builtin_clzll(differs)) / DIGIT_BITS;
    if (level > TOP)
        level = TOP;
    return (struct place){level, (int)(at_ms >> level * DIGIT_BITS) & (TIMER_SLOTS - 1)};
}

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms)
{
    w->now_ms = w->floor_ms = now_ms;
    w->due_ms = INT64_MAX;
    w->count = 0;
    for (int level = 0; level < TIMER_LEVELS; level++) {
        w->used[level] = 0;
        for (int slot = 0; slot < TIMER_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
    }
}

void timer_init(struct timer *t, void (*fire)(struct timer *t))
{
    list_init(&t->link);
    t->at_ms = t->filed_ms = 0;
    t->fire = fire;
}

bool timer_armed(const struct timer *t)
{
    return list_linked(&t->link);
}

/* The last moment that the top level reaches from now. */
static int64_t horizon_ms(const struct timer_wheel *w)
{
    return ((w->now_ms >> TOP_SHIFT) + TIMER_SLOTS - 1) << TOP_SHIFT;
}

static void file(struct timer_wheel *w, struct timer *t, int64_t floor_ms)
{
    int64_t at_ms = t->at_ms > floor_ms ? t->at_ms : floor_ms;
    t->filed_ms = at_ms < horizon_ms(w) ? at_ms : horizon_ms(w);
    struct place p = place_of(w, t->filed_ms);
    list_push(&w->slots[p.level][p.slot], &t->link);
    w->used[p.level] |= 1ull << p.slot;
    int64_t comes_up_ms = t->filed_ms >> p.level * DIGIT_BITS << p.level * DIGIT_BITS;
    if (comes_up_ms < w->due_ms)
        w->due_ms = comes_up_ms;
}

static void unfile(struct timer_wheel *w, struct timer *t)
{
    struct place p = place_of(w, t->filed_ms);
    list_remove(&t->link);
    if (list_empty(&w->slots[p.level][p.slot]))
        w->used[p.level] &= ~(1ull << p.slot);
}

void timer_set(struct timer_wheel *w, struct timer *t, int64_t at_ms)
{
    bool armed = timer_armed(t);
    t->at_ms = at_ms;
    if (armed && at_ms >= t->filed_ms)
        return;
    if (armed)
        unfile(w, t);
    else
        w->count++;
    file(w, t, w->floor_ms);
}

void timer_stop(struct timer_wheel *w, struct timer *t)
{
    if (!timer_armed(t))
        return;
    unfile(w, t);
    w->count--;
}

/* The next slot that comes up, its beginning in *at_ms. False: no timer is filed. */
static bool next_slot(const struct timer_wheel *w, struct place *p, int64_t *at_ms)
{
    int level = 0;
    while (level < TIMER_LEVELS && !w->used[level])
        level++;
    if (level == TIMER_LEVELS)
        return false;
    int shift = level * DIGIT_BITS;
    int64_t digit = w->now_ms >> shift;
    int from = (int)(digit & (TIMER_SLOTS - 1));
    uint64_t turned = w->used[level] >> from;
    if (from)
        turned |= w->used[level] << (TIMER_SLOTS - from);
    int ahead = __builtin_ctzll(turned);
    *p = (struct place){level, (from + ahead) & (TIMER_SLOTS - 1)};
    *at_ms = (digit + ahead) << shift;
    return true;
}

/* Takes the slot's timers one by one: firing one may stop any other. */
static void run_slot(struct timer_wheel *w, struct list *slot)
{
    struct list due;
    struct list *link;
    list_init(&due);
    while ((link = list_pop(slot)))
        list_push(&due, link);
    while ((link = list_pop(&due))) {
        struct timer *t = LIST_ENTRY(link, struct timer, link);
        if (t->at_ms > w->now_ms) {
            file(w, t, w->now_ms);
            continue;
        }
        w->count--;
        t->fire(t);
    }
}

void timers_run(struct timer_wheel *w, int64_t now_ms)
{
    struct place p;
    int64_t at_ms = 0;
    if (now_ms < w->due_ms)
        return;
    w->floor_ms = now_ms + 1; /* what fires and sets itself to "now" waits for the next run */
    w->due_ms = INT64_MAX;    /* what is filed meanwhile is found by next_slot() */
    while (next_slot(w, &p, &at_ms) && at_ms <= now_ms) {
        w->now_ms = at_ms;
        w->used[p.level] &= ~(1ull << p.slot);
        run_slot(w, &w->slots[p.level][p.slot]);
    }
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
    w->floor_ms = w->now_ms;
    w->due_ms = next_slot(w, &p, &at_ms) ? at_ms : INT64_MAX;
}

int timers_wait_ms(const struct timer_wheel *w, int64_t now_ms, int max_ms)
{
    if (w->due_ms >= now_ms + max_ms)
        return max_ms;
    return w->due_ms > now_ms ? (int)(w->due_ms - now_ms) : 0;
}
