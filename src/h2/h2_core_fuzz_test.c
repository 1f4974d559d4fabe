/* h2_core_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/h2_core. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_core_fuzz_priv.h"
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

/* Each file whole, some of its beginnings, and with bytes replaced by nasty ones. */
static void replay(const char *path)
{
    static const char nasty[] = {0, 1, 4, 9, (char)0x80, (char)0xff};
    static char bytes[32768];
    size_t len = load(path, bytes, sizeof bytes);
    size_t stride = len / 40 + 1;
    for (size_t n = 0; n < len; n += stride)
        fuzz_h2(bytes, n);
    fuzz_h2(bytes, len);
    for (size_t i = 1; i < len; i += stride) {
        char kept = bytes[i];
        bytes[i] = nasty[i / stride % sizeof nasty];
        fuzz_h2(bytes, len);
        bytes[i] = kept;
    }
}

static void corpus_holds(void **state)
{
    (void)state;
    glob_t g = {0};
    assert_int_equal(glob("tests/corpus/h2_core/*", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 15);
    for (size_t i = 0; i < g.gl_pathc; i++)
        replay(g.gl_pathv[i]);
    globfree(&g);
}

UNIT_SUITE(h2_h2_core_fuzz, cmocka_unit_test(corpus_holds));
