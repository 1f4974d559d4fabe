/* cache_serve.c - answering with a stored response: its head as it was stored, a new Age, the
 * client's own conditions and its Range; and the body, read as it is there.
 *
 * Bytes are lent to the connection where they lie in the store; a chunk stays until the last of
 * them is sent. Those of a small body are copied right behind the head: one piece is sent by a
 * cheaper system call, and a lent one costs more than the copy. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "filter/cache_priv.h"
#include "http/http_date.h"
#include "http/range.h"

enum { COPY_MAX_BYTES = 4096 };

/* What a response is sent of. */
struct slot {
    uint16_t status;
    uint64_t first, length; /* of the representation; length CONTENT_LENGTH_UNKNOWN */
    uint64_t total;         /* UINT64_MAX: unknown */
    uint64_t before;        /* bytes of the representation before those that are stored */
    bool has_range, no_body;
};

/* --- the body --------------------------------------------------------------------------------- */

static void chunk_back(void *owner)
{
    chunk_drop(owner);
}

enum err cache_lend(struct exchange *x, struct body *b, struct slice bytes,
                    struct chunk_shared *chunk)
{
    struct buf *buf = buf_lend(&x->worker->loop.bufs, chunk_back, chunk);
    if (!buf) {
        chunk_drop(chunk);
        return ERR_NO_BUFFERS;
    }
    return body_push(b, (struct span){buf, bytes.at, bytes.len});
}

enum err cache_feed(struct exchange *x, struct content_reader *r, struct body *b)
{
    struct slice bytes;
    struct chunk_shared *chunk;
    while (!b->ended && body_room(b) > 0) {
        switch (content_read_next(r, SIZE_MAX, &bytes, &chunk)) {
        case CONTENT_BYTES: TRY(cache_lend(x, b, bytes, chunk)); break;
        case CONTENT_WAIT: return ERR_OK;
        case CONTENT_LOST: return ERR_CACHE_LOST;
        case CONTENT_END: body_end(b); break;
        }
    }
    b->starved = !b->ended;
    return ERR_OK;
}

static void fill(struct body *b)
{
    struct cache_state *s = b->producer;
    enum err e = cache_feed(s->x, &s->reader, b);
    if (e != ERR_OK)
        body_fail(b, e);
}

static void more_came(void *ctx)
{
    struct cache_state *s = ctx;
    struct body *b = &s->x->res_body;
    if (s->loading)
        exchange_wake(s->x);
    else if (b->producer == s && !b->ended && b->err == ERR_OK)
        fill(b);
}

static enum err body_start(struct exchange *x, struct cache_state *s)
{
    x->res_body.producer = s;
    x->res_body.want = fill;
    fill(&x->res_body);
    return x->res_body.err;
}

/* All of it at once; false: it is no small one, or not there yet. */
static bool body_give(struct exchange *x, const struct content_shared *k, uint64_t first,
                      uint64_t end)
{
    struct slice bytes;
    if (end - first > COPY_MAX_BYTES || !content_view(k, &bytes))
        return false;
    /* Nobody counts it: the engine copies it. The content is held until the exchange ends. */
    struct span s = {NULL, bytes.at + first, (size_t)(end - first)};
    if (body_push(&x->res_body, s) == ERR_OK)
        body_end(&x->res_body);
    return true;
}

enum err cache_send(struct exchange *x, struct cache_state *s, uint64_t first, uint64_t end)
{
    struct loop *l = &x->worker->loop;
    if (!s->loading && body_give(x, s->content, first, end))
        return x->res_body.err;
    s->reading = content_reader_open(&s->reader, s->content, l, first, end, more_came, s);
    s->loading &= s->reading;
    if (!s->reading)
        return ERR_CACHE_LOST;
    return s->loading ? ERR_OK : body_start(x, s);
}

/* From the disk when it is not in memory. */
static struct content_shared *content_find(struct exchange *x, struct cache_state *s,
                                           const struct slot *slot)
{
    if (s->content)
        return s->content;
    s->content = cache_load(cache_of(x), s->found, slot->first - slot->before, slot->length);
    s->loading = s->content != NULL;
    return s->content;
}

static enum err body_begin(struct exchange *x, struct cache_state *s, const struct slot *slot)
{
    uint64_t first = slot->first - slot->before;
    uint64_t end = slot->length == CONTENT_LENGTH_UNKNOWN ? UINT64_MAX : first + slot->length;
    if (slot->no_body || x->req.method == METHOD_HEAD)
        return ERR_OK;
    if (s->slicer)
        return cache_slices_start(s, slot->first, slot->length);
    if (slot->length == 0) {
        body_end(&x->res_body);
        return ERR_OK;
    }
    if (!content_find(x, s, slot))
        return ERR_CACHE_LOST;
    return cache_send(x, s, first, end);
}

