/* uri_test.c - targets, path normalisation and hosts by table. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "http/uri.h"
#include "tests/unit.h"

static void targets(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        enum err err;
        enum uri_form form;
        const char *scheme, *authority, *path, *query; /* query NULL: none */
    } rows[] = {
        {"/", ERR_OK, URI_ORIGIN, "", "", "/", NULL},
        {"/a/b?x=1&y[]=2", ERR_OK, URI_ORIGIN, "", "", "/a/b", "x=1&y[]=2"},
        {"/a?", ERR_OK, URI_ORIGIN, "", "", "/a", ""},
        {"/a?b?c", ERR_OK, URI_ORIGIN, "", "", "/a", "b?c"},
        {"//a", ERR_OK, URI_ORIGIN, "", "", "//a", NULL},
        {"/[a]|b", ERR_OK, URI_ORIGIN, "", "", "/[a]|b", NULL},
        {"/?a=%zz", ERR_OK, URI_ORIGIN, "", "", "/", "a=%zz"},
        {"*", ERR_OK, URI_ASTERISK, "", "", "", NULL},
        {"http://h/p?q", ERR_OK, URI_ABSOLUTE, "http", "h", "/p", "q"},
        {"HTTP://h:80", ERR_OK, URI_ABSOLUTE, "HTTP", "h:80", "/", NULL},
        {"http://h?q", ERR_OK, URI_ABSOLUTE, "http", "h", "/", "q"},
        {"http://[::1]:8/", ERR_OK, URI_ABSOLUTE, "http", "[::1]:8", "/", NULL},
        {"h:443", ERR_OK, URI_AUTHORITY, "", "h:443", "", NULL},
        {"", ERR_BAD_TARGET},
        {"a", ERR_BAD_TARGET},
        {"a/b:c", ERR_BAD_TARGET},
        {":80", ERR_BAD_TARGET},
        {"**", ERR_BAD_TARGET},
        {"http:///p", ERR_BAD_TARGET},
        {"1http://h/", ERR_BAD_TARGET},
        {"://h/", ERR_BAD_TARGET},
        {"/a#b", ERR_BAD_TARGET},
        {"/a?b#c", ERR_BAD_TARGET},
        {"/a\\b", ERR_BAD_TARGET},
        {"/a{b", ERR_BAD_TARGET},
        {"/a\"b", ERR_BAD_TARGET},
        {"/a?<b", ERR_BAD_TARGET},
        {"/a\x7f", ERR_BAD_TARGET},
        {"/a\x01", ERR_BAD_TARGET},
        {"/a\xc3\xa4", ERR_BAD_TARGET},
        {"/a?\xc3\xa4", ERR_BAD_TARGET},
        {"/a b", ERR_BAD_TARGET},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct uri u;
        assert_int_equal(uri_parse(slice_of(rows[i].target), &u), rows[i].err);
        if (rows[i].err)
            continue;
        assert_int_equal(u.form, rows[i].form);
        assert_true(slice_eq(u.scheme, slice_of(rows[i].scheme)));
        assert_true(slice_eq(u.authority, slice_of(rows[i].authority)));
        assert_true(slice_eq(u.raw_path, slice_of(rows[i].path)));
        assert_int_equal(u.has_query, rows[i].query != NULL);
        if (rows[i].query)
            assert_true(slice_eq(u.query, slice_of(rows[i].query)));
    }
}

