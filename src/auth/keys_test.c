/* keys_test.c - files of keys: who is found by which key, and what is told of the rest. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/keys_fuzz_priv.h"
#include "tests/corpus.h"
#include "tests/unit.h"
#include <stdio.h>

#define KEY_A  "wk_0123456789abcdef"
#define HASH_A "bcb63f622988680ca68914520e5a8d332d182d067792ed416d1ed6dda5fa024e"
#define KEY_B  "wk_fedcba9876543210"
#define HASH_B "5825226cfd1f6118a261ef2a490b027436e57da3fd80712073d513f557f99c11"

static void keys_are_found_by_all_their_bytes(void **state)
{
    struct arena a;
    struct api_keys k;
    struct api_keys_error e;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_true(api_keys_read(SLICE("# x\nbuild " HASH_A " limit=10r/s team=ci team=ops\n"
                                    "\n shop\t" HASH_B " burst=5 limit=600r/m\r\n"),
                              &a, &k, &e));
    const struct api_key *build = api_keys_find(&k, SLICE(KEY_A));
    const struct api_key *shop = api_keys_find(&k, SLICE(KEY_B));
    assert_true(build && slice_eq(build->name, SLICE("build")));
    assert_true(build->step_ns == 100000000 && build->burst == 10);
    assert_true(slice_eq(claim_find(build->claims, SLICE("team"))->value, SLICE("ci")));
    assert_non_null(claim_next(build->claims));
    assert_true(shop && slice_eq(shop->name, SLICE("shop")) && !shop->claims);
    assert_true(shop->step_ns == 100000000 && shop->burst == 5);
    assert_null(api_keys_find(&k, SLICE("wk_0123456789abcdeF")));
    assert_null(api_keys_find(&k, SLICE("wk_0123456789abcde")));
    assert_null(api_keys_find(&k, SLICE(KEY_A "\0")));
    assert_null(api_keys_find(&k, SLICE(HASH_A)));
    assert_null(api_keys_find(&k, SLICE("")));
    arena_release(&a);
}

/* Whatever stands in the file. */
static void short_and_long_ones_are_never_good(void **state)
{
    struct arena a;
    struct api_keys k;
    struct api_keys_error e;
    char text[KEY_MAX + 2], line[200];
    uint8_t digest[KEY_DIGEST_BYTES];
    static const size_t lens[] = {KEY_MIN - 1, KEY_MIN, KEY_MAX, KEY_MAX + 1};
    (void)state;
    memset(text, 'k', sizeof text);
    for (size_t i = 0; i < COUNT_OF(lens); i++) {
        int len = snprintf(line, sizeof line, "x ");
        arena_init(&a, 1 << 20);
        assert_true(api_key_digest((struct slice){text, lens[i]}, digest));
        for (int n = 0; n < KEY_DIGEST_BYTES; n++)
            len += snprintf(line + len, sizeof line - (size_t)len, "%02x", digest[n]);
        assert_true(api_keys_read(slice_of(line), &a, &k, &e));
        bool good = lens[i] >= KEY_MIN && lens[i] <= KEY_MAX;
        assert_true((api_keys_find(&k, (struct slice){text, lens[i]}) != NULL) == good);
        arena_release(&a);
    }
}

static const struct {
    const char *text;
    uint32_t line;
    const char *why;
} BAD[] = {
    {"a " HASH_A "\nb\n", 2, "NAME HASH"},
    {"a 12\n", 1, "64 hex"},
    {"a " HASH_A "0\n", 1, "64 hex"},
    {"a " HASH_A " limit=10\n", 1, "limit such as"},
    {"a " HASH_A " limit=0r/s\n", 1, "limit such as"},
    {"a " HASH_A " limit=r/s\n", 1, "limit such as"},
    {"a " HASH_A " burst=5\n", 1, "goes with"},
    {"a " HASH_A " limit=1r/s burst=0\n", 1, "burst between"},
    {"a " HASH_A " word\n", 1, "NAME=TEXT"},
    {"a " HASH_A " =x\n", 1, "NAME=TEXT"},
    {"a\x01 " HASH_A "\n", 1, "NAME HASH"},
    {"a " HASH_A "\nb " HASH_A "\n", 0, "twice"},
};

static void mistakes_are_told_by_line(void **state)
{
    struct arena a;
    struct api_keys k;
    struct api_keys_error e;
    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        assert_false(api_keys_read(slice_of(BAD[i].text), &a, &k, &e));
        assert_int_equal(e.line, BAD[i].line);
        if (!strstr(e.why, BAD[i].why))
            fail_msg("%s: %s", BAD[i].text, e.why);
    }
    assert_true(api_keys_read(SLICE(""), &a, &k, &e) && !api_keys_find(&k, SLICE(KEY_A)));
    arena_release(&a);
}

static size_t replay(char *bytes, size_t len)
{
    fuzz_keys(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/keys/*", 3, replay);
}

UNIT_SUITE(auth_keys, cmocka_unit_test(keys_are_found_by_all_their_bytes),
           cmocka_unit_test(short_and_long_ones_are_never_good),
           cmocka_unit_test(mistakes_are_told_by_line), cmocka_unit_test(corpus_holds));
