/* body.c - the bounded queue of spans between a producer and a consumer.
 *
 * A ring of BODY_SPANS spans. Neighbouring pieces of one buffer are joined, so that a producer of
 * many small pieces does not fill the ring. A producer that stopped is asked to go on once the
 * queue is half empty, not at every byte. */
// SPDX-License-Identifier: Apache-2.0
#include "http/body.h"
#include "base/assert.h"

void body_init(struct body *b, struct task_queue *tasks, struct task *consumer, size_t limit_bytes)
{
    ASSERT(limit_bytes > 0);
    /* The spans are left as they are: only `count` of them mean anything. */
    b->first = b->count = 0;
    b->ended = b->starved = b->unseen = false;
    b->err = ERR_OK;
    b->bytes = 0;
    b->limit_bytes = limit_bytes;
    b->pushed_bytes = b->taken_bytes = b->max_bytes = 0;
    b->trailers = NULL;
    b->tasks = tasks;
    b->consumer = consumer;
    b->want = NULL;
    b->producer = NULL;
    b->pipe = NULL;
}

static void drop_pipe(struct body *b)
{
    if (b->pipe)
        buf_drop(b->pipe);
    b->pipe = NULL;
}

static inline struct span *span_at(const struct body *b, unsigned i)
{
    return (struct span *)&b->spans[(b->first + i) % BODY_SPANS];
}

void body_release(struct body *b)
{
    for (; b->count > 0; b->count--) {
        span_drop(*span_at(b, 0));
        b->first = (uint8_t)((b->first + 1) % BODY_SPANS);
    }
    drop_pipe(b);
    b->bytes = 0;
    b->want = NULL;
    b->consumer = NULL;
}

void body_reopen(struct body *b)
{
    drop_pipe(b);
    b->ended = b->unseen = false;
    b->err = ERR_OK;
    b->max_bytes = 0;
    b->trailers = NULL;
}

static void wake(struct body *b)
{
    if (b->consumer)
        task_wake(b->tasks, b->consumer);
}

size_t body_room(const struct body *b)
{
    if (b->ended || b->err || b->count == BODY_SPANS || b->bytes >= b->limit_bytes)
        return 0;
    return b->limit_bytes - b->bytes;
}

/* Lengthens the last span when `s` goes on where it ends, in the same buffer. */
static bool join_last(struct body *b, struct span s)
{
    if (b->count == 0)
        return false;
    struct span *last = span_at(b, b->count - 1u);
    if (last->buf != s.buf || !s.buf || last->at + last->len != s.at)
        return false;
    last->len += s.len;
    span_drop(s);
    return true;
}

static enum err refuse(struct body *b, struct span s, enum err e)
{
    span_drop(s);
    body_fail(b, e);
    return b->err;
}

enum err body_push(struct body *b, struct span s)
{
    ASSERT(!b->ended);
    if (b->err)
        return refuse(b, s, b->err);
    if (b->max_bytes && b->pushed_bytes + s.len > b->max_bytes)
        return refuse(b, s, ERR_BODY_TOO_LARGE);
    b->pushed_bytes += s.len;
    b->bytes += s.len;
    if (s.len == 0) {
        span_drop(s);
    } else if (!join_last(b, s)) {
        ASSERT(b->count < BODY_SPANS);
        *span_at(b, b->count++) = s;
    }
    wake(b);
    return ERR_OK;
}

void body_end(struct body *b)
{
    if (b->ended || b->err)
        return;
    b->ended = true;
    drop_pipe(b);
    wake(b);
}

void body_fail(struct body *b, enum err e)
{
    if (b->ended || b->err)
        return;
    b->err = e;
    wake(b);
}

bool body_peek(const struct body *b, struct span *out)
{
    if (b->count == 0)
        return false;
    *out = *span_at(b, 0);
    return true;
}

bool body_look(const struct body *b, unsigned i, struct span *out)
{
    if (i >= b->count)
        return false;
    *out = *span_at(b, i);
    return true;
}

/* Asks a producer that stopped to go on, once there is room worth waking it for. */
static void feed(struct body *b)
{
    if (!b->starved || !b->want || b->bytes > b->limit_bytes / 2 || body_room(b) == 0)
        return;
    b->starved = false;
    b->want(b);
}

struct span body_take(struct body *b, size_t max)
{
    if (b->count == 0 || max == 0)
        return (struct span){0};
    struct span *front = span_at(b, 0), taken = *front;
    if (taken.len > max) {
        taken.len = max;
        span_ref(taken);
        front->at += max;
        front->len -= max;
    } else {
        b->first = (uint8_t)((b->first + 1) % BODY_SPANS);
        b->count--;
    }
    b->bytes -= taken.len;
    b->taken_bytes += taken.len;
    feed(b);
    return taken;
}

bool body_done(const struct body *b)
{
    return b->ended && b->count == 0;
}
