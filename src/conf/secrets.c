/* secrets.c - finds the secret words of a configuration, and writes texts without them.
 *
 * A word is hidden where it stands in its file, and if it was put together from a snippet's
 * parameters, where those stand. Directives that the check refused have no row: there the name
 * alone decides, so that a mistake in a line does not show what stands in it. Comments and snippets
 * that nothing uses are not looked into. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/secrets.h"
#include "base/assert.h"
#include "base/mem.h"
#include "conf/conf_mem_priv.h"
#include "conf/rows_priv.h"
#include <stdlib.h>

enum { CORE_PLACES_MAX = 4096 }; /* each may split a mapping, of which there are 65530 */

static const struct slice stars = SLICE_INIT("***");

struct place {
    const struct conf_file *file;
    uint32_t line, col, len;
};

struct finder {
    const struct conf_schema *schema;
    struct conf_tree *tree;
    struct place *places;
    size_t count, cap;
};

void conf_secret_add(struct arena *a, struct conf_secret **list, struct slice text)
{
    if (text.len == 0)
        return;
    struct conf_secret *s = conf_alloc(a, sizeof(*s));
    *s = (struct conf_secret){.next = *list, .text = text};
    *list = s;
}

bool conf_secret_env(struct slice name)
{
    static const char *const words[] = {"TOKEN", "SECRET", "PASS", "KEY"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (name.len && memmem(name.at, name.len, words[i], strlen(words[i])))
            return true;
    }
    return false;
}

/* ---- which words ---- */

static void hide_word(struct finder *f, const struct conf_word *w)
{
    for (const struct conf_filler *it = w->fillers; it; it = it->next)
        hide_word(f, it->word);
    conf_secret_add(f->tree->arena, &f->tree->secrets, w->text);
    if (!w->pos.file || !w->source_bytes)
        return;
    if (f->count == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 64;
        f->places = mem_grow(f->places, f->cap * sizeof(*f->places));
    }
    f->places[f->count++] = (struct place){w->pos.file, w->pos.line, w->pos.col, w->source_bytes};
}

/* Does some row of that name carry the mark, and from which word on? */
static uint8_t secret_by_name(const struct finder *f, struct slice name, bool option)
{
    for (size_t i = 0; i < f->schema->count; i++) {
        CONF_ROW_EACH(row, f->schema->tables[i].rows)
        {
            const struct directive *of = option ? conf_option_find(row, name) : row;
            if (of && of->secret && slice_eq(slice_of(of->name), name))
                return of->secret;
        }
    }
    return 0;
}

static bool option_is_secret(const struct finder *f, const struct conf_node *n, struct slice key)
{
    const struct directive *row = n->row ? conf_option_find(n->row, key) : NULL;
    return row ? row->secret != 0 : secret_by_name(f, key, true) != 0;
}

static void look_at_options(struct finder *f, const struct conf_node *n)
{
    for (uint32_t i = 1; i < n->word_count; i++) {
        const struct conf_word *w = &n->words[i];
        if (!w->value_at || !option_is_secret(f, n, slice_head(w->text, w->value_at - 1)))
            continue;
        struct conf_word value = conf_word_value(w);
        hide_word(f, &value);
    }
}

static void look_at_words(struct finder *f, const struct conf_node *n)
{
    struct slice name = n->words[0].text;
    uint8_t from = n->row                          ? n->row->secret
                   : secret_by_name(f, name, true) ? 1
                                                   : secret_by_name(f, name, false);
    const struct conf_word *args = n->row ? n->args : n->words + 1;
    uint32_t count = n->row ? n->arg_count : n->word_count - 1;
    for (uint32_t i = from; from && i <= count; i++)
        hide_word(f, &args[i - 1]);
}

