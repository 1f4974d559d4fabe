/* headers_test.c - what `headers secure` adds, leaves and takes off. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(line) "listen 10.0.9.9:80\nsite * {\n proxy 10.0.0.1:80\n" line "\n}\n"

/* What becomes of a response of the server. */
static void answer(const char *config, const char *fields)
{
    char head[1024];
    snprintf(head, sizeof head, "200%s%s", *fields ? " | " : "", fields);
    rig_start(config);
    rig_request("GET / | Host: a.test");
    rig_answer(head, "");
    rig_expect(200);
}

static void becomes(const char *config, const char *fields, const char *line)
{
    answer(config, fields);
    rig_expect_head(&rig.client, line);
    rig_stop();
}

static void lacks(const char *config, const char *fields, const char *text)
{
    answer(config, fields);
    rig_expect_no(&rig.client, text);
    rig_stop();
}

static void one_word_is_enough(void **state)
{
    (void)state;
    answer(SITE("headers secure"), "Server: x/1 | X-Powered-By: y | x-aspnet-version: 1");
    rig_expect_head(&rig.client, "X-Content-Type-Options: nosniff");
    rig_expect_head(&rig.client, "X-Frame-Options: SAMEORIGIN");
    rig_expect_head(&rig.client, "Content-Security-Policy: frame-ancestors 'self'");
    rig_expect_head(&rig.client, "Referrer-Policy: strict-origin-when-cross-origin");
    rig_expect_head(&rig.client, "Cross-Origin-Opener-Policy: same-origin");
    rig_expect_head(&rig.client, "Cross-Origin-Resource-Policy: same-site");
    rig_expect_head(&rig.client, "Permissions-Policy: camera=(), geolocation=(), microphone=(), "
                                 "payment=(), usb=()");
    rig_expect_no(&rig.client, "Server:");
    rig_expect_no(&rig.client, "Powered");
    rig_expect_no(&rig.client, "aspnet");
    rig_expect_no(&rig.client, "Strict-Transport"); /* `hsts` */
    rig_stop();
}

static void everything_can_be_left_alone(void **state)
{
    (void)state;
    answer(SITE("headers secure nosniff=off frame=off referrer=off permissions=off opener=off "
                "resource=off csp=off server=keep"),
           "Server: x/1 | X-Frame-Options: ALLOWALL");
    rig_expect_head(&rig.client, "Server: x/1");
    rig_expect_head(&rig.client, "X-Frame-Options: ALLOWALL");
    rig_expect_no(&rig.client, "Policy");
    rig_expect_no(&rig.client, "nosniff");
    rig_stop();
}

static void stricter_ones_of_the_server_stay(void **state)
{
    (void)state;
    const char *config = SITE("headers secure");
    becomes(config, "X-Frame-Options: deny", "X-Frame-Options: deny");
    becomes(config, "Referrer-Policy: no-referrer", "Referrer-Policy: no-referrer");
    becomes(config, "Referrer-Policy: unsafe-url, same-origin, unknown",
            "Referrer-Policy: unsafe-url, same-origin, unknown");
    becomes(config, "Cross-Origin-Opener-Policy: same-origin; report-to=\"x\"",
            "Cross-Origin-Opener-Policy: same-origin; report-to=\"x\"");
    becomes(config, "Cross-Origin-Resource-Policy: same-origin",
            "Cross-Origin-Resource-Policy: same-origin");
    becomes(config, "Permissions-Policy: camera=(self)", "Permissions-Policy: camera=(self)");
}

static void weaker_ones_of_the_server_go(void **state)
{
    (void)state;
    const char *config = SITE("headers secure");
    becomes(config, "X-Frame-Options: ALLOW-FROM https://x.test", "X-Frame-Options: SAMEORIGIN");
    becomes(config, "X-Frame-Options: deny | x-frame-options: deny", "X-Frame-Options: SAMEORIGIN");
    becomes(config, "Referrer-Policy: unsafe-url",
            "Referrer-Policy: strict-origin-when-cross-origin");
    becomes(config, "Referrer-Policy: same-origin, unsafe-url",
            "Referrer-Policy: strict-origin-when-cross-origin");
    becomes(config, "Cross-Origin-Opener-Policy: unsafe-none",
            "Cross-Origin-Opener-Policy: same-origin");
    becomes(config, "Cross-Origin-Resource-Policy: cross-origin",
            "Cross-Origin-Resource-Policy: same-site");
    becomes(config, "X-Content-Type-Options: maybe", "X-Content-Type-Options: nosniff");
    lacks(config, "X-Content-Type-Options: maybe", "maybe");
}

