/* explain_test.c - what `weir explain` prints, whole. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "proxy/config_test_priv.h"

static const char CONFIG[] =
    "listen 127.0.0.1:8080\n"
    "upstream app {\n"
    " server 10.0.0.1:80\n"
    " server 10.0.0.2:80\n"
    " balance round_robin\n"
    "}\n"
    "site a.example *.b.example {\n"
    " proxy app\n"
    " request set X-A one\n"
    " response del X-Powered-By\n"
    " when method == POST { timeout read=10m }\n"
    " route /api/ strip {\n"
    "  proxy 10.0.0.3:9000 10.0.0.4:9000\n"
    "  request set X-Tenant acme\n"
    " }\n"
    " route /api/v1 { proxy 10.0.0.5:9000; body max=off;"
    " request buffer on; log access combined to=/tmp/a.log }\n"
    " route = /no { respond 403 \"go away\"; log access off; body max=3k }\n"
    " route ~ ^/r { redirect 301 https://$host$uri }\n"
    " route /empty { no proxy }\n"
    "}\n";

static void check(const struct explain_request *r, bool ok, const char *want)
{
    struct test_config t;
    struct text out;
    test_config_need(&t, CONFIG);
    text_init(&out);
    assert_int_equal(proxy_explain(t.conf, r, &out), ok);
    assert_string_equal(out.at, want);
    text_release(&out);
    test_config_release(&t);
}

static void check_get(const char *url, const char *want)
{
    check(&(struct explain_request){.method = SLICE("GET"), .url = slice_of(url)}, true, want);
}

static void a_stripped_prefix(void **state)
{
    (void)state;
    check_get("http://a.example/api/x?y=1",
              "listen     127.0.0.1:8080                            test.conf:1\n"
              "site       a.example (exact)                         test.conf:7\n"
              "route      /api/ strip (longest prefix)              test.conf:12\n"
              "when       method == POST: does not hold             test.conf:11\n"
              "request    set X-A one                               test.conf:9\n"
              "request    set X-Tenant acme                         test.conf:14\n"
              "path       /api/x -> /x\n"
              "body       max=100M\n"
              "timeout    connect=5s first_byte=1m read=1m\n"
              "upstream   10.0.0.3:9000 10.0.0.4:9000, two_choices  test.conf:13\n"
              "response   del X-Powered-By                          test.conf:10\n"
              "log        json to stdout\n");
}

static void a_longer_prefix_and_a_shorter_one(void **state)
{
    (void)state;
    check_get("http://a.example/api/v1/z",
              "listen     127.0.0.1:8080                                 test.conf:1\n"
              "site       a.example (exact)                              test.conf:7\n"
              "route      /api/v1 (longest prefix; also matched: /api/)  test.conf:16\n"
              "when       method == POST: does not hold                  test.conf:11\n"
              "request    set X-A one                                    test.conf:9\n"
              "path       /api/v1/z\n"
              "body       max=off, buffered, memory=1M\n"
              "timeout    connect=5s first_byte=1m read=1m\n"
              "upstream   10.0.0.5:9000                                  test.conf:16\n"
              "response   del X-Powered-By                               test.conf:10\n"
              "log        combined to /tmp/a.log                         test.conf:16\n");
}

static void the_site_itself_by_wildcard(void **state)
{
    (void)state;
    check_get("http://x.b.example:8080/",
              "listen     127.0.0.1:8080                             test.conf:1\n"
              "site       *.b.example (wildcard)                     test.conf:7\n"
              "route      none matches: the site itself              test.conf:7\n"
              "when       method == POST: does not hold              test.conf:11\n"
              "request    set X-A one                                test.conf:9\n"
              "path       /\n"
              "body       max=100M\n"
              "timeout    connect=5s first_byte=1m read=1m\n"
              "upstream   app: 10.0.0.1:80 10.0.0.2:80, round_robin  test.conf:8\n"
              "response   del X-Powered-By                           test.conf:10\n"
              "log        json to stdout\n");
}

static void an_exact_route(void **state)
{
    (void)state;
    check_get("http://a.example/no", "listen     127.0.0.1:8080                 test.conf:1\n"
                                     "site       a.example (exact)              test.conf:7\n"
                                     "route      = /no (exact)                  test.conf:17\n"
                                     "when       method == POST: does not hold  test.conf:11\n"
                                     "request    set X-A one                    test.conf:9\n"
                                     "path       /no\n"
                                     "body       max=3K\n"
                                     "respond    403 go away                    test.conf:17\n"
                                     "response   del X-Powered-By               test.conf:10\n"
                                     "log        off\n");
}

static void a_pattern(void **state)
{
    (void)state;
    check_get("http://a.example/rr", "listen     127.0.0.1:8080                      test.conf:1\n"
                                     "site       a.example (exact)                   test.conf:7\n"
                                     "route      ~ ^/r (first pattern that matches)  test.conf:18\n"
                                     "when       method == POST: does not hold       test.conf:11\n"
                                     "request    set X-A one                         test.conf:9\n"
                                     "path       /rr\n"
                                     "body       max=100M\n"
                                     "redirect   301 https://$host$uri               test.conf:18\n"
                                     "response   del X-Powered-By                    test.conf:10\n"
                                     "log        json to stdout\n");
}

static void a_dead_end(void **state)
{
    (void)state;
    check_get("http://a.example/empty",
              "listen     127.0.0.1:8080                 test.conf:1\n"
              "site       a.example (exact)              test.conf:7\n"
              "route      /empty (longest prefix)        test.conf:19\n"
              "when       method == POST: does not hold  test.conf:11\n"
              "request    set X-A one                    test.conf:9\n"
              "path       /empty\n"
              "body       max=100M\n"
              "response   del X-Powered-By               test.conf:10\n"
              "log        json to stdout\n"
              "answer     404: no route or proxy for this path (step pick)\n");
}

static void an_unknown_host(void **state)
{
    (void)state;
    check_get("http://c/", "listen     127.0.0.1:8080  test.conf:1\n"
                           "site       none answers to 'c'\n"
                           "answer     421: no site answers to this host (step route)\n");
}

static void a_when_that_holds(void **state)
{
    (void)state;
    const struct slice header = SLICE("X-A: 2");
    check(&(struct explain_request){.method = SLICE("POST"),
                                    .url = SLICE("http://a.example/"),
                                    .from = SLICE("9.9.9.9"),
                                    .headers = &header,
                                    .header_count = 1},
          true,
          "listen     127.0.0.1:8080                             test.conf:1\n"
          "site       a.example (exact)                          test.conf:7\n"
          "route      none matches: the site itself              test.conf:7\n"
          "when       method == POST: holds                      test.conf:11\n"
          "request    set X-A one                                test.conf:9\n"
          "path       /\n"
          "body       max=100M\n"
          "timeout    connect=5s first_byte=1m read=10m\n"
          "upstream   app: 10.0.0.1:80 10.0.0.2:80, round_robin  test.conf:8\n"
          "response   del X-Powered-By                           test.conf:10\n"
          "log        json to stdout\n");
}

static void requests_that_are_none(void **state)
{
    (void)state;
    static const struct slice no_colon = SLICE_INIT("X-A"), framing = SLICE_INIT("TE: x");
    struct explain_request r = {.method = SLICE("GET"), .url = SLICE("nope")};
    check(&r, false, "'nope' is not a URL such as http://host/path");
    r.url = SLICE("http://a.example:81/");
    check(&r, false, "nothing listens on port 81; there is: 127.0.0.1:8080");
    r.url = SLICE("http://a.example/");
    r.from = SLICE("1.2.3");
    check(&r, false, "'1.2.3' is not an IP address");
    r.from = SLICE("::1");
    r.headers = &no_colon;
    r.header_count = 1;
    check(&r, false, "X-A: a header is written 'Name: value'");
    r.headers = &framing;
    check(&r, false, "TE: x: this field belongs to the connection and can not be given here");
}

UNIT_SUITE(proxy_explain, cmocka_unit_test(a_stripped_prefix),
           cmocka_unit_test(a_longer_prefix_and_a_shorter_one),
           cmocka_unit_test(the_site_itself_by_wildcard), cmocka_unit_test(an_exact_route),
           cmocka_unit_test(a_pattern), cmocka_unit_test(a_dead_end),
           cmocka_unit_test(an_unknown_host), cmocka_unit_test(a_when_that_holds),
           cmocka_unit_test(requests_that_are_none));
