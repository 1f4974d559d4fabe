/* hpack_nghttp2_fuzz_test.c - our decoder beside nghttp2's over the corpora of both fuzzers. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack_nghttp2_fuzz_priv.h"
#include "tests/corpus.h"

static size_t replay(char *bytes, size_t len)
{
    return hpack_nghttp2_fuzz(bytes, len);
}

static void hpack_corpora_agree(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/hpack*/*", 20, replay) >= 100); /* blocks */
}

UNIT_SUITE(h2_hpack_nghttp2_fuzz, cmocka_unit_test(hpack_corpora_agree));
