/* check_test.c - the state machine of a checked server, and what `check` lines build. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls.h"
#include "upstream/check.h"
#include "upstream/testing.h"

static const struct check_conf conf = {
    .every_ms = 5000, .fast_ms = 1000, .rise = 2, .fall = 3, .timeout_ms = 2000};

/* Results as letters: 'o' for good ones, 'x' for others; what is expected: '.' no change, 'D', 'U'.
 */
static void play(const char *results, const char *changes)
{
    static const char words[] = {
        [CHECK_SAME] = '.', [CHECK_WENT_DOWN] = 'D', [CHECK_CAME_UP] = 'U'};
    struct check_state s = {0};
    for (size_t i = 0; results[i]; i++) {
        enum check_result r = results[i] == 'o' ? CHECK_OK : CHECK_FAILED;
        char got = words[check_state_add(&s, &conf, r)];
        if (got != changes[i])
            fail_msg("%s: '%c' at %zu instead of '%c'", results, got, i, changes[i]);
    }
}

static void rises_and_falls(void **state)
{
    (void)state;
    play("ooo", "...");
    play("oxxx", "...D");
    play("oxxoxxx", "......D");
    play("oxxxxo", "...D..");
    play("oxxxoo", "...D.U");
    play("oxxxoxoo", "...D...U");
    play("oxxxooxxx", "...D.U..D");
}

static void the_first_check_decides(void **state)
{
    (void)state;
    play("x", "D");
    play("xo", "D.");
    play("xoo", "D.U");
    play("ox", "..");
}

