/* fmt_test.c - the canonical layout: what is changed, what is kept, and that twice is once. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"

static void check_format(const char *input, const char *want)
{
    struct diag d;
    struct text once, twice;
    diag_init(&d);
    text_init(&once);
    text_init(&twice);
    assert_true(conf_format(slice_of(input), "t.conf", &d, &once));
    test_same(input, &once, want);
    assert_true(conf_format(slice_of(want), "t.conf", &d, &twice));
    test_same(want, &twice, want);
    text_release(&once);
    text_release(&twice);
    diag_release(&d);
}

static void lays_out_directives(void **state)
{
    (void)state;
    check_format("", "");
    check_format("\n\n;\n", "");
    check_format("a", "a\n");
    check_format("  a   b\tc ;d\r\n", "a b c\nd\n");
    check_format("a \"b  c\" 'd  e' k=\"f  g\" ${file:/x y}\n",
                 "a \"b  c\" 'd  e' k=\"f  g\" ${file:/x y}\n");
}

static void lays_out_blocks(void **state)
{
    (void)state;
    check_format("a{\nb\n  c{d\ne}\n}", "a {\n    b\n    c {\n        d\n        e\n    }\n}\n");
    check_format("a { }", "a { }\n");
    check_format("a {\n\n}", "a { }\n");
    check_format("a{b c}", "a { b c }\n");
    check_format("a { b; }", "a { b }\n");
    check_format("a {\nb c }", "a {\n    b c\n}\n");
    check_format("a { b; c }", "a {\n    b\n    c\n}\n");
    check_format("a { b { c } }", "a {\n    b { c }\n}\n");
}

static void breaks_what_does_not_fit(void **state)
{
    (void)state;
    for (size_t len = 93; len <= 94; len++) { /* "a { " + 94 + " }" is 100 */
        struct text in, want;
        text_init(&in);
        text_init(&want);
        text_addf(&in, "a { %0*d }\n", (int)len + 1, 0);
        if (len + 1 <= 94)
            text_add(&want, text_slice(&in));
        else
            text_addf(&want, "a {\n    %0*d\n}\n", (int)len + 1, 0);
        check_format(in.at, want.at);
        text_release(&in);
        text_release(&want);
    }
}

static void keeps_one_blank_line(void **state)
{
    (void)state;
    check_format("\n\na\n\n\n\nb\nc\n\n", "a\n\nb\nc\n");
    check_format("a {\n\n  b\n\n\n  c\n\n}\n\n\nd", "a {\n    b\n\n    c\n}\n\nd\n");
}

static void keeps_comments(void **state)
{
    (void)state;
    check_format("#one  \n   # two\na   # three\n#four", "#one\n# two\na # three\n#four\n");
    check_format("a { # x\n b # y\n # z\n} # w\nc", "a { # x\n    b # y\n    # z\n} # w\nc\n");
    check_format("a { b } # x", "a { b } # x\n");
    check_format("a { # x\n}", "a { # x\n}\n");
    check_format("a;#x\nb", "a #x\nb\n");
    check_format("a { b; # x\n }", "a {\n    b # x\n}\n");
}

static void keeps_continued_lines(void **state)
{
    (void)state;
    check_format("a b \\\nc \\\n     d\ne", "a b \\\n    c \\\n    d\ne\n");
    check_format("x {\na \\\nb\n}", "x {\n    a \\\n        b\n}\n");
    check_format("a \\\n{\nb\n}", "a {\n    b\n}\n");
    check_format("a \\\n\nb", "a\n\nb\n");
    check_format("\\\na", "a\n");
    check_format("a \"b \\\n   c\"\n", "a \"b \\\n   c\"\n");
}

static void refuses_what_it_cannot_read(void **state)
{
    (void)state;
    struct diag d;
    struct text out, errors;
    diag_init(&d);
    text_init(&out);
    text_init(&errors);
    assert_false(conf_format(SLICE("a {\n b 'c\n"), "t.conf", &d, &out));
    assert_int_equal(out.len, 0);
    test_errors(&d, &errors);
    test_same("", &errors,
              "2:4 this quote is not closed (a ' is due on the same line)\n"
              "1:3 this '{' is not closed (the file ends before its '}')");
    text_release(&out);
    text_release(&errors);
    diag_release(&d);
}

UNIT_SUITE(conf_fmt, cmocka_unit_test(lays_out_directives), cmocka_unit_test(lays_out_blocks),
           cmocka_unit_test(breaks_what_does_not_fit), cmocka_unit_test(keeps_one_blank_line),
           cmocka_unit_test(keeps_comments), cmocka_unit_test(keeps_continued_lines),
           cmocka_unit_test(refuses_what_it_cannot_read));
