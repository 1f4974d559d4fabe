/* cache_slice.c - `slice=SIZE`: what is large is fetched and stored in pieces of one size, each
 * under a key of its own, so that a part of a film costs a part of it, and is stored for the next
 * who wants another.
 *
 * The client's request never goes to the server itself: every piece that is not there is fetched
 * behind it (headless.h) by whoever needs it first, and read while it comes. Pieces of one answer
 * must be of one representation, by the same entity tag and length; when the server has changed it
 * meanwhile the answer breaks off. What is no part of anything (a server that knows no ranges, a
 * 404) is stored under the URL itself, as if there were no slices. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/purge.h"
#include "filter/cache_priv.h"
#include "http/range.h"

enum piece { PIECE_READY, PIECE_WAIT, PIECE_NONE };

struct slicer {
    struct cache_state *s;
    struct cache_key key;         /* of the URL */
    uint64_t size;                /* of a piece */
    uint64_t at, end;             /* what is still to be sent */
    uint64_t until;               /* as far as the piece at hand has to go */
    struct object_shared *object; /* counted: the piece at hand */
    struct content_shared *content;
    struct content_reader reader;
    struct fill_shared *fill; /* counted: it waits for it */
    struct waiter *waiter;
    uint8_t failures; /* fetches of this piece that brought nothing to send */
    bool reading;
    bool sending; /* the head has been made: no way back */
};

enum { FAILURES_MAX = 2 /* what comes may never be to the client's liking */ };

struct slice cache_slice_key(struct exchange *x, const struct cache_key *url, uint64_t size,
                             uint64_t index)
{
    return arena_printf(&x->arena, "%.*s\nslice %llu %llu", SLICE_ARG(url->text),
                        (unsigned long long)size, (unsigned long long)index);
}

/* --- one piece -------------------------------------------------------------------------------- */

static void fill_slices(struct body *b);

static void woken(void *ctx)
{
    struct slicer *z = ctx;
    struct body *b = &z->s->x->res_body;
    if (!z->sending)
        exchange_wake(z->s->x);
    else if (b->producer == z)
        fill_slices(b);
}

static void piece_drop(struct slicer *z)
{
    if (z->reading)
        content_reader_close(&z->reader);
    if (z->object)
        object_drop(z->object);
    if (z->content)
        content_drop(z->content);
    z->reading = false;
    z->object = NULL;
    z->content = NULL;
}

static void wait_end(struct slicer *z)
{
    if (z->waiter) {
        fill_unwait(z->fill, z->waiter);
        waiter_close(z->waiter);
    }
    if (z->fill)
        fill_drop(z->fill);
    z->waiter = NULL;
    z->fill = NULL;
}

/* PIECE_READY: look again. */
static enum piece wait_over(struct slicer *z)
{
    enum fill_outcome o = fill_outcome(z->fill);
    if (o == FILL_PENDING)
        return PIECE_WAIT;
    wait_end(z);
    z->failures++; /* until it is found */
    return o == FILL_PASS ? PIECE_NONE : PIECE_READY;
}

static enum piece wait_begin(struct slicer *z)
{
    z->waiter = waiter_new(&z->s->x->worker->loop, woken, z);
    if (z->waiter && fill_wait(z->fill, z->waiter))
        return PIECE_WAIT;
    bool no_memory = !z->waiter;
    enum piece p = no_memory ? PIECE_NONE : wait_over(z);
    wait_end(z);
    return p;
}

/* Fetches it behind this request, which waits like everybody else. */
static bool fetch(struct slicer *z, struct cache_result *r, uint64_t index)
{
    struct cache_background b = {.found = r->object,
                                 .content = r->content,
                                 .fill = r->fill,
                                 .slice_bytes = z->size,
                                 .slice_index = index};
    return cache_background_begin(z->s->x, z->s, &b);
}

static void result_drop(struct cache_result *r)
{
    if (r->object)
        object_drop(r->object);
    if (r->content)
        content_drop(r->content);
    r->object = NULL;
    r->content = NULL;
}

static bool is_usable(const struct cache_result *r, enum usability use)
{
    return r->object && (r->match == MATCH_FRESH || use == USE_STALE_REVALIDATE);
}

static enum piece take_found(struct slicer *z, struct cache_result *r, uint64_t index)
{
    if (r->leads)
        (void)fetch(z, r, index);
    else if (r->fill)
        fill_drop(r->fill);
    z->object = r->object;
    z->content = r->content;
    z->failures = 0;
    return PIECE_READY;
}

static void fetch_leave(struct cache_result *r)
{
    if (r->leads)
        fill_leave(r->fill);
    else if (r->fill)
        fill_drop(r->fill);
    r->fill = NULL;
}

