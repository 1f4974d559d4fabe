/* hpack_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/hpack. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack_fuzz_priv.h"
#include "tests/corpus.h"

static size_t replay(char *bytes, size_t len)
{
    return hpack_fuzz(bytes, len);
}

static void hpack_corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/hpack/*", 20, replay) >= 100); /* blocks */
}

UNIT_SUITE(h2_hpack_fuzz, cmocka_unit_test(hpack_corpus_holds));
