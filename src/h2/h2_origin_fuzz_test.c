/* h2_origin_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/h2_origin.
 */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_origin_fuzz_priv.h"
#include "tests/corpus.h"

/* Each file whole, some of its beginnings, and with bytes replaced by nasty ones. */
static size_t replay(char *bytes, size_t len)
{
    static const char nasty[] = {0, 1, 4, 9, (char)0x80, (char)0xff};
    size_t stride = len / 40 + 1;
    for (size_t n = 0; n < len; n += stride)
        fuzz_h2_origin(bytes, n);
    fuzz_h2_origin(bytes, len);
    for (size_t i = 1; i < len; i += stride) {
        char kept = bytes[i];
        bytes[i] = nasty[i / stride % sizeof nasty];
        fuzz_h2_origin(bytes, len);
        bytes[i] = kept;
    }
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/h2_origin/*", 30, replay);
}

UNIT_SUITE(h2_h2_origin_fuzz, cmocka_unit_test(corpus_holds));
