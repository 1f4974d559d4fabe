/* cache_keep.c - storing the response at hand while it passes.
 *
 * Bytes are copied into the store as fast as the server sends them, and the client that asked reads
 * them there like everybody else, at its own pace. A body that turns out too large is only passed
 * on: who reads it already gets it whole, and nothing of it stays. */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "cache/selection.h"
#include "filter/cache_priv.h"
#include "http/range.h"
#include "proxy/headless.h"

/* --- the head --------------------------------------------------------------------------------- */

static bool is_stored(const struct header *h, const struct freshness *f)
{
    if (h->hop || h->id == FIELD_TRAILER || h->id == FIELD_CONTENT_LENGTH)
        return false;
    if (h->id == FIELD_SET_COOKIE)
        return !(f->flags & FRESH_STRIP_COOKIES);
    return true;
}

/* RFC 9110 6.6.1: who stores a response without a Date gives it one. */
static enum err date_ensure(struct exchange *x, struct headers *h, int64_t received_ms)
{
    if (headers_find(h, FIELD_DATE))
        return ERR_OK;
    char *text = arena_alloc(&x->arena, DATE_HTTP_BYTES);
    if (!text)
        return ERR_OVER_BUDGET;
    date_write_http(text, received_ms / 1000);
    return headers_add_id(h, &x->arena, FIELD_DATE, (struct slice){text, DATE_HTTP_BYTES});
}

static enum err headers_choose(struct exchange *x, const struct headers *from,
                               const struct freshness *f, struct headers *out)
{
    *out = (struct headers){0};
    TRY(headers_reserve(out, &x->arena, from->count + 1));
    HEADER_EACH (it, from)
        if (is_stored(it, f))
            headers_push(out, it->id, it->name, it->value);
    return date_ensure(x, out, f->received_ms);
}

/* Surrogate-Key has blanks between tags, Cache-Tag commas. */
static struct slice tags_of(struct exchange *x, const struct headers *h)
{
    static const struct slice names[] = {SLICE_INIT("Surrogate-Key"), SLICE_INIT("Cache-Tag")};
    struct slice all = SLICE("");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (struct header *it = headers_find_name(h, names[i]); it; it = headers_next(h, it))
            all = ARENA_CONCAT(&x->arena, all, SLICE(" "), it->value);
    char *text = (char *)all.at;
    for (size_t i = 0; i < all.len && text != NULL; i++)
        if (text[i] == ',' || text[i] == '\t')
            text[i] = ' ';
    return all;
}

/* Content-Range of a 206; false: not one that tells which bytes of what. */
static bool part_read(const struct headers *h, struct object_draft *d)
{
    struct content_range r;
    if (!content_range_parse(headers_get(h, FIELD_CONTENT_RANGE), &r))
        return false;
    d->first = r.first;
    d->last = r.last;
    d->total = r.total;
    return true;
}

static uint64_t part_variant(const struct object_draft *d)
{
    return d->kind == OBJECT_PART ? d->first * 31 + d->last + 1 : 0;
}

bool cache_draft(struct exchange *x, struct cache_state *s, const struct headers *h,
                 uint16_t status, const struct freshness *f, struct object_draft *d)
{
    struct headers *kept = ARENA_NEW(&x->arena, struct headers);
    if (!kept || headers_choose(x, h, f, kept) != ERR_OK)
        return false;
    *d = (struct object_draft){.key = s->key,
                               .status = status,
                               .headers = kept,
                               .reason = x->res.status == status ? x->res.reason : SLICE_NONE,
                               .vary = vary_names(h, &x->arena),
                               .tags = tags_of(x, h),
                               .site = x->site->names[0].text,
                               .freshness = *f};
    if (status == 206 && !s->slice_bytes) {
        d->kind = OBJECT_PART;
        if (!part_read(h, d) ||
            (x->res.length == LENGTH_KNOWN && x->res.content_length != d->last - d->first + 1))
            return false;
    }
    if (!d->vary.at || !d->tags.at)
        return false;
    d->variant = selection_hash(d->vary, &s->asked) ^ part_variant(d);
    d->variant_without_language = selection_hash_without_language(d->vary, &s->asked);
    return true;
}

/* --- the body --------------------------------------------------------------------------------- */

static uint64_t largest(struct exchange *x, const struct cache_state *s)
{
    struct cache_limits l;
    cache_limits_get(cache_of(x), &l);
    int64_t own = s->conf->object_max_bytes;
    return own >= 0 && (uint64_t)own < l.object_bytes ? (uint64_t)own : l.object_bytes;
}

/* What is too large for memory alone. */
static bool may_go_to_disk(struct cache_state *s)
{
    return s->conf->object_max_bytes < 0 && cache_disk_get(cache_of(s->x)) != NULL;
}

/* It stays with those who read it, and nobody else will, unless the disk does: then it is found
 * again once it is there. */
static void only_pass(struct cache_state *s)
{
    if (may_go_to_disk(s))
        cache_save(cache_of(s->x), s->storing);
    cache_remove(cache_of(s->x), s->storing);
    s->stored = false;
    content_make_passing(s->filling);
}

static enum err take_in(struct cache_state *s, struct span piece)
{
    uint64_t after = content_bytes(s->filling) + piece.len;
    if (!content_is_passing(s->filling) && after > largest(s->x, s))
        only_pass(s);
    return content_append(s->filling, span_slice(piece));
}

static void tap_room(void *ctx)
{
    exchange_wake(ctx);
}

