/* transform.c - bodies that a filter changes on their way.
 *
 * Nothing runs by itself: who takes from the last body of a side pumps first (transform_body()),
 * in the exchange's own turn. When `out` was full and has room again, its want() wakes the
 * exchange, and the next turn goes on. A buffer to write to is held during a turn only, so that a
 * silent stream holds none. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/transform.h"
#include "base/assert.h"
#include "proxy/exchange_priv.h"

static void on_want(struct body *b)
{
    exchange_wake(b->producer);
}

static void add(struct exchange *x, struct transform **last, struct transform *t,
                const struct transform_ops *ops)
{
    *t = (struct transform){.ops = ops, .x = x, .before = *last};
    body_init(&t->out, &x->worker->loop.tasks, NULL, (size_t)x->settings->body_queue_bytes);
    t->out.producer = x;
    t->out.want = on_want;
    *last = t;
}

void transform_request(struct exchange *x, struct transform *t, const struct transform_ops *ops)
{
    ASSERT(x->req.length != LENGTH_NONE);
    add(x, &x->req_transform, t, ops);
}

void transform_response_wanted(struct exchange *x)
{
    x->res_seen = true;
}

void transform_response(struct exchange *x, struct transform *t, const struct transform_ops *ops)
{
    ASSERT(!x->res_body.unseen && x->res.status != 101);
    add(x, &x->res_transform, t, ops);
}

void transforms_release(struct transform **last)
{
    for (struct transform *t = *last; t; t = t->before)
        body_release(&t->out);
    *last = NULL;
}

/* --- output ----------------------------------------------------------------------------------- */

static void buf_let_go(struct transform *t)
{
    if (t->buf)
        buf_drop(t->buf);
    t->buf = NULL;
}

char *transform_reserve(struct transform *t, size_t min, size_t *room)
{
    ASSERT(min > 0 && min <= TRANSFORM_RESERVE_MAX_BYTES);
    if (t->buf && t->buf->cap - t->buf->len < min)
        buf_let_go(t);
    if (!t->buf)
        t->buf = buf_take_reserve(&t->x->worker->loop.bufs,
                                  min > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
    if (!t->buf)
        return NULL;
    *room = t->buf->cap - t->buf->len;
    return t->buf->bytes + t->buf->len;
}

enum err transform_push(struct transform *t, size_t len)
{
    struct span s = {buf_ref(t->buf), t->buf->bytes + t->buf->len, len};
    t->buf->len += (uint32_t)len;
    return body_push(&t->out, s);
}

/* --- the pump --------------------------------------------------------------------------------- */

static enum err run_front(struct transform *t, struct body *from, struct slice front)
{
    struct slice in = front;
    enum err e = t->ops->run(t, &in);
    ASSERT(e != ERR_OK || in.len < front.len);
    span_drop(body_take(from, front.len - in.len));
    return e;
}

static enum err run_all(struct transform *t, struct body *from)
{
    struct span front;
    while (transform_has_room(t) && body_peek(from, &front)) {
        if (t->ops->run)
            TRY(run_front(t, from, span_slice(front)));
        else
            TRY(body_push(&t->out, body_take(from, SIZE_MAX)));
    }
    return ERR_OK;
}

static enum err end(struct transform *t, struct headers *trailers)
{
    if (t->ops->end)
        return t->ops->end(t, trailers);
    t->out.trailers = trailers;
    return ERR_OK;
}

static enum err run_to_end(struct transform *t, struct body *from)
{
    TRY(run_all(t, from));
    if (from->count > 0 || !transform_has_room(t))
        return ERR_OK;
    if (from->err != ERR_OK)
        return from->err;
    if (!from->ended)
        return ERR_OK;
    TRY(end(t, from->trailers));
    body_end(&t->out);
    return ERR_OK;
}

static struct body *pump(struct transform *t, struct body *source)
{
    struct body *from = t->before ? pump(t->before, source) : source;
    if (t->out.ended || t->out.err != ERR_OK)
        return &t->out;
    enum err e = run_to_end(t, from);
    buf_let_go(t);
    if (e != ERR_OK)
        body_fail(&t->out, e);
    t->out.starved = !t->out.ended && !transform_has_room(t);
    return &t->out;
}

struct body *transform_body(struct transform *last, struct body *source)
{
    return last ? pump(last, source) : source;
}
