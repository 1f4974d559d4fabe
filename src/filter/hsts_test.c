/* hsts_test.c - what `hsts` tells whom. Requests come by a trusted proxy that says how its clients
 * came. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(line) "listen 10.0.9.9:80\ntrust 192.0.2.0/24\nsite * {\n respond 200 x\n" line "\n}\n"

static void check(const char *config, const char *proto, const char *want)
{
    char request[128];
    snprintf(request, sizeof request, "GET / | Host: a.test | X-Forwarded-Proto: %s", proto);
    rig_start(config);
    rig_request(request);
    rig_expect(200);
    if (want)
        rig_expect_head(&rig.client, want);
    else
        rig_expect_no(&rig.client, "Strict-Transport-Security");
    rig_stop();
}

static void one_word_is_a_year(void **state)
{
    (void)state;
    check(SITE("hsts"), "https", "Strict-Transport-Security: max-age=31536000");
}

static void options_are_told(void **state)
{
    (void)state;
    check(SITE("hsts 730d subdomains preload"), "https",
          "Strict-Transport-Security: max-age=63072000; includeSubDomains; preload");
    check(SITE("hsts 0s"), "https", "Strict-Transport-Security: max-age=0");
}

static void plain_http_is_not_told(void **state)
{
    (void)state;
    check(SITE("hsts"), "http", NULL);
    check(SITE("no hsts"), "https", NULL);
}

/* What went wrong is still known at the end. */
static void errors_are_told_and_stay_errors(void **state)
{
    (void)state;
    rig_start("listen 10.0.9.9:80\ntrust 192.0.2.0/24\nsite * {\n proxy 10.0.0.1:80\n hsts\n}\n");
    rig_server_close(0);
    rig_request("GET / | Host: a.test | X-Forwarded-Proto: https");
    rig_expect(502);
    rig_expect_head(&rig.client, "Strict-Transport-Security: max-age=31536000");
    assert_int_equal(rig_errors(ERR_CONNECT_REFUSED), 1);
    rig_stop();
}

UNIT_SUITE(filter_hsts, cmocka_unit_test(one_word_is_a_year), cmocka_unit_test(options_are_told),
           cmocka_unit_test(plain_http_is_not_told),
           cmocka_unit_test(errors_are_told_and_stay_errors));
