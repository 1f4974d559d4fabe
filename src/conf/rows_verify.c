/* rows_verify.c - the generic test of directive rows; the product's whole schema runs through it.
 *
 * Each rule is a function over one row. Examples are read and checked as if they stood in a block
 * of the first kind that the row may stand in. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/rows_verify.h"
#include "base/assert.h"
#include "conf/read_priv.h"
#include "conf/rows_priv.h"

struct verify {
    const struct conf_schema *schema;
    struct text *problems;
    const char *module;
    const struct directive *owner; /* of an option */
    const struct directive *row;
};

static void problem(struct verify *v, const char *what, const char *detail)
{
    text_addf(v->problems, "%s: %s%s%s: %s%s%s\n", v->module, v->owner ? v->owner->name : "",
              v->owner ? " " : "", v->row->name, what, *detail ? ": " : "", detail);
}

static bool is_number(const struct directive *row)
{
    return row->type >= CONF_COUNT && row->type <= CONF_PERCENT;
}

static bool is_typed(const struct directive *row)
{
    return row->type != CONF_NONE && row->type != CONF_MARK && row->type != CONF_STRING;
}

/* One of those that the reader carries out: no example can show it in a tree. */
static bool is_core(const struct directive *row)
{
    CONF_ROW_EACH(core, conf_core_rows)
    {
        if (core == row)
            return true;
    }
    return false;
}

/* Does the row take the word? Its error, when it does not, has to stand at the word. */
static bool takes(struct verify *v, const char *word)
{
    static const struct conf_file file = {.path = "(row)"};
    struct conf_word w = {.text = slice_of(word), .pos = {&file, 3, 7, 1}};
    struct diag d;
    int64_t value;
    diag_init(&d);
    bool ok = conf_value_parse(&d, v->row, &w, &value);
    if (!ok && (d.count != 1 || d.entries[0].pos.line != 3 || d.entries[0].pos.col != 7))
        problem(v, "is refused without its place", word);
    if (!ok && (d.count != 1 || d.entries[0].text.len == 0))
        problem(v, "is refused without a text", word);
    diag_release(&d);
    return ok;
}

static bool takes_number(struct verify *v, int64_t value, struct text *word)
{
    word->len = 0;
    conf_value_write(word, v->row->type, value);
    return takes(v, word->at);
}

static void verify_texts(struct verify *v)
{
    if (!v->row->text || !*v->row->text)
        problem(v, "has no text", "");
    if (!v->row->usage)
        problem(v, "has no usage", "");
    else if (conf_args_min(v->row) && !*v->row->usage)
        problem(v, "has an empty usage", "");
    if (!v->row->where)
        problem(v, "may stand nowhere", "");
    if (!v->owner && (v->row->where & IN_OPTIONS))
        problem(v, "is an option in a table of directives", "");
}

static void verify_default(struct verify *v)
{
    if (v->row->def && is_typed(v->row) && !takes(v, v->row->def))
        problem(v, "its default is refused", v->row->def);
    if (v->row->def && v->row->type == CONF_MARK)
        problem(v, "is a mark and has a default", v->row->def);
}

static void verify_junk(struct verify *v)
{
    static const char *const junk[] = {"", "?", "1x2", "-", "12\x01"};
    if (!is_typed(v->row))
        return;
    for (size_t i = 0; i < COUNT_OF(junk); i++) {
        if (takes(v, junk[i]))
            problem(v, "takes junk", junk[i]);
    }
    if (is_number(v->row) && takes(v, "99999999999999999999999"))
        problem(v, "takes a number of 23 digits", "");
    if (takes(v, "off") != (v->row->off_ok || v->row->type == CONF_FLAG))
        problem(v, "takes or refuses 'off' against its row", "");
}

/* The least step that a user can write: rates of whole requests per second only. */
static int64_t step_of(const struct directive *row)
{
    return row->type == CONF_RATE ? 1000 : 1;
}

static void verify_range(struct verify *v)
{
    const struct directive *row = v->row;
    struct text word;
    if (!is_number(row) || !conf_has_range(row))
        return;
    text_init(&word);
    if (!takes_number(v, row->min, &word))
        problem(v, "its least value is refused", word.at);
    if (row->min > 0 && row->min >= step_of(row) && takes_number(v, row->min - step_of(row), &word))
        problem(v, "takes less than its least value", word.at);
    if (row->max >= row->min) {
        if (!takes_number(v, row->max, &word))
            problem(v, "its largest value is refused", word.at);
        if (row->max < INT64_MAX - step_of(row) && takes_number(v, row->max + step_of(row), &word))
            problem(v, "takes more than its largest value", word.at);
    }
    text_release(&word);
}

