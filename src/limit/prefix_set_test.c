/* prefix_set_test.c - edges of prefixes, what they do to each other, the two families, and lists;
 * against a search through all of them. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/rand.h"
#include "base/text.h"
#include "limit/prefix_set.h"
#include "tests/unit.h"

static struct arena arena;

static struct prefix_set set_of(const char *list)
{
    struct prefix_gather g = {0};
    uint32_t line;
    arena_init(&arena, 64 << 20);
    assert_true(prefix_gather_read(&g, slice_of(list), &line));
    return prefix_gather_finish(&g, &arena);
}

static bool has(const struct prefix_set *s, const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return prefix_set_has(s, &a);
}

static void edges_are_in(void **state)
{
    (void)state;
    struct prefix_set s = set_of("10.0.0.0/8\n192.0.2.1\n2001:db8::/33\n");
    assert_true(has(&s, "10.0.0.0") && has(&s, "10.255.255.255") && has(&s, "192.0.2.1"));
    assert_false(has(&s, "9.255.255.255") || has(&s, "11.0.0.0"));
    assert_false(has(&s, "192.0.2.0") || has(&s, "192.0.2.2"));
    assert_true(has(&s, "2001:db8::") && has(&s, "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
    assert_false(has(&s, "2001:db8:8000::") || has(&s, "2001:db7:ffff::"));
    arena_release(&arena);
}

static void families_are_apart(void **state)
{
    (void)state;
    struct prefix_set v6 = set_of("::/0");
    assert_true(has(&v6, "::") && has(&v6, "::1") && has(&v6, "ffff::"));
    assert_false(has(&v6, "10.0.0.1") || has(&v6, "::ffff:10.0.0.1"));
    arena_release(&arena);
    struct prefix_set low = set_of("::/80"); /* ends with the last of IPv4 */
    assert_true(has(&low, "::") && has(&low, "::fffe:ffff:ffff"));
    assert_false(has(&low, "0.0.0.0") || has(&low, "255.255.255.255") || has(&low, "::1:0:0:0"));
    arena_release(&arena);
    struct prefix_set v4 = set_of("0.0.0.0/0");
    assert_true(has(&v4, "10.0.0.1") && has(&v4, "::ffff:10.0.0.1"));
    assert_false(has(&v4, "::1") || has(&v4, "::fffe:10.0.0.1"));
    arena_release(&arena);
    struct prefix_set mapped = set_of("::ffff:10.0.0.0/104");
    assert_true(has(&mapped, "10.9.9.9"));
    assert_false(has(&mapped, "11.0.0.0"));
    arena_release(&arena);
}

static void neighbours_and_nested_ones_join(void **state)
{
    (void)state;
    struct prefix_set s = set_of("10.0.1.0/24\n10.0.0.0/24\n10.0.0.128/25\n10.0.0.7\n10.0.3.0/24");
    assert_int_equal(s.count, 2);
    assert_true(has(&s, "10.0.1.255") && has(&s, "10.0.3.0"));
    assert_false(has(&s, "10.0.2.0"));
    arena_release(&arena);
}

static void lists_have_comments_and_empty_lines(void **state)
{
    (void)state;
    struct prefix_set s = set_of("# bad ones\r\n\r\n  10.0.0.1  # one\r\n10.0.0.3\n\n");
    assert_int_equal(s.count, 2);
    arena_release(&arena);
    struct prefix_set none = set_of("");
    assert_false(has(&none, "10.0.0.1"));
    arena_release(&arena);
}

static void junk_is_told_with_its_line(void **state)
{
    (void)state;
    static const char *const junk[] = {"10.0.0.1\n10.0.0.0/33\n", "\nlocalhost", "#\n::/129",
                                       "10.0.0.1\n1.2.3\n", "::1\n10.0.0.0/8 10.0.0.1"};
    for (size_t i = 0; i < COUNT_OF(junk); i++) {
        struct prefix_gather g = {0};
        uint32_t line = 0;
        assert_false(prefix_gather_read(&g, slice_of(junk[i]), &line));
        assert_int_equal(line, 2);
        arena_init(&arena, 1 << 20);
        prefix_gather_finish(&g, &arena);
        arena_release(&arena);
    }
}

static void unix_sockets_are_in_none(void **state)
{
    (void)state;
    struct prefix_set s = set_of("::/0\n0.0.0.0/0");
    struct addr a = {.len = sizeof a.un, .un = {.sun_family = AF_UNIX, .sun_path = "/a"}};
    assert_false(prefix_set_has(&s, &a));
    arena_release(&arena);
}

enum { MANY = 2000, TRIES = 20000 };

static void as_a_search_through_all_says(void **state)
{
    (void)state;
    static struct addr_prefix all[MANY];
    struct prefix_gather g = {0};
    struct rand r;
    rand_init(&r, 7);
    arena_init(&arena, 64 << 20);
    for (int i = 0; i < MANY; i++) {
        all[i] = (struct addr_prefix){.bytes = {[10] = 0xff, [11] = 0xff}};
        all[i].bits = (uint8_t)(96 + 8 + rand_below(&r, 25));
        for (int k = 12; k < 16; k++)
            all[i].bytes[k] = (uint8_t)rand_below(&r, k < 14 ? 32 : 256);
        assert_true(prefix_gather_add(&g, &all[i]));
    }
    for (int i = 0; i < MANY; i++) /* large ones would cover all */
        if (all[i].bits < 96 + 20)
            all[i].bits = 96 + 20;
    g.count = 0;
    for (int i = 0; i < MANY; i++)
        prefix_gather_add(&g, &all[i]);
    struct prefix_set s = prefix_gather_finish(&g, &arena);
    int in = 0;
    for (int i = 0; i < TRIES; i++) {
        struct addr a = {.len = sizeof a.in, .in.sin_family = AF_INET};
        a.in.sin_addr.s_addr =
            htonl(rand_below(&r, 32) << 24 | rand_below(&r, 32) << 16 | rand_below(&r, 65536));
        bool want = false;
        for (int k = 0; k < MANY && !want; k++)
            want = addr_prefix_match(&all[k], &a);
        assert_int_equal(prefix_set_has(&s, &a), want);
        in += want;
    }
    assert_true(in > TRIES / 20 && in < TRIES * 19 / 20);
    arena_release(&arena);
}

UNIT_SUITE(limit_prefix_set, cmocka_unit_test(edges_are_in), cmocka_unit_test(families_are_apart),
           cmocka_unit_test(neighbours_and_nested_ones_join),
           cmocka_unit_test(lists_have_comments_and_empty_lines),
           cmocka_unit_test(junk_is_told_with_its_line), cmocka_unit_test(unix_sockets_are_in_none),
           cmocka_unit_test(as_a_search_through_all_says));
