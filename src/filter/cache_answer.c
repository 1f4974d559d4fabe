/* cache_answer.c - what becomes of the server's answer, or of its absence: a 304 renews what is
 * stored, a failure is covered by it where that is allowed, everything else takes its place or goes
 * by. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "cache/purge.h"
#include "cache/suspicion.h"
#include "filter/cache_priv.h"

enum { PASS_MS = 10 * 1000 /* nobody queues for what could not be stored */ };

/* --- times ------------------------------------------------------------------------------------ */

/* When the request was sent and its answer's head received, on one clock. */
static struct exchange_clock clock_of(const struct exchange *x)
{
    int64_t since_us = exchange_now_us(x) - x->times.began_us;
    int64_t now_ms = cache_unix_ms(x);
    int64_t first_us = x->times.first_byte_us > 0 ? x->times.first_byte_us : since_us;
    int64_t sent_us = x->times.connected_us > 0 ? x->times.connected_us : first_us;
    return (struct exchange_clock){.sent_ms = now_ms - (since_us - sent_us) / 1000,
                                   .received_ms = now_ms - (since_us - first_us) / 1000};
}

static int64_t status_lifetime_ms(const struct cache_conf *c, uint16_t status)
{
    for (uint32_t i = c->status_count; i > 0; i--)
        if (c->statuses[i - 1].status == status)
            return c->statuses[i - 1].ms;
    return -1;
}

/* Somebody's own page under a name that makes it look like everybody's file? */
static bool is_suspect(const struct exchange *x, const struct cache_state *s,
                       const struct headers *res)
{
    return headers_find(&s->asked, FIELD_COOKIE) && suspicion_of_path(x->spelled_path, res);
}

/* As of the answer to a GET: who calls has looked at the method. */
static enum storable judge(struct exchange *x, const struct cache_state *s,
                           const struct headers *res, uint16_t status, struct freshness *out)
{
    struct exchange_clock t = clock_of(x);
    if (s->terms.no_store)
        return STORE_REQUEST;
    enum storable may = freshness_judge(&s->conf->policy, METHOD_GET, &s->asked, status, res, &t,
                                        status_lifetime_ms(s->conf, status), out);
    if (may != STORE_YES || out->flags & FRESH_EXPLICIT || !is_suspect(x, s, res))
        return may;
    out->lifetime_ms = 0;
    return out->flags & FRESH_VALIDATOR ? may : STORE_NO_LIFETIME;
}

/* Who waits has use of what was stored when it may be sent without asking. When the server wants to
 * be asked every time, all ask at once, and nobody queues for a while. */
void cache_stored(struct exchange *x, struct cache_state *s, const struct freshness *f)
{
    const struct request_terms none = {.max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};
    int64_t now = cache_unix_ms(x);
    bool usable = freshness_use(&s->conf->policy, f, &none, now) != USE_AFTER_VALIDATION;
    if (s->leads && (f->flags & FRESH_NO_CACHE || f->lifetime_ms <= 0) && !usable)
        cache_mark_pass(cache_of(x), &s->key, now + PASS_MS);
    cache_answer(s, usable ? FILL_STORED : FILL_PASS);
}

/* --- a 304 ------------------------------------------------------------------------------------ */

static bool is_kept_in_update(const struct header *h)
{
    return h->id == FIELD_CONTENT_LENGTH || h->hop || h->id == FIELD_TRAILER ||
           h->id == FIELD_CONTENT_RANGE;
}

static bool has_name(const struct headers *h, struct slice name)
{
    return headers_find_name(h, name) != NULL;
}

/* What tells of the exchange that brought the response, and not of the response: it is true of the
 * last one only. */
static bool is_of_exchange(const struct header *h)
{
    return h->id == FIELD_AGE || h->id == FIELD_DATE;
}

/* Stored fields that `update` does not carry, then its own (RFC 9111 3.2). */
static enum err fields_update(struct exchange *x, const struct object_shared *o,
                              const struct headers *update, struct headers *out)
{
    struct message stored;
    message_init(&stored);
    TRY(object_head_get(o, &x->arena, &stored));
    HEADER_EACH (it, &stored.headers)
        if (is_kept_in_update(it) || (!has_name(update, it->name) && !is_of_exchange(it)))
            TRY(headers_append(out, &x->arena, it->id, it->name, it->value));
    HEADER_EACH (it, update)
        if (!is_kept_in_update(it))
            TRY(headers_append(out, &x->arena, it->id, it->name, it->value));
    return ERR_OK;
}

static void found_replace(struct cache_state *s, struct object_shared *o)
{
    object_drop(s->found);
    s->found = o;
}

/* An object with the content of the found one, and newer fields. Without memory the old one serves
 * this once. */
