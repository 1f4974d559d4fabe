/* evict_test.c - the budget, and who leaves. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "cache/store_rig_test.h"
#include <unistd.h>

enum { BODY = 1000, BUDGET = 2 << 20 };

static unsigned count_there(struct cache_shared *c, unsigned from, unsigned to)
{
    unsigned there = 0;
    for (unsigned i = from; i < to; i++)
        there += rig_has(c, i);
    return there;
}

static void budget_holds_to_the_byte(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    for (unsigned i = 0; i < 10000; i++) {
        rig_put(c, i, i * 37 % 2000);
        assert_true(rig_stats(c).memory_bytes <= BUDGET);
    }
    assert_true(rig_stats(c).memory_bytes > BUDGET - 3000);
    assert_int_equal(rig_stats(c).objects + rig_stats(c).evictions, 10000);
    cache_free(c);
}

/* Fits to the byte; with one byte less something has to go. */
static void fits_at_the_limit_not_below(void **state)
{
    (void)state;
    for (int less = 0; less < 2; less++) {
        struct cache_shared *c = rig_cache(BUDGET);
        for (unsigned i = 0; i < 20; i++)
            rig_put(c, i, BODY);
        struct cache_limits l = {.object_bytes = BODY};
        l.memory_bytes = rig_stats(c).memory_bytes - (uint64_t)less;
        cache_limits_set(c, &l);
        assert_int_equal(rig_stats(c).objects, 20 - less);
        cache_free(c);
    }
}

static void scan_leaves_what_is_in_use(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    for (unsigned i = 0; i < 800; i++)
        rig_put(c, i, BODY);
    assert_int_equal(count_there(c, 0, 800), 800); /* each asked for */
    for (unsigned i = 10000; i < 30000; i++)
        rig_put(c, i, BODY);
    assert_true(count_there(c, 0, 800) > 720);
    cache_free(c);
}

/* Hashes differ in each run, so does who is still remembered: of many most are. */
static void who_comes_back_soon_stays(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    for (unsigned i = 0; i < 2000; i++)
        rig_put(c, i, BODY);
    unsigned back[100], count = 0;
    for (unsigned i = 2000; i-- > 0 && count < COUNT_OF(back);)
        if (!rig_has(c, i))
            back[count++] = i;
    for (unsigned i = 0; i < count; i++)
        rig_put(c, back[i], BODY); /* is remembered: to the main queue */
    for (unsigned i = 10000; i < 13000; i++)
        rig_put(c, i, BODY);
    unsigned there = 0;
    for (unsigned i = 0; i < count; i++)
        there += rig_has(c, back[i]);
    assert_in_range(there, 50, 100);
    cache_free(c);
}

static void smaller_limit_evicts_at_once(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    for (unsigned i = 0; i < 1000; i++)
        rig_put(c, i, BODY);
    struct cache_limits l = {.memory_bytes = BUDGET / 4, .object_bytes = BODY}, got;
    cache_limits_set(c, &l);
    assert_true(rig_stats(c).memory_bytes <= BUDGET / 4);
    assert_true(rig_stats(c).objects > 200);
    cache_limits_get(c, &got);
    assert_int_equal(got.memory_bytes, BUDGET / 4);
    assert_int_equal(got.variants_count, 256);
    cache_free(c);
}

static void no_memory_at_all(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(0);
    assert_null(content_new(c, 0, 10));
    assert_int_equal(rig_stats(c).memory_bytes, 0);
    cache_free(c);
}

static void forms_count_too(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    char text[RIG_KEY_BYTES];
    for (unsigned i = 0; i < 300; i++) {
        rig_put(c, i, 10);
        struct cache_query q = {.key = rig_key(text, i), .match = rig_match_fresh, .alone = true};
        struct cache_result r;
        cache_lookup(c, &q, &r);
        if (!r.object)
            continue;
        struct content_shared *k = rig_content(c, i, 30000);
        cache_coded_put(c, r.object, 1, k);
        content_drop(k);
        rig_result_drop(&r);
        assert_true(rig_stats(c).memory_bytes <= BUDGET);
    }
    assert_in_range(rig_stats(c).objects, 20, 100);
    cache_free(c);
}

/* ---- with a disk ---- */

struct disk_shared {
    int forgotten, reheaded, saved, loaded, purges;
};

static void disk_save_(struct disk_shared *d, struct object_shared *o)
{
    object_file_set(o, ++d->saved);
}

static struct content_shared *disk_load_(struct disk_shared *d, struct object_shared *o,
                                         uint64_t first, uint64_t length)
{
    d->loaded++;
    struct content_shared *k = content_new(o->cache, first, length);
    rig_fill(k, o->hash, length);
    content_end(k);
    return k;
}

