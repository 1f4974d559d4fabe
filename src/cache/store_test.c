/* store_test.c - linking, looking up, taking out. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/store_rig_test.h"
#include "http/coding.h"

static const struct rig_object plain;

static void finds_what_was_stored(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 7);
    struct cache_query q = {.key = k, .match = rig_match_fresh};
    struct cache_result r;
    rig_put(c, 7, 100);
    cache_lookup(c, &q, &r);
    assert_int_equal(r.match, MATCH_FRESH);
    assert_null(r.fill);
    assert_false(r.pass);
    assert_int_equal(content_bytes(r.content), 100);
    assert_true(slice_eq(object_key(r.object), k.text));
    rig_result_drop(&r);
    assert_false(rig_has(c, 8));
    cache_free(c);
}

static void many_keys_stay_apart(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(64 << 20);
    enum { COUNT = 20000 };
    for (unsigned i = 0; i < COUNT; i++)
        rig_put(c, i, i % 50);
    assert_int_equal(rig_stats(c).objects, COUNT);
    char text[RIG_KEY_BYTES];
    for (unsigned i = 0; i < COUNT; i += 3) {
        struct cache_key k = rig_key(text, i);
        assert_int_equal(cache_invalidate(c, &k), 1);
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(rig_has(c, i), i % 3 != 0);
    cache_free(c);
}

static void newest_in_place_of_the_same_variant(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 1);
    rig_store(c, &k, 10, &(struct rig_object){.variant = 1});
    rig_store(c, &k, 20, &(struct rig_object){.variant = 2});
    rig_store(c, &k, 30, &(struct rig_object){.variant = 1});
    assert_int_equal(rig_stats(c).objects, 2);
    struct cache_query q = {.key = k, .match = rig_match_fresh, .variant = 1, .alone = true};
    struct cache_result r;
    cache_lookup(c, &q, &r);
    assert_int_equal(content_bytes(r.content), 30);
    rig_result_drop(&r);
    assert_true(rig_has_key(c, &k, 2));
    rig_store(c, &k, 40, &(struct rig_object){.variant = 1, .kind = OBJECT_PART});
    assert_int_equal(rig_stats(c).objects, 3); /* of another kind: beside it */
    assert_int_equal(cache_invalidate(c, &k), 3);
    cache_free(c);
}

static void oldest_variant_leaves_at_the_cap(void **state)
{
    (void)state;
    struct cache_limits l = {.memory_bytes = 1 << 20, .object_bytes = 1 << 20, .variants_count = 3};
    struct cache_shared *c = cache_new(&l);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 1);
    for (unsigned v = 1; v <= 3; v++)
        rig_store(c, &k, 10, &(struct rig_object){.variant = v});
    assert_true(rig_has_key(c, &k, 1));
    rig_store(c, &k, 10, &(struct rig_object){.variant = 4});
    assert_false(rig_has_key(c, &k, 1));
    for (unsigned v = 2; v <= 4; v++)
        assert_true(rig_has_key(c, &k, v));
    cache_free(c);
}

static void one_of_many_leads(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, 1), .match = rig_match_fresh};
    struct cache_result a, b, other;
    cache_lookup(c, &q, &a);
    cache_lookup(c, &q, &b);
    assert_true(a.leads);
    assert_false(b.leads);
    assert_ptr_equal(a.fill, b.fill);
    q.variant = 5;
    cache_lookup(c, &q, &other);
    assert_true(other.leads);
    fill_answer(a.fill, FILL_PASS);
    assert_int_equal(fill_outcome(b.fill), FILL_PASS);
    rig_result_drop(&b);
    rig_result_drop(&a);
    rig_result_drop(&other);
    cache_free(c);
}

static void alone_neither_leads_nor_follows(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, 1), .match = rig_match_fresh, .alone = true};
    struct cache_result r;
    cache_lookup(c, &q, &r);
    assert_null(r.fill);
    assert_false(r.pass);
    cache_free(c);
}

static void passes_until_then(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, 1), .match = rig_match_fresh};
    struct cache_result r;
    cache_clock_set(c, 1000000);
    cache_mark_pass(c, &q.key, 1002000);
    cache_clock_set(c, 1001999 - 10);
    cache_lookup(c, &q, &r);
    assert_true(r.pass);
    assert_null(r.fill);
    cache_clock_set(c, 1002000);
    cache_lookup(c, &q, &r);
    assert_false(r.pass);
    assert_true(r.leads);
    rig_result_drop(&r);
    cache_free(c);
}

static void invalidation_refuses_what_was_asked_for_before(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, 1), .match = rig_match_fresh};
    struct cache_result before, after;
    cache_lookup(c, &q, &before);
    uint64_t sent = cache_now(c);
    assert_int_equal(cache_invalidate(c, &q.key), 0);
    cache_lookup(c, &q, &after); /* does not wait for what was asked for before */
    assert_true(after.leads);
    struct object_shared *o = rig_object_with(c, &q.key, rig_content(c, q.key.hash, 10), &plain);
    assert_false(cache_insert(c, o, sent));
    assert_false(rig_has(c, 1));
    assert_true(cache_insert(c, o, cache_now(c)));
    assert_true(rig_has(c, 1));
    object_drop(o);
    rig_result_drop(&before);
    rig_result_drop(&after);
    cache_free(c);
}

static void broken_content_is_not_seen(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 1);
    struct content_shared *body = content_new(c, 0, 10);
    content_take(body);
    struct object_shared *o = rig_object_with(c, &k, body, &plain);
    assert_true(cache_insert(c, o, cache_now(c)));
    assert_true(rig_has(c, 1)); /* while it comes */
    content_break(body);
    assert_false(rig_has(c, 1));
    cache_settle(c, o);
    assert_int_equal(rig_stats(c).objects, 0);
    content_drop(body);
    object_drop(o);
    cache_free(c);
}

