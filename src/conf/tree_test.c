/* tree_test.c - blocks from tokens; where a missing or extra brace is reported. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"

static void check_tree(const char *input, const char *want)
{
    struct test_conf t;
    struct text got;
    text_init(&got);
    test_read(&t, NULL, input);
    test_dump(&t.tree->root, &got);
    if (t.diag.count)
        text_add(&got, SLICE(" ! "));
    test_errors(&t.diag, &got);
    test_same(input, &got, want);
    test_release(&t);
    text_release(&got);
}

static void check_errors(const char *input, const char *want)
{
    struct test_conf t;
    struct text got;
    text_init(&got);
    test_read(&t, NULL, input);
    test_errors(&t.diag, &got);
    test_same(input, &got, want);
    assert_true(t.tree->broken || t.tree->root.last_child->unclosed);
    test_release(&t);
    text_release(&got);
}

static void builds_blocks(void **state)
{
    (void)state;
    check_tree("", "");
    check_tree("# nothing\n;;\n", "");
    check_tree("a b\nc", "a b; c");
    check_tree("a; b", "a; b");
    check_tree("a { }", "a { }");
    check_tree("a {\n b {\n c d\n }\n}\ne", "a { b { c d } }; e");
    check_tree("a { b; c { d } }; e", "a { b; c { d } }; e");
    check_tree("a \\\n b \\\n {\n}", "a b { }");
    check_tree("a \"b c\" 'd $e' x=\"y z\"", "a \"b c\" 'd $e' x=y z");
}

static void refuses_misplaced_words(void **state)
{
    (void)state;
    check_tree("a { } b", "a { }; b ! 1:7 a new line or ';' is due after '}'");
    check_errors("{ a }", "1:1 a block without a directive "
                          "(a block's '{' stands on the line of its directive)");
    check_errors("site x\n{\n}\n", "2:1 a block without a directive "
                                   "(a block's '{' stands on the line of its directive)");
}

static void points_at_the_missing_brace(void **state)
{
    (void)state;
    check_errors("a {\n", "1:3 this '{' is not closed (the file ends before its '}')");
    check_errors("a { b {\n} ", "1:3 this '{' is not closed (the file ends before its '}')");
    check_errors("site a {\n"
                 "    route /x {\n"
                 "        cache 10m\n"
                 "    proxy b\n"
                 "}\n"
                 "site c {\n"
                 "    proxy d\n"
                 "}\n",
                 "2:14 this '{' is not closed "
                 "(by the indentation its '}' is missing before line 4)");
    check_errors("site a {\n"
                 "    proxy b\n"
                 "\n"
                 "site c {\n"
                 "    proxy d\n"
                 "}\n",
                 "1:8 this '{' is not closed "
                 "(by the indentation its '}' is missing before line 4)");
    check_errors("site a {\n"
                 "    route /x {\n"
                 "        cache 10m\n"
                 "}\n",
                 "2:14 this '{' is not closed "
                 "(by the indentation its '}' is missing before line 4)");
    /* a badly indented line before does not mislead */
    check_errors("site a {\n"
                 "    proxy b\n"
                 "title x\n"
                 "}\n"
                 "site c {\n"
                 "    proxy d\n",
                 "5:8 this '{' is not closed (the file ends before its '}')");
    /* no indentation at all: nothing to go by */
    check_errors("site a {\nroute /x {\ncache 10m\nproxy b\n}\n",
                 "1:8 this '{' is not closed (the file ends before its '}')");
}

static void points_at_the_extra_brace(void **state)
{
    (void)state;
    check_errors("a }\n", "1:3 this '}' closes nothing (no block is open here)");
    check_errors("site a {\n"
                 "    proxy b\n"
                 "    }\n"
                 "    title x\n"
                 "}\n",
                 "5:1 this '}' closes nothing "
                 "(by the indentation the '}' in line 3 is the one too many)");
}

static void limits_the_depth(void **state)
{
    (void)state;
    struct text in, want;
    for (int depth = CONF_DEPTH_MAX; depth <= CONF_DEPTH_MAX + 1; depth++) {
        text_init(&in);
        text_init(&want);
        for (int i = 0; i < depth; i++)
            text_add(&in, SLICE("a {\n"));
        for (int i = 0; i < depth; i++)
            text_add(&in, SLICE("}\n"));
        struct test_conf t;
        test_read(&t, NULL, in.at);
        test_errors(&t.diag, &want);
        test_same(in.at, &want,
                  depth == CONF_DEPTH_MAX ? "" : "65:3 blocks are nested deeper than 64");
        test_release(&t);
        text_release(&in);
        text_release(&want);
    }
}

UNIT_SUITE(conf_tree, cmocka_unit_test(builds_blocks), cmocka_unit_test(refuses_misplaced_words),
           cmocka_unit_test(points_at_the_missing_brace),
           cmocka_unit_test(points_at_the_extra_brace), cmocka_unit_test(limits_the_depth));
