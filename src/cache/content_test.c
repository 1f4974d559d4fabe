/* content_test.c - bodies that fill up, are read meanwhile, pass, break off. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "cache/content_priv.h"
#include "cache/store_rig_test.h"
#include "io/loop.h"

static struct loop loop;
static struct counters_shared counters;
static int woken;

static void on_wake(void *ctx)
{
    (void)ctx;
    woken++;
}

static int setup(void **state)
{
    (void)state;
    woken = 0;
    return loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    mailbox_run(loop.mailbox, &loop); /* frees waiters whose mail was under way */
    loop_release(&loop);
    return 0;
}

static void mail_comes(int times)
{
    int before = woken;
    mailbox_run(loop.mailbox, &loop);
    assert_int_equal(woken - before, times);
}

static void open_at(struct content_reader *r, struct content_shared *k, uint64_t first)
{
    assert_true(content_reader_open(r, k, &loop, first, UINT64_MAX, on_wake, NULL));
}

/* Reads all that is there; how it stopped. */
static enum content_read read_all(struct content_reader *r, uint64_t hash, size_t max,
                                  uint64_t *bytes)
{
    struct slice s;
    struct chunk_shared *chunk;
    enum content_read how;
    *bytes = 0;
    uint64_t at = r->at;
    while ((how = content_read_next(r, max, &s, &chunk)) == CONTENT_BYTES) {
        assert_in_range(s.len, 1, max);
        rig_check(s, hash, at);
        at += s.len;
        *bytes += s.len;
        chunk_drop(chunk);
    }
    return how;
}

static void assert_read(struct content_reader *r, uint64_t hash, uint64_t bytes,
                        enum content_read how)
{
    uint64_t got;
    assert_int_equal(read_all(r, hash, 10000, &got), how);
    assert_int_equal(got, bytes);
}

static void bodies_of_all_sizes(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0,     1,     511,    512,    513,     1000,         65535,
                                     65536, 65537, 131072, 200000, 1 << 20, (1 << 20) + 1};
    struct cache_shared *c = rig_cache(64 << 20);
    for (size_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
        uint64_t size = sizes[i / 2], length = i % 2 ? size : CONTENT_LENGTH_UNKNOWN;
        struct content_shared *k = content_new(c, 0, length);
        rig_fill(k, size, size);
        content_end(k);
        assert_int_equal(content_state(k), CONTENT_WHOLE);
        assert_int_equal(content_length(k), size);
        struct content_reader r;
        open_at(&r, k, 0);
        assert_null(r.waiter); /* nothing to wait for */
        assert_read(&r, size, size, CONTENT_END);
        content_reader_close(&r);
        content_drop(k);
        assert_int_equal(rig_stats(c).memory_bytes, 0);
    }
    cache_free(c);
}

static void ranges_begin_and_end_where_asked(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(64 << 20);
    struct content_shared *k = rig_content(c, 5, 200000);
    static const uint64_t at[] = {0, 1, 65535, 65536, 65537, 131072, 199999, 200000};
    for (size_t i = 0; i < COUNT_OF(at); i++)
        for (size_t j = i; j < COUNT_OF(at); j++) {
            struct content_reader r;
            assert_true(content_reader_open(&r, k, NULL, at[i], at[j], NULL, NULL));
            assert_read(&r, 5, at[j] - at[i], CONTENT_END);
            content_reader_close(&r);
        }
    content_drop(k);
    cache_free(c);
}

static void known_length_at_it_and_past_it(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    for (uint64_t length = 10; length <= 100010; length += 100000) {
        struct content_shared *k = content_new(c, 0, length);
        rig_fill(k, 1, length);
        assert_int_equal(content_append(k, SLICE("x")), ERR_BODY_TOO_LARGE);
        assert_int_equal(content_append(k, SLICE("")), ERR_OK);
        content_end(k);
        assert_int_equal(content_state(k), CONTENT_WHOLE);
        content_drop(k);
        k = content_new(c, 0, length);
        rig_fill(k, 1, length - 1);
        content_end(k);
        assert_int_equal(content_state(k), CONTENT_BROKEN);
        content_drop(k);
    }
    cache_free(c);
}

