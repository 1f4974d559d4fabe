/* document.c - see document.h. The text is asked for by whichever worker needs it first; others
 * that need it in the same moment ask, too, which is simpler than to wait for each other and costs
 * one request a worker. A failure is remembered for a few seconds, so that a server that is down is
 * not asked by every request. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/document.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/cache_control.h"
#include "proxy/exchange.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 10 * 1000,
    FAILED_MS = 5 * 1000, /* so long after a failure nobody asks again */
    NEWER_MS = 10 * 1000,
    FRESH_MIN_MS = 5 * 60 * 1000,
    FRESH_MAX_MS = 24 * 3600 * 1000,
    FRESH_MS = 3600 * 1000, /* where the server does not say */
    STALE_MS = 24 * 3600 * 1000,
};

struct document_shared {
    pthread_mutex_t lock; /* of all below */
    const struct document_kind *kind;
    void *made; /* NULL: nothing yet */
    int64_t made_ms, fresh_until_ms, failed_ms;
    uint32_t refs; /* under the registry's lock */
    struct slice name;
};

static struct documents_registry_shared {
    pthread_mutex_t lock;
    struct hash_map all; /* by name */
} documents_registry_shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A fetch under way. Owner: the worker. */
struct document_fetch {
    struct list link; /* worker's list */
    struct list waits;
    struct worker *worker;
    struct document_shared *document;
    struct conf_view *view; /* held: it holds the document */
};

/* --- the registry ------------------------------------------------------------------------------
 */

