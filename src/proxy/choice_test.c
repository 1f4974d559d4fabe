/* The cookie that tells a choice: what it is, what it is not fooled by, what becomes of heads. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/choice.h"
#include "proxy/config_test_priv.h"
#include "proxy/sticky.h"
#include <stdio.h>

#define SITE                                                                              \
    "listen 127.0.0.1:80\nupstream u { server 10.0.0.1:80\n server 10.0.0.2:80\n sticky " \
    "cookie %s }\nsite * { proxy u }\n"

static void load(struct test_config *t, const char *options)
{
    char text[512];
    snprintf(text, sizeof text, SITE, options);
    test_config_need(t, text);
}

static struct choice_cookie *cookie_of(const struct test_config *t)
{
    return &t->conf->upstreams->list[0]->sticky->cookie;
}

static struct slice value_of(const struct choice_cookie *c, uint32_t index, int64_t at_s,
                             char to[CHOICE_CHARS])
{
    choice_value_write(c, index, at_s, to);
    return (struct slice){to, CHOICE_CHARS};
}

static void values_tell_the_choice(void **state)
{
    (void)state;
    struct test_config t;
    char a[CHOICE_CHARS], b[CHOICE_CHARS];
    bool stale;
    load(&t, "");
    const struct choice_cookie *c = cookie_of(&t);
    assert_int_equal(choice_value_read(c, value_of(c, 0, 9, a), 10, &stale), 0);
    assert_int_equal(choice_value_read(c, value_of(c, 1, 9, b), 10, &stale), 1);
    assert_false(stale);
    assert_memory_not_equal(a, b, CHOICE_CHARS);
    test_config_release(&t);
}

static void tampered_values_are_as_none(void **state)
{
    (void)state;
    struct test_config t;
    char value[CHOICE_CHARS + 1];
    bool stale;
    load(&t, "ttl=1h");
    const struct choice_cookie *c = cookie_of(&t);
    struct slice s = value_of(c, 1, 1000, value);
    for (int i = 0; i < CHOICE_CHARS; i++) {
        char was = value[i];
        for (const char *other = "AZaz09-_ =;"; *other; other++) {
            value[i] = *other;
            int32_t got = choice_value_read(c, s, 1000, &stale);
            assert_int_equal(got, *other == was ? 1 : CHOICE_NONE);
        }
        value[i] = was;
    }
    assert_int_equal(choice_value_read(c, slice_head(s, CHOICE_CHARS - 1), 1000, &stale),
                     CHOICE_NONE);
    value[CHOICE_CHARS] = 'A';
    assert_int_equal(choice_value_read(c, (struct slice){value, CHOICE_CHARS + 1}, 1000, &stale),
                     CHOICE_NONE);
    assert_int_equal(choice_value_read(c, SLICE(""), 1000, &stale), CHOICE_NONE);
    test_config_release(&t);
}

static void a_time_ends_it(void **state)
{
    (void)state;
    struct test_config t;
    char value[CHOICE_CHARS];
    bool stale;
    load(&t, "ttl=100s");
    const struct choice_cookie *c = cookie_of(&t);
    struct slice s = value_of(c, 0, 1000, value);
    assert_int_equal(choice_value_read(c, s, 1049, &stale), 0);
    assert_false(stale);
    assert_int_equal(choice_value_read(c, s, 1050, &stale), 0);
    assert_true(stale);
    assert_int_equal(choice_value_read(c, s, 1099, &stale), 0);
    assert_int_equal(choice_value_read(c, s, 1100, &stale), CHOICE_NONE);
    test_config_release(&t);
}

/* Values outlive a change of the ttl, and are given anew. */
static void a_ttl_may_come_and_go(void **state)
{
    (void)state;
    struct test_config with, without;
    char value[CHOICE_CHARS];
    bool stale;
    load(&with, "ttl=100s");
    load(&without, "");
    struct slice s = value_of(cookie_of(&with), 1, 1000, value);
    assert_int_equal(choice_value_read(cookie_of(&without), s, 9000, &stale), 1);
    assert_true(stale);
    s = value_of(cookie_of(&without), 1, 1000, value);
    assert_int_equal(choice_value_read(cookie_of(&with), s, 9000, &stale), 1);
    assert_true(stale);
    test_config_release(&with);
    test_config_release(&without);
}

