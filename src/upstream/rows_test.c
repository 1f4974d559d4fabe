/* rows_test.c - what upstream blocks build, and the errors for what they do not allow. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/rows_verify.h"
#include "upstream/retry.h"
#include "upstream/shared_priv.h"
#include "upstream/testing.h"

static struct upstream *first(const struct test_conf *t)
{
    assert_true(t->conf->upstreams->count > 0);
    return t->conf->upstreams->list[0];
}

static void defaults_stand(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app { server 10.0.0.1:8080 }");
    const struct upstream *up = first(&t);
    assert_int_equal(up->server_count, 1);
    assert_int_equal(up->servers[0].weight, 1);
    assert_int_equal(up->servers[0].max_conns, 0);
    assert_string_equal(up->balancer->name, BALANCER_DEFAULT);
    assert_int_equal(up->keepalive_count, 1000);
    assert_int_equal(up->keepalive_ms, 60000);
    assert_int_equal(up->queue_count, 1000);
    assert_int_equal(up->queue_ms, 10000);
    assert_int_equal(up->fail_count, 3);
    assert_int_equal(up->fail_ms, 10000);
    assert_int_equal(up->fail_max_ms, 300000);
    assert_int_equal(up->retry.tries, 2);
    assert_int_equal(up->retry.budget, 2000);
    assert_false(up->retry.set || up->retry.on_502 || up->retry.on_503 || up->retry.on_504);
    assert_int_equal(up->timeouts.connect_ms, 0);
    test_conf_release(&t);
}

static void every_word_is_stored(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app {\n"
                       " server 10.0.0.1:8080 weight=3 max_conns=7\n"
                       " server unix:/run/a.sock backup\n"
                       " servers app.internal [::1]:90\n"
                       " server b disabled\n"
                       " balance hash $path bound=150%\n"
                       " keepalive 64 idle=30s\n"
                       " queue 5 timeout=2s\n"
                       " retry 4 on=502,504 budget=off\n"
                       " eject after=5 for=1s max=8s\n"
                       " timeout connect=2s first_byte=10s\n"
                       " timeout { read off; send 3s }\n"
                       "}");
    const struct upstream *up = first(&t);
    assert_int_equal(up->server_count, 5);
    assert_int_equal(up->servers[0].weight, 3);
    assert_int_equal(up->servers[0].max_conns, 7);
    assert_true(up->servers[1].backup && up->servers[1].spec.is_unix);
    assert_int_equal(up->servers[2].spec.port, 80);
    assert_int_equal(up->servers[2].index, 2);
    assert_int_equal(up->servers[3].spec.port, 90);
    assert_true(up->servers[4].disabled);
    assert_string_equal(up->balancer->name, "maglev");
    assert_true(slice_eq(up->hash_key.text, SLICE("$path")));
    assert_int_equal(*(int64_t *)up->balancer_conf, 15000);
    assert_int_equal(up->keepalive_count, 64);
    assert_int_equal(up->keepalive_ms, 30000);
    assert_int_equal(up->queue_count, 5);
    assert_int_equal(up->queue_ms, 2000);
    assert_int_equal(up->retry.tries, 4);
    assert_int_equal(up->retry.budget, CONF_OFF);
    assert_true(up->retry.set && up->retry.on_502 && up->retry.on_504 && !up->retry.on_503);
    assert_int_equal(up->fail_count, 5);
    assert_int_equal(up->fail_ms, 1000);
    assert_int_equal(up->fail_max_ms, 8000);
    assert_int_equal(up->timeouts.connect_ms, 2000);
    assert_int_equal(up->timeouts.first_byte_ms, 10000);
    assert_int_equal(up->timeouts.read_ms, CONF_OFF);
    assert_int_equal(up->timeouts.send_ms, 3000);
    test_conf_release(&t);
}

static void off_is_off(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app { server a; keepalive off; queue off; retry off; eject off }");
    const struct upstream *up = first(&t);
    assert_int_equal(up->keepalive_count, CONF_OFF);
    assert_int_equal(up->queue_count, CONF_OFF);
    assert_int_equal(up->retry.tries, 0);
    assert_true(up->retry.set);
    assert_int_equal(up->fail_count, CONF_OFF);
    test_conf_release(&t);
}

static const struct {
    const char *block, *error, *hint; /* what the texts contain */
} errors[] = {
    {"", "no server", "server 10.0.0.1:8080"},
    {"balance round_robin", "no server", ""},
    {"server a weight=1000", NULL, NULL},
    {"server a weight=1001", "1000", ""},
    {"server a weight=0", "out of range", ""},
    {"server a; server a", "there already", ""},
    {"server :80", "needs a host", "localhost:80"},
    {"server http://a:80/x", "not a URL", "write 'a:80'"},
    {"server a/b", "not the address", "unix:"},
    {"server a:99999", "not the address", ""},
    {"server 'a b'", "not the address", ""},
    {"server a; balance robin", "unknown way", ""},
    {"server a; balance round_robbin", "unknown way", "round_robin"},
    {"server a; balance round_robin $ip", "does not take", ""},
    {"server a; balance hash", "needs a key", "balance hash $client_ip"},
    {"server a; balance ring", "ring needs a key", "balance ring $client_ip"},
    {"server a; balance source_ip", NULL, NULL},
    {"server a; balance source_ip prefix4=32 prefix6=128", NULL, NULL},
    {"server a; balance source_ip prefix4=33", "32", ""},
    {"server a; balance source_ip prefix6=129", "128", ""},
    {"server a; balance ring $path replicas=10000", NULL, NULL},
    {"server a; balance ring $path replicas=10001", "10000", ""},
    {"server a; balance first $path", "does not take", ""},
    {"server a; balance hahs $path", "unknown way", "hash"},
    {"server a; slow_start 1h", NULL, NULL},
    {"server a; slow_start 61m", "1h", ""},
    {"server a; prefer_zone", "needs", ""},
    {"server a; balance hash $ip $path", "does not take", ""},
    {"server a; balance hash $ip bound=101%", NULL, NULL},
    {"server a; balance hash $ip bound=99%", "101", ""},
    {"server a; keepalive 8192", NULL, NULL},
    {"server a; keepalive 8193", "8192", ""},
    {"server a; keepalive", "needs", ""},
    {"server a; retry 16", NULL, NULL},
    {"server a; retry 17", "16", ""},
    {"server a; retry 2 on=502,500", "500", ""},
    {"server a; retry 2 budget=101%", "100", ""},
    {"server a; concurrency many", "many", ""},
    {"server a; concurrency 0", "from 1 on", ""},
    {"server a; concurrency 5 min=2", "with 'adaptive' only", ""},
    {"server a; concurrency adaptive min=9 max=8", "less than min", ""},
    {"server a; hedge on", "expected 'off'", ""},
    {"server a; hedge after=soon", "soon", ""},
    {"server a; hedge after=0ms", "1ms", ""},
    {"server a; concurrency off; hedge after=p95", "does not measure", ""},
    {"server a; eject on", "expected 'off'", ""},
    {"server a; eject off after=3", "no options", ""},
    {"server a; eject for=10s max=5s", "shorter", ""},
    {"server a; timeout connect=5", "no unit", ""},
    {"server a; timeout connect=off", "off", ""},
    {"server a; queue 10 timeout=0s", "out of range", ""},
};

