/* conf_fuzz_priv.h - what holds for every text that is read as a configuration; run by the fuzzer
 * on made-up texts and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "conf/conf_sample_priv.h"
#include "conf/read_priv.h"

/* Reading, checking and building end without a crash; what was accepted builds without errors. */
static inline void fuzz_read(struct slice text)
{
    struct arena arena;
    struct diag d;
    struct text shown;
    struct test_site site = {0};
    arena_init(&arena, (size_t)1 << 30);
    diag_init(&d);
    text_init(&shown);
    struct conf_tree *t = conf_read_from(&conf_source_nothing, &arena, &d, "fuzz.conf", text);
    conf_check(&test_schema, t, &d);
    ASSERT(!t->broken || diag_failed(&d));
    if (!diag_failed(&d)) {
        struct conf_build b = {.arena = &arena, .diag = &d, .schema = &test_schema};
        conf_defaults(test_rows, IN_TOP, &site);
        conf_apply_block(&b, &site, &t->root);
        ASSERT(!diag_failed(&d));
    }
    diag_print(&d, &shown, true);
    text_release(&shown);
    diag_release(&d);
    arena_release(&arena);
}

/* The blocks of a text, words as they stand in the source. */
static inline void fuzz_dump(struct slice text, struct text *out)
{
    struct arena arena;
    struct diag d;
    struct conf_node root = {0};
    struct conf_file file = {.path = "fuzz.conf", .text = text};
    arena_init(&arena, (size_t)1 << 30);
    diag_init(&d);
    conf_parse(&arena, &d, &file, &root);
    ASSERT(!diag_failed(&d));
    test_dump(&root, out);
    diag_release(&d);
    arena_release(&arena);
}

/* Formatting keeps the tree, and doing it twice changes nothing. */
static inline void fuzz_format(struct slice text)
{
    struct diag d;
    struct text once, twice, before, after;
    diag_init(&d);
    text_init(&once);
    text_init(&twice);
    text_init(&before);
    text_init(&after);
    if (conf_format(text, "fuzz.conf", &d, &once)) {
        ASSERT(conf_format(text_slice(&once), "fuzz.conf", &d, &twice));
        ASSERT(slice_eq(text_slice(&once), text_slice(&twice)));
        fuzz_dump(text, &before);
        fuzz_dump(text_slice(&once), &after);
        ASSERT(slice_eq(text_slice(&before), text_slice(&after)));
    } else {
        ASSERT(diag_failed(&d));
    }
    text_release(&once);
    text_release(&twice);
    text_release(&before);
    text_release(&after);
    diag_release(&d);
}

static inline void fuzz_conf(const void *at, size_t len)
{
    /* A slice with a NULL .at would mean "read the file". */
    struct slice text = {len ? at : "", len};
    fuzz_read(text);
    fuzz_format(text);
}
