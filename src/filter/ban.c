/* ban.c - the filter behind `ban`: addresses whose requests end badly too often get nothing for a
 * time, on no site.
 *
 * It only counts, at the end of each request, and puts on the list (limit/bans.h). Connections and
 * requests ask the list before anything else is done for them. A proxy in `trust` that speaks for
 * nobody is never banned: its other clients would be, too. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/num.h"
#include "base/text.h"
#include "conf/snapshot.h"
#include "limit/addr_key.h"
#include "limit/bans.h"
#include "limit/meters.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"

enum { RULES_MAX = 8, STATUS_FIRST = 400, STATUS_END = 600, EVENTS_MAX = 10000, KEYS = 100000 };

struct ban_rule {
    int64_t ms, most_ms, window_ms, events;
    bool statuses[STATUS_END - STATUS_FIRST];
    struct meters_shared *meters;
    struct conf_pos pos;
    struct slice text;
};

struct ban_conf {
    const struct ban_rule *rules[RULES_MAX];
    uint32_t count;
};

struct ban_terms {
    int64_t most_ms;
};

/* --- the directive ---------------------------------------------------------------------------- */

static bool word_is(const struct conf_node *n, uint32_t i, const char *text)
{
    return i < n->arg_count && slice_eq(n->args[i].text, slice_of(text));
}

static bool shape_error(struct conf_build *b, const struct conf_node *n)
{
    diag_error(b->diag, n->pos, "expected 'ban TIME when N status in STATUS... within TIME'");
    diag_hint(b->diag, "write 'ban 10m when 20 status in 401 403 404 429 within 1m'");
    return false;
}

/* "404", "4xx" */
static bool status_read(struct conf_build *b, const struct conf_word *w, struct ban_rule *r)
{
    uint64_t number = 0;
    struct slice s = w->text;
    bool is_class = s.len == 3 && s.at[1] == 'x' && s.at[2] == 'x';
    if (num_parse_u64(is_class ? slice_head(s, 1) : s, &number) != ERR_OK)
        number = 0;
    uint64_t first = is_class ? number * 100 : number, end = first + (is_class ? 100 : 1);
    if (s.len != 3 || first < STATUS_FIRST || end > STATUS_END) {
        diag_error(b->diag, w->pos, "expected an error status such as 404 or 4xx, not '%.*s'",
                   SLICE_ARG(s));
        return false;
    }
    for (uint64_t i = first; i < end; i++)
        r->statuses[i - STATUS_FIRST] = true;
    return true;
}

static bool time_read(struct conf_build *b, const struct conf_word *w, int64_t *ms)
{
    if (!conf_parse_value(b->diag, CONF_TIME, w, ms))
        return false;
    if (*ms >= 1000 && *ms <= (int64_t)365 * 24 * 3600 * 1000)
        return true;
    diag_error(b->diag, w->pos, "a time between 1s and 365d is due");
    return false;
}

static bool events_read(struct conf_build *b, const struct conf_word *w, struct ban_rule *r)
{
    if (!conf_parse_value(b->diag, CONF_COUNT, w, &r->events))
        return false;
    if (r->events >= 1 && r->events <= EVENTS_MAX)
        return true;
    diag_error(b->diag, w->pos, "a number between 1 and %d is due", EVENTS_MAX);
    return false;
}

static bool rule_read(struct conf_build *b, const struct conf_node *n, struct ban_rule *r)
{
    uint32_t last = n->arg_count - 1;
    if (n->arg_count < 8 || !word_is(n, 1, "when") || !word_is(n, 3, "status") ||
        !word_is(n, 4, "in") || !word_is(n, last - 1, "within"))
        return shape_error(b, n);
    for (uint32_t i = 5; i < last - 1; i++)
        if (!status_read(b, &n->args[i], r))
            return false;
    return time_read(b, &n->args[0], &r->ms) && events_read(b, &n->args[2], r) &&
           time_read(b, &n->args[last], &r->window_ms);
}

static void meters_let_go(void *ctx)
{
    meters_drop(ctx);
}

/* Rules that say the same count together, wherever they stand: whom they ban is banned everywhere.
 */
static void rule_finish(struct conf_build *b, const struct conf_node *n, struct ban_rule *r)
{
    struct text t;
    text_init(&t);
    text_add(&t, SLICE("ban"));
    for (uint32_t i = 1; i < n->arg_count; i++)
        text_addf(&t, " %.*s", SLICE_ARG(n->args[i].text));
    r->meters = meters_take(text_slice(&t), KEYS);
    conf_on_free(b->app, meters_let_go, r->meters);
    r->text =
        arena_printf(b->arena, "%.*s%.*s", SLICE_ARG(n->args[0].text), (int)t.len - 3, t.at + 3);
    text_release(&t);
}