static void paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *out; /* out NULL: ERR_BAD_TARGET */
        unsigned flags;
    } rows[] = {
        {"/", "/"},
        {"/a/b.c-d_e~f", "/a/b.c-d_e~f"},
        {"/.", "/"},
        {"/a/.", "/a/"},
        {"/a/./b", "/a/b"},
        {"/a/..", "/"},
        {"/a/../b", "/b"},
        {"/a/b/../../c/", "/c/"},
        {"/a/..b", "/a/..b"},
        {"/.well-known/x", "/.well-known/x"},
        {"/...", "/..."},
        {"/..", NULL},
        {"/a/../..", NULL},
        {"/a/../../b", NULL},
        {"/%2e%2E/a", NULL},
        {"/a/%2e%2e/b", "/b"},
        {"/a/.%2e", "/"},
        {"/%41%7e%2d", "/A~-"},
        {"/%e4%2f%3a", "/%E4%2F%3A"},
        {"/%25%32%65", "/%252e"},
        {"/a%2Fb", "/a%2Fb"},
        {"/a/..%2fb", NULL},
        {"/a/x%2f..", NULL},
        {"/a/x%2f.%2fy", NULL},
        {"/a/..%5cb", NULL},
        {"/a/x%2f..y", "/a/x%2F..y"},
        {"/a/..;/b", NULL},
        {"/a/..;x=1", NULL},
        {"/a/.;/b", NULL},
        {"/a;x=../b", "/a;x=../b"},
        {"/%00", NULL},
        {"/a%0", NULL},
        {"/a%", NULL},
        {"/a%4", NULL},
        {"/a%g0", NULL},
        {"/a%0g", NULL},
        {"/[a]|", "/%5Ba%5D%7C"},
        {"/a//b", "/a//b"},
        {"/a//../b", "/a/b"},
        {"/a//b", "/a/b", URI_MERGE_SLASHES},
        {"//", "/", URI_MERGE_SLASHES},
        {"///a//", "/a/", URI_MERGE_SLASHES},
        {"/a//../b", "/b", URI_MERGE_SLASHES},
        {"/a/.//b", "/a/b", URI_MERGE_SLASHES},
        {"", NULL},
        {"a", NULL},
        {"*", NULL},
        {"/a?b", NULL},
        {"/a b", NULL},
        {"/a\\b", NULL},
    };
    struct arena a;
    arena_init(&a, 65536);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice out = SLICE_NONE, path = slice_of(rows[i].path);
        enum err e = uri_normalize_path(&a, path, rows[i].flags, &out);
        assert_int_equal(e, rows[i].out ? ERR_OK : ERR_BAD_TARGET);
        if (rows[i].out && !slice_eq(out, slice_of(rows[i].out)))
            fail_msg("%s gave %.*s", rows[i].path, SLICE_ARG(out));
    }
    arena_release(&a);
}

static void clean_paths_are_not_copied(void **state)
{
    (void)state;
    struct arena a;
    struct slice path = SLICE("/static/app.js"), out;
    arena_init(&a, 0);
    assert_int_equal(uri_normalize_path(&a, path, URI_MERGE_SLASHES, &out), ERR_OK);
    assert_ptr_equal(out.at, path.at);
    assert_int_equal(uri_normalize_path(&a, SLICE("/a/./b"), 0, &out), ERR_OVER_BUDGET);
    arena_release(&a);
}

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host; /* host NULL: ERR_BAD_HOST */
        uint16_t port;
    } rows[] = {
        {"example.com", "example.com", 0},
        {"Example.COM:8080", "example.com", 8080},
        {"example.com.", "example.com", 0},
        {"example.com.:1", "example.com", 1},
        {"a_b-c~d", "a_b-c~d", 0},
        {"127.0.0.1:65535", "127.0.0.1", 65535},
        {"h:", "h", 0},
        {"[::1]", "[::1]", 0},
        {"[2001:DB8::1]:443", "[2001:db8::1]", 443},
        {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 0},
        {"", NULL},
        {".", NULL},
        {"..", NULL},
        {"a..b", NULL},
        {".a", NULL},
        {":80", NULL},
        {"h:0", NULL},
        {"h:65536", NULL},
        {"h:000080", NULL},
        {"h:8a", NULL},
        {"h:+8", NULL},
        {"h:80:80", NULL},
        {"u@h", NULL},
        {"a b", NULL},
        {"a,b", NULL},
        {"a/b", NULL},
        {"a%41", NULL},
        {"a\xc3\xa4", NULL},
        {"[::1", NULL},
        {"[]", NULL},
        {"[::1]x", NULL},
        {"[::g]", NULL},
        {"[1.2.3.4]", NULL},
        {"[fe80::1%25eth0]", NULL},
        {"[v1.x]", NULL},
    };
    struct arena a;
    arena_init(&a, 65536);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice host = SLICE_NONE;
        uint16_t port = 0;
        enum err e = uri_host_parse(&a, slice_of(rows[i].text), &host, &port);
        if (e != (rows[i].host ? ERR_OK : ERR_BAD_HOST))
            fail_msg("%s gave %s", rows[i].text, err_name(e));
        if (!rows[i].host)
            continue;
        assert_true(slice_eq(host, slice_of(rows[i].host)));
        assert_int_equal(port, rows[i].port);
    }
    arena_release(&a);
}

