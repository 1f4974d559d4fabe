/* web_origin_test.c - which origins match what was configured, and the spellings of others that try
 * to. */
// SPDX-License-Identifier: Apache-2.0
#include "http/web_origin_fuzz_priv.h"
#include "tests/corpus.h"

static const struct {
    const char *configured, *sent;
    bool matches;
} MATCHES[] = {
    {"https://app.example.com", "https://app.example.com", true},
    {"HTTPS://App.Example.COM:443", "https://app.example.com", true}, /* ours may be spelled so */
    {"http://app.example.com:80", "http://app.example.com", true},
    {"https://app.example.com:8443", "https://app.example.com:8443", true},
    {"https://app.example.com:8443", "https://app.example.com", false},
    {"https://app.example.com", "https://app.example.com:8443", false},
    {"https://app.example.com", "https://app.example.com:443", false}, /* no browser's spelling */
    {"https://app.example.com", "http://app.example.com", false},
    {"http://app.example.com", "https://app.example.com", false},
    {"https://app.example.com", "https://APP.example.com", false},
    {"https://app.example.com", "https://app.example.com.", false},
    {"https://app.example.com", "https://app.example.com/", false},
    {"https://app.example.com", "https://app.example.com.evil.test", false},
    {"https://app.example.com", "https://app.example.com@evil.test", false},
    {"https://app.example.com", "https://app.example.com:x@evil.test", false},
    {"https://app.example.com", "https://evil.test/https://app.example.com", false},
    {"https://app.example.com", "https://app.example.com https://evil.test", false},
    {"https://app.example.com", "https://app.example.com, https://evil.test", false},
    {"https://app.example.com", "https://app_example.com", false}, /* a dot is a dot */
    {"https://app.example.com", "xhttps://app.example.com", false},
    {"https://app.example.com", "https:app.example.com", false},
    {"https://app.example.com", "null", false},
    {"https://app.example.com", "", false},
    {"https://*.example.org", "https://a.example.org", true},
    {"https://*.example.org", "https://a-1.b.example.org", true},
    {"https://*.example.org", "https://example.org", false},
    {"https://*.example.org", "https://.example.org", false},
    {"https://*.example.org", "https://a..example.org", false},
    {"https://*.example.org", "https://.a.example.org", false},
    {"https://*.example.org", "https://evilexample.org", false},
    {"https://*.example.org", "https://evil.test?.example.org", false},
    {"https://*.example.org", "https://evil.test/.example.org", false},
    {"https://*.example.org", "https://evil.test#.example.org", false},
    {"https://*.example.org", "https://evil.test\\.example.org", false},
    {"https://*.example.org", "https://evil.test@a.example.org", false},
    {"https://*.example.org", "https://evil.test:80.example.org", false},
    {"https://*.example.org", "https://evil.test:80@a.example.org", false},
    {"https://*.example.org", "https://a.example.org.evil.test", false},
    {"https://*.example.org", "https://a.example.org:8443", false},
    {"https://*.example.org", "https://A.example.org", false},
    {"https://*.example.org", "https://a.example.org.", false},
    {"https://*.example.org", "https://a%2eexample.org", false},
    {"https://*.example.org:8443", "https://a.example.org:8443", true},
    {"http://localhost:*", "http://localhost", true},
    {"http://localhost:*", "http://localhost:3000", true},
    {"http://localhost:*", "http://localhost:03000", false},
    {"http://localhost:*", "http://localhost:", false},
    {"http://localhost:*", "http://localhost:3000.evil.test", false},
    {"http://localhost:*", "http://localhost:123456", false},
    {"http://localhost:*", "http://localhost:1@evil.test", false},
    {"http://localhost:*", "http://localhost.evil.test:80", false},
    {"http://[::1]:3000", "http://[::1]:3000", true},
    {"http://[::1]:3000", "http://[::2]:3000", false},
    {"chrome-extension://abcdef", "chrome-extension://abcdef", true},
};

