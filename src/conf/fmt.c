/* fmt.c - the canonical layout of a configuration file: `weir fmt`.
 *
 * Works on tokens, so words and comments come out byte by byte as written and only the space
 * between them changes: four spaces a level, one directive a line, at most one blank line, none at
 * the edges of a block. A block that was written on one line stays there when it holds one simple
 * directive and fits; breaks of long directives by "\" stay where they are. What was formatted
 * once comes out the same. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "conf/lex_priv.h"
#include "conf/read_priv.h"
#include <stdlib.h>

enum { FMT_INDENT = 4, FMT_WIDTH = 100 };

struct tokens {
    struct conf_token *at;
    size_t count, cap;
};

struct formatter {
    struct text *out;
    size_t line_start; /* of the line being written, in out */
    uint32_t depth;
    uint32_t last_line; /* where the token that was written last ends in the source */
    bool empty;         /* nothing is written yet */
    bool after_open;    /* a '{' was written last */
    bool in_directive;
};

static void tokens_read(struct tokens *tokens, const struct conf_file *f, struct diag *d)
{
    struct conf_lexer l;
    conf_lex_init(&l, f, d);
    do {
        if (tokens->count == tokens->cap) {
            tokens->cap = tokens->cap ? 2 * tokens->cap : 64;
            tokens->at = mem_grow(tokens->at, tokens->cap * sizeof(*tokens->at));
        }
        tokens->at[tokens->count++] = conf_lex_next(&l);
    } while (tokens->at[tokens->count - 1].kind != TOKEN_EOF);
}

static void write_indent(struct formatter *f, uint32_t columns)
{
    f->line_start = f->out->len;
    for (uint32_t i = 0; i < columns; i++)
        text_add(f->out, SLICE(" "));
}

/* Ends the line before, keeps one blank line where the source has any, and indents. */
static void start_line(struct formatter *f, const struct conf_token *t)
{
    if (!f->empty)
        text_add(f->out, SLICE("\n"));
    bool blank = t->pos.line > f->last_line + 1 && t->kind != TOKEN_CLOSE;
    if (blank && !f->empty && !f->after_open)
        text_add(f->out, SLICE("\n"));
    write_indent(f, f->depth * FMT_INDENT);
}

static void wrote(struct formatter *f, const struct conf_token *t)
{
    f->last_line = t->end_line;
    f->empty = false;
    f->after_open = t->kind == TOKEN_OPEN;
}

static void write_word(struct formatter *f, const struct conf_token *t)
{
    if (!f->in_directive) {
        start_line(f, t);
    } else if (t->continued) {
        text_add(f->out, SLICE(" \\\n"));
        write_indent(f, (f->depth + 1) * FMT_INDENT);
    } else {
        text_add(f->out, SLICE(" "));
    }
    text_add(f->out, t->raw);
    f->in_directive = true;
    wrote(f, t);
}

static void write_comment(struct formatter *f, const struct conf_token *t)
{
    bool beside = f->in_directive || (!f->empty && t->pos.line == f->last_line);
    if (beside)
        text_add(f->out, SLICE(" "));
    else
        start_line(f, t);
    text_add(f->out, t->raw);
    wrote(f, t);
    f->after_open = false;
}

static const struct conf_token *skip_ends(const struct conf_token *t)
{
    while (t->kind == TOKEN_END)
        t++;
    return t;
}

/* The '}' of a block that may stand on one line with its '{', or NULL. */
static const struct conf_token *short_block_end(const struct formatter *f,
                                                const struct conf_token *open)
{
    const struct conf_token *t = skip_ends(open + 1);
    size_t width = f->out->len - f->line_start + strlen(" { }");
    if (t->kind == TOKEN_CLOSE)
        return t;
    for (; t->kind == TOKEN_WORD; t++)
        width += t->raw.len + 1;
    t = skip_ends(t);
    bool fits = width <= FMT_WIDTH && t->kind == TOKEN_CLOSE && t->pos.line == open->pos.line;
    return fits ? t : NULL;
}

static void write_short_block(struct formatter *f, const struct conf_token *open,
                              const struct conf_token *close)
{
    text_add(f->out, SLICE(" {"));
    for (const struct conf_token *t = open + 1; t < close; t++) {
        if (t->kind == TOKEN_WORD) {
            text_add(f->out, SLICE(" "));
            text_add(f->out, t->raw);
        }
    }
    text_add(f->out, SLICE(" }"));
    f->in_directive = false;
    wrote(f, close);
}

/* Returns the last token that it used. */
static const struct conf_token *write_open(struct formatter *f, const struct conf_token *t)
{
    const struct conf_token *close = short_block_end(f, t);
    if (close) {
        write_short_block(f, t, close);
        return close;
    }
    text_add(f->out, SLICE(" {"));
    f->depth++;
    f->in_directive = false;
    wrote(f, t);
    return t;
}

static void write_close(struct formatter *f, const struct conf_token *t)
{
    f->depth--;
    start_line(f, t);
    text_add(f->out, SLICE("}"));
    f->in_directive = false;
    wrote(f, t);
}

static void write_tokens(const struct tokens *tokens, struct text *out)
{
    struct formatter f = {.out = out, .line_start = out->len, .empty = true};
    for (const struct conf_token *t = tokens->at; t->kind != TOKEN_EOF; t++) {
        switch (t->kind) {
        case TOKEN_WORD: write_word(&f, t); break;
        case TOKEN_COMMENT: write_comment(&f, t); break;
        case TOKEN_OPEN: t = write_open(&f, t); break;
        case TOKEN_CLOSE: write_close(&f, t); break;
        default: f.in_directive = false; break;
        }
    }
    if (!f.empty)
        text_add(out, SLICE("\n"));
}

/* Errors of structure, by the parser itself. */
static bool is_well_formed(const struct conf_file *f, struct diag *d)
{
    struct arena arena;
    struct conf_node root = {0};
    uint32_t before = d->error_count;
    arena_init(&arena, SIZE_MAX / 2);
    conf_parse(&arena, d, f, &root);
    arena_release(&arena);
    return d->error_count == before;
}

bool conf_format(struct slice text, const char *path, struct diag *d, struct text *out)
{
    /* Errors outlive this call and point to their file: both live with the errors. */
    struct conf_file *f = arena_alloc(&d->arena, sizeof(*f));
    struct conf_file fallback = {.path = path, .text = text};
    if (!f)
        f = &fallback;
    *f = fallback;
    if (!is_well_formed(f, d))
        return false;
    struct tokens tokens = {0};
    tokens_read(&tokens, f, d);
    write_tokens(&tokens, out);
    free(tokens.at);
    return true;
}
