/* h2_intake.c - DATA of a stream into its body; see h2_intake.h. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_intake.h"
#include "base/assert.h"

enum { KEEP_LARGE_BYTES = 4096 };

void h2_intake_init(struct h2_intake *in, struct h2_core *c, struct h2_stream *flow,
                    struct body *body, struct buf_pool *bufs)
{
    *in = (struct h2_intake){.core = c, .flow = flow, .body = body, .bufs = bufs};
}

/* The peer may send as much as was taken. */
static void give_credit(struct h2_intake *in)
{
    uint64_t taken = in->body->taken_bytes - in->credited_bytes;
    if (!taken)
        return;
    in->credited_bytes += taken;
    h2_core_consumed(in->core, in->flow, (uint32_t)taken);
}

static struct buf *keep_room(struct h2_intake *in, size_t len)
{
    struct buf *last = in->kept_tail ? CONTAINER_OF(in->kept_tail, struct buf, next) : NULL;
    if (last && last->len < last->cap)
        return last;
    struct buf *b = buf_take_reserve(in->bufs, len > KEEP_LARGE_BYTES ? BUF_LARGE : BUF_SMALL);
    if (!b)
        return NULL;
    b->len = 0;
    b->next = NULL;
    *(last ? &last->next : &in->kept) = b;
    in->kept_tail = &b->next;
    return b;
}

static bool keep(struct h2_intake *in, struct slice s)
{
    while (s.len) {
        struct buf *b = keep_room(in, s.len);
        if (!b)
            return false;
        size_t n = s.len < b->cap - b->len ? s.len : b->cap - b->len;
        memcpy(b->bytes + b->len, s.at, n);
        b->len += (uint32_t)n;
        s = slice_from(s, n);
    }
    return true;
}

static struct buf *kept_pop(struct h2_intake *in)
{
    struct buf *b = in->kept;
    in->kept = b->next;
    if (!in->kept)
        in->kept_tail = NULL;
    b->next = NULL;
    return b;
}

void h2_intake_drop(struct h2_intake *in)
{
    while (in->kept)
        buf_drop(kept_pop(in));
}

static void fill(struct h2_intake *in)
{
    struct body *b = in->body;
    if (in->held)
        return;
    while (in->kept && body_room(b) > 0) {
        struct buf *kept = kept_pop(in);
        if (body_push(b, (struct span){kept, kept->bytes, kept->len}) != ERR_OK)
            h2_intake_drop(in);
    }
    if (in->ended && !in->kept)
        body_end(b);
    /* With nothing queued it is the peer that is waited for, however small its window. */
    b->starved = in->kept || (b->bytes > 0 && in->flow->recv_window < in->flow->window_bytes / 2);
}

void h2_intake_move(struct h2_intake *in)
{
    fill(in);
    give_credit(in);
}

enum err h2_intake_push(struct h2_intake *in, struct buf *buf, struct slice bytes)
{
    struct body *b = in->body;
    struct span s = {buf, bytes.at, bytes.len};
    bool direct = !in->held && !in->kept && body_room(b) > 0;
    enum err e = ERR_OK;
    if (b->err || (direct && body_push(b, span_ref(s)) != ERR_OK))
        h2_core_consumed(in->core, in->flow, (uint32_t)bytes.len); /* taken, and forgotten */
    else if (!direct && !keep(in, bytes))
        e = ERR_NO_BUFFERS;
    h2_intake_move(in);
    return e;
}

void h2_intake_end(struct h2_intake *in)
{
    in->ended = true;
    h2_intake_move(in);
}
