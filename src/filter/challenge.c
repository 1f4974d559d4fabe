/* challenge.c - the filter behind `challenge`: browsers do some work before they are let in.
 *
 * Who has a pass (a signed cookie) goes through. Who loads a page gets one that searches for a
 * number, sets it as a cookie and loads the same address again; that request is let through and
 * brings the pass back. So there is no address of its own that could be called in other ways, and
 * nothing to send anybody to. Nothing is remembered here.
 *
 * Parts: challenge_conf.c reads the directives, challenge_token.c makes and reads what is signed,
 * challenge_page.c shows the page, challenge_crawlers.c verifies crawlers. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/challenge_priv.h"
#include "proxy/navigation.h"
#include "proxy/strain.h"

enum { COOKIES_MAX = 4 }; /* of one name that are looked at */

struct challenge_state {
    bool solved; /* the pass is to be given */
    struct challenge_client client;
    struct crawler_check *check; /* NULL: none is under way */
};

static enum verdict failed(struct exchange *x, enum err e)
{
    x->err = e;
    return FAILED;
}

static void count(const struct exchange *x, enum metric m)
{
    counter_add(x->worker->counters, m, 1);
}

/* --- what the client has ---------------------------------------------------------------------- */

static struct challenge_client client_of(const struct exchange *x, const struct challenge_conf *c)
{
    struct challenge_client who = {.site = x->site->names[0].text,
                                   .agent = headers_get(&x->req.headers, FIELD_USER_AGENT)};
    if (!c->anybody)
        who.who = addr_prefix_of(&x->client_addr, c->bound);
    return who;
}

typedef enum challenge_fault read_fn(const struct exchange *x, const struct challenge_conf *c,
                                     const struct challenge_client *who, struct slice value,
                                     struct challenge_proof *out);

static enum challenge_fault pass_read(const struct exchange *x, const struct challenge_conf *c,
                                      const struct challenge_client *who, struct slice value,
                                      struct challenge_proof *out)
{
    return challenge_pass_read(c->key, who, value, x->worker->loop.unix_ms / 1000, c->valid_s,
                               c->bits, out);
}

static enum challenge_fault answer_read(const struct exchange *x, const struct challenge_conf *c,
                                        const struct challenge_client *who, struct slice value,
                                        struct challenge_proof *out)
{
    return challenge_answer_read(c->key, who, value, x->worker->loop.unix_ms / 1000, c->bits, out);
}

/* The first cookie of that name that is good; others may have put theirs beside it. */
static bool cookie_find(struct exchange *x, const struct challenge_conf *c, struct slice name,
                        const struct challenge_client *who, read_fn *read)
{
    struct challenge_proof proof;
    int looked = 0;
    const struct header *h = headers_find(&x->req.headers, FIELD_COOKIE);
    for (; h; h = headers_next(&x->req.headers, h)) {
        struct slice rest = h->value, pair;
        while (looked < COOKIES_MAX && slice_cut(&rest, ';', &pair)) {
            pair = slice_trim(pair);
            size_t eq = slice_find(pair, '=');
            if (eq == pair.len || !slice_eq(slice_head(pair, eq), name))
                continue;
            looked++;
            if (read(x, c, who, slice_from(pair, eq + 1), &proof) != CHALLENGE_GOOD)
                continue;
            x->challenge_bits = proof.bits;
            x->challenge_at_s = proof.at_s;
            return true;
        }
    }
    if (looked > 0)
        count(x, METRIC_CHALLENGE_BAD);
    return false;
}

/* Another challenge of the same route, of a `when` block, has looked already. */
static bool has_passed(const struct exchange *x, const struct challenge_conf *c)
{
    return x->challenge_bits >= c->bits &&
           x->worker->loop.unix_ms / 1000 - (int64_t)x->challenge_at_s < c->valid_s;
}

/* CHALLENGE_NONE: it has nothing. */
static enum challenge_status status_of(struct exchange *x, const struct challenge_conf *c,
                                       struct challenge_state *s)
{
    if (has_passed(x, c))
        return CHALLENGE_PASSED;
    if (cookie_find(x, c, c->cookie, &s->client, pass_read))
        return CHALLENGE_PASSED;
    s->solved = cookie_find(x, c, c->answer_cookie, &s->client, answer_read);
    return s->solved ? CHALLENGE_SOLVED : CHALLENGE_NONE;
}

static enum err cookies_strip(struct exchange *x, const struct challenge_conf *c)
{
    TRY(own_cookie_strip(x, c->cookie));
    return own_cookie_strip(x, c->answer_cookie);
}

/* --- what the client gets --------------------------------------------------------------------- */

