/* challenge_fuzz_test.c - the fuzzer's corpus of cookies. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/challenge_fuzz_priv.h"
#include "tests/corpus.h"

static size_t replay(char *bytes, size_t len)
{
    return fuzz_challenge(bytes, len);
}

static void corpus(void **state)
{
    (void)state;
    assert_int_equal(corpus_replay("tests/corpus/challenge/*", 8, replay), 2); /* one of each */
}

UNIT_SUITE(filter_challenge_fuzz, cmocka_unit_test(corpus));
