/* purge_test.c - what a purge concerns, at once and for good. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/store_rig_test.h"
#include <time.h>

static uint64_t purge(struct cache_shared *c, enum purge_kind kind, enum purge_how how,
                      struct slice text)
{
    uint64_t id;
    struct purge_order p = {kind, how, text};
    assert_int_equal(purge_add(c, &p, &id), ERR_OK);
    return id;
}

static uint64_t result(struct cache_shared *c, uint64_t id)
{
    uint64_t count;
    while (!purge_result(c, id, &count))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    return count;
}

static void store_text(struct cache_shared *c, struct slice text, struct slice tags)
{
    struct cache_key k;
    cache_key_init(&k, text);
    rig_store(c, &k, 10, &(struct rig_object){.tags = tags});
}

static bool has_text(struct cache_shared *c, struct slice text)
{
    struct cache_key k;
    cache_key_init(&k, text);
    return rig_has_key(c, &k, 0);
}

static void url_with_all_that_tells_apart(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    store_text(c, SLICE("https://a/x"), SLICE(""));
    store_text(c, SLICE("https://a/x\nphone"), SLICE(""));
    store_text(c, SLICE("https://a/x?y"), SLICE(""));
    store_text(c, SLICE("https://a/"), SLICE(""));
    uint64_t id = purge(c, PURGE_URL, PURGE_HARD, SLICE("https://a/x"));
    assert_false(has_text(c, SLICE("https://a/x")));
    assert_false(has_text(c, SLICE("https://a/x\nphone")));
    assert_true(has_text(c, SLICE("https://a/x?y")));
    assert_true(has_text(c, SLICE("https://a/")));
    assert_int_equal(result(c, id), 2);
    assert_int_equal(rig_stats(c).objects, 2);
    assert_int_equal(rig_stats(c).purged, 2);
    cache_free(c);
}

static void urls_that_are_whole_keys(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct cache_key k;
    cache_key_init(&k, SLICE("https://a/x"));
    for (unsigned v = 1; v <= 3; v++)
        rig_store(c, &k, 10, &(struct rig_object){.variant = v});
    store_text(c, SLICE("https://a/y"), SLICE(""));
    store_text(c, SLICE("https://a/z"), SLICE(""));
    uint64_t x = purge(c, PURGE_URL, PURGE_HARD, SLICE("https://a/x"));
    uint64_t y = purge(c, PURGE_URL, PURGE_SOFT, SLICE("https://a/y"));
    uint64_t none = purge(c, PURGE_URL, PURGE_HARD, SLICE("https://a/"));
    assert_false(rig_has_key(c, &k, 2));
    assert_int_equal(result(c, x), 3);
    assert_int_equal(result(c, y), 1);
    assert_int_equal(result(c, none), 0);
    assert_false(has_text(c, SLICE("https://a/y")));
    assert_true(has_text(c, SLICE("https://a/z")));
    store_text(c, SLICE("https://a/z\nphone"), SLICE(""));
    assert_int_equal(result(c, purge(c, PURGE_URL, PURGE_HARD, SLICE("https://a/z"))), 2);
    assert_false(has_text(c, SLICE("https://a/z\nphone")));
    assert_int_equal(rig_stats(c).objects, 1); /* the soft one */
    cache_free(c);
}

static void prefix_of_the_url_alone(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    store_text(c, SLICE("https://a/x/1"), SLICE(""));
    store_text(c, SLICE("https://a/x/2"), SLICE(""));
    store_text(c, SLICE("https://a/x"), SLICE(""));
    store_text(c, SLICE("https://a/x\n/"), SLICE(""));
    uint64_t id = purge(c, PURGE_PREFIX, PURGE_HARD, SLICE("https://a/x/"));
    assert_int_equal(result(c, id), 2);
    assert_true(has_text(c, SLICE("https://a/x")));
    assert_true(has_text(c, SLICE("https://a/x\n/")));
    cache_free(c);
}

static void tag_is_a_whole_word(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    store_text(c, SLICE("https://a/1"), SLICE("blue"));
    store_text(c, SLICE("https://a/2"), SLICE("red  blue"));
    store_text(c, SLICE("https://a/3"), SLICE("blue2 bluer"));
    store_text(c, SLICE("https://a/4"), SLICE("Blue"));
    store_text(c, SLICE("https://a/5"), SLICE(""));
    uint64_t id = purge(c, PURGE_TAG, PURGE_HARD, SLICE("blue"));
    assert_int_equal(result(c, id), 2);
    assert_false(has_text(c, SLICE("https://a/1")));
    assert_false(has_text(c, SLICE("https://a/2")));
    assert_int_equal(rig_stats(c).objects, 3);
    cache_free(c);
}

