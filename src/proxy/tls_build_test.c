/* tls_build_test.c - what `tls` lines and listeners with TLS make of sites. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/config_test_priv.h"
#include "proxy/tls_build.h"

static const struct listen_conf *listener(struct test_config *t, const char *key)
{
    const struct listen_conf *l = listen_find(t->conf->proxy, slice_of(key));
    assert_non_null(l);
    return l;
}

static struct site *site_of(const struct listen_conf *l, const char *host)
{
    enum site_match how;
    return site_lookup(l, slice_of(host), &how);
}

static void plain_listeners_send_on(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "listen :80\nlisten :8443 tls\n"
                         "site a { respond 200 }\nsite b { respond 200\n tls redirect=off }\n"
                         "site http://c { respond 200 }\nsite https://d { respond 200 }");
    const struct listen_conf *plain = listener(&t, "[::]:80"), *tls = listener(&t, "[::]:8443");
    assert_true(site_of(plain, "a")->redirects);
    assert_false(site_of(tls, "a")->redirects);
    assert_ptr_equal(site_of(plain, "b"), site_of(tls, "b"));
    assert_false(site_of(plain, "c")->redirects);
    assert_null(site_of(tls, "c"));
    assert_null(site_of(plain, "d"));
    assert_non_null(site_of(tls, "d"));
    test_config_release(&t);
}

static void redirects_keep_what_was_asked(void **state)
{
    (void)state;
    static const struct {
        const char *config, *request, *location;
        uint16_t status;
    } cases[] = {
        {"site a { respond 200 }", "GET http://a/x?y=1", "https://a/x?y=1", 301},
        {"site a { respond 200 }", "POST http://a/x", "https://a/x", 308},
        {"listen :80\nlisten :8443 tls\nsite a { respond 200 }", "HEAD http://a/",
         "https://a:8443/", 301},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct test_config t;
        test_config_need(&t, cases[i].config);
        struct dry_request r = {.method = slice_of(cases[i].request)};
        struct slice rest = r.method;
        assert_true(slice_cut(&rest, ' ', &r.method));
        assert_true(dry_url_parse(rest, &r));
        assert_non_null(t.worker = dry_worker_new(t.conf));
        t.x = exchange_dry_new(t.worker, dry_listen_of_url(t.conf->proxy, &r, SLICE("a"), 0));
        assert_int_equal(dry_request_put(t.x, &r), ERR_OK);
        exchange_dry_run(t.x, STEP_RELAY);
        assert_int_equal(t.x->res.status, cases[i].status);
        struct slice to = headers_get(&t.x->res.headers, FIELD_LOCATION);
        assert_true(slice_eq(to, slice_of(cases[i].location)));
        test_config_release(&t);
    }
}

static void names_get_identities(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "listen :443 tls\nsite a.test *.b.test { respond 200 }\n"
                         "site c.test { respond 200 }");
    const struct tls_server *s = listener(&t, "[::]:443")->server;
    assert_non_null(s);
    assert_int_equal(s->exact.count, 2);
    assert_int_equal(s->wildcards.count, 1);
    const struct tls_identity *id = tls_server_find(s, SLICE("a.test"));
    assert_non_null(id->certs[TLS_KEY_ECDSA]);
    assert_null(id->certs[TLS_KEY_RSA]);
    assert_ptr_equal(s->fallback, id);
    assert_ptr_equal(tls_server_find(s, SLICE("unknown")), id);
    assert_int_equal(s->alpn_count, 2);
    assert_true(slice_eq(s->alpn[0], SLICE("h2")));
    test_config_release(&t);
}

static void protocols_can_be_named(void **state)
{
    static const struct {
        const char *options;
        bool h1, h2;
    } cases[] = {{"tls", true, true},
                 {"tls h1", true, false},
                 {"tls h2", false, true},
                 {"tls h1 h2", true, true}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_config t;
        char text[128];
        snprintf(text, sizeof text, "site * {\n listen :443 %s\n respond 200\n}", cases[i].options);
        test_config_need(&t, text);
        const struct listen_conf *l = t.conf->proxy->listens[0];
        assert_int_equal(l->h1, cases[i].h1);
        assert_int_equal(l->h2, cases[i].h2);
        assert_int_equal(l->server->alpn_count, cases[i].h1 + cases[i].h2);
        test_config_release(&t);
    }
}

static void any_host_has_an_identity(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * {\n listen :443 tls\n respond 200\n}");
    assert_non_null(listener(&t, "[::]:443")->server->fallback);
    assert_int_equal(listener(&t, "[::]:443")->server->exact.count, 0);
    test_config_release(&t);
}

static void top_level_lines_are_defaults(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "listen :443 tls\ntls profile=modern redirect=off\n"
                         "site a.test { respond 200 }\n"
                         "site b.test { respond 200\n tls profile=intermediate }");
    assert_int_equal(t.conf->proxy->sites[0]->tls->policy.profile, TLS_PROFILE_MODERN);
    assert_false(t.conf->proxy->sites[0]->tls_redirect);
    assert_int_equal(t.conf->proxy->sites[1]->tls->policy.profile, TLS_PROFILE_INTERMEDIATE);
    assert_false(t.conf->proxy->sites[1]->tls_redirect);
    test_config_release(&t);
}

static void sites_on_plain_listeners_need_nothing(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "listen :80\nsite a.test { respond 200 }");
    assert_null(t.conf->proxy->sites[0]->tls);
    assert_null(t.conf->proxy->certs);
    test_config_release(&t);
}

static void lines_that_nobody_reads_are_told(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "listen :80\nsite a.test {\n tls cert=/nowhere\n respond 200\n}");
    assert_int_equal(t.diag.count, 1);
    assert_true(t.diag.entries[0].warning);
    assert_int_equal(t.diag.entries[0].pos.line, 3);
    test_config_release(&t);
}

static void equal_policies_have_one_id(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t,
                     "listen :443 tls\nsite a.test { respond 200 }\nsite b.test { respond 200 }\n"
                     "site c.test { respond 200\n tls min=1.3 }");
    struct site **s = t.conf->proxy->sites;
    assert_memory_equal(s[0]->tls->policy.id, s[1]->tls->policy.id, TLS_POLICY_ID_BYTES);
    assert_memory_not_equal(s[0]->tls->policy.id, s[2]->tls->policy.id, TLS_POLICY_ID_BYTES);
    test_config_release(&t);
}

UNIT_SUITE(proxy_tls_build, cmocka_unit_test(lines_that_nobody_reads_are_told),
           cmocka_unit_test(equal_policies_have_one_id), cmocka_unit_test(plain_listeners_send_on),
           cmocka_unit_test(redirects_keep_what_was_asked), cmocka_unit_test(names_get_identities),
           cmocka_unit_test(protocols_can_be_named), cmocka_unit_test(any_host_has_an_identity),
           cmocka_unit_test(top_level_lines_are_defaults),
           cmocka_unit_test(sites_on_plain_listeners_need_nothing));
