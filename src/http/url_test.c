/* url_test.c - URLs as strangers name them, their disguises, references; and the fuzzer's corpus.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "http/url.h"
#include "http/url_fuzz_priv.h"
#include "tests/corpus.h"

enum { ARENA_BYTES = 1 << 20 };

static const struct {
    const char *text, *host, *written;
    uint16_t port;
    bool is_ip;
} taken[] = {
    {"http://example.com", "example.com", "http://example.com/", 80, false},
    {"https://example.com/", "example.com", "https://example.com/", 443, false},
    {"HTTPS://EXAMPLE.com./A?b", "example.com", "https://example.com/A?b", 443, false},
    {"http://a.test:8080/x?", "a.test", "http://a.test:8080/x?", 8080, false},
    {"http://a.test:80/", "a.test", "http://a.test/", 80, false},
    {"http://a.test:0080/", "a.test", "http://a.test/", 80, false},
    {"https://a.test:/", "a.test", "https://a.test/", 443, false},
    {"http://a.test:443/", "a.test", "http://a.test:443/", 443, false},
    {"http://a.test?q=/b", "a.test", "http://a.test/?q=/b", 80, false},
    {"http://a.test/#f?x", "a.test", "http://a.test/", 80, false},
    {"http://a.test#@b.test/", "a.test", "http://a.test/", 80, false},
    {"http://a.test/%7Eu/./b/../c", "a.test", "http://a.test/~u/c", 80, false},
    {"http://a.test//b//c", "a.test", "http://a.test//b//c", 80, false},
    {"http://a.test/%2e%2E/b", NULL, NULL, 0, false},
    {"http://xn--bcher-kva.test/", "xn--bcher-kva.test", "http://xn--bcher-kva.test/", 80, false},
    {"http://my_host/", "my_host", "http://my_host/", 80, false},
    {"http://127.0.0.1/", "127.0.0.1", "http://127.0.0.1/", 80, true},
    {"http://127.0.0.1./", "127.0.0.1", "http://127.0.0.1/", 80, true},
    {"http://[::1]:81/", "::1", "http://[::1]:81/", 81, true},
    {"http://[::FFFF:127.0.0.1]/", "::ffff:127.0.0.1", "http://[::ffff:127.0.0.1]/", 80, true},
    {"http://1.2.3.4.test/", "1.2.3.4.test", "http://1.2.3.4.test/", 80, false},
    {"http://0x7f.test/", "0x7f.test", "http://0x7f.test/", 80, false},
    {"http://7f.0x7g/", "7f.0x7g", "http://7f.0x7g/", 80, false},
};

static void expect_taken(struct arena *a, size_t i)
{
    struct url u;
    enum err e = url_parse(a, slice_of(taken[i].text), &u);
    if (!taken[i].host) {
        assert_int_not_equal(e, ERR_OK);
        return;
    }
    if (e != ERR_OK)
        fail_msg("%s: %s", taken[i].text, err_name(e));
    assert_true(slice_eq(u.host, slice_of(taken[i].host)));
    assert_true(slice_eq(url_write(a, &u), slice_of(taken[i].written)));
    assert_int_equal(u.port, taken[i].port);
    assert_int_equal(u.is_ip, taken[i].is_ip);
}

static void urls_are_taken(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, ARENA_BYTES);
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        expect_taken(&a, i);
    arena_release(&a);
}

/* Each reads as something else to one program or another. */
static const char *const refused[] = {
    "",
    "example.com",
    "//example.com/",
    "/path",
    "http:",
    "http:/",
    "http://",
    "http:///x",
    "http:example.com",
    "http:/example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "data:,x",
    "ws://example.com/",
    " http://example.com/",
    "http://example.com/ ",
    "http://exa mple.com/",
    "http ://example.com/",
    "\thttp://example.com/",
    "http://example.com/\r\nX: y",
    "http://example.com\n/",
    "http://exam\tple.com/",
    "http://example.com/a\tb",
    "http://example.com\\@evil.test/",
    "http:\\\\example.com/",
    "http://example.com\\evil.test/",
    "http://example.com/a\\b",
    /* user information */
    "http://user@example.com/",
    "http://user:pw@example.com/",
    "http://@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    /* ports */
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:8 0/",
    "http://example.com:80:80/",
    "http://example.com:0x50/",
    /* numbers that are no dotted quads */
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://0x7f.0.0.1/",
    "http://127.0.0.0x1/",
    "http://127.0.0.1.1/",
    "http://00.0.0.0/",
    "http://0/",
    "http://0x/",
    "http://256.0.0.1/",
    "http://127.0.0.01/",
    "http://1.2.3.09/",
    "http://a.1/",
    "http://a.0x1/",
    "http://127.0.0.1../",
    /* names */
    "http://./",
    "http://.example.com/",
    "http://example..com/",
    "http://exa%6dple.com/",
    "http://127.0.0.1%00.example.com/",
    "http://exa~mple.com/",
    "http://exa$mple.com/",
    "http://*.example.com/",
    "http://\xef\xbc\x91\xef\xbc\x92.test/",
    "http://b\xc3\xbc"
    "cher.test/",
    "http://\xe3\x80\x82/",
    "http://a\xc2\xad.test/",
    "http://a,b.test/",
    "http://a.test;b/",
    /* IPv6 */
    "http://[::1/",
    "http://::1/",
    "http://[]/",
    "http://[::1]x/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.x]/",
    "http://[127.0.0.1]/",
    "http://[::1].test/",
    "http://[::127.0.0.1.]/",
    /* paths */
    "http://a.test/..",
    "http://a.test/../b",
    "http://a.test/%00",
    "http://a.test/%zz",
    "http://a.test/%2",
    "http://a.test/\x7f",
    "http://a.test/\xc3\xa4",
    "http://a.test/{b}",
    "http://a.test/..%2fb",
    "http://a.test/?a b",
    "http://a.test/?\x01",
};

