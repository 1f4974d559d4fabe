/* docs_test.c - the reference and the list of words, as far as their readers rely on them. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"

static void check_holds(const struct text *t, const char *part)
{
    if (!strstr(t->at, part))
        fail_msg("missing:\n%s\nin:\n%s", part, t->at);
}

static void documents_each_row(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    conf_write_docs(&test_schema, &t);
    check_holds(&t, "\n## test\n");
    check_holds(&t, "### window\n\n    window TIME\n\nA time.\n\n"
                    "- Stands at the top level or in a site, once.\n"
                    "- Value: a time, 1s to 1m or off.\n"
                    "- Default: `10s`\n\n"
                    "For example:\n\n    window 20s\n\n");
    check_holds(&t, "### strict\n\n    strict\n\nA mark.\n\n- Stands in a site, once.\n\n");
    check_holds(&t, "| word | meaning |\n|---|---|\n| `low` | little |\n| `high` | much |\n");
    check_holds(&t, "| option | value | default | meaning |\n|---|---|---|---|\n"
                    "| `weight=` | a whole number, 1 to 256 | `1` | Share of requests. |\n"
                    "| `every=` | a time, 100ms to 1h | `5s` | How often. |\n"
                    "| `backup` | - | - | Only when others are down. |\n");
    check_holds(&t, "- Inherited; a nearer block overrides what has the same first word.\n");
    check_holds(&t, "| upstream | `include` `use` `server` `check` |\n");
    CONF_ROW_EACH(row, conf_core_rows)
    check_holds(&t, row->text);
    text_release(&t);
}

static void escapes_table_cells(void **state)
{
    (void)state;
    static const struct conf_choice choices[] = {{"a", 1, "one|two\nthree"}, {0}};
    static const struct directive rows[] = {{.name = "x",
                                             .where = IN_TOP,
                                             .type = CONF_CHOICE,
                                             .choices = choices,
                                             .usage = "a",
                                             .text = "Text."},
                                            {0}};
    static const struct conf_table table = {"m", rows};
    static const struct conf_schema schema = {&table, 1};
    struct text t;
    text_init(&t);
    conf_write_docs(&schema, &t);
    check_holds(&t, "| `a` | one\\|two three |\n");
    text_release(&t);
}

static void lists_words_once_and_sorted(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    conf_write_completion(&test_schema, &t);
    assert_string_equal(t.at, "backup\nbody\ncheck\ndefine\nevery=\nheader\nhigh\nhttp2\ninclude\n"
                              "key=\nlevel\nlow\nrate\nroute\nserver\nshare\nsite\nstrict\ntitle\n"
                              "upstream\nuse\nweight=\nwindow\nworkers\n");
    text_release(&t);
}

UNIT_SUITE(conf_docs, cmocka_unit_test(documents_each_row), cmocka_unit_test(escapes_table_cells),
           cmocka_unit_test(lists_words_once_and_sorted));