static void disk_forget_(struct disk_shared *d, struct object_shared *o)
{
    object_file_set(o, 0);
    d->forgotten++;
}

static void disk_rehead_(struct disk_shared *d, struct object_shared *old, struct object_shared *o)
{
    object_file_set(o, object_file(old));
    object_file_set(old, 0);
    d->reheaded++;
}

static void disk_purge_(struct disk_shared *d, const struct purge_order *p, uint64_t born_before)
{
    assert_true(born_before > 0 && p->text.len == 0);
    d->purges++;
}

static const struct cache_disk_ops disk_ops = {.save = disk_save_,
                                               .load = disk_load_,
                                               .forget = disk_forget_,
                                               .rehead = disk_rehead_,
                                               .purge_note = disk_purge_};

static void disk_store(struct cache_shared *c, unsigned n)
{
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, n);
    struct object_shared *o =
        rig_object_with(c, &k, rig_content(c, k.hash, BODY), &(struct rig_object){0});
    assert_non_null(object_disk_link(o));
    assert_ptr_equal(object_of_disk_link(object_disk_link(o)), o);
    assert_true(cache_insert(c, o, cache_now(c)));
    cache_save(c, o);
    object_drop(o);
}

static void disk_keeps_what_memory_lets_go(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    struct disk_shared d = {0};
    cache_disk_set(c, &disk_ops, &d);
    assert_ptr_equal(cache_disk_get(c), &d);
    for (unsigned i = 0; i < 3000; i++)
        disk_store(c, i);
    assert_int_equal(rig_stats(c).objects, 3000);
    assert_int_equal(d.forgotten, 0);
    assert_true(rig_stats(c).memory_bytes <= BUDGET);
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, 0), .match = rig_match_fresh};
    struct cache_result r;
    cache_lookup(c, &q, &r);
    assert_int_equal(r.match, MATCH_FRESH);
    assert_null(r.content);
    struct content_shared *k = cache_load(c, r.object, 0, BODY);
    cache_content_loaded(c, r.object, k);
    content_drop(k);
    rig_result_drop(&r);
    cache_lookup(c, &q, &r);
    assert_non_null(r.content);
    rig_result_drop(&r);
    cache_invalidate(c, &q.key);
    assert_int_equal(d.forgotten, 1);
    cache_disk_set(c, NULL, NULL);
    assert_null(cache_disk_get(c));
    cache_free(c);
}

static void heads_on_disk_have_a_share(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    struct disk_shared d = {0};
    cache_disk_set(c, &disk_ops, &d);
    for (unsigned i = 0; i < 10000; i++)
        disk_store(c, i);
    assert_true(d.forgotten > 1000);
    assert_int_equal(rig_stats(c).objects + (uint64_t)d.forgotten, 10000);
    assert_true(rig_stats(c).objects > 3000);
    assert_true(rig_stats(c).memory_bytes <= BUDGET);
    cache_free(c);
}

static void new_head_takes_the_file(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(BUDGET);
    struct disk_shared d = {0};
    cache_disk_set(c, &disk_ops, &d);
    disk_store(c, 1);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 1);
    struct cache_query q = {.key = k, .match = rig_match_fresh};
    struct cache_result r;
    cache_lookup(c, &q, &r);
    struct object_shared *o =
        rig_object_with(c, &k, content_take(r.content), &(struct rig_object){0});
    assert_true(cache_insert(c, o, cache_now(c)));
    assert_int_equal(d.reheaded, 1);
    assert_int_equal(d.forgotten, 0);
    assert_int_equal(object_file(o), 1);
    disk_store(c, 1); /* another body: the file goes */
    assert_int_equal(d.forgotten, 1);
    object_drop(o);
    rig_result_drop(&r);
    uint64_t id;
    struct purge_order all = {.kind = PURGE_ALL, .how = PURGE_HARD};
    uint64_t count;
    assert_int_equal(purge_add(c, &all, &id), ERR_OK);
    assert_false(rig_has(c, 1));
    while (!purge_result(c, id, &count))
        usleep(1000);
    assert_int_equal(d.purges, 1); /* before it says that it is done */
    cache_free(c);
}

UNIT_SUITE(cache_evict, cmocka_unit_test(budget_holds_to_the_byte),
           cmocka_unit_test(fits_at_the_limit_not_below),
           cmocka_unit_test(scan_leaves_what_is_in_use),
           cmocka_unit_test(who_comes_back_soon_stays),
           cmocka_unit_test(smaller_limit_evicts_at_once), cmocka_unit_test(no_memory_at_all),
           cmocka_unit_test(forms_count_too), cmocka_unit_test(disk_keeps_what_memory_lets_go),
           cmocka_unit_test(heads_on_disk_have_a_share), cmocka_unit_test(new_head_takes_the_file));
