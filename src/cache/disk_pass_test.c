/* disk_pass_test.c - what is larger than memory: the disk reads along while it comes, and gives it
 * back at the pace of who reads. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_rig_test.h"

enum { LARGE_BYTES = 6000000, MEMORY_BYTES = 8 << 20, KEPT_BYTES = 1 << 20 };

struct pass_rig {
    struct disk_rig r;
    struct loop loop;
    struct counters_shared counters;
    unsigned wakes;
};

static void rig_open(struct pass_rig *g)
{
    memset(g, 0, sizeof *g);
    disk_rig_folder(&g->r);
    disk_rig_open_with(&g->r, (uint64_t)1 << 40, MEMORY_BYTES);
    struct cache_limits l = {.memory_bytes = MEMORY_BYTES, .object_bytes = KEPT_BYTES};
    cache_limits_set(g->r.c, &l);
    assert_true(loop_init(&g->loop, &io_backend_epoll, NULL, &g->counters, 1 << 16));
}

static void rig_close(struct pass_rig *g)
{
    disk_rig_close(&g->r);
    while (loop_busy(&g->loop))
        loop_tick(&g->loop);
    loop_release(&g->loop);
    disk_rig_remove(&g->r);
}

static void on_wake(void *ctx)
{
    ((struct pass_rig *)ctx)->wakes++;
}

static void wait_for_wake(struct pass_rig *g)
{
    unsigned before = g->wakes;
    while (g->wakes == before)
        loop_tick(&g->loop);
}

/* As the filter does with something too large: the disk reads along, the index forgets it. */
static struct content_shared *start(struct pass_rig *g, unsigned n, uint64_t length)
{
    char text[RIG_KEY_BYTES];
    struct cache_key key = rig_key(text, n);
    struct content_shared *k = content_new(g->r.c, 0, length);
    assert_non_null(k);
    struct object_shared *o =
        rig_object_with(g->r.c, &key, content_take(k), &(struct rig_object){0});
    assert_true(cache_insert(g->r.c, o, cache_now(g->r.c)));
    cache_save(g->r.c, o);
    cache_remove(g->r.c, o);
    content_make_passing(k);
    object_drop(o);
    return k;
}

static void write_to(struct pass_rig *g, struct content_shared *k, unsigned n, uint64_t bytes)
{
    char text[RIG_KEY_BYTES], piece[30000];
    uint64_t hash = rig_key(text, n).hash;
    struct waiter *w = waiter_new(&g->loop, on_wake, g);
    for (uint64_t at = 0; at < bytes;) {
        size_t room = content_room(k, w);
        if (room == 0) {
            wait_for_wake(g);
            continue;
        }
        size_t len = bytes - at < sizeof piece ? (size_t)(bytes - at) : sizeof piece;
        len = room < len ? room : len;
        for (size_t i = 0; i < len; i++)
            piece[i] = rig_byte(hash, at + i);
        assert_int_equal(content_append(k, (struct slice){piece, len}), ERR_OK);
        at += len;
    }
    waiter_close(w);
}

/* Reads it all; the bytes that came. */
static uint64_t read_all(struct pass_rig *g, struct object_shared *o, uint64_t first,
                         uint64_t length, enum content_read *how)
{
    struct content_reader reader;
    struct slice piece;
    struct chunk_shared *chunk;
    uint64_t at = first;
    struct content_shared *k = cache_load(g->r.c, o, first, length);
    assert_non_null(k);
    uint64_t end = length == UINT64_MAX ? length : first + length;
    assert_true(content_reader_open(&reader, k, &g->loop, first, end, on_wake, g));
    content_drop(k);
    while ((*how = content_read_next(&reader, 50000, &piece, &chunk)) < CONTENT_END) {
        if (*how == CONTENT_WAIT) {
            wait_for_wake(g);
            continue;
        }
        rig_check(piece, o->hash, at);
        at += piece.len;
        chunk_drop(chunk);
        assert_true(rig_stats(g->r.c).memory_bytes < MEMORY_BYTES);
    }
    content_reader_close(&reader);
    return at - first;
}

static struct object_shared *found(struct pass_rig *g, unsigned n)
{
    DISK_RIG_UNTIL(disk_rig_has(&g->r, n));
    struct object_shared *o = disk_rig_find(&g->r, n);
    assert_int_equal(object_length(o), LARGE_BYTES);
    assert_null(o->content);
    return o;
}

static void check_there_and_back(uint64_t length)
{
    struct pass_rig g;
    enum content_read how;
    rig_open(&g);
    struct content_shared *k = start(&g, 1, length);
    assert_false(disk_rig_has(&g.r, 1));
    write_to(&g, k, 1, LARGE_BYTES);
    content_end(k);
    content_drop(k);
    struct object_shared *o = found(&g, 1);
    assert_int_equal(read_all(&g, o, 0, UINT64_MAX, &how), LARGE_BYTES);
    assert_int_equal(how, CONTENT_END);
    assert_null(o->content); /* not kept */
    assert_int_equal(read_all(&g, o, 1000001, 3000000, &how), 3000000);
    assert_int_equal(how, CONTENT_END);
    object_drop(o);
    rig_close(&g);
}

static void what_passes_is_saved(void **state)
{
    (void)state;
    check_there_and_back(LARGE_BYTES);
    check_there_and_back(CONTENT_LENGTH_UNKNOWN);
}