static void the_secret_decides(void **state)
{
    (void)state;
    struct test_config kept, a, again, b;
    char value[CHOICE_CHARS];
    bool stale;
    load(&kept, "");
    load(&a, "secret=0123456789abcdef");
    load(&again, "secret=0123456789abcdef");
    load(&b, "secret=0123456789abcdeg");
    struct slice s = value_of(cookie_of(&a), 1, 0, value);
    assert_int_equal(choice_value_read(cookie_of(&again), s, 0, &stale), 1);
    assert_int_equal(choice_value_read(cookie_of(&b), s, 0, &stale), CHOICE_NONE);
    assert_int_equal(choice_value_read(cookie_of(&kept), s, 0, &stale), CHOICE_NONE);
    test_config_release(&kept);
    test_config_release(&a);
    test_config_release(&again);
    test_config_release(&b);
}

/* Indexes change with the configuration, names do not. */
static void values_are_of_names(void **state)
{
    (void)state;
    struct test_config t, other;
    char value[CHOICE_CHARS];
    bool stale;
    load(&t, "");
    test_config_need(&other, "listen 127.0.0.1:80\nupstream v { server 10.0.0.3:80\n server "
                             "10.0.0.2:80\n sticky cookie }\nsite * { proxy v }\n");
    struct slice s = value_of(cookie_of(&t), 1, 0, value);
    assert_int_equal(choice_value_read(cookie_of(&other), s, 0, &stale), 1);
    s = value_of(cookie_of(&t), 0, 0, value);
    assert_int_equal(choice_value_read(cookie_of(&other), s, 0, &stale), CHOICE_NONE);
    test_config_release(&t);
    test_config_release(&other);
}

static void strip(struct test_config *t, const char *before, const char *after)
{
    char request[256];
    snprintf(request, sizeof request, "GET http://a.test/ | Cookie: %s", before);
    test_request(t, request);
    assert_int_equal(choice_strip(cookie_of(t), t->x), ERR_OK);
    struct slice got = test_req_header(t, "Cookie");
    if (!after)
        assert_null(got.at);
    else if (!slice_eq(got, slice_of(after)))
        fail_msg("'%s' became '%.*s', not '%s'", before, SLICE_ARG(got), after);
}

static void it_is_taken_out_of_requests(void **state)
{
    (void)state;
    struct test_config t;
    load(&t, "");
    strip(&t, "weir_srv=x", NULL);
    strip(&t, "a=b", "a=b");
    strip(&t, "a=b;c=d", "a=b;c=d");
    strip(&t, "a=b; weir_srv=x", "a=b");
    strip(&t, "weir_srv=x; a=b", "a=b");
    strip(&t, "a=b; weir_srv=x; c=d; weir_srv=y", "a=b; c=d");
    strip(&t, "a=weir_srv=x; weir_srvx=1; xweir_srv=2", "a=weir_srv=x; weir_srvx=1; xweir_srv=2");
    strip(&t, "weir_srv", NULL);
    test_config_release(&t);
}

/* Whoever writes no blanks gets none: the rest has to fit where the value stood. */
static void it_never_grows(void **state)
{
    (void)state;
    struct test_config t;
    char cookies[200] = "weir_srv", after[200] = "";
    load(&t, "");
    for (int i = 0; i < 90; i++) {
        strcat(cookies, ";a");
        strcat(after, i ? ";a" : "a");
    }
    strip(&t, cookies, after);
    strip(&t, "; a;;b; weir_srv;c ;", "a;b;c");
    test_config_release(&t);
}

static void the_first_good_one_counts(void **state)
{
    (void)state;
    struct test_config t;
    char value[CHOICE_CHARS], request[256];
    bool stale;
    load(&t, "");
    choice_value_write(cookie_of(&t), 1, 0, value);
    snprintf(request, sizeof request,
             "GET http://a.test/ | Cookie: x=1; weir_srv=bad | Cookie: weir_srv=%.*s; y=2",
             CHOICE_CHARS, value);
    test_request(&t, request);
    assert_int_equal(choice_of_request(cookie_of(&t), t.x, &stale), 1);
    test_config_release(&t);
}

