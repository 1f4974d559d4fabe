/* secrets_test.c - which words of a configuration are hidden, in files and in messages. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"
#include "conf/secrets.h"

struct keys {
    struct slice text;
};

static void apply_nothing(struct conf_build *b, void *scope, const struct conf_node *n)
{
    (void)b;
    (void)scope;
    (void)n;
}

static const struct directive key_options[] = {
    {.name = "secret",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct keys, text),
     .secret = 1,
     .usage = "TEXT",
     .text = "Hidden."},
    {.name = "size",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct keys, text),
     .usage = "TEXT",
     .text = "Shown."},
    {0},
};

static const struct directive key_rows[] = {
    {.name = "key",
     .where = IN_TOP,
     .repeat = true,
     .args_min = 1,
     .args_max = 3,
     .secret = 2,
     .options = key_options,
     .apply = apply_nothing,
     .usage = "NAME SECRET...",
     .text = "A key."},
    {.name = "request",
     .where = IN_TOP,
     .repeat = true,
     .args_min = 1,
     .args_max = 3,
     .apply = apply_nothing,
     .usage = "WORDS",
     .text = "Fields."},
    {0},
};

static const struct conf_table tables[] = {{"core", conf_core_rows}, {"keys", key_rows}};
static const struct conf_schema schema = {tables, COUNT_OF(tables)};

static const struct test_file files[] = {
    {"/run/key", "from-a-file\n"},
    {"$API_TOKEN", "from-the-environment"},
    {"$PORT", "8080"},
    {0},
};

/* `input` as /config would show it. */
static void check_shown(const char *input, const char *want)
{
    struct test_conf t;
    struct text got;
    text_init(&got);
    test_read(&t, files, input);
    conf_check(&schema, t.tree, &t.diag);
    conf_file_write(&got, t.tree->files[0], 0, t.tree->files[0]->text.len);
    test_same(input, &got, want);
    text_release(&got);
    test_release(&t);
}

static void words_of_marked_rows_are_hidden(void **state)
{
    (void)state;
    check_shown("key ann hunter2\n", "key ann ***\n");
    check_shown("key ann hunter2 hunter3 size=9\n", "key ann *** *** size=9\n");
    check_shown("key ann \"hun\\\"ter\" # c\n", "key ann *** # c\n");
    check_shown("key ann \"hun\\\n  ter\"\nkey bob 'x y'", "key ann ***\nkey bob ***");
    check_shown("key ann secret=hunter2 size=9", "key ann secret=*** size=9");
    check_shown("key ann secret=\"a b\"", "key ann secret=***");
    check_shown("key ann { secret hunter2; size 9 }", "key ann { secret ***; size 9 }");
    check_shown("\xef\xbb\xbfkey ann x\nkey bob y", "\xef\xbb\xbfkey ann ***\nkey bob ***");
}

static void arguments_of_snippets_are_hidden(void **state)
{
    (void)state;
    check_shown("define k A B { key ${A} ${B} }\nuse k ann hunter2\n",
                "define k A B { key ${A} ${B} }\nuse k ann ***\n");
    check_shown("define k B { key ann x${B}y }\nuse k hunter2\n",
                "define k B { key ann *** }\nuse k ***\n");
    check_shown("define k B { key ann secret=${B} }\nuse k \"hun\\\"2\"\n",
                "define k B { key ann secret=*** }\nuse k ***\n");
    check_shown("define a X { key ann \"x${X}\" }\ndefine b Y { use a \"y${Y}\" }\nuse b hunter2\n",
                "define a X { key ann *** }\ndefine b Y { use a *** }\nuse b ***\n");
}

static void mistakes_do_not_show_them(void **state)
{
    (void)state;
    check_shown("key ann a b c", "key ann *** *** ***"); /* too many words */
    check_shown("key ann secret=1234 secret=5678", "key ann secret=*** secret=***");
    check_shown("request { key ann hunter2 }", "request { key ann *** }"); /* in the wrong place */
    check_shown("ke { secret hunter2 }", "ke { secret *** }");             /* an unknown block */
    check_shown("ke secret=hunter2", "ke secret=***");
}

static void fields_with_credentials_are_hidden(void **state)
{
    (void)state;
    check_shown("request set Authorization \"Bearer abc\"", "request set Authorization ***");
    check_shown("request set authorization: abc", "request set authorization: ***");
    check_shown("request 'X-Api-Key: abc'", "request ***");
    check_shown("request set Authorization \"Bearer ${header.x}\"",
                "request set Authorization \"Bearer ${header.x}\"");
    check_shown("request set X-Tenant abc", "request set X-Tenant abc");
}

/* The message `fmt` about the first directive, as a terminal would show it. */
static void check_message(const char *input, const char *quoted, const char *want)
{
    struct test_conf t;
    struct text got;
    text_init(&got);
    test_read(&t, files, input);
    conf_check(&schema, t.tree, &t.diag);
    const struct conf_node *n = t.tree->root.children;
    diag_error(&t.diag, n->words[n->word_count - 1].pos, "no '%s'", quoted);
    diag_hint(&t.diag, "not %s", quoted);
    diag_print(&t.diag, &got, false);
    test_same(input, &got, want);
    text_release(&got);
    test_release(&t);
}

static void messages_do_not_show_them(void **state)
{
    (void)state;
    check_message("key ann hunter2", "hunter2",
                  "t.conf:1:9: error: no '***'\n    1 | key ann ***\n      |         ^^^\n"
                  "      = not ***\n");
    check_message("key hunter2 1 2", "2", /* the others, on the same line */
                  "t.conf:1:15: error: no '2'\n    1 | key hunter2 *** ***\n"
                  "      |                 ^^^\n      = not 2\n");
    check_message("request ${file:/run/key}", "from-a-file",
                  "t.conf:1:9: error: no '***'\n    1 | request ${file:/run/key}\n"
                  "      |         ^^^^^^^^^^^^^^^^\n      = not ***\n");
    check_message("request ${env.API_TOKEN}", "from-the-environment",
                  "t.conf:1:9: error: no '***'\n    1 | request ${env.API_TOKEN}\n"
                  "      |         ^^^^^^^^^^^^^^^^\n      = not ***\n");
    check_message("request ${env.PORT}", "8080",
                  "t.conf:1:9: error: no '8080'\n    1 | request ${env.PORT}\n"
                  "      |         ^^^^^^^^^^^\n      = not 8080\n");
}

static void a_secret_that_was_cut_off_is_hidden(void **state)
{
    (void)state;
    struct conf_secret one = {.text = SLICE_INIT("hunter2")}, two = {&one, SLICE_INIT("hunter22")};
    static const char *const cases[][2] = {
        {"a hunter2 b", "a *** b"},
        {"hunter22", "***"},
        {"x hunte", "x ***"},
        {"hunt", "***"},
        {"hun", "hun"},
        {"hunter2hunter2", "******"},
        {"hunted down", "hunted down"},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct text got;
        text_init(&got);
        conf_secrets_write(&got, slice_of(cases[i][0]), &two);
        test_same(cases[i][0], &got, cases[i][1]);
        text_release(&got);
    }
}

UNIT_SUITE(conf_secrets, cmocka_unit_test(words_of_marked_rows_are_hidden),
           cmocka_unit_test(arguments_of_snippets_are_hidden),
           cmocka_unit_test(mistakes_do_not_show_them),
           cmocka_unit_test(fields_with_credentials_are_hidden),
           cmocka_unit_test(messages_do_not_show_them),
           cmocka_unit_test(a_secret_that_was_cut_off_is_hidden));
