/* purge.c - what is to be forgotten: a ring of orders, looked at by lookups until the sweeper has
 * been through all shards.
 *
 * Orders have numbers without gaps; an object notes the last that it was compared with. So a lookup
 * costs one compare while nothing is pending, and an object is compared with an order once. Where
 * keys are URLs alone, a purge of a URL goes to its key and sweeps nothing. Orders
 * stay in the ring after that: what was being fetched when one came must not be stored. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/purge.h"
#include "base/prefetch.h"
#include "cache/store_priv.h"
#include <signal.h>
#include <stdlib.h>

enum { SLOTS_PER_PIECE = 256, SWEEP_AHEAD = 8, LOOKED_AT_BYTES = 256 };

/* ---- does it concern an object? ---- */

static bool has_word(struct slice words, struct slice word)
{
    struct slice part;
    while (slice_cut(&words, ' ', &part))
        if (part.len > 0 && slice_eq(part, word))
            return true;
    return false;
}

static bool concerns(const struct purge_entry *e, const struct object_shared *o)
{
    struct slice text = {e->text, e->len};
    struct cache_key key = {object_key(o), o->hash};
    switch (e->kind) {
    case PURGE_URL: return slice_starts(key.text, text) && slice_eq(cache_key_url(&key), text);
    case PURGE_PREFIX: return slice_starts(cache_key_url(&key), text);
    case PURGE_TAG: return o->tags_len >= text.len && has_word(object_tags(o), text);
    default: return true;
    }
}

static struct purge_entry *entry_of(struct purges_shared *p, uint64_t seq)
{
    return &p->entries[seq % PURGES_PENDING_MAX];
}

static void count_hit(struct cache_shared *c, struct purge_entry *e)
{
    /* relaxed: read after `swept`. */
    atomic_fetch_add_explicit(&e->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->purged, 1, memory_order_relaxed);
}

/* Under the read lock: orders `from` to `to`. True: removed. */
static bool check(struct cache_shared *c, struct object_shared *o, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        struct purge_entry *e = entry_of(&c->purges, seq);
        if (!concerns(e, o))
            continue;
        count_hit(c, e);
        if (e->how == PURGE_HARD)
            return true;
        atomic_store_explicit(&o->expired, true, memory_order_relaxed);
    }
    return false;
}

/* The next that it has not seen: at most as many are pending as the ring holds. */
static uint64_t unseen(const struct object_shared *o, uint64_t seq)
{
    return seq - (uint32_t)((uint32_t)seq - o->purge_seen) + 1;
}

/* Under the read lock. */
static bool hits_locked(struct cache_shared *c, struct object_shared *o, uint64_t swept,
                        uint64_t seq)
{
    uint64_t from = unseen(o, seq);
    bool hit = check(c, o, from > swept ? from : swept + 1, seq);
    o->purge_seen = (uint32_t)seq;
    return hit;
}

bool purge_hits(struct cache_shared *c, struct object_shared *o)
{
    struct purges_shared *p = &c->purges;
    /* acquire: the entries up to it. */
    uint64_t seq = atomic_load_explicit(&p->seq, memory_order_acquire);
    if (o->purge_seen == (uint32_t)seq)
        return false;
    /* An object that is linked has been looked at by the sweeper up to here. */
    uint64_t swept = atomic_load_explicit(&p->swept, memory_order_acquire);
    if (swept == seq) {
        o->purge_seen = (uint32_t)seq;
        return false;
    }
    pthread_rwlock_rdlock(&p->lock);
    bool hit = hits_locked(c, o, swept, seq);
    pthread_rwlock_unlock(&p->lock);
    return hit;
}

/* Under the read lock: those that are remembered, back to one as old as `born_after`. */
static bool is_forgotten(struct purges_shared *p, struct object_shared *o, uint64_t seq,
                         uint64_t born_after)
{
    for (uint64_t at = seq; at > 0 && seq - at < PURGES_PENDING_MAX; at--) {
        struct purge_entry *e = entry_of(p, at);
        if (e->seq != at || e->number <= born_after)
            break;
        if (!concerns(e, o))
            continue;
        if (e->how == PURGE_HARD)
            return true;
        atomic_store_explicit(&o->expired, true, memory_order_relaxed);
    }
    return false;
}