static void assert_contains(const char *block, struct slice text, const char *part)
{
    char copy[512];
    snprintf(copy, sizeof copy, "%.*s", SLICE_ARG(text));
    if (!strstr(copy, part))
        fail_msg("%s\n'%s' lacks '%s'", block, copy, part);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        char text[256];
        snprintf(text, sizeof text, "upstream app {\n%s\n}", errors[i].block);
        struct test_conf t;
        test_conf_build(&t, text);
        if (!errors[i].error && diag_failed(&t.diag))
            fail_msg("%s: %.*s", text, SLICE_ARG(t.diag.entries[0].text));
        if (errors[i].error) {
            if (t.diag.count != 1)
                fail_msg("%s: %u errors", text, t.diag.count);
            assert_contains(text, t.diag.entries[0].text, errors[i].error);
            assert_contains(text, t.diag.entries[0].hint, errors[i].hint);
            assert_true(t.diag.entries[0].pos.line > 0);
        }
        test_conf_release(&t);
    }
}

static void option_errors_point_at_the_value(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_build(&t, "upstream app {\nserver a\nbalance hash $ip bound=1%\n}");
    assert_int_equal(t.diag.count, 1);
    assert_int_equal(t.diag.entries[0].pos.line, 3);
    assert_int_equal(t.diag.entries[0].pos.col, 24);
    test_conf_release(&t);
}

