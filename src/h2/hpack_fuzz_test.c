/* hpack_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/hpack. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack_fuzz_priv.h"
#include "tests/unit.h"
#include <glob.h>
#include <stdio.h>

static size_t replay(const char *path)
{
    char bytes[65536];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return hpack_fuzz(bytes, len);
}

static void hpack_corpus_holds(void **state)
{
    (void)state;
    size_t good = 0;
    glob_t g = {0};
    assert_int_equal(glob("tests/corpus/hpack/*", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 20);
    for (size_t i = 0; i < g.gl_pathc; i++)
        good += replay(g.gl_pathv[i]);
    globfree(&g);
    assert_true(good >= 100); /* blocks */
}

UNIT_SUITE(h2_hpack_fuzz, cmocka_unit_test(hpack_corpus_holds));
