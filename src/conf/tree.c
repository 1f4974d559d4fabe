/* tree.c - tokens into blocks of directives.
 *
 * The parser is a loop over tokens with a stack of open blocks. Indentation has no meaning, but it
 * is watched: when a brace turns out to be missing, the first line that is indented unlike its
 * block says where, which is rarely where the file ends. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "conf/conf_mem_priv.h"
#include "conf/lex_priv.h"
#include "conf/read_priv.h"
#include <stdlib.h>

struct open_block {
    struct conf_node *node;
    uint32_t indent;      /* of the line with the directive's name */
    bool children_deeper; /* its first child is indented more than itself */
};

struct parser {
    struct conf_lexer lexer;
    struct arena *arena;
    struct diag *diag;
    struct conf_node *root;
    struct open_block open[CONF_DEPTH_MAX];
    uint32_t depth;
    struct conf_word *words; /* of the directive at hand */
    size_t word_count, word_cap;
    uint32_t indent; /* of the directive at hand */
    bool end_due;    /* after '}' */
    bool broken;
    struct conf_node *suspect;   /* the first block that by its indentation lacks its '}' */
    uint32_t suspect_line;       /* before which it is probably missing */
    struct conf_pos early_close; /* the first '}' that by its indentation has no block */
};

void conf_node_append(struct conf_node *parent, struct conf_node *n)
{
    n->parent = parent;
    n->next = NULL;
    if (parent->last_child)
        parent->last_child->next = n;
    else
        parent->children = n;
    parent->last_child = n;
}

static void words_push(struct parser *p, const struct conf_token *t)
{
    if (p->word_count == p->word_cap) {
        p->word_cap = p->word_cap ? 2 * p->word_cap : 16;
        p->words = mem_grow(p->words, p->word_cap * sizeof(*p->words));
    }
    p->words[p->word_count++] = (struct conf_word){.text = t->raw,
                                                   .pos = t->pos,
                                                   .quote = t->quote,
                                                   .value_quote = t->value_quote,
                                                   .value_at = t->value_at,
                                                   .source_bytes = (uint32_t)t->raw.len};
}

static struct open_block *innermost(struct parser *p)
{
    return p->depth ? &p->open[p->depth - 1] : NULL;
}

/* A line that begins no deeper than the block it is in: was the block meant to end before? */
static void watch_indent(struct parser *p, const struct conf_token *t)
{
    struct open_block *b = innermost(p);
    if (!b || !t->first || t->pos.file != b->node->pos.file)
        return;
    if (!b->node->children)
        b->children_deeper = t->indent > b->indent;
    if (b->children_deeper && t->indent <= b->indent && !p->suspect) {
        p->suspect = b->node;
        p->suspect_line = t->pos.line;
    }
}

static void take_word(struct parser *p, const struct conf_token *t)
{
    if (p->end_due) {
        diag_error(p->diag, t->pos, "a new line or ';' is due after '}'");
        p->end_due = false;
    }
    if (p->word_count == 0) {
        watch_indent(p, t);
        p->indent = t->indent;
    }
    words_push(p, t);
}

static struct conf_node *finish_directive(struct parser *p)
{
    p->end_due = false;
    if (p->word_count == 0)
        return NULL;
    struct conf_node *n = conf_alloc(p->arena, sizeof(*n));
    n->words = conf_alloc(p->arena, p->word_count * sizeof(*n->words));
    memcpy(n->words, p->words, p->word_count * sizeof(*n->words));
    n->word_count = (uint32_t)p->word_count;
    n->pos = n->words[0].pos;
    p->word_count = 0;
    conf_node_append(p->depth ? innermost(p)->node : p->root, n);
    return n;
}

static void give_up(struct parser *p)
{
    p->broken = true;
    p->lexer.at = p->lexer.file->text.len;
}

static void open_block(struct parser *p, const struct conf_token *t)
{
    struct conf_node *n = finish_directive(p);
    if (!n) {
        diag_error(p->diag, t->pos, "a block without a directive");
        diag_hint(p->diag, "a block's '{' stands on the line of its directive");
        give_up(p);
        return;
    }
    n->has_block = true;
    n->block_pos = t->pos;
    if (p->depth == CONF_DEPTH_MAX) {
        diag_error(p->diag, t->pos, "blocks are nested deeper than %d", CONF_DEPTH_MAX);
        give_up(p);
        return;
    }
    p->open[p->depth++] = (struct open_block){.node = n, .indent = p->indent};
}

static void refuse_stray_close(struct parser *p, const struct conf_token *t)
{
    diag_error(p->diag, t->pos, "this '}' closes nothing");
    if (p->early_close.line)
        diag_hint(p->diag, "by the indentation the '}' in line %u is the one too many",
                  p->early_close.line);
    else
        diag_hint(p->diag, "no block is open here");
    p->broken = true;
}

static void close_block(struct parser *p, const struct conf_token *t)
{
    finish_directive(p);
    struct open_block *b = innermost(p);
    if (!b) {
        refuse_stray_close(p, t);
        return;
    }
    if (t->first && t->indent < b->indent && !p->suspect) {
        p->suspect = b->node;
        p->suspect_line = t->pos.line;
    }
    if (t->first && t->indent == b->indent && p->suspect == b->node)
        p->suspect = NULL; /* it has its '}' after all: a line was just indented badly */
    if (t->first && t->indent > b->indent && !p->early_close.line)
        p->early_close = t->pos;
    p->depth--;
    p->end_due = true;
}

static void take_token(struct parser *p, const struct conf_token *t)
{
    switch (t->kind) {
    case TOKEN_WORD: take_word(p, t); break;
    case TOKEN_OPEN: open_block(p, t); break;
    case TOKEN_CLOSE: close_block(p, t); break;
    case TOKEN_END: finish_directive(p); break;
    default: break;
    }
}

static void refuse_unclosed(struct parser *p)
{
    const struct conf_node *n = p->suspect ? p->suspect : innermost(p)->node;
    diag_error(p->diag, n->block_pos, "this '{' is not closed");
    if (p->suspect)
        diag_hint(p->diag, "by the indentation its '}' is missing before line %u", p->suspect_line);
    else
        diag_hint(p->diag, "the file ends before its '}'");
    p->open[0].node->unclosed = true; /* what stands before it, and around an include, is sound */
}

bool conf_parse(struct arena *a, struct diag *d, const struct conf_file *file,
                struct conf_node *root)
{
    struct parser p = {.arena = a, .diag = d, .root = root};
    conf_lex_init(&p.lexer, file, d);
    for (;;) {
        struct conf_token t = conf_lex_next(&p.lexer);
        if (t.kind == TOKEN_EOF)
            break;
        take_token(&p, &t);
    }
    finish_directive(&p);
    if (p.depth && !p.broken)
        refuse_unclosed(&p);
    free(p.words);
    return !p.broken && !p.lexer.broken;
}
