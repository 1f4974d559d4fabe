/* fcgi_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/fcgi. */
// SPDX-License-Identifier: Apache-2.0
#include "fcgi/fcgi_fuzz_priv.h"
#include "tests/corpus.h"

/* Each file whole, each of its beginnings, and with each of its bytes replaced by a nasty one. */
static size_t replay(char *bytes, size_t len)
{
    static const char nasty[] = {0, 1, 3, 6, '\n', '\r', ':', (char)0xff};
    for (size_t n = 0; n <= len; n++)
        fuzz_fcgi(bytes, n);
    for (size_t i = 1; i < len && len < 1024; i++) {
        char kept = bytes[i];
        for (size_t k = 0; k < sizeof nasty; k++) {
            bytes[i] = nasty[k];
            fuzz_fcgi(bytes, len);
        }
        bytes[i] = kept;
    }
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/fcgi/*", 20, replay);
}

UNIT_SUITE(fcgi_fcgi_fuzz, cmocka_unit_test(corpus_holds));
