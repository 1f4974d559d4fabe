/* respond.c - `respond STATUS [TEXT] [type=]` and `redirect [STATUS] TO`: answers without an
 * origin. Texts are templates; the answer takes the way of every response. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/respond.h"
#include "base/num.h"
#include "base/text.h"
#include "proxy/exchange.h"
#include "proxy/template.h"

struct respond_conf {
    uint16_t status;
    const struct template *body; /* NULL: empty */
    struct slice type;
    struct slice source; /* for explain */
};

struct redirect_conf {
    uint16_t status;
    const struct template *to;
    struct slice source;
};

static bool status_read(struct conf_build *b, const struct conf_word *w, uint16_t min, uint16_t max,
                        uint16_t *status)
{
    uint64_t value;
    if (num_parse_u64(w->text, &value) != ERR_OK || value < min || value > max) {
        diag_error(b->diag, w->pos, "expected a status from %u to %u, not '%.*s'", min, max,
                   SLICE_ARG(w->text));
        return false;
    }
    *status = (uint16_t)value;
    return true;
}

static void target_set(struct conf_build *b, struct settings *s, const struct conf_node *n,
                       const struct local_origin *local, const void *conf)
{
    struct target *t = ARENA_NEW(b->arena, struct target);
    *t = (struct target){.kind = TARGET_LOCAL, .pos = n->pos, .local = local, .local_conf = conf};
    s->target = t;
}

/* --- respond ---------------------------------------------------------------------------------- */

const struct directive respond_options[] = {
    {.name = "type",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct respond_conf, type),
     .def = "\"text/plain; charset=utf-8\"",
     .usage = "MEDIA-TYPE",
     .text = "Content-Type of the text."},
    {0},
};

void respond_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct respond_conf *c = ARENA_NEW(b->arena, struct respond_conf);
    conf_options(b, n, c);
    if (!status_read(b, &n->args[0], 200, 599, &c->status))
        return;
    if (c->type.len == 0)
        c->type = SLICE("text/plain; charset=utf-8");
    if (n->arg_count > 1) {
        c->source = n->args[1].text;
        c->body = template_compile(b, &n->args[1], false);
        if (!c->body)
            return;
    }
    target_set(b, scope, n, &respond_origin, c);
}

static enum err respond_serve(struct exchange *x, const void *conf)
{
    const struct respond_conf *c = conf;
    if (!c->body)
        return exchange_respond(x, c->status, SLICE(""), SLICE(""));
    struct slice body = template_eval(c->body, x, NULL);
    return body.at ? exchange_respond(x, c->status, c->type, body) : ERR_OVER_BUDGET;
}

static void respond_explain(const void *conf, struct text *out)
{
    const struct respond_conf *c = conf;
    char line[120]; /* of a body with line ends the beginning does */
    size_t len = json_escape(line, sizeof(line), c->source);
    text_addf(out, "%u %.*s", c->status, (int)len, line);
}

const struct local_origin respond_origin = {"respond", respond_serve, respond_explain};

/* --- redirect --------------------------------------------------------------------------------- */

static bool is_redirect(uint16_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void redirect_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct redirect_conf *c = ARENA_NEW(b->arena, struct redirect_conf);
    c->status = 302;
    if (n->arg_count == 2 && !status_read(b, &n->args[0], 300, 399, &c->status))
        return;
    if (!is_redirect(c->status)) {
        diag_error(b->diag, n->args[0].pos, "%u does not redirect: use 301, 302, 303, 307 or 308",
                   c->status);
        return;
    }
    const struct conf_word *to = &n->args[n->arg_count - 1];
    c->source = to->text;
    c->to = template_compile(b, to, false);
    if (c->to)
        target_set(b, scope, n, &redirect_origin, c);
}

static enum err redirect_serve(struct exchange *x, const void *conf)
{
    const struct redirect_conf *c = conf;
    struct slice to = template_eval(c->to, x, NULL);
    if (!to.at)
        return ERR_OVER_BUDGET;
    if (!field_value_valid(to)) /* a variable brought in a control character */
        return ERR_BAD_TARGET;
    TRY(exchange_respond(x, c->status, SLICE(""), SLICE("")));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_LOCATION, to);
}

static void redirect_explain(const void *conf, struct text *out)
{
    const struct redirect_conf *c = conf;
    text_addf(out, "%u %.*s", c->status, SLICE_ARG(c->source));
}

const struct local_origin redirect_origin = {"redirect", redirect_serve, redirect_explain};
