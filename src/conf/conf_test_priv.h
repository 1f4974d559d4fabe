/* conf_test_priv.h - what the tests of this folder share: files from a table, errors as lines. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "conf/conf_sample_priv.h"
#include "conf/read_priv.h"
#include "tests/unit.h"
#include <stdlib.h>

struct test_file {
    const char *path, *text; /* a NULL path ends the table; "$NAME" is a variable */
};

static inline const char *test_load(const struct conf_source *s, const char *path, size_t max_bytes,
                                    struct text *out)
{
    (void)max_bytes;
    for (const struct test_file *f = s->ctx; f && f->path; f++) {
        if (strcmp(f->path, path) == 0) {
            text_add(out, slice_of(f->text));
            return NULL;
        }
    }
    return "No such file or directory";
}

/* Patterns of one '*' at the end. */
static inline void test_glob(const struct conf_source *s, const char *pattern,
                             void (*found)(void *ctx, const char *path), void *ctx)
{
    size_t fixed = strcspn(pattern, "*");
    for (const struct test_file *f = s->ctx; f && f->path; f++) {
        if (strncmp(f->path, pattern, fixed) == 0)
            found(ctx, f->path);
    }
}

static inline const char *test_env(const struct conf_source *s, const char *name)
{
    for (const struct test_file *f = s->ctx; f && f->path; f++) {
        if (f->path[0] == '$' && strcmp(f->path + 1, name) == 0)
            return f->text;
    }
    return NULL;
}

struct test_conf {
    struct arena arena;
    struct diag diag;
    struct conf_tree *tree;
};

static inline void test_read(struct test_conf *t, const struct test_file *files, const char *text)
{
    struct conf_source source = {test_load, test_glob, test_env, (void *)(uintptr_t)files};
    arena_init(&t->arena, 64 << 20);
    diag_init(&t->diag);
    t->tree = conf_read_from(&source, &t->arena, &t->diag, "t.conf", slice_of(text));
}

static inline void test_release(struct test_conf *t)
{
    diag_release(&t->diag);
    arena_release(&t->arena);
}

/* One line per error: "3:5 text (hint)", with the file's name when it is not t.conf. */
static inline void test_errors(const struct diag *d, struct text *out)
{
    for (uint32_t i = 0; i < d->count; i++) {
        const struct diag_entry *e = &d->entries[i];
        if (i)
            text_add(out, SLICE("\n"));
        if (e->pos.file && strcmp(e->pos.file->path, "t.conf") != 0)
            text_addf(out, "%s:", e->pos.file->path);
        text_addf(out, "%u:%u %.*s", e->pos.line, e->pos.col, SLICE_ARG(e->text));
        if (e->hint.len)
            text_addf(out, " (%.*s)", SLICE_ARG(e->hint));
    }
}

/* Fails with the input when `got` is something else. */
static inline void test_same(const char *input, const struct text *got, const char *want)
{
    if (strcmp(got->at ? got->at : "", want) != 0)
        fail_msg("for:\n%s\ngot:\n%s\nwant:\n%s", input, got->at ? got->at : "", want);
}
