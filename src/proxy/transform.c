/* transform.c - bodies that a filter changes on their way.
 *
 * Nothing runs by itself: who takes from the last body of a side pumps first (transform_body()),
 * in the exchange's own turn. When `out` was full and has room again, its want() wakes the
 * exchange, and the next turn goes on. A buffer to write to is held during a turn only, so that a
 * silent stream holds none.
 *
 * A source that pauses is told from one that is merely read in pieces by a timer: it begins with
 * the first byte that may be held back, and is not moved by those that follow. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/transform.h"
#include "base/assert.h"
#include "proxy/exchange_priv.h"

enum { PAUSE_MS = 4 };

static void on_want(struct body *b)
{
    exchange_wake(b->producer);
}

static void on_timer(struct timer *timer)
{
    struct transform *t = CONTAINER_OF(timer, struct transform, timer);
    t->quiet = !t->yielded;
    t->yielded = false;
    exchange_wake(t->x);
}

static void add(struct exchange *x, struct transform **last, struct transform *t,
                const struct transform_ops *ops)
{
    *t = (struct transform){.ops = ops, .x = x, .before = *last};
    body_init(&t->out, &x->worker->loop.tasks, NULL, (size_t)x->settings->body_queue_bytes);
    t->out.producer = x;
    t->out.want = on_want;
    timer_init(&t->timer, on_timer);
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
    for (struct transform *t = *last; t; t = t->before) {
        timer_stop(&t->x->worker->loop.timers, &t->timer);
        body_release(&t->out);
    }
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

/* Not by a wake, which could run again before anybody else looks at the network. */
static void yield(struct transform *t)
{
    t->yielded = true;
    timer_set(&t->x->worker->loop.timers, &t->timer, t->x->worker->loop.now_ms);
}

static enum err run_front(struct transform *t, struct body *from, size_t *left)
{
    struct span front;
    if (!t->ops->run || !body_peek(from, &front))
        return body_push(&t->out, body_take(from, SIZE_MAX));
    struct slice part = slice_head(span_slice(front), *left), in = part;
    enum err e = t->ops->run(t, &in);
    ASSERT(e != ERR_OK || in.len < part.len || !transform_has_room(t));
    span_drop(body_take(from, part.len - in.len));
    *left -= part.len - in.len;
    t->held = true;
    return e;
}

static enum err run_all(struct transform *t, struct body *from)
{
    size_t left = t->ops->turn_bytes ? t->ops->turn_bytes : SIZE_MAX;
    while (transform_has_room(t) && from->count > 0 && left > 0)
        TRY(run_front(t, from, &left));
    if (left == 0)
        yield(t);
    return ERR_OK;
}

static enum err end(struct transform *t, struct headers *trailers)
{
    if (t->ops->end)
        return t->ops->end(t, trailers);
    t->out.trailers = trailers;
    return ERR_OK;
}

static enum err pause_now(struct transform *t)
{
    t->unfinished = false;
    TRY(t->ops->pause(t));
    t->held = t->quiet = t->unfinished;
    return ERR_OK;
}

static enum err pause_soon(struct transform *t)
{
    if (!t->ops->pause || !t->held)
        return ERR_OK;
    if (t->quiet)
        return pause_now(t);
    if (!timer_armed(&t->timer))
        timer_set(&t->x->worker->loop.timers, &t->timer, t->x->worker->loop.now_ms + PAUSE_MS);
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
        return pause_soon(t);
    t->unfinished = false;
    TRY(end(t, from->trailers));
    if (!t->unfinished)
        body_end(&t->out);
    return ERR_OK;
}

static enum err run_once(struct transform *t, struct body *from)
{
    return t->ops->move ? t->ops->move(t, from) : run_to_end(t, from);
}

static struct body *pump(struct transform *t, struct body *source)
{
    struct body *from = t->before ? pump(t->before, source) : source;
    if (t->out.ended || t->out.err != ERR_OK)
        return &t->out;
    enum err e = run_once(t, from);
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
