/* main_test.c - every row of every module, the nearest command, options, and the configurations
 * that weir makes itself. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/text.h"
#include "conf/rows_verify.h"
#include "main/command.h"
#include "main/demo.h"
#include "main/load.h"
#include "main/main_conf.h"
#include "main/schema.h"
#include "main/status_text.h"
#include "proxy/build.h"
#include "tests/unit.h"

static void rows_are_sound(void **state)
{
    struct text problems;
    (void)state;
    text_init(&problems);
    conf_rows_verify(schema_all(), &problems);
    if (problems.len)
        fail_msg("%s", problems.at);
    text_release(&problems);
}

static void nearest_command_is_offered(void **state)
{
    (void)state;
    assert_string_equal(command_nearest(SLICE("relaod"))->name, "reload");
    assert_string_equal(command_nearest(SLICE("chek"))->name, "check");
    assert_string_equal(command_nearest(SLICE("rnu"))->name, "run");
    assert_null(command_nearest(SLICE("xyzzy")));
    assert_null(command_nearest(SLICE("abc")));
    assert_null(command_find(SLICE("chek")));
    assert_non_null(command_find(SLICE("check")));
}

/* ---- options ---- */

static bool parse(const char *command, int argc, const char *const *argv, struct args *out)
{
    struct text why;
    text_init(&why);
    bool ok = args_parse(command_find(slice_of(command)), argc, (char *const *)argv, out, &why);
    assert_true(ok == (why.len == 0));
    text_release(&why);
    return ok;
}
#define PARSE(command, out, ...)                                                                  \
    parse(command, (int)COUNT_OF(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__}, \
          out)

static void options_stand_anywhere(void **state)
{
    struct args a;
    (void)state;
    assert_true(PARSE("explain", &a, "http://x/", "--from=10.0.0.1", "-H", "A: b", "--header",
                      "C: d", "-c", "f.conf"));
    assert_int_equal(a.word_count, 1);
    assert_string_equal(a.words[0], "http://x/");
    assert_string_equal(a.values[OPTION_FROM], "10.0.0.1");
    assert_int_equal(a.header_count, 2);
    assert_true(slice_eq(a.headers[1], SLICE("C: d")));
    assert_string_equal(args_config(&a), "f.conf");
}

static void wrong_options_are_refused(void **state)
{
    struct args a;
    (void)state;
    assert_false(PARSE("run", &a, "--confg", "x"));       /* unknown */
    assert_false(PARSE("run", &a, "--from", "10.0.0.1")); /* another command's */
    assert_false(PARSE("run", &a, "-c"));                 /* without its value */
    assert_false(PARSE("fmt", &a, "--write=yes", "f"));   /* with a value it does not take */
    assert_false(PARSE("run", &a, "word"));               /* too many words */
    assert_false(parse("explain", 0, NULL, &a));          /* too few */
    assert_true(PARSE("explain", &a, "--help"));          /* but help needs none */
    assert_true(PARSE("proxy", &a, "--", "--odd-host"));  /* after -- all are words */
    assert_string_equal(a.words[0], "--odd-host");
}

static void headers_have_a_limit(void **state)
{
    const char *argv[2 * (ARGS_HEADERS_MAX + 1) + 1] = {"http://x/"};
    struct args a;
    (void)state;
    for (int i = 0; i <= ARGS_HEADERS_MAX; i++) {
        argv[1 + 2 * i] = "-H";
        argv[2 + 2 * i] = "A: b";
    }
    assert_true(parse("explain", 1 + 2 * ARGS_HEADERS_MAX, argv, &a));
    assert_false(parse("explain", 3 + 2 * ARGS_HEADERS_MAX, argv, &a));
}

/* ---- configurations ---- */

/* Loads a text; the errors, if any, in *errors. */
static bool load_text(struct slice text, struct load *l, struct text *errors)
{
    bool ok = load_run(l, &(struct load_request){"(test)", text, 1, true, NULL});
    diag_print(&l->diag, errors, false);
    return ok;
}

static void check_loads(struct slice config)
{
    struct load l;
    struct text errors;
    text_init(&errors);
    if (!load_text(config, &l, &errors))
        fail_msg("%s", errors.at);
    text_release(&errors);
    load_release(&l);
}

static void check_refused(struct slice config, const char *part)
{
    struct load l;
    struct text errors;
    text_init(&errors);
    assert_false(load_text(config, &l, &errors));
    if (!errors.at || !strstr(errors.at, part))
        fail_msg("expected '%s' in: %s", part, errors.at ? errors.at : "");
    text_release(&errors);
    load_release(&l);
}

static void demo_is_valid(void **state)
{
    struct text config;
    (void)state;
    text_init(&config);
    demo_config(&config, "127.0.0.1:8080", 8443, (uint16_t[]){40001, 40002, 40003, 40004});
    check_loads(text_slice(&config));
    text_release(&config);
}

