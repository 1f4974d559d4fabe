/* rows_verify_test.c - the row test finds nothing in good rows, and each mistake in bad ones. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_test_priv.h"
#include "conf/rows_verify.h"

static void good_rows_pass(void **state)
{
    (void)state;
    struct text problems;
    text_init(&problems);
    conf_rows_verify(&test_schema, &problems);
    test_same("the sample schema", &problems, "");
    text_release(&problems);
}

static void check_row(const struct directive *row, const char *want)
{
    const struct directive rows[] = {*row, {0}};
    const struct conf_table table = {"m", rows};
    const struct conf_schema schema = {&table, 1};
    struct text problems;
    text_init(&problems);
    conf_rows_verify(&schema, &problems);
    test_same(want, &problems, want);
    text_release(&problems);
}

static const struct conf_choice twice[] = {{"a", 1, "x"}, {"a", 2, ""}, {0}};
static const struct directive no_type[] = {
    {.name = "o", .where = IN_OPTIONS, .usage = "", .text = "x"}, {0}};

#define BARE_ROW(...) (&(struct directive){.name = "r", __VA_ARGS__})
#define ROW(...)      BARE_ROW(.where = IN_TOP, .usage = "X", .text = "x", __VA_ARGS__)
#define MARK(...)     BARE_ROW(.type = CONF_MARK, __VA_ARGS__)

static void missing_texts_are_found(void **state)
{
    (void)state;
    check_row(MARK(.where = IN_TOP, .usage = "", .text = "x"), "");
    check_row(MARK(.where = IN_TOP, .usage = "", .text = ""), "m: r: has no text\n");
    check_row(MARK(.where = IN_TOP, .text = "x"), "m: r: has no usage\n");
    check_row(MARK(.usage = "", .text = "x"), "m: r: may stand nowhere\n");
    check_row(BARE_ROW(.where = IN_TOP, .type = CONF_COUNT, .usage = "", .text = "x"),
              "m: r: has an empty usage\n");
}

static void bad_rows_are_found(void **state)
{
    (void)state;
    check_row(ROW(.type = CONF_COUNT, .max = 5), "");
    check_row(ROW(.type = CONF_TIME, .def = "10"), "m: r: its default is refused: 10\n");
    check_row(ROW(.type = CONF_COUNT, .max = 5, .def = "6"), "m: r: its default is refused: 6\n");
    check_row(ROW(.type = CONF_CHOICE), "m: r: is a choice of nothing\n");
    check_row(ROW(.type = CONF_CHOICE, .choices = twice),
              "m: r: has a word without a text: a\nm: r: has a word twice: a\n");
    check_row(ROW(.type = CONF_RATE, .min = 5, .max = 1000),
              "m: r: its least value is refused: 0r/m\n");
    check_row(ROW(.args_max = 1), "m: r: has neither a type nor an apply()\n");
    check_row(ROW(.apply = test_apply, .args_min = 3, .args_max = 2),
              "m: r: needs more words than it takes\n");
    check_row(ROW(.apply = test_apply, .block_due = true),
              "m: r: needs a block that it does not take\n");
    check_row(ROW(.apply = test_apply, .options = no_type),
              "m: r o: has neither a type nor an apply()\n"
              "m: r o: is an option without a type, or with an apply()\n");
    check_row(ROW(.type = CONF_COUNT, .example = "q 1"),
              "m: r: its example is refused: (example):1:1: error: unknown directive 'q'\n"
              "    1 | q 1\n      | ^\n\n");
    check_row(ROW(.type = CONF_COUNT, .example = "# nothing"),
              "m: r: its example does not show it\n");
    check_row(ROW(.type = CONF_COUNT, .example = "r x"),
              "m: r: its example is refused: (example):1:3: error: 'x' is not a whole number\n"
              "    1 | r x\n      |   ^\n"
              "      = a whole number is written like 0, 1 or 1000\n\n");
}

static void names_are_unique_in_their_place(void **state)
{
    (void)state;
    static const struct directive one[] = {
        {.name = "r", .where = IN_TOP, .type = CONF_COUNT, .usage = "N", .text = "x"}, {0}};
    static const struct directive two[] = {
        {.name = "r", .where = IN_SITE, .type = CONF_COUNT, .usage = "N", .text = "x"},
        {.name = "r", .where = IN_ROUTE | IN_TOP, .type = CONF_COUNT, .usage = "N", .text = "x"},
        {0}};
    static const struct conf_table tables[] = {{"a", one}, {"b", two}};
    static const struct conf_schema schema = {tables, 2};
    struct text problems;
    text_init(&problems);
    conf_rows_verify(&schema, &problems);
    test_same("", &problems, "b: r: stands twice in one place, also in module: a\n");
    text_release(&problems);
}

UNIT_SUITE(conf_rows_verify, cmocka_unit_test(good_rows_pass),
           cmocka_unit_test(missing_texts_are_found), cmocka_unit_test(bad_rows_are_found),
           cmocka_unit_test(names_are_unique_in_their_place));
