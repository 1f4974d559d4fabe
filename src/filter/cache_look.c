/* cache_look.c - looking up: which stored response a request gets, whether it waits for one that is
 * being fetched, or asks the server itself.
 *
 * Of many who miss at once one leads and the others wait for the head of its answer; then they look
 * up again. What a client asked for privately, by its own credentials or past the cache, neither
 * leads nor waits. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/selection.h"
#include "filter/cache_priv.h"
#include "http/range.h"
#include "proxy/headless.h"
#include "proxy/identity.h"

enum { FAILURES_MAX = 2 /* of others that it waited for */ };

struct look {
    struct cache_query query;
    struct cache_result found;
    struct exchange *x;
    struct cache_state *s;
    struct slice names; /* of the Vary that `selection` was computed for */
    uint64_t selection;
    bool computed;
    enum usability use; /* of what was found */
};

static void release_found(struct cache_state *s)
{
    if (s->found)
        object_drop(s->found);
    if (s->content)
        content_drop(s->content);
    s->found = NULL;
    s->content = NULL;
}

/* --- which one? ------------------------------------------------------------------------------- */

static uint64_t selection_of(struct look *l, struct slice names)
{
    if (!l->computed || !slice_eq(names, l->names)) {
        l->selection = selection_hash(names, &l->x->req.headers);
        l->names = names;
        l->computed = true;
    }
    return l->selection;
}

/* The response in another language than the first that the client names (RFC 9110 12.5.4). */
static bool speaks_language(struct look *l, const struct object_shared *o)
{
    uint64_t theirs = object_variant_without_language(o);
    struct slice language = object_field(o, FIELD_CONTENT_LANGUAGE);
    if (theirs == 0 || !language.at || !language_matches(&l->x->req.headers, language))
        return false;
    return selection_hash_without_language(object_vary(o), &l->x->req.headers) == theirs;
}

static bool part_has(struct look *l, const struct object_shared *o)
{
    struct range wanted;
    return l->s->range.at && cache_part_find(o, l->s->range, &wanted);
}

static uint64_t part_variant(const struct object_shared *o)
{
    uint64_t first, last, total;
    return object_range(o, &first, &last, &total) ? first * 31 + last + 1 : 0;
}

static bool is_selected(struct look *l, const struct object_shared *o)
{
    if (o->kind == OBJECT_PART && !part_has(l, o))
        return false;
    uint64_t variant = o->variant ^ part_variant(o);
    return selection_of(l, object_vary(o)) == variant || speaks_language(l, o);
}

/* Variants that the server may name in a 304, so that its body need not come again. What is on disk
 * alone is not at hand then. */
static void other_note(struct cache_state *s, const struct object_shared *o)
{
    s->saw_others = true;
    if (s->other_count < CACHE_OTHERS_MAX && o->kind == OBJECT_WHOLE && o->status == 200 &&
        o->content && object_field(o, FIELD_ETAG).at)
        s->others[s->other_count++] = object_take((struct object_shared *)o);
}

static enum cache_match match(struct cache_query *q, const struct object_shared *o)
{
    struct look *l = CONTAINER_OF(q, struct look, query);
    const struct cache_state *s = l->s;
    if (!is_selected(l, o)) {
        other_note(l->s, o);
        if (q->variant == 0 && o->vary_len > 0)
            q->variant = selection_of(l, object_vary(o));
        return MATCH_NO;
    }
    q->variant = o->variant;
    l->use = o->expired
                 ? USE_AFTER_VALIDATION
                 : freshness_use(&s->conf->policy, &o->freshness, &s->terms, cache_unix_ms(l->x));
    return l->use == USE_FRESH || l->use == USE_STALE_ALLOWED ? MATCH_FRESH : MATCH_STALE;
}

/* --- waiting for another's answer ------------------------------------------------------------- */

static void woken(void *ctx)
{
    exchange_wake(ctx);
}

static void wait_end(struct cache_state *s)
{
    fill_unwait(s->fill, s->waiter);
    waiter_close(s->waiter);
    s->waiter = NULL;
    fill_drop(s->fill);
    s->fill = NULL;
}

/* False: it has been answered by now. */
static bool wait_begin(struct exchange *x, struct cache_state *s)
{
    s->waiter = waiter_new(&x->worker->loop, woken, x);
    if (!s->waiter) {
        s->alone = true;
        fill_drop(s->fill);
        s->fill = NULL;
        return false;
    }
    if (fill_wait(s->fill, s->waiter))
        return true;
    wait_end(s);
    return false;
}

/* False: it goes on waiting. */
static bool wait_over(struct exchange *x, struct cache_state *s)
{
    enum fill_outcome o = fill_outcome(s->fill);
    if (o == FILL_PENDING)
        return false;
    if (o == FILL_PASS)
        s->alone = s->pass = true;
    if (o == FILL_FAILED && ++s->failures >= FAILURES_MAX)
        s->alone = true;
    if (o == FILL_STORED)
        cache_count(x, CACHE_COALESCED, 1);
    wait_end(s);
    return true;
}