static void unknown_length_wastes_little(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    static const uint64_t sizes[] = {1, 100, 700, 5000, 70000, 300000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (int read_along = 0; read_along < 2; read_along++) {
            struct content_shared *k = content_new(c, 0, CONTENT_LENGTH_UNKNOWN);
            struct content_reader r;
            if (read_along)
                open_at(&r, k, 0);
            for (uint64_t at = 0; at < sizes[i]; at += 100)
                assert_int_equal(content_append(k, SLICE("0123456789012345678901234567890123456789"
                                                         "0123456789012345678901234567890123456789"
                                                         "01234567890123456789")),
                                 ERR_OK);
            content_end(k);
            if (read_along)
                content_reader_close(&r);
            uint64_t bytes = content_bytes(k);
            assert_in_range(rig_stats(c).memory_bytes, bytes,
                            bytes + bytes / (read_along ? 3 : 12) + 700);
            content_drop(k);
        }
    cache_free(c);
}

static void reader_is_woken_once_for_what_comes(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    struct content_shared *k = content_new(c, 0, CONTENT_LENGTH_UNKNOWN);
    struct content_reader r;
    open_at(&r, k, 0);
    assert_read(&r, 3, 0, CONTENT_WAIT);
    rig_fill(k, 3, 8);
    assert_int_equal(content_append(k, SLICE("")), ERR_OK);
    mail_comes(1);
    mail_comes(0); /* it did not wait again */
    assert_read(&r, 3, 8, CONTENT_WAIT);
    content_end(k);
    mail_comes(1);
    assert_read(&r, 3, 0, CONTENT_END);
    content_reader_close(&r);
    content_drop(k);
    cache_free(c);
}

static void reader_goes_while_its_mail_is_under_way(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    struct content_shared *k = content_new(c, 0, 100);
    struct content_reader r;
    open_at(&r, k, 0);
    assert_read(&r, 3, 0, CONTENT_WAIT);
    rig_fill(k, 3, 8);
    content_reader_close(&r);
    content_reader_close(&r); /* again: nothing */
    content_drop(k);
    mail_comes(0);
    cache_free(c);
}

static void broken_one_gives_what_it_has(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    struct content_shared *k = content_new(c, 0, 100);
    struct content_reader r, late;
    open_at(&r, k, 0);
    rig_fill(k, 3, 40);
    assert_read(&r, 3, 40, CONTENT_WAIT);
    content_break(k);
    content_break(k);
    mail_comes(1);
    assert_read(&r, 3, 0, CONTENT_LOST);
    open_at(&late, k, 0);
    assert_read(&late, 3, 40, CONTENT_LOST);
    content_reader_close(&r);
    content_reader_close(&late);
    content_drop(k);
    cache_free(c);
}

static void chunk_outlives_its_content(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    for (uint64_t size = 100; size <= 100100; size += 100000) {
        struct content_shared *k = rig_content(c, 9, size);
        struct content_reader r;
        struct slice s;
        struct chunk_shared *chunk;
        open_at(&r, k, 0);
        assert_int_equal(content_read_next(&r, 50, &s, &chunk), CONTENT_BYTES);
        content_reader_close(&r);
        content_drop(k);
        rig_check(s, 9, 0);
        assert_true(rig_stats(c).memory_bytes > 0);
        chunk_drop(chunk);
        assert_int_equal(rig_stats(c).memory_bytes, 0);
    }
    cache_free(c);
}

static void part_begins_at_its_position(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(4 << 20);
    struct content_shared *k = content_new(c, 1000, 200);
    rig_fill(k, 4, 200);
    content_end(k);
    struct content_reader r;
    assert_false(content_reader_open(&r, k, NULL, 999, UINT64_MAX, NULL, NULL));
    content_reader_close(&r);
    struct slice s;
    struct chunk_shared *chunk;
    open_at(&r, k, 1010);
    assert_int_equal(content_read_next(&r, 500, &s, &chunk), CONTENT_BYTES);
    assert_int_equal(s.len, 190);
    rig_check(s, 4, 10);
    chunk_drop(chunk);
    content_reader_close(&r);
    content_drop(k);
    cache_free(c);
}

/* ---- passing ---- */

static void fill_to(struct content_shared *k, uint64_t hash, uint64_t to)
{
    char piece[1000];
    for (uint64_t at = content_bytes(k); at < to; at = content_bytes(k)) {
        size_t n = to - at < sizeof piece ? (size_t)(to - at) : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = rig_byte(hash, at + i);
        assert_int_equal(content_append(k, (struct slice){piece, n}), ERR_OK);
    }
}

static void passing_holds_its_writer_back(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(16 << 20);
    struct content_shared *k = content_new(c, 0, 100 << 20);
    struct content_reader r;
    struct waiter *writer = waiter_new(&loop, on_wake, NULL);
    open_at(&r, k, 0);
    assert_int_equal(content_room(k, writer), SIZE_MAX);
    content_make_passing(k);
    assert_true(content_is_passing(k));
    fill_to(k, 1, CONTENT_PASSING_BYTES - 1);
    assert_int_equal(content_room(k, writer), 1);
    fill_to(k, 1, CONTENT_PASSING_BYTES);
    assert_int_equal(content_room(k, writer), 0);
    struct slice s;
    struct chunk_shared *chunk;
    assert_int_equal(content_read_next(&r, 10, &s, &chunk), CONTENT_BYTES);
    chunk_drop(chunk);
    mail_comes(1);
    assert_int_equal(content_room(k, writer), 10);
    uint64_t got;
    assert_int_equal(read_all(&r, 1, 65536, &got), CONTENT_WAIT);
    assert_int_equal(got, CONTENT_PASSING_BYTES - 10);
    assert_int_equal(content_room(k, writer), CONTENT_PASSING_BYTES);
    assert_true(rig_stats(c).memory_bytes < 2 * CONTENT_CHUNK_BYTES); /* what passed is gone */
    struct content_reader late;
    assert_false(content_reader_open(&late, k, &loop, 0, UINT64_MAX, on_wake, NULL));
    content_break(k);
    content_reader_close(&r);
    content_drop(k);
    waiter_close(writer);
    mailbox_run(loop.mailbox, &loop);
    cache_free(c);
}

static void passing_ends_whole_for_its_readers(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(16 << 20);
    struct content_shared *k = content_new(c, 0, 300000);
    struct content_reader a, b;
    open_at(&a, k, 0);
    open_at(&b, k, 0);
    content_make_passing(k);
    fill_to(k, 1, 200000);
    assert_read(&a, 1, 200000, CONTENT_WAIT);
    fill_to(k, 1, 300000);
    content_end(k);
    assert_read(&b, 1, 300000, CONTENT_END);
    content_reader_close(&b);
    assert_read(&a, 1, 100000, CONTENT_END);
    content_reader_close(&a);
    assert_int_equal(content_state(k), CONTENT_WHOLE);
    content_drop(k);
    assert_int_equal(rig_stats(c).memory_bytes, 0);
    cache_free(c);
}

static void writer_is_told_when_nobody_wants_it(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(16 << 20);
    struct content_shared *k = content_new(c, 0, 100 << 20);
    struct waiter *writer = waiter_new(&loop, on_wake, NULL);
    content_take(k); /* for somebody */
    content_make_passing(k);
    fill_to(k, 1, CONTENT_PASSING_BYTES);
    assert_int_equal(content_room(k, writer), 0);
    assert_true(content_is_wanted(k));
    content_drop(k);
    mail_comes(1);
    assert_false(content_is_wanted(k));
    content_break(k);
    content_drop(k);
    waiter_close(writer);
    cache_free(c);
}

static void small_contents_do_not_pass(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct content_shared *k = content_new(c, 0, CONTENT_CHUNK_BYTES);
    content_make_passing(k);
    assert_false(content_is_passing(k));
    content_break(k);
    content_drop(k);
    cache_free(c);
}

static void budget_refuses_at_twice_the_limit(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct content_shared *k = content_new(c, 0, CONTENT_LENGTH_UNKNOWN);
    static const char piece[CONTENT_CHUNK_BYTES];
    uint64_t taken = 0;
    while (content_append(k, (struct slice){piece, sizeof piece}) == ERR_OK)
        taken += sizeof piece;
    assert_in_range(taken, (2 << 20) - 2 * sizeof piece, 2 << 20);
    assert_true(rig_stats(c).memory_bytes <= 2 << 20);
    content_break(k);
    content_drop(k);
    assert_int_equal(rig_stats(c).memory_bytes, 0);
    cache_free(c);
}

/* ---- views ---- */

static void whole_in_one_piece_is_viewed(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1, CONTENT_CHUNK_BYTES, CONTENT_CHUNK_BYTES + 1,
                                       CONTENT_LENGTH_UNKNOWN};
    struct cache_shared *c = rig_cache(10 << 20);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct content_shared *k = content_new(c, 0, lengths[i]);
        struct slice view;
        uint64_t bytes = lengths[i] == CONTENT_LENGTH_UNKNOWN ? 1000 : lengths[i];
        assert_false(content_view(k, &view));
        rig_fill(k, 7, bytes);
        content_end(k);
        assert_int_equal(content_view(k, &view), bytes <= CONTENT_CHUNK_BYTES);
        if (bytes <= CONTENT_CHUNK_BYTES) {
            assert_int_equal(view.len, bytes);
            rig_check(view, 7, 0);
        }
        content_drop(k);
    }
    rig_cache_free(c);
}

