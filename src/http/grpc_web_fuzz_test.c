/* grpc_web_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/grpc_web. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc_web_fuzz_priv.h"
#include "tests/corpus.h"

static size_t replay(char *bytes, size_t len)
{
    return fuzz_grpc_web(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/grpc_web/*", 15, replay) >= 8);
}

static void every_pair_of_bytes_holds(void **state)
{
    (void)state;
    for (int c = 0; c < 256 * 256; c++) {
        char text[] = {'Q', 'U', (char)c, (char)(c >> 8)};
        fuzz_grpc_web(text, sizeof text);
    }
}

UNIT_SUITE(http_grpc_web_fuzz, cmocka_unit_test(corpus_holds),
           cmocka_unit_test(every_pair_of_bytes_holds));
