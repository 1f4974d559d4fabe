/* h1_parse_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/h1_parse. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1_parse_fuzz_priv.h"
#include "tests/unit.h"
#include <glob.h>
#include <stdio.h>

static size_t load(const char *path, char *bytes, size_t cap)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, cap, f);
    fclose(f);
    return len;
}

/* Each file whole, each of its beginnings, and with each of its bytes replaced by a nasty one. */
static void replay(const char *path)
{
    static const char nasty[] = {'\r', '\n', 0, ' ', ':', (char)0xff};
    char bytes[8192];
    size_t len = load(path, bytes, sizeof bytes);
    for (size_t n = 0; n <= len; n++)
        fuzz_h1(bytes, n);
    for (size_t i = 1; i < len && len < 1024; i++) {
        char kept = bytes[i];
        for (size_t k = 0; k < sizeof nasty; k++) {
            bytes[i] = nasty[k];
            fuzz_h1(bytes, len);
        }
        bytes[i] = kept;
    }
}

static void corpus_holds(void **state)
{
    (void)state;
    glob_t g = {0};
    assert_int_equal(glob("tests/corpus/h1_parse/*", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 60);
    for (size_t i = 0; i < g.gl_pathc; i++)
        replay(g.gl_pathv[i]);
    globfree(&g);
}

UNIT_SUITE(h1_h1_parse_fuzz, cmocka_unit_test(corpus_holds));
