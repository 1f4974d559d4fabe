/* limit.c - the filter behind `limit`: how much a client may ask for.
 *
 * A request asks each line of its route in order, those by who somebody is after `auth`. When one
 * refuses, those before take back what they counted. Those whose turn comes later wait, once, for
 * the latest of all lines. Parts: limit_conf.c reads the directive, limit_pace.c holds bodies back,
 * limit_fields.c tells the client. What is counted is in limit/meters.h. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "filter/limit_priv.h"
#include "proxy/template.h"
#include "proxy/transform.h"

enum { MS_NS = 1000000, NO_SLOT_RETRY_NS = 1000 * MS_NS };

static void said(struct exchange *x, enum limit_status s)
{
    if (s > x->limit_status)
        x->limit_status = s;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* "%61bc" is "abc": whoever may be counted as one may not be as thousands by spelling it anew. What
 * is no escape stays. */
static struct slice key_plain(struct exchange *x, struct slice text)
{
    struct slice plain = SLICE_NONE;
    if (slice_find(text, '%') < text.len)
        plain = uri_decode(&x->arena, text);
    return plain.at ? plain : text;
}

static enum err key_of(struct exchange *x, const struct limit_line *l, uint64_t *key)
{
    if (l->by) {
        struct slice text = template_eval(l->by, x, NULL);
        if (!text.at)
            return ERR_OVER_BUDGET;
        *key = hash_secret(key_plain(x, text));
    } else {
        struct addr_prefix p = addr_prefix_of(&x->client_addr, l->bits);
        *key = addr_prefix_key(&p);
    }
    return ERR_OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* A line's word, before its dry run is looked at. */
static enum rate_verdict rate_ask(struct limit_state *s, const struct limit_line *l, uint32_t i)
{
    int64_t now_ns = s->x->worker->loop.now_ns;
    struct rate_answer a = meters_rate(l->requests, s->keys[i], &l->rate, now_ns);
    if (a.verdict != RATE_REFUSE)
        s->counted |= (uint32_t)1 << i;
    s->rates[i].left = a.left;
    s->rates[i].full_ns = a.full_ns;
    if (a.verdict == RATE_REFUSE)
        s->retry_ns = a.wait_ns;
    else if (a.verdict == RATE_WAIT && !l->dry_run && now_ns + a.wait_ns > s->until_ns)
        s->until_ns = now_ns + a.wait_ns;
    return a.verdict;
}

static bool enter_ask(struct limit_state *s, const struct limit_line *l, uint32_t i)
{
    enum enter_verdict v = meters_enter(l->at_once, s->keys[i], l->most);
    if (v == ENTER_IN)
        s->entered |= (uint32_t)1 << i;
    if (v == ENTER_FULL)
        s->retry_ns = NO_SLOT_RETRY_NS;
    return v != ENTER_FULL;
}

static void rate_undo(struct limit_state *s, const struct limit_line *l, uint32_t i)
{
    if (s->counted & (uint32_t)1 << i)
        meters_rate_undo(l->requests, s->keys[i], &l->rate);
    s->counted &= ~((uint32_t)1 << i);
}

/* The line's own word, whatever others say. */
static void tell(const struct limit_state *s, const struct limit_line *l, enum rate_verdict v)
{
    static const enum limit_status words[] = {
        [RATE_PASS] = LIMIT_PASSED, [RATE_WAIT] = LIMIT_DELAYED, [RATE_REFUSE] = LIMIT_REFUSED};
    static const enum limit_status dry_words[] = {[RATE_PASS] = LIMIT_PASSED,
                                                  [RATE_WAIT] = LIMIT_WOULD_DELAY,
                                                  [RATE_REFUSE] = LIMIT_WOULD_REFUSE};
    static const enum tally_event events[] = {
        [LIMIT_PASSED] = TALLY_PASSED,   [LIMIT_WOULD_DELAY] = TALLY_WOULD_DELAY,
        [LIMIT_DELAYED] = TALLY_DELAYED, [LIMIT_WOULD_REFUSE] = TALLY_WOULD_REFUSE,
        [LIMIT_REFUSED] = TALLY_REFUSED,
    };
    enum limit_status word = l->dry_run ? dry_words[v] : words[v];
    said(s->x, word);
    if (l->tally)
        tally_count(l->tally, s->x->worker->index, events[word]);
}

/* ERR_OK: it may pass, perhaps later. What is refused counts for nothing. */
static enum err line_ask(struct limit_state *s, const struct limit_line *l, uint32_t i)
{
    enum rate_verdict v = l->requests ? rate_ask(s, l, i) : RATE_PASS;
    bool full = v != RATE_REFUSE && l->at_once && !enter_ask(s, l, i);
    if (full)
        rate_undo(s, l, i);
    tell(s, l, full ? RATE_REFUSE : v);
    if (full)
        return ERR_TOO_MANY_AT_ONCE;
    return v == RATE_REFUSE ? ERR_RATE_LIMITED : ERR_OK;
}

static void enter_undo(struct limit_state *s, const struct limit_lines *c)
{
    for (uint32_t i = 0; s->entered; i++, s->entered >>= 1)
        if (s->entered & 1)
            meters_leave(c->lines[i]->at_once, s->keys[i]);
}

static void take_back(struct limit_state *s, const struct limit_lines *c, uint32_t until)
{
    for (uint32_t i = 0; i < until; i++)
        rate_undo(s, c->lines[i], i);
    enter_undo(s, c);
    s->until_ns = 0;
}

/* All keys first: while one line is asked the memory of the next is on its way. */
static enum err keys_make(struct limit_state *s, const struct limit_lines *c, uint32_t until)
{
    for (uint32_t i = s->passed; i < until; i++) {
        const struct limit_line *l = c->lines[i];
        TRY(key_of(s->x, l, &s->keys[i]));
        if (l->requests)
            meters_prefetch(l->requests, s->keys[i]);
        if (l->at_once)
            meters_prefetch(l->at_once, s->keys[i]);
    }
    return ERR_OK;
}

static enum err lines_ask(struct limit_state *s, const struct limit_lines *c, uint32_t until,
                          const struct limit_line **refuser)
{
    TRY(keys_make(s, c, until));
    for (uint32_t i = s->passed; i < until; i++) {
        const struct limit_line *l = c->lines[i];
        enum err e = line_ask(s, l, i);
        s->passed = i + 1;
        if (e == ERR_OK || l->dry_run)
            continue;
        take_back(s, c, i);
        *refuser = l;
        return e;
    }
    return ERR_OK;
}

static void verdict_count(const struct exchange *x)
{
    static const enum metric METRICS[] = {
        [LIMIT_PASSED] = METRIC_LIMIT_PASSED,
        [LIMIT_WOULD_DELAY] = METRIC_LIMIT_WOULD_DELAY,
        [LIMIT_WOULD_REFUSE] = METRIC_LIMIT_WOULD_REFUSE,
        [LIMIT_DELAYED] = METRIC_LIMIT_DELAYED,
        [LIMIT_REFUSED] = METRIC_LIMIT_REFUSED,
    };
    counter_add(x->worker->counters, METRICS[x->limit_status], 1);
}

/* --- the answer ------------------------------------------------------------------------------- */

static enum verdict failed(struct exchange *x, enum err e)
{
    x->err = e;
    return FAILED;
}

static enum verdict refuse(struct exchange *x, const struct limit_line *l, enum err e)
{
    if (l->status == err_row(e)->status)
        return failed(x, e);
    enum err made = exchange_respond(x, l->status, SLICE("text/plain; charset=utf-8"),
                                     SLICE("too many requests\n"));
    return made == ERR_OK ? ANSWERED : failed(x, made);
}

static void turn_came(struct timer *t)
{
    exchange_wake(CONTAINER_OF(t, struct limit_state, timer)->x);
}

static enum verdict wait(struct limit_state *s)
{
    struct loop *l = &s->x->worker->loop;
    if (l->now_ns >= s->until_ns)
        return PASS;
    if (!s->timer_made)
        timer_init(&s->timer, turn_came);
    s->timer_made = true;
    timer_set(&l->timers, &s->timer, l->now_ms + (s->until_ns - l->now_ns + MS_NS - 1) / MS_NS);
    return WAIT;
}

/* --- hooks ------------------------------------------------------------------------------------ */

static enum err paces_set(struct limit_state *s, const struct limit_lines *c, uint32_t from)
{
    for (uint32_t i = from; i < s->passed; i++) {
        const struct limit_line *l = c->lines[i];
        if (l->down && !l->dry_run)
            transform_response_wanted(s->x);
        if (l->up && !l->dry_run)
            TRY(limit_upload(s->x, l, s->keys[i]));
    }
    return ERR_OK;
}

static enum verdict ask_until(struct limit_state *s, const struct limit_lines *c, uint32_t until)
{
    const struct limit_line *refuser = NULL;
    uint32_t from = s->passed;
    if (from == until)
        return wait(s);
    enum err e = lines_ask(s, c, until, &refuser);
    s->refused = refuser != NULL;
    if (refuser || (e == ERR_OK && until == c->count))
        verdict_count(s->x);
    if (refuser)
        return refuse(s->x, refuser, e);
    if (e == ERR_OK)
        e = paces_set(s, c, from);
    return e == ERR_OK ? wait(s) : failed(s->x, e);
}

static enum verdict limit_request(struct exchange *x, const void *conf, void *state)
{
    const struct limit_lines *c = conf;
    struct limit_state *s = state;
    if (x->dry)
        return PASS;
    s->x = x;
    return ask_until(s, c, c->early);
}

static enum verdict limit_known(struct exchange *x, const void *conf, void *state)
{
    const struct limit_lines *c = conf;
    return x->dry ? PASS : ask_until(state, c, c->count);
}

static enum err respond(struct exchange *x, const struct limit_lines *c,
                        const struct limit_state *s)
{
    TRY(limit_fields_add(x, c, s));
    for (uint32_t i = 0; i < s->passed && !s->refused; i++)
        if (c->lines[i]->down && !c->lines[i]->dry_run)
            TRY(limit_download(x, c->lines[i], s->keys[i]));
    return ERR_OK;
}

static enum verdict limit_response(struct exchange *x, const void *conf, void *state)
{
    struct limit_state *s = state;
    enum err e = s->x ? respond(x, conf, s) : ERR_OK; /* else it failed before its limits */
    return e == ERR_OK ? PASS : failed(x, e);
}

static void limit_finish(struct exchange *x, const void *conf, void *state)
{
    struct limit_state *s = state;
    if (s->timer_made)
        timer_stop(&x->worker->loop.timers, &s->timer);
    enter_undo(s, conf);
}

static void limit_explain(const void *conf, struct explain *e)
{
    const struct limit_lines *c = conf;
    for (uint32_t i = 0; i < c->count; i++)
        explain_line(e, "limit", c->lines[i]->pos, "%.*s%s", SLICE_ARG(c->lines[i]->text),
                     c->lines[i]->by ? "" : " (by the client's address)");
}

const struct filter_type filter_limit = {
    .name = "limit",
    .stage = STAGE_LIMIT,
    .directives = limit_rows,
    .conf_bytes = sizeof(struct limit_lines),
    .state_bytes = sizeof(struct limit_state),
    .on_request = limit_request,
    .on_known = limit_known,
    .on_response = limit_response,
    .on_finish = limit_finish,
    .explain = limit_explain,
};
