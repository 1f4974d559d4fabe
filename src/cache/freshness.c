/* freshness.c - RFC 9111 3 (what may be stored), 4.2 (lifetime and age), 4.2.4 and RFC 5861 (stale
 * responses), as functions of two heads and some times.
 *
 * A response is judged once, when its head is there, into a struct freshness; afterwards only that
 * is asked. Who does not know HTTP's rules by heart reads freshness_judge() first: it asks in the
 * order in which a refusal is reported. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/freshness.h"
#include "base/assert.h"
#include "cache/selection.h"
#include "http/http_date.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

enum { HEURISTIC_WHOLE = 10000 }; /* hundredths of a percent */

void cache_policy_default(struct cache_policy *p)
{
    *p = (struct cache_policy){
        .targeted = {SLICE("CDN-Cache-Control"), SLICE("Surrogate-Control")},
        .targeted_count = 2,
        .heuristic = HEURISTIC_WHOLE / 10,
        .heuristic_max_ms = DAY_MS,
        .stale_max_ms = DAY_MS / 24,
    };
}

/* A response that is judged: what it says, read once. */
struct verdict {
    const struct cache_policy *policy;
    const struct headers *res;
    uint16_t status;
    bool targeted; /* a targeted field governs: Expires counts for nothing */
    struct cache_control cc;
    int64_t date_s; /* of the response; its receipt stands in (RFC 9110 6.6.1) */
    const struct exchange_clock *clock;
};

/* The directives that govern (RFC 9213 2.2). True: they are a targeted field's. */
static bool governing_read(const struct cache_policy *p, const struct headers *res,
                           struct cache_control *cc)
{
    ASSERT(p->targeted_count <= TARGETED_MAX);
    for (uint32_t i = 0; i < p->targeted_count; i++)
        if (targeted_control_read(res, p->targeted[i], cc))
            return true;
    cache_control_read(res, cc);
    return false;
}

struct slice freshness_hidden_fields(const struct cache_policy *p, const struct headers *res)
{
    struct cache_control cc;
    governing_read(p, res, &cc);
    return cc.no_cache_fields;
}

/* --- age (RFC 9111 4.2.3) --------------------------------------------------------------------- */

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Date has whole seconds, so it is compared with a receipt in whole seconds; what lies between two
 * readings of our own clock counts by the millisecond. */
static int64_t age_at_receipt_ms(const struct verdict *v)
{
    const struct exchange_clock *t = v->clock;
    int64_t apparent_s = t->received_ms / 1000 - v->date_s; /* negative: Date lies ahead */
    int64_t delay_ms = max_of(t->received_ms - t->sent_ms, 0);
    return max_of(apparent_s * 1000, age_read(v->res) * 1000 + delay_ms);
}

int64_t freshness_age_ms(const struct freshness *f, int64_t now_ms)
{
    return f->age_ms + max_of(now_ms - f->received_ms, 0);
}

/* --- lifetime (4.2.1, 4.2.2) ------------------------------------------------------------------ */

static bool date_read(const struct verdict *v, enum field_id id, int64_t *unix_s)
{
    const struct header *found = headers_find(v->res, id);
    return found && http_date_parse(found->value, v->clock->received_ms / 1000, unix_s);
}

/* Invalid or repeated: in the past (RFC 9111 5.3). */
static int64_t expires_ms(const struct verdict *v)
{
    int64_t expires_s;
    const struct header *first = headers_find(v->res, FIELD_EXPIRES);
    if (headers_next(v->res, first) || !date_read(v, FIELD_EXPIRES, &expires_s))
        return 0;
    return max_of(expires_s - v->date_s, 0) * 1000;
}

/* What the response states; -1: nothing. */
static int64_t stated_lifetime_ms(const struct verdict *v)
{
    if (v->cc.s_maxage >= 0)
        return v->cc.s_maxage * 1000;
    if (v->cc.max_age >= 0)
        return v->cc.max_age * 1000;
    return !v->targeted && headers_find(v->res, FIELD_EXPIRES) ? expires_ms(v) : -1;
}

