/* users_test.c - files of users: what is read, and what is told of the rest. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/users_fuzz_priv.h"
#include "tests/corpus.h"
#include "tests/unit.h"

#define HASH_A "$2y$05$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2"
#define HASH_B "$5$somesalt$6XwqLSgSLhGSGin7fH1LqkWScZmeI37F5I2aPSIE7KA"

static bool read_all(const char *text, struct arena *a, struct users *u, struct users_error *e)
{
    struct users_gather g = {0};
    *e = (struct users_error){0};
    bool good = users_gather_read(&g, a, slice_of(text), e) && users_gather_finish(&g, a, u, e);
    users_gather_release(&g);
    return good;
}

static void users_are_found_by_name_alone(void **state)
{
    struct arena a;
    struct users u;
    struct users_error e;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_true(read_all("# staff\nbob:" HASH_B "\n\n  alice:" HASH_A " \r\n#eve:x\n", &a, &u, &e));
    assert_int_equal(u.count, 2);
    assert_string_equal(users_find(&u, SLICE("alice"))->hash, HASH_A);
    assert_string_equal(users_find(&u, SLICE("bob"))->hash, HASH_B);
    assert_null(users_find(&u, SLICE("Alice")));
    assert_null(users_find(&u, SLICE("alic")));
    assert_null(users_find(&u, SLICE("alice ")));
    assert_null(users_find(&u, SLICE("")));
    assert_ptr_equal(users_decoy(&u, SLICE("eve")), users_decoy(&u, SLICE("eve")));
    arena_release(&a);
}

static void nobody_is_in_an_empty_file(void **state)
{
    struct arena a;
    struct users u;
    struct users_error e;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_true(read_all("", &a, &u, &e) && u.count == 0);
    assert_null(users_find(&u, SLICE("alice")));
    arena_release(&a);
}

static const struct {
    const char *text;
    uint32_t line;
    const char *name, *why;
} BAD[] = {
    {"alice:" HASH_A "\nbob\n", 2, "", "NAME:HASH"},
    {"\n\n:" HASH_A, 3, "", "no user's name"},
    {"al\x01ice:" HASH_A, 1, "", "no user's name"},
    {"alice:\n", 1, "alice", "is missing"},
    {"alice:$apr1$Pdb9cZs2$ajB5OpHKPb9GN.l0G7CRk0\n", 1, "alice", "MD5"},
    {"alice:" HASH_A ":1000\n", 1, "alice", "broken"},
    {"alice:secret\n", 1, "alice", "not a hash"},
    {"alice:" HASH_A "\nbob:" HASH_B "\nalice:" HASH_B "\n", 0, "alice", "twice"},
};

static void mistakes_are_told_by_line(void **state)
{
    struct arena a;
    struct users u;
    struct users_error e;
    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        assert_false(read_all(BAD[i].text, &a, &u, &e));
        assert_int_equal(e.line, BAD[i].line);
        assert_true(slice_eq(e.name, slice_of(BAD[i].name)));
        if (!strstr(e.why, BAD[i].why))
            fail_msg("%s: %s", BAD[i].text, e.why);
    }
    arena_release(&a);
}

static size_t replay(char *bytes, size_t len)
{
    fuzz_users(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/users/*", 3, replay);
}

UNIT_SUITE(auth_users, cmocka_unit_test(users_are_found_by_name_alone),
           cmocka_unit_test(nobody_is_in_an_empty_file),
           cmocka_unit_test(mistakes_are_told_by_line), cmocka_unit_test(corpus_holds));
