/* config_test_priv.h - for tests of this folder: a configuration from a text, and dry requests. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/build.h"
#include "proxy/cert_test_priv.h"
#include "proxy/dry_request_priv.h"
#include "proxy/filter.h"
#include "proxy/outbound.h"
#include "tests/unit.h"
#include "upstream/upstream.h"

enum { TEST_TABLES_MAX = 32 };

struct test_config {
    struct diag diag;
    struct conf *conf;
    struct conf_table tables[TEST_TABLES_MAX];
    struct conf_schema schema;
    struct conf_build build;
    struct conf_source source;
    struct worker *worker; /* made with the first request */
    struct exchange *x;    /* the last request */
};

static inline void test_schema(struct test_config *t)
{
    size_t count = 0;
    t->tables[count++] = (struct conf_table){"proxy", proxy_rows};
    t->tables[count++] = (struct conf_table){"relay", outbound_rows};
    t->tables[count++] = (struct conf_table){"upstream", upstream_rows};
    for (const struct filter_type *const *f = filters_all; *f; f++) {
        t->tables[count++] = (struct conf_table){(*f)->name, (*f)->directives};
        for (const struct directive *const *rows = (*f)->inner; rows && *rows; rows++)
            t->tables[count++] = (struct conf_table){(*f)->name, *rows};
    }
    t->schema = (struct conf_schema){t->tables, count};
}

static inline void test_build(struct test_config *t)
{
    struct conf *c = t->conf;
    c->upstreams = ARENA_NEW(&c->arena, struct upstreams_conf);
    CONF_NODE_EACH(n, &c->tree->root)
    {
        if (n->row && strcmp(n->row->name, "upstream") == 0)
            conf_apply(&t->build, c->upstreams, n);
    }
    proxy_build(&t->build, c);
    proxy_servers_known(&t->build, c);
    if (!diag_failed(&t->diag))
        upstreams_bind(&t->build, c);
}

/* True when there were no errors. Release it either way. */
static inline bool test_config_load(struct test_config *t, const char *text)
{
    *t = (struct test_config){0};
    test_schema(t);
    diag_init(&t->diag);
    t->conf = conf_new(1);
    t->source = test_source();
    t->build = (struct conf_build){&t->conf->arena, &t->diag, &t->schema, t->conf, &t->source};
    t->conf->tree = conf_read(&t->conf->arena, &t->diag, "test.conf", slice_of(text));
    if (t->conf->tree)
        conf_check(&t->schema, t->conf->tree, &t->diag);
    if (t->conf->tree && !diag_failed(&t->diag))
        test_build(t);
    return !diag_failed(&t->diag);
}

static inline void test_config_print(const struct test_config *t)
{
    struct text out;
    text_init(&out);
    diag_print(&t->diag, &out, false);
    print_error("%s", out.at ? out.at : "");
    text_release(&out);
}

/* Loads what has to be right. */
static inline void test_config_need(struct test_config *t, const char *text)
{
    if (!test_config_load(t, text)) {
        test_config_print(t);
        fail_msg("not accepted: %s", text);
    }
}

static inline void test_request_end(struct test_config *t)
{
    if (t->x)
        exchange_dry_free(t->x);
    t->x = NULL;
}

static inline void test_config_release(struct test_config *t)
{
    test_request_end(t);
    if (t->worker)
        dry_worker_free(t->worker);
    diag_release(&t->diag);
    conf_drop(t->conf);
}

/* The listener on which the host is served. */
static inline const struct listen_conf *test_listen(struct test_config *t, struct slice authority)
{
    struct slice host;
    uint16_t port;
    struct arena a;
    arena_init(&a, 65536);
    if (uri_host_parse(&a, authority, &host, &port) != ERR_OK)
        host = SLICE("");
    const struct listen_conf *l = dry_listen_find(t->conf->proxy, host, 0, LISTEN_ANY);
    arena_release(&a);
    return l ? l : t->conf->proxy->listens[0];
}

/* "GET http://host/path from=10.0.0.1 | Name: value | Name: value" through the steps, up to the
 * relay. The exchange lives until the next request. */
static inline struct exchange *test_request(struct test_config *t, const char *request)
{
    struct dry_request r;
    struct slice rest = slice_of(request), line, words, word;
    if (!t->worker)
        assert_non_null(t->worker = dry_worker_new(t->conf));
    test_request_end(t);
    assert_true(slice_cut(&rest, '|', &line));
    words = slice_trim(line);
    assert_true(slice_cut(&words, ' ', &r.method));
    assert_true(slice_cut(&words, ' ', &word));
    assert_true(dry_url_parse(word, &r));
    struct slice from = SLICE("127.0.0.1");
    if (slice_cut(&words, ' ', &word) && slice_starts(word, SLICE("from=")))
        from = slice_from(word, 5);
    assert_int_equal(addr_parse_ip(from, &r.from), ERR_OK);
    t->x = exchange_dry_new(t->worker, test_listen(t, r.authority));
    assert_int_equal(dry_request_put(t->x, &r), ERR_OK);
    while (slice_cut(&rest, '|', &line)) {
        size_t colon = slice_find(line, ':');
        assert_null(dry_header_put(t->x, slice_trim(slice_head(line, colon)),
                                   slice_trim(slice_from(line, colon + 1))));
    }
    exchange_dry_run(t->x, STEP_RELAY);
    return t->x;
}

static inline struct slice test_req_header(struct test_config *t, const char *name)
{
    const struct header *h = headers_find_name(&t->x->req.headers, slice_of(name));
    return h ? h->value : SLICE_NONE;
}

/* Is the first error in that line and column, and does it say `text`? Prints what is wrong. */
static inline bool test_error_is(const char *config, uint32_t line, uint32_t col, const char *text)
{
    struct test_config t;
    bool ok = test_config_load(&t, config);
    const struct diag_entry *e = NULL;
    for (uint32_t i = 0; i < t.diag.count && !e; i++)
        e = t.diag.entries[i].warning ? NULL : &t.diag.entries[i];
    bool found = !ok && e && e->pos.line == line && e->pos.col == col && strstr(e->text.at, text);
    if (!found) {
        test_config_print(&t);
        print_error("expected '%s' at %u:%u for: %s\n", text, line, col, config);
    }
    test_config_release(&t);
    return found;
}

static inline void test_error(const char *config, uint32_t line, uint32_t col, const char *text)
{
    assert_true(test_error_is(config, line, col, text));
}
