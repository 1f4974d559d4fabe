/* lex_priv.h - the text of a configuration file as tokens.
 *
 * A word's token carries its source bytes as they stand; subst.c turns them into the word's text.
 * So the formatter prints what was written and snippets are filled in from the source. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/tree.h"

enum conf_token_kind {
    TOKEN_WORD,
    TOKEN_OPEN,    /* { */
    TOKEN_CLOSE,   /* } */
    TOKEN_END,     /* end of line, or ; */
    TOKEN_COMMENT, /* from # to the end of its line */
    TOKEN_EOF,
};

struct conf_token {
    uint8_t kind;        /* enum conf_token_kind */
    uint8_t quote;       /* enum conf_quote of a word */
    uint8_t value_quote; /* see struct conf_word; value_at counts bytes of `raw` here */
    bool continued;      /* a "\" at the end of a line stands before it */
    bool first;          /* the first on its line */
    uint32_t value_at;
    uint32_t indent; /* columns before the first token of its line */
    uint32_t end_line;
    struct slice raw; /* source bytes, quotes included; with ; and \n for TOKEN_END */
    struct conf_pos pos;
};

struct conf_lexer {
    const struct conf_file *file;
    struct diag *diag;
    size_t at, line_start;
    uint32_t line, indent;
    bool fresh_line; /* no token of this line yet */
    bool broken;     /* a quote was left open: the rest of its line is lost */
};

void conf_lex_init(struct conf_lexer *l, const struct conf_file *file, struct diag *d);
struct conf_token conf_lex_next(struct conf_lexer *l);