enum content_read cache_loaded(struct exchange *x, struct cache_state *s)
{
    enum content_read r = content_read_ready(&s->reader);
    if (r == CONTENT_WAIT)
        return r;
    s->loading = false;
    return r == CONTENT_LOST || body_start(x, s) != ERR_OK ? CONTENT_LOST : r;
}

/* --- which part of it? ------------------------------------------------------------------------ */

static uint64_t length_of(const struct cache_state *s)
{
    if (s->content)
        return content_state(s->content) == CONTENT_WHOLE ? content_bytes(s->content)
                                                          : content_length(s->content);
    return object_length(s->found);
}

static struct validators validators_of(const struct exchange *x, const struct cache_state *s)
{
    struct validators v;
    object_validators(s->found, &v, cache_unix_ms(x) / 1000);
    return v;
}

static bool is_not_modified(const struct exchange *x, const struct cache_state *s,
                            const struct slot *slot)
{
    struct conditions c = s->conditions;
    bool asked = c.if_none_match.at || c.if_modified_since.at;
    if (!asked || slot->status != 200)
        return false;
    struct validators v = validators_of(x, s);
    int64_t now_s = cache_unix_ms(x) / 1000;
    c.if_match = c.if_unmodified_since = SLICE_NONE; /* the server's to judge */
    if (v.modified_s == MODIFIED_UNKNOWN &&
        !http_date_parse(object_field(s->found, FIELD_DATE), now_s, &v.modified_s))
        v.modified_s = MODIFIED_UNKNOWN;
    return conditions_evaluate(&c, METHOD_GET, &v, now_s) == CONDITION_NOT_MODIFIED;
}

static void range_choose(const struct exchange *x, const struct cache_state *s, struct slot *slot)
{
    struct ranges r;
    bool may = s->range.at && x->req.method == METHOD_GET && slot->status == 200 &&
               slot->total != CONTENT_LENGTH_UNKNOWN;
    if (!may)
        return;
    struct validators v = validators_of(x, s);
    if (!if_range_holds(&s->conditions, &v, cache_unix_ms(x) / 1000))
        return;
    enum range_kind kind = ranges_parse(s->range, slot->total, &r);
    if (kind == RANGE_UNSATISFIABLE) {
        *slot = (struct slot){.status = 416, .total = slot->total, .no_body = true};
    } else if (kind == RANGE_PARTS && r.count == 1) {
        slot->status = 206;
        slot->first = r.at[0].first;
        slot->length = r.at[0].last - r.at[0].first + 1;
        slot->has_range = true;
    }
}

/* Of a part whose total nobody told only what is asked for from here to there can be found. */
static bool is_closed(struct slice range)
{
    size_t dash = slice_find(range, '-');
    return dash + 1 < range.len && dash > 0 && range.at[dash - 1] != '=';
}

bool cache_part_find(const struct object_shared *o, struct slice range, struct range *out)
{
    uint64_t first, last, total;
    struct ranges r;
    if (!object_range(o, &first, &last, &total) || (total == UINT64_MAX && !is_closed(range)))
        return false;
    if (ranges_parse(range, total == UINT64_MAX ? last + 1 : total, &r) != RANGE_PARTS)
        return false;
    *out = r.at[0];
    return r.count == 1 && r.at[0].first >= first && r.at[0].last <= last;
}

/* A stored 206 holds what was asked for (cache_look.c). */
static void part_choose(const struct cache_state *s, struct slot *slot)
{
    uint64_t first, last, total;
    struct range r;
    if (!object_range(s->found, &first, &last, &total) || !cache_part_find(s->found, s->range, &r))
        return;
    *slot = (struct slot){.status = 206,
                          .first = r.first,
                          .length = r.last - r.first + 1,
                          .before = first,
                          .total = total,
                          .has_range = true};
}

static struct slot slot_choose(const struct exchange *x, const struct cache_state *s)
{
    uint64_t length = s->slicer ? s->sliced_total : length_of(s);
    uint16_t status = s->slicer ? 200 : s->found->status;
    struct slot slot = {.status = status, .length = length, .total = length};
    if (s->found->kind == OBJECT_PART)
        part_choose(s, &slot);
    else if (is_not_modified(x, s, &slot))
        slot = (struct slot){.status = 304, .no_body = true};
    else
        range_choose(x, s, &slot);
    return slot;
}

/* --- the head --------------------------------------------------------------------------------- */

