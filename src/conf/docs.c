/* docs.c - the reference manual in Markdown: a chapter per module, a section per row.
 *
 * Everything comes from the rows that also parse and check, so the manual cannot say something
 * else than the program does. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/rows_priv.h"

static void add_str(struct text *out, const char *s)
{
    text_add(out, slice_of(s));
}

/* Inside of a table a '|' would start a cell and a new line a row. */
static void add_cell(struct text *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            add_str(out, "\\|");
        else
            text_add(out, *s == '\n' ? SLICE(" ") : (struct slice){s, 1});
    }
}

static void add_indented(struct text *out, const char *s)
{
    struct slice rest = slice_of(s), line;
    while (slice_cut(&rest, '\n', &line)) {
        if (line.len)
            text_addf(out, "    %.*s", SLICE_ARG(line));
        add_str(out, "\n");
    }
    add_str(out, "\n");
}

/* "a time, 1s to 1m or off" */
static void add_value(struct text *out, const struct directive *row)
{
    bool number = row->type >= CONF_COUNT && row->type <= CONF_PERCENT;
    add_str(out, conf_type_name(row->type));
    if (number && conf_has_range(row)) {
        add_str(out, ", ");
        conf_range_write(out, row);
    } else if (row->off_ok) {
        add_str(out, ", or off");
    }
}

static bool has_value(const struct directive *row)
{
    return row->type != CONF_NONE && row->type != CONF_MARK;
}

static void add_facts(struct text *out, const struct directive *row)
{
    add_str(out, "- Stands ");
    conf_where_write(out, row->where);
    add_str(out, row->repeat ? ", any number of times.\n" : ", once.\n");
    if (row->adds)
        add_str(out, "- Inherited; those of nearer blocks come on top.\n");
    if (row->key_args)
        text_addf(out, "- Inherited; a nearer block overrides what has the same first %s.\n",
                  row->key_args == 1 ? "word" : "words");
    if (has_value(row)) {
        add_str(out, "- Value: ");
        add_value(out, row);
        add_str(out, ".\n");
    }
    if (row->secret)
        add_str(out, "- Secret: `/config`, `weir explain` and messages show `***` instead.\n");
    if (row->def)
        text_addf(out, "- Default: `%s`\n", row->def);
    add_str(out, "\n");
}

static void add_choices(struct text *out, const struct directive *row)
{
    if (!row->choices)
        return;
    add_str(out, "| word | meaning |\n|---|---|\n");
    for (const struct conf_choice *c = row->choices; c->word; c++) {
        text_addf(out, "| `%s` | ", c->word);
        add_cell(out, c->text ? c->text : "");
        add_str(out, " |\n");
    }
    add_str(out, "\n");
}

static void add_option(struct text *out, const struct directive *option)
{
    text_addf(out, "| `%s%s` | ", option->name, option->type == CONF_MARK ? "" : "=");
    if (option->choices) {
        for (const struct conf_choice *c = option->choices; c->word; c++)
            text_addf(out, "%s`%s`", c == option->choices ? "" : " ", c->word);
    } else if (option->type == CONF_MARK) {
        add_str(out, "-");
    } else {
        add_value(out, option);
    }
    if (option->def)
        text_addf(out, " | `%s` | ", option->def);
    else
        add_str(out, " | - | ");
    add_cell(out, option->text ? option->text : "");
    add_str(out, option->secret ? " Secret: shown as `***`. |\n" : " |\n");
}

static void add_options(struct text *out, const struct directive *row)
{
    if (!row->options)
        return;
    add_str(out, "| option | value | default | meaning |\n|---|---|---|---|\n");
    CONF_ROW_EACH(option, row->options)
    add_option(out, option);
    add_str(out, "\n");
}

static void add_row(struct text *out, const struct directive *row)
{
    const char *usage = row->usage ? row->usage : "";
    text_addf(out, "### %s\n\n    %s%s%s\n\n", row->name, row->name, *usage ? " " : "", usage);
    text_addf(out, "%s\n\n", row->text ? row->text : "");
    add_facts(out, row);
    add_choices(out, row);
    add_options(out, row);
    if (row->example) {
        add_str(out, "For example:\n\n");
        add_indented(out, row->example);
    }
}

/* Which words may stand where, at a glance. */
static void add_places(struct text *out, const struct conf_schema *s)
{
    add_str(out, "| place | words |\n|---|---|\n");
    for (int i = 0; i < CONF_WHERE_COUNT; i++) {
        text_addf(out, "| %s |", conf_where_names[i].word);
        for (size_t t = 0; t < s->count; t++) {
            CONF_ROW_EACH(row, s->tables[t].rows)
            {
                if (row->where & conf_where_names[i].where)
                    text_addf(out, " `%s`", row->name);
            }
        }
        add_str(out, " |\n");
    }
    add_str(out, "\n");
}

static const char intro[] =
    "# Configuration reference\n\n"
    "Written by `weir docs` from the table that the program itself reads. A line is a directive: "
    "a\n"
    "word, its values, its options as `key=value`, and for some a block in braces, in which "
    "options\n"
    "may stand too, a line each. `;` ends a directive like a new line does, `\\` at the end of a\n"
    "line continues it, `#` starts a comment. Words with spaces stand in \"...\" (with `\\n`, "
    "`\\\"`,\n"
    "`\\\\` and variables) or in '...' (exactly as written).\n\n"
    "Units stand in the value: times `100ms 5s 10m 2h 1d`, sizes `512B 10k 1M 2G`, rates `10r/s\n"
    "600r/m 1M/s`, shares `20%`.\n\n"
    "`${env.NAME}`, `${env.NAME:-default}` and `${file:PATH}` (its first line) are put in when "
    "the\n"
    "file is read; other variables get their value with each request.\n\n";

void conf_write_docs(const struct conf_schema *s, struct text *out)
{
    add_str(out, intro);
    add_places(out, s);
    for (size_t i = 0; i < s->count; i++) {
        text_addf(out, "## %s\n\n", s->tables[i].module);
        CONF_ROW_EACH(row, s->tables[i].rows)
        add_row(out, row);
    }
}
