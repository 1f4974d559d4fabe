/* build_test.c - configurations and what becomes of them: inheritance, overriding, taking back,
 * guards, listeners and names, and every mistake with its place. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/rows_verify.h"
#include "proxy/access_log.h"
#include "proxy/config_test_priv.h"
#include "proxy/target.h"
#include "upstream/lease.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct settings *settings_of(struct test_config *t, const char *request)
{
    return test_request(t, request)->settings;
}

static void assert_header(struct test_config *t, const char *name, const char *want)
{
    struct slice got = test_req_header(t, name);
    if (want ? !got.at || !slice_eq(got, slice_of(want)) : got.at != NULL)
        fail_msg("%s is '%.*s'", name, SLICE_ARG(got));
}

static void rows_are_whole(void **state)
{
    (void)state;
    struct text report;
    struct test_config t;
    test_config_need(&t, "");
    text_init(&report);
    conf_rows_verify(&t.schema, &report);
    if (report.len > 0)
        print_error("%s", report.at);
    assert_int_equal(report.len, 0);
    text_release(&report);
    test_config_release(&t);
}

static void defaults_hold_without_any_word(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * { proxy 10.0.0.1:80 }");
    const struct settings *s = settings_of(&t, "GET http://a/");
    assert_int_equal(s->client_header_ms, 10000);
    assert_int_equal(s->client_body_ms, 30000);
    assert_int_equal(s->client_send_ms, 30000);
    assert_int_equal(s->keepalive_ms, 75000);
    assert_int_equal(s->connect_ms, 5000);
    assert_int_equal(s->first_byte_ms, 60000);
    assert_int_equal(s->read_ms, 60000);
    assert_int_equal(s->send_ms, 60000);
    assert_int_equal(s->request_ms, CONF_OFF);
    assert_int_equal(s->tunnel_ms, 3600000);
    assert_int_equal(s->body_max_bytes, 100 << 20);
    assert_int_equal(s->body_rate, 100);
    assert_int_equal(s->body_queue_bytes, 256 << 10);
    assert_int_equal(s->buffer_request, CONF_OFF);
    assert_int_equal(s->buffer_memory_bytes, 1 << 20);
    assert_int_equal(s->merge_slashes, MERGE_IN_ROUTES);
    assert_false(settings_is_set(s->retry_tries));
    assert_false(settings_is_set(s->retry_statuses));
    assert_non_null(s->log);
    assert_ptr_equal(s->log, t.conf->proxy->defaults.log);
    assert_int_equal(s->target->kind, TARGET_UPSTREAM);
    test_config_release(&t);
}

static void every_setting_can_be_set(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "merge_slashes on\n"
                         "site * {\n"
                         " proxy 10.0.0.1:80\n"
                         " timeout client_header=1s client_body=2s client_send=3s keepalive=4s\n"
                         " timeout { connect 5ms\n first_byte 6s\n read off\n send 7s }\n"
                         " timeout request=8s tunnel=1d\n"
                         " body max=off rate=1k/s queue=64k\n"
                         " request buffer on memory=2M\n"
                         " retry 3 on=502,504\n"
                         "}");
    const struct settings *s = settings_of(&t, "GET http://a/");
    assert_int_equal(s->client_header_ms, 1000);
    assert_int_equal(s->client_body_ms, 2000);
    assert_int_equal(s->client_send_ms, 3000);
    assert_int_equal(s->keepalive_ms, 4000);
    assert_int_equal(s->connect_ms, 5);
    assert_int_equal(s->first_byte_ms, 6000);
    assert_int_equal(s->read_ms, CONF_OFF);
    assert_int_equal(s->send_ms, 7000);
    assert_int_equal(s->request_ms, 8000);
    assert_int_equal(s->tunnel_ms, 86400000);
    assert_int_equal(s->body_max_bytes, CONF_OFF);
    assert_int_equal(s->body_rate, 1024);
    assert_int_equal(s->body_queue_bytes, 65536);
    assert_int_equal(s->buffer_request, 1);
    assert_int_equal(s->buffer_memory_bytes, 2 << 20);
    assert_int_equal(s->merge_slashes, MERGE_EVERYWHERE);
    assert_int_equal(s->retry_tries, 3);
    assert_int_equal(s->retry_statuses, RETRY_ON_502 | RETRY_ON_504);
    test_config_release(&t);
}

static void priorities_are_inherited(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * {\n proxy 10.0.0.1:80\n priority 5\n"
                         " route /r { priority 0 }\n route /n { no priority }\n}");
    assert_int_equal(settings_of(&t, "GET http://a/")->priority, 5);
    assert_int_equal(settings_of(&t, "GET http://a/r")->priority, 0);
    assert_int_equal(settings_of(&t, "GET http://a/n")->priority, PRIORITY_DEFAULT);
    test_config_release(&t);
    test_error("site * {\n priority 8\n}", 2, 11, "7");
}

static void source_ip_has_a_key_of_its_own(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "upstream app { server 10.0.0.1:80; balance source_ip }\n"
                         "site * { proxy app }");
    assert_non_null(settings_of(&t, "GET http://a/")->target->hash_key);
    test_config_release(&t);
}

static void off_words(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t,
                     "retry 5\nsite * {\n proxy 10.0.0.1:80\n body rate=off\n retry off on=off\n"
                     " route /b { buffer on }\n route /r { no retry }\n}");
    const struct settings *s = settings_of(&t, "GET http://a/");
    assert_int_equal(s->retry_tries, 0);
    assert_int_equal(s->retry_statuses, 0);
    assert_int_equal(s->body_rate, CONF_OFF);
    assert_int_equal(s->body_max_bytes, 100 << 20);
    assert_int_equal(settings_of(&t, "GET http://a/b")->buffer_request, 1);
    assert_int_equal(settings_of(&t, "GET http://a/r")->retry_tries, 5);
    test_config_release(&t);
}

static void settings_are_inherited_key_by_key(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "timeout read=1s send=2s\n"
                         "body max=1M\n"
                         "site * {\n"
                         " proxy 10.0.0.1:80\n"
                         " timeout read=3s\n"
                         " route /a/ { timeout send=4s\n body queue=32k }\n"
                         " route /b/ { no timeout }\n"
                         " route /c/ { no proxy timeout\n timeout send=9s\n respond 204 }\n"
                         "}");
    const struct settings *s = settings_of(&t, "GET http://a/");
    assert_int_equal(s->read_ms, 3000);
    assert_int_equal(s->send_ms, 2000);
    s = settings_of(&t, "GET http://a/a/");
    assert_int_equal(s->read_ms, 3000);
    assert_int_equal(s->send_ms, 4000);
    assert_int_equal(s->body_max_bytes, 1 << 20);
    assert_int_equal(s->body_queue_bytes, 32768);
    s = settings_of(&t, "GET http://a/b/");
    assert_int_equal(s->read_ms, 1000);
    s = settings_of(&t, "GET http://a/c/");
    assert_int_equal(s->read_ms, 1000);
    assert_int_equal(s->send_ms, 9000);
    assert_int_equal(t.x->res.status, 204);
    test_config_release(&t);
}

static void filters_add_up_and_override_by_key(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * {\n"
                         " proxy 10.0.0.1:80\n"
                         " request set X-A site\n"
                         " request set X-B site\n"
                         " route /a/ { request set x-a route\n request set X-C route }\n"
                         " route /b/ { no request\n request set X-D route }\n"
                         " route /c/ { timeout read=1s }\n"
                         " route /d/ { no response }\n"
                         "}");
    test_request(&t, "GET http://a/");
    assert_header(&t, "X-A", "site");
    assert_header(&t, "X-B", "site");
    assert_header(&t, "X-C", NULL);
    test_request(&t, "GET http://a/a/");
    assert_header(&t, "X-A", "route");
    assert_header(&t, "X-B", "site");
    assert_header(&t, "X-C", "route");
    test_request(&t, "GET http://a/b/");
    assert_header(&t, "X-A", NULL);
    assert_header(&t, "X-D", "route");
    test_request(&t, "GET http://a/c/");
    assert_header(&t, "X-A", "site");
    test_request(&t, "GET http://a/d/");
    assert_header(&t, "X-A", "site");
    test_config_release(&t);
}

/* An overridden directive is not applied at all: `add` would show it. */
static void the_overridden_directive_is_gone(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * {\n proxy 10.0.0.1:80\n request add X-A site\n"
                         " route /a { request add X-A route }\n}");
    const struct exchange *x = test_request(&t, "GET http://a/a");
    const struct header *h = headers_find_name(&x->req.headers, SLICE("X-A"));
    assert_true(slice_eq(h->value, SLICE("route")));
    assert_null(headers_next(&x->req.headers, h));
    test_config_release(&t);
}

