/* range_test.c - Range fields against lengths, as a table; and the fuzzer's corpus. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "http/range_fuzz_priv.h"
#include "tests/corpus.h"

#define WHOLE "whole"
#define NONE  "none"

static const struct {
    const char *field;
    uint64_t length;
    const char *expected; /* "0-499 600-699" */
} ROWS[] = {
    {"bytes=0-499", 1000, "0-499"},
    {"bytes=0-0", 1000, "0-0"},
    {"bytes=999-", 1000, "999-999"},
    {"bytes=1000-", 1000, NONE},
    {"bytes=0-", 1000, "0-999"},
    {"bytes=0-999", 1000, "0-999"},
    {"bytes=0-1000", 1000, "0-999"},
    {"bytes=-1", 1000, "999-999"},
    {"bytes=-1000", 1000, "0-999"},
    {"bytes=-1001", 1000, "0-999"},
    {"bytes=-0", 1000, NONE},
    {"bytes=0-18446744073709551615", 1000, "0-999"},
    {"bytes=0-18446744073709551616", 1000, "0-999"},
    {"bytes=18446744073709551616-", 1000, NONE},
    {"bytes=-99999999999999999999", 1000, "0-999"},
    {"bytes=5-4", 1000, WHOLE},
    {"bytes=5-5", 6, "5-5"},
    {"BYTES=0-1", 1000, "0-1"},
    {"bytes=0-1, 10-11", 1000, "0-1 10-11"},
    {"bytes= 0-1 ,, 10-11,", 1000, "0-1 10-11"},
    {"bytes=10-11,0-1", 1000, "10-11 0-1"},
    {"bytes=0-1,5000-", 1000, "0-1"},
    {"bytes=5000-,6000-", 1000, NONE},
    {"bytes=0-,0-", 1000, WHOLE}, /* more than the whole */
    {"bytes=0-499,500-999", 1000, "0-499 500-999"},
    {"bytes=0-499,499-999", 1000, WHOLE},
    {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15", 99,
     "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7 8-8 9-9 10-10 11-11 12-12 13-13 14-14 15-15"},
    {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16", 99,
     WHOLE},
    {"bytes=0-1", 0, WHOLE},
    {"bytes=-1", 0, WHOLE},
    {"bytes=", 1000, WHOLE},
    {"bytes=,", 1000, WHOLE},
    {"bytes=-", 1000, WHOLE},
    {"bytes=1", 1000, WHOLE},
    {"bytes=a-b", 1000, WHOLE},
    {"bytes=1-2-3", 1000, WHOLE},
    {"bytes=+1-2", 1000, WHOLE},
    {"bytes=1 -2", 1000, WHOLE},
    {"bytes=0-1,x", 1000, WHOLE},
    {"bytes 0-1", 1000, WHOLE},
    {"lines=0-1", 1000, WHOLE},
    {"", 1000, WHOLE},
};

static void describe(struct text *t, enum range_kind kind, const struct ranges *rs)
{
    text_clear(t);
    if (kind != RANGE_PARTS)
        text_add(t, slice_of(kind == RANGE_WHOLE ? WHOLE : NONE));
    for (unsigned i = 0; kind == RANGE_PARTS && i < rs->count; i++)
        text_addf(t, "%s%llu-%llu", i ? " " : "", (unsigned long long)rs->at[i].first,
                  (unsigned long long)rs->at[i].last);
}

static void fields_are_resolved(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct ranges rs;
        describe(&t, ranges_parse(slice_of(ROWS[i].field), ROWS[i].length, &rs), &rs);
        if (strcmp(t.at, ROWS[i].expected) != 0)
            fail_msg("%s of %llu: %s, not %s", ROWS[i].field, (unsigned long long)ROWS[i].length,
                     t.at, ROWS[i].expected);
    }
    text_release(&t);
}

static size_t replay(char *bytes, size_t len)
{
    fuzz_range(bytes, len);
    return 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/range/*", 10, replay);
}

static const struct {
    const char *field;
    bool good;
    struct content_range expected;
} CONTENT_ROWS[] = {
    {"bytes 0-499/1000", true, {0, 499, 1000}},
    {"BYTES 999-999/1000", true, {999, 999, 1000}},
    {"bytes 0-499/*", true, {0, 499, UINT64_MAX}},
    {"bytes 0-1000/1000", false, {0, 0, 0}},
    {"bytes 5-4/1000", false, {0, 0, 0}},
    {"bytes */1000", false, {0, 0, 0}},
    {"bytes 0-499", false, {0, 0, 0}},
    {"bytes 0/1-2", false, {0, 0, 0}},
    {"bytes 0-x/1000", false, {0, 0, 0}},
    {"bytes=0-499/1000", false, {0, 0, 0}},
    {"lines 0-499/1000", false, {0, 0, 0}},
    {"", false, {0, 0, 0}},
};

static void content_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CONTENT_ROWS); i++) {
        struct content_range r = {0, 0, 0};
        assert_int_equal(content_range_parse(slice_of(CONTENT_ROWS[i].field), &r),
                         CONTENT_ROWS[i].good);
        assert_memory_equal(&r, &CONTENT_ROWS[i].expected, sizeof r);
    }
}

UNIT_SUITE(http_range, cmocka_unit_test(content_ranges), cmocka_unit_test(fields_are_resolved),
           cmocka_unit_test(corpus_holds));
