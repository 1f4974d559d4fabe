/* h1_read.c - received bytes in hand, and from there into a body.
 *
 * Body bytes are never copied: each run becomes a span on the buffer it came in. Only a head or a
 * trailer section that came in several pieces is put together. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1_io_priv.h"

static size_t tail_room(struct span s)
{
    return (size_t)(s.buf->bytes + s.buf->cap - (s.at + s.len));
}

/* Copies what fits of *from behind `to`, whose buffer ends where its bytes do. */
static void append(struct span *to, struct span *from)
{
    size_t room = tail_room(*to), len = from->len < room ? from->len : room;
    memcpy(to->buf->bytes + (to->at - to->buf->bytes) + to->len, from->at, len);
    to->len += len;
    to->buf->len = (uint32_t)(to->at + to->len - to->buf->bytes);
    from->at += len;
    from->len -= len;
}

static enum err move_to_large(struct span *s, struct buf_pool *pool)
{
    struct buf *large = buf_take_reserve(pool, BUF_LARGE);
    if (!large)
        return ERR_NO_BUFFERS;
    struct span moved = {large, large->bytes, 0};
    append(&moved, s);
    buf_drop(s->buf);
    *s = moved;
    return ERR_OK;
}

/* A tail may be written while others hold spans of the same buffer, because those end before it. */
static enum err join(struct h1_in *in, struct buf_pool *pool, struct span s)
{
    if (in->more.len)
        return ERR_HEAD_TOO_LARGE;
    if (tail_room(in->bytes) < s.len && in->bytes.len < BUF_LARGE_BYTES)
        TRY(move_to_large(&in->bytes, pool));
    if (tail_room(in->bytes) == 0)
        return ERR_HEAD_TOO_LARGE;
    append(&in->bytes, &s);
    if (s.len)
        in->more = s;
    else
        span_drop(s);
    return ERR_OK;
}

enum err h1_in_add(struct h1_in *in, struct buf_pool *pool, struct span s)
{
    if (in->bytes.len == 0) {
        in->bytes = s;
        return ERR_OK;
    }
    enum err e = join(in, pool, s);
    if (e)
        span_drop(s);
    return e;
}

/* What `bytes` ends with may go on in `more`: then they are put together before anything is asked
 * for. */
static enum err gather(struct h1_in *in)
{
    struct span rest = in->more;
    in->more = (struct span){0};
    enum err e = join(in, in->bytes.buf->pool, rest);
    if (e)
        span_drop(rest);
    return e;
}

enum err h1_in_head(struct h1_in *in, size_t *len)
{
    enum err e;
    while ((e = h1_head_find(&in->scan, span_slice(in->bytes), in->limits, len)) == ERR_HOLD &&
           in->more.len)
        TRY(gather(in));
    return e;
}

/* The first `len` bytes as a span of their own. */
static struct span cut(struct h1_in *in, size_t len)
{
    struct span front = in->bytes;
    in->consumed_bytes += len;
    front.len = len;
    if (len == in->bytes.len) {
        in->bytes = in->more;
        in->more = (struct span){0};
    } else {
        span_ref(front);
        in->bytes.at += len;
        in->bytes.len -= len;
    }
    return front;
}

void h1_in_skip(struct h1_in *in, size_t len)
{
    if (len)
        span_drop(cut(in, len));
}

void h1_in_drop(struct h1_in *in)
{
    span_drop(in->bytes);
    span_drop(in->more);
    in->bytes = in->more = (struct span){0};
}

void h1_in_begin(struct h1_in *in, enum h1_framing framing, uint64_t length)
{
    in->framing = (uint8_t)framing;
    in->left = length;
    in->in_trailers = false;
    if (framing == H1_CHUNKED)
        h1_chunks_init(&in->chunks);
}

static bool full(struct body *b)
{
    if (body_room(b) > 0)
        return false;
    b->starved = true;
    return true;
}

