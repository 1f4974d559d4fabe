/* mirror.c - see mirror.h. First a mirror belongs to its exchange and gathers the request: head,
 * then the body as it passes; then it is asked (ask.h), and ends with the answer, which is dropped.
 *
 * Bodies are copied into memory of the mirror's own, bounded by `body` and `max`, rather than held
 * by reference: buffers that a slow shadow held would be missing to clients. Nothing is tried
 * twice, and only the server's own failures count against its health. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/mirror.h"
#include "proxy/ask.h"
#include "proxy/exchange_priv.h"
#include <stdlib.h>

enum { ARENA_BYTES = 128 * 1024, MEMORY_BYTES_MIN = 4096 };

struct mirror {
    struct worker *worker;
    const struct mirror_conf *conf;
    struct conf_view *view; /* held, until it is asked */
    struct arena arena;
    struct headers headers;
    struct ask_terms terms;
    uint64_t seen; /* bytes of the exchange's body that were copied */
    char *memory;  /* the body */
    size_t len, cap;
};

static void mirror_end(struct mirror *m)
{
    struct worker *w = m->worker;
    w->mirror_count--;
    counter_add(w->counters, METRIC_MIRRORS_ACTIVE, -1);
    view_drop(m->view);
    arena_release(&m->arena);
    free(m->memory);
    free(m);
}

static void on_answer(void *ctx, const struct ask_answer *a)
{
    struct mirror *m = ctx;
    if (a->err != ERR_CLIENT_CLOSED) /* else the worker ends */
        counter_add(m->worker->counters, a->err == ERR_OK ? METRIC_MIRRORED : METRIC_MIRROR_FAILED,
                    1);
    mirror_end(m);
}

/* --- gathering --------------------------------------------------------------------------------*/

static void not_mirrored(struct exchange *x)
{
    counter_add(x->worker->counters, METRIC_MIRROR_DROPPED, 1);
    if (x->mirror)
        mirror_end(x->mirror);
    x->mirror = NULL;
}

static enum err head_copy(struct mirror *m, struct exchange *x)
{
    struct arena *a = &m->arena;
    struct slice id = arena_dup(a, slice_of(x->id));
    m->terms.method = arena_dup(a, x->req.method_text);
    m->terms.path = arena_dup(a, x->req.target);
    m->terms.host = arena_dup(a, x->req.authority);
    m->terms.headers = &m->headers;
    if (!id.at || !m->terms.method.at || !m->terms.path.at || !m->terms.host.at)
        return ERR_OVER_BUDGET;
    TRY(headers_copy(&m->headers, a, &x->req.headers));
    headers_del_id(&m->headers, FIELD_EXPECT);
    return headers_set(&m->headers, a, SLICE("X-Mirror"), id);
}

static enum err terms_make(struct mirror *m, struct exchange *x)
{
    const struct target *t = &m->conf->target;
    m->terms = (struct ask_terms){.upstream = t->upstream,
                                  .has_body = x->req.length != LENGTH_NONE,
                                  .once = true,
                                  .timeout_ms = m->conf->timeout_ms,
                                  .done = on_answer,
                                  .ctx = m};
    TRY(target_key(x, t, &m->terms.key));
    return head_copy(m, x);
}

static struct mirror *mirror_new(struct exchange *x)
{
    struct worker *w = x->worker;
    struct mirror *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->worker = w;
    m->conf = x->settings->mirror;
    m->view = view_take(x->view);
    arena_init(&m->arena, ARENA_BYTES);
    w->mirror_count++;
    counter_add(w->counters, METRIC_MIRRORS_ACTIVE, 1);
    return m;
}

/* Tunnels are conversations: half of one means nothing to a shadow. */
static bool is_chosen(struct exchange *x)
{
    const struct mirror_conf *c = x->settings->mirror;
    if (x->req.upgrade || x->req.method == METHOD_CONNECT)
        return false;
    return rand_below(&x->worker->loop.rand, 10000) < c->share;
}

static bool has_room(const struct exchange *x)
{
    const struct mirror_conf *c = x->settings->mirror;
    bool too_large =
        x->req.length == LENGTH_KNOWN && x->req.content_length > (uint64_t)c->body_bytes;
    return !too_large && x->worker->mirror_count < c->max_count;
}

void mirror_begin(struct exchange *x)
{
    if (x->mirror_decided)
        return;
    x->mirror_decided = true;
    if (!is_chosen(x))
        return;
    x->mirror = has_room(x) ? mirror_new(x) : NULL;
    if (!x->mirror || terms_make(x->mirror, x) != ERR_OK)
        not_mirrored(x);
}

static bool memory_reserve(struct mirror *m, size_t need)
{
    size_t cap = m->cap ? m->cap : MEMORY_BYTES_MIN;
    if (need > (size_t)m->conf->body_bytes)
        return false;
    while (cap < need)
        cap *= 2;
    char *grown = cap > m->cap ? realloc(m->memory, cap) : m->memory;
    if (!grown)
        return false;
    m->memory = grown;
    m->cap = cap;
    return true;
}

/* `from`: of its first byte in the whole body. A retry may bring what was seen before. */
static bool piece_copy(struct mirror *m, struct span s, uint64_t from)
{
    if (from + s.len <= m->seen)
        return true;
    struct slice fresh = slice_from(span_slice(s), m->seen > from ? (size_t)(m->seen - from) : 0);
    if ((s.buf && s.buf->size == BUF_PIPE) || !memory_reserve(m, m->len + fresh.len))
        return false;
    memcpy(m->memory + m->len, fresh.at, fresh.len);
    m->len += fresh.len;
    m->seen += fresh.len;
    return true;
}

static bool body_copy(struct mirror *m, const struct body *b)
{
    struct span s;
    uint64_t from = b->taken_bytes;
    for (unsigned i = 0; body_look(b, i, &s); i++) {
        if (!piece_copy(m, s, from))
            return false;
        from += s.len;
    }
    return b->err == ERR_OK;
}

static void launch(struct exchange *x)
{
    struct mirror *m = x->mirror;
    m->terms.body = (struct slice){m->memory, m->len};
    if (ask_begin(m->worker, m->view, &m->terms))
        x->mirror = NULL;
    else
        not_mirrored(x);
}

void mirror_feed(struct exchange *x)
{
    const struct body *b = request_body(x);
    if (!body_copy(x->mirror, b))
        not_mirrored(x);
    else if (b->ended || x->req.length == LENGTH_NONE)
        launch(x);
}

void mirror_leave(struct exchange *x)
{
    not_mirrored(x);
}
