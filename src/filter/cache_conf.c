/* cache_conf.c - the directive `cache` and the lines of its block. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "filter/cache_priv.h"
#include "proxy/condition.h"
#include "proxy/template.h"

#define FIELD(name) offsetof(struct cache_conf, name)

static const struct conf_choice controls[] = {
    {"basic", CLIENT_CONTROL_BASIC, "no-store and only-if-cached"},
    {"full", CLIENT_CONTROL_FULL, "also no-cache, max-age, min-fresh and max-stale"},
    {"ignore", CLIENT_CONTROL_IGNORE, "nothing"},
    {0},
};

enum set_cookie { SET_COOKIE_STRIP, SET_COOKIE_KEEP };

static const struct conf_choice cookies[] = {
    {"strip", SET_COOKIE_STRIP, "stored without its Set-Cookie"},
    {"keep", SET_COOKIE_KEEP, "stored with it"},
    {0},
};

#define YEAR_MS ((int64_t)366 * 24 * 3600 * 1000)

static const struct directive cache_options[] = {
    {.name = "key",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(key_word),
     .usage = "TEXT",
     .text = "Further words that tell responses apart, with variables: `key=$cookie.lang`. Scheme, "
             "host, path and query always do, and so do the `when` blocks that hold."},
    {.name = "query",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(query_words),
     .def = "all",
     .usage = "all|none|NAME,...",
     .text = "The parameters of the query that tell responses apart: `query=page,size` takes "
             "`?utm_source=x` for nothing. The server still gets the whole query."},
    {.name = "min_uses",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(min_uses),
     .min = 1,
     .max = 100,
     .def = "1",
     .usage = "N",
     .text = "Stores only what was asked for so often lately."},
    {.name = "client_control",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = controls,
     .offset = FIELD(client_control),
     .def = "basic",
     .usage = "basic|full|ignore",
     .text = "Which directives of Cache-Control in requests are obeyed. `full` lets any client "
             "reach the server past the cache."},
    {.name = "set_cookie",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = cookies,
     .offset = FIELD(set_cookie),
     .def = "strip",
     .usage = "strip|keep",
     .text = "What becomes of Set-Cookie in a response that states its lifetime. One that does not "
             "is never stored when it sets a cookie. `keep` gives everybody the same cookie."},
    {.name = "stale_max",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = FIELD(stale_max_ms),
     .max = YEAR_MS,
     .def = "1h",
     .usage = "TIME|off",
     .text = "For so long after its end a stored response is sent when no server answers, unless "
             "the response forbids that (must-revalidate and its like)."},
    {.name = "heuristic",
     .where = IN_OPTIONS,
     .type = CONF_PERCENT,
     .off_ok = true,
     .offset = FIELD(heuristic),
     .max = 10000,
     .def = "10%",
     .usage = "PERCENT|off",
     .text = "The lifetime of responses that state none but have a Last-Modified: this part of "
             "the time since then, at most a day."},
    {.name = "swr",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = FIELD(swr_ms),
     .max = YEAR_MS,
     .def = "off",
     .usage = "TIME|off",
     .text = "stale-while-revalidate for responses that do not say: for so long after its end a "
             "response is sent at once, and fetched anew behind it."},
    {.name = "sie",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = FIELD(sie_ms),
     .max = YEAR_MS,
     .def = "off",
     .usage = "TIME|off",
     .text = "stale-if-error for responses that do not say: for so long after its end a response "
             "is sent in the place of a 500, 502, 503 or 504."},
    {.name = "strict",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(strict),
     .def = "off",
     .usage = "on|off",
     .text =
         "With `on` s-maxage forbids stale-while-revalidate and stale-if-error too, as RFC 9111 "
         "says to the letter. Servers that send them together mean both."},
    {.name = "status",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(status),
     .def = "off",
     .usage = "on|off",
     .text = "Adds Cache-Status (RFC 9211) to answers: what the cache did, and why."},
    {.name = "targeted",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(targeted_words),
     .def = "CDN-Cache-Control,Surrogate-Control",
     .usage = "NAME,...|none",
     .text =
         "Fields that stand in for Cache-Control when a response has them (RFC 9213), the first "
         "one that is there. Surrogate-Control is not passed on."},
    {.name = "slice",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .off_ok = true,
     .offset = FIELD(slice_bytes),
     .min = 64 << 10,
     .max = 1 << 30,
     .def = "off",
     .usage = "SIZE|off",
     .text = "Fetches and stores what is large in pieces of this size, so that a part of it costs "
             "no more than that. For downloads and films, from servers that know ranges and give "
             "their files an ETag or Last-Modified; others are stored as a whole."},
    {.name = "object_max",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .off_ok = true,
     .offset = FIELD(object_max_bytes),
     .max = INT64_MAX,
     .def = "off",
     .usage = "SIZE|off",
     .text =
         "Larger bodies are not stored. Without it a sixteenth of the memory, or of the disk if "
         "there is one, is the limit."},
    {0},
};

/* --- the block -------------------------------------------------------------------------------- */