static void disguises_are_refused(void **state)
{
    struct arena a;
    struct url u;
    (void)state;
    arena_init(&a, ARENA_BYTES);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if (url_parse(&a, slice_of(refused[i]), &u) == ERR_OK)
            fail_msg("%s is taken, for host %.*s", refused[i], SLICE_ARG(u.host));
    assert_int_not_equal(url_parse(&a, SLICE("http://a.test/\0b"), &u), ERR_OK);
    assert_int_not_equal(url_parse(&a, SLICE("http://a\0.test/"), &u), ERR_OK);
    arena_release(&a);
}

/* "http://" and so many bytes of labels. */
static enum err host_of_length(struct arena *a, size_t label, size_t total)
{
    struct text t;
    struct url u;
    text_init(&t);
    text_addf(&t, "http://");
    for (size_t i = 0; i < total; i++)
        text_addf(&t, "%c", i % (label + 1) == label ? '.' : 'a');
    enum err e = url_parse(a, text_slice(&t), &u);
    text_release(&t);
    return e;
}

static enum err url_of_length(struct arena *a, size_t total)
{
    struct text t;
    struct url u;
    text_init(&t);
    text_addf(&t, "http://a/%0*d", (int)(total - 9), 0);
    enum err e = url_parse(a, text_slice(&t), &u);
    text_release(&t);
    return e;
}

static void lengths_have_limits(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, ARENA_BYTES);
    assert_int_equal(host_of_length(&a, 63, 253), ERR_OK);
    assert_int_equal(host_of_length(&a, 63, 254), ERR_BAD_HOST);
    assert_int_equal(host_of_length(&a, 64, 64), ERR_BAD_HOST);
    assert_int_equal(url_of_length(&a, URL_MAX_BYTES), ERR_OK);
    assert_int_equal(url_of_length(&a, URL_MAX_BYTES + 1), ERR_BAD_TARGET);
    arena_release(&a);
}

static const struct {
    const char *reference, *written; /* NULL: refused */
} references[] = {
    {"http://b.test/x", "http://b.test/x"},
    {"HTTP://b.test", "http://b.test/"},
    {"//b.test/x?y", "https://b.test/x?y"},
    {"/x", "https://a.test:8443/x"},
    {"/x?y#z", "https://a.test:8443/x?y"},
    {"?y", "https://a.test:8443/one/two?y"},
    {"", "https://a.test:8443/one/two?three"},
    {"#f", "https://a.test:8443/one/two?three"},
    {"x", "https://a.test:8443/one/x"},
    {"./x", "https://a.test:8443/one/x"},
    {"../x", "https://a.test:8443/x"},
    {"x?u=http://c.test/", "https://a.test:8443/one/x?u=http://c.test/"},
    {"x/y:z", "https://a.test:8443/one/x/y:z"},
    {"../../x", NULL},
    {"http:x", NULL},
    {"x:y", NULL},
    {"ftp://b.test/", NULL},
    {"javascript:alert(1)", NULL},
    {"//user@b.test/", NULL},
    {"//2130706433/", NULL},
    {"\\\\b.test", NULL},
    {"/\\b.test", NULL},
    {" /x", NULL},
    {"/x y", NULL},
    {"///b.test/", NULL},
    {"http:///b.test", NULL},
};

static void references_resolve(void **state)
{
    struct arena a;
    struct url base, u;
    (void)state;
    arena_init(&a, ARENA_BYTES);
    assert_int_equal(url_parse(&a, SLICE("https://a.test:8443/one/two?three"), &base), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(references); i++) {
        bool ok = url_resolve(&a, &base, slice_of(references[i].reference), &u) == ERR_OK;
        if (ok != (references[i].written != NULL))
            fail_msg("'%s' is %s", references[i].reference, ok ? "taken" : "refused");
        if (ok)
            assert_string_equal(url_write(&a, &u).at, references[i].written);
    }
    arena_release(&a);
}

static void origins_compare(void **state)
{
    struct arena a;
    struct url u, v;
    (void)state;
    arena_init(&a, ARENA_BYTES);
    assert_int_equal(url_parse(&a, SLICE("https://a.test/x"), &u), ERR_OK);
    assert_int_equal(url_parse(&a, SLICE("https://A.test.:443/y"), &v), ERR_OK);
    assert_true(url_same_origin(&u, &v));
    assert_int_equal(url_parse(&a, SLICE("http://a.test:443/"), &v), ERR_OK);
    assert_false(url_same_origin(&u, &v));
    assert_int_equal(url_parse(&a, SLICE("https://a.test:444/"), &v), ERR_OK);
    assert_false(url_same_origin(&u, &v));
    assert_int_equal(url_parse(&a, SLICE("https://b.test/"), &v), ERR_OK);
    assert_false(url_same_origin(&u, &v));
    arena_release(&a);
}

static size_t replay(char *at, size_t len)
{
    fuzz_url(at, len);
    return len;
}

static void corpus_holds(void **state)
{
    (void)state;
    corpus_replay("tests/corpus/url/*", 10, replay);
}

UNIT_SUITE(http_url, cmocka_unit_test(urls_are_taken), cmocka_unit_test(disguises_are_refused),
           cmocka_unit_test(lengths_have_limits), cmocka_unit_test(references_resolve),
           cmocka_unit_test(origins_compare), cmocka_unit_test(corpus_holds));