/* RFC 9110 15.4.5. */
static bool stays_in_304(const struct header *h)
{
    switch (h->id) {
    case FIELD_ETAG:
    case FIELD_DATE:
    case FIELD_EXPIRES:
    case FIELD_CACHE_CONTROL:
    case FIELD_VARY:
    case FIELD_AGE:
    case FIELD_CONTENT_LOCATION: return true;
    default: return false;
    }
}

static void head_reduce(struct headers *h)
{
    HEADER_EACH (it, h)
        if (!stays_in_304(it))
            it->dead = true;
}

/* no-cache="..." (RFC 9111 5.2.2.4). */
static void fields_leave_out(struct exchange *x, const struct cache_conf *c)
{
    struct slice name, rest = freshness_hidden_fields(&c->policy, &x->res.headers);
    while (field_list_next(&rest, &name))
        headers_del(&x->res.headers, name);
}

static enum err age_set(struct exchange *x, int64_t age_ms)
{
    struct headers *h = &x->res.headers;
    char *digits = arena_alloc(&x->arena, NUM_U64_MAX_BYTES);
    if (!digits)
        return ERR_OVER_BUDGET;
    size_t len = num_write_u64(digits, age_ms > 0 ? (uint64_t)age_ms / 1000 : 0);
    headers_del_id(h, FIELD_AGE);
    headers_push(h, FIELD_AGE, field_row(FIELD_AGE)->usual, (struct slice){digits, len});
    return ERR_OK;
}

static struct slice content_range_make(struct exchange *x, const struct slot *slot)
{
    unsigned long long first = slot->first, last = slot->first + slot->length - 1;
    unsigned long long total = slot->total;
    if (!slot->has_range)
        return arena_printf(&x->arena, "bytes */%llu", total);
    if (slot->total == UINT64_MAX)
        return arena_printf(&x->arena, "bytes %llu-%llu/*", first, last);
    return arena_printf(&x->arena, "bytes %llu-%llu/%llu", first, last, total);
}

static enum err content_range_set(struct exchange *x, const struct slot *slot)
{
    struct slice value = content_range_make(x, slot);
    if (!value.at)
        return ERR_OVER_BUDGET;
    headers_del_id(&x->res.headers, FIELD_CONTENT_RANGE);
    return headers_add_id(&x->res.headers, &x->arena, FIELD_CONTENT_RANGE, value);
}

static enum err head_make(struct exchange *x, struct cache_state *s, const struct slot *slot,
                          enum cache_served how)
{
    enum length_kind kind = slot->length == CONTENT_LENGTH_UNKNOWN ? LENGTH_UNKNOWN : LENGTH_KNOWN;
    TRY(exchange_respond_body(x, slot->status, kind, slot->no_body ? 0 : slot->length));
    TRY(object_head_get(s->found, &x->arena, &x->res));
    x->res.status = slot->status;
    if (slot->status != s->found->status)
        x->res.reason = SLICE_NONE; /* the usual one */
    s->age_ms = freshness_age_ms(&s->found->freshness, cache_unix_ms(x));
    s->left_ms = freshness_left_ms(&s->found->freshness, cache_unix_ms(x));
    if (s->found->freshness.flags & FRESH_NO_FIELDS && how != SERVED_VALIDATED)
        fields_leave_out(x, s->conf);
    TRY(age_set(x, s->age_ms)); /* the head has room for it */
    if (s->slicer)              /* of its first piece */
        headers_del_id(&x->res.headers, FIELD_CONTENT_RANGE);
    if (slot->status == 304)
        head_reduce(&x->res.headers);
    return slot->has_range || slot->status == 416 ? content_range_set(x, slot) : ERR_OK;
}

static void count_served(const struct exchange *x, struct cache_state *s, enum cache_served how)
{
    static const struct {
        const char *word;
        enum cache_event event;
    } rows[] = {[SERVED_HIT] = {"hit", CACHE_HIT},
                [SERVED_STALE] = {"stale", CACHE_STALE},
                [SERVED_VALIDATED] = {"revalidated", CACHE_REVALIDATED}};
    s->x->cache_word = rows[how].word;
    cache_count(x, rows[how].event, 1);
}

static bool is_whole(const struct cache_state *s, const struct slot *slot)
{
    return s->found->kind == OBJECT_WHOLE && !slot->has_range && !slot->no_body;
}

enum err cache_serve(struct exchange *x, struct cache_state *s, enum cache_served how)
{
    struct slot slot = slot_choose(x, s);
    s->role = ROLE_SERVED;
    TRY(head_make(x, s, &slot, how));
    count_served(x, s, how);
    TRY(body_begin(x, s, &slot));
    if (s->content && is_whole(s, &slot))
        cache_coded_offer(x, s);
    return ERR_OK;
}
