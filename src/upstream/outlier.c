/* outlier.c - see outlier.h. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/outlier.h"
#include <stdio.h>

enum {
    WHOLE = 10000,
    LOG_ONE = 256,
    OTHERS_LESS = 2 /* times that the others have to be better */
};

/* ---- series ---- */

void outlier_series_add(struct outlier_series *s, const struct outlier_totals *now)
{
    s->at[s->next] = *now;
    s->next = (s->next + 1) % (OUTLIER_STEPS + 1);
    if (s->count < OUTLIER_STEPS + 1)
        s->count++;
}

/* The totals `steps` before the newest. */
static const struct outlier_totals *before(const struct outlier_series *s, uint32_t steps)
{
    return &s->at[(s->next + 2 * (OUTLIER_STEPS + 1) - 1 - steps) % (OUTLIER_STEPS + 1)];
}

struct outlier_totals outlier_last(const struct outlier_series *s, uint32_t steps)
{
    if (s->count <= steps)
        return (struct outlier_totals){0};
    const struct outlier_totals *a = before(s, steps), *b = before(s, 0);
    return (struct outlier_totals){b->requests - a->requests, b->failures - a->failures,
                                   b->answers - a->answers, b->errors - a->errors,
                                   b->log_sum - a->log_sum};
}

struct outlier_totals outlier_recent(const struct outlier_series *s, int64_t least)
{
    struct outlier_totals t = {0};
    for (uint32_t steps = 1; steps < s->count && t.requests < least; steps++)
        t = outlier_last(s, steps);
    return t;
}

/* ---- times ---- */

int64_t outlier_log(int64_t us)
{
    if (us < 1)
        return 0;
    int whole = 63 - __builtin_clzll((uint64_t)us);
    int64_t rest = us - ((int64_t)1 << whole); /* a straight line between two powers */
    int64_t part = whole > 8 ? rest >> (whole - 8) : rest << (8 - whole);
    return (int64_t)whole * LOG_ONE + part;
}

int64_t outlier_unlog(int64_t log)
{
    int64_t whole = log / LOG_ONE, part = log % LOG_ONE;
    int64_t base = (int64_t)1 << (whole < 40 ? whole : 40);
    return base + base * part / LOG_ONE;
}

int64_t outlier_good(const struct outlier_totals *t)
{
    return t->answers - t->errors;
}

int64_t outlier_mean_us(const struct outlier_totals *t)
{
    int64_t good = outlier_good(t);
    return good > 0 ? outlier_unlog(t->log_sum / good) : 0;
}

/* ---- the judgement ---- */

/* Of the requests, in hundredths of a percent. What fails now may have begun before. */
static int64_t share(int64_t bad, const struct outlier_totals *t)
{
    if (t->requests <= 0)
        return bad > 0 ? WHOLE : 0;
    int64_t s = bad * WHOLE / t->requests;
    return s < WHOLE ? s : WHOLE;
}

static bool stands_out(int64_t rate, int64_t own, int64_t others)
{
    return own >= rate && others * OTHERS_LESS <= own;
}

static bool fails(const struct eject_conf *c, const struct outlier_case *o)
{
    return stands_out(c->rate, share(o->own.failures, &o->own),
                      share(o->others.failures, &o->others));
}

/* Without others that answered well nobody knows whether it is the server. */
static bool errs(const struct eject_conf *c, const struct outlier_case *o)
{
    return o->others.requests >= c->requests &&
           stands_out(c->rate, share(o->own.errors + o->own.failures, &o->own),
                      share(o->others.errors + o->others.failures, &o->others));
}

static bool is_slow(const struct eject_conf *c, const struct outlier_case *o)
{
    int64_t own = outlier_mean_us(&o->own);
    return outlier_good(&o->own) >= c->requests && o->median_us > 0 &&
           own >= o->median_us * c->slow && own >= o->median_us + OUTLIER_SLOW_LEAST_US;
}

/* Requests come and none is answered, while others do so in a small part of that time. */
static bool stalls(const struct eject_conf *c, const struct outlier_case *o)
{
    enum { LEAST = 3, WINDOW_US = OUTLIER_STALL_STEPS * OUTLIER_STEP_MS * 1000 };
    return o->in_flight && o->own_last.requests >= LEAST && o->own_last.answers == 0 &&
           o->others_last.answers >= c->requests && o->median_us > 0 &&
           o->median_us * c->slow < WINDOW_US;
}

enum outlier_kind outlier_judge(const struct eject_conf *c, const struct outlier_case *o,
                                enum outlier_requests r)
{
    bool enough = o->own.requests >= c->requests, comparable = r == OUTLIER_COMPARABLE;
    bool on_errors = c->on == EJECT_ON_5XX || (c->on == EJECT_ON_AUTO && comparable);
    if (enough && c->rate > 0 && fails(c, o))
        return OUTLIER_FAILS;
    if (enough && c->rate > 0 && on_errors && errs(c, o))
        return OUTLIER_ERRORS;
    if (comparable && c->slow > 0 && is_slow(c, o))
        return OUTLIER_SLOW;
    return comparable && c->slow > 0 && stalls(c, o) ? OUTLIER_STALLS : OUTLIER_NONE;
}

static void write_share(char to[SERVER_OUTLIER_BYTES], const char *what, int64_t bad,
                        const struct outlier_case *o, int64_t others_bad)
{
    snprintf(to, SERVER_OUTLIER_BYTES,
             "%lld %% of its last %lld requests %s, and %lld %% of others'",
             (long long)share(bad, &o->own) / 100, (long long)o->own.requests, what,
             (long long)share(others_bad, &o->others) / 100);
}

void outlier_write(char to[SERVER_OUTLIER_BYTES], enum outlier_kind k, const struct outlier_case *o)
{
    switch (k) {
    case OUTLIER_NONE: to[0] = '\0'; break;
    case OUTLIER_FAILS: write_share(to, "failed", o->own.failures, o, o->others.failures); break;
    case OUTLIER_ERRORS:
        write_share(to, "failed or were answered with 5xx", o->own.failures + o->own.errors, o,
                    o->others.failures + o->others.errors);
        break;
    case OUTLIER_SLOW:
        snprintf(to, SERVER_OUTLIER_BYTES, "its answers take %.1f ms, and usually %.1f ms",
                 (double)outlier_mean_us(&o->own) / 1000, (double)o->median_us / 1000);
        break;
    case OUTLIER_STALLS:
        snprintf(to, SERVER_OUTLIER_BYTES,
                 "it answered none of %lld requests, and usually does in %.1f ms",
                 (long long)o->own_last.requests, (double)o->median_us / 1000);
        break;
    }
}
