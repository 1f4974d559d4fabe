/* ocsp_http_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/ocsp_http.
 */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/ocsp_http_fuzz_priv.h"
#include <glob.h>
#include <stdio.h>

static void ocsp_corpus_holds(void **state)
{
    (void)state;
    glob_t g = {0};
    int good = 0;
    assert_int_equal(glob("tests/corpus/ocsp_http/*", 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        char bytes[32768];
        FILE *f = fopen(g.gl_pathv[i], "rb");
        assert_non_null(f);
        size_t len = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        good += ocsp_fuzz_http(bytes, len) == OCSP_HTTP_DONE;
    }
    globfree(&g);
    assert_true(good >= 3);
}

UNIT_SUITE(tls_ocsp_http_fuzz, cmocka_unit_test(ocsp_corpus_holds));
