/* coding_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/coding. */
// SPDX-License-Identifier: Apache-2.0
#include "http/coding_fuzz_priv.h"
#include "tests/corpus.h"

static size_t replay(char *bytes, size_t len)
{
    return fuzz_coding(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/coding/*", 15, replay) >= 6);
}

UNIT_SUITE(http_coding_fuzz, cmocka_unit_test(corpus_holds));
