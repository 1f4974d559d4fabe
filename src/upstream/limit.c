/* limit.c - adaptive concurrency: finds out how many requests at once an upstream can work on.
 *
 * By Little's law a server that is busy all the time makes requests wait in proportion to how many
 * it has: more of them are not answered sooner, only later. So when latency is clearly above the
 * usual the number of requests at once is cut by the gradient usual / now, until it is not; the
 * rest waits here, where it can be ordered by priority and refused in time. The gradient is that of
 * Netflix's concurrency-limits (Gradient2) and of Envoy's adaptive concurrency filter; different
 * are:
 *   - Latency is the first quartile of a window. A few slow pages do not raise it, and a queue in
 *     front of the servers raises it at once, because every request has to pass it.
 *   - There is no limit at all until latency was high in two windows. It then starts from what is
 * in flight, so a healthy upstream never meets one.
 *   - Every halving is an experiment: where fewer requests at once did not make them quicker, they
 *     were not what made them slow. The new latency is then the usual one, and the limit is lifted.
 *     This takes the place of periods of low concurrency in which others measure afresh.
 * Windows are long enough for requests that began under the limit as it is now. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/limit.h"
#include "upstream/shared_priv.h"

enum { SLOW_WINDOWS = 2, FLOOR_WINDOWS = 8, USUAL_FALL = 4, USUAL_RISE = 32, VERY_SLOW = 4 };
static const double SLOW_FACTOR = 2; /* times the usual latency */
static const double CUT_MOST = 0.5, CUT_LEAST = 0.9;
static const double NO_EFFECT = 0.8; /* of the latency is left after half of the requests */

/* What a window has shown. */
struct seen {
    int64_t us, p95_us; /* the first quartile; the 95th percentile */
    int64_t peak;
    bool slow;
};

int64_t limit_now(const struct limit_shared *s, const struct limit_conf *c)
{
    switch ((enum limit_kind)c->kind) {
    case LIMIT_FIXED: return c->max;
    case LIMIT_ADAPTIVE: break;
    case LIMIT_OFF: return 0;
    }
    int64_t limit = shared_get(&s->limit);
    return limit == 0 || (c->max > 0 && limit > c->max) ? c->max : limit;
}

bool limit_full(const struct limit_shared *s, const struct limit_conf *c)
{
    int64_t limit = limit_now(s, c);
    return limit > 0 && shared_get(&s->in_flight) >= limit;
}

bool limit_take(struct limit_shared *s, const struct limit_conf *c)
{
    int64_t limit = limit_now(s, c);
    int64_t in_flight = shared_add(&s->in_flight, 1);
    if (limit > 0 && in_flight > limit) {
        shared_add(&s->in_flight, -1);
        return false;
    }
    if (in_flight > shared_get(&s->peak))
        shared_set(&s->peak, in_flight);
    return true;
}

void limit_give(struct limit_shared *s)
{
    shared_add(&s->in_flight, -1);
}

/* --- windows ---------------------------------------------------------------------------------- */

/* LIMIT_STEPS buckets for each power of two, evenly spaced within it. */
static uint32_t bucket_of(int64_t us)
{
    uint64_t v = us < LIMIT_STEPS ? LIMIT_STEPS : (uint64_t)us;
    uint32_t log = 63 - (uint32_t)__builtin_clzll(v);
    uint32_t step = (uint32_t)(v >> (log - 2)) & (LIMIT_STEPS - 1);
    uint32_t i = (log - 2) * LIMIT_STEPS + step;
    return i < LIMIT_BUCKETS ? i : LIMIT_BUCKETS - 1;
}

static int64_t bucket_us(uint32_t i)
{
    return (int64_t)(LIMIT_STEPS + i % LIMIT_STEPS) << (i / LIMIT_STEPS);
}

static int64_t samples(const struct limit_shared *s)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++)
        n += shared_get(&s->counts[i]);
    return n;
}