static void what_a_route_does_not_touch_is_shared(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * {\n proxy 10.0.0.1:80\n request set X-A 1\n response set X-B 1\n"
                         " when method == PUT { request set X-P 1 }\n"
                         " route /a { timeout read=1s }\n"
                         " route /b { request set X-A 2 }\n}");
    const struct site *s = t.conf->proxy->sites[0];
    const struct route *a = s->routes[0], *b = s->routes[1], *own = s->own;
    assert_ptr_equal(a->chains[HOOK_REQUEST].uses, own->chains[HOOK_REQUEST].uses);
    assert_ptr_equal(a->whens, own->whens);
    assert_ptr_not_equal(b->chains[HOOK_REQUEST].uses, own->chains[HOOK_REQUEST].uses);
    /* the filter that b does not touch has the same conf */
    assert_ptr_equal(b->chains[HOOK_RESPONSE].uses[0].conf,
                     own->chains[HOOK_RESPONSE].uses[0].conf);
    assert_ptr_equal(b->whens, own->whens);
    assert_int_equal(own->chains[HOOK_REQUEST].count, 2);
    assert_int_equal(own->filter_count, 3);
    test_config_release(&t);
}

static void several_whens_may_hold(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t,
                     "site * {\n"
                     " proxy 10.0.0.1:80\n"
                     " request set X-A base\n"
                     " when method == PUT { request set X-A put\n body max=1G\n timeout read=1s }\n"
                     " when header.X-Q { request set X-Q2 1\n timeout read=2s }\n"
                     " route /r {\n"
                     "  when method == PUT { respond 204\n request buffer on }\n"
                     "  when ip == 10.0.0.1 { rewrite /other }\n"
                     " }\n"
                     "}");
    const struct settings *s = settings_of(&t, "GET http://a/");
    assert_header(&t, "X-A", "base");
    assert_int_equal(s->body_max_bytes, 100 << 20);
    s = settings_of(&t, "PUT http://a/");
    assert_header(&t, "X-A", "put");
    assert_header(&t, "X-Q2", NULL);
    assert_int_equal(s->body_max_bytes, 1 << 30);
    assert_int_equal(s->read_ms, 1000);
    s = settings_of(&t, "PUT http://a/ | X-Q: 1");
    assert_header(&t, "X-A", "put");
    assert_header(&t, "X-Q2", "1");
    assert_int_equal(s->read_ms, 2000); /* the later one wins */
    assert_int_equal(s->body_max_bytes, 1 << 30);
    s = settings_of(&t, "PUT http://a/r");
    assert_int_equal(t.x->res.status, 204);
    assert_int_equal(s->buffer_request, 1);
    assert_header(&t, "X-A", "put");
    test_request(&t, "GET http://a/r from=10.0.0.1");
    assert_true(slice_eq(t.x->forward_path, SLICE("/other")));
    assert_int_equal(t.x->res.status, 200);
    test_config_release(&t);
}

