/* rows.c - the rows of the words that the reader itself carries out, and small questions to rows.
 */
// SPDX-License-Identifier: Apache-2.0
#include "conf/rows_priv.h"

enum {
    IN_ANY = IN_TOP | IN_POLICY | IN_SERVERS | IN_TEST | IN_LISTEN | IN_CHECK | IN_FASTCGI |
             IN_CACHE | IN_AUTH | IN_RELAY | IN_ADMIN | IN_AUTH_BASIC | IN_AUTH_FORWARD
};

const struct directive conf_core_rows[] = {
    {
        .name = "include",
        .where = IN_ANY,
        .repeat = true,
        .args_min = 1,
        .args_max = 1,
        .usage = "FILE",
        .text = "Puts the directives of other files here. FILE may be a pattern with `*`, `?` and "
                "`[...]`: its files are read in sorted order, and it may match none. A plain name "
                "must exist. Relative names start in the folder of the file with the `include`.",
        .example = "include conf.d/*.conf",
    },
    {
        .name = "define",
        .where = IN_TOP,
        .repeat = true,
        .block_due = true,
        .args_min = 1,
        .args_max = 255,
        .opens = IN_ANY,
        .usage = "NAME [PARAM...] { ... }",
        .text = "Names a few directives, to be put in by `use` further down. In the block "
                "`${PARAM}` stands for what `use` gives, inside of words and of \"...\" too, but "
                "not in '...'. A parameter hides the variable of the same name.",
        .example = "define private NET { allow ${NET} }",
    },
    {
        .name = "use",
        .where = IN_ANY,
        .repeat = true,
        .args_min = 1,
        .args_max = 255,
        .usage = "NAME [VALUE...]",
        .text = "Puts the directives of a snippet here that `define` named further up, with a "
                "value for each of its parameters. Snippets may use others, but not themselves.",
        .example = "define nothing { }\nuse nothing",
    },
    {0},
};

const struct conf_where_name conf_where_names[CONF_WHERE_COUNT] = {
    {IN_TOP, "top", "at the top level"},
    {IN_SITE, "site", "in a site"},
    {IN_ROUTE, "route", "in a route"},
    {IN_WHEN, "when", "in a when"},
    {IN_UPSTREAM, "upstream", "in an upstream"},
    {IN_PROXY, "proxy", "in the block of a proxy"},
    {IN_LISTEN, "listen", "in the block of a listen"},
    {IN_TEST, "test", "in a test"},
    {IN_CHECK, "check", "in a check"},
    {IN_FASTCGI, "fastcgi", "in the block of a fastcgi"},
    {IN_CACHE, "cache", "in the block of a cache"},
    {IN_AUTH, "auth", "in an auth"},
    {IN_RELAY, "relay", "in the block of a relay"},
    {IN_ADMIN, "admin", "in the block of an admin"},
    {IN_AUTH_BASIC, "auth basic", "in the block of an auth basic"},
    {IN_AUTH_FORWARD, "auth forward", "in the block of an auth forward"},
};

static int bits_of(unsigned where)
{
    return __builtin_popcount(where & ~(unsigned)IN_OPTIONS);
}

void conf_where_write(struct text *out, unsigned where)
{
    int left = bits_of(where), total = left;
    for (int i = 0; i < CONF_WHERE_COUNT; i++) {
        if (!(where & conf_where_names[i].where))
            continue;
        text_addf(out, "%s%s",
                  left == total ? ""
                  : left == 1   ? " or "
                                : ", ",
                  conf_where_names[i].text);
        left--;
    }
}

uint32_t conf_args_min(const struct directive *row)
{
    bool one = row->type != CONF_NONE && row->type != CONF_MARK && row->args_max == 0;
    return one ? 1 : row->args_min;
}

uint32_t conf_args_max(const struct directive *row)
{
    return row->args_max == 0 ? conf_args_min(row) : row->args_max;
}

struct conf_word conf_word_value(const struct conf_word *w)
{
    struct conf_word v = {.text = slice_from(w->text, w->value_at),
                          .pos = w->pos,
                          .quote = w->value_quote,
                          .source_bytes = w->source_bytes,
                          .fillers = w->fillers};
    v.pos.col += w->value_at;
    v.pos.len -= w->value_at < v.pos.len ? w->value_at : v.pos.len;
    v.source_bytes -= w->value_at < v.source_bytes ? w->value_at : v.source_bytes;
    return v;
}

const struct directive *conf_option_find(const struct directive *row, struct slice name)
{
    CONF_ROW_EACH(option, row->options)
    {
        if (slice_eq(name, slice_of(option->name)))
            return option;
    }
    return NULL;
}

const struct directive *conf_row_find(const struct conf_schema *s, unsigned where,
                                      struct slice name)
{
    for (size_t i = 0; i < s->count; i++) {
        CONF_ROW_EACH(row, s->tables[i].rows)
        {
            if ((row->where & where) && slice_eq(name, slice_of(row->name)))
                return row;
        }
    }
    return NULL;
}
