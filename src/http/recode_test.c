/* recode_test.c - the fields of a response that gets another content coding, as tables. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "http/recode.h"
#include "tests/unit.h"

static struct arena arena;
static struct headers request, response;

static void begin(void)
{
    arena_init(&arena, 1 << 16);
    request = (struct headers){0};
    response = (struct headers){0};
}

static void end(void)
{
    arena_release(&arena);
}

static void put(struct headers *h, const char *name, const char *value)
{
    assert_int_equal(headers_add(h, &arena, slice_of(name), slice_of(value)), ERR_OK);
}

static void expect(const char *name, const char *value)
{
    const struct header *it = headers_find_name(&response, slice_of(name));
    if (!value) {
        assert_null(it);
        return;
    }
    assert_non_null(it);
    assert_true(slice_eq(it->value, slice_of(value)));
}

static void some_fields_forbid_it(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool allowed;
    } rows[] = {{"Cache-Control", "no-transform", false},
                {"Cache-Control", "a, No-Transform", false},
                {"Cache-Control", "no-store", true},
                {"Content-Digest", "x", false},
                {"Repr-Digest", "x", false},
                {"Digest", "x", false},
                {"Content-MD5", "x", false},
                {"Want-Repr-Digests", "x", true},
                {"X-Digester", "x", true},
                {"ETag", "\"x\"", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin();
        put(&response, rows[i].name, rows[i].value);
        if (recode_is_allowed(&request, &response) != rows[i].allowed)
            fail_msg("%s: %s", rows[i].name, rows[i].value);
        end();
    }
    begin();
    put(&request, "Cache-Control", "no-transform");
    assert_false(recode_is_allowed(&request, &response));
    end();
}

static void vary_is_merged(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{NULL, "Accept-Encoding"},
                                          {"Cookie", "Cookie, Accept-Encoding"},
                                          {"*", "*"},
                                          {"a, accept-encoding", "a, accept-encoding"},
                                          {"", "Accept-Encoding"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin();
        if (rows[i][0])
            put(&response, "Vary", rows[i][0]);
        for (int twice = 0; twice < 2; twice++)
            assert_int_equal(recode_vary(&response, &arena), ERR_OK);
        expect("Vary", rows[i][1]);
        end();
    }
}

static void what_is_of_other_bytes_goes(void **state)
{
    (void)state;
    begin();
    put(&response, "ETag", "\"x\"");
    put(&response, "Accept-Ranges", "bytes");
    put(&response, "Content-Length", "5");
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(recode_fields(&response, &arena), ERR_OK);
    expect("ETag", "W/\"x\"");
    expect("Accept-Ranges", NULL);
    expect("Content-Length", NULL);
    end();
}

static void who_asked_by_the_weak_tag_is_told_it(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"W/\"x\"", "W/\"x\""},
                                          {"\"a\", W/\"x\"", "W/\"x\""},
                                          {"\"x\"", "\"x\""},
                                          {"W/\"y\"", "\"x\""},
                                          {"*", "\"x\""}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin();
        put(&request, "If-None-Match", rows[i][0]);
        put(&response, "ETag", "\"x\"");
        assert_int_equal(recode_not_modified(headers_join(&request, &arena, FIELD_IF_NONE_MATCH),
                                             &response, &arena),
                         ERR_OK);
        expect("ETag", rows[i][1]);
        end();
    }
}

UNIT_SUITE(http_recode, cmocka_unit_test(some_fields_forbid_it), cmocka_unit_test(vary_is_merged),
           cmocka_unit_test(what_is_of_other_bytes_goes),
           cmocka_unit_test(who_asked_by_the_weak_tag_is_told_it));
