/* conf_fuzz_test.c - runs the fuzzer's properties over the corpus in tests/corpus/conf. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_fuzz_priv.h"
#include "tests/unit.h"
#include <glob.h>
#include <stdio.h>

static void replay(const char *path)
{
    static char bytes[1 << 20];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    fuzz_conf(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    glob_t g = {0};
    assert_int_equal(glob("tests/corpus/conf/*", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 20);
    for (size_t i = 0; i < g.gl_pathc; i++)
        replay(g.gl_pathv[i]);
    globfree(&g);
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