/* Where `due` answers of the bucket's `n` lie below, by proportion. */
static int64_t within_bucket(uint32_t i, int64_t due, int64_t n)
{
    return bucket_us(i) + (bucket_us(i + 1) - bucket_us(i)) * due / n;
}

/* Reads the window, which is empty then. */
static struct seen window_take(struct limit_shared *s, int64_t count)
{
    struct seen w = {0};
    int64_t quarter = count / 4, most = count * 95 / 100;
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
        int64_t n = __atomic_exchange_n(&s->counts[i], 0, __ATOMIC_RELAXED);
        if (w.us == 0 && n > quarter)
            w.us = within_bucket(i, quarter, n);
        if (w.p95_us == 0 && n > most)
            w.p95_us = within_bucket(i, most, n);
        quarter -= n;
        most -= n;
    }
    w.peak = __atomic_exchange_n(&s->peak, shared_get(&s->in_flight), __ATOMIC_RELAXED);
    return w;
}

static void p95_follow(struct limit_shared *s, int64_t us)
{
    int64_t old = s->p95_us;
    shared_set(&s->p95_us, old == 0 ? us : old + (us - old) / USUAL_FALL);
}

static int64_t slow_from(const struct limit_shared *s)
{
    int64_t doubled = (int64_t)((double)s->base_us * SLOW_FACTOR);
    int64_t above = s->base_us + LIMIT_SLOW_US;
    return doubled > above ? doubled : above;
}

/* --- what follows from them ------------------------------------------------------------------- */

static int64_t at_least(int64_t v, int64_t least)
{
    return v > least ? v : least;
}

/* Without a limit the usual latency follows what is seen, downwards sooner. */
static void usual_follow(struct limit_shared *s, const struct seen *w)
{
    int64_t base = s->base_us, off = w->us - base;
    if (base == 0)
        shared_set(&s->base_us, w->us);
    else if (off < 0)
        shared_set(&s->base_us, base + off / USUAL_FALL);
    else if (!w->slow)
        shared_set(&s->base_us, base + off / USUAL_RISE);
}

static int64_t root(int64_t n) /* n > 0 */
{
    int64_t r = 1;
    while ((r + 1) * (r + 1) <= n)
        r++;
    return r;
}

static int64_t cut(const struct limit_shared *s, const struct limit_conf *c, int64_t from,
                   const struct seen *w)
{
    double gradient = (double)slow_from(s) / (double)w->us;
    gradient = gradient < CUT_MOST ? CUT_MOST : gradient > CUT_LEAST ? CUT_LEAST : gradient;
    return at_least((int64_t)((double)from * gradient), c->min);
}

/* At first only no more than there are. Where it is very slow already half of them. */
static void limit_begin(struct limit_shared *s, const struct limit_conf *c, const struct seen *w)
{
    bool very = w->us > slow_from(s) * VERY_SLOW;
    s->began_at = w->peak;
    s->tried_us = 0; /* what is seen now is of when less was in flight */
    s->slow_windows = 0;
    shared_add(&s->begins_total, 1);
    shared_set(&s->limit, at_least(very ? w->peak / 2 : w->peak, c->min));
}

static void limit_end(struct limit_shared *s)
{
    s->slow_windows = 0;
    shared_set(&s->limit, 0);
}

static void open_window(struct limit_shared *s, const struct limit_conf *c, const struct seen *w)
{
    usual_follow(s, w);
    if (!w->slow || w->peak <= c->min) {
        s->slow_windows = 0;
        return;
    }
    if (++s->slow_windows >= SLOW_WINDOWS)
        limit_begin(s, c, w);
}

/* It was not us: what is seen now is how the servers are. At the floor nobody can tell, so the
 * limit has to find its way from there. */
static void usual_anew(struct limit_shared *s, const struct seen *w, bool at_floor)
{
    shared_set(&s->base_us, w->us);
    if (!at_floor)
        limit_end(s);
    s->slow_windows = 0;
    s->tried_us = 0;
}