static enum err read_raw(struct h1_in *in, struct body *b)
{
    while (in->bytes.len) {
        if (full(b))
            return ERR_OVER_LIMIT;
        TRY(body_push(b, cut(in, in->bytes.len)));
    }
    return ERR_HOLD;
}

static enum err read_length(struct h1_in *in, struct body *b)
{
    while (in->left) {
        if (in->bytes.len == 0)
            return ERR_HOLD;
        if (full(b))
            return ERR_OVER_LIMIT;
        size_t len = in->left < in->bytes.len ? (size_t)in->left : in->bytes.len;
        in->left -= len;
        TRY(body_push(b, cut(in, len)));
    }
    return ERR_OK;
}

static enum err read_trailers(struct h1_in *in, struct body *b)
{
    size_t len;
    struct headers h = {0};
    TRY(h1_trailer_find(&in->scan, span_slice(in->bytes), in->limits, &len));
    if (len > 2) {
        /* The slices of trailers outlive the buffer: they go where the heads are. */
        struct slice section = arena_dup(in->arena, slice_head(span_slice(in->bytes), len));
        b->trailers = ARENA_NEW(in->arena, struct headers);
        if (!section.at || !b->trailers)
            return ERR_OVER_BUDGET;
        TRY(h1_parse_trailers(section, in->arena, in->limits, &h));
        *b->trailers = h;
    }
    h1_in_skip(in, len);
    return ERR_OK;
}

/* The next run of data in *run; ERR_NOT_FOUND when the trailers come. */
static enum err next_run(struct h1_in *in, struct span *run)
{
    struct slice rest = span_slice(in->bytes), data;
    enum err e = h1_chunks_next(&in->chunks, &rest, in->limits, &data);
    size_t used = in->bytes.len - rest.len;
    if (e == ERR_OK) {
        h1_in_skip(in, used - data.len);
        *run = cut(in, data.len);
    } else if (e == ERR_HOLD || e == ERR_NOT_FOUND) {
        h1_in_skip(in, used);
    }
    return e;
}

static enum err read_chunks(struct h1_in *in, struct body *b)
{
    while (!in->in_trailers) {
        struct span run;
        if (in->bytes.len == 0)
            return ERR_HOLD;
        if (full(b))
            return ERR_OVER_LIMIT;
        enum err e = next_run(in, &run);
        if (e == ERR_OK) {
            TRY(body_push(b, run));
        } else if (e == ERR_NOT_FOUND) {
            in->in_trailers = true;
            in->scan = (struct h1_scan){0};
        } else if (e != ERR_HOLD) {
            return e;
        }
    }
    return read_trailers(in, b);
}

static enum err read_some(struct h1_in *in, struct body *b)
{
    switch (in->framing) {
    case H1_LENGTH: return read_length(in, b);
    case H1_CHUNKED: return read_chunks(in, b);
    case H1_RAW: return read_raw(in, b);
    default: return ERR_OK;
    }
}

enum err h1_in_body(struct h1_in *in, struct body *b)
{
    enum err e;
    while ((e = read_some(in, b)) == ERR_HOLD && in->more.len)
        TRY(gather(in));
    if (e == ERR_OK)
        body_end(b);
    return e;
}

/* Chunks are taken apart, and a little is cheaper to copy. */
static uint64_t unseen_rest(const struct h1_in *in)
{
    switch (in->framing) {
    case H1_LENGTH: return in->left;
    case H1_RAW: return UINT64_MAX;
    default: return 0;
    }
}

/* When buffers get scarce a body that has some waits until they are taken: readers who take nothing
 * must not use up what others need. */
void h1_in_recv(const struct h1_in *in, struct conn *c, struct body *b)
{
    if (b->count && buf_pool_is_tight(&c->loop->bufs)) {
        b->starved = true;
        return;
    }
    uint64_t rest = b->unseen ? unseen_rest(in) : 0;
    if (rest < PIPE_MIN_BYTES || !conn_recv_pipe(c, &b->pipe, rest))
        conn_recv(c);
}
