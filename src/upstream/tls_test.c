/* tls_test.c - what `tls` in an upstream makes, and what it refuses. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls.h"
#include "upstream/shared_priv.h"
#include "upstream/testing.h"

static const struct upstream *only(const struct test_conf *t)
{
    assert_int_equal(t->conf->upstreams->count, 1);
    return t->conf->upstreams->list[0];
}

static void one_word_verifies(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app {\n server a.test\n tls\n server b.test:8443\n}");
    const struct upstream *up = only(&t);
    assert_non_null(up->tls);
    assert_true(up->tls->verify);
    assert_int_equal(up->tls->name.len, 0);
    assert_int_equal(up->servers[0].spec.port, 443); /* wherever `tls` stands */
    assert_int_equal(up->servers[1].spec.port, 8443);
    assert_int_equal(up->tls->alpn_count, 1);
    assert_int_equal(t.diag.count, 0);
    test_conf_release(&t);
}

static void words_are_stored(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app {\n server 10.0.0.1\n"
                       " tls verify=off name=x.test min=1.3 max=1.3 groups=X25519\n}");
    const struct tls_origin *o = only(&t)->tls;
    assert_false(o->verify);
    assert_true(slice_eq(o->name, SLICE("x.test")));
    assert_int_equal(o->version_min, 0x0304);
    assert_int_equal(o->version_max, 0x0304);
    assert_string_equal(o->groups, "X25519");
    assert_int_equal(t.diag.count, 1); /* nothing is verified */
    assert_true(t.diag.entries[0].warning);
    assert_int_equal(t.diag.entries[0].pos.line, 3);
    test_conf_release(&t);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *line, *error;
    } cases[] = {
        {"tls ca=/nowhere.pem", "cannot read /nowhere.pem"},
        {"tls cert=/nowhere.pem", "cannot read /nowhere.pem"},
        {"tls key=/nowhere.pem", "a key without a certificate"},
        {"tls min=1.1", "1.2"},
        {"tls ciphers=NOSUCH", "ciphers"},
        {"tls\n server unix:/s", "no name to verify"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct test_conf t;
        char text[160];
        snprintf(text, sizeof text, "upstream app {\n server a.test\n %s\n}", cases[i].line);
        test_conf_build(&t, text);
        if (!diag_failed(&t.diag) || !strstr(t.diag.entries[0].text.at, cases[i].error))
            fail_msg("%s: %s", cases[i].line,
                     t.diag.count ? t.diag.entries[0].text.at : "no error");
        test_conf_release(&t);
    }
}

static void a_unix_socket_may_have_a_name(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app {\n server unix:/s\n tls name=app.test\n}");
    test_conf_release(&t);
    test_conf_init(&t, "upstream app {\n server unix:/s\n tls verify=off\n}");
    test_conf_release(&t);
}

/* Health and idle connections are found by identity: how a server is spoken to is part of it. */
static void plain_and_tls_are_two_servers(void **state)
{
    (void)state;
    struct test_conf plain, tls, other, again;
    test_conf_init(&plain, "upstream app { server 10.0.0.1:80 }");
    test_conf_init(&tls, "upstream app {\n server 10.0.0.1:80\n tls\n}");
    test_conf_init(&other, "upstream app {\n server 10.0.0.1:80\n tls name=x.test\n}");
    test_conf_init(&again, "upstream app {\n server 10.0.0.1:80\n tls\n}");
    const struct server_shared *p = only(&plain)->servers[0].shared,
                               *t = only(&tls)->servers[0].shared;
    assert_ptr_not_equal(p, t);
    assert_ptr_not_equal(t, only(&other)->servers[0].shared);
    assert_ptr_equal(t, only(&again)->servers[0].shared);
    assert_string_equal(t->name, "10.0.0.1:80");
    test_conf_release(&plain);
    test_conf_release(&tls);
    test_conf_release(&other);
    test_conf_release(&again);
}

static void the_reason_is_kept_and_cut(void **state)
{
    (void)state;
    struct test_conf t;
    char why[SERVER_TLS_ERROR_BYTES], longer[2 * SERVER_TLS_ERROR_BYTES];
    test_conf_init(&t, "upstream app { server 10.0.0.1:80 }");
    struct server_shared *s = only(&t)->servers[0].shared;
    server_tls_error_get(s, why);
    assert_string_equal(why, "");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    longer[5] = '\n';
    server_tls_error_set(s, longer);
    server_tls_error_get(s, why);
    assert_int_equal(strlen(why), SERVER_TLS_ERROR_BYTES - 1);
    assert_int_equal(why[5], '?'); /* no line of the log begins in it */
    test_conf_release(&t);
}

UNIT_SUITE(upstream_tls, cmocka_unit_test(one_word_verifies), cmocka_unit_test(words_are_stored),
           cmocka_unit_test(mistakes_are_told), cmocka_unit_test(a_unix_socket_may_have_a_name),
           cmocka_unit_test(plain_and_tls_are_two_servers),
           cmocka_unit_test(the_reason_is_kept_and_cut));