static void whens_are_limited(void **state)
{
    (void)state;
    struct test_config t;
    for (int count = WHENS_MAX; count <= WHENS_MAX + 1; count++) {
        char text[8192];
        size_t len = (size_t)snprintf(text, sizeof(text), "site * {\nrespond 200\n");
        for (int i = 0; i < count; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len,
                                    "when path == /%d { request set X-N %d }\n", i, i);
        snprintf(text + len, sizeof(text) - len, "}");
        if (count > WHENS_MAX) {
            test_error(text, 3 + WHENS_MAX, 1, "more than 64");
            continue;
        }
        test_config_need(&t, text);
        test_request(&t, "GET http://a/63");
        assert_header(&t, "X-N", "63");
        assert_int_equal(t.x->whens, (uint64_t)1 << 63);
        test_config_release(&t);
    }
}

static void routes_by_kind(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        uint16_t status;
    } cases[] = {{"/x", 201},        {"/x/", 202},    {"/x/y", 202},   {"/xy", 404},
                 {"/x/y.php", 203},  {"/%78", 201},   {"/a%2Fb", 404}, {"/a/../x", 201},
                 {"/a b", 0},        {"/p", 205},     {"/p/q", 205},   {"/pq", 404},
                 {"/sp%20ace", 206}, {"/y.php", 203}, {"/y.php5", 404}};
    struct test_config t;
    test_config_need(&t, "site * {\n"
                         " respond 404\n"
                         " route = /x { respond 201 }\n"
                         " route /x/ { respond 202 }\n"
                         " route ~ '\\.php$' { respond 203 }\n"
                         " route ~ '^/never|^/x/y\\.php' { respond 204 }\n"
                         " route /%70 { respond 205 }\n"
                         " route = /sp%20ace { respond 206 }\n"
                         "}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char request[128];
        if (cases[i].status == 0)
            continue;
        snprintf(request, sizeof(request), "GET http://a%s", cases[i].path);
        if (test_request(&t, request)->res.status != cases[i].status)
            fail_msg("%s: %u", cases[i].path, t.x->res.status);
    }
    test_config_release(&t);
}