static void apply_status(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct cache_conf *c = scope;
    int64_t ms;
    const struct conf_word *last = &n->args[n->arg_count - 1];
    if (!conf_parse_value(b->diag, CONF_TIME, last, &ms))
        return;
    for (uint32_t i = 0; i + 1 < n->arg_count; i++) {
        uint64_t status;
        if (num_parse_u64(n->args[i].text, &status) != ERR_OK || status < 200 || status > 599) {
            diag_error(b->diag, n->args[i].pos, "a status is due, 200 to 599");
            return;
        }
        if (c->status_count == CACHE_STATUSES_MAX) {
            diag_error(b->diag, n->args[i].pos, "more than %d statuses", CACHE_STATUSES_MAX);
            return;
        }
        c->statuses[c->status_count++] = (struct status_lifetime){(uint16_t)status, ms};
    }
}

static void condition_add(struct conf_build *b, struct cache_conditions *to,
                          const struct conf_node *n)
{
    if (to->count == CACHE_CONDITIONS_MAX) {
        diag_error(b->diag, n->pos, "more than %d conditions", CACHE_CONDITIONS_MAX);
        return;
    }
    const struct condition *c = condition_compile(b, n->words + 1, n->word_count - 1);
    if (c)
        to->at[to->count++] = c;
}

static void apply_bypass(struct conf_build *b, void *scope, const struct conf_node *n)
{
    condition_add(b, &((struct cache_conf *)scope)->bypass, n);
}

static void apply_refresh(struct conf_build *b, void *scope, const struct conf_node *n)
{
    condition_add(b, &((struct cache_conf *)scope)->refresh, n);
}

static void apply_purge(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct cache_conf *c = scope;
    for (uint32_t i = 0; i < n->arg_count; i++) {
        if (c->purger_count == CACHE_PURGERS_MAX) {
            diag_error(b->diag, n->args[i].pos, "more than %d addresses", CACHE_PURGERS_MAX);
            return;
        }
        if (addr_prefix_parse(n->args[i].text, &c->purgers[c->purger_count]) != ERR_OK) {
            diag_error(b->diag, n->args[i].pos, "'%.*s' is no address and no prefix",
                       SLICE_ARG(n->args[i].text));
            return;
        }
        c->purger_count++;
    }
}

/* --- the directive ---------------------------------------------------------------------------- */

static void targeted_read(struct conf_build *b, struct cache_conf *c)
{
    struct slice rest = c->targeted_words, name;
    c->policy.targeted_count = 0;
    if (slice_eq(rest, SLICE("none")))
        return;
    while (field_list_next(&rest, &name)) {
        if (c->policy.targeted_count == TARGETED_MAX || !field_is_token(name)) {
            diag_error(b->diag, c->pos, "'targeted' takes up to %d names of fields", TARGETED_MAX);
            return;
        }
        c->policy.targeted[c->policy.targeted_count++] = name;
    }
}

static int64_t or_none(int64_t value)
{
    return value == CONF_OFF ? 0 : value;
}

static void policy_read(struct conf_build *b, struct cache_conf *c)
{
    cache_policy_default(&c->policy);
    c->policy.lifetime_ms = c->lifetime_ms;
    c->policy.heuristic = or_none(c->heuristic);
    c->policy.stale_max_ms = or_none(c->stale_max_ms);
    c->policy.swr_ms = or_none(c->swr_ms);
    c->policy.sie_ms = or_none(c->sie_ms);
    c->policy.keep_set_cookie = c->set_cookie == SET_COOKIE_KEEP;
    c->policy.strict_stale = c->strict;
    c->policy.ignore_client_no_store = c->client_control == CLIENT_CONTROL_IGNORE;
    targeted_read(b, c);
}

