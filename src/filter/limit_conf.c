/* limit_conf.c - the directive `limit`: its words, and the meters that its counts are kept in.
 *
 * Meters are found again after a reload by where the line stands (site, route, `when`, which of
 * several lines), or by its name; so its numbers may change and nobody starts anew. A line that
 * routes inherit is one line, with one set of meters. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/num.h"
#include "conf/snapshot.h"
#include "filter/limit_priv.h"
#include "proxy/template.h"

enum {
    BURST_MAX = 1000000,
    RATE_THOUSANDTHS = 1000,
    STATUS_LIMITED = 429,
    PACE_BURST_BYTES = 16384, /* at least so many bytes at once: a record of TLS */
    PACE_PER_BURST = 10,      /* else those of a tenth of a second */
};

#define RATE_MAX (((int64_t)1 << 40) * RATE_THOUSANDTHS) /* 1T/s */

static const int64_t SECOND_NS = 1000000000, OWED_MAX_NS = (int64_t)1 << 60;

/* The options, as written. */
struct limit_terms {
    int64_t burst, queue, at_once, down, up, status, keys;
    struct slice by, name;
    bool dry_run, quiet;
};

#define FIELD(field) offsetof(struct limit_terms, field)

static const struct directive limit_options[] = {
    {.name = "burst",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(burst),
     .min = 1,
     .max = BURST_MAX,
     .usage = "N",
     .text = "So many requests may come at once; those that were not made are saved up to this. "
             "Without it the number of the rate: `100r/m` lets 100 come at once, and then one each "
             "0.6 s."},
    {.name = "queue",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(queue),
     .min = 0,
     .max = BURST_MAX,
     .def = "0",
     .usage = "N",
     .text = "So many requests more wait for their turn instead of being refused."},
    {.name = "concurrent",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(at_once),
     .min = 1,
     .max = BURST_MAX,
     .usage = "N",
     .text = "So many requests may be under way at once, those that wait included. Streams of "
             "HTTP/2 count one by one."},
    {.name = "download",
     .where = IN_OPTIONS,
     .type = CONF_RATE,
     .offset = FIELD(down),
     .min = RATE_THOUSANDTHS,
     .max = RATE_MAX,
     .usage = "SIZE/s",
     .text = "Bodies of responses go out no faster, all of one KEY together. `by=$request_id` "
             "limits each response by itself."},
    {.name = "upload",
     .where = IN_OPTIONS,
     .type = CONF_RATE,
     .offset = FIELD(up),
     .min = RATE_THOUSANDTHS,
     .max = RATE_MAX,
     .usage = "SIZE/s",
     .text = "Bodies of requests are taken no faster."},
    {.name = "by",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(by),
     .def = "ip",
     .usage = "ip[/N[/N]]|all|TEXT",
     .text = "What is counted together. `ip`: the client's address, of IPv6 its /64. `ip/24`, "
             "`ip/24/56`: so many bits of IPv4, and of IPv6. `all`: everybody. Else a text with "
             "variables, such as `by=${header.X-Api-Key}`; requests in which it is empty count as "
             "one, and escapes (`%61`) as what they mean."},
    {.name = "status",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(status),
     .min = 400,
     .max = 599,
     .def = "429",
     .usage = "STATUS",
     .text = "Of the answer to a request that is refused."},
    {.name = "name",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(name),
     .usage = "NAME",
     .text = "Lines with one name (and one `by` and `keys`) count together, wherever they stand. "
             "RateLimit fields and `weir_limit_decisions_total` show it."},
    {.name = "keys",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(keys),
     .min = 1,
     .max = METERS_KEYS_MAX,
     .def = "100000",
     .usage = "N",
     .text = "For so many keys there is room, of 32 bytes each for each thing that is limited. "
             "When one has to go it is one that idled for long."},
    {.name = "dry_run",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(dry_run),
     .usage = "",
     .text = "Only counts: metrics and `$limit_status` tell what would have become of a request."},
    {.name = "quiet",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(quiet),
     .usage = "",
     .text = "Responses tell nothing of this limit (fields RateLimit and RateLimit-Policy)."},
    {0},
};

/* --- words ------------------------------------------------------------------------------------ */

static int64_t period_ns(struct slice unit)
{
    if (slice_eq(unit, SLICE("r/s")))
        return SECOND_NS;
    if (slice_eq(unit, SLICE("r/m")))
        return 60 * SECOND_NS;
    return slice_eq(unit, SLICE("r/h")) ? 3600 * SECOND_NS : 0;
}

/* "10r/s": exact, where a number per second would be rounded (`1r/h`). */
static bool requests_parse(struct slice word, uint64_t *number, int64_t *period)
{
    size_t digits = slice_find(word, 'r');
    *period = period_ns(slice_from(word, digits));
    return *period > 0 && num_parse_u64(slice_head(word, digits), number) == ERR_OK &&
           *number >= 1 && *number <= (uint64_t)SECOND_NS;
}

