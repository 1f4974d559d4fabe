/* ocsp_http_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/ocsp_http.
 */
// SPDX-License-Identifier: Apache-2.0
#include "tests/corpus.h"
#include "tls/ocsp_http_fuzz_priv.h"

static size_t replay(char *bytes, size_t len)
{
    return ocsp_fuzz_http(bytes, len) == OCSP_HTTP_DONE;
}

static void ocsp_corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/ocsp_http/*", 3, replay) >= 3);
}

UNIT_SUITE(tls_ocsp_http_fuzz, cmocka_unit_test(ocsp_corpus_holds));
