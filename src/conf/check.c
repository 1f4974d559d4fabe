/* check.c - gives every directive its row and refuses what the rows do not allow.
 *
 * One walk over the tree. Per directive: find the row that may stand here, split its words into
 * positional ones and options, count them, parse typed values, look at its block. A directive
 * without a row is reported once and what it holds is skipped, so that one mistake makes one error.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "conf/conf_mem_priv.h"
#include "conf/rows_priv.h"
#include "conf/secrets.h"
#include <stdlib.h>

/* All rows sorted by name: a configuration of a million directives is checked in a second. */
struct row_index {
    const struct directive **rows;
    size_t count;
};

struct checker {
    struct row_index index;
    struct conf_tree *tree;
    struct diag *diag;
};

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct directive *const *)a)->name,
                  (*(const struct directive *const *)b)->name);
}

static void index_init(struct row_index *index, const struct conf_schema *s)
{
    size_t cap = 0;
    for (size_t i = 0; i < s->count; i++) {
        CONF_ROW_EACH(row, s->tables[i].rows)
        cap++;
    }
    *index = (struct row_index){.rows = mem_new((cap + 1) * sizeof(*index->rows))};
    for (size_t i = 0; i < s->count; i++) {
        CONF_ROW_EACH(row, s->tables[i].rows)
        index->rows[index->count++] = row;
    }
    if (index->count)
        qsort(index->rows, index->count, sizeof(*index->rows), by_name);
}