/* Nobody has it: the fetch of who leads, or one's own, is waited for. */
static enum piece await_fetch(struct slicer *z, struct cache_result *r, uint64_t index)
{
    bool under_way = true;
    bool forbidden = z->s->terms.only_if_cached && !z->sending;
    if (!r->fill || forbidden || z->failures >= FAILURES_MAX) {
        fetch_leave(r);
        result_drop(r);
        return PIECE_NONE;
    }
    z->fill = fill_take(r->fill);
    if (r->leads)
        under_way = fetch(z, r, index);
    else
        fill_drop(r->fill);
    result_drop(r);
    if (!under_way) {
        wait_end(z);
        return PIECE_NONE;
    }
    return wait_begin(z);
}

static enum piece piece_take(struct slicer *z, uint64_t index)
{
    struct exchange *x = z->s->x;
    enum piece p = z->fill ? wait_over(z) : PIECE_READY;
    while (p == PIECE_READY) {
        struct cache_key k;
        struct cache_result r;
        struct slice text = cache_slice_key(x, &z->key, z->size, index);
        if (!text.at)
            return PIECE_NONE;
        cache_key_init(&k, text);
        enum usability use = cache_find(x, z->s, &k, &r);
        if (is_usable(&r, use))
            return take_found(z, &r, index);
        p = await_fetch(z, &r, index);
    }
    return p;
}

static bool piece_range(const struct object_shared *o, struct content_range *out)
{
    return content_range_parse(object_field(o, FIELD_CONTENT_RANGE), out) &&
           out->total != UINT64_MAX;
}

/* --- the body --------------------------------------------------------------------------------- */

/* It must be of the same representation as the first. */
static bool fits(const struct slicer *z, const struct object_shared *o)
{
    struct content_range mine, theirs;
    const struct object_shared *head = z->s->found;
    return piece_range(o, &mine) && piece_range(head, &theirs) && mine.total == theirs.total &&
           slice_eq(object_field(o, FIELD_ETAG), object_field(head, FIELD_ETAG)) &&
           slice_eq(object_field(o, FIELD_LAST_MODIFIED), object_field(head, FIELD_LAST_MODIFIED));
}

/* Which of them are old, only the server knows. */
static void all_forget(struct slicer *z)
{
    uint64_t id;
    struct purge_order order = {PURGE_URL, PURGE_HARD, cache_key_url(&z->key)};
    if (purge_add(cache_of(z->s->x), &order, &id) != ERR_OK)
        cache_remove(cache_of(z->s->x), z->object);
}

static enum err piece_open(struct slicer *z, uint64_t index)
{
    struct exchange *x = z->s->x;
    uint64_t from = z->at - index * z->size, left = z->end - z->at;
    uint64_t to = from + left < z->size ? from + left : z->size;
    z->until = z->at + (to - from);
    if (!fits(z, z->object)) {
        all_forget(z);
        return ERR_CACHE_CHANGED;
    }
    if (!z->content)
        z->content = cache_load(cache_of(x), z->object, from, to - from);
    if (!z->content ||
        !content_reader_open(&z->reader, z->content, &x->worker->loop, from, to, woken, z))
        return ERR_CACHE_LOST;
    z->reading = true;
    return ERR_OK;
}

/* ERR_HOLD: until woken. */
static enum err piece_next(struct slicer *z)
{
    uint64_t index = z->at / z->size;
    switch (piece_take(z, index)) {
    case PIECE_WAIT: return ERR_HOLD;
    case PIECE_NONE: return ERR_CACHE_LOST;
    case PIECE_READY: break;
    }
    return piece_open(z, index);
}

static enum err piece_read(struct slicer *z, struct body *b)
{
    struct slice bytes;
    struct chunk_shared *chunk;
    switch (content_read_next(&z->reader, SIZE_MAX, &bytes, &chunk)) {
    case CONTENT_BYTES: z->at += bytes.len; return cache_lend(z->s->x, b, bytes, chunk);
    case CONTENT_WAIT: return ERR_HOLD;
    case CONTENT_LOST: return ERR_CACHE_LOST;
    case CONTENT_END: break;
    }
    if (z->at != z->until) /* it says that it has more bytes than it has */
        return ERR_CACHE_LOST;
    piece_drop(z);
    return ERR_OK;
}

/* Nothing more comes of it, and nothing is waited for. What can not be read is as if it were not
 * there. */
static void slices_fail(struct slicer *z, struct body *b, enum err e)
{
    if (e == ERR_CACHE_LOST && z->object)
        cache_remove(cache_of(z->s->x), z->object);
    cache_slices_end(z->s);
    body_fail(b, e);
}

