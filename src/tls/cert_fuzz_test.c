/* cert_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/cert. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/cert_fuzz_priv.h"
#include <glob.h>
#include <stdio.h>

static bool replay(const char *path)
{
    static uint8_t bytes[65536];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return cert_fuzz(bytes, len);
}

static void cert_corpus_holds(void **state)
{
    (void)state;
    size_t good = 0;
    glob_t g = {0};
    assert_int_equal(glob("tests/corpus/cert/*", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 15);
    for (size_t i = 0; i < g.gl_pathc; i++)
        good += replay(g.gl_pathv[i]);
    globfree(&g);
    assert_true(good >= 6); /* each kind of key, a chain, and as DER */
}

UNIT_SUITE(tls_cert_fuzz, cmocka_unit_test(cert_corpus_holds));