static void the_server_may_say_who_frames_it(void **state)
{
    (void)state;
    const char *partner = "content-security-policy: default-src 'self'; Frame-Ancestors "
                          "https://partner.test";
    answer(SITE("headers secure"), partner);
    rig_expect_head(&rig.client, "content-security-policy: default-src 'self'; Frame-Ancestors "
                                 "https://partner.test");
    rig_expect_no(&rig.client, "X-Frame-Options");
    rig_expect_no(&rig.client, "'self'\r\n");
    rig_stop();
    becomes(SITE("headers secure force"), partner, "X-Frame-Options: SAMEORIGIN");
    becomes(SITE("headers secure force"), partner,
            "Content-Security-Policy: frame-ancestors 'self'");
    /* reports only, or another directive's name */
    becomes(SITE("headers secure"), "Content-Security-Policy-Report-Only: frame-ancestors *",
            "X-Frame-Options: SAMEORIGIN");
    becomes(SITE("headers secure"), "Content-Security-Policy: x-frame-ancestors *",
            "X-Frame-Options: SAMEORIGIN");
}

static void policies_add_up(void **state)
{
    (void)state;
    const char *config = SITE("headers secure csp=\"default-src 'self'\" frame=deny");
    becomes(config, "", "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'");
    becomes(config, "", "X-Frame-Options: DENY");
    becomes(config, "Content-Security-Policy: img-src *",
            "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'");
    becomes(config, "Content-Security-Policy: img-src *", "Content-Security-Policy: img-src *");
    config = SITE("headers secure csp=\"img-src *; frame-ancestors https://p.test\"");
    becomes(config, "", "Content-Security-Policy: img-src *; frame-ancestors https://p.test");
    lacks(config, "", "X-Frame-Options");
}

static void force_replaces(void **state)
{
    (void)state;
    const char *config = SITE("headers secure force csp=\"img-src *\" referrer=unsafe-url "
                              "permissions=\"camera=()\"");
    lacks(config, "Content-Security-Policy: default-src 'none'", "'none'");
    becomes(config, "Referrer-Policy: no-referrer", "Referrer-Policy: unsafe-url");
    becomes(config, "X-Frame-Options: DENY", "X-Frame-Options: SAMEORIGIN");
    becomes(config, "Permissions-Policy: usb=()", "Permissions-Policy: camera=()");
    /* without one of ours the server's policy is better than none */
    becomes(SITE("headers secure force"), "Content-Security-Policy: default-src 'none'",
            "Content-Security-Policy: default-src 'none'");
}

static void routes_change_what_they_name(void **state)
{
    (void)state;
    answer(SITE("headers secure referrer=no-referrer frame=deny\n"
                "route / {\n proxy 10.0.0.1:80\n headers secure frame=off\n}"),
           "");
    rig_expect_head(&rig.client, "Referrer-Policy: no-referrer");
    rig_expect_no(&rig.client, "X-Frame-Options");
    rig_stop();
    lacks(SITE("headers secure\nroute / {\n proxy 10.0.0.1:80\n no headers\n}"), "", "Policy");
}

static void errors_have_them_too(void **state)
{
    (void)state;
    rig_start(SITE("headers secure"));
    rig_server_close(0);
    rig_request("GET / | Host: a.test");
    rig_expect(502);
    rig_expect_head(&rig.client, "X-Content-Type-Options: nosniff");
    assert_int_equal(rig_errors(ERR_CONNECT_REFUSED), 1);
    rig_stop();
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        SITE("headers"), SITE("headers safe"), SITE("headers secure frame=maybe"),
        SITE("headers secure referrer=strict"), SITE("headers secure csp=\"a\\nb\"")};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct test_config t;
        if (test_config_load(&t, bad[i]))
            fail_msg("was taken:\n%s", bad[i]);
        test_config_release(&t);
    }
}

UNIT_SUITE(filter_headers, cmocka_unit_test(one_word_is_enough),
           cmocka_unit_test(everything_can_be_left_alone),
           cmocka_unit_test(stricter_ones_of_the_server_stay),
           cmocka_unit_test(weaker_ones_of_the_server_go),
           cmocka_unit_test(the_server_may_say_who_frames_it), cmocka_unit_test(policies_add_up),
           cmocka_unit_test(force_replaces), cmocka_unit_test(routes_change_what_they_name),
           cmocka_unit_test(errors_have_them_too), cmocka_unit_test(mistakes_are_refused));
