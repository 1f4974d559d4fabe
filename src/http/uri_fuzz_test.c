/* uri_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/uri. */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri_fuzz_priv.h"
#include "tests/unit.h"
#include <glob.h>
#include <stdio.h>

static void replay(const char *path)
{
    char bytes[4096];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    fuzz_uri(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    glob_t g = {0};
    assert_int_equal(glob("tests/corpus/uri/*", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 20);
    for (size_t i = 0; i < g.gl_pathc; i++)
        replay(g.gl_pathv[i]);
    globfree(&g);
}

static void every_single_byte_holds(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char path[] = {'/', 'a', '/', (char)c, '/', '.', '.'}, escaped[] = "/a/%00/../b";
        snprintf(escaped, sizeof escaped, "/a/%%%02x/.", (unsigned)c);
        fuzz_uri(path, sizeof path);
        fuzz_uri(escaped, strlen(escaped));
    }
}

UNIT_SUITE(http_uri_fuzz, cmocka_unit_test(corpus_holds),
           cmocka_unit_test(every_single_byte_holds));