static void fill_slices(struct body *b)
{
    struct slicer *z = b->producer;
    enum err e = ERR_OK;
    if (b->ended || b->err != ERR_OK)
        return;
    while (e == ERR_OK && z->at < z->end && body_room(b) > 0)
        e = z->reading ? piece_read(z, b) : piece_next(z);
    b->starved = z->at < z->end;
    if (e != ERR_OK && e != ERR_HOLD)
        slices_fail(z, b, e);
    else if (z->at == z->end)
        body_end(b);
}

enum err cache_slices_start(struct cache_state *s, uint64_t first, uint64_t length)
{
    struct slicer *z = s->slicer;
    struct body *b = &s->x->res_body;
    z->at = first;
    z->end = first + length;
    z->sending = true;
    b->producer = z;
    b->want = fill_slices;
    fill_slices(b);
    return b->err;
}

/* --- the request ------------------------------------------------------------------------------ */

/* Where the range begins, when that can be told without the length; else at the first piece. */
static uint64_t first_index(const struct cache_state *s, uint64_t size)
{
    struct ranges r;
    bool counts_from_end = s->range.len > 6 && s->range.at[6] == '-';
    if (!s->range.at || counts_from_end || ranges_parse(s->range, UINT64_MAX, &r) != RANGE_PARTS ||
        r.count != 1)
        return 0;
    return r.at[0].first / size;
}

static enum verdict slices_refused(struct exchange *x, struct cache_state *s)
{
    s->slicer = NULL;
    s->alone = true;
    return cache_look(x, s);
}

/* The first piece tells of the whole. */
static enum verdict slices_serve(struct exchange *x, struct cache_state *s)
{
    struct slicer *z = s->slicer;
    struct content_range r;
    if (!piece_range(z->object, &r)) {
        cache_remove(cache_of(x), z->object);
        piece_drop(z);
        return slices_refused(x, s);
    }
    s->found = object_take(z->object);
    s->sliced_total = r.total;
    piece_drop(z);
    enum err e = cache_serve(x, s, SERVED_HIT);
    if (e == ERR_OK)
        return ANSWERED;
    x->err = e;
    return FAILED;
}

/* Is it stored as a whole, fresh or not? Then slices have no part in it. */
static bool is_whole(struct exchange *x, struct cache_state *s)
{
    struct cache_result r;
    bool was = s->alone;
    s->alone = true;
    (void)cache_find(x, s, &s->key, &r);
    s->alone = was;
    bool there = r.object != NULL;
    result_drop(&r);
    return there;
}

static struct slicer *slicer_new(struct exchange *x, struct cache_state *s)
{
    struct slicer *z = ARENA_NEW(&x->arena, struct slicer);
    if (z)
        *z = (struct slicer){.s = s, .key = s->key, .size = (uint64_t)s->conf->slice_bytes};
    return z;
}

enum verdict cache_slices_look(struct exchange *x, struct cache_state *s)
{
    if (is_whole(x, s)) {
        cache_slices_end(s);
        s->slicer = NULL;
        return cache_look(x, s);
    }
    if (!s->slicer)
        s->slicer = slicer_new(x, s);
    if (!s->slicer || cache_is_private(x, s)) /* it could not wait for the next that is missing */
        return slices_refused(x, s);
    switch (piece_take(s->slicer, first_index(s, s->slicer->size))) {
    case PIECE_WAIT: return WAIT;
    case PIECE_READY: return slices_serve(x, s);
    default: return slices_refused(x, s);
    }
}

void cache_slices_end(struct cache_state *s)
{
    if (!s->slicer)
        return;
    wait_end(s->slicer);
    piece_drop(s->slicer);
}

/* --- the fetch of a piece --------------------------------------------------------------------- */

enum err cache_slice_ask(struct exchange *x, const struct cache_state *s)
{
    uint64_t first = s->slice_index * s->slice_bytes;
    struct slice value = arena_printf(&x->arena, "bytes=%llu-%llu", (unsigned long long)first,
                                      (unsigned long long)(first + s->slice_bytes - 1));
    if (!value.at)
        return ERR_OVER_BUDGET;
    return headers_add_id(&x->req.headers, &x->arena, FIELD_RANGE, value);
}

bool cache_slice_came(const struct exchange *x, const struct cache_state *s)
{
    struct content_range r;
    uint64_t first = s->slice_index * s->slice_bytes;
    return x->res.status == 206 &&
           content_range_parse(headers_get(&x->res.headers, FIELD_CONTENT_RANGE), &r) &&
           r.total != UINT64_MAX && r.first == first &&
           (r.last + 1 == r.total || r.last + 1 == first + s->slice_bytes);
}
