/* cert_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/cert. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/corpus.h"
#include "tls/cert_fuzz_priv.h"

static size_t replay(char *bytes, size_t len)
{
    return cert_fuzz((const uint8_t *)bytes, len);
}

static void cert_corpus_holds(void **state)
{
    (void)state;
    /* each kind of key, a chain, and as DER */
    assert_true(corpus_replay("tests/corpus/cert/*", 15, replay) >= 6);
}

UNIT_SUITE(tls_cert_fuzz, cmocka_unit_test(cert_corpus_holds));