/* RFC 9110 15.1, without 206, which is a matter of its own. */
static bool status_allows_heuristic(uint16_t status)
{
    static const uint16_t allow[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < COUNT_OF(allow); i++)
        if (allow[i] == status)
            return true;
    return false;
}

static int64_t heuristic_ms(const struct verdict *v)
{
    int64_t modified_s;
    const struct cache_policy *p = v->policy;
    if (p->heuristic <= 0 || !date_read(v, FIELD_LAST_MODIFIED, &modified_s))
        return 0;
    int64_t unchanged_s = max_of(v->date_s - modified_s, 0);
    return min_of(unchanged_s * p->heuristic / (HEURISTIC_WHOLE / 1000), p->heuristic_max_ms);
}

/* Of a response that states none: the configuration's word for its status, then for all, then a
 * guess. None for what restricts its use in another way, and none for cookies, which are made for
 * one client. */
static int64_t unstated_lifetime_ms(const struct verdict *v, int64_t status_lifetime_ms)
{
    const struct cache_control *cc = &v->cc;
    if (cc->directives & (CC_NO_CACHE | CC_NO_STORE | CC_PRIVATE) || cc->private_fields.at ||
        headers_find(v->res, FIELD_SET_COOKIE))
        return 0;
    if (status_lifetime_ms >= 0)
        return status_lifetime_ms;
    if (!status_allows_heuristic(v->status) && !(cc->directives & CC_PUBLIC))
        return 0;
    return v->policy->lifetime_ms > 0 ? v->policy->lifetime_ms : heuristic_ms(v);
}

/* --- what is kept ----------------------------------------------------------------------------- */

static bool field_has_value(const struct headers *h, enum field_id id)
{
    return headers_get(h, id).len > 0;
}

static uint32_t flags_of(const struct verdict *v, bool explicit)
{
    const struct cache_control *cc = &v->cc;
    const uint32_t revalidate = CC_MUST_REVALIDATE | CC_PROXY_REVALIDATE;
    uint32_t flags = 0;
    if (cc->directives & CC_NO_CACHE)
        flags |= FRESH_NO_CACHE;
    if (cc->no_cache_fields.at)
        flags |= FRESH_NO_FIELDS;
    if (cc->directives & revalidate)
        flags |= FRESH_MUST_VALIDATE;
    else if (cc->s_maxage >= 0)
        flags |= FRESH_MUST_VALIDATE | FRESH_BY_S_MAXAGE;
    if (explicit)
        flags |= FRESH_EXPLICIT;
    if (cc->directives & CC_PUBLIC)
        flags |= FRESH_PUBLIC;
    if (field_has_value(v->res, FIELD_ETAG) || field_has_value(v->res, FIELD_LAST_MODIFIED))
        flags |= FRESH_VALIDATOR;
    if (headers_find(v->res, FIELD_SET_COOKIE) && !v->policy->keep_set_cookie)
        flags |= FRESH_STRIP_COOKIES;
    return flags;
}

static int32_t window_s(int64_t stated_s)
{
    return (int32_t)min_of(stated_s, INT32_MAX);
}

static void freshness_read(const struct verdict *v, int64_t status_lifetime_ms,
                           struct freshness *out)
{
    int64_t stated_ms = stated_lifetime_ms(v);
    *out = (struct freshness){
        .received_ms = v->clock->received_ms,
        .age_ms = age_at_receipt_ms(v),
        .lifetime_ms = stated_ms >= 0 ? stated_ms : unstated_lifetime_ms(v, status_lifetime_ms),
        .swr_s = window_s(v->cc.stale_while_revalidate),
        .sie_s = window_s(v->cc.stale_if_error),
        .flags = flags_of(v, stated_ms >= 0),
    };
}

/* --- may it be stored (3, 3.5, 5.2.2.3) ------------------------------------------------------- */

/* Final statuses that RFC 9110 15 defines: what must-understand calls understood. */
static bool status_is_known(uint16_t s)
{
    return (s >= 200 && s <= 206) || (s >= 300 && s <= 308 && s != 306) || (s >= 400 && s <= 417) ||
           s == 421 || s == 422 || s == 426 || (s >= 500 && s <= 505);
}

