/* ramp_test.c - the share in the ramp with every balancer, and when a ramp begins. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/testing.h"

enum { SERVERS = 4, PICKS = 8000, LASTS_MS = 10000 };

/* Thousandths of PICKS that server 0 gets, so long after it came back. Requests take as long as it
 * takes to begin 40 others, for balancers that look at the load. */
static int64_t share(const char *balancer, int64_t age_ms)
{
    static int open[40];
    struct test_upstream t;
    int64_t hits = 0;
    test_upstream_init(&t, balancer, SERVERS);
    t.up.slow_start_ms = LASTS_MS;
    for (int i = 0; i < SERVERS; i++)
        t.up.servers[i].max_conns = 1000;
    test_upstream_start(&t);
    server_came_back(&t.shared[0], t.pick.now_ms);
    t.pick.now_ms += age_ms;
    for (int i = 0; i < PICKS; i++) {
        uint32_t k = 99;
        int n = i;
        t.pick.key = hash_fast((struct slice){(const char *)&n, sizeof n}, 7);
        assert_int_equal(pick_server(t.state, &t.pick, &k), ERR_OK);
        if (i >= 40)
            t.shared[open[i % 40]].in_flight--;
        t.shared[k].in_flight++;
        open[i % 40] = (int)k;
        hits += k == 0;
    }
    test_upstream_release(&t);
    return hits * 1000 / PICKS;
}

/* Its share is 25 %; in the ramp it is less in about that proportion. */
static void shares_rise_with_every_balancer(void **state)
{
    (void)state;
    for (const struct balancer_type *const *b = balancers_all; *b; b++) {
        if (strcmp((*b)->name, "first") == 0)
            continue; /* it knows no shares: see below */
        int64_t begin = share((*b)->name, 0), middle = share((*b)->name, LASTS_MS / 2);
        int64_t end = share((*b)->name, LASTS_MS);
        assert_in_range(begin, 1, 60);
        assert_in_range(middle, 80, 210);
        assert_in_range(end, 200, 300);
    }
}

static void first_follows_the_ramp(void **state)
{
    (void)state;
    assert_near(share("first", 0), 100, 20);
    assert_near(share("first", LASTS_MS / 2), 550, 30);
    assert_int_equal(share("first", LASTS_MS), 1000);
}

static void alone_it_gets_everything(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "round_robin", 3);
    t.up.servers[2].backup = true;
    t.up.slow_start_ms = LASTS_MS;
    test_upstream_start(&t);
    server_came_back(&t.shared[0], t.pick.now_ms);
    t.shared[1].ejected_until_ms = 5000;
    for (int i = 0; i < 100; i++) {
        uint32_t k = 99;
        assert_int_equal(pick_server(t.state, &t.pick, &k), ERR_OK);
        assert_int_equal(k, 0);
    }
    test_upstream_release(&t);
}

static void the_line_is_straight(void **state)
{
    (void)state;
    struct test_upstream t;
    test_upstream_init(&t, "round_robin", 1);
    test_upstream_start(&t);
    server_came_back(&t.shared[0], 2000); /* an ejection that ends then */
    assert_true(pick_ramp(&t.pick, 0) == 1);
    t.up.slow_start_ms = LASTS_MS;
    assert_near((int64_t)(pick_ramp(&t.pick, 0) * 1000), 100, 1);
    t.pick.now_ms = 2000 + LASTS_MS / 2;
    assert_near((int64_t)(pick_ramp(&t.pick, 0) * 1000), 550, 1);
    t.pick.now_ms = 2000 + LASTS_MS - 1;
    assert_true(pick_ramp(&t.pick, 0) < 1);
    t.pick.now_ms = 2000 + LASTS_MS;
    assert_true(pick_ramp(&t.pick, 0) == 1);
    test_upstream_release(&t);
}

static struct server_shared *shared_of(const struct test_conf *t, uint32_t i)
{
    return t->conf->upstreams->list[0]->servers[i].shared;
}

/* Reloads: on at first is no ramp; off and on again, or added later, is one from the next pick. */
static void reloads_begin_ramps(void **state)
{
    (void)state;
    struct test_conf a, b, c;
    test_conf_init(&a, "upstream u { server 10.0.0.1; server 10.0.0.2; server 10.0.0.3 disabled }");
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(shared_of(&a, i)->back_at_ms, 0);
    test_conf_init(&b, "upstream u { server 10.0.0.1 drain; server 10.0.0.2; server 10.0.0.3 }");
    assert_int_equal(shared_of(&b, 0)->back_at_ms, 0);
    assert_int_equal(shared_of(&b, 1)->back_at_ms, 0);
    assert_int_not_equal(shared_of(&b, 2)->back_at_ms, 0);
    test_conf_init(&c, "upstream u { server 10.0.0.1; server 10.0.0.4; slow_start 10s }");
    struct rand r;
    rand_init(&r, 1);
    struct pick p = {.up = c.conf->upstreams->list[0], .rand = &r, .now_ms = 7000};
    assert_near((int64_t)(pick_ramp(&p, 0) * 1000), 100, 1);
    assert_near((int64_t)(pick_ramp(&p, 1) * 1000), 100, 1);
    assert_int_equal(shared_of(&c, 0)->back_at_ms, 7000);
    p.now_ms = 17000;
    assert_true(pick_ramp(&p, 0) == 1);
    test_conf_release(&a);
    test_conf_release(&b);
    test_conf_release(&c);
}

UNIT_SUITE(upstream_ramp, cmocka_unit_test(shares_rise_with_every_balancer),
           cmocka_unit_test(first_follows_the_ramp), cmocka_unit_test(alone_it_gets_everything),
           cmocka_unit_test(the_line_is_straight), cmocka_unit_test(reloads_begin_ramps));