bool purge_refuses(struct cache_shared *c, struct object_shared *o, uint64_t born_after)
{
    struct purges_shared *p = &c->purges;
    uint64_t seq = atomic_load_explicit(&p->seq, memory_order_seq_cst); /* is_exact() */
    o->purge_seen = (uint32_t)seq;
    /* relaxed: written before the `seq` that was just read. */
    if (atomic_load_explicit(&p->number, memory_order_relaxed) <= born_after)
        return false;
    pthread_rwlock_rdlock(&p->lock);
    bool refused = p->left_number > born_after || is_forgotten(p, o, seq, born_after);
    pthread_rwlock_unlock(&p->lock);
    return refused;
}

bool purge_refuses_noted(struct cache_shared *c, struct object_shared *o)
{
    struct purges_shared *p = &c->purges;
    uint64_t seq = atomic_load_explicit(&p->seq, memory_order_seq_cst); /* is_exact() */
    o->purge_seen = (uint32_t)seq;
    pthread_rwlock_rdlock(&p->lock);
    bool refused = is_forgotten(p, o, seq, o->born);
    pthread_rwlock_unlock(&p->lock);
    return refused;
}

/* ---- the sweeper ---- */

/* What a piece found: taken out afterwards, when what changes around it has been asked for. */
struct sweep {
    struct shard_shared *shard;
    uint64_t swept, seq;
    struct object_shared *found[SLOTS_PER_PIECE];
    uint32_t count;
    struct gone gone;
};

static void sweep_take_out(struct sweep *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (i + SWEEP_AHEAD < w->count) {
            struct object_shared *next = w->found[i + SWEEP_AHEAD];
            prefetch_for_write(next->content, CACHE_LINE_BYTES); /* NULL does no harm */
            prefetch_for_write(next->link.prev, CACHE_LINE_BYTES);
            prefetch_for_write(next->link.next, CACHE_LINE_BYTES);
        }
        shard_unlink(w->shard, w->found[i], &w->gone);
    }
    w->count = 0;
}

static void sweep_slot(struct sweep *w, uint32_t slot)
{
    for (struct object_shared *next, *o = index_at(&w->shard->index, slot); o; o = next) {
        next = o->sibling;
        if (o->purge_seen == (uint32_t)w->seq || !hits_locked(w->shard->cache, o, w->swept, w->seq))
            continue;
        w->found[w->count++] = o;
        if (w->count == SLOTS_PER_PIECE)
            sweep_take_out(w);
    }
}

/* Slots [from, to), downwards: removing moves what was not seen yet only downwards. */
static void sweep_slots(struct sweep *w, uint32_t from, uint32_t to)
{
    struct purges_shared *p = &w->shard->cache->purges;
    pthread_rwlock_rdlock(&p->lock);
    w->seq = atomic_load_explicit(&p->seq, memory_order_acquire);
    w->swept = atomic_load_explicit(&p->swept, memory_order_acquire);
    for (uint32_t i = to; i-- > from;) {
        if (i >= SWEEP_AHEAD)
            prefetch_for_write(index_at(&w->shard->index, i - SWEEP_AHEAD), LOOKED_AT_BYTES);
        sweep_slot(w, i);
    }
    pthread_rwlock_unlock(&p->lock);
    sweep_take_out(w);
}

/* What lies around the end of the table at its start may be moved up when something is removed:
 * it comes first, and again with the rest. */
static void sweep_wrapped(struct sweep *w)
{
    uint32_t end = 0;
    while (end < w->shard->index.cap && index_at(&w->shard->index, end))
        end++;
    sweep_slots(w, 0, end);
}

