/* text_test.c - growing texts, escaping of every byte, UTF-8's edges, edit distances. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "tests/unit.h"
#include <stdio.h>

static void grows(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    assert_int_equal(text_slice(&t).len, 0);
    text_add(&t, SLICE(""));
    assert_string_equal(t.at, "");
    for (int i = 0; i < 1000; i++)
        text_addf(&t, "%03d,", i);
    assert_int_equal(t.len, 4000);
    assert_int_equal(strlen(t.at), 4000);
    assert_true(slice_starts(text_slice(&t), SLICE("000,001,")));
    assert_true(slice_ends(text_slice(&t), SLICE("998,999,")));
    text_release(&t);
    assert_null(t.at);
}

static void json_is(struct slice in, const char *due)
{
    struct text t;
    text_init(&t);
    text_add_json(&t, in);
    assert_string_equal(t.at, due);
    text_release(&t);
}

#define FFFD "\xef\xbf\xbd"

static void escapes_json(void **state)
{
    (void)state;
    json_is(SLICE_NONE, "\"\"");
    json_is(SLICE("plain /text"), "\"plain /text\"");
    json_is(SLICE("a\"b\\c"), "\"a\\\"b\\\\c\"");
    json_is(SLICE("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    json_is(SLICE("\0\x1f\x7f"), "\"\\u0000\\u001f\x7f\"");
}

static void json_keeps_utf8_and_replaces_the_rest(void **state)
{
    (void)state;
    json_is(SLICE("\xc2\x80\xdf\xbf"), "\"\xc2\x80\xdf\xbf\"");
    json_is(SLICE("\xe0\xa0\x80\xef\xbf\xbf"), "\"\xe0\xa0\x80\xef\xbf\xbf\"");
    json_is(SLICE("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
    json_is(SLICE("\xc1\xbf"), "\"" FFFD FFFD "\"");          /* overlong */
    json_is(SLICE("\xe0\x9f\xbf"), "\"" FFFD FFFD FFFD "\""); /* overlong */
    json_is(SLICE("\xed\xa0\x80"), "\"" FFFD FFFD FFFD "\""); /* surrogate */
    json_is(SLICE("\xf0\x8f\xbf\xbf"), "\"" FFFD FFFD FFFD FFFD "\"");
    json_is(SLICE("\xf4\x90\x80\x80"), "\"" FFFD FFFD FFFD FFFD "\"");
    json_is(SLICE("\xf5"), "\"" FFFD "\"");
    json_is(SLICE("\xe2\x82"), "\"" FFFD FFFD "\""); /* cut off at the end */
    json_is(SLICE("\xe2\x82z"), "\"" FFFD FFFD "z\"");
}

/* Whatever the room, only whole escapes come out, and never more than fits. */
static void json_stops_before_what_does_not_fit(void **state)
{
    (void)state;
    const struct slice in = SLICE("a\"\x01"
                                  "b\xc3\xa9");
    static const size_t due[] = {0, 1, 1, 3, 3, 3, 3, 3, 3, 9, 10, 10, 12, 12};
    for (size_t cap = 0; cap < sizeof(due) / sizeof(*due); cap++) {
        char to[16] = "???????????????";
        assert_int_equal(json_escape(to, cap, in), due[cap]);
        assert_memory_equal(to, "a\\\"\\u0001b\xc3\xa9", due[cap]);
        assert_int_equal(to[due[cap]], '?');
    }
}

static void escapes_html(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    text_add_html(&t, SLICE_NONE);
    assert_string_equal(t.at, "");
    text_add_html(&t, SLICE("<a href=\"x\">'&'</a>"));
    assert_string_equal(t.at, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    text_release(&t);
}

static void measures_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t due;
    } rows[] = {{"", "", 0},
                {"", "abc", 3},
                {"abc", "", 3},
                {"listen", "listen", 0},
                {"lisen", "listen", 1},
                {"lsiten", "listen", 1},
                {"listened", "listen", 2},
                {"kitten", "sitting", 3},
                {"ca", "abc", 3}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(text_distance(slice_of(rows[i].a), slice_of(rows[i].b)), rows[i].due);
    assert_int_equal(text_distance(SLICE_NONE, SLICE_NONE), 0);
}

static void keeps_its_memory_when_cleared(void **state)
{
    struct text t;
    (void)state;
    text_init(&t);
    text_clear(&t);
    text_reserve(&t, 100);
    assert_string_equal(t.at, "");
    char *at = t.at;
    for (int round = 0; round < 3; round++) {
        text_clear(&t);
        assert_int_equal(t.len, 0);
        assert_string_equal(t.at, "");
        text_addf(&t, "%0100d", round);
        assert_ptr_equal(t.at, at);
        assert_int_equal(t.len, 100);
    }
    text_release(&t);
}

UNIT_SUITE(base_text, cmocka_unit_test(keeps_its_memory_when_cleared), cmocka_unit_test(grows),
           cmocka_unit_test(escapes_json), cmocka_unit_test(json_keeps_utf8_and_replaces_the_rest),
           cmocka_unit_test(json_stops_before_what_does_not_fit), cmocka_unit_test(escapes_html),
           cmocka_unit_test(measures_distance));
