/* auth_key.c - `key`: API keys in a header, a cookie or the query, against a file of their hashes,
 * each with a limit of its own. They stand where tokens do (auth_place.c). */
// SPDX-License-Identifier: Apache-2.0
#include "auth/keys.h"
#include "base/hash.h"
#include "conf/snapshot.h"
#include "conf/source.h"
#include "filter/auth_priv.h"
#include "http/query.h"
#include "limit/meters.h"

enum { FILE_BYTES_MAX = 64 << 20, METER_KEYS = 100000 };

static const int64_t SECOND_NS = 1000000000;

struct key_terms {
    struct slice header, cookie, query;
    bool keep;
};

struct key_conf {
    struct api_keys keys;
    struct token_places places;
    struct meters_shared *meters; /* by key; they outlive reloads */
    struct slice file;
    bool keep;
};

struct key_state {
    int64_t retry_ns; /* its limit is used up */
};

/* --- the directive ---------------------------------------------------------------------------- */

#define FIELD(name) offsetof(struct key_terms, name)

static const struct directive key_options[] = {
    {.name = "header",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(header),
     .usage = "NAME",
     .text = "The header field of the key; X-Api-Key when neither cookie nor query is named "
             "either. `header=Authorization` takes `Bearer KEY`."},
    {.name = "cookie",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(cookie),
     .usage = "NAME",
     .text = "A cookie that it may stand in."},
    {.name = "query",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(query),
     .usage = "NAME",
     .text = "A parameter of the query that it may stand in. The access log does not get "
             "it; browsers and programs in front of weir may still keep it."},
    {.name = "keep",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(keep),
     .usage = "",
     .text = "The server gets the key, too."},
    {0},
};

static void file_read(struct conf_build *b, const struct conf_word *w, struct api_keys *out)
{
    struct text text;
    struct api_keys_error e;
    const char *path = conf_file_path(b, w->pos, w->text);
    text_init(&text);
    if (conf_need_file(b, w->pos, path, FILE_BYTES_MAX, &text) &&
        !api_keys_read(text_slice(&text), b->arena, out, &e)) {
        if (e.line > 0)
            diag_error(b->diag, w->pos, "%s:%u: %s", path, e.line, e.why);
        else
            diag_error(b->diag, w->pos, "%s: %s", path, e.why);
    }
    text_release(&text);
}

static void meters_let_go(void *ctx)
{
    meters_drop(ctx);
}

static void key_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct key_conf *c = conf;
    struct key_terms t = {0};
    conf_options(b, n, &t);
    if (!t.header.at && !t.cookie.at && !t.query.at)
        t.header = SLICE("X-Api-Key");
    if (t.header.at && !field_is_token(t.header))
        diag_error(b->diag, n->pos, "'%.*s' is not a header's name", SLICE_ARG(t.header));
    c->places =
        (struct token_places){t.header, t.cookie, t.query,
                              t.header.at && slice_eq_nocase(t.header, SLICE("Authorization"))};
    c->keep = t.keep;
    c->file = n->args[0].text;
    file_read(b, &n->args[0], &c->keys);
    c->meters =
        meters_take(slice_of(ARENA_CONCAT(b->arena, SLICE("auth key "), c->file).at), METER_KEYS);
    conf_on_free(b->app, meters_let_go, c->meters);
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum err grant(struct exchange *x, const struct api_key *k)
{
    return identity_add(x, "key", k->name, k->claims);
}

static enum err key_settle(struct exchange *x, const void *conf, void *state)
{
    const struct key_conf *c = conf;
    (void)state;
    return c->keep ? ERR_OK : token_strip(x, &c->places);
}