/* --- asking the server ------------------------------------------------------------------------ */

static bool others_want(void *ctx)
{
    struct cache_state *s = ctx;
    if (s->fill && s->leads)
        return s->x->background || fill_waiting(s->fill) > 0;
    return cache_keep_is_wanted(s);
}

static enum err validators_set(struct exchange *x, const struct object_shared *o)
{
    struct headers *h = &x->req.headers;
    struct slice etag = object_field(o, FIELD_ETAG), date = object_field(o, FIELD_LAST_MODIFIED);
    if (etag.at)
        TRY(headers_add_id(h, &x->arena, FIELD_IF_NONE_MATCH, etag));
    return date.at ? headers_add_id(h, &x->arena, FIELD_IF_MODIFIED_SINCE, date) : ERR_OK;
}

/* RFC 9111 4.3.1: of the variants that are stored. */
static enum err others_set(struct exchange *x, const struct cache_state *s)
{
    struct slice list = SLICE("");
    for (uint32_t i = 0; i < s->other_count; i++)
        list = ARENA_CONCAT(&x->arena, list, i > 0 ? SLICE(", ") : SLICE(""),
                            object_field(s->others[i], FIELD_ETAG));
    return list.at ? headers_add_id(&x->req.headers, &x->arena, FIELD_IF_NONE_MATCH, list)
                   : ERR_OVER_BUDGET;
}

static void conditions_drop(struct exchange *x)
{
    static const enum field_id fields[] = {FIELD_IF_NONE_MATCH, FIELD_IF_MODIFIED_SINCE,
                                           FIELD_IF_RANGE, FIELD_RANGE};
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        headers_del_id(&x->req.headers, fields[i]);
}

/* Whoever was recognised, by whatever it was, is as one that sent Authorization (RFC 9111 3.5): the
 * answer is theirs alone unless the server says otherwise. */
static enum err identity_remember(struct exchange *x, struct cache_state *s)
{
    if (!x->identity || headers_find(&s->asked, FIELD_AUTHORIZATION))
        return ERR_OK;
    return headers_append(&s->asked, &x->arena, FIELD_AUTHORIZATION, SLICE("Authorization"),
                          x->identity->user);
}

enum err cache_remember(struct exchange *x, struct cache_state *s)
{
    const struct headers *from = &x->req.headers;
    s->asked = *from;
    s->asked.cap = from->count + 1;
    s->asked.at = arena_alloc(&x->arena, s->asked.cap * sizeof *from->at);
    if (!s->asked.at)
        return ERR_OVER_BUDGET;
    if (from->count > 0)
        memcpy(s->asked.at, from->at, from->count * sizeof *from->at);
    return identity_remember(x, s);
}

static enum err ask_prepare(struct exchange *x, struct cache_state *s)
{
    TRY(cache_remember(x, s));
    bool has_validator = s->found && s->found->freshness.flags & FRESH_VALIDATOR;
    s->validating = has_validator && !s->head_only && s->found->kind == OBJECT_WHOLE;
    if (s->validating || (s->leads && (s->found || !s->range.at)))
        conditions_drop(x); /* everybody is to have use of the answer */
    if (s->slice_bytes)
        TRY(cache_slice_ask(x, s));
    if (s->validating)
        return validators_set(x, s->found);
    s->offering = s->leads && !s->found && !s->range.at && s->other_count > 0;
    return s->offering ? others_set(x, s) : ERR_OK;
}

enum verdict cache_ask(struct exchange *x, struct cache_state *s)
{
    s->role = ROLE_ASK;
    x->coded = NULL;
    s->born = cache_now(cache_of(x));
    x->wanted = others_want;
    x->wanted_ctx = s;
    transform_response_wanted(x);
    enum err e = ask_prepare(x, s);
    if (e == ERR_OK)
        return PASS;
    x->err = e;
    return FAILED;
}

bool cache_background_begin(struct exchange *x, const struct cache_state *s,
                            const struct cache_background *what)
{
    void *copy;
    struct exchange *y = headless_begin(x, s, &copy);
    if (!y) {
        fill_leave(what->fill);
        return false;
    }
    struct cache_state *b = copy;
    *b = (struct cache_state){.leads = true, .fill = what->fill, .forward = "stale"};
    b->found = what->found ? object_take(what->found) : NULL;
    b->content = what->content ? content_take(what->content) : NULL;
    b->slice_bytes = what->slice_bytes;
    b->slice_index = what->slice_index;
    struct slice key = arena_dup(&y->arena, s->key.text);
    if (key.at)
        cache_key_init(&b->key, key);
    return true;
}

/* The fetch behind a stale answer takes over the leading. */
static void background_begin(struct exchange *x, struct cache_state *s)
{
    struct cache_background what = {.found = s->found, .content = s->content, .fill = s->fill};
    (void)cache_background_begin(x, s, &what);
    s->fill = NULL;
    s->leads = false;
}

/* --- the decision ----------------------------------------------------------------------------- */