static void query_read(struct cache_conf *c)
{
    c->ignore_query = slice_eq(c->query_words, SLICE("none"));
    c->has_query_names = !c->ignore_query && !slice_eq(c->query_words, SLICE("all"));
}

/* An option holds a word only; a template wants to know how it was quoted. */
static void key_read(struct conf_build *b, struct cache_conf *c, const struct conf_node *n)
{
    for (uint32_t i = 0; i < n->option_count; i++)
        if (slice_eq(slice_of(n->options[i].row->name), SLICE("key")))
            c->key = template_compile(b, &n->options[i].value, false);
}

static void cache_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct cache_conf *c = scope;
    *c = (struct cache_conf){.pos = n->pos};
    conf_options(b, n, c);
    if (n->arg_count > 0 && !conf_parse_value(b->diag, CONF_TIME, &n->args[0], &c->lifetime_ms))
        return;
    key_read(b, c, n);
    query_read(c);
    policy_read(b, c);
    if (n->has_block)
        conf_apply_block(b, c, n);
}

void cache_explain(const void *conf, struct explain *e)
{
    const struct cache_conf *c = conf;
    if (c->lifetime_ms > 0)
        explain_line(e, "cache", c->pos, "%lld s, unless the response says",
                     (long long)c->lifetime_ms / 1000);
    else
        explain_line(e, "cache", c->pos, "as the response says");
}

const struct directive cache_rows[] = {
    {.name = "cache",
     .where = IN_POLICY,
     .args_min = 0,
     .args_max = 1,
     .opens = IN_CACHE,
     .options = cache_options,
     .apply = cache_apply,
     .usage = "[TIME] [OPTION=VALUE...] [{ ... }]",
     .text =
         "Stores responses and answers with them, as RFC 9111 allows a shared cache. Without TIME "
         "only what responses say of themselves counts; with it, those that say nothing are fresh "
         "for so long. What must not be shared never is: responses that are private or to requests "
         "with Authorization (unless they allow it), and cookies.\n\n"
         "Many who ask for the same at once cause one request to the server, and get the answer as "
         "it comes. A stored response that is out of date is validated, and still sent when no "
         "server answers. Methods that change something drop what is stored of their URL.\n\n"
         "A response that states no lifetime gets none either when its request had cookies and its "
         "URL may be a trick: a page under the name of a file of another kind "
         "(`/account/x.css`), or a path with parameters or encoded delimiters. Requests with a "
         "body, or with fields that name another method or URL (`X-HTTP-Method-Override`, "
         "`X-Original-URL` and their like), are not the cache's.",
     .example = "cache 10m swr=1h"},
    {.name = "status",
     .where = IN_CACHE,
     .repeat = true,
     .args_min = 2,
     .args_max = 65,
     .apply = apply_status,
     .usage = "CODE... TIME",
     .text = "The lifetime of responses with these statuses that state none. `0s`: not stored.",
     .example = "status 404 410 1m"},
    {.name = "bypass",
     .where = IN_CACHE,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .apply = apply_bypass,
     .usage = "CONDITION",
     .text = "Requests for which the condition (as that of `when`) holds are neither answered from "
             "the cache nor stored.",
     .example = "bypass cookie.session ~ ."},
    {.name = "refresh",
     .where = IN_CACHE,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .apply = apply_refresh,
     .usage = "CONDITION",
     .text = "For these requests the server is asked, and its answer stored.",
     .example = "refresh header.X-Refresh == secret"},
    {.name = "purge",
     .where = IN_CACHE,
     .repeat = true,
     .args_min = 1,
     .args_max = 64,
     .apply = apply_purge,
     .usage = "ADDRESS|PREFIX...",
     .text = "From these addresses a request with the method PURGE makes the cache forget its URL; "
             "with the field `Soft-Purge: 1` it is only out of date. Without this line PURGE is "
             "passed on like any method.",
     .example = "purge 127.0.0.1 10.0.0.0/8"},
    {0},
};