/* The first row that is not before `name`. */
static size_t index_first(const struct row_index *index, struct slice name)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_cmp(slice_of(index->rows[middle]->name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The row of that name that may stand in `where`. *elsewhere collects where the others may. */
static const struct directive *index_find(const struct row_index *index, unsigned where,
                                          struct slice name, unsigned *elsewhere)
{
    for (size_t i = index_first(index, name); i < index->count; i++) {
        const struct directive *row = index->rows[i];
        if (!slice_eq(slice_of(row->name), name))
            break;
        if (row->where & where)
            return row;
        *elsewhere |= row->where;
    }
    return NULL;
}

/* ---- words that have no row here ---- */

static void offer_option(struct diag *d, const struct directive *row, struct slice name)
{
    struct slice names[64];
    size_t count = 0;
    CONF_ROW_EACH(option, row->options)
    {
        if (count < 64)
            names[count++] = slice_of(option->name);
    }
    diag_nearest(d, name, names, count);
}

/* The nearest word that may stand here; only if there is none, one that may stand elsewhere. */
static void offer_row(struct checker *c, unsigned where, const struct directive *owner,
                      struct slice name)
{
    size_t here = 0, there = 0, cap = c->index.count + 64;
    struct slice *names = mem_new(2 * cap * sizeof(*names)), *others = names + cap;
    CONF_ROW_EACH(option, owner ? owner->options : NULL)
    {
        if (here < 64)
            names[here++] = slice_of(option->name);
    }
    for (size_t i = 0; i < c->index.count; i++) {
        const struct directive *row = c->index.rows[i];
        if (row->where & where)
            names[here++] = slice_of(row->name);
        else
            others[there++] = slice_of(row->name);
    }
    diag_nearest(c->diag, name, others, there);
    diag_nearest(c->diag, name, names, here); /* overwrites the hint when it finds one */
    free(names);
}

static unsigned lowest_bit(unsigned where)
{
    return where & -where;
}

static void refuse_place(struct checker *c, const struct conf_node *n, unsigned where,
                         unsigned elsewhere)
{
    struct text here, there;
    text_init(&here);
    text_init(&there);
    conf_where_write(&here, lowest_bit(where));
    conf_where_write(&there, elsewhere);
    diag_error(c->diag, n->pos, "'%.*s' may not stand %s", SLICE_ARG(n->words[0].text),
               here.at ? here.at : "here");
    diag_hint(c->diag, "it may stand %s", there.at ? there.at : "elsewhere");
    text_release(&here);
    text_release(&there);
}

static void refuse_unknown(struct checker *c, const struct conf_node *n, unsigned where,
                           const struct directive *owner, unsigned elsewhere)
{
    struct slice name = n->words[0].text;
    if (where == 0 && owner) {
        diag_error(c->diag, n->pos, "'%s' has no option '%.*s'", owner->name, SLICE_ARG(name));
        offer_option(c->diag, owner, name);
    } else if (elsewhere) {
        refuse_place(c, n, where, elsewhere);
    } else {
        diag_error(c->diag, n->pos, "unknown directive '%.*s'", SLICE_ARG(name));
        offer_row(c, where, owner, name);
    }
}

/* ---- the words of a directive ---- */

static bool parses(struct checker *c, const struct directive *row, const struct conf_word *w)
{
    int64_t ignored;
    return row->type == CONF_STRING || row->type == CONF_NONE || row->type == CONF_MARK ||
           conf_value_parse(c->diag, row, w, &ignored);
}

static void add_option(struct checker *c, struct conf_node *n, const struct directive *row,
                       const struct conf_word *value)
{
    for (uint32_t i = 0; i < n->option_count && !row->repeat; i++) {
        if (n->options[i].row == row) {
            diag_error(c->diag, value->pos, "option '%s' is given twice", row->name);
            return;
        }
    }
    if (parses(c, row, value))
        n->options[n->option_count++] = (struct conf_option){row, *value};
}

/* KEY=VALUE in the words of a directive that has options. */
static void take_key_value(struct checker *c, struct conf_node *n, const struct conf_word *w)
{
    struct slice key = slice_head(w->text, w->value_at - 1);
    const struct directive *row = conf_option_find(n->row, key);
    if (!row) {
        diag_error(c->diag, w->pos, "'%s' has no option '%.*s'", n->row->name, SLICE_ARG(key));
        offer_option(c->diag, n->row, key);
        return;
    }
    if (row->type == CONF_MARK) {
        diag_error(c->diag, w->pos, "option '%s' takes no value", row->name);
        return;
    }
    struct conf_word value = conf_word_value(w);
    add_option(c, n, row, &value);
}

static const struct directive *mark_of(const struct conf_node *n, const struct conf_word *w)
{
    const struct directive *row = w->quote == CONF_BARE ? conf_option_find(n->row, w->text) : NULL;
    return row && row->type == CONF_MARK ? row : NULL;
}

static uint32_t child_count(const struct conf_node *n)
{
    uint32_t count = 0;
    CONF_NODE_EACH(child, n)
    count++;
    return count;
}

/* Sorts the words after the name into args and options. */
static void split_words(struct checker *c, struct conf_node *n)
{
    n->args = n->words + 1;
    n->arg_count = n->word_count - 1;
    if (!n->row->options)
        return;
    size_t most = n->word_count + child_count(n);
    n->options = conf_alloc(c->tree->arena, most * sizeof(*n->options));
    n->args = conf_alloc(c->tree->arena, n->word_count * sizeof(*n->args));
    n->arg_count = 0;
    for (uint32_t i = 1; i < n->word_count; i++) {
        const struct conf_word *w = &n->words[i];
        const struct directive *mark = mark_of(n, w);
        if (w->value_at)
            take_key_value(c, n, w);
        else if (mark)
            add_option(c, n, mark, w);
        else
            n->args[n->arg_count++] = *w;
    }
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void hint_usage(struct checker *c, const struct directive *row)
{
    diag_hint(c->diag, "usage: %s%s%s", row->name, row->usage && *row->usage ? " " : "",
              row->usage ? row->usage : "");
}

static void refuse_extra(struct checker *c, const struct conf_node *n, uint32_t max)
{
    const struct conf_word *extra = &n->args[max];
    const struct directive *option = conf_option_find(n->row, extra->text);
    if (max == 0)
        diag_error(c->diag, extra->pos, "'%s' takes no words%s", n->row->name,
                   n->row->options ? " but options" : "");
    else
        diag_error(c->diag, extra->pos, "'%s' takes at most %u word%s", n->row->name, max,
                   plural(max));
    if (option)
        diag_hint(c->diag, "an option is written %s=VALUE", option->name);
    else
        hint_usage(c, n->row);
}

static bool count_fits(struct checker *c, const struct conf_node *n)
{
    uint32_t min = conf_args_min(n->row), max = conf_args_max(n->row);
    if (n->arg_count < min) {
        diag_error(c->diag, n->pos, "'%s' needs %s%u word%s", n->row->name,
                   min == max ? "" : "at least ", min, plural(min));
        hint_usage(c, n->row);
        return false;
    }
    if (max != CONF_ARGS_ANY && n->arg_count > max) {
        refuse_extra(c, n, max);
        return false;
    }
    return true;
}

/* ---- blocks ---- */

static void check_children(struct checker *c, struct conf_node *block, unsigned where);

/* An option written as a line of the block. */
static void check_block_option(struct checker *c, struct conf_node *owner, struct conf_node *n)
{
    uint32_t due = n->row->type != CONF_MARK;
    n->args = n->words + 1;
    n->arg_count = n->word_count - 1;
    if (n->arg_count != due)
        diag_error(c->diag, n->pos, due ? "option '%s' takes one value" : "'%s' takes no value",
                   n->row->name);
    else if (n->has_block)
        diag_error(c->diag, n->block_pos, "option '%s' takes no block", n->row->name);
    else
        add_option(c, owner, n->row, due ? &n->args[0] : &n->words[0]);
}

static bool same_key(const struct conf_node *a, const struct conf_node *b)
{
    for (uint32_t i = 0; i < a->row->key_args; i++) {
        bool in_a = i < a->arg_count, in_b = i < b->arg_count;
        if (in_a != in_b || (in_a && !slice_eq(a->args[i].text, b->args[i].text)))
            return false;
    }
    return true;
}

static void check_repeat(struct checker *c, const struct conf_node *n)
{
    for (const struct conf_node *it = n->parent->children; it && it != n; it = it->next) {
        if (it->row == n->row && same_key(it, n)) {
            diag_error(c->diag, n->pos, "'%s' is given twice in this block", n->row->name);
            diag_hint(c->diag, "first in %s:%u", it->pos.file->path, it->pos.line);
            return;
        }
    }
}

static void check_own_block(struct checker *c, struct conf_node *n)
{
    const struct directive *row = n->row;
    if (!n->has_block) {
        if (row->block_due) {
            diag_error(c->diag, n->pos, "'%s' needs a block", row->name);
            hint_usage(c, row);
        }
        return;
    }
    if (!row->opens && !row->options) {
        diag_error(c->diag, n->block_pos, "'%s' takes no block", row->name);
        return;
    }
    check_children(c, n, row->opens);
}

/* `auth basic users` is read as `auth { basic users }`; a block at its end is the inner one's. */
static void unfold_inline(struct checker *c, struct conf_node *n)
{
    struct conf_node *inner = conf_alloc(c->tree->arena, sizeof(*inner));
    *inner = (struct conf_node){.parent = n,
                                .children = n->children,
                                .last_child = n->last_child,
                                .words = n->words + 1,
                                .word_count = n->word_count - 1,
                                .has_block = n->has_block,
                                .unclosed = n->unclosed,
                                .pos = n->words[1].pos,
                                .block_pos = n->block_pos};
    CONF_NODE_EACH(child, inner)
    child->parent = inner;
    n->children = n->last_child = inner;
    n->word_count = 1;
    n->has_block = true;
    n->block_pos = inner->pos;
}

static void check_node(struct checker *c, struct conf_node *n, unsigned where)
{
    const struct directive *owner = n->parent->row;
    struct slice name = n->words[0].text;
    unsigned elsewhere = 0;
    const struct directive *option = owner ? conf_option_find(owner, name) : NULL;
    n->row =
        index_find(&c->index, where, name, &elsewhere); /* comes before an option of its name */
    if (!n->row && option) {
        n->row = option;
        check_block_option(c, n->parent, n);
        return;
    }
    if (!n->row) {
        refuse_unknown(c, n, where, owner, elsewhere);
        return;
    }
    if (n->row->inlines && n->word_count > 1)
        unfold_inline(c, n);
    split_words(c, n);
    if (count_fits(c, n) && n->arg_count > 0)
        parses(c, n->row, &n->args[0]);
    if (!n->row->repeat)
        check_repeat(c, n);
    check_own_block(c, n);
}

static void check_children(struct checker *c, struct conf_node *block, unsigned where)
{
    CONF_NODE_EACH(n, block)
    {
        if (!n->unclosed)
            check_node(c, n, where);
    }
}

void conf_check_block(const struct conf_schema *s, struct conf_tree *t, struct conf_node *block,
                      unsigned where, struct diag *d)
{
    struct checker c = {.tree = t, .diag = d};
    index_init(&c.index, s);
    check_children(&c, block, where);
    free(c.index.rows);
}

void conf_check(const struct conf_schema *s, struct conf_tree *t, struct diag *d)
{
    if (!t->broken)
        conf_check_block(s, t, &t->root, IN_TOP, d);
    conf_secrets_find(s, t);
}
