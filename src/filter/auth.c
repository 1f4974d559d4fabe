/* auth.c - the filter behind `auth`: who may come, by what they can show.
 *
 * What a route demands is a tree: methods (auth_NAME.c) at its ends, `all` and `any` between.
 * Demands are looked at in order, and each is looked at once: after a wait it goes on where it
 * stood. Who came in by one branch of an `any` is known by that branch alone: what a branch that
 * failed in the end had found out is forgotten. When somebody is refused, those demands that it
 * failed by say what is due. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_priv.h"
#include "proxy/template.h"

enum { DEMANDS_MAX = 64, DEPTH_MAX = 4, HEADERS_MAX = 32 };

enum demand_kind { DEMAND_ALL, DEMAND_ANY, DEMAND_METHOD };

struct demand {
    enum demand_kind kind;
    struct demand *first, *next; /* first: of those within */
    const struct auth_method *method;
    const void *conf;
    uint32_t index;        /* among all of the directive */
    uint32_t state_offset; /* of the method's state */
    struct conf_pos pos;
};

struct told_header {
    struct slice name;
    const struct template *value;
};

struct auth_conf {
    struct demand root; /* DEMAND_ALL */
    uint32_t count;     /* of demands */
    uint32_t state_bytes;
    struct told_header headers[HEADERS_MAX];
    uint32_t header_count;
    struct conf_pos pos;
};

struct finding {
    uint8_t verdict;               /* enum auth_verdict */
    const struct identity *before; /* it was asked */
    const struct identity *who;    /* when it was decided: who it is then, or who may not */
};

struct auth_state {
    struct finding *findings; /* by demand; NULL: not asked yet */
    char *states;
    uint8_t verdict; /* enum auth_verdict, of all */
    bool answered;   /* a method made the response */
};

#define METHOD_ITEM(name) &auth_##name,
#define ROWS_ITEM(name)   auth_##name##_rows,
static const struct auth_method *const methods[] = {AUTH_METHODS(METHOD_ITEM)};
static const struct directive *const method_rows[] = {AUTH_METHODS(ROWS_ITEM) NULL};

enum { METHOD_KINDS = sizeof methods / sizeof *methods };

/* --- the directive ------------------------------------------------------------------------------
 */

static const struct auth_method *method_of(const struct directive *row)
{
    for (size_t i = 0; i < METHOD_KINDS; i++)
        if (method_rows[i] == row)
            return methods[i];
    return NULL;
}

/* What the lines of a block are applied to. */
struct demands {
    struct auth_conf *conf;
    struct demand **end; /* of the list */
    int depth;
};

static void header_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct auth_conf *c = ((struct demands *)scope)->conf;
    struct told_header *h = &c->headers[c->header_count];
    if (c->header_count == HEADERS_MAX) {
        diag_error(b->diag, n->pos, "more than %d headers", HEADERS_MAX);
        return;
    }
    if (!field_is_token(n->args[0].text)) {
        diag_error(b->diag, n->args[0].pos, "'%.*s' is not a header's name",
                   SLICE_ARG(n->args[0].text));
        return;
    }
    *h = (struct told_header){n->args[0].text, template_compile(b, &n->args[1], false)};
    identity_reserve_name(b, h->name);
    c->header_count += h->value != NULL;
}

/* NULL after an error. */
static struct demand *demand_add(struct conf_build *b, struct demands *to, enum demand_kind kind,
                                 const struct conf_node *n)
{
    struct demand *d = ARENA_NEW(b->arena, struct demand);
    if (!d || to->conf->count == DEMANDS_MAX || to->depth == DEPTH_MAX) {
        diag_error(b->diag, n->pos, "auth takes at most %d demands, %d deep", DEMANDS_MAX,
                   DEPTH_MAX);
        return NULL;
    }
    *d = (struct demand){.kind = kind, .index = to->conf->count++, .pos = n->pos};
    *to->end = d;
    to->end = &d->next;
    return d;
}

void auth_method_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct demands *to = scope;
    struct demand *d = demand_add(b, to, DEMAND_METHOD, n);
    if (!d)
        return;
    d->method = method_of(n->row);
    void *conf = arena_zalloc(b->arena, d->method->conf_bytes);
    if (!conf) {
        diag_error(b->diag, n->pos, "the configuration is too large");
        return;
    }
    d->conf = conf;
    d->state_offset = to->conf->state_bytes;
    to->conf->state_bytes += (uint32_t)((d->method->state_bytes + 15) & ~(size_t)15);
    d->method->apply(b, conf, n);
}

