/* csrf_test.c - which requests change something, and from whose pages they may come. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(line) "listen 10.0.9.9:80\ntrust 192.0.2.0/24\nsite * {\n respond 200 x\n" line "\n}\n"
#define OWN        SITE("csrf")
#define NAMED      SITE("csrf https://app.test https://*.good.test null")
#define SID        " | Cookie: sid=1"

static void check(const char *config, const char *line, unsigned status)
{
    char request[512];
    snprintf(request, sizeof request, "%s | Host: a.test", line);
    size_t bar = strcspn(line, "|");
    if (line[bar])
        snprintf(request, sizeof request, "%.*s| Host: a.test %s", (int)bar, line, line + bar);
    rig_start(config);
    rig_request(request);
    if (atoi(rig.client.head) != (int)status)
        fail_msg("'%s' gave %d, not %u", line, atoi(rig.client.head), status);
    rig_expect(status);
    assert_int_equal(counter_get(&rig.counters, METRIC_CSRF_REFUSED), status == 403);
    assert_int_equal(rig_errors(ERR_CSRF_REFUSED), status == 403);
    rig_stop();
}

static void passes(const char *config, const char *line)
{
    check(config, line, 200);
}

static void refused(const char *config, const char *line)
{
    check(config, line, 403);
}

static void pages_of_the_site_may(void **state)
{
    (void)state;
    passes(OWN, "POST /" SID " | Origin: http://a.test");
    passes(OWN, "POST /" SID " | Referer: http://a.test/form?x");
    passes(OWN, "POST /" SID " | Sec-Fetch-Site: same-origin");
    passes(OWN, "POST /" SID " | Sec-Fetch-Site: none");
    passes(OWN, "DELETE /" SID " | Origin: http://a.test");
    passes(OWN, "FOO /" SID " | Origin: http://a.test");
    passes(OWN, "POST /" SID " | Origin: https://a.test | X-Forwarded-Proto: https");
    passes(OWN, "POST /" SID " | Origin: https://b.test | X-Forwarded-Proto: https"
                " | X-Forwarded-Host: b.test");
    passes(OWN, "POST /" SID " | Origin: https://b.test:8443 | X-Forwarded-Proto: https"
                " | X-Forwarded-Host: B.test:8443");
    passes(OWN, "POST /" SID " | Origin: https://a.test:8443 | X-Forwarded-Proto: https"
                " | X-Forwarded-Port: 8443");
}

static void pages_of_other_sites_may_not(void **state)
{
    (void)state;
    refused(OWN, "POST / | Origin: http://evil.test"); /* cookies or not */
    refused(OWN, "POST /" SID " | Origin: http://evil.test");
    refused(OWN, "POST /" SID " | Origin: https://a.test"); /* scheme, port */
    refused(OWN, "POST /" SID " | Origin: http://a.test:8080");
    refused(OWN, "POST /" SID " | Origin: null");
    refused(OWN, "POST /" SID " | Origin: http://a.test.evil.test");
    refused(OWN, "POST /" SID " | Origin: http://a.test@evil.test");
    refused(OWN, "POST /" SID " | Origin: http://sub.a.test");
    refused(OWN, "POST /" SID " | Origin: ");
    refused(OWN, "POST /" SID " | Referer: http://evil.test/http://a.test/");
    refused(OWN, "POST /" SID " | Referer: http://evil.test\\@a.test/");
    refused(OWN, "POST /" SID " | Referer: http://evil.test#http://a.test/");
    refused(OWN, "POST /" SID " | Referer: http://a.test.evil.test/");
    refused(OWN, "POST /" SID " | Referer: about:blank");
    refused(OWN, "POST /" SID " | Sec-Fetch-Site: cross-site");
    refused(OWN, "POST /" SID " | Sec-Fetch-Site: same-site | Origin: http://sub.a.test");
    refused(OWN, "POST /" SID " | Sec-Fetch-Site: Same-Origin-Not");
    refused(OWN, "POST /" SID " | Sec-Fetch-Site: cross-site | Origin: http://a.test");
}

static void an_origin_outweighs_a_referer(void **state)
{
    (void)state;
    refused(OWN, "POST /" SID " | Origin: http://evil.test | Referer: http://a.test/");
    refused(OWN, "POST /" SID " | Origin: null | Referer: http://a.test/");
    passes(OWN, "POST /" SID " | Origin: http://a.test | Referer: http://evil.test/");
}

static void fields_stand_there_once(void **state)
{
    (void)state;
    refused(OWN, "POST /" SID " | Origin: http://a.test | Origin: http://evil.test");
    refused(OWN, "POST /" SID " | Origin: http://a.test | origin: http://a.test");
    refused(OWN, "POST /" SID " | Referer: http://a.test/ | Referer: http://a.test/");
    refused(OWN, "POST /" SID " | Sec-Fetch-Site: same-origin | Sec-Fetch-Site: same-origin");
    refused(OWN, "POST /" SID " | Sec-Fetch-Site: cross-site | Sec-Fetch-Site: same-origin");
    refused(OWN, "POST /" SID " | Origin: http://a.test, http://evil.test");
}

