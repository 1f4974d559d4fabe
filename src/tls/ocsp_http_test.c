/* ocsp_http_test.c - URLs of responders, the question, and answers at and past their limits. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/ocsp_http.h"
#include <stdio.h>
#include <stdlib.h>

static struct text bytes, why;

static int tear_down(void **state)
{
    (void)state;
    text_release(&bytes);
    text_release(&why);
    return 0;
}

static void url_is(const char *url, const char *host, unsigned port, const char *path)
{
    struct ocsp_url u;
    if (!ocsp_url_parse(slice_of(url), &u))
        fail_msg("%s", url);
    assert_true(slice_eq(u.host, slice_of(host)));
    assert_int_equal(u.port, port);
    assert_true(slice_eq(u.path, slice_of(path)));
}

static void urls_are_split(void **state)
{
    (void)state;
    url_is("http://r.example", "r.example", 80, "");
    url_is("http://r.example/", "r.example", 80, "/");
    url_is("http://r.example:8080/a/b?c", "r.example", 8080, "/a/b?c");
    url_is("http://[::1]:65535/x", "::1", 65535, "/x");
    url_is("http://10.0.0.1", "10.0.0.1", 80, "");
}

static void bad_urls_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "https://a/",
                                      "http://",
                                      "http:///x",
                                      "http://a b/",
                                      "http://a/\r\nX: y",
                                      "http://a:0/",
                                      "http://a:65536/",
                                      "http://a:/",
                                      "http://a:x/",
                                      "http://[::1/",
                                      "http://[::1]x/",
                                      "http://u@a/",
                                      "http://a\xc3/",
                                      "HTTP://a/"};
    struct ocsp_url u;
    char long_url[OCSP_URL_BYTES_MAX + 1];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (ocsp_url_parse(slice_of(bad[i]), &u))
            fail_msg("%s", bad[i]);
    memset(long_url, 'a', sizeof long_url);
    memcpy(long_url, "http://a/", 9);
    assert_true(ocsp_url_parse((struct slice){long_url, OCSP_URL_BYTES_MAX}, &u));
    assert_false(ocsp_url_parse((struct slice){long_url, OCSP_URL_BYTES_MAX + 1}, &u));
}

static void the_question(void **state)
{
    (void)state;
    struct ocsp_url u;
    assert_true(ocsp_url_parse(SLICE("http://r.example:81"), &u));
    ocsp_http_write(&u, SLICE("DER"), &bytes);
    assert_string_equal(bytes.at,
                        "POST / HTTP/1.0\r\nHost: r.example:81\r\n"
                        "Content-Type: application/ocsp-request\r\n"
                        "Accept: application/ocsp-response\r\nContent-Length: 3\r\n\r\nDER");
}

#define HEAD "HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n"

static enum ocsp_http read_it(struct slice s, enum ocsp_http_end end, struct slice *body)
{
    text_clear(&why);
    enum ocsp_http r = ocsp_http_read(s, end, body, &why);
    assert_true((r == OCSP_HTTP_BAD) == (why.len > 0));
    return r;
}

static void answers_are_read(void **state)
{
    (void)state;
    struct slice body, sized = SLICE(HEAD "content-length:  3 \r\n\r\nabc"),
                       ended = SLICE(HEAD "\r\nabcd");
    for (size_t cut = 0; cut < sized.len; cut++)
        assert_int_equal(read_it(slice_head(sized, cut), OCSP_HTTP_OPEN, &body), OCSP_HTTP_MORE);
    for (size_t cut = 0; cut < sized.len; cut++)
        assert_int_equal(read_it(slice_head(sized, cut), OCSP_HTTP_ENDED, &body), OCSP_HTTP_BAD);
    assert_int_equal(read_it(sized, OCSP_HTTP_OPEN, &body), OCSP_HTTP_DONE);
    assert_true(slice_eq(body, SLICE("abc")));
    assert_int_equal(read_it(ended, OCSP_HTTP_OPEN, &body), OCSP_HTTP_MORE);
    assert_int_equal(read_it(ended, OCSP_HTTP_ENDED, &body), OCSP_HTTP_DONE);
    assert_true(slice_eq(body, SLICE("abcd")));
}

static void refused(struct slice s, const char *words)
{
    struct slice body;
    assert_int_equal(read_it(s, OCSP_HTTP_OPEN, &body), OCSP_HTTP_BAD);
    if (!strstr(why.at, words))
        fail_msg("'%s' is not in: %s", words, why.at);
}

static void bad_answers_are_refused(void **state)
{
    (void)state;
    refused(SLICE("HTTP/1.1 404 Not Found\r\n\r\n"), "status 404");
    refused(SLICE("HTTP/1.1 2000 OK\r\n\r\n"), "status 200");
    refused(SLICE("HTTP/2 200\r\n\r\n"), "does not speak HTTP");
    refused(SLICE("\r\n\r\n"), "does not speak HTTP");
    refused(SLICE("SSH-2.0\r\n\r\n"), "does not speak HTTP");
    refused(SLICE("HTTP/1.1 200 OK\r\n\r\n"), "no application/ocsp-response");
    refused(SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"),
            "no application/ocsp-response");
    refused(SLICE(HEAD "Transfer-Encoding: chunked\r\n\r\n"), "transfer coding");
    refused(SLICE(HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"), "repeated");
    refused(SLICE(HEAD "Content-Length: -1\r\n\r\n"), "malformed");
    refused(SLICE(HEAD "junk\r\n\r\n"), "malformed");
    refused(SLICE(HEAD ": x\r\n\r\n"), "malformed");
    refused(SLICE(HEAD "Content-Length: 16385\r\n\r\n"), "too long");
}

static void fill(size_t len)
{
    while (bytes.len < len)
        text_add(&bytes, SLICE("x"));
}

static void sizes_have_limits(void **state)
{
    (void)state;
    struct slice body;
    text_add(&bytes, SLICE(HEAD "\r\n"));
    fill(strlen(HEAD "\r\n") + OCSP_BODY_BYTES_MAX);
    assert_int_equal(read_it(text_slice(&bytes), OCSP_HTTP_ENDED, &body), OCSP_HTTP_DONE);
    text_add(&bytes, SLICE("x"));
    refused(text_slice(&bytes), "too long");
    text_clear(&bytes);
    text_add(&bytes, SLICE(HEAD "X: "));
    fill(OCSP_HEAD_BYTES_MAX - 4);
    text_add(&bytes, SLICE("\r\n\r\n"));
    assert_int_equal(read_it(text_slice(&bytes), OCSP_HTTP_ENDED, &body), OCSP_HTTP_DONE);
    bytes.len -= 4;
    text_add(&bytes, SLICE("x\r\n\r\n"));
    refused(text_slice(&bytes), "head of the responder's answer is too long");
    bytes.len = OCSP_HEAD_BYTES_MAX;
    refused(text_slice(&bytes), "head of the responder's answer is too long");
    bytes.len--;
    assert_int_equal(read_it(text_slice(&bytes), OCSP_HTTP_OPEN, &body), OCSP_HTTP_MORE);
}

UNIT_SUITE(tls_ocsp_http, cmocka_unit_test_teardown(urls_are_split, tear_down),
           cmocka_unit_test_teardown(bad_urls_are_refused, tear_down),
           cmocka_unit_test_teardown(the_question, tear_down),
           cmocka_unit_test_teardown(answers_are_read, tear_down),
           cmocka_unit_test_teardown(bad_answers_are_refused, tear_down),
           cmocka_unit_test_teardown(sizes_have_limits, tear_down));