static void strip_cuts_the_prefix(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * {\n proxy 10.0.0.1:80\n route /api/ strip { retry 1 }\n"
                         " route /v1 { strip\n retry 1 }\n}");
    assert_true(slice_eq(test_request(&t, "GET http://a/api/x")->forward_path, SLICE("/x")));
    assert_true(slice_eq(test_request(&t, "GET http://a/api/")->forward_path, SLICE("/")));
    assert_true(slice_eq(test_request(&t, "GET http://a/v1")->forward_path, SLICE("/")));
    assert_true(slice_eq(test_request(&t, "GET http://a/v1/x")->forward_path, SLICE("/x")));
    assert_true(slice_eq(test_request(&t, "GET http://a/v12")->forward_path, SLICE("/v12")));
    test_config_release(&t);
}

static void upstreams_may_come_later(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site * {\n proxy app\n route /h { proxy http://10.0.0.2:81 }\n"
                         " route /l { proxy localhost:3000 }\n}\n"
                         "upstream app {\n server 10.0.0.1:80\n}");
    assert_true(slice_eq(test_request(&t, "GET http://a/")->upstream_name, SLICE("app")));
    assert_true(slice_eq(test_request(&t, "GET http://a/h")->upstream_name, SLICE("10.0.0.2:81")));
    assert_true(
        slice_eq(test_request(&t, "GET http://a/l")->upstream_name, SLICE("localhost:3000")));
    test_config_release(&t);
}

static void hash_keys_are_templates(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "upstream app {\n server 10.0.0.1:80\n server 10.0.0.2:80\n"
                         " balance hash \"$client_ip\"\n}\nsite * { proxy app }");
    assert_non_null(settings_of(&t, "GET http://a/")->target->hash_key);
    test_config_release(&t);
    test_error("upstream app {\n server 10.0.0.1:80\n balance hash \"$clientip\"\n}\n"
               "site * { proxy app }",
               3, 16, "unknown variable");
}

/* --- listeners ---------------------------------------------------------------------------------*/

static void assert_listens(const char *config, const char *const *keys)
{
    struct test_config t;
    uint32_t count = 0;
    test_config_need(&t, config);
    for (; keys[count]; count++) {
        if (!listen_find(t.conf->proxy, slice_of(keys[count])))
            fail_msg("%s: no %s", config, keys[count]);
    }
    assert_int_equal(t.conf->proxy->listen_count, count);
    test_config_release(&t);
}

static void sites_stand_on_listeners(void **state)
{
    (void)state;
    assert_listens("site a { respond 200 }", (const char *[]){"[::]:80", "[::]:443", NULL});
    assert_listens("site * { respond 200 }", (const char *[]){"[::]:80", NULL});
    assert_listens("site https://a { respond 200 }", (const char *[]){"[::]:443", NULL});
    assert_listens("site http://a { respond 200 }", (const char *[]){"[::]:80", NULL});
    assert_listens("listen 127.0.0.1:81\nlisten :82\nsite a { respond 200 }",
                   (const char *[]){"127.0.0.1:81", "[::]:82", NULL});
    assert_listens("site a { respond 200\n listen localhost:81 }\nsite b { respond 200 }",
                   (const char *[]){"127.0.0.1:81", "[::]:80", "[::]:443", NULL});
    assert_listens("site a { respond 200\n listen :81\n listen :82 }",
                   (const char *[]){"[::]:81", "[::]:82", NULL});
    assert_listens("", (const char *[]){NULL});
    assert_listens("listen unix:/tmp/s", (const char *[]){"unix:/tmp/s", NULL});
}