/* "Authorization: Bearer x" in one word, and the name alone with the value in the next. */
static bool names_credentials(struct slice s)
{
    static const struct slice names[] = {
        SLICE_INIT("authorization"), SLICE_INIT("proxy-authorization"), SLICE_INIT("x-api-key")};
    struct slice name = slice_head(s, slice_find(s, ':'));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

static bool is_constant(const struct conf_word *w)
{
    return w->quote == CONF_RAW || slice_find(w->text, '$') == w->text.len;
}

static void look_at_fields(struct finder *f, const struct conf_node *n)
{
    bool after = false;
    for (uint32_t i = 1; i < n->word_count; i++) {
        const struct conf_word *w = &n->words[i];
        bool name = names_credentials(w->text);
        bool whole = name && slice_find(w->text, ':') + 1 < w->text.len;
        if ((after || whole) && is_constant(w))
            hide_word(f, w);
        after |= name;
    }
}

static void look_at(struct finder *f, const struct conf_node *block)
{
    CONF_NODE_EACH(n, block)
    {
        look_at_words(f, n);
        look_at_options(f, n);
        look_at_fields(f, n);
        look_at(f, n);
    }
}

/* ---- where they stand ---- */

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->file != y->file)
        return (uintptr_t)x->file < (uintptr_t)y->file ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->col < y->col ? -1 : x->col > y->col;
}

/* One walk over the file finds where the lines of all places begin. */
static void hide_places(struct conf_tree *t, struct conf_file *file, const struct place *p,
                        size_t count)
{
    size_t start = 0;
    uint32_t line = 1;
    file->hidden = conf_alloc(t->arena, count * sizeof(*file->hidden));
    for (size_t i = 0; i < count; i++) {
        for (; line < p[i].line && start < file->text.len; line++)
            start += slice_find(slice_from(file->text, start), '\n') + 1;
        uint32_t from = (uint32_t)start + p[i].col - 1;
        file->hidden[file->hidden_count++] = (struct conf_hidden){from, from + p[i].len};
    }
}

static void hide_all(const struct finder *f)
{
    if (f->count)
        qsort(f->places, f->count, sizeof(*f->places), by_place);
    for (size_t i = 0; i < f->tree->file_count; i++) {
        struct conf_file *file = f->tree->files[i];
        size_t first = 0, last;
        while (first < f->count && f->places[first].file != file)
            first++;
        for (last = first; last < f->count && f->places[last].file == file;)
            last++;
        if (last > first)
            hide_places(f->tree, file, &f->places[first], last - first);
    }
}

/* Those of many are pages of few files. */
static void keep_out_of_cores(const struct conf_tree *t)
{
    uint32_t left = CORE_PLACES_MAX;
    for (const struct conf_secret *s = t->secrets; s && left > 0; s = s->next, left--)
        mem_keep_out_of_cores(s->text.at, s->text.len);
    for (uint32_t i = 0; i < t->file_count; i++) {
        const struct conf_file *f = t->files[i];
        if (f->hidden_count)
            mem_keep_out_of_cores(f->text.at, f->text.len);
    }
}

void conf_secrets_find(const struct conf_schema *s, struct conf_tree *t)
{
    struct finder f = {.schema = s, .tree = t};
    look_at(&f, &t->root);
    hide_all(&f);
    keep_out_of_cores(t);
    free(f.places);
}

/* ---- texts without them ---- */

/* How much of `s`, from its front on, is a secret: whole, or cut off by the end of the text. */
static size_t secret_at(struct slice s, const struct conf_secret *list)
{
    size_t most = 0;
    for (; list; list = list->next) {
        size_t len = list->text.len < s.len ? list->text.len : s.len;
        if (len >= CONF_SECRET_MIN_BYTES && len > most && memcmp(s.at, list->text.at, len) == 0)
            most = len;
    }
    return most;
}

void conf_secrets_write(struct text *out, struct slice s, const struct conf_secret *list)
{
    while (s.len) {
        size_t hidden = list ? secret_at(s, list) : 0;
        size_t plain = !list ? s.len : !hidden;
        text_add(out, hidden ? stars : slice_head(s, plain));
        s = slice_from(s, hidden + plain);
    }
}

void conf_file_write(struct text *out, const struct conf_file *f, size_t from, size_t to)
{
    if (to > f->text.len)
        to = f->text.len;
    for (uint32_t i = 0; i < f->hidden_count && from < to; i++) {
        const struct conf_hidden *h = &f->hidden[i];
        if (h->to <= from || h->from >= to)
            continue;
        if (h->from > from)
            text_add(out, (struct slice){f->text.at + from, h->from - from});
        text_add(out, stars);
        from = h->to;
    }
    if (from < to)
        text_add(out, (struct slice){f->text.at + from, to - from});
}
