/* cache_priv.h - what the parts of the filter `cache` share: its configuration, and what it knows
 * of one request. Private to filter/cache*.c. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/store.h"
#include "http/conditional.h"
#include "http/range.h"
#include "proxy/build.h"
#include "proxy/coded.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/route.h"
#include "proxy/transform.h"

struct condition;
struct template;

enum {
    CACHE_STATUSES_MAX = 64,
    CACHE_CONDITIONS_MAX = 16,
    CACHE_PURGERS_MAX = 64,
    CACHE_OTHERS_MAX = 8
};

struct status_lifetime {
    uint16_t status;
    int64_t ms;
};

struct cache_conditions {
    const struct condition *at[CACHE_CONDITIONS_MAX];
    uint32_t count;
};

/* Of one route; in the snapshot. */
struct cache_conf {
    struct cache_policy policy;
    int64_t lifetime_ms, heuristic, swr_ms, sie_ms, stale_max_ms; /* CONF_OFF: none */
    int64_t min_uses, client_control, set_cookie, object_max_bytes, slice_bytes;
    bool strict, status, ignore_query, has_query_names;
    struct slice targeted_words, query_words, key_word;
    const struct template *key;
    struct status_lifetime statuses[CACHE_STATUSES_MAX];
    uint32_t status_count;
    struct cache_conditions bypass, refresh;
    struct addr_prefix purgers[CACHE_PURGERS_MAX];
    uint32_t purger_count;
    struct conf_pos pos;
};

extern const struct directive cache_rows[]; /* cache_conf.c */
void cache_explain(const void *conf, struct explain *e);

enum cache_role {
    ROLE_NONE,   /* not the cache's */
    ROLE_LOOK,   /* looks up, perhaps waits for another's fetch */
    ROLE_ASK,    /* the server is asked: its answer may be stored */
    ROLE_UNSAFE, /* what it names may be out of date after it */
    ROLE_SERVED, /* a stored response answers it */
};

/* Of one request; zeroed at first, in its arena. */
struct cache_state {
    const struct cache_conf *conf;
    struct exchange *x;
    struct cache_key key;
    struct cache_key url_key; /* with slice_bytes: of what the piece is of */
    struct request_terms terms;
    struct conditions conditions;
    struct slice range;   /* .at NULL: none */
    struct headers asked; /* as they were when it was looked up: what Vary selects by */
    uint8_t role;         /* enum cache_role */
    uint8_t failures;     /* of those that it waited for */
    bool leads, alone, pass, validating, head_only, saw_others, stored;
    bool lost;     /* what was found could not be read: look again */
    bool offering; /* the server was told the tags of `others` */
    struct object_shared *others[CACHE_OTHERS_MAX]; /* counted: variants that do not fit */
    uint32_t other_count;
    struct slicer *slicer; /* the client's request, in pieces; NULL: none */
    uint64_t sliced_total; /* bytes of what the pieces are of; 0: not known */
    uint64_t slice_bytes;  /* it fetches a piece; 0: no */
    uint64_t slice_index;
    struct fill_shared *fill;       /* counted; NULL: none */
    struct waiter *waiter;          /* of the fill; NULL: it does not wait */
    struct object_shared *found;    /* counted: what is served or validated */
    struct content_shared *content; /* counted: of it */
    struct content_reader reader;   /* what the client gets is read by it */
    bool reading;
    bool loading; /* its first bytes are to come from the disk before anything is sent */
    struct object_shared *storing;  /* counted: the answer that passes */
    struct content_shared *filling; /* counted: of it */
    struct transform tap;
    struct waiter *tap_waiter;
    struct coded_shelf shelf;    /* forms of what is sent, for who codes */
    struct content_shared *form; /* counted: the one that is being made; NULL: none */
    struct content_reader form_reader;
    struct transform form_tap;
    uint8_t form_coding; /* enum coding */
    uint64_t born;       /* when the server was asked, in the store's order */
    const char *forward; /* why, as Cache-Status tells it; NULL: it was not forwarded */
    uint16_t forward_status;
    int64_t age_ms, left_ms; /* of what was served, for Cache-Status */
};

static inline struct cache_shared *cache_of(const struct exchange *x)
{
    return x->worker->cache;
}

static inline int64_t cache_unix_ms(const struct exchange *x)
{
    return x->worker->loop.unix_ms;
}

/* cache.c */
void cache_count(const struct exchange *x, enum cache_event e, uint64_t n);
/* Ends the leading of a fetch, if it does. */
void cache_answer(struct cache_state *s, enum fill_outcome o);

void cache_others_drop(struct cache_state *s);

/* cache_key.c: the URL and what else tells apart. ERR_OVER_BUDGET. */
enum err cache_key_make(struct exchange *x, const struct cache_conf *c,
                        struct cache_key *out) MUST_CHECK;
