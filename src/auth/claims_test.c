/* claims_test.c - how JSON becomes claims. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/claims.h"
#include "base/assert.h"
#include "base/text.h"
#include "tests/unit.h"
#include <jansson.h>

/* All claims as lines "name=value". */
static void flat(const char *json, struct text *out)
{
    struct arena a;
    const struct claim *first = NULL;
    json_t *o = json_loads(json, 0, NULL);
    assert_non_null(o);
    arena_init(&a, 64 << 10);
    assert_true(claims_from_json(&first, o, &a));
    json_decref(o); /* nothing of it is needed */
    text_clear(out);
    text_add(out, SLICE(""));
    for (const struct claim *c = first; c; c = c->next)
        text_addf(out, "%.*s=%.*s\n", SLICE_ARG(c->name), SLICE_ARG(c->value));
    arena_release(&a);
}

static const struct {
    const char *json, *claims;
} ROWS[] = {
    {"{}", ""},
    {"{\"sub\":\"ann\",\"iss\":\"\"}", "sub=ann\niss=\n"},
    {"{\"n\":7,\"m\":-1,\"r\":0.1,\"e\":1e3}", "n=7\nm=-1\nr=0.1\ne=1000.0\n"},
    {"{\"t\":true,\"f\":false,\"z\":null}", "t=true\nf=false\n"},
    {"{\"a\":[\"x\",2,null,\"y\"]}", "a=x\na=2\na=y\n"},
    {"{\"a\":[[\"x\"],[]]}", ""},
    {"{\"realm\":{\"roles\":[\"a\",\"b\"]}}", "realm.roles=a\nrealm.roles=b\n"},
    {"{\"l\":[{\"k\":1},{\"k\":2}]}", "l.k=1\nl.k=2\n"},
    {"{\"a\":{\"b\":{\"c\":{\"d\":4}}}}", "a.b.c.d=4\n"},
    {"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":5}}}},\"z\":1}", "z=1\n"},
    {"{\"https://a.example/x\":1,\"\":2}", "https://a.example/x=1\n=2\n"},
    {"{\"u\":\"\\u00e4\\n\"}", "u=\xc3\xa4\n\n"},
};

static void json_is_flattened(void **state)
{
    struct text t = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        flat(ROWS[i].json, &t);
        assert_string_equal(t.at ? t.at : "", ROWS[i].claims);
    }
    text_release(&t);
}

static void too_many_are_refused(void **state)
{
    struct arena a;
    const struct claim *first = NULL;
    json_t *o = json_object(), *list = json_array();
    (void)state;
    json_object_set_new(o, "a", list);
    for (int i = 0; i < CLAIMS_MAX; i++)
        json_array_append_new(list, json_integer(i));
    arena_init(&a, 64 << 10);
    assert_true(claims_from_json(&first, o, &a));
    json_array_append_new(list, json_integer(0));
    first = NULL;
    assert_false(claims_from_json(&first, o, &a));
    assert_null(first);
    arena_release(&a);
    arena_init(&a, 0);
    assert_false(claims_from_json(&first, o, &a));
    json_decref(o);
    arena_release(&a);
}

static void claims_are_found_by_name(void **state)
{
    const struct claim c = {SLICE_INIT("a"), SLICE_INIT("3"), NULL};
    const struct claim b = {SLICE_INIT("A"), SLICE_INIT("2"), &c};
    const struct claim a = {SLICE_INIT("a"), SLICE_INIT("1"), &b};
    (void)state;
    assert_ptr_equal(claim_find(&a, SLICE("a")), &a);
    assert_ptr_equal(claim_next(&a), &c);
    assert_null(claim_next(&c));
    assert_ptr_equal(claim_find(&a, SLICE("A")), &b);
    assert_null(claim_find(&a, SLICE("")));
    assert_null(claim_find(NULL, SLICE("a")));
}

UNIT_SUITE(auth_claims, cmocka_unit_test(json_is_flattened), cmocka_unit_test(too_many_are_refused),
           cmocka_unit_test(claims_are_found_by_name));