static struct site *site_at(struct test_config *t, const char *key, const char *host)
{
    enum site_match how;
    return site_lookup(listen_find(t->conf->proxy, slice_of(key)), slice_of(host), &how);
}

static void a_listen_in_a_site_is_its_own(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t,
                     "listen :81\nsite a { respond 200\n listen :82 }\n"
                     "site b { respond 200 }\nsite c { respond 200\n listen :81\n listen :82 }");
    assert_null(site_at(&t, "[::]:81", "a"));
    assert_non_null(site_at(&t, "[::]:82", "a"));
    assert_non_null(site_at(&t, "[::]:81", "b"));
    assert_null(site_at(&t, "[::]:82", "b"));
    assert_non_null(site_at(&t, "[::]:81", "c"));
    assert_non_null(site_at(&t, "[::]:82", "c"));
    test_config_release(&t);
    /* the same name on different listeners is no conflict */
    test_config_need(&t,
                     "site a { respond 200\n listen :81 }\nsite a { respond 200\n listen :82 }");
    test_config_release(&t);
}

static void names_are_lower_case_and_wild(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site A.Example *.B.example { respond 200 }\nsite * { respond 201 }");
    assert_int_equal(test_request(&t, "GET http://a.example/")->res.status, 200);
    assert_int_equal(test_request(&t, "GET http://x.y.b.EXAMPLE:80/")->res.status, 200);
    assert_int_equal(test_request(&t, "GET http://b.example/")->res.status, 201);
    assert_int_equal(test_request(&t, "GET http://10.0.0.1/")->res.status, 201);
    test_config_release(&t);
    test_config_need(&t, "site a { respond 200 }");
    assert_int_equal(test_request(&t, "GET http://b/")->res.status, 421);
    test_config_release(&t);
}

/* Until the host is known, no site's clients are cut short. */
static void limits_are_the_most_generous(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "listen :81\nlisten :82\n"
                         "site a { respond 200\n timeout client_header=20s keepalive=5s }\n"
                         "site b { respond 200\n timeout client_header=2s keepalive=6s }\n"
                         "site c { respond 200\n timeout client_header=1m\n listen :82 }");
    const struct stream_limits *l81 = &listen_find(t.conf->proxy, SLICE("[::]:81"))->limits;
    const struct stream_limits *l82 = &listen_find(t.conf->proxy, SLICE("[::]:82"))->limits;
    assert_int_equal(l81->header_ms, 20000);
    assert_int_equal(l81->keepalive_ms, 6000);
    assert_int_equal(l82->header_ms, 60000);
    assert_int_equal(l81->head_bytes, 32768);
    assert_int_equal(l81->header_count, 100);
    test_config_release(&t);
    test_config_need(&t, "listen :81");
    assert_int_equal(t.conf->proxy->listens[0]->limits.header_ms, 10000);
    assert_int_equal(t.conf->proxy->limits.head_bytes, 65536);
    test_config_release(&t);
}

static void trust_adds_up(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "trust 10.0.0.0/8 fd00::/8\ntrust 192.168.1.1\nsite * {\n respond 200\n"
                         " when ip == 1.2.3.4 { respond 204 }\n}");
    assert_int_equal(t.conf->proxy->trust.count, 3);
    assert_int_equal(
        test_request(&t, "GET http://a/ from=10.9.9.9 | X-Forwarded-For: 1.2.3.4")->res.status,
        204);
    assert_int_equal(
        test_request(&t, "GET http://a/ from=11.9.9.9 | X-Forwarded-For: 1.2.3.4")->res.status,
        200);
    test_config_release(&t);
}

/* --- mistakes ----------------------------------------------------------------------------------*/

