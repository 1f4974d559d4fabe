/* build.c - from checked directives to the fields of the structs that modules work with.
 *
 * A typed row names its field by offset; everything else goes through the row's apply(). Values
 * were parsed once by conf_check() already, so that setting them here cannot fail for input. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "conf/rows_priv.h"

static void store(const struct directive *row, void *scope, int64_t value)
{
    char *field = (char *)scope + row->offset;
    if (row->type == CONF_FLAG || row->type == CONF_MARK)
        *(bool *)(void *)field = value != 0;
    else
        *(int64_t *)(void *)field = value;
}

bool conf_set(struct diag *d, const struct directive *row, const struct conf_word *w, void *scope)
{
    int64_t value = 1; /* what a mark stores */
    ASSERT(row->type != CONF_NONE);
    if (row->type == CONF_STRING) {
        *(struct slice *)(void *)((char *)scope + row->offset) = w->text;
        return true;
    }
    if (row->type != CONF_MARK && !conf_value_parse(d, row, w, &value))
        return false;
    store(row, scope, value);
    return true;
}

/* Defaults are written as a user would write them, some of them in quotes. */
static struct slice unquoted(struct slice s)
{
    bool quoted = s.len >= 2 && s.at[0] == '"' && s.at[s.len - 1] == '"';
    return quoted ? (struct slice){s.at + 1, s.len - 2} : s;
}

void conf_defaults(const struct directive *rows, unsigned where, void *scope)
{
    struct diag d;
    diag_init(&d);
    CONF_ROW_EACH(row, rows)
    {
        if (!(row->where & where) || !row->def || row->type == CONF_NONE || row->type == CONF_MARK)
            continue;
        struct conf_word w = {.text = unquoted(slice_of(row->def))};
        ASSERT(conf_set(&d, row, &w, scope)); /* the row tests parse every default */
    }
    diag_release(&d);
}

void conf_options(struct conf_build *b, const struct conf_node *n, void *scope)
{
    conf_defaults(n->row->options, IN_OPTIONS, scope);
    for (uint32_t i = 0; i < n->option_count; i++)
        conf_set(b->diag, n->options[i].row, &n->options[i].value, scope);
}

void conf_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    if (n->row->apply)
        n->row->apply(b, scope, n);
    else if (n->row->type == CONF_MARK)
        conf_set(b->diag, n->row, &n->words[0], scope);
    else if (n->row->type != CONF_NONE && n->arg_count > 0)
        conf_set(b->diag, n->row, &n->args[0], scope);
}

void conf_apply_block(struct conf_build *b, void *scope, const struct conf_node *block)
{
    CONF_NODE_EACH(n, block)
    {
        if (n->row && !(n->row->where & IN_OPTIONS))
            conf_apply(b, scope, n);
    }
}