static void names_are_unique_and_plain(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_build(&t,
                    "upstream a { server x }\nupstream b { server x }\nupstream a { server y }\n"
                    "upstream 10.0.0.1:80 { server x }");
    assert_int_equal(t.diag.count, 2);
    assert_contains("", t.diag.entries[0].text, "line 1");
    assert_contains("", t.diag.entries[1].text, "not a name");
    assert_non_null(upstream_find(t.conf->upstreams, SLICE("b")));
    assert_null(upstream_find(t.conf->upstreams, SLICE("c")));
    test_conf_release(&t);
}

static struct conf_word word(const char *s)
{
    return (struct conf_word){.text = slice_of(s)};
}

static void equal_inline_lists_share_one(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_build(&t, "");
    struct upstreams_conf *u = t.conf->upstreams;
    assert_null(upstream_find(u, SLICE("a")));
    struct conf_word ab[] = {word("a:1"), word("b:2")}, c[] = {word("c:3")};
    struct upstream *first_ab = upstream_inline(&t.build, u, ab, 2, NULL, UPSTREAM_PLAIN);
    struct upstream *only_c = upstream_inline(&t.build, u, c, 1, NULL, UPSTREAM_PLAIN);
    assert_ptr_equal(upstream_inline(&t.build, u, ab, 2, NULL, UPSTREAM_PLAIN), first_ab);
    assert_ptr_equal(upstream_inline(&t.build, u, c, 1, NULL, UPSTREAM_PLAIN), only_c);
    assert_ptr_not_equal(upstream_inline(&t.build, u, ab, 1, NULL, UPSTREAM_PLAIN), first_ab);
    assert_true(slice_eq(first_ab->name, SLICE("a:1 b:2")));
    assert_int_equal(u->count, 3);
    assert_int_equal(first_ab->index, 0);
    assert_false(diag_failed(&t.diag));
    test_conf_release(&t);
}

static void limits_and_hedges(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app { server a }");
    assert_int_equal(first(&t)->limit.kind, LIMIT_ADAPTIVE);
    assert_int_equal(first(&t)->limit.min, 20);
    assert_int_equal(first(&t)->limit.max, 0);
    assert_int_equal(first(&t)->hedge.after_ms, HEDGE_NEVER);
    test_conf_release(&t);
    test_conf_init(&t, "upstream app { server a; concurrency 70; hedge after=80ms }");
    assert_int_equal(first(&t)->limit.kind, LIMIT_FIXED);
    assert_int_equal(first(&t)->limit.max, 70);
    assert_int_equal(first(&t)->hedge.after_ms, 80);
    assert_int_equal(first(&t)->hedge.budget, 500);
    test_conf_release(&t);
    test_conf_init(&t, "upstream app { server a; concurrency adaptive max=50; hedge }");
    assert_int_equal(first(&t)->limit.max, 50);
    assert_int_equal(first(&t)->hedge.after_ms, HEDGE_P95);
    test_conf_release(&t);
    test_conf_init(&t, "upstream app { server a; concurrency off; hedge off }");
    assert_int_equal(first(&t)->limit.kind, LIMIT_OFF);
    assert_int_equal(first(&t)->hedge.after_ms, HEDGE_NEVER);
    test_conf_release(&t);
}

static void many_servers_keep_their_order(void **state)
{
    (void)state;
    struct text text;
    text_init(&text);
    text_addf(&text, "upstream app {\n");
    for (int i = 0; i < 300; i++)
        text_addf(&text, "server h%d:80 weight=%d\n", i, i + 1);
    text_addf(&text, "}\n");
    struct test_conf t;
    test_conf_init(&t, text.at);
    for (int i = 0; i < 300; i++)
        assert_int_equal(first(&t)->servers[i].weight, i + 1);
    test_conf_release(&t);
    text_release(&text);
}