/* The URL of a Location or Content-Location on the same host; .at NULL: elsewhere. */
struct slice cache_url_resolve(struct exchange *x, const struct cache_key *base,
                               struct slice reference);

/* cache_look.c: looks up, and says what to do: answers, waits, or goes on to the server. */
enum verdict cache_look(struct exchange *x, struct cache_state *s);
/* Goes on to the server; what it needs to validate is put into the request. */
enum verdict cache_ask(struct exchange *x, struct cache_state *s);

/* Looks up for s's request, by another key; `out` is the caller's. */
enum usability cache_find(struct exchange *x, struct cache_state *s, const struct cache_key *k,
                          struct cache_result *out);

/* What it asks for is for itself: it neither leads nor waits. */
bool cache_is_private(const struct exchange *x, const struct cache_state *s);

/* A fetch that runs behind a request, for the same key. Takes over `fill`, which leads, also when
 * it fails. */
struct cache_background {
    struct object_shared *found; /* to be validated; NULL: none */
    struct content_shared *content;
    struct fill_shared *fill;
    uint64_t slice_bytes, slice_index;
};
bool cache_background_begin(struct exchange *x, const struct cache_state *s,
                            const struct cache_background *what);

/* cache_slice.c. Of the client's request: as cache_look(), and its body from there on. */
enum verdict cache_slices_look(struct exchange *x, struct cache_state *s);
enum err cache_slices_start(struct cache_state *s, uint64_t first, uint64_t length) MUST_CHECK;
void cache_slices_end(struct cache_state *s);
/* Of the fetch of a piece. .at NULL: out of budget. */
struct slice cache_slice_key(struct exchange *x, const struct cache_key *url, uint64_t size,
                             uint64_t index);
enum err cache_slice_ask(struct exchange *x, const struct cache_state *s) MUST_CHECK;
bool cache_slice_came(const struct exchange *x, const struct cache_state *s); /* as it was asked */

/* What Vary selects by is what came, whatever later filters make of it: into s->asked. */
enum err cache_remember(struct exchange *x, struct cache_state *s) MUST_CHECK;

/* cache_serve.c: answers with s->found. `validated`: the server has just said that it holds. */
enum cache_served { SERVED_HIT, SERVED_STALE, SERVED_VALIDATED };
enum err cache_serve(struct exchange *x, struct cache_state *s, enum cache_served how) MUST_CHECK;
/* Once s->loading is set: CONTENT_WAIT, or whether the answer can be sent. CONTENT_LOST: it can
 * not. */
enum content_read cache_loaded(struct exchange *x, struct cache_state *s);
/* The bytes that `range` asks for, if the stored 206 has them. */
bool cache_part_find(const struct object_shared *o, struct slice range, struct range *out);
/* Pushes bytes where they lie in the store; takes over the count on `chunk`. */
enum err cache_lend(struct exchange *x, struct body *b, struct slice bytes,
                    struct chunk_shared *chunk) MUST_CHECK;
/* Sends s->content from `first` to `end`, as it comes. */
enum err cache_send(struct exchange *x, struct cache_state *s, uint64_t first,
                    uint64_t end) MUST_CHECK;
/* Moves what can be read now into `b`, and ends it at the end. */
enum err cache_feed(struct exchange *x, struct content_reader *r, struct body *b) MUST_CHECK;

/* cache_answer.c: the server's answer, or the page of its failure. */
enum err cache_answered(struct exchange *x, struct cache_state *s) MUST_CHECK;
/* Tells those who wait that it is stored, or lets them go. */
void cache_stored(struct exchange *x, struct cache_state *s, const struct freshness *f);
void cache_unsafe_answered(struct exchange *x, struct cache_state *s);

/* cache_keep.c: stores the response at hand while it passes. False: it is not stored. */
bool cache_keep(struct exchange *x, struct cache_state *s, const struct freshness *f);
/* The answer at hand as a stored response is made of it, without content: for cache_keep() and
 * 304s. */
bool cache_draft(struct exchange *x, struct cache_state *s, const struct headers *h,
                 uint16_t status, const struct freshness *f, struct object_draft *out);
void cache_keep_end(struct cache_state *s); /* the exchange ends */
/* Has anybody but its client use of what is stored? */
bool cache_keep_is_wanted(const struct cache_state *s);

/* cache_coded.c: leaves a shelf for the forms by coding of what is sent now, whole. */
void cache_coded_offer(struct exchange *x, struct cache_state *s);
void cache_coded_end(struct cache_state *s); /* the exchange ends */

/* cache_status.c: Cache-Status (RFC 9211). */
enum err cache_status_add(struct exchange *x, const struct cache_state *s) MUST_CHECK;

/* cache_purge.c: the method PURGE. */
enum verdict cache_purge(struct exchange *x, const struct cache_conf *c);