static enum err renew(struct exchange *x, struct cache_state *s)
{
    struct headers merged = {0};
    struct freshness f;
    struct object_draft d;
    TRY(fields_update(x, s->found, &x->res.headers, &merged));
    enum storable may = judge(x, s, &merged, s->found->status, &f);
    if (!cache_draft(x, s, &merged, s->found->status, &f, &d))
        return ERR_OVER_BUDGET;
    d.content = s->content;
    d.length = object_length(s->found);
    struct object_shared *o = object_new(cache_of(x), &d);
    if (!o)
        return ERR_OK;
    if (may == STORE_YES && cache_insert(cache_of(x), o, s->born))
        s->stored = true;
    else if (s->validating)
        cache_remove(cache_of(x), s->found);
    found_replace(s, o);
    return ERR_OK;
}

/* The one that the 304 names; of one alone it speaks without a name, too. */
static struct object_shared *named_other(const struct exchange *x, const struct cache_state *s)
{
    struct slice etag = headers_get(&x->res.headers, FIELD_ETAG);
    for (uint32_t i = 0; i < s->other_count && etag.at; i++)
        if (slice_eq(object_field(s->others[i], FIELD_ETAG), etag))
            return s->others[i];
    return !etag.at && s->other_count == 1 ? s->others[0] : NULL;
}

/* Another variant is what this request selects, too. False: which, is not known, or it is not at
 * hand. */
static bool adopt_other(struct exchange *x, struct cache_state *s)
{
    struct object_shared *o = named_other(x, s);
    struct content_shared *k = o ? cache_content_get(cache_of(x), o) : NULL;
    if (!k)
        return false;
    s->found = object_take(o);
    s->content = k;
    return true;
}

static enum err not_modified(struct exchange *x, struct cache_state *s)
{
    s->forward_status = 304;
    TRY(renew(x, s));
    cache_stored(x, s, &s->found->freshness);
    return cache_serve(x, s, SERVED_VALIDATED);
}

/* --- HEAD ------------------------------------------------------------------------------------- */

static bool same_or_absent(struct slice theirs, struct slice ours)
{
    return !theirs.at || slice_eq(theirs, ours);
}

/* Does the answer to HEAD tell of the same representation? (RFC 9111 4.3.5) */
static bool head_agrees(struct exchange *x, const struct object_shared *o)
{
    const struct headers *h = &x->res.headers;
    uint64_t length = 0;
    bool told = num_parse_u64(headers_get(h, FIELD_CONTENT_LENGTH), &length) == ERR_OK;
    if (x->res.length == LENGTH_KNOWN) {
        told = true;
        length = x->res.content_length;
    }
    return same_or_absent(headers_get(h, FIELD_ETAG), object_field(o, FIELD_ETAG)) &&
           same_or_absent(headers_get(h, FIELD_LAST_MODIFIED),
                          object_field(o, FIELD_LAST_MODIFIED)) &&
           (!told || length == object_length(o));
}

static enum err head_answered(struct exchange *x, struct cache_state *s)
{
    if (!s->found || x->res.status != 200)
        return ERR_OK;
    if (!head_agrees(x, s->found)) {
        atomic_store_explicit(&s->found->expired, true, memory_order_relaxed);
        return ERR_OK;
    }
    return renew(x, s);
}

/* --- failures --------------------------------------------------------------------------------- */

