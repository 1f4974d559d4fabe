/* radix_test.c - lookups against a plain list, splits, all 256 first bytes, running out of memory
 * at every allocation. */
// SPDX-License-Identifier: Apache-2.0
#include "base/radix.h"
#include "base/rand.h"
#include "tests/unit.h"

static void add(struct radix *t, struct slice key, void *value)
{
    void *old = &old;
    assert_int_equal(radix_add(t, key, value, &old), ERR_OK);
    assert_null(old);
}

static void finds_exact_and_longest(void **state)
{
    (void)state;
    struct arena a;
    struct radix t;
    int root, api, api_v1, img;
    size_t len = 0;
    arena_init(&a, 1 << 20);
    radix_init(&t, &a);
    assert_null(radix_find(&t, SLICE("")));
    assert_null(radix_longest(&t, SLICE("/"), &len));
    add(&t, SLICE("/api/v1"), &api_v1);
    add(&t, SLICE("/api"), &api); /* splits a label */
    add(&t, SLICE("/img"), &img);
    assert_null(radix_longest(&t, SLICE("/x"), &len)); /* a branch, but no entry */
    add(&t, SLICE(""), &root);
    assert_int_equal(t.count, 4);
    assert_ptr_equal(radix_find(&t, SLICE("/api")), &api);
    assert_ptr_equal(radix_find(&t, SLICE("/api/v1")), &api_v1);
    assert_null(radix_find(&t, SLICE("/")));
    assert_null(radix_find(&t, SLICE("/api/")));
    assert_null(radix_find(&t, SLICE("/api/v1x")));
    assert_ptr_equal(radix_longest(&t, SLICE("/api/v1x"), &len), &api_v1);
    assert_int_equal(len, 7);
    assert_ptr_equal(radix_longest(&t, SLICE("/api/v"), &len), &api);
    assert_int_equal(len, 4);
    assert_ptr_equal(radix_longest(&t, SLICE_NONE, &len), &root);
    assert_int_equal(len, 0);
    arena_release(&a);
}

static void keeps_the_first_of_two(void **state)
{
    (void)state;
    struct arena a;
    struct radix t;
    int one, two;
    void *old;
    arena_init(&a, 1 << 20);
    radix_init(&t, &a);
    add(&t, SLICE("k"), &one);
    assert_int_equal(radix_add(&t, SLICE("k"), &two, &old), ERR_OK);
    assert_ptr_equal(old, &one);
    assert_ptr_equal(radix_find(&t, SLICE("k")), &one);
    assert_int_equal(t.count, 1);
    arena_release(&a);
}

static void branches_256_ways(void **state)
{
    (void)state;
    static char keys[256][2];
    struct arena a;
    struct radix t;
    arena_init(&a, 1 << 20);
    radix_init(&t, &a);
    for (int c = 0; c < 256; c++) {
        keys[c][0] = 'x';
        keys[c][1] = (char)c;
        add(&t, (struct slice){keys[c], 2}, keys[c]);
    }
    for (int c = 0; c < 256; c++)
        assert_ptr_equal(radix_find(&t, (struct slice){keys[c], 2}), keys[c]);
    arena_release(&a);
}

enum { KEYS = 300, KEY_MAX = 8 };

struct model {
    char bytes[KEYS][KEY_MAX];
    struct slice keys[KEYS];
    size_t count;
};

/* Short keys over two letters, so that prefixes and splits are common. */
static struct slice random_key(struct rand *r, char *to)
{
    size_t len = rand_below(r, KEY_MAX + 1);
    for (size_t i = 0; i < len; i++)
        to[i] = (char)('a' + rand_below(r, 2));
    return (struct slice){to, len};
}

static const struct slice *model_longest(const struct model *m, struct slice key)
{
    const struct slice *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        if (slice_starts(key, m->keys[i]) && (!best || m->keys[i].len > best->len))
            best = &m->keys[i];
    }
    return best;
}

static void model_add(struct model *m, struct radix *t, struct rand *r)
{
    struct slice *key = &m->keys[m->count];
    void *old;
    *key = random_key(r, m->bytes[m->count]);
    assert_int_equal(radix_add(t, *key, key, &old), ERR_OK);
    if (!old)
        m->count++;
    else
        assert_true(slice_eq(*(struct slice *)old, *key));
}

struct seen {
    size_t count, last_len;
};

static void each_prefix(void *ctx, size_t len, void *value)
{
    struct seen *seen = ctx;
    assert_true(seen->count == 0 || len > seen->last_len);
    assert_int_equal(((struct slice *)value)->len, len);
    seen->count++;
    seen->last_len = len;
}

static void check(const struct model *m, const struct radix *t, struct slice key)
{
    size_t len = 99, prefixes = 0;
    struct seen seen = {0};
    const struct slice *due = model_longest(m, key);
    assert_ptr_equal(radix_longest(t, key, &len), due);
    assert_int_equal(len, due ? due->len : 99);
    assert_ptr_equal(radix_find(t, key), due && due->len == key.len ? due : NULL);
    for (size_t i = 0; i < m->count; i++)
        prefixes += slice_starts(key, m->keys[i]);
    radix_prefixes(t, key, each_prefix, &seen);
    assert_int_equal(seen.count, prefixes);
}

static void agrees_with_a_plain_list(void **state)
{
    (void)state;
    static struct model m;
    struct arena a;
    struct radix t;
    struct rand r;
    arena_init(&a, 1 << 20);
    radix_init(&t, &a);
    rand_init(&r, 7);
    for (int round = 0; round < 2000 && m.count < KEYS; round++) {
        char bytes[KEY_MAX];
        model_add(&m, &t, &r);
        assert_int_equal(t.count, m.count);
        check(&m, &t, random_key(&r, bytes));
    }
    assert_true(m.count > 100);
    arena_release(&a);
}

static const char *const few[] = {"abcdef", "abcxyz", "ab", "abq", "b", "c", "d", "e", "f"};
enum { FEW = sizeof(few) / sizeof(*few) };

/* Adds all of them; returns how many were refused. Whatever was taken must be found to the end. */
static size_t add_few(struct radix *t)
{
    bool taken[FEW] = {false};
    size_t refused = 0;
    for (size_t i = 0; i < FEW; i++) {
        void *old;
        enum err e = radix_add(t, slice_of(few[i]), (void *)few[i], &old);
        taken[i] = e == ERR_OK;
        refused += e == ERR_NO_MEMORY;
        for (size_t k = 0; k < FEW; k++)
            assert_ptr_equal(radix_find(t, slice_of(few[k])), taken[k] ? few[k] : NULL);
    }
    return refused;
}

static void survives_running_out(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t filler = 0; filler < 4000; filler += 8) {
        struct arena a;
        struct radix t;
        arena_init(&a, ARENA_BLOCK_BYTES);
        assert_non_null(arena_alloc(&a, filler + 1));
        radix_init(&t, &a);
        refused += add_few(&t);
        arena_release(&a);
    }
    assert_true(refused > FEW);
}

UNIT_SUITE(base_radix, cmocka_unit_test(finds_exact_and_longest),
           cmocka_unit_test(keeps_the_first_of_two), cmocka_unit_test(branches_256_ways),
           cmocka_unit_test(agrees_with_a_plain_list), cmocka_unit_test(survives_running_out));
