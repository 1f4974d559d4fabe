/* read_priv.h - the steps of reading: a file into raw blocks, and raw words into words. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "conf/source.h"

enum {
    CONF_DEPTH_MAX = 64,                /* blocks in blocks, snippets unfolded */
    CONF_READ_DEPTH_MAX = 16,           /* files in files, snippets in snippets */
    CONF_FILE_MAX_BYTES = 64 << 20,     /* of one file */
    CONF_VALUE_MAX_BYTES = 64 << 10,    /* of what ${file:X} reads */
    CONF_UNFOLDED_NODES_MAX = 1 << 20,  /* directives that all uses of snippets make */
    CONF_UNFOLDED_BYTES_MAX = 64 << 20, /* of words with something filled in */
};

/* Blocks of one file, words raw: text is the source. False when braces or quotes do not match;
 * with nothing but a '}' missing the rest can be checked. */
bool conf_parse(struct arena *a, struct diag *d, const struct conf_file *file,
                struct conf_node *root);
void conf_node_append(struct conf_node *parent, struct conf_node *n);

/* What a snippet's parameters stand for while its body is unfolded. */
struct conf_params {
    const struct conf_word *names, *values;
    uint32_t count;
};

struct conf_subst {
    struct arena *arena;
    struct diag *diag;
    const struct conf_source *source;
    const struct conf_params *params; /* NULL outside of snippets */
    struct conf_secret **secrets;     /* values put in that are secret */
    size_t unfolded_bytes;            /* counted up; see CONF_UNFOLDED_BYTES_MAX */
    struct text scratch;
};

/* Turns a raw word into its text: quotes off, escapes, parameters, ${env.X} and ${file:X} put in.
 */
void conf_subst_word(struct conf_subst *s, struct conf_word *w);
