/* header_edit.c - see header_edit.h. One struct header_edit per directive, kept in a list because
 * the order in the file is the order in which edits happen. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/header_edit.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/template.h"

enum edit_op { EDIT_SET, EDIT_ADD, EDIT_DEL, EDIT_DEFAULT };

static const struct edit_word {
    struct slice word;
    enum edit_op op;
    uint32_t args; /* with the op itself */
} EDIT_WORDS[] = {
    {SLICE_INIT("set"), EDIT_SET, 3},
    {SLICE_INIT("add"), EDIT_ADD, 3},
    {SLICE_INIT("del"), EDIT_DEL, 2},
    {SLICE_INIT("default"), EDIT_DEFAULT, 3},
};

struct header_edit {
    struct header_edit *next;
    const struct edit_word *word;
    struct slice name, value_text;
    const struct template *value;
    struct conf_pos pos;
};

static const struct edit_word *edit_word_find(struct slice word)
{
    for (size_t i = 0; i < COUNT_OF(EDIT_WORDS); i++)
        if (slice_eq(EDIT_WORDS[i].word, word))
            return &EDIT_WORDS[i];
    return NULL;
}

static void unknown_op(struct conf_build *b, const struct conf_word *w)
{
    struct slice words[COUNT_OF(EDIT_WORDS)];
    for (size_t i = 0; i < COUNT_OF(EDIT_WORDS); i++)
        words[i] = EDIT_WORDS[i].word;
    diag_error(b->diag, w->pos, "expected set, add, del or default, not '%.*s'",
               SLICE_ARG(w->text));
    diag_nearest(b->diag, w->text, words, COUNT_OF(EDIT_WORDS));
}

static bool name_editable(struct conf_build *b, const struct conf_word *w)
{
    if (!field_is_token(w->text)) {
        diag_error(b->diag, w->pos, "'%.*s' is not a header name", SLICE_ARG(w->text));
        return false;
    }
    unsigned traits = field_row(field_find(w->text))->traits;
    if (!(traits & (FIELD_FRAMING | FIELD_HOP)))
        return true;
    diag_error(b->diag, w->pos, "%.*s can not be edited: weir writes it for each connection itself",
               SLICE_ARG(w->text));
    return false;
}

void header_edits_apply(struct conf_build *b, struct header_edits *e, const struct conf_node *n)
{
    const struct edit_word *word = edit_word_find(n->args[0].text);
    if (!word) {
        unknown_op(b, &n->args[0]);
        return;
    }
    if (n->arg_count != word->args) {
        diag_error(b->diag, n->pos, "%.*s takes a header name%s", SLICE_ARG(word->word),
                   word->args == 3 ? " and a value" : " and nothing else");
        return;
    }
    if (!name_editable(b, &n->args[1]))
        return;
    struct header_edit *edit = ARENA_NEW(b->arena, struct header_edit);
    *edit = (struct header_edit){.word = word, .name = n->args[1].text, .pos = n->pos};
    if (word->args == 3) {
        edit->value_text = n->args[2].text;
        edit->value = template_compile(b, &n->args[2], false);
        if (!edit->value)
            return;
    }
    *(e->last ? &e->last->next : &e->first) = edit;
    e->last = edit;
}

static enum err edit_value(const struct header_edit *edit, struct exchange *x, struct slice *value)
{
    *value = template_eval(edit->value, x, NULL);
    return value->at ? ERR_OK : ERR_OVER_BUDGET;
}

static enum err edit_run(const struct header_edit *edit, struct exchange *x, struct headers *h)
{
    struct slice value;
    if (edit->word->op == EDIT_DEL) {
        headers_del(h, edit->name);
        return ERR_OK;
    }
    if (edit->word->op == EDIT_DEFAULT && headers_find_name(h, edit->name))
        return ERR_OK;
    TRY(edit_value(edit, x, &value));
    value = slice_trim(value);
    if (!field_value_valid(value)) {
        if (edit->word->op == EDIT_SET)
            headers_del(h, edit->name); /* what the client sent is not what was asked for */
        return ERR_OK;
    }
    if (edit->word->op == EDIT_SET)
        return headers_set(h, &x->arena, edit->name, value);
    return headers_add(h, &x->arena, edit->name, value);
}

enum err header_edits_run(const struct header_edits *e, struct exchange *x, struct headers *h)
{
    for (const struct header_edit *edit = e->first; edit; edit = edit->next)
        TRY(edit_run(edit, x, h));
    return ERR_OK;
}

void header_edits_explain(const struct header_edits *e, const char *label, struct explain *out)
{
    for (const struct header_edit *edit = e->first; edit; edit = edit->next)
        explain_line(out, label, edit->pos, "%.*s %.*s %.*s", SLICE_ARG(edit->word->word),
                     SLICE_ARG(edit->name), SLICE_ARG(edit->value_text));
}
