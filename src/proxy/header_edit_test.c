/* header_edit_test.c - set, add, del and default on header fields: what they do, in which order,
 * and what they refuse. Through the filter for requests. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/config_test_priv.h"
#include "proxy/exchange_priv.h"

#define SITE(policies) "listen 127.0.0.1:8080\nsite * {\nproxy 10.0.9.1:80\n" policies "\n}\n"

/* The values of a field, joined by '|'. */
static void expect_values(struct test_config *t, const char *name, const char *values)
{
    char got[256] = "";
    const struct header *h = headers_find_name(&t->x->req.headers, slice_of(name));
    for (; h; h = headers_next(&t->x->req.headers, h)) {
        assert_true(strlen(got) + h->value.len + 2 < sizeof got);
        strcat(strncat(got, h->value.at ? h->value.at : "", h->value.len), "|");
    }
    if (strcmp(got, values) != 0)
        fail_msg("%s is '%s', not '%s'", name, got, values);
}

static void set_replaces_every_line(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("request set X-A new\nrequest set Accept text/css"));
    test_request(&t, "GET http://a.test/ | X-A: 1 | x-a: 2 | Accept: a/b | Accept: c/d");
    expect_values(&t, "X-A", "new|");
    expect_values(&t, "Accept", "text/css|");
    test_request(&t, "GET http://a.test/");
    expect_values(&t, "X-A", "new|");
    test_config_release(&t);
}

static void add_adds_a_line(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("request add X-A new"));
    test_request(&t, "GET http://a.test/ | X-A: 1");
    expect_values(&t, "X-A", "1|new|");
    test_config_release(&t);
}

static void del_deletes_every_line(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("request del X-A\nrequest del cookie"));
    test_request(&t, "GET http://a.test/ | X-A: 1 | x-A: 2 | X-B: 3 | Cookie: c");
    expect_values(&t, "X-A", "");
    expect_values(&t, "Cookie", "");
    expect_values(&t, "X-B", "3|");
    test_config_release(&t);
}

static void default_is_for_what_is_not_there(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("request default X-A mine"));
    test_request(&t, "GET http://a.test/ | X-A: yours");
    expect_values(&t, "X-A", "yours|");
    test_request(&t, "GET http://a.test/");
    expect_values(&t, "X-A", "mine|");
    test_config_release(&t);
}

static void edits_happen_in_their_order(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t,
                     SITE("request set X-A 1\nrequest add X-A 2\nrequest set X-B ${header.X-A}\n"
                          "request del X-A\nrequest default X-A 3"));
    test_request(&t, "GET http://a.test/");
    expect_values(&t, "X-A", "3|");
    expect_values(&t, "X-B", "1|");
    test_config_release(&t);
}

static void values_may_hold_variables(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("request set X-A \"$client_ip at $host\"\nrequest set X-B "
                              "\"${header.X-Missing}\"\nrequest set X-C \"  $path  \""));
    test_request(&t, "GET http://a.test/x?y from=192.0.2.1 | X-B: theirs");
    expect_values(&t, "X-A", "192.0.2.1 at a.test|");
    expect_values(&t, "X-B", "|"); /* replaced by nothing, but replaced */
    expect_values(&t, "X-C", "/x|");
    test_config_release(&t);
}

/* They run over what weir itself tells the server. */
static void weirs_own_fields_can_be_edited(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("request set Host inner.test\nrequest del X-Forwarded-For"));
    test_request(&t, "GET http://a.test/");
    expect_values(&t, "Host", "inner.test|");
    expect_values(&t, "X-Forwarded-For", "");
    test_config_release(&t);
}

/* A client may name any field in Connection: what the configuration sets goes to the server all the
 * same. */
static void connection_takes_nothing_away(void **state)
{
    (void)state;
    struct test_config t;
    struct dry_request r = {
        .method = SLICE("GET"), .authority = SLICE("a.test"), .target = SLICE("/")};
    test_config_need(&t, SITE("request set X-A mine\nrequest default X-B mine"));
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &r.from), ERR_OK);
    t.worker = dry_worker_new(t.conf);
    t.x = exchange_dry_new(t.worker, t.conf->proxy->listens[0]);
    assert_int_equal(dry_request_put(t.x, &r), ERR_OK);
    struct headers *h = &t.x->req.headers;
    struct arena *a = &t.x->arena;
    assert_int_equal(headers_add(h, a, SLICE("Connection"), SLICE("x-a, x-b")), ERR_OK);
    assert_int_equal(headers_add(h, a, SLICE("X-A"), SLICE("theirs")), ERR_OK);
    h->at[h->count - 1].hop = true;
    assert_int_equal(headers_add(h, a, SLICE("X-B"), SLICE("theirs")), ERR_OK);
    h->at[h->count - 1].hop = h->hops_named = true;
    exchange_dry_run(t.x, STEP_RELAY);
    expect_values(&t, "X-A", "mine|");
    expect_values(&t, "X-B", "mine|");
    assert_false(headers_find_name(h, SLICE("X-A"))->hop);
    assert_false(headers_find_name(h, SLICE("X-B"))->hop);
    test_config_release(&t);
}

/* A value that would split the head is left out; what it was to replace goes all the same. */
static void no_value_can_split_a_head(void **state)
{
    (void)state;
    struct test_config t;
    test_config_need(&t, SITE("request set X-A \"a\\r\\nX-Evil: 1\"\nrequest add X-B \"a\\nb\""));
    test_request(&t, "GET http://a.test/ | X-A: theirs");
    assert_int_equal(t.x->err, ERR_OK);
    expect_values(&t, "X-A", "");
    expect_values(&t, "X-B", "");
    expect_values(&t, "X-Evil", "");
    test_config_release(&t);
}

static void what_is_not_to_be_edited_is_an_error(void **state)
{
    (void)state;
    test_error(SITE("request set Connection x"), 4, 13, "can not be edited");
    test_error(SITE("request add Transfer-Encoding chunked"), 4, 13, "can not be edited");
    test_error(SITE("request set content-length 5"), 4, 13, "can not be edited");
    test_error(SITE("response set Upgrade x"), 4, 14, "can not be edited");
    test_error(SITE("request put X-A 1"), 4, 9, "expected set, add, del or default");
    test_error(SITE("request set X-A"), 4, 1, "takes a header name and a value");
    test_error(SITE("request del X-A 1"), 4, 1, "takes a header name and nothing else");
    test_error(SITE("request set \"X A\" 1"), 4, 13, "is not a header name");
    test_error(SITE("request set X-A $nothing"), 4, 17, "unknown variable");
}

UNIT_SUITE(proxy_header_edit, cmocka_unit_test(set_replaces_every_line),
           cmocka_unit_test(add_adds_a_line), cmocka_unit_test(del_deletes_every_line),
           cmocka_unit_test(default_is_for_what_is_not_there),
           cmocka_unit_test(edits_happen_in_their_order),
           cmocka_unit_test(values_may_hold_variables),
           cmocka_unit_test(weirs_own_fields_can_be_edited),
           cmocka_unit_test(connection_takes_nothing_away),
           cmocka_unit_test(no_value_can_split_a_head),
           cmocka_unit_test(what_is_not_to_be_edited_is_an_error));
