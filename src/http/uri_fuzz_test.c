/* uri_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/uri. */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri_fuzz_priv.h"
#include "tests/corpus.h"

static size_t replay(char *bytes, size_t len)
{
    fuzz_uri(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/uri/*", 20, replay);
}

static void every_single_byte_holds(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char path[] = {'/', 'a', '/', (char)c, '/', '.', '.'}, escaped[] = "/a/%00/../b";
        snprintf(escaped, sizeof escaped, "/a/%%%02x/.", (unsigned)c);
        fuzz_uri(path, sizeof path);
        fuzz_uri(escaped, strlen(escaped));
    }
}

UNIT_SUITE(http_uri_fuzz, cmocka_unit_test(corpus_holds),
           cmocka_unit_test(every_single_byte_holds));