static void block_read(struct conf_build *b, struct auth_conf *c, struct demand *d, int depth,
                       const struct conf_node *block)
{
    struct demands inner = {.conf = c, .end = &d->first, .depth = depth};
    conf_apply_block(b, &inner, block);
    if (!d->first)
        diag_error(b->diag, block->pos, "nothing is demanded here");
}

static void group_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct demands *to = scope;
    bool is_any = slice_eq(n->words[0].text, SLICE("any"));
    struct demand *d = demand_add(b, to, is_any ? DEMAND_ANY : DEMAND_ALL, n);
    if (d)
        block_read(b, to->conf, d, to->depth + 1, n);
}

static void auth_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct auth_conf *c = scope;
    *c = (struct auth_conf){.root = {.kind = DEMAND_ALL}, .count = 1, .pos = n->pos};
    identity_reserve(b);
    block_read(b, c, &c->root, 0, n);
}

/* --- asking -------------------------------------------------------------------------------------
 */

static void *state_of(const struct auth_state *s, const struct demand *d)
{
    return s->states + d->state_offset;
}

static enum auth_verdict ask(struct exchange *x, struct auth_state *s, const struct demand *d);

static enum auth_verdict ask_all(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    for (const struct demand *it = d->first; it; it = it->next) {
        enum auth_verdict v = ask(x, s, it);
        if (v != AUTH_GRANTED)
            return v;
    }
    return AUTH_GRANTED;
}

/* The gravest reason is told when nobody lets them in: not to know is graver than to know better.
 * That a condition does not hold for somebody unknown is no reason while others could be met. */
static enum auth_verdict ask_any(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    enum auth_verdict worst = AUTH_UNASKED;
    for (const struct demand *it = d->first; it; it = it->next) {
        enum auth_verdict v = ask(x, s, it);
        bool of_nobody = v == AUTH_FORBIDDEN && !s->findings[it->index].who;
        if (v == AUTH_GRANTED || v == AUTH_WAIT)
            return v;
        if (v > worst && !of_nobody)
            worst = v;
    }
    return worst == AUTH_UNASKED ? AUTH_FORBIDDEN : worst;
}

static enum auth_verdict ask(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    struct finding *f = &s->findings[d->index];
    if (f->verdict == AUTH_GRANTED)
        x->identity = f->who;
    if (f->verdict != AUTH_UNASKED && f->verdict != AUTH_WAIT)
        return f->verdict;
    if (f->verdict == AUTH_UNASKED)
        f->before = x->identity;
    enum auth_verdict v = d->kind == DEMAND_METHOD ? d->method->check(x, d->conf, state_of(s, d))
                          : d->kind == DEMAND_ALL  ? ask_all(x, s, d)
                                                   : ask_any(x, s, d);
    f->verdict = (uint8_t)v;
    f->who = x->identity;
    if (v != AUTH_GRANTED && v != AUTH_WAIT)
        x->identity = f->before;
    return v;
}

/* --- those who are refused ----------------------------------------------------------------------
 */

typedef bool demand_fn(struct exchange *x, struct auth_state *s, const struct demand *d);

/* Calls it for each method by which they were refused, until it says true. */
static bool each_failed(struct exchange *x, struct auth_state *s, const struct demand *d,
                        demand_fn *fn)
{
    uint8_t v = s->findings[d->index].verdict;
    if (v == AUTH_GRANTED || v == AUTH_UNASKED)
        return false;
    if (d->kind == DEMAND_METHOD)
        return fn(x, s, d);
    for (const struct demand *it = d->first; it; it = it->next)
        if (each_failed(x, s, it, fn))
            return true;
    return false;
}

static bool answer(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    return d->method->answer && d->method->answer(x, d->conf, state_of(s, d));
}

static bool challenge(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    struct text *t = &x->worker->scratch;
    text_clear(t);
    if (d->method->challenge)
        d->method->challenge(x, d->conf, state_of(s, d), t);
    if (t->len == 0)
        return false;
    struct slice value = arena_dup(&x->arena, text_slice(t));
    if (value.at &&
        headers_add(&x->res.headers, &x->arena, SLICE("WWW-Authenticate"), value) == ERR_OK)
        return false;
    x->err = ERR_OVER_BUDGET;
    return true;
}

static bool has_challenge(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    (void)x;
    (void)s;
    return d->method->challenge != NULL;
}

