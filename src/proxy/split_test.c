/* Shares between upstreams: mistakes, keys, cookies, and what `test` and explain see. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/config_test_priv.h"
#include "proxy/split.h"
#include <stdio.h>

#define SITE(what)                                                                             \
    "listen 127.0.0.1:80\nupstream a { server 10.0.0.1:80 }\nupstream b { server 10.0.0.2:80 " \
    "}\nsite * {\n" what "\n}\n"

static struct slice part_of(struct test_config *t, const char *request)
{
    return test_request(t, request)->upstream_name;
}

static void shares_make_a_hundred(void **state)
{
    (void)state;
    test_error(SITE("split a 95% b 4%"), 5, 15, "99.00%, not 100%");
    test_error(SITE("split a 95% b 5.01%"), 5, 15, "100.01%, not 100%");
    test_error(SITE("split a 95% b"), 5, 13, "a share such as 5% is due after 'b'");
    test_error(SITE("split a 95 b 5"), 5, 9, "");
    test_error(SITE("split a 101% b -1%"), 5, 9, "between 0% and 100%");
    test_error(SITE("split a 50% a 50%"), 5, 13, "stands twice");
    test_error(SITE("split a 50% c 50%"), 5, 13, "no upstream 'c'");
    test_error(SITE("split a 50% b 50% ttl=1h"), 5, 23, "for the cookie");
    test_error(SITE("split a 50% b 50%\nproxy a"), 6, 1, "a 'split' already");
}

static void most_get_the_largest_part_when_dry(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("split a 5% b 95%"));
    for (int i = 0; i < 20; i++)
        assert_true(slice_eq(part_of(&t, "GET http://x/"), SLICE("b")));
    test_config_release(&t);
}

/* 10 % of 2000 keys: five standard deviations are 67. */
static void a_key_decides(void **state)
{
    (void)state;
    struct test_config t;
    int canary = 0;
    test_config_need(&t, SITE("split a 90% b 10% by=$query.u"));
    for (int i = 0; i < 2000; i++) {
        char request[64];
        snprintf(request, sizeof request, "GET http://x/?u=%d", i);
        bool is_canary = slice_eq(part_of(&t, request), SLICE("b"));
        assert_int_equal(slice_eq(part_of(&t, request), SLICE("b")), is_canary);
        canary += is_canary;
    }
    assert_in_range(canary, 133, 267);
    test_config_release(&t);
}

/* A larger share keeps those that it had. */
static void a_growing_share_takes_nobody_away(void **state)
{
    (void)state;
    struct test_config small, large;
    test_config_need(&small, SITE("split b 5% a 95% by=$query.u"));
    test_config_need(&large, SITE("split b 20% a 80% by=$query.u"));
    for (int i = 0; i < 500; i++) {
        char request[64];
        snprintf(request, sizeof request, "GET http://x/?u=%d", i);
        if (slice_eq(part_of(&small, request), SLICE("b")))
            assert_true(slice_eq(part_of(&large, request), SLICE("b")));
    }
    test_config_release(&small);
    test_config_release(&large);
}

static const struct split *split_of(const struct test_config *t)
{
    return t->conf->proxy->sites[0]->own->settings.target->split;
}

static void with_cookie(const struct split *s, uint32_t part, char to[256])
{
    char value[CHOICE_CHARS];
    choice_value_write(&s->cookie, part, 0, value);
    snprintf(to, 256, "GET http://x/ | Cookie: weir_split=%.*s", CHOICE_CHARS, value);
}

static void a_cookie_keeps_its_part(void **state)
{
    (void)state;
    struct test_config t;
    char request[256];
    test_config_need(&t, SITE("split a 95% b 5% sticky"));
    with_cookie(split_of(&t), 1, request);
    assert_true(slice_eq(part_of(&t, request), SLICE("b")));
    assert_null(test_req_header(&t, "Cookie").at);
    assert_null(t.x->split); /* nothing to tell */
    assert_true(slice_eq(part_of(&t, "GET http://x/ | Cookie: weir_split=b"), SLICE("a")));
    assert_non_null(t.x->split);
    test_config_release(&t);
}

static void a_part_without_a_share_keeps_nobody(void **state)
{
    (void)state;
    struct test_config t;
    char request[256];
    test_config_need(&t, SITE("split a 100% b 0% sticky"));
    with_cookie(split_of(&t), 1, request);
    assert_true(slice_eq(part_of(&t, request), SLICE("a")));
    assert_non_null(t.x->split);
    test_config_release(&t);
}

static void a_condition_overrides(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("split a 100% b 0%\nwhen header.X-Canary { proxy b }\n"
                              "route /off/ { no split\nrespond 204 }"));
    assert_true(slice_eq(part_of(&t, "GET http://x/"), SLICE("a")));
    assert_true(slice_eq(part_of(&t, "GET http://x/ | X-Canary: 1"), SLICE("b")));
    assert_int_equal(test_request(&t, "GET http://x/off/")->res.status, 204);
    test_config_release(&t);
}

UNIT_SUITE(proxy_split, cmocka_unit_test(shares_make_a_hundred),
           cmocka_unit_test(most_get_the_largest_part_when_dry), cmocka_unit_test(a_key_decides),
           cmocka_unit_test(a_growing_share_takes_nobody_away),
           cmocka_unit_test(a_cookie_keeps_its_part),
           cmocka_unit_test(a_part_without_a_share_keeps_nobody),
           cmocka_unit_test(a_condition_overrides));
