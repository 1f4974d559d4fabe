/* template_test.c - templates on a dry request: values, names, mistakes with their place. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "proxy/config_test_priv.h"
#include "proxy/template.h"
#include <stdio.h>

static const char CONFIG[] = "listen :80\n"
                             "site a.example *.b.example {\n"
                             "    proxy 10.0.0.1:80\n"
                             "    route /x/ { response set X-R yes }\n"
                             "}";

static const char REQUEST[] =
    "GET http://A.example/x/%61?p=1%20&q from=10.1.2.3 | User-Agent: curl/8 "
    "| Referer: http://r/ | Cookie: a=1; b=2 | X-Y: z";

static const struct {
    const char *text, *value;
} CASES[] = {
    {"", ""},
    {"plain", "plain"},
    {"$host", "a.example"},
    {"$host.example", "a.example.example"}, /* no family: the dot is text */
    {"http://$host/x", "http://a.example/x"},
    {"${host}x", "a.examplex"},
    {"$path", "/x/a"},
    {"$query", "p=1%20&q"},
    {"$uri", "/x/%61?p=1%20&q"},
    {"$query.p", "1%20"},
    {"[$query.none]", "[]"},
    {"$method $scheme $proto", "GET http HTTP/1.1"},
    {"$header.X", ""},
    {"${header.User-Agent}|$user_agent|$referer", "curl/8|curl/8|http://r/"},
    {"${header.x-y}", "z"},
    {"$cookie.b$cookie.a", "21"},
    {"$client_ip $remote_addr", "10.1.2.3 10.1.2.3"},
    {"$site $route $upstream", "a.example /x/ 10.0.0.1:80"},
    {"$status", "200"},
    {"$response.X", ""},
    {"${response.X-R}", "yes"},
    {"[$country$error$server$tries]", "[]"},
    {"$$", "$"},
    {"a$$b", "a$b"},
    {"$$host", "$host"},
    {"$server_port", "80"},
};

static void templates_give_values(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, CONFIG);
    struct exchange *x = test_request(&t, REQUEST);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        struct conf_word w = {.text = slice_of(CASES[i].text)};
        const struct template *tp = template_compile(&t.build, &w, false);
        assert_non_null(tp);
        struct slice got = template_eval(tp, x, NULL);
        if (!got.at || !slice_eq(got, slice_of(CASES[i].value)))
            fail_msg("'%s' gave '%.*s'", CASES[i].text, SLICE_ARG(got));
    }
    test_config_release(&t);
}

static void captures_fill_in(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, CONFIG);
    struct exchange *x = test_request(&t, REQUEST);
    struct slice captures[10] = {[1] = SLICE("one"), [9] = SLICE("nine")};
    struct conf_word w = {.text = SLICE("$1-$2-${9}0")};
    const struct template *tp = template_compile(&t.build, &w, true);
    struct slice got = template_eval(tp, x, captures);
    assert_true(slice_eq(got, SLICE("one--nine0")));
    assert_true(slice_eq(template_eval(tp, x, NULL), SLICE("--0")));
    test_config_release(&t);
}

static void raw_words_have_no_variables(void **state)
{
    (void)state;
    struct test_config t;
    struct slice text;
    test_config_need(&t, CONFIG);
    struct conf_word w = {.text = SLICE("$host $$ ${"), .quote = CONF_RAW};
    const struct template *tp = template_compile(&t.build, &w, false);
    assert_true(template_is_literal(tp, &text));
    assert_true(slice_eq(text, w.text));
    struct conf_word joined = {.text = SLICE("a$$b$$")};
    assert_true(template_is_literal(template_compile(&t.build, &joined, false), &text));
    assert_true(slice_eq(text, SLICE("a$b$")));
    struct conf_word variable = {.text = SLICE("$host")};
    assert_false(template_is_literal(template_compile(&t.build, &variable, false), &text));
    test_config_release(&t);
}