static struct document_shared *document_new(struct slice name, const struct document_kind *kind)
{
    struct document_shared *d = MEM_NEW(struct document_shared);
    d->kind = kind;
    d->name = (struct slice){mem_dup(name.at, name.len), name.len};
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

struct document_shared *document_take(struct slice name, const struct document_kind *kind)
{
    struct hash_map *all = &documents_registry_shared.all;
    pthread_mutex_lock(&documents_registry_shared.lock);
    struct document_shared *d = hash_map_find(all, name);
    if (!d) {
        d = document_new(name, kind);
        hash_map_put(all, d->name, d);
    }
    d->refs++;
    pthread_mutex_unlock(&documents_registry_shared.lock);
    return d;
}

static void document_free(struct document_shared *d)
{
    if (d->made)
        d->kind->drop(d->made);
    pthread_mutex_destroy(&d->lock);
    free((char *)d->name.at);
    free(d);
}

void document_drop(struct document_shared *d)
{
    struct hash_map *all = &documents_registry_shared.all;
    pthread_mutex_lock(&documents_registry_shared.lock);
    bool last = --d->refs == 0;
    if (last)
        hash_map_remove(all, d->name);
    if (all->count == 0)
        hash_map_release(all);
    pthread_mutex_unlock(&documents_registry_shared.lock);
    if (last)
        document_free(d);
}

/* --- the answer --------------------------------------------------------------------------------
 */

static int64_t fresh_ms(const struct headers *h)
{
    struct cache_control cc;
    cache_control_read(h, &cc);
    int64_t ms = cc.max_age < 0                     ? FRESH_MS
                 : cc.max_age > FRESH_MAX_MS / 1000 ? FRESH_MAX_MS
                                                    : cc.max_age * 1000;
    return ms < FRESH_MIN_MS ? FRESH_MIN_MS : ms;
}

static void store(struct document_shared *d, void *made, int64_t now_ms, int64_t fresh)
{
    pthread_mutex_lock(&d->lock);
    void *old = made ? d->made : NULL;
    if (made) {
        d->made = made;
        d->made_ms = now_ms;
        d->fresh_until_ms = now_ms + fresh;
        d->failed_ms = 0;
    } else {
        d->failed_ms = now_ms;
    }
    pthread_mutex_unlock(&d->lock);
    if (old)
        d->kind->drop(old);
}

static void *answer_read(struct document_shared *d, const struct ask_answer *a, struct text *why)
{
    if (a->err != ERR_OK)
        text_addf(why, "%s", err_row(a->err)->text);
    else if (a->status != 200)
        text_addf(why, "status %u", a->status);
    else if (a->cut)
        text_addf(why, "longer than %d bytes", ASK_BODY_MAX_BYTES);
    else
        return d->kind->read(a->body, why);
    return NULL;
}

static void waits_wake(struct document_fetch *f)
{
    LIST_EACH_SAFE (it, &f->waits) {
        struct document_wait *w = LIST_ENTRY(it, struct document_wait, link);
        document_wait_end(w);
        exchange_wake(w->x);
    }
}

static void fetch_end(struct document_fetch *f)
{
    list_remove(&f->link);
    view_drop(f->view);
    free(f);
}

static void on_answer(void *ctx, const struct ask_answer *a)
{
    struct document_fetch *f = ctx;
    struct document_shared *d = f->document;
    struct text why;
    text_init(&why);
    void *made = answer_read(d, a, &why);
    store(d, made, f->worker->loop.now_ms, a->headers ? fresh_ms(a->headers) : 0);
    if (!made && a->err != ERR_CLIENT_CLOSED) /* else the worker ends */
        log_write(LOG_ERROR_, "%.*s can not be had: %.*s", SLICE_ARG(d->name),
                  SLICE_ARG(text_slice(&why)));
    waits_wake(f);
    text_release(&why);
    fetch_end(f);
}

/* --- asking ------------------------------------------------------------------------------------
 */

static struct document_fetch *fetch_find(struct worker *w, const struct document_shared *d)
{
    LIST_EACH_SAFE (it, &w->documents) {
        struct document_fetch *f = LIST_ENTRY(it, struct document_fetch, link);
        if (f->document == d)
            return f;
    }
    return NULL;
}

static struct document_fetch *fetch_begin(const struct document_source *s, struct exchange *x)
{
    struct worker *w = x->worker;
    struct headers headers = {0};
    struct document_fetch *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    *f = (struct document_fetch){.worker = w, .document = s->document, .view = view_take(x->view)};
    list_init(&f->waits);
    list_push(&w->documents, &f->link);
    struct ask_terms t = {.upstream = s->upstream,
                          .method = SLICE("GET"),
                          .path = s->path,
                          .host = s->host,
                          .headers = &headers,
                          .body_max_bytes = ASK_BODY_MAX_BYTES,
                          .timeout_ms = TIMEOUT_MS,
                          .done = on_answer,
                          .ctx = f};
    bool made =
        headers_add(&headers, &x->arena, SLICE("Accept"), SLICE("application/json")) == ERR_OK;
    if (made && ask_begin(w, x->view, &t))
        return f;
    fetch_end(f);
    return NULL;
}

static enum err wait_for(const struct document_source *s, struct document_wait *w,
                         struct exchange *x)
{
    struct document_fetch *f = fetch_find(x->worker, s->document);
    if (!f)
        f = fetch_begin(s, x);
    if (!f)
        return ERR_AUTH_UNAVAILABLE;
    w->x = x;
    w->waits = true;
    list_push(&f->waits, &w->link);
    return ERR_HOLD;
}

/* What is known of it now. */
struct known {
    void *made; /* counted */
    bool due;   /* to be fetched anew */
    bool newer_may;
    bool failed; /* just now */
};

static struct known look(struct document_shared *d, int64_t now_ms)
{
    struct known k = {0};
    pthread_mutex_lock(&d->lock);
    k.failed = d->failed_ms && now_ms - d->failed_ms < FAILED_MS;
    k.due = !d->made || now_ms >= d->fresh_until_ms;
    k.newer_may = !k.failed && (!d->made || now_ms - d->made_ms >= NEWER_MS);
    if (d->made && now_ms < d->fresh_until_ms + STALE_MS)
        k.made = d->kind->take(d->made);
    pthread_mutex_unlock(&d->lock);
    return k;
}

enum err document_get(const struct document_source *s, enum document_want want,
                      struct document_wait *w, struct exchange *x, void **made)
{
    struct document_shared *d = s->document;
    if (w->waits) /* something else has woken it: bytes of its body, a client that half-closes */
        return ERR_HOLD;
    struct known k = look(d, x->worker->loop.now_ms);
    if (want == DOCUMENT_ANY && k.made) {
        if (k.due && !k.failed && !fetch_find(x->worker, d))
            (void)fetch_begin(s, x);
        *made = k.made;
        return ERR_OK;
    }
    if (k.made)
        d->kind->drop(k.made);
    bool may = want == DOCUMENT_NEWER ? k.newer_may : !k.failed;
    return may || fetch_find(x->worker, d) ? wait_for(s, w, x) : ERR_AUTH_UNAVAILABLE;
}

void document_wait_end(struct document_wait *w)
{
    if (w->waits)
        list_remove(&w->link);
    w->waits = false;
}
