/* limit_pace.c - bodies at a pace. What may not go yet stays in the body before it, which fills up
 * and holds its producer back; a timer goes on when some may. No deadline counts that time: neither
 * side is waited for. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "filter/limit_priv.h"
#include "proxy/transform.h"

enum { MS_NS = 1000000 };

struct paced {
    struct transform transform;
    struct meters_shared *meters;
    uint64_t key;
    const struct pace *pace;
};

static void go_on_later(struct transform *t, int64_t wait_ns)
{
    struct loop *l = &t->x->worker->loop;
    t->yielded = true;
    timer_set(&l->timers, &t->timer, l->now_ms + (wait_ns + MS_NS - 1) / MS_NS);
}

static enum err move_some(struct transform *t, struct body *from)
{
    struct paced *p = CONTAINER_OF(t, struct paced, transform);
    struct span front;
    int64_t wait_ns, now_ns = t->x->worker->loop.now_ns;
    while (transform_has_room(t) && body_peek(from, &front)) {
        int64_t may = meters_pace(p->meters, p->key, p->pace, (int64_t)front.len, now_ns, &wait_ns);
        if (may == 0) {
            go_on_later(t, wait_ns);
            return ERR_OK;
        }
        TRY(body_push(&t->out, body_take(from, (size_t)may)));
    }
    return ERR_OK;
}

static enum err paced_move(struct transform *t, struct body *from)
{
    TRY(move_some(t, from));
    if (from->count > 0)
        return ERR_OK;
    if (from->err != ERR_OK)
        return from->err;
    if (from->ended) {
        t->out.trailers = from->trailers;
        body_end(&t->out);
    }
    return ERR_OK;
}

static const struct transform_ops PACED = {.move = paced_move};

static struct paced *paced_new(struct exchange *x, struct meters_shared *m, const struct pace *pace,
                               uint64_t key)
{
    struct paced *p = ARENA_NEW(&x->arena, struct paced);
    if (p)
        *p = (struct paced){.meters = m, .pace = pace, .key = key};
    return p;
}

enum err limit_upload(struct exchange *x, const struct limit_line *l, uint64_t key)
{
    if (x->req.length == LENGTH_NONE)
        return ERR_OK;
    struct paced *p = paced_new(x, l->up, &l->up_pace, key);
    if (!p)
        return ERR_OVER_BUDGET;
    transform_request(x, &p->transform, &PACED);
    return ERR_OK;
}

enum err limit_download(struct exchange *x, const struct limit_line *l, uint64_t key)
{
    if (x->res.length == LENGTH_NONE || x->res.status == 101 || x->req.method == METHOD_HEAD ||
        x->req.method == METHOD_CONNECT)
        return ERR_OK;
    struct paced *p = paced_new(x, l->down, &l->down_pace, key);
    if (!p)
        return ERR_OVER_BUDGET;
    transform_response(x, &p->transform, &PACED);
    return ERR_OK;
}
