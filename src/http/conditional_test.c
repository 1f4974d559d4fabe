/* conditional_test.c - preconditions as a table: fields of a request against one representation. */
// SPDX-License-Identifier: Apache-2.0
#include "http/conditional_fuzz_priv.h"
#include "tests/corpus.h"

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AT     "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"

enum { NOW = 1764115200, MODIFIED = 784111777 };

static const struct validators STRONG = {SLICE_INIT("\"a\""), MODIFIED};
static const struct validators WEAK = {SLICE_INIT("W/\"a\""), MODIFIED};
static const struct validators NOTHING = {SLICE_INIT(""), MODIFIED_UNKNOWN};

static const struct {
    const char *fields; /* "If-Match: x | If-None-Match: y" */
    const struct validators *v;
    enum method method;
    enum precondition expected;
} ROWS[] = {
    {"", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-None-Match: \"a\"", &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: \"a\"", &STRONG, METHOD_HEAD, CONDITION_NOT_MODIFIED},
    {"If-None-Match: \"a\"", &STRONG, METHOD_PUT, CONDITION_FAILS},
    {"If-None-Match: W/\"a\"", &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: \"a\"", &WEAK, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: *", &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: *", &NOTHING, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: \"b\", \"a\"", &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: \"b\" | If-None-Match: \"a\"", &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: \"b,c\",\"a\"", &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-None-Match: \"b, \"a\"", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-None-Match: \"b\"", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-None-Match: a", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-None-Match: \"a", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-None-Match: \"a\"", &NOTHING, METHOD_GET, CONDITION_PASSES},
    {"If-Modified-Since: " BEFORE, &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-Modified-Since: " AT, &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-Modified-Since: " AFTER, &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-Modified-Since: " AT, &STRONG, METHOD_POST, CONDITION_PASSES},
    {"If-Modified-Since: yesterday", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-Modified-Since: " AT, &NOTHING, METHOD_GET, CONDITION_PASSES},
    /* the tag counts, the date does not (13.1.3) */
    {"If-None-Match: \"b\" | If-Modified-Since: " AT, &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-None-Match: \"a\" | If-Modified-Since: " BEFORE, &STRONG, METHOD_GET,
     CONDITION_NOT_MODIFIED},
    {"If-Match: \"a\"", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-Match: \"b\"", &STRONG, METHOD_GET, CONDITION_FAILS},
    {"If-Match: W/\"a\"", &STRONG, METHOD_GET, CONDITION_FAILS},
    {"If-Match: \"a\"", &WEAK, METHOD_GET, CONDITION_FAILS},
    {"If-Match: *", &WEAK, METHOD_GET, CONDITION_PASSES},
    {"If-Match: \"b\", \"a\"", &STRONG, METHOD_PUT, CONDITION_PASSES},
    {"If-Unmodified-Since: " BEFORE, &STRONG, METHOD_GET, CONDITION_FAILS},
    {"If-Unmodified-Since: " AT, &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-Unmodified-Since: never", &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-Unmodified-Since: " BEFORE, &NOTHING, METHOD_GET, CONDITION_PASSES},
    {"If-Match: \"a\" | If-Unmodified-Since: " BEFORE, &STRONG, METHOD_GET, CONDITION_PASSES},
    {"If-Match: \"a\" | If-None-Match: \"a\"", &STRONG, METHOD_GET, CONDITION_NOT_MODIFIED},
    {"If-Match: \"b\" | If-None-Match: \"a\"", &STRONG, METHOD_GET, CONDITION_FAILS},
};

static const struct {
    const char *fields;
    const struct validators *v;
    int64_t now_s;
    bool holds;
} RANGE_ROWS[] = {
    {"", &STRONG, NOW, true},
    {"If-Range: \"a\"", &STRONG, NOW, true},
    {"If-Range: \"b\"", &STRONG, NOW, false},
    {"If-Range: W/\"a\"", &STRONG, NOW, false},
    {"If-Range: \"a\"", &WEAK, NOW, false},
    {"If-Range: \"a\", \"b\"", &STRONG, NOW, false},
    {"If-Range: *", &STRONG, NOW, false},
    {"If-Range: \"a\"", &NOTHING, NOW, false},
    {"If-Range: " AT, &STRONG, NOW, true},
    {"If-Range: " AT, &STRONG, MODIFIED + 1, true},
    {"If-Range: " AT, &STRONG, MODIFIED, false}, /* it may change once more in this second */
    {"If-Range: " BEFORE, &STRONG, NOW, false},
    {"If-Range: " AFTER, &STRONG, NOW, false},
    {"If-Range: soon", &STRONG, NOW, false},
};

static void read_fields(const char *text, struct arena *a, struct conditions *c)
{
    struct headers h = {0};
    struct slice rest = slice_of(text), line;
    while (slice_cut(&rest, '|', &line)) {
        size_t colon = slice_find(line, ':');
        if (colon < line.len)
            assert_int_equal(headers_add(&h, a, slice_trim(slice_head(line, colon)),
                                         slice_trim(slice_from(line, colon + 1))),
                             ERR_OK);
    }
    assert_int_equal(conditions_read(&h, a, c), ERR_OK);
}

static void conditions_follow_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct arena a;
        struct conditions c;
        arena_init(&a, 65536);
        read_fields(ROWS[i].fields, &a, &c);
        if (conditions_evaluate(&c, ROWS[i].method, ROWS[i].v, NOW) != ROWS[i].expected)
            fail_msg("row %zu: %s", i, ROWS[i].fields);
        arena_release(&a);
    }
}

static void if_range_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof RANGE_ROWS / sizeof RANGE_ROWS[0]; i++) {
        struct arena a;
        struct conditions c;
        arena_init(&a, 65536);
        read_fields(RANGE_ROWS[i].fields, &a, &c);
        if (if_range_holds(&c, RANGE_ROWS[i].v, RANGE_ROWS[i].now_s) != RANGE_ROWS[i].holds)
            fail_msg("row %zu: %s", i, RANGE_ROWS[i].fields);
        arena_release(&a);
    }
}

static void without_memory_nothing_is_decided(void **state)
{
    (void)state;
    struct arena a, none;
    struct headers h = {0};
    struct conditions c;
    arena_init(&a, 65536);
    arena_init(&none, 0);
    assert_int_equal(headers_add(&h, &a, SLICE("If-Match"), SLICE("\"a\"")), ERR_OK);
    assert_int_equal(headers_add(&h, &a, SLICE("If-Match"), SLICE("\"b\"")), ERR_OK);
    assert_int_equal(conditions_read(&h, &none, &c), ERR_OVER_BUDGET);
    arena_release(&a);
}

static size_t replay(char *bytes, size_t len)
{
    fuzz_conditional(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/conditional/*", 10, replay);
}

UNIT_SUITE(http_conditional, cmocka_unit_test(conditions_follow_the_table),
           cmocka_unit_test(if_range_follows_the_table),
           cmocka_unit_test(without_memory_nothing_is_decided), cmocka_unit_test(corpus_holds));
