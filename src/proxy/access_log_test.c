/* access_log_test.c - whole lines, byte by byte, in every format; hostile values stay inside. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/text.h"
#include "proxy/access_log.h"
#include "proxy/config_test_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* 2026-01-02T03:04:05.678Z */
static const int64_t NOW_UNIX_MS = 1767323045678;

struct log_fixture {
    struct test_config t;
    char path[64];
};

/* A site whose log goes to a file of its own. */
static void fixture_init(struct log_fixture *f, const char *format)
{
    char text[1024];
    snprintf(f->path, sizeof(f->path), "/tmp/weir-log-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof(text),
             "listen :80\nsite a.example {\n log access %s to=%s\n proxy 10.0.0.1:80\n route /x/ { "
             "body max=1M }\n}",
             format, f->path);
    test_config_need(&f->t, text);
    assert_true(access_logs_open(f->t.conf, &f->t.diag));
}

static void fixture_release(struct log_fixture *f)
{
    test_config_release(&f->t);
    unlink(f->path);
}

static struct exchange *finished(struct log_fixture *f, const char *request)
{
    struct exchange *x = test_request(&f->t, request);
    x->worker->loop.unix_ms = NOW_UNIX_MS;
    strcpy(x->id, "0123456789abcdef");
    x->res.status = 200;
    x->request_bytes = 5;
    x->response_bytes = 1234;
    x->server_name = SLICE("10.0.0.1:80");
    x->tries = 1;
    x->times = (struct exchange_times){.began_us = 1000,
                                       .head_us = 120,
                                       .picked_us = 150,
                                       .connected_us = 1150,
                                       .first_byte_us = 11150,
                                       .response_us = 11200,
                                       .done_us = 12345};
    return x;
}

static void check_line(struct log_fixture *f, struct exchange *x, const char *want)
{
    char got[16384] = "";
    access_log_write(x->settings->log, x);
    FILE *file = fopen(f->path, "r");
    assert_non_null(file);
    size_t len = fread(got, 1, sizeof(got) - 1, file);
    fclose(file);
    got[len] = '\0';
    assert_string_equal(got, want);
}

static void json_lines(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_init(&f, "json");
    struct exchange *x = finished(
        &f,
        "POST http://a.example/x/1?q=2 from=10.1.2.3 | User-Agent: curl/8 | Referer: http://r/");
    check_line(&f, x,
               "{\"time\":\"2026-01-02T03:04:05.678Z\",\"id\":\"0123456789abcdef\","
               "\"client\":\"10.1.2.3\",\"method\":\"POST\",\"scheme\":\"http\","
               "\"host\":\"a.example\",\"path\":\"/x/1\",\"query\":\"q=2\",\"proto\":\"HTTP/1.1\","
               "\"status\":200,\"bytes\":1234,\"request_bytes\":5,\"duration_ms\":12.345,"
               "\"head_ms\":0.120,\"pick_ms\":0.030,\"connect_ms\":1.000,\"first_byte_ms\":10.000,"
               "\"response_ms\":1.145,\"site\":\"a.example\",\"route\":\"/x/\","
               "\"upstream\":\"10.0.0.1:80\",\"server\":\"10.0.0.1:80\",\"tries\":1,"
               "\"user_agent\":\"curl/8\",\"referer\":\"http://r/\"}\n");
    fixture_release(&f);
}

static void json_leaves_out_what_is_not_there(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_init(&f, "json");
    struct exchange *x = finished(&f, "GET http://a.example/");
    x->err = ERR_ORIGIN_RESET;
    x->err_step = STEP_AWAIT;
    x->res.status = 502;
    x->tries = 0;
    x->server_name = x->upstream_name = SLICE("");
    x->request_bytes = x->response_bytes = 0;
    x->times = (struct exchange_times){.began_us = 1000, .done_us = 7};
    check_line(&f, x,
               "{\"time\":\"2026-01-02T03:04:05.678Z\",\"id\":\"0123456789abcdef\","
               "\"client\":\"127.0.0.1\",\"method\":\"GET\",\"scheme\":\"http\","
               "\"host\":\"a.example\",\"path\":\"/\",\"proto\":\"HTTP/1.1\",\"status\":502,"
               "\"bytes\":0,\"request_bytes\":0,\"duration_ms\":0.007,\"site\":\"a.example\","
               "\"error\":\"origin_reset\",\"step\":\"await\"}\n");
    fixture_release(&f);
}

