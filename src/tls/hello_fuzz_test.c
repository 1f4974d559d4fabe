/* hello_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/hello. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/corpus.h"
#include "tls/hello_fuzz_priv.h"

static size_t replay(char *bytes, size_t len)
{
    return hello_fuzz(bytes, len) == HELLO_OK;
}

static void hello_corpus_holds(void **state)
{
    (void)state;
    /* those of real clients, and two spread over records */
    assert_true(corpus_replay("tests/corpus/hello/*", 20, replay) >= 12);
}

UNIT_SUITE(tls_hello_fuzz, cmocka_unit_test(hello_corpus_holds));
