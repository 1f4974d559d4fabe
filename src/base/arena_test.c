/* arena_test.c - alignment, the budget at its limit and one past, growth, and reuse of blocks. */
// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"
#include "tests/unit.h"

enum { HEADER_BYTES = 16, ROOM = ARENA_BLOCK_BYTES - HEADER_BYTES - ARENA_REDZONE_BYTES };

static void aligns_and_keeps_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    char *before = NULL;
    for (size_t size = 0; size < 300; size++) {
        char *at = arena_alloc(&a, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 8, 0);
        assert_ptr_not_equal(at, before);
        memset(at, 0xff, size);
        before = at;
    }
    arena_release(&a);
}

static void takes_nothing_before_first_use(void **state)
{
    (void)state;
    struct arena a = {0};
    arena_release(&a);
    assert_null(arena_alloc(&a, 1)); /* a budget of 0 */
    arena_init(&a, ARENA_BLOCK_BYTES);
    assert_int_equal(a.used, 0);
    arena_release(&a);
}

static void budget_for_common_blocks(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 2 * ARENA_BLOCK_BYTES);
    assert_non_null(arena_alloc(&a, ROOM));
    assert_int_equal(a.used, ARENA_BLOCK_BYTES);
    assert_non_null(arena_alloc(&a, ROOM));
    assert_int_equal(a.used, 2 * ARENA_BLOCK_BYTES);
    assert_null(arena_alloc(&a, 1));
    assert_null(arena_alloc(&a, 0));
    arena_release(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 1)); /* and its budget is whole again */
    arena_release(&a);
    arena_init(&a, ARENA_BLOCK_BYTES - 1);
    assert_null(arena_alloc(&a, 1));
}

static void budget_for_large_blocks(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 100000);
    assert_null(arena_alloc(&a, 100000 - HEADER_BYTES + 1));
    assert_non_null(arena_alloc(&a, 100000 - HEADER_BYTES));
    assert_null(arena_alloc(&a, 1));
    arena_release(&a);
    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 7));
    assert_int_equal(a.used, 0);
    arena_release(&a);
}

static void large_block_keeps_the_head(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_non_null(arena_alloc(&a, ROOM)); /* stays in the chain: LeakSanitizer watches */
    char *small = arena_alloc(&a, 8);
    char *large = arena_alloc(&a, 3 * ARENA_BLOCK_BYTES);
    char *next = arena_alloc(&a, 8);
    assert_non_null(large);
    memset(large, 1, 3 * ARENA_BLOCK_BYTES);
    assert_ptr_equal(next, small + 8 + ARENA_REDZONE_BYTES);
    arena_release(&a);
    assert_non_null(arena_alloc(&a, 3 * ARENA_BLOCK_BYTES)); /* as the first thing */
    assert_non_null(arena_alloc(&a, 8));
    arena_release(&a);
}

static void grows_in_place_only_the_last(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    char *p = arena_grow(&a, NULL, 0, 10);
    memset(p, 'p', 10);
    assert_ptr_equal(arena_grow(&a, p, 10, 100), p);
    memset(p, 'p', 100);
    assert_non_null(arena_alloc(&a, 8));
    char *q = arena_grow(&a, p, 100, 200);
    assert_ptr_not_equal(q, p);
    assert_memory_equal(q, p, 100);
    char *r = arena_grow(&a, q, 200, 2 * ARENA_BLOCK_BYTES);
    assert_memory_equal(r, p, 100);
    memset(r, 'r', 2 * ARENA_BLOCK_BYTES);
    arena_release(&a);
}

static void grows_to_the_end_of_a_block(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_BLOCK_BYTES);
    char *p = arena_alloc(&a, 1);
    assert_ptr_equal(arena_grow(&a, p, 1, ROOM), p);
    memset(p, 1, ROOM);
    assert_null(arena_grow(&a, p, ROOM, ROOM + 1));
    arena_release(&a);
}

static void zeroes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_release(&a);
    const char *at = arena_zalloc(&a, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(at[i], 0);
    arena_release(&a);
}

static void copies_and_prints(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_BLOCK_BYTES);
    struct slice s = arena_dup(&a, SLICE("abc"));
    assert_string_equal(s.at, "abc");
    assert_int_equal(s.len, 3);
    assert_string_equal(arena_dup(&a, SLICE_NONE).at, "");
    s = arena_printf(&a, "%d-%s", 42, "x");
    assert_string_equal(s.at, "42-x");
    assert_int_equal(s.len, 4);
    assert_null(arena_printf(&a, "%4096d", 1).at);
    s = ARENA_CONCAT(&a, SLICE("one"), SLICE_NONE, SLICE(", "), SLICE("two"));
    assert_string_equal(s.at, "one, two");
    assert_int_equal(s.len, 8);
    assert_int_equal(ARENA_CONCAT(&a, SLICE_NONE).len, 0);
    assert_null(ARENA_CONCAT(&a, SLICE("x"), ((struct slice){"", ARENA_BLOCK_BYTES})).at);
    arena_release(&a);
}

static void shrinks_only_the_last(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    char *p = arena_alloc(&a, 100);
    char *q = arena_alloc(&a, 100);
    arena_shrink(&a, p, 100, 1);
    assert_true((char *)arena_alloc(&a, 8) > q + 100);
    char *r = arena_alloc(&a, 100), *end = a.at;
    memset(r, 'r', 100);
    arena_shrink(&a, r, 100, 9);
    assert_true(a.at == end - 88);
    char *s = arena_alloc(&a, 84);
    assert_ptr_equal(s, r + 16 + ARENA_REDZONE_BYTES);
    memset(s, 's', 84);
    assert_int_equal(r[8], 'r');
    arena_release(&a);
}

static void cache_is_limited(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    for (size_t i = 0; i < ARENA_CACHED_MAX + 1; i++)
        assert_non_null(arena_alloc(&a, ROOM));
    arena_release(&a);
    assert_int_equal(arena_cached_count(), ARENA_CACHED_MAX);
    arena_cache_release();
    assert_int_equal(arena_cached_count(), 0);
}

UNIT_SUITE(base_arena, cmocka_unit_test(aligns_and_keeps_apart),
           cmocka_unit_test(takes_nothing_before_first_use),
           cmocka_unit_test(budget_for_common_blocks), cmocka_unit_test(budget_for_large_blocks),
           cmocka_unit_test(large_block_keeps_the_head),
           cmocka_unit_test(grows_in_place_only_the_last),
           cmocka_unit_test(grows_to_the_end_of_a_block), cmocka_unit_test(shrinks_only_the_last),
           cmocka_unit_test(zeroes), cmocka_unit_test(copies_and_prints),
           cmocka_unit_test(cache_is_limited));
