/* rows_priv.h - what check, build, docs and the row tests share about rows and their values. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

enum { CONF_WHERE_COUNT = 16, CONF_ARGS_ANY = 255 };

/* The blocks, in the order in which messages and the reference name them. */
struct conf_where_name {
    unsigned where;   /* one bit of enum conf_where */
    const char *word; /* the directive that opens it, or "top" */
    const char *text; /* for sentences: "in a site" */
};
extern const struct conf_where_name conf_where_names[CONF_WHERE_COUNT];

/* "at the top level, in a site or in a route" for a set of bits. */
void conf_where_write(struct text *out, unsigned where);

#define CONF_ROW_EACH(it, rows) for (const struct directive *it = (rows); it && it->name; it++)

/* How many positional words the row takes: the rule that 0, 0 stands for 1 in a typed row. */
uint32_t conf_args_min(const struct directive *row);
uint32_t conf_args_max(const struct directive *row); /* CONF_ARGS_ANY: any number */

struct conf_word conf_word_value(const struct conf_word *w); /* the part after KEY= */

const struct directive *conf_option_find(const struct directive *row, struct slice name);

/* The word as a value of the row, range checked; not for CONF_STRING and CONF_NONE. */
bool conf_value_parse(struct diag *d, const struct directive *row, const struct conf_word *w,
                      int64_t *out);
/* A value as a user would write it, in the largest unit that needs no fraction. */
void conf_value_write(struct text *out, enum conf_type type, int64_t value);
bool conf_has_range(const struct directive *row);
void conf_range_write(struct text *out, const struct directive *row); /* "1 to 65535 or off" */
const char *conf_type_name(enum conf_type type);                      /* "a time" */

/* conf_check() for directives that stand in a block of the kind `where`. */
void conf_check_block(const struct conf_schema *s, struct conf_tree *t, struct conf_node *block,
                      unsigned where, struct diag *d);
