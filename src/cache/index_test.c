/* index_test.c - the table of keys against a plain list, and the fingerprints. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/index_priv.h"
#include "cache/store_rig_test.h"

enum { OBJECTS = 600, STEPS = 20000 };

static struct cache_shared *cache;
static struct object_shared *objects[OBJECTS];
static bool linked[OBJECTS];

/* Hashes of few values on top and below, so that clusters are long, tags equal, and the table's
 * end is crossed. */
static uint64_t odd_hash(struct rand *r)
{
    uint64_t low =
        rand_below(r, 4) == 0 ? UINT32_MAX - rand_below(r, 50) : rand_below(r, 400) << 20;
    return low | (uint64_t)rand_below(r, 3) << 48;
}

static void objects_make(struct rand *r)
{
    cache = rig_cache(16 << 20);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char text[RIG_KEY_BYTES];
        struct cache_key k = rig_key(text, i);
        k.hash = odd_hash(r);
        objects[i] = rig_object_with(cache, &k, NULL, &(struct rig_object){0});
        linked[i] = false;
    }
}

static void assert_same(const struct key_index *x)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        uint32_t slot = index_find(x, objects[i]->hash, object_key(objects[i]));
        assert_int_equal(slot != INDEX_NONE, linked[i]);
        if (linked[i])
            assert_ptr_equal(index_at(x, slot), objects[i]);
        count += linked[i];
    }
    assert_int_equal(x->count, count);
}

static void same_as_a_plain_list(void **state)
{
    (void)state;
    struct rand r;
    rand_init(&r, 11);
    objects_make(&r);
    struct key_index x = {0};
    assert_int_equal(index_find(&x, 1, SLICE("a")), INDEX_NONE);
    size_t grown, bytes = 0;
    for (int step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand_below(&r, OBJECTS);
        uint32_t slot = index_find(&x, objects[i]->hash, object_key(objects[i]));
        assert_int_equal(slot != INDEX_NONE, linked[i]);
        if (linked[i]) {
            index_remove(&x, slot);
        } else {
            assert_true(index_reserve(&x, &grown));
            bytes += grown;
            index_add(&x, objects[i]);
        }
        linked[i] = !linked[i];
        if (step % 500 == 0)
            assert_same(&x);
    }
    assert_same(&x);
    assert_int_equal(bytes, x.cap * sizeof(uint64_t));
    index_release(&x);
    for (unsigned i = 0; i < OBJECTS; i++)
        object_drop(objects[i]);
    cache_free(cache);
}

static void ghost_forgets_the_oldest(void **state)
{
    (void)state;
    struct ghost g = {0};
    size_t grown;
    ghost_add(&g, 5 << 16);
    assert_false(ghost_take(&g, 5 << 16)); /* no room yet */
    ghost_resize(&g, 4, &grown);
    assert_int_equal(grown, 4 * sizeof(uint32_t));
    for (uint64_t i = 1; i <= 5; i++)
        ghost_add(&g, i << 16);
    assert_false(ghost_take(&g, 1 << 16));
    assert_true(ghost_take(&g, 2 << 16));
    assert_false(ghost_take(&g, 2 << 16));
    ghost_resize(&g, 1000, &grown);
    for (uint64_t i = 3; i <= 5; i++)
        assert_true(ghost_take(&g, i << 16));
    ghost_resize(&g, 10, &grown); /* never smaller */
    assert_int_equal(grown, 0);
    ghost_release(&g);
}

UNIT_SUITE(cache_index, cmocka_unit_test(same_as_a_plain_list),
           cmocka_unit_test(ghost_forgets_the_oldest));