/* 401 goes with a challenge (RFC 9110 15.5.2): without one there is nothing that they could do. */
static enum verdict refuse(struct exchange *x, const struct auth_conf *c, struct auth_state *s)
{
    x->err = ERR_OK;
    s->answered = each_failed(x, s, &c->root, answer);
    if (s->answered)
        return x->err == ERR_OK ? ANSWERED : FAILED;
    bool known = s->verdict == AUTH_FORBIDDEN || !each_failed(x, s, &c->root, has_challenge);
    x->err = known ? ERR_FORBIDDEN : ERR_UNAUTHORIZED;
    return FAILED;
}

/* --- hooks --------------------------------------------------------------------------------------
 */

static bool begin(struct exchange *x, const struct auth_conf *c, struct auth_state *s)
{
    s->findings = arena_zalloc(&x->arena, c->count * sizeof *s->findings);
    s->states = arena_zalloc(&x->arena, c->state_bytes + 1);
    if (s->findings && s->states)
        return true;
    s->findings = NULL;
    x->err = ERR_OVER_BUDGET;
    return false;
}

static void count(const struct exchange *x, enum auth_verdict v)
{
    static const enum metric METRICS[] = {
        [AUTH_GRANTED] = METRIC_AUTH_GRANTED, [AUTH_NONE] = METRIC_AUTH_ASKED,
        [AUTH_REFUSED] = METRIC_AUTH_REFUSED, [AUTH_FORBIDDEN] = METRIC_AUTH_FORBIDDEN,
        [AUTH_FAILED] = METRIC_AUTH_FAILED,
    };
    if (!x->dry)
        counter_add(x->worker->counters, METRICS[v], 1);
}

/* By those demands that let them in. */
static enum err settle(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    if (s->findings[d->index].verdict != AUTH_GRANTED)
        return ERR_OK;
    if (d->kind == DEMAND_METHOD)
        return d->method->settle ? d->method->settle(x, d->conf, state_of(s, d)) : ERR_OK;
    for (const struct demand *it = d->first; it; it = it->next)
        TRY(settle(x, s, it));
    return ERR_OK;
}

/* By all, asked or not. */
static enum err hide(struct exchange *x, const struct demand *d)
{
    if (d->kind == DEMAND_METHOD)
        return d->method->hide ? d->method->hide(x, d->conf) : ERR_OK;
    for (const struct demand *it = d->first; it; it = it->next)
        TRY(hide(x, it));
    return ERR_OK;
}

static enum verdict tell_origin(struct exchange *x, const struct auth_conf *c)
{
    for (uint32_t i = 0; i < c->header_count; i++) {
        const struct told_header *h = &c->headers[i];
        struct slice value = template_eval(h->value, x, NULL);
        enum err e = value.at ? ERR_OK : ERR_OVER_BUDGET;
        if (e == ERR_OK && value.len > 0)
            e = headers_set(&x->req.headers, &x->arena, h->name, value);
        if (e != ERR_OK) {
            x->err = e;
            return FAILED;
        }
    }
    return PASS;
}

static enum verdict let_in(struct exchange *x, const struct auth_conf *c, struct auth_state *s)
{
    enum err e = settle(x, s, &c->root);
    if (e == ERR_OK)
        e = hide(x, &c->root);
    if (e == ERR_OK)
        return tell_origin(x, c);
    x->err = e;
    return FAILED;
}

static enum verdict auth_request(struct exchange *x, const void *conf, void *state)
{
    const struct auth_conf *c = conf;
    struct auth_state *s = state;
    if (!s->findings && !begin(x, c, s))
        return FAILED;
    enum auth_verdict v = ask(x, s, &c->root);
    if (v == AUTH_WAIT)
        return WAIT;
    s->verdict = (uint8_t)v;
    count(x, v);
    if (v == AUTH_GRANTED) {
        x->err = ERR_OK; /* what another branch could not find out does not matter */
        return let_in(x, c, s);
    }
    return v == AUTH_FAILED ? FAILED : refuse(x, c, s);
}

static bool respond(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    if (d->kind != DEMAND_METHOD) {
        for (const struct demand *it = d->first; it; it = it->next)
            if (respond(x, s, it))
                return true;
        return false;
    }
    if (!d->method->on_response || s->findings[d->index].verdict == AUTH_UNASKED)
        return false;
    enum err e = d->method->on_response(x, d->conf, state_of(s, d));
    if (e != ERR_OK)
        x->err = e;
    return e != ERR_OK;
}

static enum verdict auth_response(struct exchange *x, const void *conf, void *state)
{
    const struct auth_conf *c = conf;
    struct auth_state *s = state;
    if (!s->findings)
        return PASS;
    if (respond(x, s, &c->root))
        return FAILED;
    if (x->err == ERR_UNAUTHORIZED && each_failed(x, s, &c->root, challenge))
        return FAILED;
    return PASS;
}