static void proxy_config_is_valid(void **state)
{
    struct text config;
    (void)state;
    text_init(&config);
    proxy_config(&config, ":8080", (const char *[]){"localhost:3000", "unix:/run/a b"}, 2);
    check_loads(text_slice(&config));
    text_release(&config);
}

static void demo_ports_differ(void **state)
{
    uint16_t ports[DEMO_PORTS];
    (void)state;
    assert_true(demo_ports(ports));
    for (int i = 0; i < DEMO_PORTS; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal(ports[i], ports[k]);
}

static struct main_conf main_of(struct slice config)
{
    struct load l;
    struct text errors;
    text_init(&errors);
    if (!load_text(config, &l, &errors))
        fail_msg("%s", errors.at);
    struct main_conf m = *l.conf->main;
    text_release(&errors);
    load_release(&l); /* slices in `m` are dead now */
    return m;
}

static void process_rows_are_read(void **state)
{
    (void)state;
    struct main_conf m = main_of(SLICE("workers 3\nbuffers 2M\nstop_timeout 5s\nadmin [::1]:9000\n"
                                       "pid_file /run/weir.pid\n"));
    assert_int_equal(m.workers, 3);
    assert_int_equal(m.buffers_bytes, 2 << 20);
    assert_int_equal(m.stop_ms, 5000);
    m = main_of(SLICE("admin off\nworkers auto\n"));
    assert_true(m.admin.off);
    assert_int_equal(m.workers, 0);
}

static void paths_are_terminated(void **state)
{
    struct load l;
    struct text errors;
    (void)state;
    text_init(&errors);
    assert_true(load_text(SLICE("pid_file /run/weir.pid\nworkers 1\n"), &l, &errors));
    assert_string_equal(l.conf->main->pid_file.at, "/run/weir.pid");
    text_release(&errors);
    load_release(&l);
}

static void wrong_process_rows_are_refused(void **state)
{
    (void)state;
    check_loads(SLICE("workers 256\n"));
    check_refused(SLICE("workers 257\n"), "1 to 256");
    check_refused(SLICE("workers 0\n"), "1 to 256");
    check_refused(SLICE("workers many\n"), "(test):1:9");
    check_refused(SLICE("admin example.com:80\n"), "expected an address");
    check_refused(SLICE("resolver dns.example.com\n"), "DNS server");
    check_loads(SLICE("resolver 10.0.0.1 [::1]:53\n"));
    check_refused(SLICE("buffers 1k\n"), "(test):1:9");
}

static void failing_test_block_refuses(void **state)
{
    (void)state;
    check_loads(SLICE("site a.test {\n respond 200 hi\n"
                      " test \"says hi\" {\n GET /\n expect status 200\n }\n}\n"));
    check_refused(SLICE("site a.test {\n respond 200 hi\n"
                        " test \"says hi\" {\n GET /\n expect status 201\n }\n}\n"),
                  "201");
}

/* ---- status ---- */

static void status_is_written_for_people(void **state)
{
    struct text t;
    (void)state;
    text_init(&t);
    assert_true(status_text_write(
        SLICE("{\"version\": \"1\", \"pid\": 7, \"state\": \"running\", \"uptime_s\": 3725,"
              " \"workers\": 1, \"upstreams\": [{\"name\": \"app\", \"servers\": [{\"name\":"
              " \"a:1\", \"state\": \"ejected\", \"reason\": \"it failed\", \"until\": \"T\"}]}]}"),
        &t));
    assert_non_null(strstr(t.at, "weir 1, pid 7, running for 1h 2m, 1 worker\n"));
    assert_non_null(strstr(t.at, "it failed; until T"));
    assert_false(status_text_write(SLICE("[]"), &t));
    assert_false(status_text_write(SLICE("{"), &t));
    text_release(&t);
}

static void help_names_every_command(void **state)
{
    struct text help, man;
    (void)state;
    text_init(&help);
    text_init(&man);
    help_write(&help);
    man_write(&man);
    for (const struct command *c = commands_all; c->name; c++) {
        assert_non_null(strstr(help.at, c->summary));
        assert_non_null(strstr(man.at, c->name));
        assert_int_not_equal(c->name[0], '\0');
    }
    text_release(&help);
    text_release(&man);
}

UNIT_SUITE(main_main, cmocka_unit_test(rows_are_sound),
           cmocka_unit_test(nearest_command_is_offered), cmocka_unit_test(options_stand_anywhere),
           cmocka_unit_test(wrong_options_are_refused), cmocka_unit_test(headers_have_a_limit),
           cmocka_unit_test(demo_is_valid), cmocka_unit_test(proxy_config_is_valid),
           cmocka_unit_test(demo_ports_differ), cmocka_unit_test(process_rows_are_read),
           cmocka_unit_test(paths_are_terminated), cmocka_unit_test(wrong_process_rows_are_refused),
           cmocka_unit_test(failing_test_block_refuses),
           cmocka_unit_test(status_is_written_for_people),
           cmocka_unit_test(help_names_every_command));
