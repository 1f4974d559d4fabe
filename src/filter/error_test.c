/* error_test.c - own pages for errors: which statuses, whose errors, what of the old response
 * stays, and where a page may come from. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log_testdir.h"
#include "proxy/exchange_rig_test.h"

#define SITE(policies) "listen 10.0.9.9:80\nsite * {\nproxy 10.0.0.1:80\n" policies "\n}\n"

static void ask(const char *head, const char *body)
{
    rig_request("GET /p | Host: a.test");
    rig_answer(head, body);
}

static void statuses_and_classes_have_pages(void **state)
{
    (void)state;
    rig_start(SITE("error 5xx \"any $status\"\nerror 404 410 gone\nerror 503 \"busy\""));
    ask("500", "origin's");
    rig_expect(500);
    rig_expect_body(&rig.client, "any 500");
    rig_expect_head(&rig.client, "Content-Type: text/plain; charset=utf-8");
    ask("404", "origin's");
    rig_expect_body(&rig.client, "gone");
    ask("410", "origin's");
    rig_expect_body(&rig.client, "gone");
    ask("503", "origin's"); /* what is written last counts */
    rig_expect_body(&rig.client, "busy");
    ask("403", "origin's");
    rig_expect_body(&rig.client, "origin's");
    ask("200", "origin's");
    rig_expect_body(&rig.client, "origin's");
    rig_stop();
}

static void weirs_own_errors_have_them_too(void **state)
{
    (void)state;
    rig_start(SITE("error 5xx 413 \"$error\""));
    rig_request("GET / | Host: a.test");
    rig_fail(rig.origin, ERR_ORIGIN_CLOSED);
    rig_run(1);
    rig_expect(502);
    rig_expect_body(&rig.client, "origin_closed");
    rig_stop();
}

/* `respond 403 "text"` is what the configuration wants said; without a text a page may stand in. */
static void a_configured_text_is_not_replaced(void **state)
{
    (void)state;
    rig_start(
        SITE("error 403 page\nroute /text { respond 403 mine }\nroute /none { respond 403 }"));
    rig_request("GET /text | Host: a.test");
    rig_expect_body(&rig.client, "mine");
    rig_request("GET /none | Host: a.test");
    rig_expect_body(&rig.client, "page");
    rig_stop();
}

static void what_a_client_may_do_next_stays(void **state)
{
    (void)state;
    rig_start(SITE("error 401 405 503 page type=text/html"));
    ask("401 | WWW-Authenticate: Negotiate | WWW-Authenticate: Basic realm=x | Set-Cookie: a=b "
        "| Content-Encoding: gzip | Content-Length: 4 | Cache-Control: private",
        "gzip");
    rig_expect(401);
    rig_expect_body(&rig.client, "page");
    rig_expect_head(&rig.client, "WWW-Authenticate: Negotiate");
    rig_expect_head(&rig.client, "WWW-Authenticate: Basic realm=x");
    rig_expect_head(&rig.client, "Cache-Control: private");
    rig_expect_head(&rig.client, "Content-Type: text/html");
    rig_expect_no(&rig.client, "Set-Cookie");
    rig_expect_no(&rig.client, "Content-Encoding"); /* the page is not packed */
    assert_int_equal(rig.client.sent.content_length, 4);
    ask("503 | Retry-After: 9", "");
    rig_expect_head(&rig.client, "Retry-After: 9");
    ask("405 | Allow: GET", "");
    rig_expect_head(&rig.client, "Allow: GET");
    rig_stop();
}

/* A page that is nothing but a field of the response outlives the server's buffers. */
static void a_field_of_the_response_can_be_the_page(void **state)
{
    (void)state;
    rig_start(SITE("error 500 \"${response.X-Reason}\""));
    ask("500 | X-Reason: out of paper", "x");
    rig_expect(500);
    rig_expect_body(&rig.client, "out of paper");
    rig_stop();
}

/* The server's connection is kept when its own page was whole, and only then. */
static void the_servers_page_is_not_waited_for(void **state)
{
    (void)state;
    rig_start(SITE("error 500 page"));
    ask("500", "whole");
    rig_expect_body(&rig.client, "page");
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_IDLE), 1);
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "500");
    rig_run(1);
    rig_expect(500);
    rig_expect_body(&rig.client, "page");
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_IDLE), 0);
    assert_int_equal(rig_health(0)->failures_total, 0);
    rig_stop();
}

static void routes_override_by_status(void **state)
{
    (void)state;
    rig_start(SITE("error 500 site500\nerror 404 site404\nroute /p {\nerror 500 route500\n}"));
    ask("500", "");
    rig_expect_body(&rig.client, "route500");
    ask("404", "");
    rig_expect_body(&rig.client, "site404");
    rig_stop();
}

/* --- files ------------------------------------------------------------------------------------ */

static void write_file(struct test_dir *d, const char *name, size_t bytes)
{
    FILE *f = fopen(test_path(d, name), "w");
    assert_non_null(f);
    for (size_t i = 0; i < bytes; i++)
        fputc('a' + (int)(i % 26), f);
    fclose(f);
}

static const char *config_with(const char *path)
{
    static char config[1024];
    snprintf(config, sizeof config, SITE("error 404 %s"), path);
    return config;
}

static void a_page_may_be_a_file(void **state)
{
    struct test_dir *d = *state;
    static const struct {
        const char *name, *type;
    } files[] = {{"a.html", "text/html; charset=utf-8"},
                 {"a.json", "application/json"},
                 {"a.txt", "text/plain; charset=utf-8"}};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char line[64];
        write_file(d, files[i].name, 10);
        rig_start(config_with(test_path(d, files[i].name)));
        unlink(test_path(d, files[i].name)); /* read with the configuration */
        ask("404", "x");
        rig_expect(404);
        rig_expect_body(&rig.client, "abcdefghij");
        snprintf(line, sizeof line, "Content-Type: %s", files[i].type);
        rig_expect_head(&rig.client, line);
        rig_stop();
    }
}

static void a_file_has_a_limit(void **state)
{
    struct test_dir *d = *state;
    struct test_config t;
    write_file(d, "big", 1 << 20);
    test_config_need(&t, config_with(test_path(d, "big")));
    test_config_release(&t);
    write_file(d, "big", (1 << 20) + 1);
    test_error(config_with(test_path(d, "big")), 4, 11, "cannot read the page");
    test_error(config_with(test_path(d, "missing")), 4, 11, "cannot read the page");
    test_error(config_with(d->path), 4, 11, "cannot read the page");
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    test_error(SITE("error 200 page"), 4, 7, "expected an error status");
    test_error(SITE("error 40x page"), 4, 7, "expected an error status");
    test_error(SITE("error 404 6xx page"), 4, 11, "expected an error status");
    test_error(SITE("error 4044 page"), 4, 7, "expected an error status");
    test_error(SITE("error 404 $nothing"), 4, 11, "unknown variable");
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, test_dir_setup, test_dir_teardown)

UNIT_SUITE(filter_error, cmocka_unit_test(statuses_and_classes_have_pages),
           cmocka_unit_test(weirs_own_errors_have_them_too),
           cmocka_unit_test(a_configured_text_is_not_replaced),
           cmocka_unit_test(what_a_client_may_do_next_stays),
           cmocka_unit_test(a_field_of_the_response_can_be_the_page),
           cmocka_unit_test(the_servers_page_is_not_waited_for),
           cmocka_unit_test(routes_override_by_status), WITH_DIR(a_page_may_be_a_file),
           WITH_DIR(a_file_has_a_limit), cmocka_unit_test(what_makes_no_sense_is_refused));