static void long_hosts(void **state)
{
    (void)state;
    struct arena a;
    struct slice host;
    uint16_t port;
    char text[256];
    memset(text, 'a', sizeof text);
    arena_init(&a, 0);
    assert_int_equal(uri_host_parse(&a, (struct slice){text, 255}, &host, &port), ERR_OK);
    assert_int_equal(uri_host_parse(&a, (struct slice){text, 256}, &host, &port), ERR_BAD_HOST);
    assert_int_equal(uri_host_parse(&a, SLICE("A"), &host, &port), ERR_OVER_BUDGET);
    arena_release(&a);
}

static void queries(void **state)
{
    (void)state;
    struct arena a;
    struct slice query = SLICE("a=1&b&c=x=y&a=2&d=");
    arena_init(&a, 4096);
    assert_true(slice_eq(uri_query_get(query, SLICE("a")), SLICE("1")));
    assert_true(slice_eq(uri_query_get(query, SLICE("c")), SLICE("x=y")));
    assert_non_null(uri_query_get(query, SLICE("b")).at);
    assert_int_equal(uri_query_get(query, SLICE("d")).len, 0);
    assert_non_null(uri_query_get(query, SLICE("d")).at);
    assert_null(uri_query_get(query, SLICE("e")).at);
    assert_null(uri_query_get(SLICE_NONE, SLICE("e")).at);
    assert_true(slice_eq(uri_decode(&a, SLICE("a%20b+%C3")), SLICE("a b+\xc3")));
    assert_null(uri_decode(&a, SLICE("a%2")).at);
    assert_null(uri_decode(&a, SLICE("%zz")).at);
    arena_release(&a);
}

static void checked_targets_split(void **state)
{
    (void)state;
    static const char *const targets[] = {"/", "/a", "/a?", "/a?b=c?d", "/?", "/a/b;c?d"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
        struct uri parsed, split;
        assert_int_equal(uri_parse(slice_of(targets[i]), &parsed), ERR_OK);
        uri_origin_split(slice_of(targets[i]), &split);
        assert_int_equal(split.form, parsed.form);
        assert_true(slice_eq(split.raw_path, parsed.raw_path));
        assert_true(slice_eq(split.query, parsed.query));
        assert_int_equal(split.has_query, parsed.has_query);
    }
}

static void checked_authorities_split(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {
        {"a.example", "a.example", 0},
        {"a.example:1", "a.example", 1},
        {"a.example:65535", "a.example", 65535},
        {"127.0.0.1", "127.0.0.1", 0},
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"[::1]", "[::1]", 0},
        {"[::1]:443", "[::1]", 443},
        {"42", "42", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct slice host;
        uint16_t port = 7;
        uri_authority_split(slice_of(rows[i].text), &host, &port);
        assert_true(slice_eq(host, slice_of(rows[i].host)));
        assert_int_equal(port, rows[i].port);
    }
}

UNIT_SUITE(http_uri, cmocka_unit_test(targets), cmocka_unit_test(paths),
           cmocka_unit_test(clean_paths_are_not_copied), cmocka_unit_test(hosts),
           cmocka_unit_test(long_hosts), cmocka_unit_test(checked_authorities_split),
           cmocka_unit_test(checked_targets_split), cmocka_unit_test(queries));