static size_t room_of(struct cache_state *s)
{
    if (content_is_passing(s->filling) && !s->tap_waiter)
        s->tap_waiter = waiter_new(&s->x->worker->loop, tap_room, s->x);
    return content_room(s->filling, s->tap_waiter);
}

static enum err take_all(struct cache_state *s, struct body *from)
{
    size_t room;
    while (from->count > 0 && (room = room_of(s)) > 0) {
        struct span piece = body_take(from, room);
        enum err e = take_in(s, piece);
        span_drop(piece);
        TRY(e);
    }
    return ERR_OK;
}

/* Has a part as many bytes as it says? What it has too few or too many of can not be found in it.
 */
static bool part_fits(const struct object_shared *o, uint64_t bytes)
{
    uint64_t first, last, total;
    return !object_range(o, &first, &last, &total) || bytes == last - first + 1;
}

static void whole(struct cache_state *s)
{
    struct cache_shared *c = cache_of(s->x);
    bool stays = !content_is_passing(s->filling);
    content_end(s->filling);
    if (!stays)
        return;
    if (!part_fits(s->storing, content_bytes(s->filling))) {
        cache_remove(c, s->storing);
        return;
    }
    cache_settle(c, s->storing);
    cache_save(c, s->storing);
    cache_count(s->x, CACHE_STORED, 1);
}

static void broken(struct cache_state *s)
{
    if (content_state(s->filling) != CONTENT_FILLING)
        return;
    cache_remove(cache_of(s->x), s->storing);
    content_break(s->filling);
}

static void tap_fill(struct cache_state *s, struct body *from)
{
    if (content_state(s->filling) != CONTENT_FILLING)
        return;
    if (take_all(s, from) != ERR_OK || (from->err != ERR_OK && from->count == 0))
        broken(s);
    else if (body_done(from))
        whole(s);
}

/* What only passes is for those who read it now: its client's own reader is one of them. */
bool cache_keep_is_wanted(const struct cache_state *s)
{
    if (!s->filling || content_state(s->filling) != CONTENT_FILLING)
        return false;
    return !content_is_passing(s->filling) || content_reader_count(s->filling) > 1;
}

/* It goes on without its client, and by now for nobody else. */
static bool is_in_vain(const struct cache_state *s)
{
    return content_is_passing(s->filling) && content_state(s->filling) == CONTENT_FILLING &&
           headless_is(s->x) && !cache_keep_is_wanted(s);
}

static enum err tap_move(struct transform *t, struct body *from)
{
    struct cache_state *s = CONTAINER_OF(t, struct cache_state, tap);
    tap_fill(s, from);
    if (is_in_vain(s))
        return ERR_CLIENT_CLOSED;
    t->out.trailers = from->trailers; /* to who asked; they are not stored */
    enum err e = cache_feed(s->x, &s->reader, &t->out);
    return e == ERR_CACHE_LOST && from->err != ERR_OK ? from->err : e;
}

static const struct transform_ops TAP = {.move = tap_move};

static void reader_woken(void *ctx)
{
    exchange_wake(((struct cache_state *)ctx)->x);
}

/* --- both ------------------------------------------------------------------------------------- */

static bool is_too_large(struct exchange *x, struct cache_state *s)
{
    return !may_go_to_disk(s) && x->res.length == LENGTH_KNOWN &&
           x->res.content_length > largest(x, s);
}

static struct content_shared *content_make(struct exchange *x)
{
    uint64_t length = x->res.length == LENGTH_NONE    ? 0
                      : x->res.length == LENGTH_KNOWN ? x->res.content_length
                                                      : CONTENT_LENGTH_UNKNOWN;
    return content_new(cache_of(x), 0, length);
}

static bool object_make(struct exchange *x, struct cache_state *s, const struct freshness *f)
{
    struct object_draft d;
    if (!cache_draft(x, s, &x->res.headers, x->res.status, f, &d))
        return false;
    s->filling = content_make(x);
    if (!s->filling)
        return false;
    d.content = s->filling;
    s->storing = object_new(cache_of(x), &d);
    return s->storing && content_reader_open(&s->reader, s->filling, &x->worker->loop, 0,
                                             UINT64_MAX, reader_woken, s);
}

static void give_up(struct cache_state *s)
{
    if (s->storing)
        object_drop(s->storing);
    if (s->filling) {
        content_break(s->filling);
        content_drop(s->filling);
    }
    s->storing = NULL;
    s->filling = NULL;
}

static void passes_on(struct exchange *x, struct cache_state *s)
{
    transform_response(x, &s->tap, &TAP);
    if (s->storing->kind == OBJECT_WHOLE)
        cache_coded_offer(x, s);
}

bool cache_keep(struct exchange *x, struct cache_state *s, const struct freshness *f)
{
    if (is_too_large(x, s))
        return false;
    if (!object_make(x, s, f)) {
        give_up(s);
        return false;
    }
    s->reading = true;
    if (!cache_insert(cache_of(x), s->storing, s->born)) {
        content_reader_close(&s->reader);
        s->reading = false;
        give_up(s);
        return false;
    }
    cache_stored(x, s, f);
    if (x->res.length == LENGTH_NONE)
        whole(s);
    else
        passes_on(x, s);
    return true;
}

void cache_keep_end(struct cache_state *s)
{
    if (s->filling)
        broken(s);
    if (s->reading)
        content_reader_close(&s->reader);
    s->reading = false;
    if (s->tap_waiter)
        waiter_close(s->tap_waiter);
    s->tap_waiter = NULL;
    if (s->storing)
        object_drop(s->storing);
    if (s->filling)
        content_drop(s->filling);
    s->storing = NULL;
    s->filling = NULL;
}