static bool is_over_limit(struct exchange *x, const struct key_conf *c, const struct api_key *k,
                          struct key_state *s)
{
    struct rate r = {.step_ns = k->step_ns, .burst = k->burst};
    if (x->dry || k->step_ns == 0)
        return false;
    struct rate_answer a = meters_rate(c->meters, hash_secret(k->name), &r, x->worker->loop.now_ns);
    if (a.verdict == RATE_PASS)
        return false;
    s->retry_ns = a.wait_ns;
    x->limit_status = LIMIT_REFUSED;
    counter_add(x->worker->counters, METRIC_LIMIT_REFUSED, 1);
    return true;
}

static enum auth_verdict failed(struct exchange *x, enum err e)
{
    x->err = e;
    return AUTH_FAILED;
}

static enum auth_verdict key_check(struct exchange *x, const void *conf, void *state)
{
    const struct key_conf *c = conf;
    struct slice given;
    enum token_found found = token_find(x, &c->places, &given);
    if (found == TOKEN_FOUND_NONE)
        return AUTH_NONE;
    const struct api_key *k = found == TOKEN_FOUND_ONE ? api_keys_find(&c->keys, given) : NULL;
    if (!k)
        return AUTH_REFUSED;
    if (is_over_limit(x, c, k, state))
        return failed(x, ERR_RATE_LIMITED);
    enum err e = grant(x, k);
    return e == ERR_OK ? AUTH_GRANTED : failed(x, e);
}

static void key_challenge(struct exchange *x, const void *conf, void *state, struct text *out)
{
    (void)x;
    (void)conf;
    (void)state;
    text_add(out, SLICE("ApiKey"));
}

static enum err key_response(struct exchange *x, const void *conf, void *state)
{
    const struct key_state *s = state;
    (void)conf;
    if (s->retry_ns == 0 || x->err != ERR_RATE_LIMITED)
        return ERR_OK;
    struct slice value =
        arena_printf(&x->arena, "%lld", (long long)((s->retry_ns + SECOND_NS - 1) / SECOND_NS));
    return value.at ? headers_set(&x->res.headers, &x->arena, SLICE("Retry-After"), value)
                    : ERR_OVER_BUDGET;
}

/* What is logged does not have it. Before the end others may still look for it. */
static void key_finish(struct exchange *x, const void *conf, void *state)
{
    const struct key_conf *c = conf;
    struct slice name = c->places.query, left;
    struct query_member m;
    (void)state;
    if (!name.at || !x->uri.has_query || query_find(x->uri.query, name, &m) == 0)
        return;
    if (query_without(&x->arena, x->uri.query, name, &left) != ERR_OK)
        left = SLICE("");
    x->uri.query = left;
    x->uri.has_query = left.len > 0;
    x->raw_target =
        ARENA_CONCAT(&x->arena, x->uri.raw_path, left.len > 0 ? SLICE("?") : SLICE(""), left);
    if (!x->raw_target.at)
        x->raw_target = x->uri.raw_path;
}

static void key_explain(const void *conf, struct text *t)
{
    const struct key_conf *c = conf;
    text_addf(t, " %.*s (%u keys)", SLICE_ARG(c->file), c->keys.count);
}

const struct directive auth_key_rows[] = {
    {.name = "key",
     .where = IN_AUTH,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .apply = auth_method_apply,
     .options = key_options,
     .usage = "FILE [header=NAME] [cookie=NAME] [query=NAME] [keep]",
     .text =
         "Demands an API key. Lines of FILE are `NAME HASH [limit=10r/s] [burst=N] "
         "[CLAIM=TEXT...]`; `weir new-key NAME` makes a key and its line. NAME becomes `$user`, "
         "what stands behind it claims. When the file changes it is read again. Whoever sends "
         "more than their limit allows gets 429.",
     .example = "key /etc/weir/keys query=api_key"},
    {0},
};

const struct auth_method auth_key = {
    .word = "key",
    .conf_bytes = sizeof(struct key_conf),
    .state_bytes = sizeof(struct key_state),
    .apply = key_apply,
    .check = key_check,
    .settle = key_settle,
    .challenge = key_challenge,
    .on_response = key_response,
    .on_finish = key_finish,
    .explain = key_explain,
};
