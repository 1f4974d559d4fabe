/* token_test.c - tokens are known by their digests, and Authorization is read narrowly. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "tests/unit.h"

static void add(const struct admin_token **list, struct admin_token *t, const char *text,
                enum admin_role role)
{
    *t = (struct admin_token){.next = *list, .role = role};
    admin_token_hash(slice_of(text), t->digest);
    *list = t;
}

static void digests_are_sha256(void **state)
{
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea};
    uint8_t got[ADMIN_DIGEST_BYTES];
    (void)state;
    admin_token_hash(SLICE("abc"), got); /* FIPS 180-2, B.1 */
    assert_memory_equal(got, abc, sizeof abc);
}

static void tokens_have_roles(void **state)
{
    struct admin_token t[3];
    const struct admin_token *list = NULL;
    (void)state;
    assert_int_equal(admin_token_role(NULL, SLICE("any")), ADMIN_NOBODY);
    add(&list, &t[0], "full-token", ADMIN_FULL);
    add(&list, &t[1], "read-token", ADMIN_READ);
    add(&list, &t[2], "prom-token", ADMIN_METRICS);
    assert_int_equal(admin_token_role(list, SLICE("full-token")), ADMIN_FULL);
    assert_int_equal(admin_token_role(list, SLICE("read-token")), ADMIN_READ);
    assert_int_equal(admin_token_role(list, SLICE("prom-token")), ADMIN_METRICS);
    assert_int_equal(admin_token_role(list, SLICE("Full-token")), ADMIN_NOBODY);
    assert_int_equal(admin_token_role(list, SLICE("full-toke")), ADMIN_NOBODY);
    assert_int_equal(admin_token_role(list, SLICE("")), ADMIN_NOBODY);
}

static void one_token_with_two_roles_has_the_higher(void **state)
{
    struct admin_token t[2];
    const struct admin_token *list = NULL;
    (void)state;
    add(&list, &t[0], "both", ADMIN_FULL);
    add(&list, &t[1], "both", ADMIN_METRICS);
    assert_int_equal(admin_token_role(list, SLICE("both")), ADMIN_FULL);
    list = NULL;
    add(&list, &t[0], "both", ADMIN_METRICS);
    add(&list, &t[1], "both", ADMIN_FULL);
    assert_int_equal(admin_token_role(list, SLICE("both")), ADMIN_FULL);
}

static void authorization_is_read_narrowly(void **state)
{
    (void)state;
    assert_true(slice_eq(admin_token_of(SLICE("Bearer abc")), SLICE("abc")));
    assert_true(slice_eq(admin_token_of(SLICE("bEARER   abc ")), SLICE("abc")));
    assert_true(slice_eq(admin_token_of(SLICE("Bearer a b")), SLICE("a b"))); /* no token is so */
    assert_null(admin_token_of(SLICE("Bearer")).at);
    assert_null(admin_token_of(SLICE("Bearer ")).at);
    assert_null(admin_token_of(SLICE("Bearer\tabc")).at);
    assert_null(admin_token_of(SLICE("Bearerabc")).at);
    assert_null(admin_token_of(SLICE("Basic abc")).at);
    assert_null(admin_token_of(SLICE("")).at);
}

UNIT_SUITE(admin_token, cmocka_unit_test(digests_are_sha256), cmocka_unit_test(tokens_have_roles),
           cmocka_unit_test(one_token_with_two_roles_has_the_higher),
           cmocka_unit_test(authorization_is_read_narrowly));