static const struct {
    const char *config;
    uint32_t line, col;
    const char *error;
} MISTAKES[] = {
    {"listen 80", 1, 8, "an address is due"},
    {"listen 127.0.0.1", 1, 8, "a port is due"},
    {"listen app.example:80", 1, 8, "not an IP address"},
    {"listen :80 tls\nsite a {\n listen :80\n respond 200\n}", 3, 2, "with TLS already"},
    {"listen :80\nsite https://a { respond 200 }", 2, 6, "with TLS"},
    {"listen :443 tls\nsite http://a { respond 200 }", 2, 6, "without TLS"},
    {"site a {\n tls\n respond 200\n}", 2, 2, "sets nothing"},
    {"site a {\n tls key=/k\n respond 200\n}", 2, 10, "key without"},
    {"listen :80\nsite a {\n tls client=required ca=/c\n respond 200\n}", 3, 2, "without TLS"},
    {"listen :80\ntls client=required ca=/c\nsite a { respond 200 }", 2, 1, "without TLS"},
    {"site a {\n tls cert=/nowhere/c.pem\n respond 200\n}", 2, 11, "cannot read /nowhere"},
    {"site a {\n tls client=required\n respond 200\n}", 2, 2, "needs ca=FILE"},
    {"listen :80\nlisten [::]:80", 2, 8, "listened on already"},
    {"listen 1.2.3:80", 1, 8, "an address is due"},
    {"site a:80 { respond 200 }", 1, 6, "not a host name"},
    {"site a*b { respond 200 }", 1, 6, "not a host name"},
    {"site *.*.a { respond 200 }", 1, 6, "not a host name"},
    {"site *. { respond 200 }", 1, 6, "not a host name"},
    {"site a/b { respond 200 }", 1, 6, "not a host name"},
    {"site a { respond 200 }\nsite b A { respond 200 }", 2, 8, "claimed twice"},
    {"site a a { respond 200 }", 1, 8, "claimed twice"},
    {"site * { respond 200 }\nsite * { respond 200 }", 2, 6, "claimed twice"},
    {"site *.a { respond 200 }\nsite *.A { respond 200 }", 2, 6, "claimed twice"},
    {"site a {\n route x { respond 200 }\n}", 2, 8, "begins with '/'"},
    {"site a {\n route ^/x { respond 200 }\n}", 2, 8, "begins with '/'"},
    {"site a {\n route =/x { respond 200 }\n}", 2, 8, "begins with '/'"},
    {"site a {\n route /x /y { respond 200 }\n}", 2, 8, "is due after 'route'"},
    {"site a {\n route /x?y { respond 200 }\n}", 2, 8, "not a path"},
    {"site a {\n route \"/x y\" { respond 200 }\n}", 2, 8, "not a path"},
    {"site a {\n route /%00 { respond 200 }\n}", 2, 8, "not a path"},
    {"site a {\n route = /x strip { respond 200 }\n}", 2, 13, "only a prefix"},
    {"site a {\n route ~ x strip { respond 200 }\n}", 2, 12, "only a prefix"},
    {"site a {\n route ~ x( { respond 200 }\n}", 2, 12, "regular expression"},
    {"site a {\n route /x { respond 200 }\n route /%78 { respond 200 }\n}", 3, 8, "already"},
    {"site a {\n route = /x { respond 200 }\n route = /x { respond 200 }\n}", 3, 10, "already"},
    {"site a {\n proxy app\n}", 2, 8, "no upstream 'app'"},
    {"site a {\n proxy app { queue off }\n}\nupstream app { server 10.0.0.1:80 }", 2, 12,
     "is an upstream"},
    {"site a {\n proxy 10.0.0.1:80 app\n}\nupstream app { server 10.0.0.1:80 }", 2, 20,
     "stands alone"},
    {"site a {\n proxy https://10.0.0.1 10.0.0.2\n}", 2, 25, "with and without TLS"},
    {"site a {\n proxy https://unix:/s\n}", 2, 16, "no name to verify"},
    {"site a {\n proxy 10.0.0.1 { tls key=/k }\n}", 2, 27, "key without"},
    {"site a {\n proxy http://10.0.0.1:80/x\n}", 2, 8, "without a path"},
    {"site a {\n proxy 10.0.0.1:80\n respond 200\n}", 3, 2, "has a 'proxy' already"},
    {"site a {\n respond 200\n when method == PUT {\n respond 200\n redirect /x\n}\n}", 5, 2,
     "has a 'respond' already"},
    {"site a {\n respond 200\n no respnd\n}", 3, 5, "not a policy"},
    {"site a {\n respond 200\n no route\n}", 3, 5, "not a policy"},
    {"site a {\n respond 200\n timeout\n}", 3, 2, "sets nothing"},
    {"site a {\n respond 200\n timeout read=10\n}", 3, 15, "unit"},
    {"site a {\n respond 200\n timeout client_header=off\n}", 3, 24, "off"},
    {"site a {\n respond 200\n body max=x\n}", 3, 11, "size"},
    {"site a {\n respond 200\n body queue=16383B\n}", 3, 13, "out of range"},
    {"site a {\n respond 200\n retry 11\n}", 3, 8, "out of range"},
    {"site a {\n respond 200\n retry 1 on=500\n}", 3, 13, "not one of 502, 503, 504"},
    {"site a {\n respond 200\n request buffer yes\n}", 3, 17, "not one of"},
    {"site a {\n respond 200\n request buffer on mem=1M\n}", 3, 20, "no option 'mem'"},
    {"trust 10.0.0.0/33", 1, 7, "address or prefix"},
    {"route /x { respond 200 }", 1, 1, "may not stand"},
};