static void slow_window(struct limit_shared *s, const struct limit_conf *c, const struct seen *w)
{
    int64_t limit = shared_get(&s->limit);
    if (w->peak > limit + limit / 8)
        return; /* those from before the last cut are not answered yet */
    if (w->peak < limit - limit / 4)
        return; /* slow, and not because of the limit's height */
    bool at_floor = limit <= c->min && ++s->slow_windows >= FLOOR_WINDOWS;
    if (s->tried_us == 0) {
        s->tried_at = limit;
        s->tried_us = w->us;
    }
    bool halved = limit <= s->tried_at / 2;
    if (at_floor || (halved && (double)w->us > (double)s->tried_us * NO_EFFECT)) {
        usual_anew(s, w, at_floor);
        return;
    }
    if (halved) {
        s->tried_at = limit;
        s->tried_us = w->us;
    }
    shared_set(&s->limit, cut(s, c, limit, w));
}

static void quick_window(struct limit_shared *s, const struct seen *w)
{
    int64_t limit = shared_get(&s->limit);
    bool used = w->peak >= limit - limit / 8;
    limit += used ? root(limit) : limit / 4 + 1;
    s->slow_windows = 0;
    if (w->us < s->base_us)
        shared_set(&s->base_us, s->base_us + (w->us - s->base_us) / USUAL_FALL);
    if (limit >= s->began_at)
        limit_end(s);
    else
        shared_set(&s->limit, limit);
}

static void window_judge(struct limit_shared *s, const struct limit_conf *c, struct seen *w)
{
    w->slow = s->base_us > 0 && w->us > slow_from(s);
    shared_set(&s->last_us, w->us);
    if (shared_get(&s->limit) == 0)
        open_window(s, c, w);
    else if (w->slow)
        slow_window(s, c, w);
    else
        quick_window(s, w);
}

/* Twice the latency, so that most of the requests that begin in it end in it. */
static int64_t window_length(int64_t us)
{
    return us * 2 < LIMIT_WINDOW_US       ? LIMIT_WINDOW_US
           : us * 2 > LIMIT_WINDOW_MAX_US ? LIMIT_WINDOW_MAX_US
                                          : us * 2;
}

/* Answers that others count meanwhile may fall into either window. */
static void window_turn(struct limit_shared *s, const struct limit_conf *c, int64_t now_us)
{
    bool first = shared_get(&s->window_us) == 0;
    int64_t count = samples(s);
    if (!first && count < LIMIT_SAMPLES) { /* not at every answer: counting takes its time */
        shared_set(&s->window_len_us, now_us - shared_get(&s->window_us) + LIMIT_WINDOW_US / 4);
        return;
    }
    struct seen w = window_take(s, count);
    if (!first)
        p95_follow(s, w.p95_us);
    if (!first && c->kind == LIMIT_ADAPTIVE)
        window_judge(s, c, &w);
    shared_set(&s->window_len_us, window_length(w.us));
    shared_set(&s->window_us, now_us);
}

/* One worker ends the window, the others go on. */
static void window_end(struct limit_shared *s, const struct limit_conf *c, int64_t now_us)
{
    if (__atomic_exchange_n(&s->ending, 1, __ATOMIC_ACQUIRE) != 0)
        return;
    if (now_us - shared_get(&s->window_us) >= shared_get(&s->window_len_us))
        window_turn(s, c, now_us);
    __atomic_store_n(&s->ending, 0, __ATOMIC_RELEASE);
}

void limit_answered(struct limit_shared *s, const struct limit_conf *c, int64_t us, int64_t now_us)
{
    if (c->kind == LIMIT_OFF)
        return;
    int64_t began = shared_get(&s->window_us);
    bool old = now_us - us < began; /* it was let in under another limit */
    if (!old || shared_get(&s->limit) == 0)
        shared_add(&s->counts[bucket_of(us)], 1);
    if (began == 0 || now_us - began >= shared_get(&s->window_len_us))
        window_end(s, c, now_us);
}
