/* hello_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/hello. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/hello_fuzz_priv.h"
#include <glob.h>
#include <stdio.h>

static enum hello_result replay(const char *path)
{
    char bytes[32768];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return hello_fuzz(bytes, len);
}

static void hello_corpus_holds(void **state)
{
    (void)state;
    size_t good = 0;
    glob_t g = {0};
    assert_int_equal(glob("tests/corpus/hello/*", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 20);
    for (size_t i = 0; i < g.gl_pathc; i++)
        good += replay(g.gl_pathv[i]) == HELLO_OK;
    globfree(&g);
    assert_true(good >= 12); /* those of real clients, and two spread over records */
}

UNIT_SUITE(tls_hello_fuzz, cmocka_unit_test(hello_corpus_holds));
