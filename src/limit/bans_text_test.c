/* bans_text_test.c - bans as text and back, and the list that another process gets by changes. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "limit/addr_key.h"
#include "limit/bans_text.h"
#include "tests/unit.h"
#include <string.h>

enum { MINUTE = 60 * 1000, NOW = 5 * MINUTE };

static const struct ban_clocks HERE = {NOW, 1790000000000}, THERE = {7, 1790000000000 + MINUTE};

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return a;
}

static void add(const char *text, int64_t ms)
{
    struct ban b;
    struct addr a = ip(text);
    assert_true(bans_set(&a, ms, NOW, &b));
}

static bool has(const char *text, int64_t now_ms)
{
    struct addr a = ip(text);
    return bans_has(&a, now_ms);
}

static void write_here(void *ctx, const struct ban *b)
{
    ban_line_write(ctx, b, HERE);
}

static void expect_changes(const char *want)
{
    struct text t;
    text_init(&t);
    bans_take_changes(UINT32_MAX, write_here, &t);
    assert_string_equal(t.len > 0 ? t.at : "", want);
    text_release(&t);
}

/* The last that was read. */
static void keep(void *ctx, const struct ban *b)
{
    *(struct ban *)ctx = *b;
}

static void put_there(void *ctx, const struct ban *b)
{
    (void)ctx;
    assert_true(bans_put(b, THERE.now_ms));
}

static void lines_tell_of_bans(void **state)
{
    (void)state;
    struct ban b;
    assert_true(ban_lines_read(SLICE("192.0.2.1 1790000060500 3\n"), THERE, keep, &b));
    assert_int_equal(b.until_ms, 507);
    assert_int_equal(b.times, 3);
    assert_true(ban_lines_read(SLICE("2001:db8::/64 0 0"), THERE, keep, &b));
    assert_int_equal(b.until_ms, 0);
    assert_int_equal(b.who.bits, 64);
    assert_true(ban_lines_read(SLICE("192.0.2.1 5 1\n"), THERE, keep, &b));
    assert_int_equal(b.until_ms, 1); /* long over, not lifted */
    assert_true(ban_lines_read(SLICE(""), THERE, keep, &b));
}

static void other_lines_do_not(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "\n",
        "192.0.2.1",
        "192.0.2.1 5",
        "192.0.2.1 5 ",
        "192.0.2.1 5 1 1",
        " 192.0.2.1 5 1",
        "192.0.2.1  5 1",
        "192.0.2.1 -5 1",
        "192.0.2.1 5 1000001",
        "192.0.2.1 1999999999999 1", /* in six years */
        "192.0.2.1/32 5 1",
        "192.0.2.0/24 5 1",
        "2001:db8:: 5 1",
        "2001:db8::/63 5 1",
        "2001:db8::/64x 5 1",
        "a.test 5 1",
    };
    for (size_t i = 1; i < COUNT_OF(lines); i++) {
        struct ban b;
        if (ban_lines_read(slice_of(lines[i]), THERE, keep, &b))
            fail_msg("'%s' is taken for a ban", lines[i]);
    }
}

/* Recording cannot be taken back: from here on lifted bans stay until they are told. */
static void changes_make_the_same_list(void **state)
{
    (void)state;
    struct addr a = ip("192.0.2.1");
    add("192.0.2.9", MINUTE); /* before anybody asks for changes */
    bans_record();
    expect_changes("");
    add("192.0.2.1", MINUTE);
    expect_changes("192.0.2.1 1790000060000 1\n");
    expect_changes("");
    add("192.0.2.1", 2 * MINUTE);
    assert_true(bans_lift(&a, NOW));
    assert_false(bans_lift(&a, NOW));
    expect_changes("192.0.2.1 0 0\n");
    expect_changes("");
    bans_tell_again();
    expect_changes("192.0.2.9 1790000060000 1\n");
    assert_int_equal(bans_lift_all(NOW), 1);
    assert_false(has("192.0.2.9", NOW));
    expect_changes("192.0.2.9 0 0\n");
    assert_false(bans_any());
}

static void changes_come_in_portions(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    add("192.0.2.1", MINUTE), add("192.0.2.2", MINUTE), add("192.0.2.3", MINUTE);
    assert_int_equal(bans_take_changes(2, write_here, &t), 2);
    assert_int_equal(bans_take_changes(2, write_here, &t), 1);
    assert_int_equal(bans_take_changes(2, write_here, &t), 0);
    bans_lift_all(NOW);
    assert_int_equal(bans_take_changes(2, write_here, &t), 2);
    assert_int_equal(bans_take_changes(2, write_here, &t), 1);
    assert_false(bans_any());
    text_release(&t);
}

static void what_is_put_is_as_it_was(void **state)
{
    (void)state;
    struct slice lines = SLICE("192.0.2.1 1790000120000 3\n192.0.2.2 1790000050000 1\n");
    assert_true(ban_lines_read(lines, THERE, put_there, NULL));
    assert_true(has("192.0.2.1", THERE.now_ms + MINUTE - 1));
    assert_false(has("192.0.2.1", THERE.now_ms + MINUTE));
    assert_false(has("192.0.2.2", THERE.now_ms)); /* over */
    assert_int_equal(bans_count(THERE.now_ms), 1);
    assert_true(ban_lines_read(SLICE("192.0.2.1 0 0\n192.0.2.7 0 0\n"), THERE, put_there, NULL));
    assert_int_equal(bans_count(THERE.now_ms), 0);
    bans_lift_all(THERE.now_ms);
}

UNIT_SUITE(limit_bans_text, cmocka_unit_test(lines_tell_of_bans),
           cmocka_unit_test(other_lines_do_not), cmocka_unit_test(changes_make_the_same_list),
           cmocka_unit_test(changes_come_in_portions), cmocka_unit_test(what_is_put_is_as_it_was));
