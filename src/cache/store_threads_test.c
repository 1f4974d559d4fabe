/* store_threads_test.c - threads that look up, fetch, store, invalidate and purge at once, and read
 * bodies while they come. Meant for the thread sanitizer.
 *
 * Every thread has a loop of its own. A body is made of its key's hash: a torn one, or another
 * key's, shows in every byte. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "cache/store_rig_test.h"
#include "io/loop.h"
#include <pthread.h>

enum { THREADS = 4, KEYS = 200, ROUNDS = 1500, BODY_MAX = 150000, PIECE = 7000 };

struct hammer {
    pthread_t thread;
    struct loop loop;
    struct counters_shared counters;
    struct rand rand;
    struct cache_shared *cache;
    unsigned id;
    bool woken, breaks;
    uint64_t hits, fetched, followed;
};

static struct hammer hammers[THREADS];

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void on_wake(void *ctx)
{
    ((struct hammer *)ctx)->woken = true;
}

static void wait_woken(struct hammer *h)
{
    while (!h->woken)
        loop_tick(&h->loop);
    h->woken = false;
}

static uint64_t body_bytes(uint64_t hash)
{
    return hash % 3 == 0 ? hash % BODY_MAX : hash % 2000;
}

static void check_bytes(struct slice s, uint64_t hash, uint64_t at)
{
    for (size_t i = 0; i < s.len; i++)
        must(s.at[i] == rig_byte(hash, at + i), "a byte of the body is not its key's");
}

static void read_body(struct hammer *h, struct content_shared *k, uint64_t hash)
{
    struct content_reader r;
    h->woken = false;
    if (!content_reader_open(&r, k, &h->loop, 0, UINT64_MAX, on_wake, h))
        return; /* a passing one that is gone */
    for (uint64_t at = 0;;) {
        struct slice s;
        struct chunk_shared *chunk;
        enum content_read how = content_read_next(&r, 1 + rand_below(&h->rand, 30000), &s, &chunk);
        if (how == CONTENT_BYTES) {
            check_bytes(s, hash, at);
            at += s.len;
            chunk_drop(chunk);
            if (rand_below(&h->rand, 200) == 0)
                break; /* the client left */
        } else if (how == CONTENT_WAIT) {
            wait_woken(h);
        } else {
            must(how == CONTENT_LOST || at == body_bytes(hash), "the body ended early");
            break;
        }
    }
    content_reader_close(&r);
}

static void write_body(struct hammer *h, struct content_shared *k, uint64_t hash)
{
    char piece[PIECE];
    uint64_t bytes = body_bytes(hash);
    bool breaks = h->breaks && rand_below(&h->rand, 40) == 0;
    for (uint64_t at = 0; at < bytes && !(breaks && at > bytes / 2);) {
        size_t n = 1 + (size_t)rand_below(&h->rand, PIECE);
        n = n < bytes - at ? n : (size_t)(bytes - at);
        for (size_t i = 0; i < n; i++)
            piece[i] = rig_byte(hash, at + i);
        if (content_append(k, (struct slice){piece, n}) != ERR_OK) {
            breaks = true;
            break;
        }
        at += n;
    }
    if (breaks)
        content_break(k);
    else
        content_end(k);
}

static void tags_of(const struct cache_key *k, char tag[8], struct rig_object *out)
{
    int len = snprintf(tag, 8, "t%u", (unsigned)(k->hash % 10));
    *out = (struct rig_object){.tags = {tag, (size_t)len}};
}

/* As the filter does: the object is in the index before its body is there. */
static void fetch(struct hammer *h, const struct cache_key *k, struct fill_shared *fill,
                  uint64_t sent)
{
    char tag[8];
    struct rig_object extra;
    uint64_t length = k->hash & 1 ? body_bytes(k->hash) : CONTENT_LENGTH_UNKNOWN;
    struct content_shared *body = content_new(h->cache, 0, length);
    if (!body) {
        fill_leave(fill);
        return;
    }
    tags_of(k, tag, &extra);
    struct object_shared *o = rig_object_with(h->cache, k, content_take(body), &extra);
    bool linked = cache_insert(h->cache, o, sent);
    fill_answer(fill, linked ? FILL_STORED : FILL_PASS);
    write_body(h, body, k->hash);
    if (linked)
        cache_settle(h->cache, o);
    object_drop(o);
    content_drop(body);
    fill_drop(fill);
    h->fetched++;
}

