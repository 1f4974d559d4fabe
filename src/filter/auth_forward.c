/* auth_forward.c - `forward`: a service says whether a request may pass, and who it is (as
 * Authelia, oauth2-proxy and others do). It is asked with a GET that tells of the request; 2xx lets
 * it pass, anything else is the client's answer.
 *
 * What the service does not say can not be taken for a yes: without an answer, with a 5xx or with
 * one that is too long the request fails. Parts: auth_forward_ask.c says what the service is told,
 * auth_forward_conf.c reads the directive. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_forward_priv.h"
#include "proxy/own_cookie.h"
#include <stdlib.h>

/* --- the answer ------------------------------------------------------------------------------- */

static enum err answer_take(struct forward_state *s, const struct ask_answer *a)
{
    TRY(a->err);
    if (a->cut || a->status < 200 || a->status >= 500)
        return ERR_AUTH_UNAVAILABLE;
    TRY(headers_copy(&s->headers, &s->x->arena, a->headers));
    if (a->body.len > 0 && !(s->body = malloc(a->body.len)))
        return ERR_NO_MEMORY;
    if (a->body.len > 0)
        memcpy(s->body, a->body.at, a->body.len);
    s->body_len = a->body.len;
    s->status = a->status;
    return ERR_OK;
}

static void on_answer(void *ctx, const struct ask_answer *a)
{
    struct forward_state *s = ctx;
    s->ask = NULL;
    s->err = answer_take(s, a);
    s->told = true;
    exchange_wake(s->x);
}

static enum auth_verdict failed(struct exchange *x, enum err why)
{
    x->err = ERR_AUTH_UNAVAILABLE;
    if (why != ERR_AUTH_UNAVAILABLE)
        x->why = slice_of(err_row(why)->text);
    return AUTH_FAILED;
}

/* --- who it is -------------------------------------------------------------------------------- */

/* Each member of a list is one. */
static enum err claims_of(struct exchange *x, const struct forward_state *s,
                          const struct forward_copy *copy, struct claim_list *claims)
{
    const struct header *h = headers_find_name(&s->headers, copy->name);
    for (; h; h = headers_next(&s->headers, h)) {
        struct slice rest = h->value, member;
        while (field_list_next(&rest, &member))
            if (!claim_add(claims, &x->arena, copy->claim, member))
                return ERR_OVER_BUDGET;
    }
    return ERR_OK;
}

static struct slice user_of(const struct forward_conf *c, const struct forward_state *s)
{
    static const struct slice usual[] = {SLICE_INIT("Remote-User"),
                                         SLICE_INIT("X-Auth-Request-User"),
                                         SLICE_INIT("X-Forwarded-User")};
    const struct header *h = NULL;
    if (c->user_header.at)
        h = headers_find_name(&s->headers, c->user_header);
    for (size_t i = 0; !c->user_header.at && !h && i < sizeof usual / sizeof *usual; i++)
        h = headers_find_name(&s->headers, usual[i]);
    return h && !headers_next(&s->headers, h) ? h->value : SLICE_NONE;
}

static enum err grant(struct exchange *x, const struct forward_conf *c, struct forward_state *s)
{
    struct claim_list claims = {0};
    for (uint32_t i = 0; i < c->copy_count; i++)
        TRY(claims_of(x, s, &c->copies[i], &claims));
    s->granted = true;
    return identity_add(x, "forward", user_of(c, s), claims.first);
}

static enum auth_verdict verdict(struct exchange *x, const struct forward_conf *c,
                                 struct forward_state *s)
{
    if (s->err != ERR_OK)
        return failed(x, s->err);
    if (s->status >= 300)
        return AUTH_REFUSED;
    enum err e = grant(x, c, s);
    return e == ERR_OK ? AUTH_GRANTED : failed(x, e);
}

static enum auth_verdict forward_check(struct exchange *x, const void *conf, void *state)
{
    struct forward_state *s = state;
    if (x->dry)
        return AUTH_NONE;
    if (s->told)
        return verdict(x, conf, s);
    if (s->ask)
        return AUTH_WAIT;
    s->x = x;
    enum err e = forward_ask(x, conf, s, on_answer);
    return e == ERR_OK ? AUTH_WAIT : failed(x, e);
}

/* --- what the server gets --------------------------------------------------------------------- */

/* Its field is the service's, and nobody else's. */
static enum err copy_one(struct exchange *x, const struct forward_state *s, struct slice name)
{
    const struct header *h = headers_find_name(&s->headers, name);
    headers_del(&x->req.headers, name);
    for (; h; h = headers_next(&s->headers, h))
        TRY(headers_add(&x->req.headers, &x->arena, name, h->value));
    return ERR_OK;
}

static enum err forward_settle(struct exchange *x, const void *conf, void *state)
{
    const struct forward_conf *c = conf;
    for (uint32_t i = 0; i < c->copy_count; i++)
        TRY(copy_one(x, state, c->copies[i].name));
    return ERR_OK;
}

/* --- what the client gets --------------------------------------------------------------------- */

static bool is_framing(const struct header *h)
{
    return h->hop || h->id == FIELD_CONTENT_LENGTH || h->id == FIELD_TRANSFER_ENCODING ||
           h->id == FIELD_CONNECTION || h->id == FIELD_TRAILER || h->id == FIELD_CONTENT_TYPE ||
           h->id == FIELD_DATE;
}

static enum err answer_make(struct exchange *x, const struct forward_state *s)
{
    struct slice type = headers_get(&s->headers, FIELD_CONTENT_TYPE);
    TRY(exchange_respond(x, s->status, type.at ? type : SLICE(""),
                         (struct slice){s->body, s->body_len}));
    HEADER_EACH (h, &s->headers)
        if (!is_framing(h))
            TRY(headers_add(&x->res.headers, &x->arena, h->name, h->value));
    return ERR_OK;
}

/* As the service said: a page for logging in, or the way to one. */
static bool forward_answer(struct exchange *x, const void *conf, void *state)
{
    const struct forward_state *s = state;
    (void)conf;
    if (!s->told || s->err != ERR_OK || s->granted)
        return false;
    x->err = answer_make(x, s);
    return true;
}

/* The service may renew its own cookies: an answer with one is for this client alone. */
static enum err forward_response(struct exchange *x, const void *conf, void *state)
{
    const struct forward_state *s = state;
    (void)conf;
    const struct header *h = s->granted ? headers_find(&s->headers, FIELD_SET_COOKIE) : NULL;
    for (; h; h = headers_next(&s->headers, h))
        TRY(own_cookie_set(x, h->value));
    return ERR_OK;
}

static void forward_finish(struct exchange *x, const void *conf, void *state)
{
    struct forward_state *s = state;
    (void)x;
    (void)conf;
    if (s->ask)
        ask_cancel(s->ask);
    free(s->body);
    s->body = NULL;
    s->ask = NULL;
}

static void forward_explain(const void *conf, struct text *t)
{
    const struct forward_conf *c = conf;
    text_addf(t, " %.*s", SLICE_ARG(c->word));
}

const struct auth_method auth_forward = {
    .word = "forward",
    .conf_bytes = sizeof(struct forward_conf),
    .state_bytes = sizeof(struct forward_state),
    .apply = forward_apply,
    .check = forward_check,
    .settle = forward_settle,
    .answer = forward_answer,
    .on_response = forward_response,
    .on_finish = forward_finish,
    .explain = forward_explain,
};