static bool rate_read(struct conf_build *b, const struct conf_word *w, const struct limit_terms *t,
                      struct rate *r)
{
    int64_t period, other;
    uint64_t number;
    if (!requests_parse(w->text, &number, &period)) {
        if (!conf_parse_value(b->diag, CONF_RATE, w, &other))
            return false;
        diag_error(b->diag, w->pos, "a rate of requests is due, such as 10r/s");
        diag_hint(b->diag, "bytes are limited by download= and upload=");
        return false;
    }
    r->step_ns = period / (int64_t)number;
    r->burst = t->burst > 0 ? t->burst : number < BURST_MAX ? (int64_t)number : BURST_MAX;
    r->queue = t->queue;
    if (r->burst + r->queue <= OWED_MAX_NS / r->step_ns)
        return true;
    diag_error(b->diag, w->pos, "burst and queue are more than this rate allows in 30 years");
    return false;
}

static struct pace pace_of(int64_t thousandths)
{
    int64_t per_s = thousandths / RATE_THOUSANDTHS, burst = per_s / PACE_PER_BURST;
    return (struct pace){per_s, burst > PACE_BURST_BYTES ? burst : PACE_BURST_BYTES};
}

static bool by_ip(struct conf_build *b, const struct conf_word *w, struct slice rest,
                  struct limit_line *l)
{
    l->bits = (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6};
    if (addr_bits_parse(rest, &l->bits))
        return true;
    diag_error(b->diag, w->pos, "'by=ip/BITS/BITS' takes %d to 32 bits of IPv4, %d to 128 of IPv6",
               ADDR_BITS_V4_MIN, ADDR_BITS_V6_MIN);
    return false;
}

static bool by_read(struct conf_build *b, const struct conf_word *w, struct limit_line *l)
{
    struct slice text;
    bool is_ip = slice_eq(w->text, SLICE("ip")) || slice_starts(w->text, SLICE("ip/"));
    if (is_ip)
        return by_ip(b, w, slice_from(w->text, 2), l);
    l->by = template_compile(b, w, false);
    if (!l->by || !template_is_literal(l->by, &text) || slice_eq(text, SLICE("all")))
        return l->by != NULL;
    diag_error(b->diag, w->pos, "'by=%.*s' is the same for everybody", SLICE_ARG(text));
    diag_hint(b->diag, "ip, ip/24, all, or a text with variables is due");
    return false;
}

/* --- meters ----------------------------------------------------------------------------------- */

static void words_add(struct text *to, const struct conf_node *n)
{
    for (uint32_t i = 0; i < n->word_count; i++)
        text_addf(to, " %.*s", SLICE_ARG(n->words[i].text));
    text_add(to, SLICE(" {"));
}

static void place_add(struct text *to, const struct conf_node *n)
{
    if (!n->parent)
        return;
    place_add(to, n->parent);
    words_add(to, n);
}

static unsigned lines_before(const struct conf_node *n)
{
    unsigned count = 0;
    CONF_NODE_EACH(it, n->parent)
    {
        if (it == n)
            return count;
        count += it->row == n->row;
    }
    return count;
}

static void identity_write(struct text *to, const struct conf_node *n, const struct limit_terms *t,
                           const char *what)
{
    text_addf(to, "limit %s by=%.*s ", what, SLICE_ARG(t->by));
    if (t->name.len > 0) {
        text_addf(to, "name=%.*s", SLICE_ARG(t->name));
        return;
    }
    place_add(to, n->parent);
    text_addf(to, " %u", lines_before(n));
}

static void meters_let_go(void *ctx)
{
    meters_drop(ctx);
}

static struct meters_shared *meters_of(struct conf_build *b, const struct conf_node *n,
                                       const struct limit_terms *t, const char *what)
{
    struct text identity;
    text_init(&identity);
    identity_write(&identity, n, t, what);
    struct meters_shared *m = meters_take(text_slice(&identity), (uint32_t)t->keys);
    text_release(&identity);
    conf_on_free(b->app, meters_let_go, m);
    return m;
}

static void tally_let_go(void *ctx)
{
    tally_drop(ctx);
}

static struct tally_shared *tally_of(struct conf_build *b, struct slice name)
{
    struct tally_shared *t = name.len > 0 ? tally_take(name) : NULL;
    if (t)
        conf_on_free(b->app, tally_let_go, t);
    return t;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void line_describe(struct conf_build *b, const struct conf_node *n, struct limit_line *l)
{
    struct text t;
    text_init(&t);
    for (uint32_t i = 1; i < n->word_count; i++)
        text_addf(&t, "%s%.*s", i > 1 ? " " : "", SLICE_ARG(n->words[i].text));
    l->text = t.len > 0 ? arena_dup(b->arena, text_slice(&t)) : SLICE("");
    text_release(&t);
}

/* What the name may hold: a string of Structured Fields. */
static bool name_is_plain(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < ' ' || name.at[i] > '~' || name.at[i] == '"' || name.at[i] == '\\')
            return false;
    return true;
}