static const struct header *told(struct test_config *t, const char *caching)
{
    test_request(t, "GET http://a.test/ | Accept: x");
    message_init(&t->x->res);
    if (caching)
        assert_int_equal(headers_add_id(&t->x->res.headers, &t->x->arena, FIELD_CACHE_CONTROL,
                                        slice_of(caching)),
                         ERR_OK);
    assert_int_equal(choice_tell(cookie_of(t), t->x, 0), ERR_OK);
    return headers_find(&t->x->res.headers, FIELD_SET_COOKIE);
}

static void attributes_are_as_told(void **state)
{
    (void)state;
    struct test_config t;
    load(&t, "name=s path=/app domain=example.com samesite=none secure=on ttl=1h");
    const struct header *h = told(&t, NULL);
    struct slice rest = slice_from(h->value, 2 + CHOICE_CHARS);
    assert_true(slice_starts(h->value, SLICE("s=")));
    assert_string_equal(rest.at, "; Path=/app; Domain=example.com; Max-Age=3600; HttpOnly; "
                                 "SameSite=None; Secure");
    test_config_release(&t);
    load(&t, "");
    h = told(&t, NULL); /* the client came without TLS */
    assert_string_equal(slice_from(h->value, 9 + CHOICE_CHARS).at,
                        "; Path=/; HttpOnly; SameSite=Lax");
    test_config_release(&t);
}

static void shared_caches_do_not_keep_it(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{NULL, "private"},
                                           {"private, max-age=5", NULL},
                                           {"No-Store", NULL},
                                           {"max-age=5", "private"}};
    struct test_config t;
    load(&t, "");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        told(&t, cases[i][0]);
        const struct headers *all = &t.x->res.headers;
        const struct header *h = headers_find(all, FIELD_CACHE_CONTROL);
        if (cases[i][0])
            h = headers_next(all, h);
        assert_int_equal(h != NULL, cases[i][1] != NULL);
        if (h)
            assert_true(slice_eq(h->value, slice_of(cases[i][1])));
    }
    test_config_release(&t);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"name='a b'", "not a name for a cookie"}, {"path=x", "begins with '/'"},
        {"path='/;x'", "begins with '/'"},         {"domain='a b'", "host name"},
        {"samesite=none secure=off", "refuse"},    {"secret=0123456789abcde", "at least 16"},
        {"size=5", "no use for 'size'"},           {"ttl=999ms", "out of range"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_config t;
        char text[512];
        snprintf(text, sizeof text, SITE, cases[i][0]);
        assert_false(test_config_load(&t, text));
        if (!strstr(t.diag.entries[0].text.at, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], t.diag.entries[0].text.at);
        test_config_release(&t);
    }
}

/* A client of both would have to change servers all the time. */
static void cookies_of_one_name_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        uint32_t warnings;
    } cases[] = {{"cookie", "cookie", 1},
                 {"cookie", "cookie name=other", 0},
                 {"cookie path=/b", "cookie", 0},
                 {"cookie", "ip", 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_config t;
        char text[512];
        snprintf(text, sizeof text,
                 "listen 127.0.0.1:80\nupstream a { server 10.0.0.1:80\nsticky %s }\nupstream b { "
                 "server 10.0.0.2:80\nsticky %s }\nsite * { proxy a\nroute /b/ { proxy b }\n"
                 "route /a/ { proxy a } }\n",
                 cases[i].first, cases[i].second);
        test_config_need(&t, text);
        assert_int_equal(t.diag.count, cases[i].warnings);
        test_config_release(&t);
    }
}

UNIT_SUITE(proxy_choice, cmocka_unit_test(cookies_of_one_name_are_told),
           cmocka_unit_test(values_tell_the_choice), cmocka_unit_test(tampered_values_are_as_none),
           cmocka_unit_test(a_time_ends_it), cmocka_unit_test(a_ttl_may_come_and_go),
           cmocka_unit_test(the_secret_decides), cmocka_unit_test(values_are_of_names),
           cmocka_unit_test(it_is_taken_out_of_requests), cmocka_unit_test(it_never_grows),
           cmocka_unit_test(the_first_good_one_counts), cmocka_unit_test(attributes_are_as_told),
           cmocka_unit_test(shared_caches_do_not_keep_it), cmocka_unit_test(mistakes_are_told));
