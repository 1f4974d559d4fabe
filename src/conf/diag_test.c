/* diag_test.c - how errors look, how many are kept, and which words are near. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "conf/tree.h"
#include "tests/unit.h"
#include <stdio.h>

static const struct conf_file file = {
    .path = "weir.conf",
    .text = SLICE_INIT("site a {\n\tprxy localhost:3000\r\n    título x\n}\n"),
};

static void check_print(const struct diag *d, const char *want)
{
    struct text out;
    text_init(&out);
    diag_print(d, &out, false);
    assert_string_equal(out.at, want);
    text_release(&out);
}

static void shows_the_line_and_a_marker(void **state)
{
    (void)state;
    struct diag d;
    diag_init(&d);
    diag_error(&d, (struct conf_pos){&file, 2, 2, 4}, "unknown directive '%s'", "prxy");
    diag_hint(&d, "did you mean '%s'?", "proxy");
    diag_warn(&d, (struct conf_pos){&file, 3, 13, 1}, "odd");
    diag_error(&d, (struct conf_pos){0}, "no file");
    check_print(&d, "weir.conf:2:2: error: unknown directive 'prxy'\n"
                    "    2 | \tprxy localhost:3000\n"
                    "      | \t^^^^\n"
                    "      = did you mean 'proxy'?\n"
                    "weir.conf:3:13: warning: odd\n"
                    "    3 |     título x\n"
                    "      |            ^\n"
                    "error: no file\n");
    assert_int_equal(d.error_count, 2);
    assert_true(diag_failed(&d));
    diag_release(&d);
}

static void tells_where_a_snippet_is_used(void **state)
{
    (void)state;
    struct diag d;
    struct arena a;
    struct conf_tree *t;
    diag_init(&d);
    arena_init(&a, 1 << 20);
    t = conf_read(&a, &d, "weir.conf",
                  SLICE("define in X { a ${X} }\ndefine out { b; use in 1 }\nuse out\nb\n"));
    CONF_NODE_EACH(n, &t->root)
    diag_error(&d, n->pos, "no");
    diag_error(&d, t->root.children->next->words[1].pos, "bad value");
    check_print(&d, "weir.conf:2:14: error: no\n"
                    "    2 | define out { b; use in 1 }\n"
                    "      |              ^\n"
                    "      = used here: weir.conf:3:1\n"
                    "weir.conf:1:15: error: no\n"
                    "    1 | define in X { a ${X} }\n"
                    "      |               ^\n"
                    "      = used here: weir.conf:2:17\n"
                    "      = used here: weir.conf:3:1\n"
                    "weir.conf:4:1: error: no\n"
                    "    4 | b\n"
                    "      | ^\n"
                    "weir.conf:2:24: error: bad value\n"
                    "    2 | define out { b; use in 1 }\n"
                    "      |                        ^\n"
                    "      = used here: weir.conf:3:1\n");
    diag_release(&d);
    arena_release(&a);
}

static void colours_when_asked(void **state)
{
    (void)state;
    struct diag d;
    struct text out;
    text_init(&out);
    diag_init(&d);
    diag_error(&d, (struct conf_pos){&file, 1, 1, 4}, "x");
    diag_print(&d, &out, true);
    assert_non_null(strstr(out.at, "\033[31merror"));
    text_release(&out);
    diag_release(&d);
}

static void hides_control_bytes_and_cuts_long_lines(void **state)
{
    (void)state;
    char line[400];
    memset(line, 'a', sizeof(line));
    memcpy(line + 300, "\033[2J", 4);
    struct conf_file f = {.path = "f", .text = {line, sizeof(line)}};
    struct diag d;
    struct text out;
    text_init(&out);
    diag_init(&d);
    diag_error(&d, (struct conf_pos){&f, 1, 301, 4}, "bad \033[31m");
    diag_print(&d, &out, false);
    assert_null(strchr(out.at, '\033'));
    assert_non_null(strstr(out.at, "bad ?[31m\n"));
    assert_non_null(strstr(out.at, "a?[2Ja"));
    assert_true(out.len < 350);
    text_release(&out);
    diag_release(&d);
}

static void keeps_twenty_and_counts_the_rest(void **state)
{
    (void)state;
    struct diag d;
    struct text out;
    text_init(&out);
    diag_init(&d);
    for (int i = 0; i < DIAG_MAX; i++)
        diag_error(&d, (struct conf_pos){0}, "error %d", i);
    assert_int_equal(d.count, DIAG_MAX);
    diag_error(&d, (struct conf_pos){0}, "one too many");
    diag_hint(&d, "goes nowhere");
    assert_int_equal(d.count, DIAG_MAX);
    assert_int_equal(d.error_count, DIAG_MAX + 1);
    assert_int_equal(d.entries[DIAG_MAX - 1].hint.len, 0);
    diag_print(&d, &out, false);
    assert_non_null(strstr(out.at, "... and 1 more errors\n"));
    text_release(&out);
    diag_release(&d);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct diag d;
    diag_init(&d);
    for (int i = 0; i < DIAG_MAX; i++) {
        diag_error(&d, (struct conf_pos){0}, "%01000d", 1);
        diag_hint(&d, "%01000d", 1);
    }
    assert_int_equal(d.entries[DIAG_MAX - 1].text.len, 511);
    assert_int_equal(d.entries[DIAG_MAX - 1].hint.len, 511);
    diag_release(&d);
}

static void check_nearest(const char *word, const char *want)
{
    static const struct slice known[] = {SLICE_INIT("proxy"), SLICE_INIT("upstream"),
                                         SLICE_INIT("tls"), SLICE_INIT("on")};
    struct diag d;
    diag_init(&d);
    diag_error(&d, (struct conf_pos){0}, "x");
    diag_nearest(&d, slice_of(word), known, COUNT_OF(known));
    char hint[64] = "";
    if (*want)
        snprintf(hint, sizeof(hint), "did you mean '%s'?", want);
    assert_string_equal(d.entries[0].hint.at ? d.entries[0].hint.at : "", hint);
    diag_release(&d);
}

static void offers_near_words_only(void **state)
{
    (void)state;
    check_nearest("prxy", "proxy");
    check_nearest("rpoxy", "proxy");
    check_nearest("upsteram", "upstream");
    check_nearest("upstraems", "upstream");
    check_nearest("ssl", "");
    check_nearest("tl", "tls");
    check_nearest("zz", "");
    check_nearest("completely", "");
}

UNIT_SUITE(conf_diag, cmocka_unit_test(shows_the_line_and_a_marker),
           cmocka_unit_test(tells_where_a_snippet_is_used), cmocka_unit_test(colours_when_asked),
           cmocka_unit_test(hides_control_bytes_and_cuts_long_lines),
           cmocka_unit_test(keeps_twenty_and_counts_the_rest), cmocka_unit_test(long_texts_are_cut),
           cmocka_unit_test(offers_near_words_only));
