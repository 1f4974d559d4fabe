/* conf_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/conf. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_fuzz_priv.h"
#include "tests/corpus.h"

static size_t replay(char *bytes, size_t len)
{
    fuzz_conf(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/conf/*", 20, replay);
}

/* Every prefix of a file that uses everything: an editor saves such while one is typing. */
static void prefixes_hold(void **state)
{
    (void)state;
    static const char text[] = "define s A { title \"${A} \\\"x\\\" ${env.X:-y}\" } # c\n"
                               "site a 'b c' {\n\tuse s 'q'; window 10s \\\n off\n}\n"
                               "upstream u { server a key=\"v w\" { backup } }\n";
    for (size_t len = 0; len < sizeof(text); len++)
        fuzz_conf(text, len);
}

UNIT_SUITE(conf_conf_fuzz, cmocka_unit_test(corpus_holds), cmocka_unit_test(prefixes_hold));