/* False: the table was made anew meanwhile, begin again. */
static bool sweep_table(struct cache_shared *c, struct shard_shared *s)
{
    struct sweep w = {.shard = s};
    uint32_t at = UINT32_MAX, generation = 0;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        if (at == UINT32_MAX) {
            generation = s->index.generation;
            at = s->index.cap;
            sweep_wrapped(&w);
        }
        bool same = s->index.generation == generation;
        uint32_t from = at > SLOTS_PER_PIECE ? at - SLOTS_PER_PIECE : 0;
        if (same)
            sweep_slots(&w, from, at);
        pthread_mutex_unlock(&s->lock);
        gone_release(c, &w.gone);
        if (!same || from == 0)
            return same;
        at = from;
    }
}

/* Into the disk's journal, which may have to wait for the disk: not on the thread of who asks. What
 * the disk restores meanwhile has either been asked about them, or is swept. Nobody writes to these
 * entries before they are swept. */
static void note(struct cache_shared *c, uint64_t seq)
{
    struct purges_shared *p = &c->purges;
    for (uint64_t at = atomic_load_explicit(&p->swept, memory_order_relaxed); at++ < seq;) {
        const struct purge_entry *e = entry_of(p, at);
        struct purge_order order = {
            (enum purge_kind)e->kind, (enum purge_how)e->how, {e->text, e->len}};
        cache_note_purge(c, &order, e->number);
    }
}

/* Are all that are pending of URLs, and all keys URLs alone? Then the keys are known. Who links an
 * object with another key later has counted it before it looks at `seq`: if it is not seen here, it
 * sees these orders. */
static bool is_exact(struct cache_shared *c, uint64_t seq)
{
    struct purges_shared *p = &c->purges;
    uint64_t swept = atomic_load_explicit(&p->swept, memory_order_relaxed); /* this thread's */
    for (uint64_t at = swept + 1; at <= seq; at++)
        if (entry_of(p, at)->kind != PURGE_URL)
            return false;
    return atomic_load_explicit(&c->suffixed, memory_order_seq_cst) == 0;
}

static void sweep_key(struct cache_shared *c, struct slice text)
{
    struct cache_key key;
    struct gone gone = {0};
    cache_key_init(&key, text);
    struct shard_shared *s = shard_of(c, key.hash);
    pthread_mutex_lock(&s->lock);
    for (struct object_shared *next, *o = shard_first(s, &key); o; o = next) {
        next = o->sibling;
        if (purge_hits(c, o))
            shard_unlink(s, o, &gone);
    }
    pthread_mutex_unlock(&s->lock);
    gone_release(c, &gone);
}

static void sweep_keys(struct cache_shared *c, uint64_t seq)
{
    struct purges_shared *p = &c->purges;
    uint64_t swept = atomic_load_explicit(&p->swept, memory_order_relaxed);
    for (uint64_t at = swept + 1; at <= seq; at++)
        sweep_key(c, (struct slice){entry_of(p, at)->text, entry_of(p, at)->len});
}

static void sweep_tables(struct cache_shared *c)
{
    for (int i = 0; i < CACHE_SHARDS; i++)
        while (!sweep_table(c, &c->shards[i])) {
        }
}

static void sweep(struct cache_shared *c)
{
    uint64_t seq = atomic_load_explicit(&c->purges.seq, memory_order_acquire);
    note(c, seq);
    if (is_exact(c, seq))
        sweep_keys(c, seq);
    else
        sweep_tables(c);
    /* release: after the last object, and the counts. */
    atomic_store_explicit(&c->purges.swept, seq, memory_order_release);
}

static bool is_swept(struct purges_shared *p)
{
    return atomic_load_explicit(&p->swept, memory_order_acquire) ==
           atomic_load_explicit(&p->seq, memory_order_acquire);
}

static void *sweeper_run(void *arg)
{
    struct cache_shared *c = arg;
    struct purges_shared *p = &c->purges;
    pthread_mutex_lock(&p->sweep_lock);
    while (!p->stopping) {
        if (is_swept(p)) {
            pthread_cond_wait(&p->sweep_wanted, &p->sweep_lock);
            continue;
        }
        pthread_mutex_unlock(&p->sweep_lock);
        sweep(c);
        pthread_mutex_lock(&p->sweep_lock);
    }
    pthread_mutex_unlock(&p->sweep_lock);
    return NULL;
}

