/* diag.h - configuration errors: file:line:col, the line with a caret, what was expected, a hint.
 *
 * Up to DIAG_MAX are collected; the rest is counted. Nothing is applied when there is any. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/slice.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

enum { DIAG_MAX = 20 };

struct conf_secret;
struct conf_hidden;

/* A file that was read: its text stays for carets, /config and explain. */
struct conf_file {
    const char *path; /* as given; "(demo)", "(command line)" for embedded ones */
    struct slice text;
    struct conf_hidden *hidden; /* what of it nobody may see, in order (secrets.h) */
    uint32_t hidden_count;
};

struct conf_pos {
    const struct conf_file *file; /* NULL: no place, e.g. an option of the command line */
    uint32_t line, col;           /* from 1; col counts bytes */
    uint32_t len;                 /* bytes to underline; 0: just a caret */
    const struct conf_pos *used;  /* in a snippet: the `use` that put it here; else NULL */
};

struct diag_entry {
    struct conf_pos pos;
    struct slice text, hint; /* hint may be empty */
    bool warning;
};

struct diag {
    struct arena arena; /* owns texts */
    struct diag_entry entries[DIAG_MAX];
    uint32_t count, error_count;        /* error_count counts those that did not fit too */
    bool last_dropped;                  /* the one added last did not fit: its hint goes nowhere */
    struct conf_secret *const *secrets; /* of the tree that it is about: not shown; NULL: none */
};

void diag_init(struct diag *d);
void diag_release(struct diag *d);
void diag_error(struct diag *d, struct conf_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void diag_warn(struct diag *d, struct conf_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void diag_hint(struct diag *d, const char *fmt, ...) /* to the entry that was added last */
    __attribute__((format(printf, 2, 3)));
/* Adds the hint "did you mean 'x'?" when a candidate is near enough. */
void diag_nearest(struct diag *d, struct slice word, const struct slice *candidates, size_t count);
/* Each entry as "file:line:col: error: text", the source line, a marker under it, the hint, and for
 * what came from a snippet where that was used. */
void diag_print(const struct diag *d, struct text *out, bool color);
bool diag_failed(const struct diag *d);
