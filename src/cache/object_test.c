/* object_test.c - keys, heads and parts of stored responses. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/object.h"
#include "cache/store_rig_test.h"

static struct arena arena;

static struct header field(const char *name, const char *value)
{
    return (struct header){.name = slice_of(name),
                           .value = slice_of(value),
                           .id = (uint16_t)field_find(slice_of(name))};
}

static struct object_shared *object_of(struct cache_shared *c, struct header *h, uint32_t count,
                                       struct object_draft d)
{
    struct headers headers = {.at = h, .count = count};
    d.headers = &headers;
    if (!d.key.text.at)
        cache_key_init(&d.key, SLICE("https://a/b"));
    return object_new(c, &d);
}

static void key_ends_where_its_url_does(void **state)
{
    (void)state;
    struct cache_key a, b;
    cache_key_init(&a, SLICE("https://a/b?c"));
    cache_key_init(&b, SLICE("https://a/b?c\ndevice=phone"));
    assert_true(slice_eq(cache_key_url(&a), SLICE("https://a/b?c")));
    assert_true(slice_eq(cache_key_url(&b), SLICE("https://a/b?c")));
    assert_true(a.hash != b.hash);
}

static void head_comes_back_byte_for_byte(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct header h[] = {
        field("ETag", "W/\"x\""),
        field("etag", "\"y\""),
        field("EtAg", ""),
        field("X-Thing", "a, b"),
        field("x-thing", "c"),
        field("Cache-Control", "no-cache"),
        field("Content-Range", "odd"),
        field("Set-Cookie", "a=b"),
    };
    struct object_shared *o =
        object_of(c, h, COUNT_OF(h), (struct object_draft){.status = 404, .reason = SLICE("Gone")});
    struct message m = {0};
    arena_init(&arena, 1 << 16);
    assert_int_equal(object_head_get(o, &arena, &m), ERR_OK);
    assert_int_equal(m.status, 404);
    assert_true(slice_eq(m.reason, SLICE("Gone")));
    assert_int_equal(m.headers.count, COUNT_OF(h));
    for (size_t i = 0; i < COUNT_OF(h); i++) {
        assert_true(slice_eq(m.headers.at[i].name, h[i].name));
        assert_true(slice_eq(m.headers.at[i].value, h[i].value));
        assert_int_equal(m.headers.at[i].id, h[i].id);
    }
    assert_true(slice_eq(object_field(o, FIELD_ETAG), SLICE("W/\"x\"")));
    assert_null(object_field(o, FIELD_LAST_MODIFIED).at);
    arena_release(&arena);
    object_drop(o);
    assert_int_equal(rig_stats(c).memory_bytes, 0);
    cache_free(c);
}

static void hop_by_hop_and_dead_fields_are_left_out(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct header h[] = {field("A", "1"), field("B", "2"), field("Set-Cookie", "s"),
                         field("C", "3")};
    h[0].hop = true;
    h[1].dead = true;
    struct object_shared *o =
        object_of(c, h, COUNT_OF(h), (struct object_draft){.freshness.flags = FRESH_STRIP_COOKIES});
    struct message m = {0};
    arena_init(&arena, 1 << 16);
    assert_int_equal(object_head_get(o, &arena, &m), ERR_OK);
    assert_int_equal(m.headers.count, 1);
    assert_true(slice_eq(m.headers.at[0].name, SLICE("C")));
    arena_release(&arena);
    object_drop(o);
    cache_free(c);
}

static void head_needs_room(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct header h[] = {field("A", "1")};
    struct object_shared *o = object_of(c, h, 1, (struct object_draft){0});
    struct message m = {.status = 7};
    arena_init(&arena, 0);
    assert_int_equal(object_head_get(o, &arena, &m), ERR_OVER_BUDGET);
    assert_int_equal(m.status, 7);
    arena_release(&arena);
    object_drop(o);
    cache_free(c);
}

static void texts_and_parts(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct header h[] = {field("ETag", "\"e\""),
                         field("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")};
    struct object_draft d = {.kind = OBJECT_PART,
                             .vary = SLICE("accept,cookie"),
                             .tags = SLICE("t1 t2"),
                             .variant_without_language = 77,
                             .first = 5,
                             .last = 9,
                             .total = UINT64_MAX};
    struct object_shared *o = object_of(c, h, 2, d);
    assert_true(slice_eq(object_key(o), SLICE("https://a/b")));
    assert_true(slice_eq(object_vary(o), SLICE("accept,cookie")));
    assert_true(slice_eq(object_tags(o), SLICE("t1 t2")));
    assert_int_equal(object_variant_without_language(o), 77);
    uint64_t first, last, total;
    assert_true(object_range(o, &first, &last, &total));
    assert_true(first == 5 && last == 9 && total == UINT64_MAX);
    struct validators v;
    object_validators(o, &v, 0);
    assert_true(slice_eq(v.etag, SLICE("\"e\"")));
    assert_int_equal(v.modified_s, 784111777);
    object_drop(o);
    o = object_of(c, h, 0, (struct object_draft){.variant_without_language = 3});
    assert_false(object_range(o, &first, &last, &total));
    assert_int_equal(object_variant_without_language(o), 3);
    object_validators(o, &v, 0);
    assert_int_equal(v.etag.len, 0);
    assert_int_equal(v.modified_s, MODIFIED_UNKNOWN);
    object_drop(o);
    cache_free(c);
}

static void tags_at_their_limit_and_past_it(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    char *tags = malloc(65536);
    memset(tags, 't', 65536);
    struct object_shared *o = object_of(c, NULL, 0, (struct object_draft){.tags = {tags, 65535}});
    assert_non_null(o);
    assert_int_equal(object_tags(o).len, 65535);
    object_drop(o);
    assert_null(object_of(c, NULL, 0, (struct object_draft){.tags = {tags, 65536}}));
    free(tags);
    assert_int_equal(rig_stats(c).memory_bytes, 0);
    cache_free(c);
}

static void charge_is_what_it_takes(void **state)
{
    (void)state;
    struct cache_shared *c = rig_cache(1 << 20);
    struct header h[] = {field("A", "1"), field("ETag", "\"e\"")};
    struct object_shared *o = object_of(c, h, 2, (struct object_draft){.tags = SLICE("t")});
    assert_int_equal(object_head_bytes(o), rig_stats(c).memory_bytes);
    assert_null(object_disk_link(o));
    object_drop(o);
    cache_free(c);
}

UNIT_SUITE(cache_object, cmocka_unit_test(key_ends_where_its_url_does),
           cmocka_unit_test(head_comes_back_byte_for_byte),
           cmocka_unit_test(hop_by_hop_and_dead_fields_are_left_out),
           cmocka_unit_test(head_needs_room), cmocka_unit_test(texts_and_parts),
           cmocka_unit_test(tags_at_their_limit_and_past_it),
           cmocka_unit_test(charge_is_what_it_takes));