static enum verdict pass(struct exchange *x, const struct challenge_conf *c,
                         enum challenge_status status)
{
    static const enum metric METRICS[] = {
        [CHALLENGE_CRAWLER] = METRIC_CRAWLERS_VERIFIED,
        [CHALLENGE_PASSED] = METRIC_CHALLENGE_PASSED,
        [CHALLENGE_SOLVED] = METRIC_CHALLENGE_SOLVED,
    };
    if (status > x->challenge_status)
        x->challenge_status = (uint8_t)status;
    if (status != CHALLENGE_OFF)
        count(x, METRICS[status]);
    enum err e = cookies_strip(x, c);
    return e == ERR_OK ? PASS : failed(x, e);
}

static enum verdict stop(struct exchange *x, const struct challenge_conf *c,
                         const struct challenge_state *s)
{
    bool shows = request_opens_page(x);
    x->challenge_status = shows ? CHALLENGE_SHOWN : CHALLENGE_REFUSED;
    count(x, shows ? METRIC_CHALLENGE_SHOWN : METRIC_CHALLENGE_REFUSED);
    if (!shows)
        return failed(x, ERR_CHALLENGE);
    enum err e = challenge_page_show(x, c, &s->client);
    return e == ERR_OK ? ANSWERED : failed(x, e);
}

/* CRAWLER_NO also for whoever does not say that he is one. */
static enum crawler_verdict crawler_ask(struct exchange *x, const struct challenge_conf *c,
                                        struct challenge_state *s)
{
    const struct crawler *who = crawler_claimed(x, c);
    if (!who)
        return CRAWLER_NO;
    enum crawler_verdict v = crawler_verify(x, who, &s->check);
    if (v == CRAWLER_YES)
        x->crawler = who->name;
    if (v == CRAWLER_NO)
        count(x, METRIC_CRAWLERS_FALSE);
    return v;
}

/* --- hooks ------------------------------------------------------------------------------------ */

static enum verdict challenge_request(struct exchange *x, const void *conf, void *state)
{
    const struct challenge_conf *c = conf;
    struct challenge_state *s = state;
    if (!c->on || x->dry || x->background)
        return PASS;
    if (!s->check) {
        if (c->when_busy && !strain_is_on(x, c->calm_ms))
            return pass(x, c, CHALLENGE_OFF);
        s->client = client_of(x, c);
        enum challenge_status status = status_of(x, c, s);
        if (status != CHALLENGE_NONE)
            return pass(x, c, status);
    }
    switch (crawler_ask(x, c, s)) {
    case CRAWLER_YES: return pass(x, c, CHALLENGE_CRAWLER);
    case CRAWLER_WAIT: return WAIT;
    case CRAWLER_NO: break;
    }
    return stop(x, c, s);
}

static struct slice secure_of(const struct exchange *x)
{
    return slice_eq(x->client_scheme, SLICE("https")) ? SLICE("; Secure") : SLICE("");
}

/* The pass comes, the answer goes. */
static enum err pass_give(struct exchange *x, const struct challenge_conf *c,
                          const struct challenge_client *who)
{
    struct challenge_proof p = {x->challenge_bits, x->challenge_at_s};
    char value[CHALLENGE_PASS_CHARS];
    challenge_pass_write(c->key, who, &p, value);
    struct slice pass =
        ARENA_CONCAT(&x->arena, c->cookie, SLICE("="), (struct slice){value, sizeof value},
                     c->cookie_attributes, secure_of(x));
    struct slice gone =
        ARENA_CONCAT(&x->arena, c->answer_cookie, SLICE("=; Path=/; Max-Age=0; SameSite=Lax"));
    if (!pass.at || !gone.at)
        return ERR_OVER_BUDGET;
    TRY(own_cookie_set(x, pass));
    return own_cookie_set(x, gone);
}

static enum verdict challenge_response(struct exchange *x, const void *conf, void *state)
{
    struct challenge_state *s = state;
    enum err e = s->solved ? pass_give(x, conf, &s->client) : ERR_OK;
    return e == ERR_OK ? PASS : failed(x, e);
}

static void challenge_finish(struct exchange *x, const void *conf, void *state)
{
    struct challenge_state *s = state;
    (void)conf;
    crawler_check_end(x, s->check);
}

static void challenge_explain(const void *conf, struct explain *e)
{
    const struct challenge_conf *c = conf;
    if (c->on)
        explain_line(e, "challenge", c->pos, "%.*s", SLICE_ARG(c->text));
}

const struct filter_type filter_challenge = {
    .name = "challenge",
    .stage = STAGE_LIMIT,
    .directives = challenge_rows,
    .conf_bytes = sizeof(struct challenge_conf),
    .state_bytes = sizeof(struct challenge_state),
    .on_request = challenge_request,
    .on_response = challenge_response,
    .on_finish = challenge_finish,
    .explain = challenge_explain,
};
