/* rand_test.c - the generator against its reference sequence; ranges are uniform. */
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "tests/unit.h"
#include <string.h>

/* The authors' xoshiro256starstar.c from the state {1, 2, 3, 4}. */
static void matches_reference(void **state)
{
    (void)state;
    static const uint64_t due[] = {
        11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u, 607988272756665600u};
    struct rand r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof(due) / sizeof(*due); i++)
        assert_true(rand_next(&r) == due[i]);
}

static void seeds_repeat_and_differ(void **state)
{
    (void)state;
    struct rand a, b, c;
    rand_init(&a, 0);
    rand_init(&b, 0);
    rand_init(&c, 1);
    assert_true(a.s[0] == 0xe220a8397b1dcdafu); /* splitmix64's first output for the seed 0 */
    uint64_t from_a = rand_next(&a);
    assert_true(from_a == rand_next(&b));
    assert_true(from_a != rand_next(&c));
}

static void ranges_are_uniform(void **state)
{
    (void)state;
    enum { SIDES = 6, THROWS = 60000 };
    size_t seen[SIDES] = {0};
    struct rand r;
    rand_init(&r, 42);
    for (int i = 0; i < THROWS; i++) {
        uint32_t v = rand_below(&r, SIDES);
        assert_true(v < SIDES);
        seen[v]++;
    }
    for (int side = 0; side < SIDES; side++)
        assert_in_range(seen[side], THROWS / SIDES * 95 / 100, THROWS / SIDES * 105 / 100);
}

static void ranges_at_their_limits(void **state)
{
    (void)state;
    struct rand r;
    rand_init(&r, 42);
    uint32_t high = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rand_below(&r, 1), 0);
        assert_true(rand_below(&r, UINT32_MAX) < UINT32_MAX);
        high += rand_below(&r, 0xc0000000u) >= 0x80000000u; /* a third; a plain modulo: a quarter */
    }
    assert_in_range(high, 290, 380);
}

static void secrets_differ(void **state)
{
    (void)state;
    char a[33] = {0}, b[32];
    rand_secret(a, 32);
    rand_secret(b, 32);
    assert_int_equal(a[32], 0);
    assert_memory_not_equal(a, b, 32);
    struct rand r, q;
    rand_init_system(&r);
    rand_init_system(&q);
    assert_memory_not_equal(&r, &q, sizeof(r));
}

UNIT_SUITE(base_rand, cmocka_unit_test(matches_reference),
           cmocka_unit_test(seeds_repeat_and_differ), cmocka_unit_test(ranges_are_uniform),
           cmocka_unit_test(ranges_at_their_limits), cmocka_unit_test(secrets_differ));