static bool request_forbids(const struct cache_policy *p, const struct headers *req)
{
    struct cache_control cc;
    cache_control_read(req, &cc);
    return cc.directives & CC_NO_STORE && !p->ignore_client_no_store;
}

static enum storable response_allows(const struct verdict *v)
{
    uint32_t d = v->cc.directives;
    if (d & CC_MUST_UNDERSTAND && !status_is_known(v->status))
        return STORE_UNDERSTAND;
    if (d & CC_NO_STORE && !(d & CC_MUST_UNDERSTAND))
        return STORE_RESPONSE;
    return d & CC_PRIVATE || v->cc.private_fields.at ? STORE_RESPONSE : STORE_YES;
}

static bool authorization_allows(const struct verdict *v, const struct headers *req)
{
    return !headers_find(req, FIELD_AUTHORIZATION) || v->cc.s_maxage >= 0 ||
           v->cc.directives & (CC_PUBLIC | CC_MUST_REVALIDATE);
}

/* What only answers a condition or a Range of this one request says nothing to others. */
static bool status_is_storable(uint16_t status, const struct headers *req)
{
    switch (status) {
    case 206:
    case 304: return false;
    case 412:
        return !headers_find(req, FIELD_IF_MATCH) && !headers_find(req, FIELD_IF_NONE_MATCH) &&
               !headers_find(req, FIELD_IF_UNMODIFIED_SINCE);
    case 416: return !headers_find(req, FIELD_RANGE);
    default: return status >= 200;
    }
}

enum storable freshness_judge(const struct cache_policy *p, enum method method,
                              const struct headers *req, uint16_t status, const struct headers *res,
                              const struct exchange_clock *t, int64_t status_lifetime_ms,
                              struct freshness *out)
{
    struct verdict v = {.policy = p, .res = res, .status = status, .clock = t};
    v.targeted = governing_read(p, res, &v.cc);
    if (!date_read(&v, FIELD_DATE, &v.date_s))
        v.date_s = t->received_ms / 1000;
    freshness_read(&v, status_lifetime_ms, out);

    enum storable allows = response_allows(&v);
    if (method != METHOD_GET)
        return STORE_METHOD;
    if (request_forbids(p, req))
        return STORE_REQUEST;
    if (allows != STORE_YES)
        return allows;
    if (vary_any(res))
        return STORE_VARY;
    if (!authorization_allows(&v, req))
        return STORE_AUTHORIZATION;
    if (headers_find(res, FIELD_SET_COOKIE) && !(out->flags & FRESH_EXPLICIT))
        return STORE_COOKIE;
    if (out->lifetime_ms <= 0 && !(out->flags & FRESH_VALIDATOR))
        return STORE_NO_LIFETIME;
    return status_is_storable(status, req) ? STORE_YES : STORE_STATUS;
}

const char *storable_text(enum storable s)
{
    static const char *const texts[STORE_COUNT] = {
        [STORE_YES] = "stored",
        [STORE_METHOD] = "method",
        [STORE_REQUEST] = "request no-store",
        [STORE_RESPONSE] = "no-store or private",
        [STORE_UNDERSTAND] = "must-understand",
        [STORE_VARY] = "vary *",
        [STORE_AUTHORIZATION] = "authorization",
        [STORE_COOKIE] = "set-cookie",
        [STORE_NO_LIFETIME] = "no lifetime",
        [STORE_STATUS] = "status",
    };
    ASSERT(s < STORE_COUNT);
    return texts[s];
}

/* --- a client's own terms (5.2.1) ------------------------------------------------------------- */

static int64_t ms_of(int64_t seconds)
{
    return seconds < 0 || seconds == INT64_MAX ? seconds : seconds * 1000;
}