/* Takes no signals: they are the main thread's. */
static bool sweeper_start(struct cache_shared *c)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&c->purges.sweeper, NULL, sweeper_run, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

/* At the first purge it is started. False: there is no thread. */
static bool sweeper_wake(struct cache_shared *c)
{
    struct purges_shared *p = &c->purges;
    pthread_mutex_lock(&p->sweep_lock);
    if (!p->running)
        p->running = sweeper_start(c);
    bool running = p->running;
    pthread_cond_signal(&p->sweep_wanted);
    pthread_mutex_unlock(&p->sweep_lock);
    return running;
}

/* ---- orders ---- */

static void entry_put(struct purges_shared *p, const struct purge_order *order, char *text,
                      uint64_t number)
{
    uint64_t seq = atomic_load_explicit(&p->seq, memory_order_relaxed) + 1; /* under the lock */
    struct purge_entry *e = entry_of(p, seq);
    if (e->number > p->left_number)
        p->left_number = e->number;
    free(e->text);
    e->seq = seq;
    e->number = number;
    e->kind = (uint8_t)order->kind;
    e->how = (uint8_t)order->how;
    e->text = text;
    e->len = order->text.len;
    atomic_store_explicit(&e->count, 0, memory_order_relaxed);
    atomic_store_explicit(&p->number, number, memory_order_relaxed);
    atomic_store_explicit(&p->seq, seq, memory_order_seq_cst); /* after its entry; is_exact() */
}

static bool is_full(struct purges_shared *p)
{
    return atomic_load_explicit(&p->seq, memory_order_relaxed) -
               atomic_load_explicit(&p->swept, memory_order_acquire) >=
           PURGES_PENDING_MAX;
}

enum err purge_add(struct cache_shared *c, const struct purge_order *order, uint64_t *id)
{
    struct purges_shared *p = &c->purges;
    if (order->text.len > PURGE_TEXT_MAX)
        return ERR_OVER_BUDGET;
    char *text = malloc(order->text.len + 1);
    if (!text || !sweeper_wake(c)) {
        free(text);
        return ERR_NO_MEMORY;
    }
    if (order->text.len > 0)
        memcpy(text, order->text.at, order->text.len);
    pthread_rwlock_wrlock(&p->lock);
    bool full = is_full(p);
    uint64_t number = full ? 0 : cache_now_next(c);
    if (full)
        free(text);
    else
        entry_put(p, order, text, number);
    uint64_t seq = atomic_load_explicit(&p->seq, memory_order_relaxed);
    pthread_rwlock_unlock(&p->lock);
    if (full)
        return ERR_OVER_BUDGET;
    sweeper_wake(c);
    *id = seq;
    return ERR_OK;
}

bool purge_result(struct cache_shared *c, uint64_t id, uint64_t *count)
{
    struct purges_shared *p = &c->purges;
    if (atomic_load_explicit(&p->swept, memory_order_acquire) < id)
        return false;
    pthread_rwlock_rdlock(&p->lock);
    struct purge_entry *e = entry_of(p, id);
    *count = e->seq == id ? atomic_load_explicit(&e->count, memory_order_relaxed) : 0;
    pthread_rwlock_unlock(&p->lock);
    return true;
}

/* ---- the list's own life ---- */

void purges_init(struct purges_shared *p)
{
    pthread_rwlock_init(&p->lock, NULL);
    pthread_mutex_init(&p->sweep_lock, NULL);
    pthread_cond_init(&p->sweep_wanted, NULL);
}

void purges_release(struct cache_shared *c)
{
    struct purges_shared *p = &c->purges;
    pthread_mutex_lock(&p->sweep_lock);
    bool running = p->running;
    p->stopping = true;
    pthread_cond_signal(&p->sweep_wanted);
    pthread_mutex_unlock(&p->sweep_lock);
    if (running)
        pthread_join(p->sweeper, NULL);
    for (int i = 0; i < PURGES_PENDING_MAX; i++)
        free(p->entries[i].text);
    pthread_rwlock_destroy(&p->lock);
    pthread_mutex_destroy(&p->sweep_lock);
    pthread_cond_destroy(&p->sweep_wanted);
}