static void verify_choices(struct verify *v)
{
    const struct conf_choice *choices = v->row->choices;
    if (v->row->type == CONF_CHOICE && (!choices || !choices->word))
        problem(v, "is a choice of nothing", "");
    if (v->row->type != CONF_CHOICE)
        return;
    for (const struct conf_choice *c = choices; c && c->word; c++) {
        if (!takes(v, c->word))
            problem(v, "refuses its own word", c->word);
        if (!c->text || !*c->text)
            problem(v, "has a word without a text", c->word);
        for (const struct conf_choice *other = choices; other != c; other++) {
            if (strcmp(other->word, c->word) == 0)
                problem(v, "has a word twice", c->word);
        }
    }
}

static void verify_shape(struct verify *v)
{
    const struct directive *row = v->row;
    if (row->args_max != CONF_ARGS_ANY && row->args_max && row->args_min > row->args_max)
        problem(v, "needs more words than it takes", "");
    if (row->key_args > conf_args_max(row))
        problem(v, "its key has more words than it takes", "");
    if (row->adds && (row->key_args || !row->repeat))
        problem(v, "adds up, but has a key or may not repeat", "");
    if (row->block_due && !row->opens && !row->options)
        problem(v, "needs a block that it does not take", "");
    if (row->type == CONF_NONE && !row->apply && !is_core(row))
        problem(v, "has neither a type nor an apply()", "");
}

static void verify_option(struct verify *v)
{
    if (v->row->where != IN_OPTIONS)
        problem(v, "is an option and stands elsewhere too", "");
    if (v->row->type == CONF_NONE || v->row->apply)
        problem(v, "is an option without a type, or with an apply()", "");
}

static void verify_unique(struct verify *v)
{
    for (size_t i = 0; i < v->schema->count; i++) {
        CONF_ROW_EACH(other, v->schema->tables[i].rows)
        {
            if (other == v->row)
                return; /* each pair once */
            if ((other->where & v->row->where) && strcmp(other->name, v->row->name) == 0)
                problem(v, "stands twice in one place, also in module",
                        v->schema->tables[i].module);
        }
    }
}

/* ---- examples ---- */

static void report_errors(struct verify *v, const struct diag *d)
{
    struct text errors;
    text_init(&errors);
    diag_print(d, &errors, false);
    problem(v, "its example is refused", errors.at);
    text_release(&errors);
}

static bool shows_row(const struct directive *row, const struct conf_node *block)
{
    CONF_NODE_EACH(n, block)
    {
        if (n->row == row)
            return true;
    }
    return false;
}

static void verify_example(struct verify *v)
{
    struct arena arena;
    struct diag d;
    if (!v->row->example)
        return;
    arena_init(&arena, 16 << 20);
    diag_init(&d);
    struct slice text = slice_of(v->row->example);
    struct conf_tree *t = conf_read_from(&conf_source_nothing, &arena, &d, "(example)", text);
    unsigned where = v->row->where & -v->row->where;
    if (!t->broken)
        conf_check_block(v->schema, t, &t->root, where, &d);
    if (d.count)
        report_errors(v, &d);
    else if (!is_core(v->row) && !shows_row(v->row, &t->root))
        problem(v, "its example does not show it", "");
    diag_release(&d);
    arena_release(&arena);
}

static void verify_row(struct verify *v, const struct directive *row)
{
    v->row = row;
    verify_texts(v);
    verify_shape(v);
    verify_default(v);
    verify_junk(v);
    verify_range(v);
    verify_choices(v);
}

static void verify_options(struct verify *v, const struct directive *owner)
{
    v->owner = owner;
    CONF_ROW_EACH(option, owner->options)
    {
        verify_row(v, option);
        verify_option(v);
        for (const struct directive *other = owner->options; other != option; other++) {
            if (strcmp(other->name, option->name) == 0)
                problem(v, "stands twice among the options", "");
        }
    }
    v->owner = NULL;
}

void conf_rows_verify(const struct conf_schema *s, struct text *problems)
{
    for (size_t i = 0; i < s->count; i++) {
        struct verify v = {.schema = s, .problems = problems, .module = s->tables[i].module};
        CONF_ROW_EACH(row, s->tables[i].rows)
        {
            verify_row(&v, row);
            verify_unique(&v);
            verify_example(&v);
            verify_options(&v, row);
        }
    }
}