static void soft_ones_stay_stale(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    for (unsigned i = 0; i < 100; i++)
        rig_put(c, i, 10);
    uint64_t id = purge(c, PURGE_ALL, PURGE_SOFT, SLICE(""));
    assert_false(rig_has(c, 1));
    rig_put(c, 2, 10); /* anew: fresh */
    assert_true(rig_has(c, 2));
    assert_in_range(result(c, id), 99, 100); /* the sweeper may not have come to it */
    assert_int_equal(rig_stats(c).objects, 100);
    assert_true(rig_has(c, 2));
    assert_false(rig_has(c, 3));
    cache_free(c);
}

static void what_was_asked_for_before_is_not_stored(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 1);
    uint64_t sent = cache_now(c);
    result(c, purge(c, PURGE_URL, PURGE_HARD, k.text)); /* swept, and still known */
    struct object_shared *o =
        rig_object_with(c, &k, rig_content(c, k.hash, 10), &(struct rig_object){0});
    assert_false(cache_insert(c, o, sent));
    assert_true(cache_insert(c, o, cache_now(c)));
    object_drop(o);
    result(c, purge(c, PURGE_URL, PURGE_SOFT, k.text));
    assert_false(rig_has(c, 1));
    sent = cache_now(c) - 1;
    o = rig_object_with(c, &k, rig_content(c, k.hash, 10), &(struct rig_object){0});
    assert_true(cache_insert(c, o, sent)); /* soft: stored as stale */
    assert_false(rig_has(c, 1));
    object_drop(o);
    cache_free(c);
}

/* More orders than the ring holds, while one fetch is under way: it is not stored, whatever they
 * concerned. */
static void what_is_no_longer_known_is_refused(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(16 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 1);
    uint64_t sent = cache_now(c);
    for (int i = 0; i < PURGES_PENDING_MAX; i++)
        result(c, purge(c, PURGE_URL, PURGE_HARD, SLICE("https://other/")));
    struct object_shared *o =
        rig_object_with(c, &k, rig_content(c, k.hash, 10), &(struct rig_object){0});
    assert_true(cache_insert(c, o, sent)); /* all known: none concerns it */
    cache_remove(c, o);
    result(c, purge(c, PURGE_URL, PURGE_HARD, SLICE("https://other/")));
    assert_false(cache_insert(c, o, sent));
    object_drop(o);
    cache_free(c);
}

static void text_at_its_limit_and_past_it(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    static char text[PURGE_TEXT_MAX + 1];
    uint64_t id;
    struct purge_order p = {PURGE_TAG, PURGE_HARD, {text, PURGE_TEXT_MAX}};
    assert_int_equal(purge_add(c, &p, &id), ERR_OK);
    p.text.len++;
    assert_int_equal(purge_add(c, &p, &id), ERR_OVER_BUDGET);
    cache_free(c);
}

static void many_orders_over_many_objects(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(64 << 20);
    enum { COUNT = 20000, TAGS = 50 };
    char text[RIG_KEY_BYTES], tag[16];
    uint64_t ids[TAGS / 2];
    for (unsigned i = 0; i < COUNT; i++) {
        struct cache_key k = rig_key(text, i);
        int len = snprintf(tag, sizeof tag, "t%u", i % TAGS);
        rig_store(c, &k, 10, &(struct rig_object){.tags = {tag, (size_t)len}});
    }
    for (unsigned t = 0; t < TAGS / 2; t++) {
        int len = snprintf(tag, sizeof tag, "t%u", 2 * t);
        ids[t] = purge(c, PURGE_TAG, PURGE_HARD, (struct slice){tag, (size_t)len});
        for (unsigned i = 0; i < COUNT; i += 997)
            assert_int_equal(rig_has(c, i), i % TAGS % 2 || i % TAGS > 2 * t);
    }
    for (unsigned t = 0; t < TAGS / 2; t++)
        assert_int_equal(result(c, ids[t]), COUNT / TAGS);
    assert_int_equal(rig_stats(c).objects, COUNT / 2);
    cache_free(c);
}

UNIT_SUITE(cache_purge, cmocka_unit_test(url_with_all_that_tells_apart),
           cmocka_unit_test(urls_that_are_whole_keys), cmocka_unit_test(prefix_of_the_url_alone),
           cmocka_unit_test(tag_is_a_whole_word), cmocka_unit_test(soft_ones_stay_stale),
           cmocka_unit_test(what_was_asked_for_before_is_not_stored),
           cmocka_unit_test(what_is_no_longer_known_is_refused),
           cmocka_unit_test(text_at_its_limit_and_past_it),
           cmocka_unit_test(many_orders_over_many_objects));