/* What is stored can not be read: it is as if it were not there. */
static void lose_found(struct exchange *x, struct cache_state *s)
{
    if (s->reading)
        content_reader_close(&s->reader);
    s->reading = s->loading = false;
    s->role = ROLE_LOOK;
    s->x->local = false; /* what was to be sent is not */
    cache_remove(cache_of(x), s->found);
    release_found(s);
    s->lost = true;
}

static enum verdict loaded(struct exchange *x, struct cache_state *s)
{
    switch (cache_loaded(x, s)) {
    case CONTENT_WAIT: return WAIT;
    case CONTENT_LOST: lose_found(x, s); return WAIT;
    default: return ANSWERED;
    }
}

static enum verdict serve(struct exchange *x, struct cache_state *s, enum cache_served how)
{
    enum err e = cache_serve(x, s, how);
    if (e == ERR_OK)
        return s->loading ? loaded(x, s) : ANSWERED;
    if (e == ERR_CACHE_LOST) {
        lose_found(x, s);
        return WAIT;
    }
    x->err = e;
    return FAILED;
}

static enum verdict only_if_cached(struct exchange *x, struct cache_state *s)
{
    cache_answer(s, FILL_FAILED);
    s->role = ROLE_NONE;
    x->cache_word = "miss";
    enum err e =
        exchange_respond(x, 504, SLICE("text/plain; charset=utf-8"), SLICE("not in the cache\n"));
    x->err = e;
    return e == ERR_OK ? ANSWERED : FAILED;
}

static const char *why_forward(const struct cache_state *s)
{
    if (s->found)
        return s->terms.no_cache ? "request" : "stale";
    if (s->pass)
        return "bypass";
    return s->saw_others ? "vary-miss" : "uri-miss";
}

/* A part is asked for as it is: nobody could use it but who wants the same. */
static void lead_no_part(struct cache_state *s)
{
    if (s->leads && s->range.at && !s->found)
        cache_answer(s, FILL_PASS);
}

static enum verdict stale_found(struct exchange *x, struct cache_state *s, enum usability use)
{
    bool follows = s->fill && !s->leads;
    if (use == USE_STALE_REVALIDATE && !s->terms.no_cache) {
        if (s->leads)
            background_begin(x, s);
        return serve(x, s, SERVED_STALE);
    }
    if (follows && s->failures > 0 &&
        freshness_if_error(&s->conf->policy, &s->found->freshness, cache_unix_ms(x)))
        return serve(x, s, SERVED_STALE);
    return WAIT; /* not decided */
}

static enum verdict decide(struct exchange *x, struct look *l)
{
    struct cache_state *s = l->s;
    if (l->found.match == MATCH_FRESH)
        return serve(x, s, l->use == USE_FRESH ? SERVED_HIT : SERVED_STALE);
    if (s->found) {
        enum verdict v = stale_found(x, s, l->use);
        if (v != WAIT)
            return v;
    }
    if (s->terms.only_if_cached)
        return only_if_cached(x, s);
    if (s->fill && !s->leads)
        return WAIT;
    s->forward = why_forward(s);
    lead_no_part(s);
    return cache_ask(x, s);
}

/* If-Range is about the whole: pieces of it are fetched without. */
bool cache_is_private(const struct exchange *x, const struct cache_state *s)
{
    return s->alone || s->head_only || s->terms.no_store || s->terms.no_cache || x->identity ||
           headers_find(&x->req.headers, FIELD_AUTHORIZATION) || s->conditions.if_match.at ||
           s->conditions.if_unmodified_since.at || (s->conditions.if_range.at && !s->slicer);
}

static void take_found(struct cache_state *s, struct cache_result *r)
{
    release_found(s);
    s->found = r->object;
    s->content = r->content;
    s->fill = r->fill;
    s->leads = r->leads;
    s->pass |= r->pass;
}

/* Into l->found and l->use. */
static void look_up(struct look *l, struct exchange *x, struct cache_state *s,
                    const struct cache_key *k)
{
    *l = (struct look){.query = {.key = *k, .match = match}, .x = x, .s = s};
    l->query.alone = cache_is_private(x, s);
    l->use = USE_AFTER_VALIDATION;
    cache_others_drop(s);
    cache_lookup(cache_of(x), &l->query, &l->found);
}

enum usability cache_find(struct exchange *x, struct cache_state *s, const struct cache_key *k,
                          struct cache_result *out)
{
    struct look l;
    look_up(&l, x, s, k);
    *out = l.found;
    return l.use;
}

static enum verdict look_once(struct exchange *x, struct cache_state *s)
{
    struct look l;
    look_up(&l, x, s, &s->key);
    take_found(s, &l.found);
    return decide(x, &l);
}

enum verdict cache_look(struct exchange *x, struct cache_state *s)
{
    if (s->waiter && !wait_over(x, s))
        return WAIT;
    if (s->loading) {
        enum verdict v = loaded(x, s);
        if (v != WAIT || s->loading)
            return v;
    }
    for (;;) {
        s->lost = false;
        enum verdict v = look_once(x, s);
        if (v != WAIT || s->loading || (!s->lost && wait_begin(x, s)))
            return v;
    }
}