static void follow(struct hammer *h, struct fill_shared *fill)
{
    struct waiter *w = waiter_new(&h->loop, on_wake, h);
    h->woken = false;
    if (fill_wait(fill, w)) {
        if (rand_below(&h->rand, 10) != 0)
            wait_woken(h);
        fill_unwait(fill, w);
    }
    waiter_close(w);
    fill_drop(fill);
    h->followed++;
}

static void request(struct hammer *h, unsigned n)
{
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, n), .match = rig_match_fresh};
    struct cache_result r;
    uint64_t sent = cache_now(h->cache);
    cache_lookup(h->cache, &q, &r);
    if (r.content) {
        read_body(h, r.content, q.key.hash);
        content_drop(r.content);
    }
    if (r.object)
        object_drop(r.object);
    if (r.fill && r.leads)
        fetch(h, &q.key, r.fill, sent);
    else if (r.fill)
        follow(h, r.fill);
    h->hits += r.match == MATCH_FRESH;
}

static void disturb(struct hammer *h)
{
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, (unsigned)rand_below(&h->rand, KEYS));
    uint64_t id, count;
    struct purge_order p = {PURGE_TAG, (enum purge_how)rand_below(&h->rand, 2), SLICE("t3")};
    switch (rand_below(&h->rand, 5)) {
    case 0: cache_invalidate(h->cache, &k); break;
    case 1:
        p.kind = PURGE_URL;
        p.text = k.text;
        __attribute__((fallthrough));
    case 2:
        if (purge_add(h->cache, &p, &id) == ERR_OK)
            purge_result(h->cache, id, &count);
        break;
    case 3:
        cache_mark_pass(h->cache, &k, 10);
        cache_uses(h->cache, &k);
        break;
    default:
        cache_limits_set(h->cache,
                         &(struct cache_limits){(3 + rand_below(&h->rand, 3)) << 20, BODY_MAX, 0});
    }
}

static void *hammer_run(void *arg)
{
    struct hammer *h = arg;
    h->breaks = true;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned low = (unsigned)rand_below(&h->rand, KEYS);
        request(h, (unsigned)rand_below(&h->rand, low + 1));
        if (i % 50 == 0)
            disturb(h);
    }
    return NULL;
}

static void hammers_start(struct cache_shared *c, void *(*run)(void *))
{
    for (unsigned i = 0; i < THREADS; i++) {
        struct hammer *h = &hammers[i];
        *h = (struct hammer){.cache = c, .id = i};
        rand_init(&h->rand, 100 + i);
        assert_true(loop_init(&h->loop, &io_backend_epoll, NULL, &h->counters, 1 << 20));
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&hammers[i].thread, NULL, run, &hammers[i]), 0);
}

static void hammers_join(void)
{
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(hammers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        mailbox_run(hammers[i].loop.mailbox, &hammers[i].loop); /* waiters that went */
        loop_release(&hammers[i].loop);
    }
}

static void everything_at_once(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    hammers_start(c, hammer_run);
    hammers_join();
    uint64_t hits = 0, fetched = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        hits += hammers[i].hits;
        fetched += hammers[i].fetched;
    }
    assert_true(hits > ROUNDS && fetched > KEYS);
    uint64_t id, count;
    struct purge_order all = {.kind = PURGE_ALL, .how = PURGE_HARD};
    assert_int_equal(purge_add(c, &all, &id), ERR_OK);
    while (!purge_result(c, id, &count))
        sched_yield();
    assert_int_equal(rig_stats(c).objects, 0);
    cache_free(c);
}

/* ---- a herd ---- */

static pthread_barrier_t barrier;
static _Atomic(unsigned) leaders[KEYS];