static void binding_sets_addresses(void **state)
{
    (void)state;
    struct test_conf t;
    test_conf_init(&t, "upstream app { servers 10.0.0.1:81 localhost:82 app.internal unix:/x }");
    struct server *s = first(&t)->servers;
    struct addr a;
    assert_true(server_addr_get(s[0].shared, 0, &a));
    assert_int_equal(addr_port(&a), 81);
    assert_int_equal(server_addr_count(s[1].shared), 2);
    assert_true(server_addr_get(s[1].shared, 1, &a));
    assert_int_equal(addr_port(&a), 82);
    assert_true(addr_is_loopback(&a));
    assert_int_equal(server_addr_count(s[2].shared), 0);
    assert_false(server_addr_get(s[2].shared, 0, &a));
    assert_int_equal(server_addr_count(s[3].shared), 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(server_needs_resolver(&s[i]), i == 2);
    test_conf_release(&t);
}

static void count_one(const struct server_shared *s, void *ctx)
{
    (void)s;
    (*(int *)ctx)++;
}

static int shared_count(void)
{
    int n = 0;
    servers_shared_each(count_one, &n);
    return n;
}

/* What a reload does: the new snapshot is bound before the old one goes. */
static void state_survives_a_reload_by_identity(void **state)
{
    (void)state;
    struct test_conf old, new;
    test_conf_init(&old, "upstream app { servers a b }\nupstream other { server a }");
    struct server_shared *a = first(&old)->servers[0].shared;
    assert_ptr_not_equal(a, old.conf->upstreams->list[1]->servers[0].shared);
    assert_string_equal(a->name, "a");
    assert_string_equal(a->upstream_name, "app");
    a->requests_total = 77;
    test_conf_init(&new, "upstream app { servers c a }");
    assert_ptr_equal(first(&new)->servers[1].shared, a);
    assert_ptr_equal(first(&new)->shared, first(&old)->shared);
    assert_int_equal(shared_count(), 4);
    test_conf_release(&old);
    assert_int_equal(shared_count(), 2);
    assert_int_equal(a->requests_total, 77);
    test_conf_release(&new);
    assert_int_equal(shared_count(), 0);
}

static void ids_are_dense_and_used_again(void **state)
{
    (void)state;
    struct server_shared *s[200];
    char name[16];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "s%d", i);
        s[i] = server_shared_take(SLICE("app"), slice_of(name), 0);
        assert_int_equal(s[i]->id, i);
    }
    server_shared_drop(s[5]);
    server_shared_drop(s[150]);
    s[150] = server_shared_take(SLICE("app"), SLICE("new1"), 0);
    s[5] = server_shared_take(SLICE("app"), SLICE("new2"), 0);
    assert_int_equal(s[150]->id, 5);
    assert_int_equal(s[5]->id, 150);
    for (int i = 0; i < 200; i++)
        server_shared_drop(s[i]);
    assert_int_equal(shared_count(), 0);
}

static void rows_are_documented_and_examples_pass(void **state)
{
    (void)state;
    for (const struct directive *r = upstream_rows; r->name; r++) {
        assert_true(r->text && strlen(r->text) > 20 && r->usage && r->example);
        if (r->where == IN_TOP)
            continue;
        struct test_conf t;
        char text[256];
        bool server = strncmp(r->name, "server", 6) == 0;
        snprintf(text, sizeof text, "upstream app {\n%s\n%s\n}", r->example,
                 server ? "" : "server a:1");
        test_conf_init(&t, text);
        test_conf_release(&t);
    }
}

static void rows_are_sound(void **state)
{
    (void)state;
    static const struct conf_table tables[] = {{"upstream", upstream_rows}};
    static const struct conf_schema schema = {tables, 1};
    struct text problems;
    text_init(&problems);
    conf_rows_verify(&schema, &problems);
    if (problems.len)
        fail_msg("%s", problems.at);
    text_release(&problems);
}

UNIT_SUITE(upstream_rows, cmocka_unit_test(defaults_stand), cmocka_unit_test(every_word_is_stored),
           cmocka_unit_test(off_is_off), cmocka_unit_test(mistakes_are_told),
           cmocka_unit_test(option_errors_point_at_the_value),
           cmocka_unit_test(names_are_unique_and_plain),
           cmocka_unit_test(equal_inline_lists_share_one), cmocka_unit_test(limits_and_hedges),
           cmocka_unit_test(many_servers_keep_their_order),
           cmocka_unit_test(binding_sets_addresses),
           cmocka_unit_test(state_survives_a_reload_by_identity),
           cmocka_unit_test(ids_are_dense_and_used_again),
           cmocka_unit_test(rows_are_documented_and_examples_pass),
           cmocka_unit_test(rows_are_sound));