static void ban_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct ban_conf *c = scope;
    struct ban_terms t = {0};
    struct ban_rule *r = ARENA_NEW(b->arena, struct ban_rule);
    conf_options(b, n, &t);
    *r = (struct ban_rule){.pos = n->pos, .most_ms = t.most_ms};
    if (!rule_read(b, n, r))
        return;
    if (c->count == RULES_MAX) {
        diag_error(b->diag, n->pos, "more than %d bans apply to one route", RULES_MAX);
        return;
    }
    if (r->most_ms < r->ms)
        r->most_ms = r->ms;
    rule_finish(b, n, r);
    c->rules[c->count++] = r;
}

/* --- at run time ------------------------------------------------------------------------------ */

static bool is_trusted_itself(const struct exchange *x)
{
    const struct trust_conf *t = &x->view->conf->proxy->trust;
    for (uint32_t i = 0; x->client_trusted && i < t->count; i++)
        if (addr_prefix_match(&t->prefixes[i], &x->client_addr))
            return true;
    return false;
}

static bool counts(const struct ban_rule *r, uint16_t status)
{
    return status >= STATUS_FIRST && status < STATUS_END && r->statuses[status - STATUS_FIRST];
}

static void say(const struct exchange *x, const struct ban *b, const struct ban_rule *r)
{
    char who[ADDR_TEXT_BYTES];
    size_t len = addr_prefix_write(who, &b->who);
    log_write(LOG_NOTICE_, "%.*s is banned for %lld s (time %u): %.*s id=%s", (int)len, who,
              (long long)(b->until_ms - x->worker->loop.now_ms) / 1000, b->times,
              SLICE_ARG(r->text), x->id);
}

static void rule_run(struct exchange *x, const struct ban_rule *r)
{
    struct ban b;
    int64_t now_ms = x->worker->loop.now_ms;
    struct addr_prefix who =
        addr_prefix_of(&x->client_addr, (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6});
    uint64_t key = addr_prefix_key(&who);
    if (meters_hit(r->meters, key, r->window_ms, now_ms) < r->events)
        return;
    meters_clear(r->meters, key);
    if (!bans_add(&x->client_addr, r->ms, r->most_ms, now_ms, &b))
        return;
    counter_add(x->worker->counters, METRIC_BANS, 1);
    say(x, &b, r);
}

static void ban_finish(struct exchange *x, const void *conf, void *state)
{
    const struct ban_conf *c = conf;
    (void)state;
    if (x->background || is_trusted_itself(x))
        return;
    for (uint32_t i = 0; i < c->count; i++)
        if (counts(c->rules[i], x->res.status))
            rule_run(x, c->rules[i]);
}

static void ban_explain(const void *conf, struct explain *e)
{
    const struct ban_conf *c = conf;
    for (uint32_t i = 0; i < c->count; i++)
        explain_line(e, "ban", c->rules[i]->pos, "%.*s", SLICE_ARG(c->rules[i]->text));
}

static const struct directive ban_options[] = {
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct ban_terms, most_ms),
     .min = 1000,
     .max = (int64_t)365 * 24 * 3600 * 1000,
     .def = "1d",
     .usage = "TIME",
     .text = "Bans that follow each other within a day get twice as long each time, but no longer "
             "than this."},
    {0},
};

static const struct directive ban_rows[] = {
    {.name = "ban",
     .where = IN_POLICY,
     .repeat = true,
     .adds = true,
     .args_min = 8,
     .args_max = 255,
     .options = ban_options,
     .apply = ban_apply,
     .usage = "TIME when N status in STATUS... within TIME [max=TIME]",
     .text =
         "Bans an address that got N responses with one of these statuses (`404`, `4xx`) within "
         "the time: its requests to any site are answered with 403, and new connections are "
         "closed at once. Of IPv6 its /64 is banned. `weir ban` lists and adds, `weir unban` "
         "lifts. Bans outlive reloads and restarts. See [limits](../limits.md).",
     .example = "ban 10m when 20 status in 401 403 404 429 within 1m"},
    {0},
};

const struct filter_type filter_ban = {
    .name = "ban",
    .stage = STAGE_EARLY,
    .directives = ban_rows,
    .conf_bytes = sizeof(struct ban_conf),
    .on_finish = ban_finish,
    .explain = ban_explain,
};