static bool is_server_error(uint16_t status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

/* True: the stored response stands in. */
static bool covered(struct exchange *x, const struct cache_state *s)
{
    const struct cache_policy *p = &s->conf->policy;
    int64_t now = cache_unix_ms(x);
    if (!s->found || !is_server_error(x->res.status) || x->background)
        return false;
    return freshness_if_error(p, &s->found->freshness, now) ||
           (x->local && freshness_if_dead(p, &s->found->freshness, now));
}

static enum err failed(struct exchange *x, struct cache_state *s)
{
    s->forward_status = x->local ? 0 : x->res.status;
    cache_answer(s, FILL_FAILED);
    return covered(x, s) ? cache_serve(x, s, SERVED_STALE) : ERR_OK;
}

/* --- all others ------------------------------------------------------------------------------- */

/* Surrogate-Control is for caches like this one, and no one after it. */
static void surrogate_drop(struct exchange *x, const struct cache_policy *p)
{
    for (uint32_t i = 0; i < p->targeted_count; i++)
        if (slice_eq_nocase(p->targeted[i], SLICE("Surrogate-Control")))
            headers_del(&x->res.headers, p->targeted[i]);
}

/* Is the stored response out of date by this one, which may not be stored itself? Errors of the
 * server, and what answers a Range or a condition, say nothing about it. */
static bool takes_its_place(const struct exchange *x)
{
    switch (x->res.status) {
    case 206:
    case 304:
    case 412:
    case 416: return false;
    default: return !is_server_error(x->res.status);
    }
}

static void pass_by(struct exchange *x, struct cache_state *s)
{
    if (s->leads && !is_server_error(x->res.status)) /* which say nothing about the next answer */
        cache_mark_pass(cache_of(x), &s->key, cache_unix_ms(x) + PASS_MS);
    cache_answer(s, FILL_PASS);
    if (s->found && takes_its_place(x))
        cache_remove(cache_of(x), s->found);
}

static bool is_rare(struct exchange *x, const struct cache_state *s)
{
    return s->conf->min_uses > 1 && cache_uses(cache_of(x), &s->key) < (unsigned)s->conf->min_uses;
}

/* A 206 with a lifetime of its own is kept for others who want the same part. */
static bool is_part(const struct exchange *x, const struct cache_state *s, enum storable may,
                    const struct freshness *f)
{
    bool lasts = f->flags & FRESH_EXPLICIT && f->lifetime_ms > 0;
    return x->res.status == 206 && may == STORE_STATUS && (lasts || s->slice_bytes);
}

static enum err passes(struct exchange *x, struct cache_state *s)
{
    struct freshness f;
    enum storable may = judge(x, s, &x->res.headers, x->res.status, &f);
    surrogate_drop(x, &s->conf->policy);
    x->cache_word = may == STORE_YES ? "miss" : "pass";
    cache_count(x, may == STORE_YES ? CACHE_MISS : CACHE_PASS, 1);
    s->forward_status = x->res.status;
    if (is_part(x, s, may, &f))
        may = STORE_YES;
    if (may == STORE_YES && is_rare(x, s))
        cache_answer(s, FILL_PASS);
    else if (may == STORE_YES && cache_keep(x, s, &f))
        s->stored = true;
    else
        pass_by(x, s);
    return ERR_OK;
}

/* The server does not do parts, or not this one: its answer is to the URL. */
static void slice_refused(struct cache_state *s)
{
    s->slice_bytes = 0;
    s->key = s->url_key;
    s->validating = false;
}

enum err cache_answered(struct exchange *x, struct cache_state *s)
{
    if (x->failing || is_server_error(x->res.status))
        if (x->failing || x->local || covered(x, s))
            return failed(x, s);
    if (x->local) { /* files, respond: nothing to store */
        cache_answer(s, FILL_PASS);
        return ERR_OK;
    }
    if (s->head_only)
        return head_answered(x, s);
    if (s->slice_bytes && x->res.status != 304 && !cache_slice_came(x, s))
        slice_refused(s);
    if (x->res.status == 304 && (s->validating || (s->offering && adopt_other(x, s))))
        return not_modified(x, s);
    if (x->res.status == 304 && s->offering) {
        cache_answer(s, FILL_FAILED);
        return ERR_ORIGIN_BAD_HEAD;
    }
    return passes(x, s);
}

/* --- methods that change something ------------------------------------------------------------ */

static void url_invalidate(struct exchange *x, struct slice url)
{
    struct cache_key k;
    if (!url.at)
        return;
    cache_key_init(&k, url);
    cache_invalidate(cache_of(x), &k);
}

static void reference_invalidate(struct exchange *x, const struct cache_state *s,
                                 struct slice reference)
{
    if (reference.at)
        url_invalidate(x, cache_url_resolve(x, &s->key, reference));
}

/* Keys with more than a URL can not be named by it: all that begin so are forgotten. */
static void others_invalidate(struct exchange *x, const struct cache_state *s)
{
    uint64_t id;
    struct purge_order order = {PURGE_URL, PURGE_HARD, cache_key_url(&s->key)};
    bool others = order.text.len < s->key.text.len || s->conf->slice_bytes > 0;
    if (others && purge_add(cache_of(x), &order, &id) != ERR_OK)
        cache_invalidate(cache_of(x), &s->key);
}

/* The answer to POST is that to a GET of the URL, when it says so (RFC 9110 9.3.3). */
static void post_keep(struct exchange *x, struct cache_state *s, struct slice where)
{
    struct freshness f;
    struct slice url = where.at ? cache_url_resolve(x, &s->key, where) : SLICE_NONE;
    if (x->req.method != METHOD_POST || x->res.status != 200 || !url.at ||
        !slice_eq(url, cache_key_url(&s->key)))
        return;
    enum storable may = judge(x, s, &x->res.headers, 200, &f);
    s->born = cache_now(cache_of(x));
    if (may == STORE_YES && f.flags & FRESH_EXPLICIT && f.lifetime_ms > 0)
        s->stored = cache_keep(x, s, &f);
}

void cache_unsafe_answered(struct exchange *x, struct cache_state *s)
{
    const struct headers *h = &x->res.headers;
    s->forward = "method";
    if (x->local || x->res.status < 200 || x->res.status >= 400)
        return;
    cache_invalidate(cache_of(x), &s->key);
    url_invalidate(x, cache_key_url(&s->key));
    others_invalidate(x, s);
    reference_invalidate(x, s, headers_get(h, FIELD_LOCATION));
    struct slice where = headers_get(h, FIELD_CONTENT_LOCATION);
    reference_invalidate(x, s, where);
    post_keep(x, s, where);
}