static void finish(struct exchange *x, struct auth_state *s, const struct demand *d)
{
    for (const struct demand *it = d->first; it; it = it->next)
        finish(x, s, it);
    if (d->kind == DEMAND_METHOD && d->method->on_finish &&
        s->findings[d->index].verdict != AUTH_UNASKED)
        d->method->on_finish(x, d->conf, state_of(s, d));
}

static void auth_finish(struct exchange *x, const void *conf, void *state)
{
    const struct auth_conf *c = conf;
    struct auth_state *s = state;
    if (s->findings)
        finish(x, s, &c->root);
}

/* --- explain ------------------------------------------------------------------------------------
 */

static void explain_demand(const struct demand *d, struct text *t)
{
    static const char *const words[] = {"all", "any", ""};
    text_addf(t, "%s", d->kind == DEMAND_METHOD ? d->method->word : words[d->kind]);
    if (d->kind == DEMAND_METHOD && d->method->explain)
        d->method->explain(d->conf, t);
    if (d->kind == DEMAND_METHOD)
        return;
    text_add(t, SLICE(" {"));
    for (const struct demand *it = d->first; it; it = it->next) {
        text_add(t, SLICE(" "));
        explain_demand(it, t);
        text_add(t, it->next ? SLICE(";") : SLICE(" }"));
    }
}

static void auth_explain(const void *conf, struct explain *e)
{
    const struct auth_conf *c = conf;
    struct text t;
    text_init(&t);
    for (const struct demand *it = c->root.first; it; it = it->next) {
        text_clear(&t);
        explain_demand(it, &t);
        explain_line(e, "auth", it->pos, "%.*s", SLICE_ARG(text_slice(&t)));
    }
    for (uint32_t i = 0; i < c->header_count; i++)
        explain_line(e, "auth", c->pos, "tells the server %.*s", SLICE_ARG(c->headers[i].name));
    text_release(&t);
}

/* --- rows ---------------------------------------------------------------------------------------
 */

static const struct directive auth_rows[] = {
    {.name = "auth",
     .where = IN_POLICY,
     .inlines = true,
     .block_due = true,
     .opens = IN_AUTH,
     .apply = auth_apply,
     .usage = "METHOD ... | { METHOD ...; ... }",
     .text =
         "Lets in who can show what is demanded: all lines of the block have to be met, `any { }` "
         "holds some of which one is enough. A single one may stand on the line: `auth basic "
         "/etc/weir/users`. The nearest `auth` takes the place of those around it, `no auth` takes "
         "them back; one in a `when` is demanded besides. Who is recognised is `$user`, what is "
         "said of them `${claim.NAME}`. See [auth](../auth.md).",
     .example = "auth {\n    require ip in 10.0.0.0/8 192.168.0.0/16\n}"},
    {.name = "any",
     .where = IN_AUTH,
     .apply = group_apply,
     .repeat = true,
     .block_due = true,
     .opens = IN_AUTH,
     .usage = "{ METHOD ...; ... }",
     .text = "One of its lines is enough. They are looked at in order, and the first that lets "
             "somebody in says who it is.",
     .example = "any { require ip in 10.0.0.0/8; require header.X-Door == open }"},
    {.name = "all",
     .where = IN_AUTH,
     .apply = group_apply,
     .repeat = true,
     .block_due = true,
     .opens = IN_AUTH,
     .usage = "{ METHOD ...; ... }",
     .text = "Each of its lines has to be met; of use within `any`.",
     .example = "all { require ip in 10.0.0.0/8; require header.X-Door == open }"},
    {.name = "header",
     .where = IN_AUTH,
     .apply = header_apply,
     .repeat = true,
     .args_min = 2,
     .args_max = 2,
     .usage = "NAME TEXT",
     .text = "Tells the server who it is: sets a request header when somebody was let in, and the "
             "text is not empty. Clients never get through with one of this name, on no site, "
             "however they write it; nor with the usual ones (Remote-User, X-Forwarded-User, "
             "X-Auth-Request-User and their like), once there is any `auth`.",
     .example = "header Remote-User $user"},
    {0},
};

const struct filter_type filter_auth = {
    .name = "auth",
    .stage = STAGE_AUTH,
    .directives = auth_rows,
    .inner = method_rows,
    .conf_bytes = sizeof(struct auth_conf),
    .state_bytes = sizeof(struct auth_state),
    .on_request = auth_request,
    .on_response = auth_response,
    .on_finish = auth_finish,
    .explain = auth_explain,
};