void request_terms_read(const struct headers *req, enum client_control how,
                        struct request_terms *out)
{
    struct cache_control cc;
    *out = (struct request_terms){.max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};
    if (how == CLIENT_CONTROL_IGNORE)
        return;
    cache_control_read(req, &cc);
    out->no_store = cc.directives & CC_NO_STORE;
    out->only_if_cached = cc.directives & CC_ONLY_IF_CACHED;
    if (how != CLIENT_CONTROL_FULL)
        return;
    out->no_cache = cc.directives & CC_NO_CACHE || cc.no_cache_fields.at;
    out->max_age_ms = ms_of(cc.max_age);
    out->min_fresh_ms = ms_of(cc.min_fresh);
    out->max_stale_ms = ms_of(cc.max_stale);
}

/* --- use of what is stored (4.2.4, RFC 5861) -------------------------------------------------- */

/* RFC 9111 4.2.4 forbids any stale answer under s-maxage. Servers that send it together with
 * stale-while-revalidate or stale-if-error mean both, and so do we unless told otherwise. */
static bool window_allowed(const struct cache_policy *p, const struct freshness *f)
{
    if (f->flags & FRESH_NO_CACHE)
        return false;
    return !(f->flags & FRESH_MUST_VALIDATE) || (f->flags & FRESH_BY_S_MAXAGE && !p->strict_stale);
}

/* For how long after expiry; the response's word counts more than the policy's. */
static int64_t window_ms(int32_t stated_s, int64_t policy_ms)
{
    return stated_s >= 0 ? (int64_t)stated_s * 1000 : policy_ms;
}

/* Does the client ask for something newer than this? */
static bool terms_refuse(const struct request_terms *r, int64_t age_ms, int64_t left_ms)
{
    return r->no_cache || (r->max_age_ms >= 0 && age_ms >= r->max_age_ms) ||
           (r->min_fresh_ms >= 0 && left_ms < r->min_fresh_ms);
}

/* max-stale: past its lifetime, or past the client's own max-age, by no more than this. */
static bool terms_accept_stale(const struct request_terms *r, const struct freshness *f,
                               int64_t age_ms, int64_t left_ms)
{
    bool forbidden = left_ms <= 0 && f->flags & FRESH_MUST_VALIDATE;
    int64_t past_ms = -left_ms;
    if (r->max_stale_ms < 0 || r->no_cache || r->min_fresh_ms >= 0 || forbidden)
        return false;
    if (r->max_age_ms >= 0)
        past_ms = max_of(past_ms, age_ms - r->max_age_ms);
    return past_ms <= r->max_stale_ms;
}

enum usability freshness_use(const struct cache_policy *p, const struct freshness *f,
                             const struct request_terms *r, int64_t now_ms)
{
    int64_t age_ms = freshness_age_ms(f, now_ms), left_ms = f->lifetime_ms - age_ms;
    bool refused = terms_refuse(r, age_ms, left_ms);
    if (f->flags & FRESH_NO_CACHE)
        return USE_AFTER_VALIDATION;
    if (left_ms > 0 && !refused)
        return USE_FRESH;
    if (!refused && window_allowed(p, f) && -left_ms < window_ms(f->swr_s, p->swr_ms))
        return USE_STALE_REVALIDATE;
    return terms_accept_stale(r, f, age_ms, left_ms) ? USE_STALE_ALLOWED : USE_AFTER_VALIDATION;
}

bool freshness_if_error(const struct cache_policy *p, const struct freshness *f, int64_t now_ms)
{
    int64_t window = window_ms(f->sie_s, p->sie_ms);
    return window > 0 && window_allowed(p, f) && -freshness_left_ms(f, now_ms) < window;
}

bool freshness_if_dead(const struct cache_policy *p, const struct freshness *f, int64_t now_ms)
{
    int64_t left_ms = freshness_left_ms(f, now_ms);
    if (f->flags & FRESH_NO_CACHE)
        return false;
    if (left_ms > 0 || freshness_if_error(p, f, now_ms)) /* RFC 5861 4: it is an error, too */
        return true;
    return !(f->flags & FRESH_MUST_VALIDATE) && -left_ms < p->stale_max_ms;
}