static void origins_match_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(MATCHES); i++) {
        struct arena a;
        struct web_origin o;
        arena_init(&a, 65536);
        assert_int_equal(web_origin_parse(&a, slice_of(MATCHES[i].configured), &o), ERR_OK);
        if (web_origin_matches(&o, slice_of(MATCHES[i].sent)) != MATCHES[i].matches)
            fail_msg("'%s' and '%s'", MATCHES[i].configured, MATCHES[i].sent);
        arena_release(&a);
    }
}

static void what_is_no_origin_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "*",
        "app.example.com",
        "//app.example.com",
        "https:app.example.com",
        "https://",
        "https://*",
        "https://*.",
        "https://a.*.test",
        "https://*a.test",
        "https://a.test/",
        "https://a.test/x",
        "https://u@a.test",
        "https://a.test:x",
        "https://a.test:70000",
        "https://a.test:80:*",
        "https://*.[::1]",
        "1s://a.test",
        "ht tps://a.test",
        "https://a b.test",
        "https://b\xc3\xbc"
        "cher.test",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct arena a;
        struct web_origin o;
        arena_init(&a, 65536);
        if (web_origin_parse(&a, slice_of(bad[i]), &o) != ERR_BAD_HOST)
            fail_msg("'%s' was taken", bad[i]);
        arena_release(&a);
    }
}

static void memory_can_run_out(void **state)
{
    (void)state;
    struct arena a;
    struct web_origin o;
    arena_init(&a, 0);
    assert_int_equal(web_origin_parse(&a, SLICE("https://a.test"), &o), ERR_OVER_BUDGET);
    arena_release(&a);
}

static bool own(const char *origin, const char *scheme, const char *host, uint16_t port)
{
    return web_origin_is(slice_of(origin), slice_of(scheme), slice_of(host), port);
}

static void pages_of_the_host_itself(void **state)
{
    (void)state;
    assert_true(own("https://a.test", "https", "a.test", 0));
    assert_true(own("https://a.test", "https", "a.test", 443));
    assert_true(own("https://A.test.:443", "https", "a.test", 0));
    assert_true(own("http://a.test:8080", "http", "a.test", 8080));
    assert_true(own("http://[::1]:8080", "http", "[::1]", 8080));
    assert_false(own("http://a.test", "https", "a.test", 0));
    assert_false(own("http://a.test:443", "https", "a.test", 0));
    assert_false(own("https://a.test:80", "https", "a.test", 0));
    assert_false(own("http://a.test", "http", "a.test", 8080));
    assert_false(own("http://a.test:8080", "http", "a.test", 0));
    assert_false(own("https://a.test.evil.test", "https", "a.test", 0));
    assert_false(own("https://a.test:443@evil.test", "https", "a.test", 0));
    assert_false(own("https://a.test:443.evil.test", "https", "a.test", 0));
    assert_false(own("https://a.test@evil.test", "https", "a.test", 0));
    assert_false(own("https://a.testevil", "https", "a.test", 0));
    assert_false(own("https://a.test..", "https", "a.test", 0));
    assert_false(own("https://a.test:66979", "https", "a.test", 0)); /* 443 + 65536 */
    assert_false(own("null", "https", "a.test", 0));
    assert_false(own("https://", "https", "", 0));
}

static bool front_is(const char *url, const char *origin)
{
    return slice_eq(web_origin_of_url(slice_of(url)), slice_of(origin));
}

static void fronts_of_urls(void **state)
{
    (void)state;
    assert_true(front_is("https://a.test/x?y", "https://a.test"));
    assert_true(front_is("https://a.test:81?https://b.test/", "https://a.test:81"));
    assert_true(front_is("https://evil.test\\@a.test/", "https://evil.test"));
    assert_true(front_is("https://evil.test#a.test/", "https://evil.test"));
    assert_true(front_is("https://a.test", "https://a.test"));
    assert_true(front_is("about:blank", ""));
    assert_true(front_is("", ""));
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_web_origin(bytes, len) ? 1 : 0;
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/web_origin/*", 12, replay) >= 7);
}

UNIT_SUITE(http_web_origin, cmocka_unit_test(origins_match_or_not),
           cmocka_unit_test(what_is_no_origin_is_refused), cmocka_unit_test(memory_can_run_out),
           cmocka_unit_test(pages_of_the_host_itself), cmocka_unit_test(fronts_of_urls),
           cmocka_unit_test(corpus_holds));
