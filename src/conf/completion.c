/* completion.c - every word of the language, for shells and editors: sorted, each once, options
 * with the '=' that follows them. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "conf/rows_priv.h"
#include <stdlib.h>

struct words {
    char **at;
    size_t count, cap;
};

static void words_add(struct words *w, const char *word, const char *tail)
{
    struct text t;
    if (w->count == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 128;
        w->at = mem_grow(w->at, w->cap * sizeof(*w->at));
    }
    text_init(&t);
    text_addf(&t, "%s%s", word, tail);
    w->at[w->count++] = t.at;
}

static void words_add_row(struct words *w, const struct directive *row)
{
    words_add(w, row->name, "");
    for (const struct conf_choice *c = row->choices; c && c->word; c++)
        words_add(w, c->word, "");
    CONF_ROW_EACH(option, row->options)
    words_add(w, option->name, option->type == CONF_MARK ? "" : "=");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void conf_write_completion(const struct conf_schema *s, struct text *out)
{
    struct words w = {0};
    for (size_t i = 0; i < s->count; i++) {
        CONF_ROW_EACH(row, s->tables[i].rows)
        words_add_row(&w, row);
    }
    if (w.count)
        qsort(w.at, w.count, sizeof(*w.at), by_text);
    for (size_t i = 0; i < w.count; i++) {
        if (i == 0 || strcmp(w.at[i], w.at[i - 1]) != 0)
            text_addf(out, "%s\n", w.at[i]);
    }
    for (size_t i = 0; i < w.count; i++)
        free(w.at[i]);
    free(w.at);
}