static const struct {
    const char *text;
    uint32_t col; /* in the word, from 1 */
    const char *error, *hint;
} MISTAKES[] = {
    {"a$hots", 2, "unknown variable '$hots'", "did you mean 'host'?"},
    {"${Host}", 1, "unknown variable '$Host'", "host"},
    {"x${heder.A}", 2, "unknown variable", "header."},
    {"${header.}", 1, "unknown variable", ""},
    {"${}", 1, "unknown variable", ""},
    {"ab$", 3, "name is due", "$$"},
    {"a$-", 2, "name is due", "$$"},
    {"a${host", 2, "'${' without '}'", "$$"},
    {"a$1", 2, "no regular expression", ""},
    {"a$duration_ms", 2, "only in the access log", ""},
};

static void mistakes_are_shown_inside_the_word(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, CONFIG);
    for (size_t i = 0; i < sizeof(MISTAKES) / sizeof(*MISTAKES); i++) {
        diag_release(&t.diag);
        diag_init(&t.diag);
        struct slice text = slice_of(MISTAKES[i].text);
        struct conf_word w = {.text = text,
                              .quote = CONF_QUOTED,
                              .pos = {.line = 1, .col = 10, .len = (uint32_t)text.len + 2}};
        assert_null(template_compile(&t.build, &w, false));
        const struct diag_entry *e = &t.diag.entries[0];
        if (t.diag.error_count != 1 || e->pos.col != 10 + MISTAKES[i].col ||
            !strstr(e->text.at, MISTAKES[i].error) ||
            !strstr(e->hint.at ? e->hint.at : "", MISTAKES[i].hint))
            fail_msg("'%s': col %u, %s (%s)", MISTAKES[i].text, e->pos.col, e->text.at,
                     e->hint.at ? e->hint.at : "");
    }
    test_config_release(&t);
}

static void pieces_are_limited(void **state)
{
    (void)state;
    struct test_config t;
    char text[5 * (TEMPLATE_PIECES_MAX + 1)];
    test_config_need(&t, CONFIG);
    for (int i = 0; i <= TEMPLATE_PIECES_MAX; i++)
        memcpy(text + 5 * i, "$host", 5);
    struct conf_word w = {.text = {text, 5 * TEMPLATE_PIECES_MAX}};
    assert_non_null(template_compile(&t.build, &w, false));
    w.text.len += 5;
    assert_null(template_compile(&t.build, &w, false));
    test_config_release(&t);
}

static void an_empty_budget_is_told(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, CONFIG);
    struct exchange *x = test_request(&t, REQUEST);
    struct conf_word w = {.text = SLICE("$host$host")};
    const struct template *tp = template_compile(&t.build, &w, false);
    while (arena_alloc(&x->arena, 16)) {
    }
    assert_null(template_eval(tp, x, NULL).at);
    test_config_release(&t);
}

/* Every row is found by its name, has one way to its value, a text, and stands in the docs. */
static void variable_rows_are_whole(void **state)
{
    (void)state;
    struct test_config t;
    struct text docs;
    text_init(&docs);
    variables_write_docs(&docs);
    test_config_need(&t, CONFIG);
    struct exchange *x = test_request(&t, REQUEST);
    for (const struct variable *v = variables_all; v->name; v++) {
        char name[64], scratch[VARIABLE_WRITE_BYTES];
        struct slice arg = SLICE("");
        snprintf(name, sizeof(name), "%s%s", v->name, variable_is_family(v) ? "x" : "");
        assert_ptr_equal(variable_find(slice_of(name), &arg), v);
        assert_true((v->get != NULL) != (v->write != NULL));
        assert_true(v->text && *v->text);
        assert_non_null(strstr(docs.at, v->name));
        variable_get(v, x, arg, scratch);
    }
    struct slice arg;
    assert_null(variable_find(SLICE("nope"), &arg));
    assert_null(variable_find(SLICE("host.x"), &arg));
    assert_null(variable_find(SLICE("header."), &arg));
    assert_null(variable_find(SLICE(""), &arg));
    text_release(&docs);
    test_config_release(&t);
}

UNIT_SUITE(proxy_template, cmocka_unit_test(templates_give_values),
           cmocka_unit_test(captures_fill_in), cmocka_unit_test(raw_words_have_no_variables),
           cmocka_unit_test(mistakes_are_shown_inside_the_word),
           cmocka_unit_test(pieces_are_limited), cmocka_unit_test(an_empty_budget_is_told),
           cmocka_unit_test(variable_rows_are_whole));