static void expired_objects_are_stale(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, 1), .match = rig_match_fresh};
    struct cache_result r;
    rig_put(c, 1, 10);
    cache_lookup(c, &q, &r);
    atomic_store(&r.object->expired, true);
    rig_result_drop(&r);
    cache_lookup(c, &q, &r);
    assert_int_equal(r.match, MATCH_STALE);
    assert_true(r.leads);
    rig_result_drop(&r);
    cache_free(c);
}

static void object_limit_at_and_past(void **state)
{
    (void)state;
    struct cache_limits l = {.memory_bytes = 1 << 20, .object_bytes = 1000};
    struct cache_shared *c = cache_new(&l);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 2);
    rig_put(c, 1, 1000);
    assert_true(rig_has(c, 1));
    struct object_shared *o = rig_object_with(c, &k, rig_content(c, k.hash, 1001), &plain);
    assert_false(cache_insert(c, o, cache_now(c)));
    object_drop(o);
    struct content_shared *body = content_new(c, 0, CONTENT_LENGTH_UNKNOWN);
    o = rig_object_with(c, &k, content_take(body), &plain);
    assert_true(cache_insert(c, o, cache_now(c))); /* nobody knows yet */
    rig_fill(body, k.hash, 1001);
    content_end(body);
    cache_settle(c, o);
    assert_int_equal(rig_stats(c).objects, 1);
    object_drop(o);
    content_drop(body);
    cache_free(c);
}

static void new_head_keeps_content_and_forms(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_query q = {.key = rig_key(text, 1), .match = rig_match_fresh, .alone = true};
    struct cache_result r;
    rig_put(c, 1, 100);
    cache_lookup(c, &q, &r);
    struct content_shared *gz = rig_content(c, 1, 30), *found = NULL;
    cache_coded_put(c, r.object, CODING_GZIP, gz);
    struct object_shared *o = rig_object_with(c, &q.key, content_take(r.content), &plain);
    assert_true(cache_insert(c, o, cache_now(c)));
    assert_int_equal(rig_stats(c).objects, 1);
    assert_true(cache_coded_get(c, o, CODING_GZIP, &found));
    assert_ptr_equal(found, gz);
    assert_false(cache_coded_get(c, o, CODING_BR, &found));
    content_drop(gz);
    content_drop(gz);
    object_drop(o);
    rig_result_drop(&r);
    cache_free(c);
}

static void all_memory_comes_back(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(8 << 20);
    char text[RIG_KEY_BYTES];
    for (unsigned i = 0; i < 1000; i++)
        rig_put(c, i, i * 7 % 3000);
    assert_true(rig_stats(c).memory_bytes > 1000 * 1500);
    for (unsigned i = 0; i < 1000; i++) {
        struct cache_key k = rig_key(text, i);
        cache_invalidate(c, &k);
    }
    uint64_t index = rig_stats(c).memory_bytes; /* of tables alone */
    assert_true(index > 0 && index < 64 << 10 && index % 8 == 0);
    cache_free(c);
}

static void uses_count_and_stop_at_255(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char text[RIG_KEY_BYTES];
    struct cache_key k = rig_key(text, 1), other = rig_key(text, 2);
    k = rig_key(text, 1);
    for (unsigned i = 1; i <= 255; i++)
        assert_int_equal(cache_uses(c, &k), i);
    assert_int_equal(cache_uses(c, &k), 255);
    other.hash = k.hash + 1;
    assert_int_equal(cache_uses(c, &other), 1);
    for (int i = 0; i < 8 * 1024; i++)
        cache_uses(c, &other);
    assert_in_range(cache_uses(c, &k), 100, 130); /* halved */
    cache_free(c);
}

static void sites_sum_their_workers(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct cache_site_shared *s = cache_site_get(c, SLICE("a.example")), *at = NULL;
    assert_ptr_equal(s, cache_site_get(c, SLICE("a.example")));
    cache_site_count(s, 0, CACHE_HIT, 2);
    cache_site_count(s, 256, CACHE_HIT, 3);
    struct slice name;
    uint64_t events[CACHE_EVENT_COUNT];
    assert_true(cache_site_next(c, &at, &name, events));
    assert_true(slice_eq(name, SLICE("a.example")));
    assert_int_equal(events[CACHE_HIT], 5);
    assert_int_equal(events[CACHE_MISS], 0);
    assert_false(cache_site_next(c, &at, &name, events));
    cache_free(c);
}

UNIT_SUITE(cache_store, cmocka_unit_test(finds_what_was_stored),
           cmocka_unit_test(many_keys_stay_apart),
           cmocka_unit_test(newest_in_place_of_the_same_variant),
           cmocka_unit_test(oldest_variant_leaves_at_the_cap), cmocka_unit_test(one_of_many_leads),
           cmocka_unit_test(alone_neither_leads_nor_follows), cmocka_unit_test(passes_until_then),
           cmocka_unit_test(invalidation_refuses_what_was_asked_for_before),
           cmocka_unit_test(broken_content_is_not_seen),
           cmocka_unit_test(expired_objects_are_stale), cmocka_unit_test(object_limit_at_and_past),
           cmocka_unit_test(new_head_keeps_content_and_forms),
           cmocka_unit_test(all_memory_comes_back), cmocka_unit_test(uses_count_and_stop_at_255),
           cmocka_unit_test(sites_sum_their_workers));