static void waits_within_a_tenth(void **state)
{
    (void)state;
    struct rand r;
    struct check_state s = {.known = true};
    int64_t least = INT64_MAX, most = 0;
    rand_init(&r, 1);
    for (int i = 0; i < 10000; i++) {
        int64_t ms = check_wait_ms(&s, &conf, &r);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    assert_in_range(least, 4500, 4510);
    assert_in_range(most, 5490, 5500);
}

static void hurries_while_it_fails(void **state)
{
    (void)state;
    struct rand r;
    rand_init(&r, 1);
    assert_in_range(check_wait_ms(&(struct check_state){.fails = 1}, &conf, &r), 900, 1100);
    assert_in_range(check_wait_ms(&(struct check_state){.down = true}, &conf, &r), 900, 1100);
    struct check_conf slow = conf;
    slow.fast_ms = 60000; /* never slower than usual */
    assert_in_range(check_wait_ms(&(struct check_state){.down = true}, &slow, &r), 4500, 5500);
}

static void first_checks_are_spread(void **state)
{
    (void)state;
    assert_int_equal(check_first_wait_ms(&conf, 0, 4), 0);
    assert_int_equal(check_first_wait_ms(&conf, 3, 4), 750);
    struct check_conf quick = conf;
    quick.every_ms = 100;
    assert_int_equal(check_first_wait_ms(&quick, 3, 4), 75);
}

static const struct check_conf *built(struct test_conf *t, const char *lines)
{
    char text[512];
    snprintf(text, sizeof text, "upstream app {\nserver a\n%s\n}", lines);
    test_conf_init(t, text);
    return t->conf->upstreams->list[0]->check;
}

static void words_are_stored(void **state)
{
    (void)state;
    struct test_conf t;
    const struct check_conf *c =
        built(&t, "check /healthz every=2s timeout=1s rise=1 fall=9 fast=500ms port=81 host=x "
                  "method=HEAD { header A b; expect status 204 300-399; expect body 'o k' }");
    assert_int_equal(c->kind, CHECK_HTTP);
    assert_true(slice_eq(c->target, SLICE("/healthz")) && slice_eq(c->host, SLICE("x")));
    assert_true(slice_eq(c->method, SLICE("HEAD")) && slice_eq(c->body, SLICE("o k")));
    assert_int_equal(c->every_ms, 2000);
    assert_int_equal(c->timeout_ms, 1000);
    assert_int_equal(c->fast_ms, 500);
    assert_true(c->rise == 1 && c->fall == 9 && c->port == 81 && c->header_count == 1);
    assert_true(check_status_good(c, 204) && check_status_good(c, 300) &&
                check_status_good(c, 399));
    assert_false(check_status_good(c, 200) || check_status_good(c, 299) ||
                 check_status_good(c, 400));
    test_conf_release(&t);
}

static void defaults_stand(void **state)
{
    (void)state;
    struct test_conf t;
    const struct check_conf *c = built(&t, "check /");
    assert_true(c->every_ms == 5000 && c->fast_ms == 1000 && c->timeout_ms == 2000);
    assert_true(c->rise == 2 && c->fall == 3 && c->port == 0);
    assert_true(check_status_good(c, 200) && check_status_good(c, 399));
    assert_false(check_status_good(c, 199) || check_status_good(c, 400));
    test_conf_release(&t);
    assert_null(built(&t, ""));
    test_conf_release(&t);
}

static void other_kinds(void **state)
{
    (void)state;
    struct test_conf t;
    const struct check_conf *c = built(&t, "check tcp { send 'P\\r\\n\\x00\\\\'; expect '\\t+' }");
    assert_int_equal(c->kind, CHECK_TCP);
    assert_int_equal(c->send.len, 5);
    assert_memory_equal(c->send.at, "P\r\n\0\\", 5);
    assert_true(slice_eq(c->expect, SLICE("\t+")));
    test_conf_release(&t);
    c = built(&t, "proto h2c; check grpc my.Service");
    assert_int_equal(c->kind, CHECK_GRPC);
    assert_true(slice_eq(c->target, SLICE("my.Service")));
    test_conf_release(&t);
    c = built(&t, "check tls");
    assert_true(c->kind == CHECK_TLS && c->tls && !c->tls->verify);
    test_conf_release(&t);
}

static const struct {
    const char *line, *error, *hint;
} errors[] = {
    {"check healthz", "a check is a path, tcp, tls or grpc", "check /healthz"},
    {"check tpc", "not 'tpc'", "tcp"},
    {"check /a b", "is too much", ""},
    {"check", "needs", "PATH"},
    {"check /; check tcp", "given twice", ""},
    {"check / every=9ms", "out of range", ""},
    {"check / every=10ms", NULL, NULL},
    {"check / port=65535", NULL, NULL},
    {"check / port=65536", "65535", ""},
    {"check / rise=0", "out of range", ""},
    {"check / { expect status 600 }", "not a status", "200-399"},
    {"check / { expect status 300-200 }", "not a status", ""},
    {"check / { expect status 100-599 }", NULL, NULL},
    {"check / { expect 200 }", "not what a check", "expect status"},
    {"check / { send x }", "for checks by tcp", ""},
    {"check tcp { expect status 200 }", "not what a check", "one text"},
    {"check tcp { send 'a\\q' }", "unknown escape", "\\r"},
    {"check tcp { send 'a\\x1' }", "unknown escape", "\\xHH"},
    {"check tcp { header A b }", "by HTTP", ""},
    {"check tcp host=a", "by HTTP", ""},
    {"check grpc", "needs HTTP/2", "proto h2c"},
    {"tls verify=on name=a; check grpc", "needs HTTP/2", "proto h2"},
    {"proto h2c; check grpc { expect status 200 }", "SERVING", ""},
    {"check \"/a b\"", "no blanks", ""},
    {"check / { header \"a b\" c }", "not the name of a header", ""},
};

static bool has(struct slice text, const char *part)
{
    return part[0] == '\0' || memmem(text.at, text.len, part, strlen(part));
}

static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        char text[256];
        struct test_conf t;
        snprintf(text, sizeof text, "upstream app {\nserver a\n%s\n}", errors[i].line);
        test_conf_build(&t, text);
        const struct diag_entry *e = &t.diag.entries[0];
        if (diag_failed(&t.diag) != (errors[i].error != NULL) || t.diag.error_count > 1)
            fail_msg("%s: %u errors", errors[i].line, t.diag.error_count);
        if (errors[i].error && (!has(e->text, errors[i].error) || !has(e->hint, errors[i].hint)))
            fail_msg("%s: %.*s / %.*s", errors[i].line, SLICE_ARG(e->text), SLICE_ARG(e->hint));
        if (errors[i].error)
            assert_int_equal(e->pos.line, 3);
        test_conf_release(&t);
    }
}

UNIT_SUITE(upstream_check, cmocka_unit_test(rises_and_falls),
           cmocka_unit_test(the_first_check_decides), cmocka_unit_test(waits_within_a_tenth),
           cmocka_unit_test(hurries_while_it_fails), cmocka_unit_test(first_checks_are_spread),
           cmocka_unit_test(words_are_stored), cmocka_unit_test(defaults_stand),
           cmocka_unit_test(other_kinds), cmocka_unit_test(mistakes_are_told));