static void mistakes_have_their_place(void **state)
{
    (void)state;
    int missed = 0;
    for (size_t i = 0; i < sizeof(MISTAKES) / sizeof(*MISTAKES); i++)
        missed += !test_error_is(MISTAKES[i].config, MISTAKES[i].line, MISTAKES[i].col,
                                 MISTAKES[i].error);
    assert_int_equal(missed, 0);
}

static void dead_ends_are_warned_about(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, "site a {\n route /x { body max=1M }\n}");
    assert_int_equal(t.diag.count, 1);
    assert_true(t.diag.entries[0].warning);
    assert_int_equal(t.diag.entries[0].pos.line, 2);
    assert_int_equal(test_request(&t, "GET http://a/x")->res.status, 404);
    test_config_release(&t);
    test_config_need(&t, "site a {\n body max=1M\n}");
    assert_int_equal(t.diag.count, 1);
    test_config_release(&t);
    test_config_need(&t, "site a {\n when method == GET { respond 200 }\n}");
    assert_int_equal(t.diag.count, 0);
    test_config_release(&t);
}

/* --- size --------------------------------------------------------------------------------------*/

static void ten_thousand_sites_load(void **state)
{
    (void)state;
    enum { SITES = 10000, ROUTES = 10 };
    struct test_config t;
    struct text text;
    struct timespec from, to;
    text_init(&text);
    text_add(&text, SLICE("listen :80\n")); /* so many certificates are another matter */
    for (int i = 0; i < SITES; i++) {
        text_addf(&text, "site s%d.example {\nproxy 10.0.0.1:80\nrequest set X-Site %d\n", i, i);
        for (int r = 0; r < ROUTES; r++)
            text_addf(&text, "route /r%d/ { timeout read=%ds }\n", r, r + 1);
        text_add(&text, SLICE("}\n"));
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    test_config_need(&t, text.at);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_int_equal(t.conf->proxy->site_count, SITES);
    assert_int_equal(settings_of(&t, "GET http://s9999.example/r9/x")->read_ms, 10000);
    assert_header(&t, "X-Site", "9999");
    assert_true(to.tv_sec - from.tv_sec < 20); /* sanitizers and busy machines; 0.3 s in release */
    text_release(&text);
    test_config_release(&t);
}

UNIT_SUITE(proxy_build, cmocka_unit_test(rows_are_whole),
           cmocka_unit_test(defaults_hold_without_any_word),
           cmocka_unit_test(every_setting_can_be_set), cmocka_unit_test(priorities_are_inherited),
           cmocka_unit_test(source_ip_has_a_key_of_its_own), cmocka_unit_test(off_words),
           cmocka_unit_test(settings_are_inherited_key_by_key),
           cmocka_unit_test(filters_add_up_and_override_by_key),
           cmocka_unit_test(the_overridden_directive_is_gone),
           cmocka_unit_test(what_a_route_does_not_touch_is_shared),
           cmocka_unit_test(several_whens_may_hold), cmocka_unit_test(whens_are_limited),
           cmocka_unit_test(routes_by_kind), cmocka_unit_test(strip_cuts_the_prefix),
           cmocka_unit_test(upstreams_may_come_later), cmocka_unit_test(hash_keys_are_templates),
           cmocka_unit_test(sites_stand_on_listeners),
           cmocka_unit_test(a_listen_in_a_site_is_its_own),
           cmocka_unit_test(names_are_lower_case_and_wild),
           cmocka_unit_test(limits_are_the_most_generous), cmocka_unit_test(trust_adds_up),
           cmocka_unit_test(mistakes_have_their_place),
           cmocka_unit_test(dead_ends_are_warned_about), cmocka_unit_test(ten_thousand_sites_load));
