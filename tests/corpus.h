/* corpus.h - the files of a fuzzer's corpus, for the unit test that replays it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/unit.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

/* What a replay says of one file is summed up: how many of its parts were good. The bytes end where
 * their memory does, and may be changed. */
typedef size_t corpus_file(char *bytes, size_t len);

static inline size_t corpus_replay_file(const char *path, corpus_file *replay)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t len = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, len, f), len);
    fclose(f);
    size_t good = replay(bytes, len);
    free(bytes);
    return good;
}

/* Every file that matches, of which there are `files_min` at least. */
static inline size_t corpus_replay(const char *pattern, size_t files_min, corpus_file *replay)
{
    size_t good = 0;
    glob_t g = {0};
    assert_int_equal(glob(pattern, 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= files_min);
    for (size_t i = 0; i < g.gl_pathc; i++)
        good += corpus_replay_file(g.gl_pathv[i], replay);
    globfree(&g);
    return good;
}
