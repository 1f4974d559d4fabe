/* cache_coded.c - forms of stored bodies by content coding: what another filter made of a body once
 * stays with it, and takes its place from then on.
 *
 * A form is made of what is sent, while it is sent: the coder's output is stored as fast as it
 * comes and the client reads it there, so that a slow one holds up nobody who waits for the form.
 * It is kept when its body got whole; that of a body which only passes is not. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "filter/cache_priv.h"

/* What is stored now, or else what is served. */
static struct object_shared *object_of(const struct cache_state *s)
{
    return s->storing ? s->storing : s->found;
}

static struct content_shared *content_of(const struct cache_state *s)
{
    return s->storing ? s->filling : s->content;
}

static struct cache_state *state_of(struct coded_shelf *shelf)
{
    return CONTAINER_OF(shelf, struct cache_state, shelf);
}

/* --- one that is there ------------------------------------------------------------------------ */

static void content_replace(struct exchange *x, struct cache_state *s, struct content_shared *form)
{
    content_reader_close(&s->reader);
    s->reading = false;
    coded_body_begin(x, content_bytes(form));
    content_drop(s->content);
    s->content = form;
}

static bool form_find(struct coded_shelf *shelf, struct exchange *x, enum coding c)
{
    struct cache_state *s = state_of(shelf);
    struct content_shared *form;
    if (s->storing || !cache_coded_get(cache_of(x), s->found, c, &form))
        return false;
    content_replace(x, s, form);
    bool sends = x->req.method != METHOD_HEAD;
    enum err e = sends ? cache_send(x, s, 0, content_bytes(form)) : ERR_OK;
    if (e != ERR_OK)
        body_fail(&x->res_body, e);
    return true;
}

/* --- one that is being made ------------------------------------------------------------------- */

static bool form_claim(struct coded_shelf *shelf, struct exchange *x, enum coding c)
{
    struct cache_state *s = state_of(shelf);
    if (s->form || !cache_coded_claim(cache_of(x), object_of(s), c))
        return false;
    s->form_coding = (uint8_t)c;
    s->form = content_new(cache_of(x), 0, CONTENT_LENGTH_UNKNOWN);
    if (!s->form) {
        cache_coded_leave(cache_of(x), object_of(s), c);
        return false;
    }
    /* It is read in the turn in which it is written: nobody has to be woken. */
    bool reads =
        content_reader_open(&s->form_reader, s->form, &x->worker->loop, 0, UINT64_MAX, NULL, NULL);
    ASSERT(reads);
    return true;
}

static enum err take_all(struct cache_state *s, struct body *from)
{
    size_t room;
    if (content_is_passing(content_of(s)))
        content_make_passing(s->form);
    while (from->count > 0 && (room = content_room(s->form, NULL)) > 0) {
        struct span piece = body_take(from, room);
        enum err e = content_append(s->form, span_slice(piece));
        span_drop(piece);
        TRY(e);
    }
    return ERR_OK;
}

static void whole(struct cache_state *s)
{
    content_end(s->form);
    if (!content_is_passing(s->form) && content_state(content_of(s)) == CONTENT_WHOLE)
        cache_coded_put(cache_of(s->x), object_of(s), s->form_coding, s->form);
}

static enum err form_move(struct transform *t, struct body *from)
{
    struct cache_state *s = CONTAINER_OF(t, struct cache_state, form_tap);
    if (content_state(s->form) == CONTENT_FILLING) {
        TRY(take_all(s, from));
        if (from->err != ERR_OK && from->count == 0)
            content_break(s->form);
        else if (body_done(from))
            whole(s);
    }
    t->out.trailers = from->trailers;
    enum err e = cache_feed(s->x, &s->form_reader, &t->out);
    return e == ERR_CACHE_LOST && from->err != ERR_OK ? from->err : e;
}

static const struct transform_ops FORM_TAP = {.move = form_move};

static void form_keep(struct coded_shelf *shelf, struct exchange *x)
{
    transform_response(x, &state_of(shelf)->form_tap, &FORM_TAP);
}

/* --- the shelf -------------------------------------------------------------------------------- */

static const struct coded_shelf_ops SHELF = {
    .find = form_find, .claim = form_claim, .keep = form_keep};

void cache_coded_offer(struct exchange *x, struct cache_state *s)
{
    const struct object_shared *o = object_of(s);
    s->shelf.ops = &SHELF;
    s->shelf.last = x->res_transform;
    s->shelf.uses_count = atomic_load_explicit(&o->uses, memory_order_relaxed); /* about so often */
    x->coded = &s->shelf;
}

void cache_coded_end(struct cache_state *s)
{
    if (!s->form)
        return;
    if (content_state(s->form) == CONTENT_FILLING) {
        cache_coded_leave(cache_of(s->x), object_of(s), s->form_coding);
        content_break(s->form);
    }
    content_reader_close(&s->form_reader);
    content_drop(s->form);
    s->form = NULL;
}
