/* route_test.c - how sites and routes are found: order of kinds, borders of prefixes, many routes.
 */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/route.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct fixture {
    struct arena arena;
    struct site site;
    struct route own;
};

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    arena_init(&f->arena, SIZE_MAX / 2);
    radix_init(&f->site.prefixes, &f->arena);
    hash_map_init(&f->site.exact);
    f->site.own = &f->own;
    f->own.kind = ROUTE_SITE;
}

static void fixture_release(struct fixture *f)
{
    hash_map_release(&f->site.exact);
    arena_release(&f->arena);
}

static struct route *add_prefix(struct fixture *f, const char *path)
{
    struct route *r = ARENA_NEW(&f->arena, struct route);
    void *old;
    r->kind = ROUTE_PREFIX;
    r->pattern = arena_dup(&f->arena, slice_of(path));
    assert_int_equal(radix_add(&f->site.prefixes, r->pattern, r, &old), ERR_OK);
    assert_null(old);
    return r;
}

static void check(struct fixture *f, const char *path, const struct route *want, size_t want_len)
{
    size_t len = 999;
    const struct route *got = route_lookup(&f->site, slice_of(path), &len);
    if (got != want || len != want_len)
        print_error("path %s: covered %zu\n", path, len);
    assert_ptr_equal(got, want);
    assert_int_equal(len, want_len);
}

static void prefixes_end_at_segments(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct route *a = add_prefix(&f, "/a");
    struct route *abc = add_prefix(&f, "/a/bc");
    struct route *d = add_prefix(&f, "/d/");
    check(&f, "/a", a, 2);
    check(&f, "/a/", a, 2);
    check(&f, "/a/b", a, 2);
    check(&f, "/ab", &f.own, 0);
    check(&f, "/a/bc", abc, 5);
    check(&f, "/a/bc/x", abc, 5);
    check(&f, "/a/bcd", a, 2); /* back to the shorter one */
    check(&f, "/d", &f.own, 0);
    check(&f, "/d/", d, 3);
    check(&f, "/d/x", d, 3);
    check(&f, "/", &f.own, 0);
    check(&f, "*", &f.own, 0);
    fixture_release(&f);
}

static void the_root_prefix_takes_the_rest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct route *root = add_prefix(&f, "/");
    check(&f, "/", root, 1);
    check(&f, "/x", root, 1);
    check(&f, "*", &f.own, 0);
    fixture_release(&f);
}

static void exact_beats_prefix(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct route *prefix = add_prefix(&f, "/a/b");
    struct route exact = {.kind = ROUTE_EXACT};
    hash_map_put(&f.site.exact, SLICE("/a/b"), &exact);
    check(&f, "/a/b", &exact, 0);
    check(&f, "/a/b/", prefix, 4);
    fixture_release(&f);
}

static void hosts_exact_then_nearest_wildcard_then_default(void **state)
{
    (void)state;
    struct site exact, near, far, any;
    struct listen_conf l = {0};
    enum site_match how;
    hash_map_put(&l.exact, SLICE("www.b.example"), &exact);
    hash_map_put(&l.wildcards, SLICE("b.example"), &near);
    hash_map_put(&l.wildcards, SLICE("example"), &far);
    assert_ptr_equal(site_lookup(&l, SLICE("www.b.example"), &how), &exact);
    assert_int_equal(how, SITE_EXACT);
    assert_ptr_equal(site_lookup(&l, SLICE("x.y.b.example"), &how), &near);
    assert_int_equal(how, SITE_WILDCARD);
    assert_ptr_equal(site_lookup(&l, SLICE("b.example"), &how), &far);
    assert_null(site_lookup(&l, SLICE("example"), &how)); /* a wildcard is not its own domain */
    assert_int_equal(how, SITE_NONE);
    assert_null(site_lookup(&l, SLICE(""), &how));
    assert_null(site_lookup(&l, SLICE("xb.other."), &how));
    l.fallback = &any;
    assert_ptr_equal(site_lookup(&l, SLICE("10.0.0.1"), &how), &any);
    assert_int_equal(how, SITE_DEFAULT);
    hash_map_release(&l.exact);
    hash_map_release(&l.wildcards);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 100,000 routes: a lookup among all of them takes about as long as among a few. The bound is wide
 * (sanitizers, busy machines) but far below what a search through the list would take. */
static void many_routes_cost_nothing(void **state)
{
    (void)state;
    enum { ROUTES = 100000 };
    struct fixture f;
    fixture_init(&f);
    char path[64];
    struct route **routes = calloc(ROUTES, sizeof(*routes));
    for (int i = 0; i < ROUTES; i++) {
        snprintf(path, sizeof(path), "/v%d/service-%d/", i % 10, i);
        routes[i] = add_prefix(&f, path);
    }
    double began = seconds();
    for (int i = 0; i < ROUTES; i++) {
        snprintf(path, sizeof(path), "/v%d/service-%d/item", i % 10, i);
        check(&f, path, routes[i], strlen(path) - 4);
    }
    assert_true(seconds() - began < 5);
    free(routes);
    fixture_release(&f);
}

UNIT_SUITE(proxy_route, cmocka_unit_test(prefixes_end_at_segments),
           cmocka_unit_test(the_root_prefix_takes_the_rest), cmocka_unit_test(exact_beats_prefix),
           cmocka_unit_test(hosts_exact_then_nearest_wildcard_then_default),
           cmocka_unit_test(many_routes_cost_nothing));