static void named_origins_may(void **state)
{
    (void)state;
    passes(NAMED, "POST /" SID " | Origin: https://app.test");
    passes(NAMED, "POST /" SID " | Origin: https://x.good.test | Sec-Fetch-Site: cross-site");
    passes(NAMED, "POST /" SID " | Referer: https://app.test/ | Sec-Fetch-Site: cross-site");
    passes(NAMED, "POST /" SID " | Origin: null");
    refused(NAMED, "POST /" SID " | Origin: https://good.test");
    refused(NAMED, "POST /" SID " | Origin: https://evilgood.test");
    refused(NAMED, "POST /" SID " | Origin: http://app.test");
}

static void safe_methods_pass(void **state)
{
    (void)state;
    passes(OWN, "GET /" SID " | Origin: http://evil.test | Sec-Fetch-Site: cross-site");
    passes(OWN, "HEAD /" SID " | Origin: http://evil.test");
    passes(OWN, "OPTIONS /" SID " | Origin: http://evil.test");
}

static void programs_pass(void **state)
{
    (void)state;
    passes(OWN, "POST /");
    passes(OWN, "POST / | Authorization: Bearer x");
    refused(OWN, "POST /" SID);
    passes(SITE("csrf missing=allow"), "POST /" SID);
    refused(SITE("csrf missing=allow"), "POST /" SID " | Origin: http://evil.test");
}

static void what_asks_to_be_another_method_counts(void **state)
{
    (void)state;
    static const char *const fields[] = {"X-HTTP-Method-Override: DELETE", "x-http-method: PUT",
                                         "X-METHOD-OVERRIDE: POST"};
    static const char *const queries[] = {
        "_method=DELETE", "a=1&_method=put", "a;_method=put", "%5Fmethod=x",
        "%5f%6deThod=x",  "_METHOD",         "+_method=x",    "%20_method=x",
        ".method=x",      "%2emethod=x",     "[method=x",     "a=%&_method=x",
    };
    char line[160];
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        snprintf(line, sizeof line, "GET /" SID " | Origin: http://evil.test | %s", fields[i]);
        refused(OWN, line);
        snprintf(line, sizeof line, "GET /" SID " | Origin: http://a.test | %s", fields[i]);
        passes(OWN, line);
    }
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        snprintf(line, sizeof line, "GET /x?%s" SID " | Sec-Fetch-Site: cross-site", queries[i]);
        refused(OWN, line);
    }
    passes(OWN, "GET /x?a=_method&the_method=x&_methods&%5=1" SID " | Sec-Fetch-Site: cross-site");
    refused(OWN, "GET /x?_method=DELETE" SID);
    refused(OWN, "GET /x?_method=DELETE | Authorization: Basic eDp5"); /* browsers send that, too */
    passes(OWN, "GET /x?_method=DELETE");
}

static void websockets_count(void **state)
{
    (void)state;
    const char *ws = "GET /ws" SID " | Upgrade: websocket | Connection: Upgrade | Origin: ";
    char line[200];
    snprintf(line, sizeof line, "%s%s", ws, "http://evil.test");
    refused(OWN, line);
    snprintf(line, sizeof line, "%s%s", ws, "http://a.test");
    passes(OWN, line);
    refused(OWN, "GET /ws" SID " | Upgrade: websocket | Connection: Upgrade");
    passes(OWN, "GET /ws | Upgrade: websocket | Connection: Upgrade");
}

static void a_dry_run_counts(void **state)
{
    (void)state;
    rig_start(SITE("csrf dry_run"));
    rig_request("POST / | Host: a.test | Origin: http://evil.test");
    rig_expect(200);
    assert_int_equal(counter_get(&rig.counters, METRIC_CSRF_WOULD_REFUSE), 1);
    assert_int_equal(counter_get(&rig.counters, METRIC_CSRF_REFUSED), 0);
    rig_stop();
}

static void every_origin_is_a_mistake(void **state)
{
    (void)state;
    struct test_config t;
    assert_false(test_config_load(&t, SITE("csrf *")));
    test_config_release(&t);
    assert_false(test_config_load(&t, SITE("csrf a.test")));
    test_config_release(&t);
}

UNIT_SUITE(filter_csrf, cmocka_unit_test(pages_of_the_site_may),
           cmocka_unit_test(pages_of_other_sites_may_not),
           cmocka_unit_test(an_origin_outweighs_a_referer),
           cmocka_unit_test(fields_stand_there_once), cmocka_unit_test(named_origins_may),
           cmocka_unit_test(safe_methods_pass), cmocka_unit_test(programs_pass),
           cmocka_unit_test(what_asks_to_be_another_method_counts),
           cmocka_unit_test(websockets_count), cmocka_unit_test(a_dry_run_counts),
           cmocka_unit_test(every_origin_is_a_mistake));