static void *herd_run(void *arg)
{
    struct hammer *h = arg;
    for (unsigned n = 0; n < KEYS; n++) {
        char text[RIG_KEY_BYTES];
        struct cache_query q = {.key = rig_key(text, n), .match = rig_match_fresh};
        struct cache_result r;
        pthread_barrier_wait(&barrier);
        uint64_t sent = cache_now(h->cache);
        cache_lookup(h->cache, &q, &r);
        if (r.fill && r.leads) {
            atomic_fetch_add(&leaders[n], 1);
            fetch(h, &q.key, r.fill, sent);
        } else if (r.fill) {
            follow(h, r.fill);
        }
        if (r.content) {
            read_body(h, r.content, q.key.hash);
            content_drop(r.content);
        }
        if (r.object)
            object_drop(r.object);
    }
    return NULL;
}

static void one_of_a_herd_leads(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(64 << 20);
    memset(leaders, 0, sizeof leaders);
    pthread_barrier_init(&barrier, NULL, THREADS);
    hammers_start(c, herd_run);
    hammers_join();
    for (unsigned n = 0; n < KEYS; n++)
        assert_int_equal(leaders[n], 1);
    pthread_barrier_destroy(&barrier);
    cache_free(c);
}

/* ---- passing: one writes, three read, at their own pace ---- */

static struct content_shared *passing;
enum { PASSING_BYTES = 6 << 20 };

static void passing_write(struct hammer *h)
{
    char piece[PIECE];
    struct waiter *w = waiter_new(&h->loop, on_wake, h);
    for (uint64_t at = 0; at < PASSING_BYTES;) {
        size_t room = content_room(passing, w);
        if (room == 0) {
            wait_woken(h);
            continue;
        }
        size_t n = room < PIECE ? room : PIECE;
        n = n < PASSING_BYTES - at ? n : (size_t)(PASSING_BYTES - at);
        for (size_t i = 0; i < n; i++)
            piece[i] = rig_byte(42, at + i);
        must(content_append(passing, (struct slice){piece, n}) == ERR_OK, "no memory");
        at += n;
    }
    content_end(passing);
    waiter_close(w);
}

static void passing_read(struct hammer *h)
{
    struct content_reader r;
    must(content_reader_open(&r, passing, &h->loop, 0, UINT64_MAX, on_wake, h), "not there");
    pthread_barrier_wait(&barrier);
    uint64_t at = 0, end = h->id == 1 ? PASSING_BYTES / 2 : UINT64_MAX;
    while (at < end) {
        struct slice s;
        struct chunk_shared *chunk;
        enum content_read how = content_read_next(&r, 1 + rand_below(&h->rand, 99999), &s, &chunk);
        if (how == CONTENT_WAIT) {
            wait_woken(h);
            continue;
        }
        if (how != CONTENT_BYTES)
            break;
        check_bytes(s, 42, at);
        at += s.len;
        chunk_drop(chunk);
    }
    must(at >= (end < PASSING_BYTES ? end : PASSING_BYTES), "the body ended early");
    content_reader_close(&r);
}

static void *passing_run(void *arg)
{
    struct hammer *h = arg;
    if (h->id > 0) {
        passing_read(h);
        return NULL;
    }
    pthread_barrier_wait(&barrier);
    passing_write(h);
    return NULL;
}

static void slowest_reader_sets_the_pace(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    passing = content_new(c, 0, PASSING_BYTES);
    content_make_passing(passing);
    pthread_barrier_init(&barrier, NULL, THREADS);
    hammers_start(c, passing_run);
    hammers_join();
    assert_int_equal(content_state(passing), CONTENT_WHOLE);
    assert_true(rig_stats(c).memory_bytes < 2 * CONTENT_CHUNK_BYTES);
    content_drop(passing);
    assert_int_equal(rig_stats(c).memory_bytes, 0);
    pthread_barrier_destroy(&barrier);
    cache_free(c);
}

UNIT_SUITE(cache_store_threads, cmocka_unit_test(everything_at_once),
           cmocka_unit_test(one_of_a_herd_leads), cmocka_unit_test(slowest_reader_sets_the_pace));
