/* check_test.c - what the rows refuse, with its place and hint, and what they make of the words. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"

struct check_case {
    const char *input, *want; /* the errors; "" for none */
};

static void check_cases(const struct check_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct test_conf t;
        struct text got;
        text_init(&got);
        test_read(&t, NULL, cases[i].input);
        conf_check(&test_schema, t.tree, &t.diag);
        test_errors(&t.diag, &got);
        test_same(cases[i].input, &got, cases[i].want);
        test_release(&t);
        text_release(&got);
    }
}

static void accepts_what_the_rows_allow(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"", ""},
        {"site a b { title x; strict; route /x { route /y { body 2M } } }", ""},
        {"upstream u { server a; server b weight=2 backup; check every=1s }", ""},
        {"upstream u { server a { weight 2; backup } }", ""},
        {"upstream u { check { } }", ""},
        {"upstream u { server \"weight=2\" }", ""},
        {"site a { header X 1; header Y 2 }", ""},
        {"window off", ""},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void refuses_unknown_words(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"siet a { }", "1:1 unknown directive 'siet' (did you mean 'site'?)"},
        {"site a {\n  rout /x\n}", "2:3 unknown directive 'rout' (did you mean 'route'?)"},
        {"site a { zzzzzz { also unknown } }", "1:10 unknown directive 'zzzzzz'"},
        {"site a { serve b }", "1:10 unknown directive 'serve' (did you mean 'server'?)"},
        {"upstream u { server a wieght=2 }",
         "1:23 'server' has no option 'wieght' (did you mean 'weight'?)"},
        {"upstream u { server a { wieght 2 } }",
         "1:25 'server' has no option 'wieght' (did you mean 'weight'?)"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void says_where_a_word_may_stand(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"server a", "1:1 'server' may not stand at the top level "
                     "(it may stand in an upstream or in the block of a proxy)"},
        {"site a { workers 2 }",
         "1:10 'workers' may not stand in a site (it may stand at the top level)"},
        {"route /x { }", "1:1 'route' may not stand at the top level "
                         "(it may stand in a site or in a route)"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void counts_words(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"site { }", "1:1 'site' needs at least 1 word (usage: site NAME... { ... })"},
        {"workers", "1:1 'workers' needs 1 word (usage: workers N)"},
        {"workers 2 3", "1:11 'workers' takes at most 1 word (usage: workers N)"},
        {"site a { strict 1 }", "1:17 'strict' takes no words (usage: strict)"},
        {"site a { header X }", "1:10 'header' needs 2 words (usage: header NAME VALUE)"},
        {"upstream u { server a weight 2 }",
         "1:23 'server' takes at most 1 word (an option is written weight=VALUE)"},
        {"upstream u { check x }", "1:20 'check' takes no words but options "
                                   "(usage: check [every=TIME])"},
        {"upstream u { server a { weight } }", "1:25 option 'weight' takes one value"},
        {"upstream u { server a { backup 1 } }", "1:25 'backup' takes no value"},
        {"upstream u { server a backup=1 }", "1:23 option 'backup' takes no value"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void looks_at_blocks(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"site a", "1:1 'site' needs a block (usage: site NAME... { ... })"},
        {"workers 2 { x }", "1:11 'workers' takes no block"},
        {"upstream u { server a { weight 2 { } } }", "1:34 option 'weight' takes no block"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void refuses_repetition(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"workers 1\nworkers 2", "2:1 'workers' is given twice in this block "
                                 "(first in t.conf:1)"},
        {"site a { header X 1\nheader X 2 }", "2:1 'header' is given twice in this block "
                                              "(first in t.conf:1)"},
        {"upstream u { server a weight=1 weight=2 }", "1:39 option 'weight' is given twice"},
        {"upstream u { server a weight=1 { weight 2 } }", "1:41 option 'weight' is given twice"},
        {"upstream u { server a backup backup }", "1:30 option 'backup' is given twice"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void parses_values_where_they_stand(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"workers many", "1:9 'many' is not a whole number "
                         "(a whole number is written like 0, 1 or 1000)"},
        {"workers 65", "1:9 '65' is out of range: 1 to 64 is due"},
        {"window 10", "1:8 '10' has no unit: a time is due "
                      "(a time is written like 100ms, 5s, 10m, 2h or 1d)"},
        {"window 2m", "1:8 '2m' is out of range: 1s to 1m or off is due"},
        {"upstream u { server a weight=0 }", "1:30 '0' is out of range: 1 to 256 is due"},
        {"upstream u { server a { every 1ms } }", "1:31 '1ms' is out of range: 100ms to 1h is due"},
        {"site a { level hgih }", "1:16 'hgih' is not one of: low, high (did you mean 'high'?)"},
        {"site a { http2 yes }", "1:16 'yes' is neither on nor off"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void leaves_a_broken_tree_alone(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"sit a {\n", "1:7 this '{' is not closed (the file ends before its '}')"},
        {"sit a {\n workers many\n", "1:7 this '{' is not closed (the file ends before its '}')"},
        {"workers many\n}\n", "2:1 this '}' closes nothing (no block is open here)"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void an_open_block_hides_only_itself(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"siet b { }\nsite a {\n zzz\n",
         "2:8 this '{' is not closed (the file ends before its '}')\n"
         "1:1 unknown directive 'siet' (did you mean 'site'?)"},
        {"site b { zzzzzz }\nsite a {\n route /x {\n }\nsite c { zzzzzz }\n",
         "2:8 this '{' is not closed (by the indentation its '}' is missing before line 5)\n"
         "1:10 unknown directive 'zzzzzz'"},
    };
    check_cases(cases, COUNT_OF(cases));
}

static void collects_many_errors(void **state)
{
    (void)state;
    struct text in;
    struct test_conf t;
    text_init(&in);
    for (int i = 0; i < DIAG_MAX + 5; i++)
        text_add(&in, SLICE("zzzzzz\n"));
    test_read(&t, NULL, in.at);
    conf_check(&test_schema, t.tree, &t.diag);
    assert_int_equal(t.diag.count, DIAG_MAX);
    assert_int_equal(t.diag.error_count, DIAG_MAX + 5);
    test_release(&t);
    text_release(&in);
}

static void splits_args_and_options(void **state)
{
    (void)state;
    struct test_conf t;
    test_read(&t, NULL, "upstream u {\n server weight=2 a key='x $y' { backup } }");
    conf_check(&test_schema, t.tree, &t.diag);
    assert_int_equal(t.diag.count, 0);
    const struct conf_node *n = t.tree->root.children->children;
    assert_string_equal(n->row->name, "server");
    assert_int_equal(n->arg_count, 1);
    assert_true(slice_eq(n->args[0].text, SLICE("a")));
    assert_int_equal(n->option_count, 3);
    assert_string_equal(n->options[1].row->name, "key");
    assert_true(slice_eq(n->options[1].value.text, SLICE("x $y")));
    assert_int_equal(n->options[1].value.quote, CONF_RAW);
    assert_int_equal(n->options[1].value.pos.line, 2);
    assert_int_equal(n->options[1].value.pos.col, 24);
    assert_string_equal(n->options[2].row->name, "backup");
    test_release(&t);
}

static void finds_rows(void **state)
{
    (void)state;
    assert_ptr_equal(conf_row_find(&test_schema, IN_TOP, SLICE("site")), &test_rows[0]);
    assert_null(conf_row_find(&test_schema, IN_SITE, SLICE("site")));
    assert_null(conf_row_find(&test_schema, IN_TOP, SLICE("sit")));
    assert_non_null(conf_row_find(&test_schema, IN_WHEN, SLICE("include")));
}

static const struct directive inline_rows[] = {
    {.name = "door", .where = IN_TOP, .inlines = true, .block_due = true, .opens = IN_AUTH},
    {.name = "key", .where = IN_AUTH, .repeat = true, .args_min = 1, .args_max = 2},
    {.name = "any", .where = IN_AUTH, .repeat = true, .block_due = true, .opens = IN_AUTH},
    {0},
};

/* "door(key[1] any(key[1]))" */
static void outline(const struct conf_node *n, struct text *out)
{
    text_addf(out, "%.*s[%u]", SLICE_ARG(n->words[0].text), n->arg_count);
    text_add(out, n->children ? SLICE("(") : SLICE(""));
    CONF_NODE_EACH(child, n)
    {
        assert_ptr_equal(child->parent, n);
        outline(child, out);
        text_add(out, child->next ? SLICE(" ") : SLICE(")"));
    }
}

static void a_line_may_stand_for_its_block(void **state)
{
    (void)state;
    static const struct conf_table table = {"inline", inline_rows};
    static const struct conf_schema schema = {&table, 1};
    static const struct {
        const char *input, *tree, *errors;
    } cases[] = {
        {"door key a", "door[0](key[1])", ""},
        {"door { key a }", "door[0](key[1])", ""},
        {"door any { key a; key b c }", "door[0](any[0](key[1] key[2]))", ""},
        {"door { any { key a } }", "door[0](any[0](key[1]))", ""},
        {"door", "door[0]", "1:1 'door' needs a block (usage: door)"},
        {"door lock a", NULL, "1:6 unknown directive 'lock'"},
        {"door key", NULL, "1:6 'key' needs at least 1 word (usage: key)"},
        {"door key a { key b }", NULL, "1:12 'key' takes no block"},
        {"door any", NULL, "1:6 'any' needs a block (usage: any)"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_conf t;
        struct text got;
        text_init(&got);
        test_read(&t, NULL, cases[i].input);
        conf_check(&schema, t.tree, &t.diag);
        if (cases[i].tree) {
            outline(t.tree->root.children, &got);
            test_same(cases[i].input, &got, cases[i].tree);
        }
        text_clear(&got);
        test_errors(&t.diag, &got);
        test_same(cases[i].input, &got, cases[i].errors);
        test_release(&t);
        text_release(&got);
    }
}

UNIT_SUITE(conf_check, cmocka_unit_test(accepts_what_the_rows_allow),
           cmocka_unit_test(refuses_unknown_words), cmocka_unit_test(says_where_a_word_may_stand),
           cmocka_unit_test(counts_words), cmocka_unit_test(looks_at_blocks),
           cmocka_unit_test(refuses_repetition), cmocka_unit_test(parses_values_where_they_stand),
           cmocka_unit_test(leaves_a_broken_tree_alone),
           cmocka_unit_test(an_open_block_hides_only_itself),
           cmocka_unit_test(collects_many_errors), cmocka_unit_test(splits_args_and_options),
           cmocka_unit_test(finds_rows), cmocka_unit_test(a_line_may_stand_for_its_block));
