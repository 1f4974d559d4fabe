/* tests_run_test.c - `test` blocks: what passes, what fails and how it is told. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/config_test_priv.h"
#include <stdio.h>

#define SITE                                       \
    "upstream app {\n server 10.0.0.1:80\n}\n"     \
    "site a.example {\n"                           \
    " proxy app\n"                                 \
    " request set X-A one\n"                       \
    " request add X-B 1\n"                         \
    " response set X-R yes\n"                      \
    " route /api/ strip { request set X-Api 1 }\n" \
    " route /no { respond 403 }\n"                 \
    " route /hi { respond 200 \"hello $path\" }\n" \
    " when ip == 10.9.9.9 { respond 429 }\n"
enum { SITE_LINES = 12 };

static const char *const PASS_CASES[] = {
    "GET /\n expect status 200\n expect upstream app\n expect path /",
    "GET /api/x?y=1\n expect path /x\n expect request x-api 1",
    "GET /api/x?y=1\n expect path /x?y=1",
    "GET /\n expect no request X-Api",
    "GET /\n expect request X-A",
    "GET /\n header X-B: 0\n expect request X-B 0\n expect request X-B 1", /* any line */
    "GET /no\n expect status 403\n expect no upstream",
    "GET / from=10.9.9.9\n expect status 429",
    "GET /\n expect response X-R yes\n expect no response X-Q",
    "GET http://other.example/\n expect status 421",
    "GET /\n header Host other.example\n expect status 421",
    "POST /\n header Content-Type: text/plain\n expect status 200",
    "HEAD /\n expect status 200",
    "GET /hi/you\n expect body \"hello /hi/you\"\n expect body lo\n expect body \"\"",
    "HEAD /hi\n expect body \"\"",
    "GET http://other.example/\n expect body \"no site\"",
    "GET /",
};

static void passing_tests_say_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(PASS_CASES) / sizeof(*PASS_CASES); i++) {
        char text[1024];
        struct test_config t;
        uint32_t count;
        snprintf(text, sizeof(text), "%s test t {\n %s\n }\n}", SITE, PASS_CASES[i]);
        test_config_need(&t, text);
        proxy_tests_run(t.conf, &t.diag, &count);
        if (diag_failed(&t.diag) || count != 1) {
            test_config_print(&t);
            fail_msg("failed: %s", PASS_CASES[i]);
        }
        test_config_release(&t);
    }
}

static const struct {
    const char *test;
    uint32_t line; /* of the test's own, from 1 */
    uint32_t col;
    const char *error;
} FAIL_CASES[] = {
    {"GET /\n expect status 403", 2, 2, "test 't' fails: status is '200', not '403'"},
    {"GET /no\n expect status 200", 2, 2, "status is '403'"},
    {"GET /no\n expect upstream app", 2, 2, "upstream is '', not 'app'"},
    {"GET /\n expect no upstream", 2, 2, "upstream is 'app'"},
    {"GET /api/x\n expect path /api/x", 2, 2, "path is '/x', not '/api/x'"},
    {"GET /\n expect request X-A two", 2, 2, "X-A is 'one', not 'two'"},
    {"GET /\n expect request X-Q", 2, 2, "there is no X-Q"},
    {"GET /\n expect no request X-A", 2, 2, "X-A is there: 'one'"},
    {"GET /\n expect response X-Q 1", 2, 2, "there is no X-Q"},
    {"expect status 200", 0, 2, "has no request"},
    {"GET /\n PUT /x", 2, 2, "one request"},
    {"GET x", 1, 6, "a path or a URL"},
    {"GET / from=nowhere", 1, 13, "IP address"},
    {"GET /hi\n expect body Hello", 2, 2, "body is 'hello /hi', without 'Hello'"},
    {"GET /hi\n expect body \"hello /hi!\"", 2, 2, "without 'hello /hi!'"},
    {"HEAD /hi\n expect body hello", 2, 2, "body is '', without 'hello'"},
    {"GET /\n expect body x", 2, 2, "test 't' can not know the body: a server sends it"},
    {"GET /\n expect body x y", 2, 16, "nothing is due"},
    {"GET /\n expect state 200", 2, 9, "can not be expected"},
    {"GET /\n expect status 20x", 2, 16, "a status from 100"},
    {"GET /\n expect status 200 x", 2, 20, "nothing is due"},
    {"GET /\n expect no path x", 2, 12, "is due"},
    {"GET /\n header Content-Length 3", 2, 9, "belongs to the connection"},
    {"GET /\n header \"a b\" 3", 2, 9, "not the name"},
    {"GET /\n header a \"b\\n\"", 2, 9, "not the value"},
};

static bool fails_as_due(size_t i)
{
    char text[1024];
    struct test_config t;
    uint32_t count;
    snprintf(text, sizeof(text), "%s test t {\n %s\n }\n}", SITE, FAIL_CASES[i].test);
    test_config_need(&t, text);
    proxy_tests_run(t.conf, &t.diag, &count);
    const struct diag_entry *e = &t.diag.entries[0];
    bool due = t.diag.error_count == 1 && e->pos.line == SITE_LINES + FAIL_CASES[i].line + 1 &&
               e->pos.col == FAIL_CASES[i].col && strstr(e->text.at, FAIL_CASES[i].error);
    if (!due) {
        test_config_print(&t);
        print_error("expected '%s' for %s\n", FAIL_CASES[i].error, FAIL_CASES[i].test);
    }
    test_config_release(&t);
    return due;
}

static void failing_tests_are_errors_in_place(void **state)
{
    (void)state;
    int missed = 0;
    for (size_t i = 0; i < sizeof(FAIL_CASES) / sizeof(*FAIL_CASES); i++)
        missed += !fails_as_due(i);
    assert_int_equal(missed, 0);
}

static void all_tests_run(void **state)
{
    (void)state;
    struct test_config t;
    uint32_t count;
    test_config_need(
        &t, "site a {\n respond 200\n test one { GET / }\n"
            " route /x {\n  respond 201\n  test two {\n   GET /x\n   expect status 201\n }\n }\n"
            "}\n"
            "site *.b {\n respond 202\n test three {\n GET /\n expect status 202\n }\n}\n"
            "site * {\n respond 203\n test four {\n GET /\n expect status 203\n }\n}\n");
    proxy_tests_run(t.conf, &t.diag, &count);
    assert_int_equal(count, 4);
    assert_false(diag_failed(&t.diag));
    test_config_release(&t);
}

UNIT_SUITE(proxy_tests_run, cmocka_unit_test(passing_tests_say_nothing),
           cmocka_unit_test(failing_tests_are_errors_in_place), cmocka_unit_test(all_tests_run));