static void common_and_combined_lines(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_init(&f, "common");
    check_line(&f, finished(&f, "GET http://a.example/x?y from=fd00::1"),
               "fd00::1 - - [02/Jan/2026:03:04:05 +0000] \"GET /x?y HTTP/1.1\" 200 1234\n");
    fixture_release(&f);
    fixture_init(&f, "combined");
    check_line(&f, finished(&f, "GET http://a.example/x | User-Agent: a \"b\""),
               "127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] \"GET /x HTTP/1.1\" 200 1234 \"-\" "
               "\"a \\\"b\\\"\"\n");
    fixture_release(&f);
}

static void own_formats(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_init(&f, "\"$$ $method $path ${header.X-A} [$error] ${duration_ms}ms\"");
    check_line(&f, finished(&f, "GET http://a.example/x | X-A: v"), "$ GET /x v [-] 12.345ms\n");
    fixture_release(&f);
}

/* A value may hold anything that gets past the parser: it ends neither field nor line. */
static void hostile_values_stay_inside(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_init(&f, "\"<${header.X}>\"");
    struct exchange *x = finished(&f, "GET http://a.example/ | X: v");
    headers_find_name(&x->req.headers, SLICE("X"))->value = SLICE("a\"\\\n\r\x1b[0m\x7f\xff<b>\0c");
    access_log_write(x->settings->log, x);
    char got[256] = "";
    FILE *file = fopen(f.path, "r");
    size_t len = fread(got, 1, sizeof(got) - 1, file);
    fclose(file);
    assert_true(slice_starts(slice_of(got), SLICE("<a\\\"\\\\\\n\\r\\u001b[0m")));
    assert_ptr_equal(strchr(got, '\n'), got + len - 1);
    assert_true(slice_ends(slice_of(got), SLICE("c>\n")));
    fixture_release(&f);
}

static void long_values_are_cut(void **state)
{
    (void)state;
    struct log_fixture f;
    char value[5000], want[4096];
    fixture_init(&f, "\"<${header.X}|$host>\"");
    struct exchange *x = finished(&f, "GET http://a.example/ | X: v");
    memset(value, 'v', sizeof(value));
    headers_find_name(&x->req.headers, SLICE("X"))->value = (struct slice){value, sizeof(value)};
    snprintf(want, sizeof(want), "<%.2048s|a.example>\n", value);
    check_line(&f, x, want);
    fixture_release(&f);
}

static void nothing_is_written_when_off(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "log access off\nsite * { respond 200 }");
    const struct exchange *x = test_request(&t, "GET http://a/");
    assert_ptr_equal(x->settings->log, &access_log_off);
    access_log_write(x->settings->log, t.x);
    test_config_release(&t);
}

static void a_file_that_can_not_be_opened_is_an_error(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "log access json to=/nowhere/at/all\nsite * { respond 200 }");
    const struct exchange *x = test_request(&t, "GET http://a/");
    access_log_write(x->settings->log, t.x); /* not open: dropped */
    assert_false(access_logs_open(t.conf, &t.diag));
    assert_int_equal(t.diag.entries[0].pos.line, 1);
    test_config_release(&t);
}

static void mistakes_are_shown(void **state)
{
    (void)state;
    test_error("log access jsn", 1, 12, "off, json, common, combined");
    test_error("log access '$host'", 1, 12, "off, json, common, combined");
    test_error("log access \"a $hots\"", 1, 15, "unknown variable");
    test_error("log acess json", 1, 5, "'access' or 'error'");
    test_error("log access json to=nowhere", 1, 20, "stdout, stderr, syslog or a file");
    test_error("log error lowd", 1, 11, "debug, info, notice");
    test_error("site a {\n log error warn\n respond 200\n}", 2, 2, "top level only");
}

static void the_error_log_is_for_main(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "log error debug to=/var/log/weir/error\nlog access off");
    assert_int_equal(t.conf->proxy->error_log.level, LOG_DEBUG_);
    assert_int_equal(t.conf->proxy->error_log.target, LOG_TO_FILE);
    assert_string_equal(t.conf->proxy->error_log.path.at, "/var/log/weir/error");
    test_config_release(&t);
    test_config_need(&t, "");
    assert_int_equal(t.conf->proxy->error_log.level, LOG_NOTICE_);
    assert_int_equal(t.conf->proxy->error_log.target, LOG_TO_STDERR);
    test_config_release(&t);
}

UNIT_SUITE(proxy_access_log, cmocka_unit_test(json_lines),
           cmocka_unit_test(json_leaves_out_what_is_not_there),
           cmocka_unit_test(common_and_combined_lines), cmocka_unit_test(own_formats),
           cmocka_unit_test(hostile_values_stay_inside), cmocka_unit_test(long_values_are_cut),
           cmocka_unit_test(nothing_is_written_when_off),
           cmocka_unit_test(a_file_that_can_not_be_opened_is_an_error),
           cmocka_unit_test(mistakes_are_shown), cmocka_unit_test(the_error_log_is_for_main));
