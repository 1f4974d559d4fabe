/* tree.h - a configuration as blocks of words: read, with includes, snippets and static variables
 * put in, before any meaning is given to it. The grammar stands in README.md.
 *
 * Owner: the arena given to conf_read(); everything lives and dies with it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/diag.h"

struct directive;

enum conf_quote { CONF_BARE, CONF_QUOTED, CONF_RAW };

struct conf_word {
    struct slice text; /* escapes, ${env.X}, ${file:X} and snippet parameters are resolved */
    struct conf_pos pos;
    uint8_t quote;               /* enum conf_quote; in CONF_RAW a '$' is just a '$' */
    uint8_t value_quote;         /* of the part after '=' in a bare KEY=VALUE */
    uint32_t value_at;           /* byte of `text` where that part starts; 0: not of that form */
    uint32_t source_bytes;       /* how long it is in its file, quotes included */
    struct conf_filler *fillers; /* arguments of a snippet that were put into it */
};

struct conf_filler {
    struct conf_filler *next;
    const struct conf_word *word;
};

struct conf_option {
    const struct directive *row;
    struct conf_word value; /* of a mark: the word itself */
};

struct conf_node {
    struct conf_node *next, *parent, *children, *last_child;
    struct conf_word *words; /* words[0] is the directive's name */
    uint32_t word_count;
    bool has_block;
    bool unclosed; /* its '}' is missing: what stands in it is unknown, so not checked */
    struct conf_pos pos, block_pos;
    /* filled in by conf_check() */
    const struct directive *row;
    struct conf_word *args; /* positional words after the name */
    uint32_t arg_count;
    struct conf_option *options; /* key=value words, marks, and those written in the block */
    uint32_t option_count;
};

struct conf_tree {
    struct arena *arena;   /* the one given to conf_read() */
    struct conf_node root; /* children: the top level */
    struct conf_file **files;
    uint32_t file_count;
    bool broken;                 /* braces or quotes do not match: nothing is checked */
    struct conf_secret *secrets; /* values that nobody may see (secrets.h) */
};

#define CONF_NODE_EACH(it, parent_node) \
    for (struct conf_node *it = (parent_node)->children; it; it = it->next)

/* Reads a file (NULL text) or a text under a name. Includes are relative to the including file,
 * globs are sorted, a glob that matches nothing is fine, a plain file that is missing is an error,
 * depth is limited to 16. Errors go to `d`; the tree is usable for more checks even then. */
struct conf_tree *conf_read(struct arena *a, struct diag *d, const char *path, struct slice text);

/* `weir fmt`: the text of one file in canonical layout, comments kept. False with errors in `d`. */
bool conf_format(struct slice text, const char *path, struct diag *d, struct text *out);