static int64_t seconds_up(int64_t ns)
{
    return (ns + SECOND_NS - 1) / SECOND_NS;
}

static void requests_read(struct conf_build *b, const struct conf_node *n,
                          const struct limit_terms *t, struct limit_line *l)
{
    if (!rate_read(b, &n->args[0], t, &l->rate))
        return;
    l->requests = meters_of(b, n, t, "requests");
    l->name = t->name.len > 0 ? t->name : n->args[0].text;
    l->policy = arena_printf(b->arena, "\"%.*s\";q=%lld;w=%lld", SLICE_ARG(l->name),
                             (long long)l->rate.burst,
                             (long long)seconds_up(l->rate.burst * l->rate.step_ns));
}

static void line_read(struct conf_build *b, const struct conf_node *n, const struct limit_terms *t,
                      struct limit_line *l)
{
    if (n->arg_count > 0)
        requests_read(b, n, t, l);
    if (t->at_once > 0)
        l->at_once = meters_of(b, n, t, "at once");
    if (t->down > 0)
        l->down = meters_of(b, n, t, "down");
    if (t->up > 0)
        l->up = meters_of(b, n, t, "up");
    l->tally = tally_of(b, t->name);
    l->most = t->at_once;
    l->down_pace = pace_of(t->down);
    l->up_pace = pace_of(t->up);
    l->status = (uint16_t)t->status;
    l->dry_run = t->dry_run;
    l->quiet = t->quiet;
    line_describe(b, n, l);
}

static bool terms_check(struct conf_build *b, const struct conf_node *n,
                        const struct limit_terms *t)
{
    bool any = n->arg_count > 0 || t->at_once > 0 || t->down > 0 || t->up > 0;
    if (!any) {
        diag_error(b->diag, n->pos, "a rate, concurrent=, download= or upload= is due");
        return false;
    }
    if (n->arg_count == 0 && (t->burst > 0 || t->queue > 0)) {
        diag_error(b->diag, n->pos, "burst and queue belong to a rate of requests");
        return false;
    }
    if (name_is_plain(t->name))
        return true;
    diag_error(b->diag, n->pos, "the name of a limit may not hold quotes or control characters");
    return false;
}

static const struct conf_word *by_word(const struct conf_node *n)
{
    static const struct conf_word ip = {.text = SLICE_INIT("ip")};
    for (uint32_t i = 0; i < n->option_count; i++)
        if (n->options[i].row == &limit_options[5])
            return &n->options[i].value;
    return &ip;
}

/* By whom somebody is, which is not known before auth? */
static bool is_late(const struct limit_line *l)
{
    uint32_t count;
    const struct template_piece *pieces = l->by ? template_pieces(l->by, &count) : NULL;
    for (uint32_t i = 0; pieces && i < count; i++)
        if (pieces[i].kind == PIECE_VARIABLE && variable_is_late(pieces[i].variable))
            return true;
    return false;
}

static void line_add(struct limit_lines *c, const struct limit_line *l)
{
    uint32_t at = is_late(l) ? c->count : c->early++;
    memmove(&c->lines[at + 1], &c->lines[at], (c->count - at) * sizeof *c->lines);
    c->lines[at] = l;
    c->count++;
}

static void limit_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct limit_lines *c = scope;
    struct limit_terms t = {0};
    conf_options(b, n, &t);
    struct limit_line *l = ARENA_NEW(b->arena, struct limit_line);
    ASSERT(strcmp(limit_options[5].name, "by") == 0);
    l->pos = n->pos;
    if (!terms_check(b, n, &t) || !by_read(b, by_word(n), l))
        return;
    if (c->count == LIMIT_LINES_MAX) {
        diag_error(b->diag, n->pos, "more than %d limits apply to one route", LIMIT_LINES_MAX);
        return;
    }
    line_read(b, n, &t, l);
    line_add(c, l);
}

const struct directive limit_rows[] = {
    {.name = "limit",
     .where = IN_POLICY,
     .repeat = true,
     .adds = true,
     .args_min = 0,
     .args_max = 1,
     .options = limit_options,
     .apply = limit_apply,
     .usage = "[RATE] [burst=N] [queue=N] [concurrent=N] [download=SIZE/s] [upload=SIZE/s] "
              "[by=KEY] [status=N] [name=NAME] [keys=N] [dry_run] [quiet]",
     .text =
         "Limits what a client may ask for: requests per time (`10r/s`, `100r/m`), requests at "
         "once, bytes per second. What is over it is answered with 429 and the time after which to "
         "come again (Retry-After), or waits. A request has to pass all limits of its route, "
         "those that are inherited, too (`no limit` takes them back); one that is refused counts "
         "for none. Workers count together, and a reload leaves the counts alone. See "
         "[limits](../limits.md).",
     .example = "limit 10r/s burst=20"},
    {0},
};
