/* freshness.h - what RFC 9111 says of one response: may it be stored, how long is it fresh, and
 * what may be done with it afterwards. Pure: times are handed in, Unix milliseconds.
 *
 * Targeted fields (RFC 9213) that govern stand in for Cache-Control, Expires and Pragma. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/cache_control.h"
#include "http/message.h"

enum { TARGETED_MAX = 8 };

/* What the owner of a route wants; zeroed is nothing: cache_policy_default(). */
struct cache_policy {
    struct slice targeted[TARGETED_MAX]; /* fields in order of preference */
    uint32_t targeted_count;
    int64_t lifetime_ms;      /* of responses that state none; 0: the heuristic, if any */
    int64_t heuristic;        /* hundredths of a percent of the time since Last-Modified; 0: none */
    int64_t heuristic_max_ms; /* cap */
    int64_t stale_max_ms;     /* after expiry: when the server is dead */
    int64_t swr_ms, sie_ms;   /* for responses that do not say; 0: none */
    bool keep_set_cookie;     /* store Set-Cookie, too */
    bool strict_stale;        /* s-maxage forbids stale-while-revalidate and -if-error, too */
    bool ignore_client_no_store; /* CLIENT_CONTROL_IGNORE: the request's no-store means nothing */
};

void cache_policy_default(struct cache_policy *p);

enum freshness_flag {
    FRESH_NO_CACHE = 1,      /* unqualified: to be validated every time */
    FRESH_MUST_VALIDATE = 2, /* must-revalidate, proxy-revalidate or s-maxage: RFC 9111 4.2.4 */
    FRESH_NO_FIELDS = 4,     /* no-cache="...": these are left out unless just validated */
    FRESH_EXPLICIT = 8,      /* the lifetime was stated */
    FRESH_PUBLIC = 16,
    FRESH_VALIDATOR = 32,     /* ETag or Last-Modified is there */
    FRESH_STRIP_COOKIES = 64, /* Set-Cookie is there and not to be stored */
    FRESH_BY_S_MAXAGE = 128,  /* FRESH_MUST_VALIDATE, but only s-maxage says so */
};

/* Of a stored response; part of its object. */
struct freshness {
    int64_t received_ms; /* Unix */
    int64_t age_ms;      /* then */
    int64_t lifetime_ms;
    int32_t swr_s, sie_s; /* 0: none; negative: not stated, the policy's count */
    uint32_t flags;       /* enum freshness_flag */
};

enum storable {
    STORE_YES,
    STORE_METHOD,        /* not GET */
    STORE_REQUEST,       /* the request said no-store */
    STORE_RESPONSE,      /* no-store, private */
    STORE_UNDERSTAND,    /* must-understand with a status that is not */
    STORE_VARY,          /* "*" */
    STORE_AUTHORIZATION, /* and nothing that allows it */
    STORE_COOKIE,        /* Set-Cookie without an explicit lifetime */
    STORE_NO_LIFETIME,   /* neither freshness nor a validator */
    STORE_STATUS,        /* 206, 304, interim; 412, 416 to a condition or a Range. Asked last: a 206
                          * that is refused for it may be kept as a part */
    STORE_COUNT
};

struct exchange_clock {
    int64_t sent_ms, received_ms; /* Unix: request sent, response head received */
};

/* Judges a response to `req` and computes *out (also when it may not be stored, as far as it can).
 * `status_lifetime_ms`: what the configuration gives this status when the response states nothing;
 * negative: nothing special. `method`: of the request that is answered; POST with
 * Content-Location is the caller's case: it passes METHOD_GET then. */
enum storable freshness_judge(const struct cache_policy *p, enum method method,
                              const struct headers *req, uint16_t status, const struct headers *res,
                              const struct exchange_clock *t, int64_t status_lifetime_ms,
                              struct freshness *out);
const char *storable_text(enum storable s); /* for logs and Cache-Status: "no lifetime" */
/* FRESH_NO_FIELDS: the names in no-cache="..." of the governing field; .at NULL: none. */
struct slice freshness_hidden_fields(const struct cache_policy *p, const struct headers *res);

int64_t freshness_age_ms(const struct freshness *f, int64_t now_ms);
static inline int64_t freshness_left_ms(const struct freshness *f, int64_t now_ms)
{
    return f->lifetime_ms - freshness_age_ms(f, now_ms); /* > 0: fresh */
}

/* What a client's own directives change (RFC 9111 5.2.1). */
struct request_terms {
    bool no_store, no_cache, only_if_cached;
    int64_t max_age_ms, min_fresh_ms, max_stale_ms; /* -1: not given; max_stale INT64_MAX: any */
};

enum client_control {
    CLIENT_CONTROL_IGNORE,
    CLIENT_CONTROL_BASIC /* no-store, only-if-cached */,
    CLIENT_CONTROL_FULL
};
void request_terms_read(const struct headers *req, enum client_control how,
                        struct request_terms *out);

/* May it be sent without asking the server? */
enum usability {
    USE_FRESH,
    USE_STALE_REVALIDATE, /* at once, and validated in the background (RFC 5861 3) */
    USE_STALE_ALLOWED,    /* max-stale of the client */
    USE_AFTER_VALIDATION,
};
enum usability freshness_use(const struct cache_policy *p, const struct freshness *f,
                             const struct request_terms *r, int64_t now_ms);
/* The server answered 500, 502, 503 or 504 (RFC 5861 4). */
bool freshness_if_error(const struct cache_policy *p, const struct freshness *f, int64_t now_ms);
/* No answer came at all (RFC 9111 4.2.4). */
bool freshness_if_dead(const struct cache_policy *p, const struct freshness *f, int64_t now_ms);