/* ---- waiters ---- */

static void waiter_without_a_loop_is_called_at_once(void **state)
{
    (void)state;
    struct waiter *w = waiter_new(NULL, on_wake, NULL);
    waiter_post(w);
    assert_int_equal(woken, 1);
    waiter_post(w);
    assert_int_equal(woken, 2);
    waiter_close(w);
}

static void waiter_is_posted_once(void **state)
{
    (void)state;
    struct waiter *w = waiter_new(&loop, on_wake, NULL);
    waiter_post(w);
    waiter_post(w);
    mail_comes(1);
    waiter_post(w);
    mail_comes(1);
    waiter_post(w);
    waiter_close(w);
    mail_comes(0);
}

#define WITH_LOOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
UNIT_SUITE(cache_content, WITH_LOOP(bodies_of_all_sizes),
           WITH_LOOP(ranges_begin_and_end_where_asked), WITH_LOOP(known_length_at_it_and_past_it),
           WITH_LOOP(unknown_length_wastes_little), WITH_LOOP(reader_is_woken_once_for_what_comes),
           WITH_LOOP(reader_goes_while_its_mail_is_under_way),
           WITH_LOOP(broken_one_gives_what_it_has), WITH_LOOP(chunk_outlives_its_content),
           WITH_LOOP(part_begins_at_its_position), WITH_LOOP(passing_holds_its_writer_back),
           WITH_LOOP(passing_ends_whole_for_its_readers),
           WITH_LOOP(writer_is_told_when_nobody_wants_it), WITH_LOOP(small_contents_do_not_pass),
           WITH_LOOP(budget_refuses_at_twice_the_limit), WITH_LOOP(whole_in_one_piece_is_viewed),
           WITH_LOOP(waiter_without_a_loop_is_called_at_once), WITH_LOOP(waiter_is_posted_once));
