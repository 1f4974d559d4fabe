/* snapshot_test.c - who frees a snapshot and a view, and when. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/snapshot.h"
#include "tests/unit.h"

static char trace[16];

static void note(void *ctx)
{
    strcat(trace, ctx);
}

static void note_unused(struct conf *c)
{
    strcat(trace, "u");
    conf_free(c);
}

static void note_release(struct conf_view *v)
{
    (void)v;
    strcat(trace, "r");
}

static struct conf *traced(void)
{
    static char one[] = "1", two[] = "2";
    struct conf *c = conf_new(7);
    trace[0] = '\0';
    conf_on_free(c, note, one);
    conf_on_free(c, note, two);
    c->unused = note_unused;
    return c;
}

static void last_drop_hands_it_back(void **state)
{
    (void)state;
    struct conf *c = traced();
    assert_int_equal(c->generation, 7);
    conf_take(c);
    conf_drop(c);
    assert_string_equal(trace, "");
    conf_drop(c);
    assert_string_equal(trace, "u21");
}

static void frees_itself_without_a_receiver(void **state)
{
    (void)state;
    struct conf *c = traced();
    c->unused = NULL;
    conf_drop(c);
    assert_string_equal(trace, "21");
}

static void unused_view_dies_when_replaced(void **state)
{
    (void)state;
    struct conf *c = traced();
    struct conf_view *v = view_new(c);
    v->release = note_release;
    conf_drop(c);
    view_take(v);
    view_drop(v); /* not replaced: it stays */
    assert_string_equal(trace, "");
    view_replace(v);
    assert_string_equal(trace, "ru21");
}

static void used_view_dies_with_its_last_user(void **state)
{
    (void)state;
    struct conf *c = traced();
    struct conf_view *v = view_new(c);
    conf_drop(c);
    view_take(v);
    view_take(v);
    view_replace(v);
    view_drop(v);
    assert_string_equal(trace, "");
    view_drop(v);
    assert_string_equal(trace, "u21");
}

UNIT_SUITE(conf_snapshot, cmocka_unit_test(last_drop_hands_it_back),
           cmocka_unit_test(frees_itself_without_a_receiver),
           cmocka_unit_test(unused_view_dies_when_replaced),
           cmocka_unit_test(used_view_dies_with_its_last_user));
