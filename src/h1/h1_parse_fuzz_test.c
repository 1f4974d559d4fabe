/* h1_parse_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/h1_parse. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1_parse_fuzz_priv.h"
#include "tests/corpus.h"

/* Each file whole, each of its beginnings, and with each of its bytes replaced by a nasty one. */
static size_t replay(char *bytes, size_t len)
{
    static const char nasty[] = {'\r', '\n', 0, ' ', ':', (char)0xff};
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
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/h1_parse/*", 60, replay);
}

UNIT_SUITE(h1_h1_parse_fuzz, cmocka_unit_test(corpus_holds));
