/* cache.c - the filter behind `cache`: which requests are the cache's, and what it does when.
 *
 * The parts, in the order of a request: cache_key.c names what is asked for, cache_look.c finds it,
 * waits for it, or asks the server, cache_serve.c answers with what is stored; cache_answer.c
 * judges what the server said, cache_keep.c stores it while it passes. The rules themselves are
 * pure and stand in src/cache (freshness.h, selection.h), and so does the store.
 *
 * What the responses of local origins are (files, respond) is never stored: they are here already.
 */
// SPDX-License-Identifier: Apache-2.0
#include "cache/suspicion.h"
#include "filter/cache_priv.h"
#include "proxy/condition.h"

void cache_count(const struct exchange *x, enum cache_event e, uint64_t n)
{
    if (x->site && x->site->cache)
        cache_site_count(x->site->cache, x->worker->index, e, n);
}

void cache_answer(struct cache_state *s, enum fill_outcome o)
{
    if (!s->leads)
        return;
    fill_answer(s->fill, o);
    fill_drop(s->fill);
    s->fill = NULL;
    s->leads = false;
}

void cache_others_drop(struct cache_state *s)
{
    for (uint32_t i = 0; i < s->other_count; i++)
        object_drop(s->others[i]);
    s->other_count = 0;
    s->saw_others = false;
}

/* --- requests --------------------------------------------------------------------------------- */

static bool holds_any(const struct cache_conditions *c, struct exchange *x)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (condition_eval(c->at[i], x))
            return true;
    return false;
}

static bool is_bypassed(struct exchange *x, const struct cache_conf *c)
{
    /* A body may change the answer, and is no part of the key. */
    if (x->req.length != LENGTH_NONE || x->req.upgrade || suspicion_overrides(&x->req.headers))
        return true;
    return holds_any(&c->bypass, x);
}

static enum cache_role role_of(struct exchange *x, const struct cache_conf *c)
{
    switch (x->req.method) {
    case METHOD_GET:
    case METHOD_HEAD:
        if (!is_bypassed(x, c))
            return ROLE_LOOK;
        cache_count(x, CACHE_BYPASS, 1);
        x->cache_word = "bypass";
        return ROLE_NONE;
    case METHOD_OPTIONS:
    case METHOD_TRACE:
    case METHOD_CONNECT: return ROLE_NONE;
    default: return ROLE_UNSAFE;
    }
}

/* A piece is stored under a key of its own. */
static enum err slice_begin(struct exchange *x, struct cache_state *s)
{
    struct slice text = cache_slice_key(x, &s->key, s->slice_bytes, s->slice_index);
    if (!text.at)
        return ERR_OVER_BUDGET;
    s->url_key = s->key;
    s->range = SLICE_NONE;
    cache_key_init(&s->key, text);
    return ERR_OK;
}

static enum err begin(struct exchange *x, const struct cache_conf *c, struct cache_state *s)
{
    s->conf = c;
    s->x = x;
    s->role = (uint8_t)(x->background ? ROLE_LOOK : role_of(x, c));
    if (s->role == ROLE_NONE)
        return ERR_OK;
    s->head_only = x->req.method == METHOD_HEAD;
    s->range = s->head_only ? SLICE_NONE : headers_get(&x->req.headers, FIELD_RANGE);
    request_terms_read(&x->req.headers, (enum client_control)c->client_control, &s->terms);
    s->terms.no_cache |= holds_any(&c->refresh, x);
    TRY(conditions_read(&x->req.headers, &x->arena, &s->conditions));
    if (x->req.method == METHOD_POST) { /* its answer may be that to a GET, too */
        transform_response_wanted(x);
        TRY(cache_remember(x, s));
    }
    if (!s->key.text.at)
        TRY(cache_key_make(x, c, &s->key));
    return s->slice_bytes ? slice_begin(x, s) : ERR_OK;
}