static void what_breaks_is_not_saved(void **state)
{
    (void)state;
    struct pass_rig g;
    rig_open(&g);
    struct content_shared *k = start(&g, 1, CONTENT_LENGTH_UNKNOWN);
    write_to(&g, k, 1, LARGE_BYTES);
    content_break(k);
    content_drop(k);
    DISK_RIG_UNTIL(atomic_load(&g.r.d->orders) == 0);
    assert_false(disk_rig_has(&g.r, 1));
    assert_int_equal(disk_rig_files(&g.r) + disk_rig_files_in(&g.r, "new"), 0);
    assert_int_equal(rig_stats(g.r.c).disk_errors, 0);
    rig_close(&g);
}

static void what_was_purged_meanwhile_does_not_appear(void **state)
{
    (void)state;
    struct pass_rig g;
    uint64_t id, count;
    struct purge_order p = {PURGE_URL, PURGE_HARD, SLICE("https://host/path/1")};
    rig_open(&g);
    struct content_shared *k = start(&g, 1, LARGE_BYTES);
    write_to(&g, k, 1, LARGE_BYTES / 2);
    assert_int_equal(purge_add(g.r.c, &p, &id), ERR_OK);
    DISK_RIG_UNTIL(purge_result(g.r.c, id, &count));
    content_break(k);
    content_drop(k);
    k = start(&g, 1, LARGE_BYTES);
    write_to(&g, k, 1, LARGE_BYTES);
    assert_int_equal(purge_add(g.r.c, &p, &id), ERR_OK);
    DISK_RIG_UNTIL(purge_result(g.r.c, id, &count));
    content_end(k);
    content_drop(k);
    DISK_RIG_UNTIL(atomic_load(&g.r.d->orders) == 0);
    DISK_RIG_UNTIL(disk_rig_files(&g.r) == 0);
    assert_false(disk_rig_has(&g.r, 1));
    rig_close(&g);
}

static struct object_shared *saved(struct pass_rig *g, unsigned n)
{
    struct content_shared *k = start(g, n, LARGE_BYTES);
    write_to(g, k, n, LARGE_BYTES);
    content_end(k);
    content_drop(k);
    return found(g, n);
}

static void a_load_that_nobody_wants_ends(void **state)
{
    (void)state;
    struct pass_rig g;
    struct content_reader reader;
    struct slice piece;
    struct chunk_shared *chunk;
    rig_open(&g);
    struct object_shared *o = saved(&g, 1);
    struct content_shared *k = cache_load(g.r.c, o, 0, UINT64_MAX); /* never read */
    assert_non_null(k);
    content_drop(k);
    k = cache_load(g.r.c, o, 0, UINT64_MAX); /* left in the middle */
    assert_true(content_reader_open(&reader, k, &g.loop, 0, UINT64_MAX, on_wake, &g));
    while (content_read_next(&reader, 50000, &piece, &chunk) == CONTENT_WAIT)
        wait_for_wake(&g);
    chunk_drop(chunk);
    content_drop(k);
    DISK_RIG_UNTIL(content_bytes(k) >= KEPT_BYTES / 2); /* it goes on to the end of its window */
    content_reader_close(&reader);
    DISK_RIG_UNTIL(atomic_load(&g.r.d->orders) == 0);
    assert_true(disk_rig_has(&g.r, 1));
    object_drop(o);
    rig_close(&g);
}

static void closing_breaks_what_is_under_way(void **state)
{
    (void)state;
    struct pass_rig g;
    rig_open(&g);
    struct object_shared *o = saved(&g, 1);
    struct content_shared *k = cache_load(g.r.c, o, 0, UINT64_MAX);
    struct content_shared *coming = start(&g, 2, LARGE_BYTES);
    write_to(&g, coming, 2, LARGE_BYTES / 2);
    object_drop(o);
    disk_close(g.r.d);
    assert_int_equal(content_state(k), CONTENT_BROKEN);
    content_drop(k);
    content_break(coming);
    content_drop(coming);
    assert_int_equal(disk_rig_files_in(&g.r, "new"), 0);
    cache_free(g.r.c);
    disk_rig_open(&g.r);
    assert_true(disk_rig_has(&g.r, 1));
    assert_false(disk_rig_has(&g.r, 2));
    rig_close(&g);
}

static void orders_have_a_limit(void **state)
{
    (void)state;
    struct pass_rig g;
    struct content_shared *all[DISK_ORDERS_MAX + 1];
    rig_open(&g);
    struct object_shared *o = saved(&g, 1);
    DISK_RIG_UNTIL(atomic_load(&g.r.d->orders) == 0);
    atomic_store(&g.r.d->orders, DISK_ORDERS_MAX - 3); /* as if so many were waiting */
    unsigned count = 0;
    while (count < 10 && (all[count] = cache_load(g.r.c, o, 0, UINT64_MAX)) != NULL)
        count++;
    assert_int_equal(count, 3);
    assert_int_equal(atomic_load(&g.r.d->dropped), 1);
    while (count-- > 0)
        content_drop(all[count]);
    DISK_RIG_UNTIL(atomic_load(&g.r.d->orders) == DISK_ORDERS_MAX - 3);
    atomic_store(&g.r.d->orders, 0);
    object_drop(o);
    rig_close(&g);
}

UNIT_SUITE(cache_disk_pass, cmocka_unit_test(what_passes_is_saved),
           cmocka_unit_test(what_breaks_is_not_saved),
           cmocka_unit_test(what_was_purged_meanwhile_does_not_appear),
           cmocka_unit_test(a_load_that_nobody_wants_ends),
           cmocka_unit_test(closing_breaks_what_is_under_way),
           cmocka_unit_test(orders_have_a_limit));