/* A fetch behind a stale answer: it was looked up, and leads. Its client's connection is not known
 * any more, so key and conditions are what they were there. */
static enum verdict background_run(struct exchange *x, const struct cache_conf *c,
                                   struct cache_state *s)
{
    bool leads = s->leads;
    s->leads = false; /* until it can not fail any more */
    enum err e = begin(x, c, s);
    s->leads = leads;
    if (e == ERR_OK)
        return cache_ask(x, s);
    x->err = e;
    return FAILED;
}

static bool is_sliced(const struct exchange *x, const struct cache_state *s)
{
    return s->conf->slice_bytes > 0 && x->req.method == METHOD_GET && !s->waiter && !s->loading &&
           !s->alone;
}

static enum verdict cache_request(struct exchange *x, const void *conf, void *state)
{
    const struct cache_conf *c = conf;
    struct cache_state *s = state;
    if (x->dry || !cache_of(x))
        return PASS;
    cache_clock_set(cache_of(x), cache_unix_ms(x));
    if (x->background)
        return s->leads ? background_run(x, c, s) : PASS;
    if (c->purger_count > 0 && slice_eq(x->req.method_text, SLICE("PURGE")))
        return cache_purge(x, c);
    enum err e = s->conf ? ERR_OK : begin(x, c, s);
    if (e != ERR_OK) {
        x->err = e;
        return FAILED;
    }
    if (s->loading)
        return cache_look(x, s);
    if (s->role != ROLE_LOOK)
        return PASS;
    return is_sliced(x, s) ? cache_slices_look(x, s) : cache_look(x, s);
}

/* --- responses -------------------------------------------------------------------------------- */

static enum err respond(struct exchange *x, struct cache_state *s)
{
    if (s->role == ROLE_UNSAFE)
        cache_unsafe_answered(x, s);
    if (s->role == ROLE_ASK)
        TRY(cache_answered(x, s));
    return s->conf && s->conf->status ? cache_status_add(x, s) : ERR_OK;
}

static enum verdict cache_response(struct exchange *x, const void *conf, void *state)
{
    (void)conf;
    struct cache_state *s = state;
    enum err e = s->loading ? ERR_OK : respond(x, s);
    enum content_read r = e == ERR_OK && s->loading ? cache_loaded(x, s) : CONTENT_BYTES;
    if (r == CONTENT_WAIT)
        return WAIT;
    if (r == CONTENT_LOST)
        e = ERR_CACHE_LOST;
    if (e == ERR_OK)
        return PASS;
    x->err = e;
    return FAILED;
}

static void found_drop(struct cache_state *s)
{
    if (s->found)
        object_drop(s->found);
    if (s->content)
        content_drop(s->content);
}

static void fill_end(struct cache_state *s)
{
    if (s->waiter) {
        fill_unwait(s->fill, s->waiter);
        waiter_close(s->waiter);
    }
    if (s->fill && s->leads)
        fill_leave(s->fill);
    else if (s->fill)
        fill_drop(s->fill);
}

static void cache_finish(struct exchange *x, const void *conf, void *state)
{
    struct cache_state *s = state;
    (void)conf;
    if (s->role == ROLE_SERVED)
        cache_count(x, CACHE_HIT_BYTES, x->response_bytes);
    else if (s->role == ROLE_ASK)
        cache_count(x, CACHE_MISS_BYTES, x->response_bytes);
    fill_end(s);
    cache_slices_end(s);
    cache_coded_end(s);
    cache_keep_end(s);
    found_drop(s);
    cache_others_drop(s);
    x->wanted = NULL;
}

const struct filter_type filter_cache = {
    .name = "cache",
    .stage = STAGE_CACHE,
    .directives = cache_rows,
    .conf_bytes = sizeof(struct cache_conf),
    .state_bytes = sizeof(struct cache_state),
    .on_request = cache_request,
    .on_response = cache_response,
    .on_finish = cache_finish,
    .explain = cache_explain,
};
